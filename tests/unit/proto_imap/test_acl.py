"""The arguments of the ACL commands, and their responses."""

import pytest

from poterne.proto.imap import acl, commands
from poterne.proto.imap.cursor import CommandError, Cursor
from poterne.proto.imap.limits import Limits
from poterne.values.sharing import Right


def cursor(text: bytes) -> Cursor:
    return Cursor(text, 0, Limits(), utf8=False)


@pytest.mark.parametrize(
    ("text", "how", "rights"),
    [
        (b" INBOX anne lr", commands.AclChange.REPLACE, Right.LOOKUP | Right.READ),
        (b' INBOX anne ""', commands.AclChange.REPLACE, Right(0)),
        (b" INBOX anne +d", commands.AclChange.ADD, Right.DELETE_MESSAGES | Right.EXPUNGE),
        (b' INBOX anne "-"', commands.AclChange.REMOVE, Right(0)),
        (b" INBOX {4+}\r\nanne -a", commands.AclChange.REMOVE, Right.ADMINISTER),
    ],
)
def test_set_acl(text: bytes, how: commands.AclChange, rights: Right) -> None:
    assert acl.set_acl(cursor(text), b"t") == commands.SetAcl(b"t", "INBOX", "anne", how, rights)


@pytest.mark.parametrize(
    "text",
    [
        b" INBOX anne lrQ",
        b" INBOX anne lr7",
        b" INBOX anne +-l",
        b" INBOX anne \xff",
        b" INBOX anne",
        b" INBOX anne lr more",
        b' INBOX "" lr',
        b' INBOX "a\x07b" lr',
        b' INBOX "\xff" lr',
    ],
)
def test_what_is_refused(text: bytes) -> None:
    with pytest.raises(CommandError):
        acl.set_acl(cursor(text), b"t")


def test_identifiers_are_prepared() -> None:
    assert acl.delete_acl(cursor(b" INBOX {5+}\r\n\xef\xac\x81nn"), b"t").identifier == "finn"


def test_responses() -> None:
    lines = [("ada@example.org", "lr"), ("anyone", ""), ("é@example.org", "l")]
    assert (
        acl.acl("Caf\u00e9", lines, utf8=False)
        == b'* ACL Caf&AOk- ada@example.org lr anyone "" {14}\r\n\xc3\xa9@example.org l\r\n'
    )
    assert acl.my_rights("a b", "", utf8=True) == b'* MYRIGHTS "a b" ""\r\n'
    assert acl.rights_listed("INBOX", "x", "la", ["r", "sw"], utf8=True) == b"* LISTRIGHTS INBOX x la r sw\r\n"
