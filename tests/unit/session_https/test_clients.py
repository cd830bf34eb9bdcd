"""Whatever is asked of the site of mail programs: an answer or none, the same for every address of a domain, and nothing made up."""

from collections.abc import Container, Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.autoconfig.offer import offer
from poterne.proto.http.messages import REASONS, Request, Response
from poterne.session.https.clients import ClientSite, ClientTerms

OFFER = offer("mail.d.test", {"imaps": 993, "submissions": 465}, 443)
OURS = frozenset(("d.test", "xn--bcher-kva.test"))
HOSTS = [
    "d.test",
    "mail.d.test",
    "autoconfig.d.test",
    "autodiscover.d.test",
    "autoconfig.mail.d.test",
    "x.test",
    "",
    "autoconfig.",
]
PATHS = ["/", "/mail/config-v1.1.xml", "/.well-known/autoconfig/mail/config-v1.1.xml", "/Autodiscover/Autodiscover.xml", "/apple/mail.mobileconfig", "/x"]  # fmt: skip


async def ours() -> Container[str]:
    return OURS


SITE = ClientSite(
    ours, ClientTerms(OFFER, frozenset(("mail.d.test",)), "en", lambda text: b"signed " + text, lambda: 0.0)
)


def stepped(work: Coroutine[Any, Any, Response | None]) -> Response | None:
    """It waits for nothing here."""
    try:
        work.send(None)
    except StopIteration as end:
        found: Response | None = end.value
        return found
    raise AssertionError("it waits")


def ask(host: str, path: str, method: str = "GET", body: bytes = b"", languages: str = "") -> Response | None:
    return stepped(SITE.answer(Request(method, host, path, body, languages)))


_TEXT = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=30)
_QUERIES = st.one_of(
    st.just(""),
    _TEXT.map("?".__add__),
    _TEXT.map("?emailaddress=".__add__),
    st.sampled_from(["?emailaddress=a@d.test", "?emailaddress=%22%3E%3Cscript%3E@d.test", "?email=a%00b@d.test", "?emailaddress=a@b%C3%BCcher.test"]),
)  # fmt: skip
_BODIES = st.sampled_from(
    [
        b"",
        b"<",
        b"<a><EMailAddress>a@d.test</EMailAddress></a>",
        b"<a><EMailAddress>&lt;x&gt;@d.test</EMailAddress></a>",
    ]
)


@settings(max_examples=300)
@given(
    st.sampled_from(HOSTS),
    st.sampled_from(PATHS),
    _QUERIES,
    st.sampled_from(["GET", "HEAD", "POST", "X"]),
    _BODIES,
    _TEXT,
)
def test_whatever_is_asked(host: str, path: str, query: str, method: str, body: bytes, languages: str) -> None:
    found = ask(host, path + query, method, body, languages)
    if host in {"x.test", "", "autoconfig."}:
        assert found is None
    if found is None:
        return
    assert found.status in REASONS
    for name, value in found.fields:
        assert (name + value).isascii()
        assert (name + value).isprintable()
    assert b"<script" not in found.body


@given(st.sampled_from(HOSTS), st.sampled_from(PATHS), st.sampled_from(["a", "postmaster", "alice", "no-such-person"]))
def test_who_is_asked_for_makes_no_difference(host: str, path: str, name: str) -> None:
    """Nothing but the domains is known here, so that nothing can be told."""
    one, other = (ask(host, f"{path}?emailaddress={who}@d.test") for who in (name, "somebody"))
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert (one.status, one.fields, one.content_type) == (other.status, other.fields, other.content_type)


def test_a_domain_is_found_however_it_is_written() -> None:
    for written in ("a@B%C3%BCcher.test", "a@xn--bcher-kva.test", "a@XN--BCHER-KVA.TEST"):
        found = ask("mail.d.test", f"/mail/config-v1.1.xml?emailaddress={written}")
        assert found is not None
        assert b"<domain>xn--bcher-kva.test</domain>" in found.body
    page = ask("mail.d.test", "/?emailaddress=%C3%A9@d.test")
    assert page is not None
    assert "é@d.test" in page.body.decode()
