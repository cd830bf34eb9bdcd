import time

import pytest

from poterne.session.imap.preview import MAX_CHARS, preview
from poterne.store.interface import Blobs
from poterne.values.ids import BlobId
from poterne.values.mime import Part


class Held:
    def __init__(self, octets: bytes) -> None:
        self.octets = octets

    def read(self, _blob: BlobId, start: int = 0, end: int | None = None) -> bytes:
        return self.octets[start:end]


def shown(body: bytes, subtype: bytes = b"html", charset: bytes = b"utf-8") -> str:
    part = Part(b"text", subtype, 0, 0, len(body), 1, ((b"charset", charset),))
    blobs: Blobs = Held(body)  # type: ignore[assignment]
    return preview(blobs, BlobId(0, 0, len(body)), part).decode()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"<p>a</p><p>b</p>", "a b"),
        (b"a<style>x</style >b<STYLE type=x>y</STYLE>c", "a b c"),
        (b"a<!-- <b> -- > -->b", "a -->b"),
        (b"a<head><title>t</title></head>b", "a b"),
        (b"a<header>b</header>", "a b"),
        (b"a<script>never ends", "a"),
        (b"a<style>x</style", "a"),
        (b"&lt;b&gt; &nbsp; &#x200b;&eacute;", "<b> é"),
        (b"", ""),
    ],
)
def test_html(body: bytes, text: str) -> None:
    assert shown(body) == text


def test_plain() -> None:
    assert shown(b"> only\r\n> quoted\r\n", b"plain") == "> only > quoted"
    assert shown(b"On Monday\r\n> quoted\r\nyes\0\x1b[31m\r\n", b"plain") == "On Monday yes [31m"
    assert shown(b"\xe9" * 300, b"plain", b"iso-8859-1") == "é" * MAX_CHARS
    assert shown(b"\xff\xfe", b"plain", b"no-such-charset") != ""


@pytest.mark.parametrize("piece", [b"<", b"<style>", b"<!--", b"<head", b"&#", b"&", b"<a ", b"<style></style", b"--"])
def test_hostile_html_takes_linear_time(piece: bytes) -> None:
    began = time.process_time()
    shown(piece * (60_000 // len(piece)))
    assert time.process_time() - began < 0.5
