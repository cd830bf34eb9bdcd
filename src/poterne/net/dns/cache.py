"""Answers kept for their time, in bounded memory."""

import time
from collections import OrderedDict
from typing import Final, final

from poterne.values.dns import Answer, Found, Tlsa

Key = tuple[str, int]
"""Canonical name, code of the type."""

MIN_TTL_S: Final = 5
"""Also of a record that says 0: a mail asks for the same name several times."""
MAX_TTL_S: Final = 86_400
MAX_NEGATIVE_S: Final = 900
FAILURE_S: Final = 5
"""How long we don't ask again after a failure."""
_ENTRY_OCTETS: Final = 700
_RECORD_OCTETS: Final = 120


@final
class Cache:
    """The least recently used goes first when it is full. Values are what callers get: nothing is parsed again."""

    __slots__ = ("_entries", "_max_octets", "octets")

    def __init__(self, max_octets: int) -> None:
        self._entries: OrderedDict[Key, tuple[float, int, Answer[object]]] = OrderedDict()
        self._max_octets = max_octets
        self.octets = 0
        """What is held, roughly."""

    def get(self, key: Key) -> Answer[object] | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= time.monotonic():
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[2]

    def put(self, key: Key, answer: Answer[object], ttl_s: float) -> None:
        if key in self._entries:
            self._drop(key)
        weight = _weight(key, answer)
        self._entries[key] = (time.monotonic() + ttl_s, weight, answer)
        self.octets += weight
        while self.octets > self._max_octets:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Key) -> None:
        self.octets -= self._entries.pop(key)[1]

    def __len__(self) -> int:
        return len(self._entries)


def _weight(key: Key, answer: Answer[object]) -> int:
    weight = _ENTRY_OCTETS + len(key[0])
    if isinstance(answer, Found):
        for record in answer.records:
            size = len(record) if isinstance(record, (str, bytes)) else 0
            weight += _RECORD_OCTETS + (len(record.data) if isinstance(record, Tlsa) else size)
    return weight
