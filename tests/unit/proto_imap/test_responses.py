import pytest

from poterne.proto.imap import responses as r
from poterne.proto.imap.items import StatusItem
from tests.support.imap_reader import read_lines


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (r.capability([b"IMAP4rev1", b"IDLE"]), b"* CAPABILITY IMAP4rev1 IDLE\r\n"),
        (r.enabled([b"IMAP4rev2"]), b"* ENABLED IMAP4rev2\r\n"),
        (r.enabled([]), b"* ENABLED\r\n"),
        (r.flags(b"(\\Seen)"), b"* FLAGS (\\Seen)\r\n"),
        (r.exists(0), b"* 0 EXISTS\r\n"),
        (r.recent(3), b"* 3 RECENT\r\n"),
        (r.expunge(4), b"* 4 EXPUNGE\r\n"),
        (r.expunges([5, 3]), b"* 5 EXPUNGE\r\n* 3 EXPUNGE\r\n"),
        (r.vanished([1, 2, 5]), b"* VANISHED 1:2,5\r\n"),
        (r.vanished([7], earlier=True), b"* VANISHED (EARLIER) 7\r\n"),
        (r.namespace(), b'* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL\r\n'),
        (r.search([]), b"* SEARCH\r\n"),
        (r.search([], 5), b"* SEARCH\r\n"),
        (r.search([2, 84, 882]), b"* SEARCH 2 84 882\r\n"),
        (r.search([2], 917162500), b"* SEARCH 2 (MODSEQ 917162500)\r\n"),
        (r.esearch(b"a1", uid=False, count=0), b'* ESEARCH (TAG "a1") COUNT 0\r\n'),
        (r.esearch(b"a1", uid=True, everything=[]), b'* ESEARCH (TAG "a1") UID\r\n'),
        (
            r.esearch(b"a]", uid=True, lowest=2, highest=9, everything=[2, 3, 9], count=3, modseq=8),
            b'* ESEARCH (TAG "a]") UID MIN 2 MAX 9 ALL 2:3,9 COUNT 3 MODSEQ 8\r\n',
        ),
        (r.server_id(None), b"* ID NIL\r\n"),
        (
            r.server_id([(b"name", b"Poterne"), (b"support-url", None)]),
            b'* ID ("name" "Poterne" "support-url" NIL)\r\n',
        ),
        (r.bye(b"Too long", r.UNAVAILABLE), b"* BYE [UNAVAILABLE] Too long\r\n"),
        (r.status_line(r.Condition.OK, b"here", r.code_uidnext(7)), b"* OK [UIDNEXT 7] here\r\n"),
        (r.status_line(r.Condition.NO, b"no"), b"* NO no\r\n"),
        (r.list_delimiter(), b'* LIST (\\Noselect) "/" ""\r\n'),
        (r.list_mailbox("INBOX", [], utf8=False), b'* LIST () "/" INBOX\r\n'),
        (
            r.list_mailbox("Entwürfe", [b"\\Drafts", b"\\HasNoChildren"], utf8=False),
            b'* LIST (\\Drafts \\HasNoChildren) "/" Entw&APw-rfe\r\n',
        ),
        (r.list_mailbox('Entwürfe "x"', [], utf8=True), '* LIST () "/" "Entwürfe \\"x\\""\r\n'.encode()),
        (
            r.list_mailbox("Foo", [], utf8=False, child_info=[b"SUBSCRIBED"]),
            b'* LIST () "/" Foo ("CHILDINFO" ("SUBSCRIBED"))\r\n',
        ),
        (
            r.list_mailbox("Foo", [b"\\Subscribed"], utf8=False, old_name="a b"),
            b'* LIST (\\Subscribed) "/" Foo ("OLDNAME" ("a b"))\r\n',
        ),
        (r.list_mailbox("a b", [], utf8=False, word=b"LSUB"), b'* LSUB () "/" "a b"\r\n'),
        (
            r.status("&", {StatusItem.MESSAGES: 231, StatusItem.UIDNEXT: 44292}, utf8=False),
            b"* STATUS &- (MESSAGES 231 UIDNEXT 44292)\r\n",
        ),
        (r.status("&", {StatusItem.SIZE: 1}, utf8=True), b"* STATUS & (SIZE 1)\r\n"),
    ],
)
def test_untagged(said: bytes, expected: bytes) -> None:
    assert said == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (r.code_capability([b"A", b"B"]), b"CAPABILITY A B"),
        (r.code_badcharset([b"UTF-8"]), b"BADCHARSET (UTF-8)"),
        (r.code_permanentflags(b"(\\*)"), b"PERMANENTFLAGS (\\*)"),
        (r.code_uidvalidity(3), b"UIDVALIDITY 3"),
        (r.code_unseen(3), b"UNSEEN 3"),
        (r.code_highestmodseq(3), b"HIGHESTMODSEQ 3"),
        (r.code_modified([7, 8, 9, 12]), b"MODIFIED 7:9,12"),
        (r.code_appenduid(38505, [3955]), b"APPENDUID 38505 3955"),
        (r.code_copyuid(38505, [304, 319, 320], [3956, 3957, 3958]), b"COPYUID 38505 304,319:320 3956:3958"),
        (r.code_mailboxid(b"F2"), b"MAILBOXID (F2)"),
    ],
)
def test_codes(code: bytes, expected: bytes) -> None:
    assert code == expected


def test_search_and_list_can_be_read() -> None:
    lines = read_lines(r.search(range(1, 5)) + r.list_mailbox("x(y", [b"\\Marked"], utf8=False) + r.namespace())
    assert lines[0] == [b"*", b"SEARCH", 1, 2, 3, 4]
    assert lines[1] == [b"*", b"LIST", [b"\\Marked"], b"/", b"x(y"]
    assert lines[2] == [b"*", b"NAMESPACE", [[b"", b"/"]], [[b"Other Users/", b"/"]], None]
