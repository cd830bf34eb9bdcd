"""Trigrams of words, and which documents of a block have them.

A *word* is a run of octets of folded UTF-8 text without ASCII white space, a *gram* three octets in a row of a word. A text that
holds a string holds each gram of the string's words, so the documents that have all these grams are a superset of those that
hold it. What is in a header is kept apart from what is in a body: SEARCH BODY would else find each message that came from a name
it looks for.

Documents of a block are bits of one integer. Grams are gathered by word first: a word that a thousand documents have is cut into
grams once.
"""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final, final

from poterne.values.search import Words

MIN_OCTETS: Final = 3
MOST_GRAMS: Final = 16
"""Of one string; the more, the fewer candidates, but each costs a lookup in each block."""
WORD_OCTETS: Final = 512
"""Longer words are taken in pieces, which overlap so that no gram is lost."""
_STEP_WORDS: Final = 500
_WORDS_HELD: Final = 50_000
_OCTETS_HELD: Final = 4 * 1024 * 1024
_FEW: Final = 32
"""Up to so many documents are listed, two octets each, after a first octet 0; more are bits, after a first octet 1."""

Gram = int
"""Of a body: the three octets as a number; of a header the same, negative minus one. `ANY` is no gram."""
ANY: Final[Gram] = 1 << 24
"""Documents that were not indexed (damaged, or too much text): they may hold anything."""


class Where(Enum):
    HEADER = "header"
    BODY = "body"


def wanted(text: bytes, where: Where) -> list[Gram]:
    """Grams that a document must have to hold this folded string; [] when it is too short to say."""
    found: set[bytes] = set()
    for word in text.split():
        found |= {word[at : at + 3] for at in range(len(word) - 2)}
    chosen = sorted(found)
    if len(chosen) > MOST_GRAMS:
        chosen = [chosen[at * len(chosen) // MOST_GRAMS] for at in range(MOST_GRAMS)]
    return [_gram(octets, where) for octets in chosen]


def _gram(octets: bytes, where: Where) -> Gram:
    number = int.from_bytes(octets, "big")
    return number if where is Where.BODY else -number - 1


def packed(bits: int) -> bytes:
    """Bits as they are stored: short where few are set. For blocks of at most 65,536 documents."""
    if bits.bit_count() > _FEW:
        return b"\x01" + bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    listed = bytearray(1)
    while bits:
        lowest = bits & -bits
        listed += (lowest.bit_length() - 1).to_bytes(2, "little")
        bits ^= lowest
    return bytes(listed)


def unpacked(stored: bytes) -> int:
    """Raises IndexError for what `packed` never gives."""
    if stored[0]:
        return int.from_bytes(stored[1:], "little")
    bits = 0
    for at in range(1, len(stored), 2):
        bits |= 1 << (stored[at] | stored[at + 1] << 8)
    return bits


def positions(bits: int) -> list[int]:
    """Ascending."""
    if bits.bit_count() * 16 > bits.bit_length():
        return [at for at, digit in enumerate(bin(bits)[:1:-1]) if digit == "1"]
    found = []
    while bits:
        lowest = bits & -bits
        found.append(lowest.bit_length() - 1)
        bits ^= lowest
    return found


@final
class Gathering:
    """Grams of a block while it is made."""

    def __init__(self) -> None:
        self._words: dict[Where, dict[bytes, int]] = {where: {} for where in Where}
        self._held = 0
        self._grams: dict[Where, dict[bytes, int]] = {where: {} for where in Where}
        self._any = 0

    def add(self, position: int, words: Words) -> Iterator[None]:
        """One document, in small steps."""
        bit = 1 << position
        if words.incomplete:
            self._any |= bit
            return
        for where, its in ((Where.HEADER, words.header), (Where.BODY, words.body)):
            held = self._words[where]
            for count, word in enumerate(its, 1):
                if len(word) <= WORD_OCTETS:
                    if (bits := held.get(word)) is None:
                        self._held += len(word)
                        held[word] = bit
                    else:
                        held[word] = bits | bit
                else:
                    for at in range(0, len(word) - 2, WORD_OCTETS - 2):
                        piece = word[at : at + WORD_OCTETS]
                        self._held += WORD_OCTETS
                        held[piece] = held.get(piece, 0) | bit
                if not count % _STEP_WORDS:
                    yield
        if self._held > _OCTETS_HELD or sum(map(len, self._words.values())) > _WORDS_HELD:
            yield from self._cut()

    def load(self, rows: Iterable[tuple[Gram, bytes]], shift: int, kept: int = -1) -> None:
        """What an earlier block has, `shift` documents further up; only documents that are among the bits `kept`."""
        for gram, stored in rows:
            bits = (unpacked(stored) & kept) << shift
            if not bits:
                continue
            if gram == ANY:
                self._any |= bits
            else:
                where, number = (Where.BODY, gram) if gram >= 0 else (Where.HEADER, -gram - 1)
                octets = number.to_bytes(3, "big")
                grams = self._grams[where]
                grams[octets] = grams.get(octets, 0) | bits

    def _cut(self) -> Iterator[None]:
        """Words to grams; gives their memory back."""
        for where, held in self._words.items():
            grams = self._grams[where]
            known = grams.get
            for count, (word, bits) in enumerate(held.items(), 1):
                for at in range(len(word) - 2):
                    octets = word[at : at + 3]
                    grams[octets] = known(octets, 0) | bits
                if not count % _STEP_WORDS:
                    yield
            held.clear()
        self._held = 0

    def rows(self) -> Iterator[list[tuple[Gram, bytes]]]:
        """All of it as it is stored, in pieces and in the order of the key, so that rows are only ever appended."""
        for _ in self._cut():
            yield []
        for where in (Where.HEADER, Where.BODY):
            grams = self._grams[where]
            ordered = sorted(grams, reverse=where is Where.HEADER)
            for start in range(0, len(ordered), _STEP_WORDS):
                yield [(_gram(octets, where), packed(grams[octets])) for octets in ordered[start : start + _STEP_WORDS]]
        if self._any:
            yield [(ANY, packed(self._any))]
