"""The loop: lease what is due, start what the plan says, settle what came of it.

Theory of operation. Everything that matters is in the store; what is here may be lost at any moment. A recipient is leased,
tried, and settled in one transaction with whatever follows from it. Killed before the settlement, its lease ends and it is tried
again: at worst a server that had taken the message gets it twice, never not at all.

The lease loop asks the store when it was woken, when something leased before is done, or when something is due; in between
it costs nothing. Each job (`plan`) is a task of its own: route, try one server after the other, settle. A settlement that
the store refuses is repeated until it is taken, for the mail has left. At most `max_leased` recipients are in memory,
whatever waits.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, final

from poterne.config.settings import Settings
from poterne.observe import Log
from poterne.policy.retry import RetryTimes, dead_s
from poterne.queue.attempt import attempt, demands_tls
from poterne.queue.bounce import Notices
from poterne.queue.connections import ConnectionLimits, Connections
from poterne.queue.domains import LocalDomains
from poterne.queue.fate import Fate
from poterne.queue.forwards import FailedForwards
from poterne.queue.local import LocalDelivery, Rewrite
from poterne.queue.outcome import AttemptResult, Delivered, Hop, HopTimeouts, Permanent, Stage, Transient
from poterne.queue.pauses import Pauses
from poterne.queue.plan import Course, Job, Limits, Plan
from poterne.queue.route import Ourselves, Router
from poterne.queue.routes import LOCAL, Routes
from poterne.queue.security import Security, is_report
from poterne.queue.settle import Counters, Settler
from poterne.queue.signing import Signing
from poterne.queue.tls_upkeep import of_queue
from poterne.store.errors import StoreError
from poterne.store.interface import Settled, Store
from poterne.values.dns import Mx, Resolver
from poterne.values.ids import QueueId
from poterne.values.networks import parse_address
from poterne.values.queue import QueuedMessage, QueuedRecipient

LEASE_S: Final = 4 * 3600
"""Longer than an attempt may last, and what it may wait here before."""
MARGIN_S: Final = 300
LEASE_MOST: Final = 500
"""Recipients in one call: the store is not held for long."""
POLL_S: Final = 2.0
"""How often the store is asked when nobody wakes us."""
TROUBLE_S: Final = 5.0
"""Pause after the store failed."""
LOOK_S: Final = 10
STALE_S: Final = 60
"""What waited here so long for a server that nothing is known of makes room for other mail of its origin."""
DOWN_S: Final = 300
"""A server that could not be reached is tried behind the others of its destination for so long."""
DOWN_MOST: Final = 10_000
_UNREACHABLE: Final = frozenset({Stage.CONNECT, Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.TLS, Stage.AUTH})


class Try(Protocol):
    """One message at one server: `attempt`, with its connections."""

    async def __call__(
        self, hop: Hop, message: QueuedMessage, recipients: Sequence[QueuedRecipient], /
    ) -> AttemptResult: ...


@dataclass(frozen=True, slots=True)
class Chance:
    """Where chance comes from, given so that tests have none."""

    number: Callable[[], float]
    """In [0, 1)."""
    shuffled: Callable[[list[Mx]], None]
    """Puts a list in another order."""


@final
class Runner:
    """One per store and process. `run` until `stop`; `wake` when something was queued or released.

    `folder`: where files that the settings name are relative to. `alone`: nobody else runs this queue, so what is leased at the
    start was leased by somebody who is gone.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        resolver: Resolver | None,
        folder: Path,
        *,
        log: Log,
        clock: Callable[[], float],
        chance: Chance,
        rewrite: Rewrite | None = None,
        counters: Counters | None = None,
        alone: bool = True,
        timeouts: HopTimeouts | None = None,
        attempts: Try | None = None,
        poll_s: float = POLL_S,
    ) -> None:
        queue = settings.queue
        timeouts = hop_timeouts(settings) if timeouts is None else timeouts
        self._store: Final = store
        self._log: Final = log
        self._clock: Final = clock
        self._chance: Final = chance
        self._alone: Final = alone
        self._poll_s: Final = poll_s
        self._timeouts: Final = timeouts
        self._times: Final = retry_times(settings)
        self._routes: Final = Routes(settings.route, folder)
        us, shuffled = ourselves(settings, timeouts), chance.shuffled
        self._security: Final = (
            None if resolver is None else Security(store, resolver, settings, folder, clock=clock, log=log)
        )
        self.router: Final = Router(self._routes, resolver, us, shuffled, self._security)
        self._plan: Final = Plan(
            Limits(
                queue.max_attempts,
                queue.max_leased,
                min(queue.per_destination_start, queue.per_destination),
                queue.per_destination,
                queue.max_recipients,
            )
        )
        self._domains: Final = LocalDomains(store, clock)
        self.tls_upkeep: Final = (
            None
            if resolver is None or self._security is None
            else of_queue(
                self._security, store, resolver, settings, self._domains, clock=clock, chance=chance.number, log=log
            )
        )
        """To be run beside the runner; None without DNS."""
        hostname, language = settings.server.hostname, settings.server.language
        notices = Notices(store, hostname, language, self._routes, self._domains, queue.return_whole_bytes)
        forwards = FailedForwards(store, hostname, language, self._domains, clock, log)
        self._settler: Final = Settler(store, notices, forwards, self._times, clock, chance.number, log, counters)
        self._local: Final = LocalDelivery(store, self._settler, rewrite, clock, self._domains)
        self._signing: Final = Signing(store, settings, clock=clock, log=log)
        self._connections: Final = Connections(connection_limits(settings))
        self._pauses: Final = Pauses(store, log)
        self._try: Final[Try] = attempts if attempts is not None else self._attempt
        self._woken: Final = asyncio.Event()
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._held: Final[set[QueueId]] = set()
        """Recipients that are in the plan, or being tried: a lease that ran out does not bring them in twice."""
        self._down: Final[dict[str, int]] = {}
        self._looked_at = 0
        self._low = 0
        """Lease again when fewer than this are left."""
        self._stopping = False

    # -- what others call ----------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Something was queued, released or made due. Safe to call at any time, on the event loop."""
        self._woken.set()

    @property
    def leased(self) -> int:
        """Recipients in memory."""
        return self._plan.leased

    @property
    def running(self) -> int:
        """Jobs that are being tried."""
        return self._plan.running

    async def run(self) -> None:
        """Until `stop`. Store failures are logged and waited out; nothing is raised."""
        await self._reclaim()
        while not self._stopping:
            self._woken.clear()
            pause_s = await self._round()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()

    async def stop(self, grace_s: float = 10.0) -> None:
        """Start nothing more; what is being tried gets that long to end. What is leased is leased until the next start."""
        self._stopping = True
        self._woken.set()
        for job in self._plan.drain():
            self._held.difference_update(recipient.id for recipient in job.recipients)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace_s)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._connections.close()
        if self._security is not None:
            with contextlib.suppress(StoreError):
                await self._security.tally.flush()

    # -- leasing -------------------------------------------------------------------------------------------------------

    async def _reclaim(self) -> None:
        while self._alone and not self._stopping:
            try:
                if count := await self._store.reclaim():
                    self._log.info("queue.reclaimed", recipients=count)
            except StoreError as error:
                self._log.error("queue.unavailable", problem=str(error))
                await asyncio.sleep(TROUBLE_S)
            else:
                return

    async def _round(self) -> float:
        """Lease and start; gives how long to wait unless woken."""
        try:
            if await self._pauses.look(int(self._clock())):
                self._give_back(self._plan.take_back(self._pauses.covers), int(self._clock()))
            got = 0 if self._pauses.everything else await self._lease()
            if self._stopping:
                return 0.0
            self._start()
            if got:
                self._low = max(1, self._plan.leased // 2)
                return 0.0 if self._plan.room >= LEASE_MOST // 2 and got >= LEASE_MOST else self._poll_s
            self._low = 0
            if self._pauses.any:  # what is due may be what is paused
                return self._poll_s
            due = await self._store.next_due(int(self._clock()))
        except StoreError as error:
            self._log.error("queue.unavailable", problem=str(error))
            return TROUBLE_S
        return self._poll_s if due is None else min(self._poll_s, max(0.05, due - self._clock()))

    async def _lease(self) -> int:
        """How many recipients came."""
        now = int(self._clock())
        self._make_room(now)
        got = 0
        for crowded, full in self._plan.orders():
            limit = min(self._plan.room, LEASE_MOST - got)
            if limit > 0:
                busy: set[str] = set()
                for destination in crowded:
                    busy |= self._routes.domains_of(destination)
                busy |= self._pauses.domains
                got += await self._lease_some(now, limit, frozenset(busy), full | self._pauses.origins)
        return got

    async def _lease_some(self, now: int, limit: int, busy: frozenset[str], full: frozenset[str]) -> int:
        until = now + LEASE_S
        ours = await self._domains.names()  # before: what was leased is known to nobody else
        leased = await self._store.lease(now, until, limit, min(limit, self._plan.origin_room), busy, full)
        new = [recipient for recipient in leased if recipient.id not in self._held]
        if not new:
            return 0
        self._held.update(recipient.id for recipient in new)
        placed = [(one, LOCAL if one.domain in ours else self.router.destination(one.domain)) for one in new]
        self._put_off(self._plan.add(placed, until, now))
        return len(new)

    def _make_room(self, now: int) -> None:
        """End leases of what waits in vain: those that would not outlast an attempt, and those behind slow servers."""
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        longest = self._timeouts.total_s + self._timeouts.final_s + MARGIN_S
        later = now + int(self._times.first_s * (1 + self._chance.number()))
        self._give_back(self._plan.give_back(int(now + longest)), now)
        self._give_back(self._plan.stale(now - STALE_S), later)

    def _give_back(self, jobs: Iterable[Job], due_at: int) -> None:
        """End their leases untried."""
        untried = [
            Settled(recipient.id, done=False, due_at=due_at, attempted=False)
            for job in jobs
            for recipient in job.recipients
        ]
        if untried:
            self._task(self._end_untried(untried))

    async def _end_untried(self, untried: Sequence[Settled]) -> None:
        try:
            await self._until_taken(lambda: self._store.settle(untried), "")
        finally:
            self._held.difference_update(one.id for one in untried)

    # -- jobs ----------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        while not self._stopping and (job := self._plan.take()) is not None:
            self._task(self._run(job))

    def _task(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: Job) -> None:
        course = Course.WELL
        try:
            if job.destination == LOCAL:
                await self._deliver(job)
            else:
                fates, course = await self._send(job)
                await self._settle(job.message, fates)
        except StoreError as error:  # the message can't be read: its lease is ended as far as possible
            await self._failed(job, str(error))
        except Exception as error:  # noqa: BLE001  a bug must not stop the queue, nor lose mail
            self._log.error("queue.bug", trace=job.message.trace_id, to=job.destination, exc_info=error)
            await self._failed(job, type(error).__name__)
            course = Course.BUSY
        finally:
            self._held.difference_update(recipient.id for recipient in job.recipients)
            self._after(job, course)

    def _after(self, job: Job, course: Course) -> None:
        pause_s = 0
        if course is Course.UNREACHABLE:
            pause_s = dead_s(self._plan.failures(job.destination) + 1, self._times, self._chance.number())
        self._put_off(self._plan.finish(job, course, int(self._clock()), pause_s))
        self._start()
        if self._plan.leased < self._low:
            self._woken.set()

    async def _deliver(self, job: Job) -> None:
        await self._local.deliver(job.message, job.recipients)

    async def _failed(self, job: Job, problem: str) -> None:
        """Something of ours failed: all of it later."""
        self._log.error("queue.failed", trace=job.message.trace_id, to=job.destination, problem=problem)
        outcome = Transient("Something failed on this server", 451, "4.3.0", local=True)
        await self._settle(job.message, [Fate(recipient, outcome) for recipient in job.recipients])

    async def _settle(self, message: QueuedMessage, fates: Sequence[Fate]) -> None:
        """A server may have taken the mail, so it must be written down."""
        await self._until_taken(lambda: self._settler.settle(message, fates), message.trace_id)

    async def _until_taken(self, work: Callable[[], Awaitable[object]], trace: str) -> None:
        pause_s = 0.5
        while True:
            try:
                await work()
            except StoreError as error:
                self._log.error("queue.unsettled", trace=trace, problem=str(error))
                if self._stopping:
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, 30.0)
            else:
                return

    def _put_off(self, jobs: Iterable[Job]) -> None:
        """Their destination is dead: tried later, without an attempt now."""
        for job in jobs:
            until = self._plan.dead_until(job.destination, int(self._clock()))
            fates = [
                Fate(
                    recipient,
                    Transient(recipient.last_reply or _DEAD, 450, "4.4.1", local=True),
                    not_before=until + int(self._chance.number() * 60),
                )
                for recipient in job.recipients
            ]
            self._task(self._finish_off(job, fates))

    async def _finish_off(self, job: Job, fates: Sequence[Fate]) -> None:
        try:
            await self._settle(job.message, fates)
        finally:
            self._held.difference_update(recipient.id for recipient in job.recipients)

    # -- sending -------------------------------------------------------------------------------------------------------

    async def _attempt(
        self, hop: Hop, message: QueuedMessage, recipients: Sequence[QueuedRecipient], /
    ) -> AttemptResult:
        return await attempt(hop, message, recipients, self._store.blobs, self._connections, self._signing)

    async def _send(self, job: Job) -> tuple[list[Fate], Course]:
        domain, message = job.recipients[0].domain, job.message
        optional = message.tls_optional or is_report(message)
        found = await self.router.ways(domain, requiretls=demands_tls(message), optional=optional)
        if not isinstance(found, tuple):
            return [Fate(recipient, found) for recipient in job.recipients], Course.WELL
        result: AttemptResult | None = None
        for hop in self._best_first(found):
            result = await self._try(hop, message, job.recipients)
            self._note(result)
            if self._security is not None:
                self._security.seen(message, domain, result)
            if not result.try_next:
                break
        assert result is not None  # noqa: S101  (there is a hop at least)
        return _fates(job.recipients, result), _course(result)

    def _best_first(self, hops: Sequence[Hop]) -> list[Hop]:
        """Those that could not be reached a moment ago come last."""
        if not self._down:
            return list(hops)
        now = int(self._clock())
        return sorted(hops, key=lambda hop: self._down.get(hop.address, 0) > now)

    def _note(self, result: AttemptResult) -> None:
        hop = result.hop
        if result.failed_at in {Stage.CONNECT, Stage.GREETING}:
            if len(self._down) >= DOWN_MOST:
                self._down.pop(next(iter(self._down)))
            self._down[hop.address] = int(self._clock()) + DOWN_S
        elif self._down:
            self._down.pop(hop.address, None)


