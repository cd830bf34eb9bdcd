"""The core under hostile input: events or PeerError, bounded memory, and the cut of the input makes no difference."""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.imap.server import ServerCore
from poterne.proto.imap.table import COMMANDS
from poterne.proto.imap.uid_only import uid_only
from tests.support.imap_toy import SMALL, Toy
from tests.support.transcript import Runner

WORDS = [
    *COMMANDS,
    *(
        rb"""a1|b |* | |(|)|"|\|"x"|"a\"b"|{0}|{0+}|{3}|{3+}|{20+}|{21+}|{100+}|{101}|{999+}|{1000+}|{1001}|~{2+}|{}|{a}|{4-}
        |{99999999999999999999+}|NIL|INBOX|inbox/x|&AOk-|&-|&AGE-|No|$|1|0|*|1:*|2,4:7|4294967295|4294967296|1:2:3|,|:
        |(\Seen|\Flagged)|\Recent|$Junk|FLAGS|+FLAGS.SILENT|(UNCHANGEDSINCE 5)|(CHANGEDSINCE 5 VANISHED)|ALL|FULL
        |BODY[|BODY.PEEK[|]|1.2|HEADER.FIELDS (|From|<0.5>|BINARY[1]|ENVELOPE|(FLAGS UID)|RETURN (|MIN|SAVE|COUNT|CHARSET UTF-8
        |NOT |OR |UNSEEN|SINCE 1-Feb-2020|SUBJECT|HEADER x y|MODSEQ|"17-Jul-1996 02:44:25 -0700"|UTF8 (|(USE (\Junk))
        |(QRESYNC (1 2 3))|(STATUS (MESSAGES))|(SUBSCRIBED)|*%|PLAIN|AGEAYg==|=|DONE|LOGIN a b|(REVERSE DATE SUBJECT)|UTF-8|REFERENCES|ORDEREDSUBJECT|EMAILID M1|RETURN (PARTIAL 1:2)|(PARTIAL -1:-2)|PREVIEW (LAZY)|SET|STATUS|(personal (MailboxName))|(selected (MessageNew (UID) MessageExpunge))|IN (|inboxes|subtree (a b)
        |/shared/comment|/private/a|(DEPTH 1)|(MAXSIZE 5)|(DEPTH infinity) (/private|(METADATA (|"" (/private/b {3+}|~{3+}""".replace(b"\n        ", b"").split(b"|")
    ),
    b"\r\n", b"\r\n", b"\r\n", b"\r", b"\n", b"\0", b"\xc3\xa9", b"\xff", b"x" * 50, b"(" * 50,
]  # fmt: skip

LINES = [
    b"a LOGIN u p\r\n",
    b"a AUTHENTICATE PLAIN\r\n",
    b"a SELECT INBOX\r\n",
    b"a IDLE\r\n",
    b"DONE\r\n",
    b"a APPEND x {5+}\r\nhello\r\n",
    b"a APPEND x (\\Seen) {5}\r\nhello {2+}\r\nhi\r\n",
    b"a APPEND Nope {5+}\r\nhello {2+}\r\nhi\r\n",
    b"a APPEND {1+}\r\nx {600+}\r\n" + b"y" * 600 + b"\r\n",
    b"a ENABLE IMAP4rev2\r\n",
    b"a FETCH 1:* (FLAGS BODY[HEADER.FIELDS (From)]<0.9>)\r\n",
    b"a SEARCH OR (SEEN 1:3) NOT TEXT {3}\r\nabc\r\n",
    b"a STORE 1 FLAGS ()\r\n",
    b"a LOGOUT\r\n",
    b"a STARTTLS\r\n",
    b"x" * 500 + b"\r\n",
    b"a LOGIN {30+}\r\n" + b"y" * 30 + b" {3+}\r\nabc\r\n",
]

command = st.lists(st.sampled_from(WORDS), max_size=8).map(lambda words: b"a " + b" ".join(words) + b"\r\n")
soup = st.lists(st.sampled_from(WORDS), max_size=20).map(b"".join)
dialogue = st.lists(
    st.one_of(st.sampled_from(LINES), command, soup, st.binary(max_size=30), st.sampled_from(LINES)), max_size=12
).map(b"".join)
start = st.sampled_from(["guest", "known", "selected", "uid-only"])


def run(data: bytes, cuts: list[int], begin: str, *, bounded: bool = False) -> Any:
    core = ServerCore(SMALL, tls=begin != "guest")
    if begin != "guest":
        core.authenticated()
    if begin in {"selected", "uid-only"}:
        core.selected(True)
    if begin == "uid-only":
        core.commands = uid_only(core.commands)
    toy = Toy(core)
    runner = Runner(core, toy)
    places = [0, *sorted(cuts), len(data)]
    for first, last in pairwise(places):
        if first == last:
            continue
        runner.feed(data[first:last])
        if bounded:
            assert len(core._buffer) <= SMALL.line_bytes + SMALL.literal_bytes + 2
    # A plaintext octet behind STARTTLS ends the connection in one piece and at the handshake in many.
    end = "starttls" if runner.end == "starttls-injection" or runner.wants_tls else runner.end
    return toy.seen, end, b"" if end == "starttls" else bytes(runner.said)


@settings(max_examples=400, deadline=None)
@given(dialogue, start, st.data())
def test_the_cut_of_the_input_makes_no_difference(data: bytes, begin: str, draw: st.DataObject) -> None:
    whole = run(data, [], begin)
    assert run(data, list(range(1, len(data))), begin, bounded=True) == whole
    cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=6))
    assert run(data, cuts, begin) == whole


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000), start)
def test_noise(data: bytes, begin: str) -> None:
    assert run(data, [], begin) == run(data, list(range(1, len(data))), begin, bounded=True)
