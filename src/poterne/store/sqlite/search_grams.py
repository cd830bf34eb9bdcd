"""Trigrams of words, and which documents of a block have them.

A *word* is a run of octets of folded UTF-8 text without ASCII white space, a *gram* three octets in a row of a word. A text that
holds a string holds each gram of the string's words, so the documents that have all these grams are a superset of those that
hold it. What is in a header is kept apart from what is in a body: SEARCH BODY would else find each message that came from a name
it looks for.

Documents of a block are bits of one integer. The words of a document are put next to each other, with a space between them, and
read as overlapping numbers of four octets, which takes no loop over octets; those with a space are left out at the end.
"""

import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final, final

from poterne.values.search import Words

MOST_GRAMS: Final = 16
"""Of one string; the more, the fewer candidates, but each costs a lookup in each block."""
_STEP_OCTETS: Final = 16 * 1024
_STEP_ROWS: Final = 500
_FEW: Final = 32
"""Up to so many documents are listed, two octets each, after a first octet 0; more are bits, after a first octet 1."""

Gram = int
"""Of a body: the three octets as a number, lowest first; of a header: the same, negative, minus one. `ANY` is no gram."""
_SPACE: Final = 0x20
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
    numbers = [int.from_bytes(octets, "little") for octets in chosen]
    return numbers if where is Where.BODY else [-number - 1 for number in numbers]


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
        self._grams: Final[dict[Where, defaultdict[int, int]]] = {where: defaultdict(int) for where in Where}
        self._any = 0

    def add(self, position: int, words: Words) -> Iterator[None]:
        """One document, in small steps."""
        bit = 1 << position
        if words.incomplete:
            self._any |= bit
            return
        for where, its in ((Where.HEADER, words.header), (Where.BODY, words.body)):
            grams = self._grams[where]
            octets = b" ".join(its) + b" "
            for at in range(0, len(octets), _STEP_OCTETS):
                for number in _numbers(octets[at : at + _STEP_OCTETS + 3]):
                    grams[number] |= bit
                yield

    def load(self, rows: Iterable[tuple[Gram, bytes]], shift: int, kept: int = -1) -> None:
        """What an earlier block has, `shift` documents further up; only documents that are among the bits `kept`."""
        body, header = self._grams[Where.BODY], self._grams[Where.HEADER]
        for gram, stored in rows:
            bits = (unpacked(stored) & kept) << shift
            if not bits:
                continue
            if gram == ANY:
                self._any |= bits
            elif gram >= 0:
                body[gram] |= bits
            else:
                header[-gram - 1] |= bits

    def rows(self) -> Iterator[list[tuple[Gram, bytes]]]:
        """All of it as it is stored, in pieces and in the order of the key, so that rows are only ever appended."""
        for where in (Where.HEADER, Where.BODY):
            grams = self._grams[where]
            is_header = where is Where.HEADER
            ordered = sorted(grams, reverse=is_header)
            yield []
            for start in range(0, len(ordered), _STEP_ROWS):
                yield [
                    (-number - 1 if is_header else number, packed(grams[number]))
                    for number in ordered[start : start + _STEP_ROWS]
                    if number & 0xFF != _SPACE and number >> 8 & 0xFF != _SPACE and number >> 16 != _SPACE
                ]
        if self._any:
            yield [(ANY, packed(self._any))]


def _numbers(octets: bytes) -> set[int]:
    """Each three octets in a row that have one behind them."""
    found: set[int] = set()
    for start in range(4):
        numbers = array("I")
        numbers.frombytes(octets[start : start + (len(octets) - start & -4)])
        if sys.byteorder == "big":
            numbers.byteswap()
        found.update(numbers.tolist())
    return {number & 0xFFFFFF for number in found}
