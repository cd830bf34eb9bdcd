"""What is rendered is read back by an independent reader, whatever the message put in."""

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.proto.imap import render
from poterne.proto.imap.strings import astring, nstring, string
from poterne.values.mime import Disposition, Envelope, MailAddress, Part
from tests.support.imap_reader import Atom, read_value

JEAN = MailAddress(b"Jean Dupont", None, b"jean", b"example.com")


def text_part(**fields: Any) -> Part:
    given_fields: dict[str, Any] = {"params": ((b"charset", b"utf-8"),), "encoding": b"quoted-printable"} | fields
    return Part(b"text", b"plain", 0, 10, 110, 4, **given_fields)


def test_envelope() -> None:
    value = Envelope(
        date=b"Wed, 17 Jul 1996 02:23:25 -0700",
        subject=b'He said "\\o/"',
        from_=(JEAN,),
        sender=(JEAN,),
        reply_to=(MailAddress(None, None, b"list", b"example.com"),),
        to=(
            MailAddress(None, None, b"A Group", None),
            MailAddress(b"Ed", b"@relay", b"ed", b"example.org"),
            MailAddress(None, None, None, None),
        ),
        message_id=b"<1@example.com>",
    )
    assert render.envelope(value) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700" "He said \\"\\\\o/\\"" '
        b'(("Jean Dupont" NIL "jean" "example.com")) (("Jean Dupont" NIL "jean" "example.com")) '
        b'((NIL NIL "list" "example.com")) '
        b'((NIL NIL "A Group" NIL)("Ed" "@relay" "ed" "example.org")(NIL NIL NIL NIL)) '
        b'NIL NIL NIL "<1@example.com>")'
    )


def test_empty_envelope() -> None:
    assert render.envelope(Envelope()) == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def test_text_part() -> None:
    head = b'("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 100 4'
    assert render.body(text_part()) == head + b")"
    assert render.body_structure(text_part()) == head + b" NIL NIL NIL NIL)"


def test_every_field() -> None:
    part = text_part(
        content_id=b"<1>",
        description=b"d",
        md5=b"Q2hlY2s=",
        disposition=Disposition(b"attachment", ((b"filename", b"a.txt"), (b"size", b"3"))),
        language=(b"fr", b"en"),
        location=b"http://x/",
    )
    assert render.body_structure(part) == (
        b'("text" "plain" ("charset" "utf-8") "<1>" "d" "quoted-printable" 100 4 "Q2hlY2s=" '
        b'("attachment" ("filename" "a.txt" "size" "3")) ("fr" "en") "http://x/")'
    )
    assert render.body(part) == b'("text" "plain" ("charset" "utf-8") "<1>" "d" "quoted-printable" 100 4)'


def test_multipart() -> None:
    image = Part(b"image", b"png", 0, 0, 7, 1, encoding=b"base64", disposition=Disposition(b"inline"))
    root = Part(b"multipart", b"mixed", 0, 0, 300, 0, params=((b"boundary", b"b"),), children=(text_part(), image))
    assert render.body(root) == render_parts(root, render.body) + b' "mixed")'
    assert render.body_structure(root) == render_parts(root, render.body_structure) + (
        b' "mixed" ("boundary" "b") NIL NIL NIL)'
    )
    assert render.body_structure(image) == b'("image" "png" NIL NIL NIL "base64" 7 NIL ("inline" NIL) NIL NIL)'


def render_parts(root: Part, one: Any) -> bytes:
    return b"(" + b"".join(map(one, root.children))


def test_forwarded_message() -> None:
    root = Part(b"message", b"rfc822", 0, 0, 200, 9, message=text_part(), envelope=Envelope(subject=b"inner"))
    assert render.body_structure(root) == (
        b'("message" "rfc822" NIL NIL NIL "7bit" 200 '
        b'(NIL "inner" NIL NIL NIL NIL NIL NIL NIL NIL) ' + render.body_structure(text_part()) + b" 9 NIL NIL NIL NIL)"
    )


def test_structure_cut_short_by_a_budget() -> None:
    """The grammar has no multipart without parts, no message/rfc822 without envelope."""
    empty = Part(b"multipart", b"mixed", 0, 0, 5, 0)
    assert read_value(render.body(empty)) == [[b"text", b"plain", None, None, None, b"7bit", 0, 0], b"mixed"]
    opaque = Part(b"message", b"rfc822", 0, 0, 5, 1)
    assert read_value(render.body(opaque)) == [b"application", b"octet-stream", None, None, None, b"7bit", 5]
    status = Part(b"message", b"delivery-status", 0, 0, 5, 1)
    assert read_value(render.body(status))[:2] == [b"message", b"delivery-status"]


def test_depth_without_end() -> None:
    part = text_part()
    for level in range(5_000):
        if level % 2:
            part = Part(b"multipart", b"mixed", 0, 0, 5, 0, children=(part,))
        else:
            part = Part(b"message", b"rfc822", 0, 0, 5, 1, message=part, envelope=Envelope())
    text = render.body_structure(part)
    assert text.count(b'"octet-stream"') == 1
    read_value(text)


