"""The operating system as the segments use it: few calls, so that tests can put a forgetful or failing one in its place."""

# Paths are strings down here, as the system has them.
# ruff: noqa: PTH103, PTH116, PTH208

import errno
import fcntl
import os
from collections.abc import Sequence
from typing import Final, Protocol

from poterne.store.errors import UnavailableError

Piece = bytes | memoryview
"""What can be written without copying it."""

_MOST_PIECES: Final = 1000
"""Below IOV_MAX (1024 on Linux)."""


class Files(Protocol):
    """Calls fail with OSError. Offsets are explicit: no file has a position, so threads share descriptors freely."""

    def open(self, path: str, flags: int) -> int:
        """A descriptor; files are made with mode 0600."""

    def close(self, fd: int) -> None: ...
    def pread(self, fd: int, size: int, offset: int) -> bytes:
        """At most `size` bytes; less only at the end of the file."""

    def pread_cached(self, fd: int, size: int, offset: int) -> bytes | None:
        """The same if it needs no disk; None if it would, or if that cannot be known."""

    def pwritev(self, fd: int, pieces: Sequence[Piece], offset: int) -> int:
        """How many bytes were written: may be fewer than given."""

    def fdatasync(self, fd: int) -> None:
        """Contents and size are durable. Names are not: see `sync_folder`."""

    def sync_folder(self, path: str) -> None:
        """Names made and removed in this folder are durable."""

    def size(self, fd: int) -> int: ...
    def truncate(self, fd: int, size: int) -> None: ...
    def listdir(self, path: str) -> list[str]: ...
    def mkdir(self, path: str) -> None:
        """Make it if it is not there."""

    def unlink(self, path: str) -> None: ...
    def rename(self, source: str, target: str) -> None: ...
    def link(self, source: str, target: str) -> None: ...
    def modified_at(self, path: str) -> int:
        """Seconds since 1970 of the last write, or of `touch`."""

    def touch(self, path: str, at: int) -> None: ...
    def lock(self, fd: int, *, shared: bool = False, wait: bool = True) -> bool:
        """Lock the open file (flock); released when it is closed, also by a crash. False: another has it."""


class RealFiles:
    """Straight to the system."""

    pread = staticmethod(os.pread)
    pwritev = staticmethod(os.pwritev)
    close = staticmethod(os.close)
    fdatasync = staticmethod(os.fdatasync)
    truncate = staticmethod(os.ftruncate)
    unlink = staticmethod(os.unlink)
    rename = staticmethod(os.rename)
    link = staticmethod(os.link)

    def open(self, path: str, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def pread_cached(self, fd: int, size: int, offset: int) -> bytes | None:
        buffer = bytearray(size)
        try:
            got = os.preadv(fd, [buffer], offset, os.RWF_NOWAIT)
        except OSError:  # EAGAIN: not in memory; EOPNOTSUPP: this file system cannot tell
            return None
        return bytes(buffer) if got == size else None

    def sync_folder(self, path: str) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def listdir(self, path: str) -> list[str]:
        return os.listdir(path)

    def mkdir(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)

    def modified_at(self, path: str) -> int:
        return int(os.stat(path).st_mtime)

    def touch(self, path: str, at: int) -> None:
        os.utime(path, (at, at))

    def lock(self, fd: int, *, shared: bool = False, wait: bool = True) -> bool:
        how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(fd, how)
        except BlockingIOError:
            return False
        return True


REAL: Final = RealFiles()


def write_all(files: Files, fd: int, pieces: Sequence[Piece], offset: int) -> int:
    """Write all of it, in as few calls as the system allows; gives the offset behind it."""
    start = 0
    while start < len(pieces):
        group = pieces[start : start + _MOST_PIECES]
        left = sum(map(len, group))
        while left:
            done = files.pwritev(fd, group, offset)
            if done <= 0:
                raise OSError(errno.EIO, "nothing written")
            offset += done
            left -= done
            if left:
                group = _behind(group, done)
        start += _MOST_PIECES
    return offset


def _behind(pieces: Sequence[Piece], done: int) -> list[Piece]:
    rest: list[Piece] = []
    for piece in pieces:
        if done >= len(piece):
            done -= len(piece)
        else:
            rest.append(memoryview(piece)[done:])
            done = 0
    return rest


def unavailable(what: str, error: OSError) -> UnavailableError:
    """For the log: what could not be done, and the system's reason. Holds no mail content and no file name."""
    return UnavailableError(f"{what}: {errno.errorcode.get(error.errno or 0, '?')} {error.strerror or ''}".rstrip())
