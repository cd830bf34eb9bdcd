"""What a run did, and how who started it is told while it goes on."""

from dataclasses import dataclass, field
from typing import Final, Protocol

from poterne.admin.people import AdminError

NOTES_MOST: Final = 1_000
"""Failures and notes that are kept with their words; all are counted."""
WORDS_MOST: Final = 500
"""Of a text that may have been written by strangers."""


class MovingError(AdminError):
    """The run can't begin or can't go on; the text says why and what to do, to the person who started it."""


class FolderError(MovingError):
    """One folder can't be brought; the others can."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A message or folder that could not be brought."""

    folder: str
    item: str
    why: str


@dataclass(slots=True)
class Summary:
    """Counts of one run. `failed` also counts what `failures` has no room for."""

    folders: int = 0
    messages: int = 0
    size_bytes: int = 0
    known: int = 0
    """Came in an earlier run."""
    same: int = 0
    """Not stored again: another source had brought the same octets into the same folder."""
    flagged: int = 0
    """Flags changed at the source since they came, and here now."""
    removed: int = 0
    """Gone at the source, and here now, where that was asked for."""
    skipped: int = 0
    """Left out as asked: too old, deleted, a view of other folders."""
    vanished: int = 0
    """Deleted at the source while we looked."""
    failed: int = 0
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fail(self, folder: str, item: str, why: str) -> None:
        self.failed += 1
        if len(self.failures) < NOTES_MOST:
            self.failures.append(Failure(folder[:WORDS_MOST], item[:WORDS_MOST], why[: 2 * WORDS_MOST]))

    def note(self, text: str) -> None:
        cut = text[:WORDS_MOST]
        if len(self.notes) < NOTES_MOST and cut not in self.notes:
            self.notes.append(cut)


class Teller(Protocol):
    """Hears how far a run is."""

    def folder(self, theirs: str, ours: str, messages: int, size_bytes: int) -> None:
        """So much is to be moved of this folder now; `size_bytes` may be a guess."""

    def moved(self, messages: int, size_bytes: int) -> None:
        """So much more is done, and durable."""

    def note(self, text: str) -> None:
        """Something happened that a person may want to know at once: a connection was lost."""


class Silent:
    """Tells nobody."""

    def folder(self, theirs: str, ours: str, messages: int, size_bytes: int) -> None: ...
    def moved(self, messages: int, size_bytes: int) -> None: ...
    def note(self, text: str) -> None: ...
