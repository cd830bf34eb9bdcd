"""Who has an account's mailbox open by POP3, and who comes again too soon: for all workers of the server.

Theory of operation. One sparse file has eight octets for each account: when it was last signed in to. A lock on those is the
mailbox's (RFC 1939 §4): the kernel gives it up when a worker dies, so none is ever left behind. Such locks are of processes, so
each worker also remembers its own. Without the lock and the delay there is no file. The times are lost with it, which harms
nobody, so nothing waits for the disk.
"""

import fcntl
import os
from enum import Enum
from pathlib import Path
from typing import Final, final

from poterne.store.errors import UnavailableError
from poterne.values.ids import AccountId

FILE: Final = "pop3.visits"
_RECORD: Final = 8


class Refusal(Enum):
    IN_USE = "in-use"
    TOO_SOON = "too-soon"


@final
class Visits:
    """Of one worker. `exclusive`: one session of an account at a time; `delay_s`: between two sign-ins, 0 for none."""

    def __init__(self, path: Path, *, exclusive: bool, delay_s: int) -> None:
        self.delay_s: Final = delay_s
        self._path: Final = path
        self._exclusive: Final = exclusive
        self._open: Final[set[AccountId]] = set()
        self._descriptor: int | None = None

    def begin(self, account: AccountId, now: int) -> Refusal | None:
        """None: it may, and if it does, `end` has to follow. Raises UnavailableError."""
        if not self._exclusive and not self.delay_s:
            return None
        try:
            return self._begin(account, now)
        except OSError as error:
            raise UnavailableError(f"{self._path.name}: {error}") from error

    def end(self, account: AccountId) -> None:
        """The session is over. Safe to call without a beginning."""
        if account in self._open:
            self._open.discard(account)
            fcntl.lockf(self._file(), fcntl.LOCK_UN, _RECORD, account * _RECORD)

    def _begin(self, account: AccountId, now: int) -> Refusal | None:
        file, at = self._file(), account * _RECORD
        if self._exclusive:
            if account in self._open:
                return Refusal.IN_USE
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, _RECORD, at)
            except (BlockingIOError, PermissionError):  # POSIX lets a system say either
                return Refusal.IN_USE
            self._open.add(account)
        if self.delay_s:
            last = int.from_bytes(os.pread(file, _RECORD, at), "big")
            if last <= now < last + self.delay_s:
                self.end(account)
                return Refusal.TOO_SOON
            os.pwrite(file, now.to_bytes(_RECORD, "big"), at)
        return None

    def _file(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        return self._descriptor

    def close(self) -> None:
        """All locks are given up."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        self._open.clear()
