"""Whatever the bytes: no exception, the same in any chunks, parts inside their parents, linear time; and what stdlib reads."""

import email
import email.message
import hashlib
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.message import header
from poterne.message.decode import part_text, searchable_header
from poterne.message.limits import Limits
from poterne.message.scan import Scanner, scan
from poterne.message.section import SectionKind, resolve
from poterne.values.mime import Part

FRAGMENTS = [
    b"\r\n", b"\r", b"\n", b"\0", b"--", b"a", b"b", b" ", b"\t", b"--a", b"--ab", b"\r\n--a\r\n", b"\r\n--a--\r\n", b"\r\n--ab\r\n", b"\r\n--ab--",
    b"Content-Type: multipart/mixed; boundary=a\r\n\r\n", b"Content-Type: multipart/alternative; boundary=ab\r\n\r\n",
    b'Content-Type: multipart/digest; boundary="a"\r\n\r\n', b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Transfer-Encoding: base64\r\n", b"Content-Type : text/html; charset=x\r\n", b"\xe9", b"=?utf-8?q?=C3=A9?=", b'From: A <a@b>, "c',
    b"Subject: x\r\n y\r\n", b"To: g: a@b, <@r:c@d>;\r\n", b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n", b"\r\n\r\n", b"x" * 70, b"y" * 1100, b":", b";", b"(",
    b"References: <a@b> <c@d>\r\n", b"Content-Disposition: attachment; a*0*=b''c; a*1=d\r\n",
]  # fmt: skip
TIGHT = Limits(
    depth=3, parts=5, header_bytes=90, all_headers_bytes=300, params=2, boundary_bytes=5, addresses=2, references=3
)

torn = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=8)), max_size=40).map(b"".join),
    st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(
        lambda x: b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"".join(x)
    ),
)


def in_range(part: Part, low: int, high: int) -> None:
    assert low <= part.header_start <= part.body_start <= part.body_end <= high
    assert part.lines >= 0
    at = part.body_start
    for child in part.children:
        in_range(child, at, part.body_end)
        at = child.body_end
    if part.message is not None:
        assert part.message.header_start == part.body_start
        assert part.message.body_end == part.body_end
        in_range(part.message, part.body_start, part.body_end)
        assert part.envelope is not None
    if part.type == b"multipart":
        assert part.children


@settings(max_examples=400, deadline=None)
@given(data=torn, cuts=st.lists(st.integers(1, 60), max_size=60), limits=st.sampled_from([Limits(), TIGHT]))
def test_any_bytes(data: bytes, cuts: list[int], limits: Limits) -> None:
    wanted = frozenset({b"subject", b"from"})
    found = scan(data, limits, wanted)
    in_range(found.root, 0, len(data))
    assert found.root.header_start == 0
    assert found.root.body_end == found.size == len(data)

    scanner = Scanner(limits, wanted)
    for at in range(len(data)):
        scanner.feed(data[at : at + 1])
    assert scanner.finish() == found

    scanner = Scanner(limits, wanted)
    at = 0
    for cut in cuts:
        scanner.feed(data[at : at + cut])
        at += cut
    scanner.feed(data[at:])
    assert scanner.finish() == found


@settings(max_examples=200, deadline=None)
@given(data=torn, names=st.frozensets(st.sampled_from([b"from", b"subject", b"to", b"content-type", b"x.y"])))
def test_header_index_and_selection_of_any_bytes(data: bytes, names: frozenset[bytes]) -> None:
    found = header.index(data)
    assert header.index(memoryview(data)) == found
    assert found.end == scan(data).root.body_start
    at = 0
    for one in found.fields:
        assert at <= one.name_start < one.value_start <= one.end <= found.end
        at = one.end
        searchable_header(found.unfolded(one))
    block = data[: found.end]
    chosen, rest = header.select(block, names), header.select_not(block, names)
    closing = 2 if block.endswith(b"\r\n\r\n") or block == b"\r\n" else 0
    if block.endswith(b"\r\n"):
        # What is chosen and what is not is all there is; no octet is lost, none comes twice.
        assert len(chosen) + len(rest) == len(block) + closing
    for one in found.fields:
        assert found.raw(one).removesuffix(b"\r\n") in (chosen if one.name in names else rest)
    for part in (scan(data).root,):
        part_text(data[part.body_start : part.body_end], part)
        for kind in SectionKind:
            span = resolve(part, (), kind)
            assert span is None or 0 <= span[0] <= span[1] <= len(data)


@dataclass(frozen=True)
class Made:
    """A well-formed entity: header without its empty line, body."""

    header: bytes
    body: bytes

    @property
    def octets(self) -> bytes:
        return self.header + b"\r\n" + self.body


