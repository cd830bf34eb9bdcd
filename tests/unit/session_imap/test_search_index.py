"""What the index is made of, against what SEARCH compares: no message that matches may be missing from the candidates."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poterne.message.decode import fold, header_text, part_text
from poterne.message.header import index
from poterne.session.imap import envelope, texts
from poterne.session.imap.search_index import MOST_BYTES, read_words
from poterne.session.ingest import Ingest
from poterne.store.interface import Blobs
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.store.sqlite.search_grams import ANY, Gathering, Where, packed, positions, unpacked, wanted
from poterne.values.ids import ThreadId, Uid
from poterne.values.mailbox import ContentRow
from poterne.values.mime import Part
from poterne.values.search import Words
from tests.support import odd_mail

Run = asyncio.Runner


@pytest.fixture(scope="module")
def runner() -> Iterator[Run]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def store(runner: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    store = open_store(tmp_path_factory.mktemp("words") / "data")
    yield store
    runner.run(store.close())


async def stored(blobs: Blobs, octets: bytes) -> ContentRow:
    ingest = Ingest(blobs)
    for at in range(0, len(octets), 65_536):
        ingest.feed(octets[at : at + 65_536])
        await ingest.drain()
    new = (await ingest.finish()).content
    return ContentRow(
        Uid(1), new.envelope, new.structure, new.parsed, new.blob, new.header_size, new.sent_at, ThreadId(1), 0
    )


def grams_of(blobs: Blobs, row: ContentRow) -> dict[int, int]:
    words = Words()
    for _ in read_words(blobs, row, words):
        pass
    gathering = Gathering()
    for _ in gathering.add(0, words):
        pass
    return {gram: unpacked(packed) for rows in gathering.rows() for gram, packed in rows}


def candidate(grams: dict[int, int], text: str, *where: Where) -> bool:
    octets = texts.Needle(text).octets
    return ANY in grams or any(all(gram in grams for gram in wanted(octets, its)) for its in where)


def haystacks(blobs: Blobs, row: ContentRow, octets: bytes) -> list[str]:
    """Texts to cut strings from that are likely to be found."""
    found = [octets.decode("utf-8", "replace")]
    stack = [msgspec.msgpack.decode(row.parsed, type=Part)]
    while stack:
        part = stack.pop()
        stack += [*part.children, *filter(None, [part.message])]
        if part.type == b"text":
            found.append(part_text(octets[part.body_start : part.body_end], part))
        header = index(octets[part.header_start : part.body_start])
        found += [header_text(header.unfolded(field)) for field in header.fields]
    for name in envelope.FIELDS:
        found += [header_text(value) for value in envelope.texts(row.envelope, name)]
    return [text for text in found if text]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(octets=odd_mail.messages(), data=st.data())
def test_what_matches_is_a_candidate(runner: Run, store: SqliteStore, octets: bytes, data: st.DataObject) -> None:
    blobs = store.blobs
    row = runner.run(stored(blobs, octets))
    grams = grams_of(blobs, row)
    likely = haystacks(blobs, row, octets)
    for _ in range(12):
        text = data.draw(st.sampled_from(likely))
        start = data.draw(st.integers(0, len(text) - 1))
        string = text[start : start + data.draw(st.integers(1, 12))]
        needle = texts.Needle(string)
        if not needle.text:
            continue
        if any(texts.in_message(blobs, row, needle, header=False)):
            assert candidate(grams, string, Where.BODY)
        if any(texts.in_message(blobs, row, needle, header=True)):
            assert candidate(grams, string, Where.HEADER, Where.BODY)
        for name in envelope.FIELDS:
            if texts.in_envelope(row, name, needle):
                assert candidate(grams, string, Where.HEADER)
        for name in ("x-odd", "subject", "bcc", "content-type"):
            if texts.in_header(blobs, row, name, needle):
                assert candidate(grams, string, Where.HEADER)


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("Hello", (Where.HEADER,), True),
        ("hello", (Where.BODY,), False),
        ("déjà vu", (Where.BODY,), True),
        ("deja", (Where.BODY,), False),
        ("STRASSE", (Where.BODY,), True),
        ("quiet words", (Where.BODY,), True),
        ("secret", (Where.BODY,), False),
        ("innermost subject", (Where.BODY,), True),
        ("innermost subject", (Where.HEADER,), False),
    ],
)
def test_what_is_where(runner: Run, store: SqliteStore, text: str, where: tuple[Where, ...], found: bool) -> None:
    octets = (
        b'Subject: Hello\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n'
        b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nd\xe9j\xe0 vu, Stra\xdfe\r\n--b\r\n"
        b"Content-Type: text/csv; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=a.csv\r\n\r\n//5xAHUAaQBlAHQAIAB3AG8AcgBkAHMA\r\n--b\r\n"
        b"Content-Type: application/pdf\r\n\r\nsecret\r\n--b\r\n"
        b"Content-Type: message/rfc822\r\n\r\nSubject: innermost subject\r\n\r\nx\r\n--b--\r\n"
    )
    row = runner.run(stored(store.blobs, octets))
    assert candidate(grams_of(store.blobs, row), text, *where) is found


@pytest.mark.parametrize(
    "octets",
    [
        b"Subject: x\r\n\r\n" + b"text of many words \r\n" * (MOST_BYTES // 20),
        b"Subject: " + b"long " * 10_000 + b"\r\n\r\nx\r\n",
    ],
    ids=["body", "field"],
)
def test_too_much_text_may_hold_anything(runner: Run, store: SqliteStore, octets: bytes) -> None:
    row = runner.run(stored(store.blobs, octets))
    assert ANY in grams_of(store.blobs, row)


def test_large_texts_are_gathered_in_small_steps(runner: Run, store: SqliteStore) -> None:
    text = "".join(f"mot{n} été " for n in range(60_000)).encode()
    octets = b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text + b"\r\n"
    row = runner.run(stored(store.blobs, octets))
    words, gathering = Words(), Gathering()
    assert sum(1 for _ in read_words(store.blobs, row, words)) > 40
    assert sum(1 for _ in gathering.add(0, words)) > 30
    grams = {gram for rows in gathering.rows() for gram, _ in rows}
    assert set(wanted(fold("mot59999 été").encode(), Where.BODY)) <= grams


@given(st.sets(st.integers(0, 1023)))
def test_bits_are_packed(found: set[int]) -> None:
    bits = sum(1 << at for at in found)
    assert unpacked(packed(bits)) == bits
    assert positions(bits) == sorted(found)


@given(st.binary(min_size=1, max_size=2_000).filter(lambda word: not word.isspace()))
def test_no_gram_of_a_long_word_is_lost(octets: bytes) -> None:
    words, gathering = Words(), Gathering()
    words.body.update((octets * 3).split())
    for _ in gathering.add(7, words):
        pass
    grams = {gram: unpacked(its) for rows in gathering.rows() for gram, its in rows}
    every = {
        int.from_bytes(word[at : at + 3], "little") for word in (octets * 3).split() for at in range(len(word) - 2)
    }
    assert grams == dict.fromkeys(every, 1 << 7)


def test_strings_without_three_octets_in_a_row_say_nothing() -> None:
    assert wanted(b"ab c\tde", Where.BODY) == []
    assert len(wanted(bytes(range(33, 127)), Where.HEADER)) == 16
