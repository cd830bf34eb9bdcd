"""Canonical forms against a plain reading of RFC 6376 §3.4, for any division into chunks."""

import base64
import hashlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.mailauth.dkim.canonical import BodyHashes, Canonical, field, relaxed_value
from poterne.message.header import index
from tests.unit.mailauth.dkim.signed import canonical_body, canonical_field

PIECES = [b"a", b"bc", b" ", b"  ", b"\t", b"\r\n", b"\r\n\r\n", b" \r\n", b"\t \r\n", b"\r", b"\n", b"\x00", b"\xe9"]
bodies = st.lists(st.sampled_from(PIECES), max_size=30).map(b"".join)


def hashes(body: bytes, chunks: list[bytes], wanted: list[tuple[Canonical, int | None]]) -> list[bytes]:
    assert b"".join(chunks) == body
    made = BodyHashes(wanted)
    for chunk in chunks:
        made.feed(chunk)
    made.finish()
    for form in {form for form, _ in wanted}:
        assert made.length(form) == len(canonical_body(body, form.value))
    return [made.digest(form, limit) for form, limit in wanted]


def expected(body: bytes, form: Canonical, limit: int | None = None) -> bytes:
    return hashlib.sha256(canonical_body(body, form.value)[:limit]).digest()


@pytest.mark.parametrize(
    ("body", "form", "text"),
    [
        (b"", Canonical.SIMPLE, "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="),
        (b"", Canonical.RELAXED, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
        (b"\r\n\r\n", Canonical.SIMPLE, "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="),
        (b"\r\n\r\n", Canonical.RELAXED, "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="),
    ],
)
def test_empty_bodies_have_the_hashes_of_the_rfc(body: bytes, form: Canonical, text: str) -> None:
    assert base64.b64encode(hashes(body, [body], [(form, None)])[0]).decode() == text


@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n", b" C\r\nD E\r\n"),  # RFC 6376 §3.4.5
        (b"no end", b"no end\r\n", b"no end\r\n"),
        (b"white end \t", b"white end \t\r\n", b"white end\r\n"),
        (b" \t", b" \t\r\n", b""),
        (b" \r\n\t\r\n", b" \r\n\t\r\n", b""),
        (b"\r\n\r\na", b"\r\n\r\na\r\n", b"\r\n\r\na\r\n"),
        (b"a\r\n \r\n", b"a\r\n \r\n", b"a\r\n"),
        (b"a \r b\r\n", b"a \r b\r\n", b"a \r b\r\n"),
        (b"a\r", b"a\r\r\n", b"a\r\r\n"),
        (b"a\n\r\n\r\n", b"a\n\r\n", b"a\n\r\n"),
    ],
)
def test_forms_of_bodies(body: bytes, simple: bytes, relaxed: bytes) -> None:
    for chunks in ([body], [body[at : at + 1] for at in range(len(body))]):
        made = hashes(body, chunks, [(Canonical.SIMPLE, None), (Canonical.RELAXED, None)])
        assert made == [hashlib.sha256(simple).digest(), hashlib.sha256(relaxed).digest()]


@given(bodies, st.data())
def test_any_division_into_chunks_gives_what_the_rfc_says(body: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    chunks = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    limit = data.draw(st.integers(0, len(body) + 4))
    wanted = [(form, most) for form in Canonical for most in (None, 0, limit)]
    assert hashes(body, chunks, wanted) == [expected(body, form, most) for form, most in wanted]


@settings(max_examples=40, deadline=None)
@given(bodies, st.integers(0, 40), st.sampled_from([b" ", b"ab cd " * 12 + b"\r\n", b"x", b"xy \t" * 20 + b"\r\n\r\n"]))
def test_blocks_of_a_large_chunk_are_no_lines(body: bytes, shift: int, filler: bytes) -> None:
    # Around the ends of the blocks that one large chunk is divided into.
    large = filler * ((2 * 65536 + 65530) // len(filler)) + b"y" * shift + body
    wanted: list[tuple[Canonical, int | None]] = [(form, None) for form in Canonical]
    assert hashes(large, [large], wanted) == [expected(large, form) for form, _ in wanted]


@pytest.mark.parametrize("unit", [b" ", b"\t", b"a  ", b" \r\n", b"\r\n", b"\r", b"a\r\n\r\n", b"x \t  y    z"])
def test_white_space_costs_no_more_than_time_in_proportion(unit: bytes) -> None:
    body = unit * (1_000_000 // len(unit))
    begun = time.process_time()
    made = BodyHashes([(Canonical.RELAXED, None), (Canonical.SIMPLE, None)])
    made.feed(body)
    made.finish()
    assert time.process_time() - begun < 0.5  # 2 to 10 ms
    assert made.digest(Canonical.RELAXED) == expected(body, Canonical.RELAXED)


def test_many_empty_lines_are_not_kept() -> None:
    made = BodyHashes([(Canonical.SIMPLE, None)])
    made.feed(b"a")
    for _ in range(64):
        made.feed(b"\r\n" * 32768)
    made.feed(b"b\r\n")
    made.finish()
    assert made.length(Canonical.SIMPLE) == 2 + 64 * 65536 + 2


names = st.sampled_from([b"Subject", b"X-a", b"FROM"])
values = st.lists(
    st.sampled_from([b"a", b"B", b" ", b"\t", b"\r\n ", b"\r\n\t", b":", b"\x0b", b"\x0c", b"\xa0"]), max_size=12
)


@given(names, values.map(b"".join))
def test_fields(name: bytes, value: bytes) -> None:
    raw = name + b":" + value + b"\r\n"
    header = index(raw + b"\r\n")
    if len(header.fields) != 1:
        return
    for form in Canonical:
        assert field(header, header.fields[0], form) == canonical_field(raw, form.value)


def test_fields_of_the_rfc() -> None:
    header = index(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n")  # RFC 6376 §3.4.5
    assert [field(header, one, Canonical.RELAXED) for one in header.fields] == [b"a:X\r\n", b"b:Y Z\r\n"]
    assert field(header, header.fields[1], Canonical.SIMPLE) == b"B : Y\t\r\n\tZ  \r\n"
    assert relaxed_value(b"") == b""
