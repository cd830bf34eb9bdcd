import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.imap.mailbox_name import NameSyntaxError, decode_utf7, encode_utf7, parse, render
from tests.support.imap_reader import Atom, read_value


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),  # RFC 3501 §5.1.3
        (b"Entw&APw-rfe", "Entwürfe"),
        (b"&-", "&"),
        (b"a&-b&AOk-", "a&bé"),
        (b"&2D3eCQ-", "😉"),
        (b"", ""),
        (b"%*", "%*"),
    ],
)
def test_utf7(wire: bytes, name: str) -> None:
    assert decode_utf7(wire) == name
    assert encode_utf7(name) == wire


@pytest.mark.parametrize(
    "wire",
    [
        b"&", b"&AOk", b"a&AOk b-", b"&AGE-", b"&AOk-&AOk-", b"&AOl-", b"&AOk=-", b"&A-", b"&2D0-", b"&3gk-", b"\xe9",
        b"\x01", b"\x7f", b"&!!!-", b"&AOk-&-&", b"&AO/-",
    ],
)  # fmt: skip
def test_utf7_that_is_none(wire: bytes) -> None:
    with pytest.raises(NameSyntaxError):
        decode_utf7(wire)


@pytest.mark.parametrize(
    "wire", [b"a\x00", b"a\nb", b"\xc2\x85", b"\xed\xa0\x80", b"\xff", b"\xe2\x80\xa8", b"x" * 1001]
)
def test_utf8_that_is_no_name(wire: bytes) -> None:
    with pytest.raises(NameSyntaxError):
        parse(wire, utf8=True)


@pytest.mark.parametrize(
    ("wire", "name"),
    [
        (b"inbox", "INBOX"),
        (b"iNbOx/Sub", "INBOX/Sub"),
        (b"inboxes", "inboxes"),
        (b"a/inbox", "a/inbox"),
        (b"Cafe\xcc\x81", "Café"),
    ],
)
def test_canonical(wire: bytes, name: str) -> None:
    assert parse(wire, utf8=True) == name


names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=40).map(
    lambda text: unicodedata.normalize("NFC", text)
)


@given(names, st.booleans())
def test_what_is_told_is_understood_again(name: str, utf8: bool) -> None:
    wire = render(name, utf8=utf8)
    if utf8 and not name.isascii():
        assert wire[:1] == wire[-1:] == b'"'
        value = wire[1:-1].replace(b'\\"', b'"').replace(b"\\\\", b"\\")
    else:
        read = read_value(wire)
        value = wire if isinstance(read, int) else bytes(read)  # digits alone are a name as well
        assert value.upper() != b"NIL" or not isinstance(read, Atom)
    canonical = "INBOX" + name[5:] if name[:5].upper() == "INBOX" and name[5:6] in {"", "/"} else name
    assert parse(value, utf8=utf8) == canonical


@given(st.binary(max_size=30), st.booleans())
def test_any_octets(wire: bytes, utf8: bool) -> None:
    try:
        name = parse(wire, utf8=utf8)
    except NameSyntaxError:
        return
    assert unicodedata.is_normalized("NFC", name)
    if not utf8:
        assert encode_utf7(decode_utf7(wire)) == wire