lines = st.lists(st.binary(max_size=30).map(lambda x: x.translate(None, b"\r\n\0")), max_size=5).map(b"\r\n".join)
leaves = st.builds(
    lambda kind, body: Made(b"Content-Type: %s\r\n" % kind, body),
    st.sampled_from([b"text/plain; charset=utf-8", b"text/html", b'application/pdf; name="a b"', b"IMAGE/png"]),
    lines,
)  # fmt: skip


def _multipart(children: list[Made], *, preamble: bool) -> Made:
    inside = b"".join(child.octets for child in children)
    boundary = b"=_" + hashlib.sha256(inside).hexdigest().encode()  # no line inside begins with it
    body = b"ignored\r\n" if preamble else b""
    for child in children:
        body += b"--" + boundary + b"\r\n" + child.octets + b"\r\n"
    body += b"--" + boundary + b"--\r\n"
    return Made(b'Content-Type: multipart/mixed;\r\n boundary="%s"\r\n' % boundary, body)


entities = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(_multipart, st.lists(inner, min_size=1, max_size=4), preamble=st.booleans()),
        inner.map(lambda made: Made(b"Content-Type: message/rfc822\r\n", b"Subject: in\r\n" + made.octets)),
    ),
    max_leaves=8,
)


def same_as_stdlib(data: bytes, part: Part, theirs: "email.message.Message[str, str]") -> None:
    assert theirs.get_content_type().encode() == part.type + b"/" + part.subtype
    payload: object = theirs.get_payload()
    if part.message is not None:
        assert isinstance(payload, list)
        inner = payload[0]
        assert isinstance(inner, email.message.Message)
        same_as_stdlib(data, part.message, inner)
        assert part.envelope is not None
        assert part.envelope.subject == b"in"
    elif part.children:
        assert isinstance(payload, list)
        assert len(payload) == len(part.children)
        for child, their_child in zip(part.children, payload, strict=True):
            same_as_stdlib(data, child, their_child)
    else:
        assert theirs.get_payload(decode=True) == data[part.body_start : part.body_end]


@settings(max_examples=150, deadline=None)
@given(made=entities)
def test_well_formed_messages_read_as_stdlib_reads_them(made: Made) -> None:
    data = b"Subject: x\r\n" + made.octets
    same_as_stdlib(data, scan(data).root, email.message_from_bytes(data))


M = b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
HOSTILE = {
    "boundaries": M + b"--a\r\n" * 100_000,
    "nested": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(100_000)),
    "nested, same": (M + b"--a\r\n") * 100_000,
    "messages": b"Content-Type: message/rfc822\r\n\r\n" * 100_000,
    "false delimiters": M + b"--a\r\n\r\n" + b"\r\n--b" * 400_000,
    "false delimiters, nested": M + b"--a\r\nContent-Type: multipart/mixed; boundary=q\r\n\r\n" + b"\r\n--b" * 400_000,
    "CRLF": M + b"\r\n" * 1_000_000,
    "almost": M + b"\r\n-" * 700_000,
    "long candidates": M + (b"\r\n--a" + b" " * 990) * 2000,
    "no blank lines": M + b"--a\r\nX: y\r\n" * 50_000,
    "endless header": b"X: y\r\n" * 400_000,
    "one field": b"X: " + b"y" * 2_000_000,
    "parameters": b"Content-Type: text/plain" + b"".join(b"; a*%d=x" % n for n in range(10_000)) + b"\r\n\r\n",
    "parameter pieces": b"Content-Disposition: x" + b"; a*0*=%%" * 20_000 + b"\r\n\r\n",
    **{
        f"{name!r} {chunk!r}": name + chunk * (250_000 // len(chunk)) + b"\r\n\r\n"
        for name in (b"To: ", b"Content-Type: a/b;", b"Content-Type: a/b; c=", b"References: ", b"Date: ")
        for chunk in (b"(", b'"', b"<", b",", b"\\", b";", b":", b"@", b"[", b" ", b".", b"<@", b"<@,", b"()", b'"a" ', b"a:", b"=;", b"*0=")
    },
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_input_takes_linear_time(name: str) -> None:
    """Quadratic work on these takes minutes; a few hundred nanoseconds an octet are allowed, for slow machines."""
    data = HOSTILE[name]
    begun = time.process_time()
    found = scan(data)
    whole = time.process_time()
    scanner = Scanner()
    for at in range(0, len(data), 16384):
        scanner.feed(data[at : at + 16384])
    assert scanner.finish() == found
    fed = time.process_time()
    header.index(data[:300_000])
    searchable_header(data[:300_000])
    indexed = time.process_time()
    allowed = 0.3 + len(data) * 1e-6
    assert whole - begun < allowed
    assert fed - whole < allowed
    assert indexed - fed < 2 * allowed
