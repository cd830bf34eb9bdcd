"""What a remote organisation took: one .eml file each, of which the oldest go when there are too many."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

FILES_MOST: Final = 100
OCTETS_MOST: Final = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that came whole. `tls`: the version, "" for cleartext."""

    reverse_path: str
    recipients: tuple[str, ...]
    tls: str
    path: Path


@final
class Shelf:
    """The messages of one domain. `taken` knows those of this run; the folder has those of earlier ones too."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder
        self.taken: Final[deque[Taken]] = deque(maxlen=FILES_MOST)
        self._files: Final[deque[tuple[Path, int]]] = deque()
        self._octets = 0
        self._number = 0
        for path in sorted(folder.glob("*.eml")):
            self._note(path, path.stat().st_size)
            if path.stem.isdecimal():
                self._number = int(path.stem)

    def put(self, reverse_path: str, recipients: Sequence[str], tls: str, pieces: Sequence[bytes]) -> int:
        """Keep a message; gives its number. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._number += 1
        path = self._folder / f"{self._number:08}.eml"
        with path.open("wb") as file:
            file.writelines(pieces)
        self.taken.append(Taken(reverse_path, tuple(recipients), tls, path))
        self._note(path, sum(map(len, pieces)))
        return self._number

    def _note(self, path: Path, octets: int) -> None:
        self._files.append((path, octets))
        self._octets += octets
        while len(self._files) > FILES_MOST or (self._octets > OCTETS_MOST and len(self._files) > 1):
            oldest, size = self._files.popleft()
            self._octets -= size
            oldest.unlink(missing_ok=True)