_DEAD: Final = "The servers of this destination could not be reached several times: it is left alone for a while"


def _fates(recipients: Iterable[QueuedRecipient], result: AttemptResult) -> list[Fate]:
    hop = result.hop
    return [
        Fate(
            recipient,
            result.outcomes[recipient.id],
            host=hop.name,
            address=hop.address,
            tls=result.tls,
            tls_policy=hop.applied.kind.value if hop.applied is not None and hop.applied.strings else "",
            promises=result.dsn,
            mailbox=hop.lmtp,
        )
        for recipient in recipients
    ]


def _course(result: AttemptResult) -> Course:
    if result.failed_at in _UNREACHABLE:
        return Course.UNREACHABLE
    if result.failed_at is not None:
        return Course.BUSY
    outcomes: Mapping[QueueId, Delivered | Transient | Permanent] = result.outcomes
    if outcomes and all(isinstance(outcome, Transient) and outcome.code == 421 for outcome in outcomes.values()):
        return Course.BUSY
    return Course.WELL


def retry_times(settings: Settings) -> RetryTimes:
    """The settings that `policy.retry` wants."""
    queue = settings.queue
    return RetryTimes(
        queue.first_retry_s, queue.longest_retry_s, queue.give_up_s, queue.give_up_notices_s, queue.delay_notice_s
    )


def hop_timeouts(settings: Settings) -> HopTimeouts:
    """How long other servers may take."""
    queue = settings.queue
    return HopTimeouts(
        connect_s=float(queue.connect_s),
        greeting_s=float(queue.reply_s),
        command_s=float(queue.reply_s),
        final_s=float(queue.final_reply_s),
    )


def connection_limits(settings: Settings) -> ConnectionLimits:
    """How long connections to other servers are kept."""
    queue = settings.queue
    if not queue.connection_idle_s:
        return ConnectionLimits(queue.connection_messages, idle_most=0)
    return ConnectionLimits(queue.connection_messages, idle_s=float(queue.connection_idle_s))


def ourselves(settings: Settings, timeouts: HopTimeouts) -> Ourselves:
    """What the settings say of how we are known."""
    addresses = set()
    for listener in settings.listener.values():
        if listener.service == "mx":
            for text in listener.addresses:
                address = parse_address(text)
                if address is not None and not address.is_unspecified:
                    addresses.add(str(address))
    queue = settings.queue
    return Ourselves(
        settings.server.hostname,
        frozenset(addresses),
        queue.source_v4,
        queue.source_v6,
        queue.mx_port,
        queue.private_mx,
        timeouts,
    )
