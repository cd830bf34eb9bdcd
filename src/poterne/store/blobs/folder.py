"""The folder of segments: names, numbers, and who may write what.

    NNNNNNNNNN.seg       a segment
    NNNNNNNNNN.active    beside each segment that is not sealed; locked (flock) while its writer lives
    numbers              the next number; its lock guards claiming and dropping
    upkeep               its lock keeps a compaction from removing segments that a backup is copying

A number is never used twice: it comes from `numbers`, which is at least the highest file's number plus one, and the
file with the highest number is emptied, never removed, so that this holds even if `numbers` itself is lost.
A marker without a lock belongs to a process that died: `recover` ends that segment. Opening the store looks at markers
only, however many segments there are.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from poterne.store.blobs.files import Files, unavailable, write_all
from poterne.store.blobs.format import FILE_HEADER_BYTES, FileHeader, FormatError, parse_file_header
from poterne.store.errors import UnavailableError

_SEGMENT: Final = ".seg"
_MARKER: Final = ".active"
_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class Claimed:
    """A new segment that is this process's own. Its name is durable; its header becomes so with the first sync."""

    number: int
    salt: int
    fd: int
    marker_fd: int


class SegmentFolder:
    """All methods are safe to call from several threads and processes."""

    def __init__(self, path: str, files: Files) -> None:
        self.path: Final = path
        self.files: Final = files
        self._floor = 0
        try:
            files.mkdir(path)
        except OSError as error:
            raise unavailable("message folder cannot be made", error) from error

    def segment_path(self, number: int) -> str:
        return f"{self.path}/{segment_name(number)}"

    def marker_path(self, number: int) -> str:
        return f"{self.path}/{marker_name(number)}"

    def numbers(self) -> list[int]:
        """All segments, ascending."""
        return self._listed(_SEGMENT)

    def unsealed(self) -> list[int]:
        """Those with a marker, ascending: being written, or left by a process that died."""
        return self._listed(_MARKER)

    def claim(self, created_at: int) -> Claimed:
        """A new segment with its header. Raises UnavailableError, and leaves nothing behind then."""
        try:
            return self._claim(created_at)
        except OSError as error:
            raise unavailable("segment cannot be made", error) from error

    def adopt(self, number: int) -> int | None:
        """The locked marker's descriptor if its writer is dead; None if it lives, or the marker has gone."""
        with self._numbers():  # a marker that was just made is not locked yet: its maker holds this
            try:
                marker_fd = self.files.open(self.marker_path(number), os.O_RDWR)
            except FileNotFoundError:
                return None
            if self.files.lock(marker_fd, wait=False):
                return marker_fd
            self.files.close(marker_fd)
            return None

    def seal(self, number: int) -> None:
        """Take the marker away; the caller has made the end mark durable and closes the descriptors."""
        with contextlib.suppress(FileNotFoundError):
            self.files.unlink(self.marker_path(number))

    def drop(self, number: int) -> None:
        """Remove a segment and its marker for good; gives no number back."""
        with self._numbers():
            if number == max(self.numbers(), default=-1):
                self._replace_by_nothing(number)
            else:
                with contextlib.suppress(FileNotFoundError):
                    self.files.unlink(self.segment_path(number))
            if number in self.unsealed():
                # Else the marker's removal may reach the disk alone: the rest of a segment that nobody would end.
                self.files.sync_folder(self.path)
                self.seal(number)

    def read_header(self, fd: int, number: int) -> FileHeader:
        """Raises UnavailableError if this is not segment `number`."""
        try:
            return parse_file_header(self.files.pread(fd, FILE_HEADER_BYTES, 0), number)
        except FormatError as error:
            raise UnavailableError(f"segment {number}: {error}") from error
        except OSError as error:
            raise unavailable(f"segment {number}", error) from error

    @contextlib.contextmanager
    def upkeep(self, *, shared: bool, wait: bool = True) -> Iterator[bool]:
        """Hold the upkeep lock: shared to copy segments, exclusive to remove them. Gives False if it is not to be had."""
        fd = self.files.open(f"{self.path}/upkeep", os.O_RDWR | os.O_CREAT)
        try:
            yield self.files.lock(fd, shared=shared, wait=wait)
        finally:
            self.files.close(fd)

    def _listed(self, suffix: str) -> list[int]:
        try:
            names = self.files.listdir(self.path)
        except OSError as error:
            raise unavailable("message folder cannot be read", error) from error
        stems = (name.removesuffix(suffix) for name in names if name.endswith(suffix))
        return sorted(int(stem) for stem in stems if len(stem) >= _DIGITS and stem.isascii() and stem.isdigit())

    def _replace_by_nothing(self, number: int) -> None:
        """A new, empty file of this name; the old one is not cut, since a backup may hold a link to it."""
        empty = f"{self.path}/empty"
        self.files.close(self.files.open(empty, os.O_RDWR | os.O_CREAT | os.O_TRUNC))
        self.files.rename(empty, self.segment_path(number))

    @contextlib.contextmanager
    def _numbers(self) -> Iterator[int]:
        """The locked descriptor of `numbers`. A descriptor of its own each time: flock holds between threads then too."""
        fd = self.files.open(f"{self.path}/numbers", os.O_RDWR | os.O_CREAT)
        try:
            self.files.lock(fd)
            yield fd
        finally:
            self.files.close(fd)

    def _claim(self, created_at: int) -> Claimed:
        files = self.files
        with self._numbers() as numbers_fd:
            kept = files.pread(numbers_fd, 8, 0)
            if not self._floor:  # once per process: `numbers` is not synced and may have gone back when power was lost
                self._floor = max((0, *self.numbers(), *self.unsealed())) + 1
            number = max(self._floor, int.from_bytes(kept, "little") if len(kept) == 8 else 0)
            write_all(files, numbers_fd, [(number + 1).to_bytes(8, "little")], 0)
            opened: list[int] = []
            try:
                marker_fd = files.open(self.marker_path(number), os.O_RDWR | os.O_CREAT | os.O_EXCL)
                opened.append(marker_fd)
                files.lock(marker_fd)
                fd = files.open(self.segment_path(number), os.O_RDWR | os.O_CREAT | os.O_EXCL)
                opened.append(fd)
                header = FileHeader(number, int.from_bytes(os.urandom(4), "little"), created_at, os.urandom(16))
                write_all(files, fd, [header.pack()], 0)
                files.sync_folder(self.path)
            except OSError:
                self._undo(number, opened)
                raise
            return Claimed(number, header.salt, fd, marker_fd)

    def _undo(self, number: int, opened: list[int]) -> None:
        """Of what is left if this fails too, recovery takes care. The segment goes first: see `drop`."""
        for fd in opened:
            with contextlib.suppress(OSError):
                self.files.close(fd)
        with contextlib.suppress(OSError):
            if len(opened) > 1:
                self.files.unlink(self.segment_path(number))
                self.files.sync_folder(self.path)
            if opened:
                self.files.unlink(self.marker_path(number))


def segment_name(number: int) -> str:
    return f"{number:0{_DIGITS}}{_SEGMENT}"


def marker_name(number: int) -> str:
    return f"{number:0{_DIGITS}}{_MARKER}"
