"""Group commit: many operations, one durable transaction.

Theory of operation. Making a transaction durable costs one or two `fdatasync`, about 0.4 ms each, whatever is in it.
So operations queue up, and one thread per process takes all that wait, runs them in one transaction, commits once, and
answers all of them through one call into the event loop. What one turn of the event loop hands over comes together; while
the thread waits for the disk, or for other processes, more gathers: the group grows with the load by itself, and a lone
operation waits for nobody.

An operation is claimed exactly once: by the writer when it begins it, or by the event loop when it waited too long (another
process holds the lock, the disk hangs). Whoever comes second leaves it alone. So a timed-out operation has no effect, and a
blocked writer thread never blocks a caller for longer than the limit.

An operation handed over by `submit_soon` (flags) does not wait for the disk: a group of only such operations is committed without
a sync. A killed process loses none of it; a power loss may, but nothing older than RELAXED_S, for then a sync follows by itself.

An operation that raises StoreError is undone alone. That is rare, and a savepoint for each costs a third of what it does:
so a group runs without, and where one fails all is rolled back and runs once more, each in a savepoint. Hence an operation
must be repeatable: it reads and writes by its transaction only, and its arguments stay as they are. Any failure of the
database itself fails the whole group: its callers hear UnavailableError, nothing of it is there, and the next group tries anew.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Concatenate, Final, Generic, ParamSpec, Protocol, TypeVar

from poterne.store.errors import StoreError, UnavailableError
from poterne.values.mailbox import MailboxChanged

P = ParamSpec("P")
T = TypeVar("T")
TxT = TypeVar("TxT")
Tx_co = TypeVar("Tx_co", covariant=True)

_log = logging.getLogger("poterne.store")

RELAXED_S: Final = 1.0
"""How long a commit may be without a sync."""


class Transactions(Protocol[Tx_co]):
    """The database side. Called by whoever holds the writer's turn, in this order; each may raise StoreError."""

    def prepare(self) -> None:
        """Make durable what the coming transaction will name. Before the lock; again for what came meanwhile."""

    def lock(self) -> None:
        """Take the lock; waits for other processes. After it, exactly one of commit or rollback is called."""

    def begin(self, *, durable: bool) -> Tx_co:
        """Begin; the lock is taken.

        `durable` False: the commit need not wait for the disk; the next durable one, or `sync`, makes up for it.
        """

    def try_begin(self) -> Tx_co | None:
        """As `lock` and `begin` with `durable` False if that is possible without waiting for anything, else None."""

    def sync(self) -> None:
        """Make durable what was committed without waiting. Called without a transaction."""

    def foreign(self, *, look: bool) -> int:
        """Grows when another process has committed. `look`: ask now, else the answer is as of a `begin` of a moment ago."""

    def mark(self) -> None:
        """Begin an operation that can be undone alone."""

    def keep(self) -> None:
        """The operation since `mark` was right."""

    def undo(self) -> None:
        """Undo since `mark`. Raises UnavailableError when the whole transaction is lost."""

    def commit(self) -> Sequence[MailboxChanged]:
        """Make it durable and give up the lock; tells which mailboxes changed."""

    def rollback(self) -> None:
        """Give all up, the lock too. Never raises."""

    def failure(self, error: Exception) -> UnavailableError:
        """The error by meaning; a connection that is no longer sound is dropped."""

    def close(self) -> None: ...


class _Job:
    """One operation and the future of its caller."""

    __slots__ = ("args", "claimed", "durable", "error", "future", "kwargs", "operation", "result", "since")

    def __init__(
        self,
        operation: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        future: "asyncio.Future[Any]",
        durable: bool,
    ) -> None:
        self.durable = durable
        self.operation = operation
        self.args = args
        self.kwargs = kwargs
        self.future = future
        self.since = time.monotonic()
        self.claimed = threading.Lock()
        self.result: Any = None
        self.error: StoreError | None = None

    def claim(self) -> bool:
        """True for the first who asks."""
        return self.claimed.acquire(blocking=False)


