"""The POST of Outlook, and what others send in its place."""

import datetime as dt
import time
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.autoconfig import outlook
from poterne.proto.autoconfig.outlook import SCHEMA, Asked, Error, read
from poterne.proto.http.server import BODY_MOST

REQUEST = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"


def post(
    address: str = "anne@d.test", schema: str = SCHEMA, prolog: str = '<?xml version="1.0" encoding="utf-8"?>'
) -> bytes:
    return (
        f'{prolog}<Autodiscover xmlns="{REQUEST}"><Request><EMailAddress>{address}</EMailAddress>'
        f"<AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
    ).encode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (post(), Asked("anne@d.test", SCHEMA)),
        (post(prolog=""), Asked("anne@d.test", SCHEMA)),
        (b"\xef\xbb\xbf" + post(), Asked("anne@d.test", SCHEMA)),
        (post(" anne@d.test\r\n"), Asked("anne@d.test", SCHEMA)),
        (post("a&amp;b@d.test"), Asked("a&b@d.test", SCHEMA)),
        (post(prolog='<?xml version="1.0" encoding="windows-1252"?>'), Asked("anne@d.test", SCHEMA)),
        (b"<x:A xmlns:x='y'><x:EMailAddress>a@b</x:EMailAddress></x:A>", Asked("a@b", "")),
        (post(""), None),
        (b"", None),
        (b"<a/>", None),
        (b"hello", None),
        (post()[:-5], None),
        (post().replace(b"anne", b"ann\xe9"), None),
        (post("a" * 1025), None),
        (b"<a>" * 9 + b"<EMailAddress>a@b</EMailAddress>" + b"</a>" * 9, None),
        (post(prolog='<!DOCTYPE a [<!ENTITY x "anne">]>'), None),
        (post("&x;", prolog='<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'), None),
        (post(prolog='<!DOCTYPE a SYSTEM "http://127.0.0.1/x.dtd">'), None),
        (post("&x;"), None),
    ],
    ids=range(19),
)
def test_what_is_asked(body: bytes, expected: Asked | None) -> None:
    assert read(body) == expected


def test_the_largest_body_takes_no_time() -> None:
    for body in (
        b"<a>" * (BODY_MOST // 3),
        b"<a " + b"b='c' " * 1300 + b"/>",
        b"&" * BODY_MOST,
        b"<" + b"a" * (BODY_MOST - 1),
    ):
        before = time.process_time()
        assert read(body) is None
        assert time.process_time() - before < 0.1


_PIECES = st.sampled_from(
    [b"<EMailAddress>", b"</EMailAddress>", b"<a>", b"</a>", b"a@b", b"&amp;", b"&x;", b"<!DOCTYPE a>", b"<![CDATA[", b"]]>", b"<?xml?>", b"\0", b"\xff", b"<!--", b"-->"]
)  # fmt: skip


@given(st.lists(_PIECES | st.binary(max_size=9), max_size=30))
def test_whatever_comes(pieces: list[bytes]) -> None:
    asked = read(b"<r>" + b"".join(pieces) + b"</r>")
    assert asked is None or asked.address


@pytest.mark.parametrize("error", list(Error))
def test_refusal(error: Error) -> None:
    root = ET.fromstring(outlook.refusal(error, dt.datetime(2026, 11, 23, 1, 2, 3, tzinfo=dt.UTC)))
    space = {"e": "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"}
    assert root.findtext("e:Response/e:Error/e:ErrorCode", "", space) == str(error.value)
