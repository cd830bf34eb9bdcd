"""The short ways of looking for a text find only what the long way finds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.message.decode import fold, part_text
from poterne.session.imap.texts import Needle, octetwise
from poterne.values.mime import Part
from tests.support import odd_mail

CHARSETS = (
    b"utf-8",
    b"UTF8",
    b"us-ascii",
    b"iso-8859-1",
    b"ISO-8859-15",
    b"iso-8859-8",
    b"windows-1252",
    b"cp1255",
    b"koi8-r",
    b"",
)


def plain(charset: bytes, octets: bytes) -> Part:
    params = ((b"charset", charset),) if charset else ()
    return Part(b"text", b"plain", 0, 0, len(octets), 1, params, encoding=b"8bit")


@settings(max_examples=400, deadline=None)
@given(
    charset=st.sampled_from(CHARSETS),
    octets=st.one_of(st.binary(max_size=40), odd_mail.lines.map(lambda text: text.encode()), st.binary(max_size=700)),
    data=st.data(),
)
def test_ascii_octets_are_letters(charset: bytes, octets: bytes, data: st.DataObject) -> None:
    part = plain(charset, octets)
    assert octetwise(part)
    runs = [run for run in "".join(chr(c) if 32 <= c < 127 else "\0" for c in octets).split("\0") if run]
    text = fold(part_text(octets, part))
    for run in runs:
        start = data.draw(st.integers(0, len(run) - 1))
        needle = Needle(run[start : start + data.draw(st.integers(1, 6))].upper())
        assert needle.octets in octets.lower()
        assert needle.text in text


def test_not_where_they_may_be_parts_of_others() -> None:
    for charset in (b"gb18030", b"euc-kr", b"shift_jis", b"iso-2022-jp", b"utf-7", b"utf-16", b"big5", b"hz-gb-2312"):
        assert not octetwise(plain(charset, b"x"))
