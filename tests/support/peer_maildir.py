"""A Maildir as a client leaves it: what is in which folder, with which flags."""

from dataclasses import dataclass
from pathlib import Path

_LETTERS = {"S": "\\Seen", "R": "\\Answered", "F": "\\Flagged", "T": "\\Deleted", "D": "\\Draft"}


@dataclass(frozen=True, slots=True)
class Copy:
    """One message on the client's side."""

    path: Path

    @property
    def flags(self) -> frozenset[str]:
        letters = self.path.name.partition(":2,")[2]
        return frozenset(_LETTERS[letter] for letter in letters if letter in _LETTERS)

    @property
    def raw(self) -> bytes:
        """With CRLF, as it travelled; without the field that mbsync adds to what it uploads."""
        lines = self.path.read_bytes().replace(b"\r\n", b"\n").split(b"\n")
        return b"\r\n".join(line for line in lines if not line.startswith(b"X-TUID: "))

    def flag(self, letters: str) -> None:
        """Set exactly these, as a mail reader does."""
        base = self.path.name.partition(":2,")[0]
        self.path.rename(self.path.parent.parent / "cur" / f"{base}:2,{letters}")


def copies(folder: Path) -> list[Copy]:
    """The messages of one Maildir folder, oldest name first."""
    found = [*folder.glob("cur/*"), *folder.glob("new/*")]
    return sorted((Copy(path) for path in found), key=lambda copy: copy.path.name)


def add(folder: Path, name: str, message: bytes, letters: str | None = None) -> None:
    """Put a message there as a mail reader does: LF line ends, new unless it has flags."""
    place = folder / "new" / name if letters is None else folder / "cur" / f"{name}:2,{letters}"
    place.write_bytes(message.replace(b"\r\n", b"\n"))


def make(folder: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (folder / part).mkdir(parents=True)