def _nothing() -> None:
    """Never run."""


_WAKE: Final = _Job(_nothing, (), {}, None, durable=False)  # type: ignore[arg-type]  # nobody waits for it
"""In the queue, only to be taken out of it."""


class GroupWriter(Generic[TxT]):
    """The one writer of a process. `wait_limit_s`: how long an operation may wait to be begun.

    `group_limit` bounds how long one group holds the lock that other processes wait for: 256 deliveries are some 10 ms.
    """

    def __init__(self, transactions: Transactions[TxT], *, wait_limit_s: float = 30.0, group_limit: int = 256) -> None:
        self._transactions = transactions
        self._wait_limit_s = wait_limit_s
        self._group_limit = group_limit
        self._queue: SimpleQueue[_Job | None] = SimpleQueue()
        self._pending: deque[_Job] = deque()
        self._fresh: list[_Job] = []
        """Of this turn of the event loop: not handed over yet."""
        self._fresh_loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_loop: asyncio.AbstractEventLoop | None = None
        self._listeners: list[Callable[[Sequence[MailboxChanged]], None]] = []
        self._thread: threading.Thread | None = None
        self._closed = False
        self._unsynced_since: float | None = None
        self._served = False
        """The thread has taken the last operation there is."""
        self._turn = threading.Lock()
        """Held by whoever uses the database connection: the writer thread, or `small_soon`."""
        self._foreign = 0
        self.groups = 0
        self.operations = 0

    def listen(self, heard: Callable[[Sequence[MailboxChanged]], None]) -> None:
        """Call `heard` on the event loop after each commit that changed mailboxes, before the callers go on."""
        self._listeners.append(heard)

    def submit(
        self, operation: Callable[Concatenate[TxT, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> "asyncio.Future[T]":
        """Hand an operation to the writer; the future is done after the durable commit. Called on an event loop."""
        return self._submit(operation, args, kwargs, durable=True)

    def submit_soon(
        self, operation: Callable[Concatenate[TxT, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> "asyncio.Future[T]":
        """The same for what a power loss may take back: committed at once, on disk within RELAXED_S."""
        return self._submit(operation, args, kwargs, durable=False)

    async def small_soon(self, operation: Callable[Concatenate[TxT, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `submit_soon`, for work of a millisecond at most: done here and now if nobody writes, without two thread switches.

        Nothing in it waits for the disk; if another process holds the lock, or operations wait, it takes the usual way.
        """
        if self._pending or self._closed or not self._turn.acquire(blocking=False):
            return await self.submit_soon(operation, *args, **kwargs)
        try:
            tx = None if self._overdue() else self._transactions.try_begin()
            done = None if tx is None else self._at_once(tx, operation, args, kwargs)
        finally:
            self._turn.release()
        if done is None:
            return await self.submit_soon(operation, *args, **kwargs)
        result, changed = done
        if changed:
            self._tell(changed)
        return result

    def _at_once(
        self, tx: TxT, operation: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[T, Sequence[MailboxChanged]]:
        """One operation alone in a transaction that was begun. Raises StoreError."""
        transactions = self._transactions
        try:
            result = operation(tx, *args, **kwargs)
            changed = transactions.commit()
        except StoreError:
            transactions.rollback()
            raise
        except Exception as error:
            transactions.rollback()
            _log.exception("store operation %s failed", getattr(operation, "__name__", "?"))
            raise transactions.failure(error) from error
        self.groups += 1
        self.operations += 1
        if self._unsynced_since is None:
            self._unsynced_since = time.monotonic()
            self._begin_thread()
            self._queue.put(_WAKE)  # the thread has to see to the sync
        return result, changed

    def others_committed(self) -> bool:
        """Did another process commit since the last call? While a group is being written, as of a moment before it."""
        free = self._turn.acquire(blocking=False)
        try:
            found = self._transactions.foreign(look=free)
        finally:
            if free:
                self._turn.release()
        before, self._foreign = self._foreign, found
        return found != before

    def _submit(
        self, operation: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], *, durable: bool
    ) -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closed:
            future.set_exception(UnavailableError("the store is closed"))
            return future
        job = _Job(operation, args, kwargs, future, durable)
        self._pending.append(job)
        if self._fresh_loop is not loop:
            self.hand_over()  # of a loop that has ended
            self._fresh_loop = loop
        if not self._fresh:
            loop.call_soon(self.hand_over)
        self._fresh.append(job)
        if self._timer is None or self._timer_loop is not loop:
            self._watch(loop)
        return future

    def hand_over(self) -> None:
        """Let the thread begin: at the end of the event loop's turn, lest it fight with what comes in the same turn.

        To be called by who has work to do meanwhile.
        """
        fresh, self._fresh = self._fresh, []
        for job in fresh:
            self._queue.put(job)
        if fresh:
            self._begin_thread()

    def _begin_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="store-writer", daemon=True)
            self._thread.start()

    async def close(self) -> None:
        """Finish what was handed over, then stop. Gives up after the wait limit if the thread hangs."""
        if self._closed:
            return
        self._closed = True
        self.hand_over()
        if self._thread is not None:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join, self._wait_limit_s)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._fail_waiting(0.0)
        if self._thread is None or not self._thread.is_alive():
            self._transactions.close()

    # On the event loop

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer_loop = loop
        self._timer = loop.call_later(max(self._wait_limit_s / 4, 0.01), self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._fail_waiting(self._wait_limit_s)
        if self._pending:
            self._watch(loop)

    def _fail_waiting(self, limit_s: float) -> None:
        oldest = time.monotonic() - limit_s
        kept: deque[_Job] = deque()
        for job in self._pending:
            if job.future.done():
                continue
            if job.since <= oldest and job.claim():
                job.future.set_exception(UnavailableError(f"the store could not begin within {self._wait_limit_s:g} s"))
            else:
                kept.append(job)
        self._pending = kept

    def _settle(self, jobs: list[_Job], changed: Sequence[MailboxChanged]) -> None:
        if changed:
            self._tell(changed)
        for job in jobs:
            if job.future.done():
                continue
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)
        pending = self._pending
        while pending and pending[0].future.done():
            pending.popleft()

    def _tell(self, changed: Sequence[MailboxChanged]) -> None:
        for heard in self._listeners:
            try:
                heard(changed)
            except Exception:  # noqa: BLE001  # a listener is not ours
                _log.exception("a listener failed; the commit stands")

    # In the writer thread

    def _serve(self) -> None:
        while not self._served:
            job = self._next()
            group: list[_Job] = []
            if job is None:
                self._served = True
            elif job is not _WAKE:
                group.append(job)
            self._gather(group)
            if group:
                self._commit(group)

    def _gather(self, group: list[_Job]) -> bool:
        """Add what waits, up to the limit; whether there was something."""
        before = len(group)
        with contextlib.suppress(Empty):
            while not self._served and len(group) < self._group_limit:
                job = self._queue.get_nowait()
                if job is None:
                    self._served = True
                elif job is not _WAKE:
                    group.append(job)
        return len(group) > before

    def _next(self) -> _Job | None:
        """Wait for an operation; meanwhile make durable what was committed without waiting. None: the end."""
        if self._unsynced_since is None:
            return self._queue.get()
        try:
            return self._queue.get(timeout=max(0.0, self._unsynced_since + RELAXED_S - time.monotonic()))
        except Empty:
            self._sync()
            return self._queue.get()

    def _sync(self) -> None:
        self._unsynced_since = None
        try:
            with self._turn:
                self._transactions.sync()
        except Exception as error:  # noqa: BLE001  # the operations are committed; the next durable one tries again
            _log.error("flags could not be made durable yet: %s", self._transactions.failure(error))

    def _overdue(self) -> bool:
        """Has something been without a sync for as long as it may?"""
        since = self._unsynced_since
        return since is not None and time.monotonic() - since >= RELAXED_S

    def _commit(self, group: list[_Job]) -> None:
        with self._turn:
            claimed, changed = self._transact(group)
        self._answer(claimed, changed)

    def _transact(self, group: list[_Job]) -> tuple[list[_Job], Sequence[MailboxChanged]]:
        """One transaction. `group` gets what comes while the lock is waited for.

        Gives the operations to answer, with their results in them, and what changed.
        """
        claimed: list[_Job] = []
        changed: Sequence[MailboxChanged] = ()
        durable = False
        try:
            tx, durable = self._begin(group)
            claimed = [job for job in group if not job.future.cancelled() and job.claim()]
            if not self._together(claimed, tx):
                if len(claimed) < 2:
                    return claimed, ()
                self._apart(claimed, self._again(durable=durable))
            changed = self._transactions.commit()
            self._unsynced_since = None if durable else self._unsynced_since or time.monotonic()
            self.groups += 1
            self.operations += len(claimed)
        except Exception as error:  # noqa: BLE001  # whatever it is, the callers must be answered
            self._transactions.rollback()
            claimed += [job for job in group if job.claim()]
            self._fail(claimed, error)
            changed = ()
        return claimed, changed

    def _begin(self, group: list[_Job]) -> tuple[TxT, bool]:
        """The transaction, and whether it is durable."""
        transactions = self._transactions
        transactions.prepare()
        transactions.lock()
        if self._gather(group):
            transactions.prepare()
        durable = self._overdue() or any(job.durable for job in group)
        return transactions.begin(durable=durable), durable

    def _again(self, *, durable: bool) -> TxT:
        self._transactions.lock()
        return self._transactions.begin(durable=durable)

    def _together(self, jobs: list[_Job], tx: TxT) -> bool:
        """Run all; False when there is none, or one has failed: then the transaction is rolled back.

        A lone one's error is its answer.
        """
        for job in jobs:
            try:
                job.result = job.operation(tx, *job.args, **job.kwargs)
            except Exception as error:  # noqa: BLE001  # a defect in one operation must not stop the writer
                if len(jobs) == 1:
                    self._failed(job, error)
                self._transactions.rollback()
                return False
        if not jobs:
            self._transactions.rollback()
        return bool(jobs)

    def _apart(self, jobs: list[_Job], tx: TxT) -> None:
        """Run each in a savepoint, undone if it fails. Raises only when the whole transaction is lost."""
        for job in jobs:
            self._transactions.mark()
            try:
                job.result = job.operation(tx, *job.args, **job.kwargs)
            except Exception as error:  # noqa: BLE001  # likewise
                self._failed(job, error)
                self._transactions.undo()
            else:
                self._transactions.keep()

    def _failed(self, job: _Job, error: Exception) -> None:
        if isinstance(error, StoreError):
            job.error = error
            return
        job.error = self._transactions.failure(error)
        _log.exception("store operation %s failed", getattr(job.operation, "__name__", "?"))

    def _fail(self, jobs: list[_Job], error: Exception) -> None:
        if not jobs:
            return
        failure = self._transactions.failure(error)
        _log.error("store transaction of %d operations failed: %s", len(jobs), failure)
        for job in jobs:
            if job.error is None:
                job.error = UnavailableError(str(failure))
                job.error.__cause__ = error

    def _answer(self, jobs: list[_Job], changed: Sequence[MailboxChanged]) -> None:
        """One call into each event loop that has callers here; in practice there is one."""
        by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
        for job in jobs:
            by_loop.setdefault(job.future.get_loop(), []).append(job)
        for loop, some in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._settle, some, changed)
            except RuntimeError:  # the loop is closed: nobody waits any more
                _log.warning("%d store results came after their event loop was closed", len(some))
            changed = ()
