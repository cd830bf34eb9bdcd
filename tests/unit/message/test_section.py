import pytest

from poterne.message.scan import scan
from poterne.message.section import SectionKind, find_part, resolve

BODY, HEADER, TEXT, MIME = SectionKind.BODY, SectionKind.HEADER, SectionKind.TEXT, SectionKind.MIME


def mime(value: str) -> bytes:
    return b"Content-Type: " + value.encode() + b"\r\n\r\n"


COMPLEX = (
    b"Subject: 0\r\n" + mime("multipart/mixed; boundary=a")
    + b"--a\r\n\r\none\r\n--a\r\n" + mime("application/octet-stream") + b"two\r\n--a\r\n" + mime("message/rfc822")
    + b"Subject: 3\r\n" + mime("multipart/mixed; boundary=b") + b"--b\r\n\r\n3.1\r\n--b\r\n" + mime("application/octet-stream") + b"3.2\r\n--b--"
    + b"\r\n--a\r\n" + mime("multipart/mixed; boundary=c") + b"--c\r\n" + mime("image/gif") + b"4.1\r\n--c\r\n" + mime("message/rfc822")
    + b"Subject: 4.2\r\n" + mime("multipart/mixed; boundary=d") + b"--d\r\n\r\n4.2.1\r\n--d\r\n" + mime("multipart/alternative; boundary=e")
    + b"--e\r\n\r\n4.2.2.1\r\n--e\r\n" + mime("text/richtext") + b"4.2.2.2\r\n--e--\r\n--d--\r\n--c--\r\n--a--\r\n"
)  # fmt: skip
"""The example of RFC 9051 §6.4.5.1."""


def section(data: bytes, path: str, kind: SectionKind = BODY) -> bytes | None:
    span = resolve(scan(data).root, [int(number) for number in path.split(".") if number], kind)
    return None if span is None else data[span[0] : span[1]]


@pytest.mark.parametrize("path", ["3.1", "3.2", "4.1", "4.2.1", "4.2.2.1", "4.2.2.2"])
def test_leaves_of_the_example(path: str) -> None:
    assert section(COMPLEX, path) == path.encode()


def test_the_example() -> None:
    assert section(COMPLEX, "") == COMPLEX
    assert section(COMPLEX, "", HEADER) == b"Subject: 0\r\n" + mime("multipart/mixed; boundary=a")
    assert section(COMPLEX, "", TEXT) == COMPLEX[len(section(COMPLEX, "", HEADER) or b"") :]
    assert section(COMPLEX, "1") == b"one"
    assert section(COMPLEX, "3", HEADER) == b"Subject: 3\r\n" + mime("multipart/mixed; boundary=b")
    assert (
        section(COMPLEX, "3", TEXT) == b"--b\r\n\r\n3.1\r\n--b\r\n" + mime("application/octet-stream") + b"3.2\r\n--b--"
    )
    assert section(COMPLEX, "3") == (section(COMPLEX, "3", HEADER) or b"") + (section(COMPLEX, "3", TEXT) or b"")
    assert section(COMPLEX, "3", MIME) == mime("message/rfc822")
    assert section(COMPLEX, "4.1", MIME) == mime("image/gif")
    assert section(COMPLEX, "4.2", HEADER) == b"Subject: 4.2\r\n" + mime("multipart/mixed; boundary=d")
    assert (section(COMPLEX, "4") or b"").startswith(b"--c\r\n")


@pytest.mark.parametrize(
    ("path", "kind"),
    [("", MIME), ("5", BODY), ("0", BODY), ("-1", BODY), ("1.1", BODY), ("1", HEADER), ("1", TEXT), ("4", HEADER), ("3.3", BODY), ("4.2.2.2.1", BODY), ("4.2.2", TEXT)],
)  # fmt: skip
def test_sections_that_do_not_exist(path: str, kind: SectionKind) -> None:
    assert section(COMPLEX, path, kind) is None


def test_a_message_that_is_no_multipart_has_part_one() -> None:
    data = b"Subject: x\r\n\r\nbody"
    assert section(data, "1") == b"body"
    assert section(data, "1", MIME) == b"Subject: x\r\n\r\n"
    assert section(data, "", TEXT) == b"body"
    for path, kind in (("2", BODY), ("1.1", BODY), ("1", HEADER), ("1", TEXT)):
        assert section(data, path, kind) is None


def test_an_embedded_message_at_the_root() -> None:
    data = b"Subject: out\r\n" + mime("message/rfc822") + b"Subject: in\r\n\r\nbody"
    assert section(data, "1") == b"Subject: in\r\n\r\nbody"
    assert section(data, "1", HEADER) == b"Subject: in\r\n\r\n"
    assert section(data, "1", TEXT) == b"body"
    assert section(data, "1.1") == b"body"
    assert section(data, "1.1", MIME) == b"Subject: in\r\n\r\n"
    assert section(data, "1.1.1") is None
    assert section(data, "", TEXT) == section(data, "1")


def test_find_part() -> None:
    root = scan(COMPLEX).root
    found = find_part(root, (4, 1))
    assert found is not None
    assert found.subtype == b"gif"
    assert find_part(root, ()) is None
    assert find_part(root, (10**9,)) is None
