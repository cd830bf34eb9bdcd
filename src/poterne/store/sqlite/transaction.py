"""The database side of group commit, and what an operation gets to work with."""

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import apsw

from poterne.store.errors import UnavailableError
from poterne.store.sqlite.connection import BUSY_MS, CHECKPOINT_PAGES, Row, is_broken, unavailable
from poterne.store.sqlite.lock import FileLock
from poterne.values.ids import AccountId, BlobId, MailboxId, ModSeq
from poterne.values.mailbox import NAMES, MailboxChanged

_log = logging.getLogger("poterne.store")
LOOK_S: Final = 0.5
"""So often at most a transaction looks whether another process has committed."""


class DurableBlobs(Protocol):
    """What a transaction asks of the blobs, in the writer thread."""

    def sync(self) -> None:
        """Make every finished blob durable. Raises UnavailableError if some are lost."""

    def require(self, blob: BlobId) -> None:
        """Returns if a commit may name this blob; else raises UnavailableError."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one account may use, so that a client cannot fill the server with names."""

    mailboxes: int = 5_000
    name_bytes: int = 512
    """Of a whole mailbox name in UTF-8, parents included."""
    name_depth: int = 32
    keyword_bytes: int = 128
    subscriptions: int = 10_000
    annotations: int = 1_000
    undelete_s: int = 0
    """How long expunged messages are kept so that they can come back; 0: not at all."""


class Tx:
    """One write transaction. Operations are plain functions over it; they raise StoreError before or after they wrote."""

    __slots__ = ("changed", "connection", "limits", "now", "require")

    def __init__(
        self, connection: apsw.Connection, now: int, limits: Limits, require: Callable[[BlobId], None]
    ) -> None:
        self.connection = connection
        self.now = now
        """Unix seconds, by the engine's clock, when the transaction began."""
        self.limits = limits
        self.require = require
        """Returns if a row may name this blob; raises UnavailableError if its bytes are not durable."""
        self.changed: list[MailboxChanged] = []

    def all(self, sql: str, args: tuple[Any, ...] = ()) -> list[Row]:
        return self.connection.execute(sql, args).fetchall()

    def one(self, sql: str, args: tuple[Any, ...] = ()) -> Row | None:
        rows = self.connection.execute(sql, args).fetchall()
        return rows[0] if rows else None

    def run(self, sql: str, args: tuple[Any, ...] = ()) -> None:
        """A statement that gives no rows."""
        self.connection.execute(sql, args)

    def run_many(self, sql: str, args: Sequence[tuple[Any, ...]]) -> None:
        self.connection.executemany(sql, args)

    def count(self, sql: str, args: tuple[Any, ...] = ()) -> int:
        """Run a statement that changes rows; gives how many."""
        self.connection.execute(sql, args)
        return self.connection.changes()

    def touch(self, account_id: AccountId, mailbox_id: MailboxId, modseq: int) -> None:
        """Tell, after the commit, that this mailbox changed."""
        self.changed.append(MailboxChanged(account_id, mailbox_id, ModSeq(modseq)))

    def touch_names(self, account_id: AccountId) -> None:
        """Tell, after the commit, that names or subscriptions of the account changed."""
        self.changed.append(MailboxChanged(account_id, NAMES, ModSeq(0)))


