"""HTTPS is open to everybody: what one connection costs, and what of its words stands in our answers."""

import plistlib
import time
from collections.abc import Container
from html.parser import HTMLParser
from urllib.parse import quote
from xml.parsers import expat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.proto.autoconfig.offer import offer
from poterne.proto.core import Signal
from poterne.proto.http.messages import Malformed, Request, Response
from poterne.proto.http.server import HEAD_MOST, Server
from poterne.session.https.clients import ClientSite, ClientTerms


def one_by_one(data: bytes) -> "Request | Malformed | Signal":
    server = Server()
    for at in range(len(data)):
        server.receive(data[at : at + 1])
        event = server.next_event()
        if event is not Signal.NEED_DATA:
            return event
    return Signal.NEED_DATA


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nX: ", b"GET /", b"\r"])
def test_single_octets_are_read_once(data: bytes) -> None:
    began = time.process_time()
    one_by_one(data.ljust(HEAD_MOST - 10, b"a"))
    assert time.process_time() - began < 0.25


@given(
    st.lists(
        st.sampled_from([b"GET / HTTP/1.1", b"Host: h", b"\r\n", b"\r", b"\n", b"a", b": ", b"\r\n\r\n"]), max_size=12
    )
)
def test_single_octets_mean_what_they_mean_together(parts: list[bytes]) -> None:
    data = b"".join(parts)
    server = Server()
    server.receive(data)
    whole, single = server.next_event(), one_by_one(data)
    if isinstance(whole, Request):
        assert single == whole
    else:  # which of two faults is met first may differ, and a bare LF is seen before the end
        assert isinstance(single, Malformed) == isinstance(whole, Malformed)


async def _ours() -> Container[str]:
    return frozenset(("d.test",))


OFFER = offer("mail.d.test", {"imaps": 993, "submissions": 465}, 443)
SITE = ClientSite(_ours, ClientTerms(OFFER, frozenset(("mail.d.test",)), "en", lambda text: text, lambda: 0.0))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


LOCALS = st.one_of(
    st.sampled_from(['"><script>alert(1)</script>', "'onx='", "{address.__class__}", "&lt;", "]]>", "<!--", "</style>", "%0d%0aX: y"]),
    st.text(max_size=20),
    st.text(st.characters(max_codepoint=0x2FF), max_size=20),
)  # fmt: skip


@given(LOCALS, st.booleans())
async def test_what_a_stranger_writes_is_text_everywhere(local: str, quoted: bool) -> None:
    inside = local.replace("\\", "\\\\").replace('"', '\\"')
    address = f'"{inside}"@d.test' if quoted else f"{local}@d.test"
    query = "?emailaddress=" + quote(address.encode("utf-8", "surrogatepass"))
    plain = await SITE.answer(Request("GET", "mail.d.test", "/?emailaddress=a%40d.test"))
    page = await SITE.answer(Request("GET", "mail.d.test", "/" + query))
    assert plain is not None
    assert page is not None
    if page.status == 200:
        shapes = []
        for one in (plain, page):
            parser = _Page()
            parser.feed(one.body.decode())
            shapes.append([(tag, sorted(set(attributes) - {"href"})) for tag, attributes in parser.tags])
            for tag, attributes in parser.tags:
                if tag == "a":
                    assert (attributes["href"] or "").startswith("/apple/mail.mobileconfig?emailaddress=")
        assert shapes[0] == shapes[1]
    profile = await SITE.answer(Request("GET", "mail.d.test", "/apple/mail.mobileconfig" + query))
    assert (profile is not None) == (page.status == 200)
    if profile is not None:
        assert plistlib.loads(profile.body)["PayloadContent"][0]["EmailAccountType"] == "EmailTypeIMAP"
    for found in (page, profile, await SITE.answer(Request("GET", "d.test", "/autodiscover/autodiscover.xml" + query))):
        _sendable(found)
        if found is not None and found.content_type == "text/xml":
            expat.ParserCreate().Parse(found.body, True)


def _sendable(response: Response | None) -> None:
    """One head, whatever is in it."""
    if response is not None:
        server = Server()
        server.send(response)
        head = b"".join(server.output()).partition(b"\r\n\r\n")[0]
        names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
        assert len(names) == len(set(names))
        assert set(names) <= {
            b"content-type", b"content-length", b"cache-control", b"x-content-type-options", b"connection", b"vary",
            b"content-security-policy", b"content-language", b"content-disposition",
        }  # fmt: skip
