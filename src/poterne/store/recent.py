"""Octets that were read or made lately, by key, up to a number of bytes."""

from collections.abc import Hashable
from typing import Final, Generic, TypeVar, final

K = TypeVar("K", bound=Hashable)

_ENTRY_BYTES: Final = 200
"""What an entry takes beside its octets: key, objects, its place in a table."""


@final
class Recent(Generic[K]):
    """For what never changes under its key. A look costs what a look into a dict does.

    Theory of operation. Two generations: what is put in or found goes to the young one. When both together reach the limit, what
    is still in the old one goes, and the young one becomes old. So what was not used lately is forgotten, without an order
    that each look would have to change. One thread at a time.
    """

    __slots__ = ("_max_bytes", "_old", "_old_bytes", "_young", "_young_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes: Final = max_bytes
        self._young: dict[K, bytes] = {}
        self._old: dict[K, bytes] = {}
        self._young_bytes = 0
        self._old_bytes = 0

    def get(self, key: K) -> bytes | None:
        found = self._young.get(key)
        if found is None and self._old and (found := self._old.pop(key, None)) is not None:
            self._old_bytes -= len(found) + _ENTRY_BYTES
            self.put(key, found)
        return found

    def put(self, key: K, octets: bytes) -> None:
        """Of a key that is not there."""
        self._young[key] = octets
        self._young_bytes += len(octets) + _ENTRY_BYTES
        is_full = self._young_bytes + self._old_bytes > self._max_bytes
        if is_full or (not self._old and 2 * self._young_bytes > self._max_bytes):
            self._old, self._old_bytes = self._young, self._young_bytes
            self._young, self._young_bytes = {}, 0
