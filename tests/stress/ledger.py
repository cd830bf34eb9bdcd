"""What must hold for all clients of an account together. A mailbox is known by its UIDVALIDITY, which none has twice."""

from collections import defaultdict
from collections.abc import Iterable


class DifferenceError(AssertionError):
    """The server said, or did, what it must not."""


class Ledger:
    """Facts are entered as anyone hears of them; one that contradicts another is a DifferenceError."""

    def __init__(self, most_recent: int) -> None:
        self._most_recent = most_recent
        self.numbers: dict[tuple[int, int], int] = {}
        """Which letter a (UIDVALIDITY, UID) is."""
        self._flags: dict[tuple[int, int, int], frozenset[bytes]] = {}
        self._recent: dict[tuple[int, int], set[int]] = defaultdict(set)
        self.expunged: set[tuple[int, int]] = set()
        """Of these somebody was told that they are gone."""
        self.arrived: set[tuple[int, int]] = set()
        """These are there, somebody was told."""
        self.condemned: set[tuple[int, int]] = set()
        """These may go: somebody has at least begun to mark, to move or to replace them."""
        self.condemned_letters: set[int] = set()
        """Of these, any copy."""

    def is_letter(self, box: int, uid: int, number: int) -> None:
        """A UID means one message, for ever (RFC 9051 §2.3.1.1)."""
        known = self.numbers.setdefault((box, uid), number)
        if known != number:
            raise DifferenceError(f"UID {uid} of {box} is letter {number}, and was letter {known}")

    def has_flags(self, box: int, uid: int, modseq: int, flags: frozenset[bytes]) -> None:
        """Two states of a message never have the same mod-sequence (RFC 7162 §3.1)."""
        known = self._flags.setdefault((box, uid, modseq), flags)
        if known != flags:
            raise DifferenceError(
                f"UID {uid} of {box} had {sorted(known)} at modseq {modseq}, and now has {sorted(flags)}"
            )

    def is_recent(self, box: int, uid: int, session: int) -> None:
        """To one session only (RFC 3501 §2.3.2), or where nobody can know who was first, to one of each process."""
        seen = self._recent[box, uid]
        seen.add(session)
        if len(seen) > self._most_recent:
            raise DifferenceError(f"UID {uid} of {box} is \\Recent to {len(seen)} sessions")

    def arrive(self, box: int, uids: Iterable[int], numbers: Iterable[int]) -> None:
        for uid, number in zip(uids, numbers, strict=True):
            self.is_letter(box, uid, number)
            self.arrived.add((box, uid))

    def condemn(self, box: int, uids: Iterable[int]) -> None:
        self.condemned.update((box, uid) for uid in uids)

    def copied(self, box: int, uids: list[int], target: int, placed: list[int]) -> None:
        """By COPYUID: the same letters, in the same order."""
        for uid, new in zip(uids, placed, strict=True):
            self.arrived.add((target, new))
            if (box, uid) in self.numbers:
                self.is_letter(target, new, self.numbers[box, uid])
            if (box, uid) in self.condemned:
                self.condemned.add((target, new))