class SqliteTransactions:
    """`writer.Transactions` on one connection: whoever uses it holds the writer's turn."""

    def __init__(
        self,
        connect: Callable[[], apsw.Connection],
        lock: FileLock,
        blobs: DurableBlobs,
        clock: Callable[[], float],
        limits: Limits,
    ) -> None:
        self._connect = connect
        self._lock = lock
        self._blobs = blobs
        self._clock = clock
        self._limits = limits
        self._connection: apsw.Connection | None = None
        self._tx: Tx | None = None
        self._marked = 0
        self._durable = True
        self._data_version = 0
        self._look_at = 0.0
        self._foreign = 0

    def prepare(self) -> None:
        try:
            self._blobs.sync()
        except UnavailableError as error:  # each operation learns by `require` whether its own bytes were lost
            _log.error("message bytes could not be written: %s", error)

    def lock(self) -> None:
        self._lock.acquire()

    def begin(self, *, durable: bool) -> Tx:
        try:
            connection = self._connected()
            self._wait_for_disk(connection, wanted=durable)
            connection.execute("BEGIN IMMEDIATE")
        except BaseException:
            self.rollback()
            raise
        return self._began(connection)

    def try_begin(self) -> Tx | None:
        connection = self._connection
        if connection is None or not self._lock.acquire(wait=False):
            return None
        try:
            self._wait_for_disk(connection, wanted=False)
            connection.set_busy_timeout(0)
            try:
                connection.execute("BEGIN IMMEDIATE")
            finally:
                connection.set_busy_timeout(BUSY_MS)
        except BaseException as error:
            self.rollback()
            if isinstance(error, apsw.Error):
                return None
            raise
        return self._began(connection)

    def _wait_for_disk(self, connection: apsw.Connection, *, wanted: bool) -> None:
        """Whether the next commits do. It can't be changed inside a transaction. Checkpoints wait for the disk too."""
        if wanted == self._durable:
            return
        connection.execute(f"PRAGMA synchronous={'FULL' if wanted else 'NORMAL'}").fetchall()
        connection.wal_autocheckpoint(CHECKPOINT_PAGES if wanted else 0)
        self._durable = wanted

    def _began(self, connection: apsw.Connection) -> Tx:
        if time.monotonic() >= self._look_at:
            self._look(connection)
        self._tx = Tx(connection, int(self._clock()), self._limits, self._blobs.require)
        return self._tx

    def sync(self) -> None:
        # A checkpoint syncs the journal before it copies anything; what it can't copy now (readers) is synced all the same.
        self._lock.acquire()
        try:
            self._connected().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        finally:
            self._lock.release()

    def _connected(self) -> apsw.Connection:
        if self._connection is None:
            self._connection = self._connect()
            self._durable = True
            self._data_version = 0
        return self._connection

    def _look(self, connection: apsw.Connection) -> None:
        # Of a connection that only ever commits its own, this number changes exactly when somebody else has committed.
        rows: list[Row] = connection.execute("PRAGMA data_version").fetchall()
        found: int = rows[0][0]
        self._look_at = time.monotonic() + LOOK_S
        if found != self._data_version:
            self._data_version = found
            self._foreign += 1

    def foreign(self, *, look: bool) -> int:
        if look:
            try:
                self._look(self._connected())
            except apsw.Error as error:
                raise self.failure(error) from error
        return self._foreign

    def mark(self) -> None:
        tx = self._begun()
        self._marked = len(tx.changed)
        tx.run("SAVEPOINT operation")

    def keep(self) -> None:
        self._begun().run("RELEASE operation")

    def undo(self) -> None:
        tx = self._begun()
        if not tx.connection.in_transaction:  # SQLite gave all up by itself: disk full, out of memory, I/O error
            raise UnavailableError("the transaction was rolled back")
        tx.run("ROLLBACK TO operation")
        tx.run("RELEASE operation")
        del tx.changed[self._marked :]

    def commit(self) -> Sequence[MailboxChanged]:
        tx = self._begun()
        tx.connection.execute("COMMIT")
        self._tx = None
        self._lock.release()
        return _coalesced(tx.changed)

    def rollback(self) -> None:
        self._tx = None
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error:
            self._drop()
        finally:
            self._lock.release()

    def failure(self, error: Exception) -> UnavailableError:
        if is_broken(error) and self._tx is None:
            self._drop()
        return error if isinstance(error, UnavailableError) else unavailable(error)

    def close(self) -> None:
        self._drop()
        self._lock.close()

    def _begun(self) -> Tx:
        if self._tx is None:
            raise UnavailableError("no transaction")
        return self._tx

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(apsw.Error):  # the last one to close checkpoints: on a disk that may be broken
                connection.close(force=True)


def _coalesced(changed: list[MailboxChanged]) -> Sequence[MailboxChanged]:
    """One per mailbox, with its highest modseq."""
    if len(changed) < 2:
        return changed
    return list({(change.account_id, change.mailbox_id): change for change in changed}.values())