nasty = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=10).map(lambda text: text.encode("utf-8", "replace")),
    st.sampled_from([b"", b'"', b"\\", b"\r\n", b"a\rb", b"\0", b"NIL", b"{5}\r\n", b"{5+}", b")", b"plain"]),
    st.integers(999, 3000).map(lambda size: b'"' * size),
)
maybe = st.none() | nasty
addresses = st.lists(st.builds(MailAddress, maybe, maybe, maybe, maybe), max_size=3).map(tuple)
envelopes = st.builds(
    Envelope, maybe, maybe, addresses, addresses, addresses, addresses, addresses, addresses, maybe, maybe
)
params = st.lists(st.tuples(nasty, nasty), max_size=3).map(tuple)
dispositions = st.none() | st.builds(Disposition, nasty, params)
types = st.sampled_from([b"text", b"image", b"multipart", b"message", b""]) | nasty
subtypes = st.sampled_from([b"plain", b"rfc822", b"global", b"mixed"]) | nasty


def part_of(inner: st.SearchStrategy[Part] | None) -> st.SearchStrategy[Part]:
    return st.builds(
        Part,
        types,
        subtypes,
        st.just(0),
        st.integers(0, 10),
        st.integers(10, 2**31),
        st.integers(0, 1000),
        params,
        maybe,
        maybe,
        nasty,
        maybe,
        dispositions,
        st.lists(nasty, max_size=2).map(tuple),
        maybe,
        st.just(()) if inner is None else st.lists(inner, max_size=3).map(tuple),
        st.none() if inner is None else st.none() | inner,
        st.none() | envelopes,
    )


parts = st.recursive(part_of(None), part_of, max_leaves=6)


def seen(value: bytes | None) -> bytes | None:
    """What a client gets for these octets."""
    return None if value is None else value.replace(b"\0", b"?")


def plain_params(given_params: tuple[tuple[bytes, bytes], ...]) -> list[bytes | None] | None:
    return [seen(text) for pair in given_params for text in pair] or None


def envelope_value(value: Envelope) -> list[Any]:
    def listed(values: tuple[MailAddress, ...]) -> list[Any] | None:
        return [[seen(a.name), seen(a.adl), seen(a.mailbox), seen(a.host)] for a in values] or None

    return [
        seen(value.date),
        seen(value.subject),
        listed(value.from_),
        listed(value.sender),
        listed(value.reply_to),
        listed(value.to),
        listed(value.cc),
        listed(value.bcc),
        seen(value.in_reply_to),
        seen(value.message_id),
    ]


@given(envelopes)
def test_hostile_envelope_is_read_back(value: Envelope) -> None:
    assert read_value(render.envelope(value)) == envelope_value(value)


def check_structure(part: Part, got: list[Any], extended: bool) -> None:
    if part.type == b"multipart":
        bodies = [item for item in got if isinstance(item, list)][: max(1, len(part.children))]
        rest = got[len(bodies) :]
        for child, body in zip(part.children, bodies, strict=False):
            check_structure(child, body, extended)
        assert rest[0] == seen(part.subtype)
        assert len(rest) == (5 if extended else 1)
        if extended:
            assert rest[1] == plain_params(part.params)
        return
    fields = [
        plain_params(part.params),
        seen(part.content_id),
        seen(part.description),
        seen(part.encoding),
        part.size,
    ]
    assert got[2:7] == fields
    rest = got[7:]
    if got[0] == b"text":
        assert rest.pop(0) == part.lines
    elif got[0] == b"message" and got[1] in {b"rfc822", b"global"}:
        assert part.message is not None
        assert rest.pop(0) == envelope_value(part.envelope or Envelope())
        check_structure(part.message, rest.pop(0), extended)
        assert rest.pop(0) == part.lines
    if not extended:
        assert rest == []
        return
    disposition = part.disposition and [seen(part.disposition.kind), plain_params(part.disposition.params)]
    assert rest == [seen(part.md5), disposition, [seen(tag) for tag in part.language] or None, seen(part.location)]


@settings(max_examples=80, deadline=None)
@given(parts)
def test_hostile_structure_is_read_back(part: Part) -> None:
    check_structure(part, read_value(render.body_structure(part)), True)
    check_structure(part, read_value(render.body(part)), False)


@given(nasty)
def test_strings(value: bytes) -> None:
    assert read_value(string(value)) == seen(value)
    assert read_value(nstring(value)) == seen(value)
    read = read_value(astring(value))
    assert (b"%d" % read if isinstance(read, int) else read) == seen(value) or value.isdigit()


def test_strings_chosen() -> None:
    assert string(b"a b") == b'"a b"'
    assert string(b'a"\\') == b'"a\\"\\\\"'
    assert string(b"\xc3\xa9") == b"{2}\r\n\xc3\xa9"
    assert string(b"a\r\nb") == b"{4}\r\na\r\nb"
    assert string(b"a\0") == b"{2}\r\na?"
    assert nstring(None) == b"NIL"
    assert astring(b"INBOX") == b"INBOX"
    assert astring(b"nil") == b'"nil"'
    assert astring(b"") == b'""'
    assert isinstance(read_value(astring(b"a/b")), Atom)


def test_cost() -> None:
    """ENVELOPE and BODYSTRUCTURE are made for each message that comes in: some microseconds, far from the limit here."""
    envelope = Envelope(b"d", b"s", (JEAN,), (JEAN,), (JEAN,), (JEAN,), (), (), None, b"<1@x>")
    part = text_part()
    best = 1.0
    for _ in range(5):
        start = time.process_time()
        for _ in range(200):
            render.envelope(envelope)
            render.body_structure(part)
        best = min(best, time.process_time() - start)
    assert best / 200 < 50e-6


@pytest.mark.parametrize("text", [b'"' * 5000, b"\\" * 5000, b"\r" * 5000])
def test_long_strings(text: bytes) -> None:
    assert read_value(string(text)) == text
