"""Locks between processes: advisory `flock` on files of the data folder, given up by the kernel when a process dies."""

import fcntl
import os
from pathlib import Path

from poterne.store.errors import UnavailableError


class FileLock:
    """One lock file. Not for use by two threads at once."""

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self, *, shared: bool = False, wait: bool = True) -> bool:
        """Take it; waits without a limit of its own (the kernel wakes waiters in order). False if not `wait` and taken."""
        mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, mode if wait else mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise UnavailableError(f"lock file {self._path.name}: {error}") from error
        return True

    def release(self) -> None:
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
