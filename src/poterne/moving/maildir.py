r"""Maildirs on disk: folders, file names, and the files that Dovecot keeps beside.

Maildir++ has its folders beside each other, ".Work.2020" below the root; Dovecot's LAYOUT=fs has them inside each other. A
file's name is BASE or BASE:2,FLAGS; letters a–z are the keywords that the file `dovecot-keywords` lists. `dovecot-uidlist` has
the order of the messages. What no Maildir can say stands in our own `poterne-index`: see `maildir_export`.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from poterne.moving import places
from poterne.proto.imap import mailbox_name
from poterne.proto.imap.client_data import name_of

INDEX: Final = "poterne-index"
KEYWORDS: Final = "dovecot-keywords"
UIDLIST: Final = "dovecot-uidlist"
SUBSCRIPTIONS: Final = "subscriptions"
KEYWORDS_MOST: Final = 26
BESIDE_MOST: Final = 256 * 1024 * 1024
"""Of a file beside the messages; a larger one is as if it were not there."""
_YEARS_S: Final = 1 << 38
LETTERS: Final = {
    "D": "\\Draft",
    "F": "\\Flagged",
    "P": "$Forwarded",
    "R": "\\Answered",
    "S": "\\Seen",
    "T": "\\Deleted",
}
_NAME: Final = re.compile(r"(.+?)[:;!]2,([A-Za-z,]*)\Z", re.DOTALL)
_UID: Final = re.compile(rb"(\d{1,10}) [^:]*:(.+)")
_TIME: Final = re.compile(r"\d{1,12}")
_OURS: Final = re.compile(r"\d+\.V\d+U(\d{1,10})\.poterne\Z")


@dataclass(frozen=True, slots=True)
class Indexed:
    """What our own export knew of a message."""

    at: int
    offset: int
    as_is: bool
    keywords: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class File:
    """One message."""

    path: str
    base: str
    letters: str
    is_new: bool

    @property
    def item(self) -> str:
        """What it is known by."""
        return places.text(self.base)


@dataclass(frozen=True, slots=True)
class Beside:
    """What is kept beside the messages of one folder."""

    keywords: dict[str, str] = field(default_factory=dict)
    uids: dict[str, int] = field(default_factory=dict)
    index: dict[str, Indexed] = field(default_factory=dict)


def is_maildir(place: Path) -> bool:
    return (place / "cur").is_dir() or (place / "new").is_dir()


def folders_of(root: Path) -> Iterator[tuple[Path, str]]:
    """Each folder with its name, "/" between levels; the root is INBOX. Links to directories are not followed."""
    if is_maildir(root):
        yield root, "INBOX"
    for place, inside, _ in os.walk(root):
        inside[:] = sorted(name for name in inside if name not in {"cur", "new", "tmp"})
        for name in inside:
            found = Path(place) / name
            if is_maildir(found) and not found.is_symlink():
                yield found, _folder_name(found.relative_to(root))


def _folder_name(below: Path) -> str:
    parts = below.parts
    if len(parts) == 1 and parts[0].startswith("."):
        parts = tuple(parts[0][1:].split("."))
    return "/".join(name_of(part.encode("utf-8", "surrogateescape")) for part in parts)


def folder_path(root: Path, name: str) -> Path:
    """Where Maildir++ has the folder of this name."""
    if name == "INBOX":
        return root
    return root / ("." + ".".join(_level(level) for level in name.split("/")))


def _level(level: str) -> str:
    """Modified UTF-7; a dot, which separates levels here, is written in it too."""
    coded = mailbox_name.encode_utf7(level).decode("ascii")
    return coded.replace(".", "&AC4-").replace("/", "&AC8-")


def files(folder: Path) -> list[File]:
    """All messages; the order is nobody's. Raises OSError."""
    found: list[File] = []
    for part in ("cur", "new"):
        try:
            listed = os.scandir(folder / part)
        except FileNotFoundError:
            continue
        with listed:
            for entry in listed:
                if entry.name.startswith(".") or entry.is_dir(follow_symlinks=False):
                    continue
                parsed = _NAME.match(entry.name)
                base, letters = (parsed[1], parsed[2]) if parsed is not None else (entry.name, "")
                found.append(File(entry.path, base, letters, part == "new"))
    return found


def size_of(one: File) -> int:
    """0 when it went meanwhile."""
    try:
        return Path(one.path).lstat().st_size
    except OSError:
        return 0


def ordered(found: list[File], beside: Beside) -> list[File]:
    """In the order in which they came: by UID where it is known, else by the time in their names."""

    def key(one: File) -> tuple[int, int, str]:
        time = _TIME.match(one.base)
        ours = _OURS.match(one.base) if one.base in beside.index else None
        uid = int(ours[1]) if ours is not None else beside.uids.get(_key(one.base), 1 << 40)
        return uid, int(time[0]) if time is not None else 0, one.base

    return sorted(found, key=key)


def _key(base: str) -> str:
    """Without the sizes that some programs add to it."""
    return base.partition(",")[0]


def beside(folder: Path) -> Beside:
    """What can be read of it; what can't be is not there."""
    keywords: dict[str, str] = {}
    for line in _lines(folder / KEYWORDS):
        number, _, name = line.decode("utf-8", "replace").partition(" ")
        if number.isascii() and number.isdigit() and int(number) < KEYWORDS_MOST and name:
            keywords[chr(ord("a") + int(number))] = name
    uids: dict[str, int] = {}
    for line in _lines(folder / UIDLIST)[1:]:
        found = _UID.match(line)
        if found is not None:
            name = os.fsdecode(found[2])
            parsed = _NAME.match(name)
            uids[_key(parsed[1] if parsed is not None else name)] = int(found[1])
    return Beside(keywords, uids, dict(_indexed(folder / INDEX)))


def _indexed(file: Path) -> Iterator[tuple[str, Indexed]]:
    for line in _lines(file):
        fields = os.fsdecode(line).split("\t")
        try:
            base, at, offset, form, keywords = fields
            known = Indexed(int(at), int(offset), form == "as-is", tuple(keywords.split()))
        except ValueError:
            continue
        if abs(known.at) < _YEARS_S and abs(known.offset) < 24 * 60:
            yield base, known


def _lines(file: Path) -> list[bytes]:
    try:
        descriptor = places.opened(file.parent, file)
    except (OSError, places.NotAFileError):
        return []
    with os.fdopen(descriptor, "rb") as opened:
        whole = opened.read(BESIDE_MOST + 1)
    return whole.split(b"\n") if len(whole) <= BESIDE_MOST else []


def flags_of(one: File, about: Beside) -> tuple[str, ...]:
    """Names; those of the file's letters, and the keywords that have no letter."""
    named = [LETTERS.get(letter) or about.keywords.get(letter) for letter in one.letters]
    known = about.index.get(one.base)
    return tuple(dict.fromkeys([*filter(None, named), *(known.keywords if known is not None else ())]))


def subscriptions(root: Path) -> list[str]:
    """Dovecot's list, of either version."""
    lines = _lines(root / SUBSCRIPTIONS)
    if lines[:1] == [b"V\t2"]:
        return ["/".join(name_of(level) for level in line.split(b"\t")) for line in lines[1:] if line]
    return [name_of(line).replace(".", "/") for line in lines if line]
