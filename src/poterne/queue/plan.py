"""Whose turn it is: which of the leased recipients are tried next, as a pure plan without a clock.

Theory of operation. Leased recipients become *jobs*: one message, one destination, up to `max_recipients` recipients. Jobs wait
by origin, and in an origin by destination. Two things are scarce: conversations at all (`max_attempts`), and conversations
with one destination (its *window*).

- Origins take turns, one job each. An origin has at most as many conversations as are still free: alone it gets half of them,
  the next one half of the rest, so that there is always room for somebody who has none. What is leased for one origin is
  bounded in the same way (`room`), so that a burst does not fill the memory either.
- In an origin, destinations take turns, so that a slow one does not stop the others. Those that never took mail yet have three
  quarters of its conversations at most, so that tarpits leave room for servers that are known to work; and what waits long
  for them while its origin's share of the memory is full makes room for what comes behind it (`stale`).
- A destination's window begins small, grows by success and shrinks by failure (Postfix's scheduler has shown how: growth by
  1/window for each success, so that a window doubles slowly). One conversation of it is kept for other origins: a
  burst never has the whole window, unless the window is one.
- A destination that could not be connected to several times in a row is *dead*: what waits for it is given back to be put
  off, and so is whatever comes, until `dead_until`. Then one job goes as a probe while the rest waits.

What can't start now is *parked* at its destination and looked at again when a conversation with that destination ends, so
that choosing costs the same however much waits.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, final

from poterne.values.ids import QueueMessageId
from poterne.values.queue import QueuedMessage, QueuedRecipient

DEAD_AFTER: Final = 3
"""Connection failures in a row."""
REMEMBERED: Final = 10_000
"""Destinations of which nothing waits that are remembered; of others the window is learned again."""


class Course(Enum):
    """How a conversation went, as far as the destination is concerned; what it said of recipients is not asked here."""

    WELL = "well"
    """It talked to us, whatever it said of the mail."""
    BUSY = "busy"
    """It asked to be left alone (421, 4xx to all) or broke off: fewer conversations."""
    UNREACHABLE = "unreachable"
    """No connection, no greeting, no TLS: nothing could even be tried."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much at once. `per_destination_start` is at least 2."""

    max_attempts: int = 100
    max_leased: int = 2_000
    per_destination_start: int = 3
    per_destination: int = 20
    max_recipients: int = 100


@dataclass(slots=True, eq=False)
class Job:
    """What one conversation is about: a message and the recipients of it that one destination gets."""

    message: QueuedMessage
    destination: str
    recipients: list[QueuedRecipient]
    lease_until: int
    added_at: int
    probe: bool = False
    unproven: bool = False
    """Its destination never took mail yet, as far as is known."""

    @property
    def origin(self) -> str:
        return self.message.origin.key


@dataclass(slots=True)
class _Destination:
    name: str
    window: float
    running: dict[str, int] = field(default_factory=dict)
    """Conversations by origin."""
    total: int = 0
    waiting: int = 0
    """Recipients in jobs that have not begun."""
    failures: int = 0
    """Connection failures in a row."""
    dead_until: int = 0
    proven: bool = False
    """It took mail lately."""
    parked: dict[str, None] = field(default_factory=dict)
    """Origins that have jobs for it and could not start."""

    @property
    def idle(self) -> bool:
        return not (self.total or self.waiting)

    def admits(self, origin: str) -> bool:
        if self.failures >= DEAD_AFTER:
            return self.total == 0  # a probe
        window = max(1, int(self.window))
        if self.total >= window:
            return False
        return window == 1 or self.running.get(origin, 0) < window - 1


@dataclass(slots=True)
class _Origin:
    name: str
    jobs: dict[str, deque[Job]] = field(default_factory=dict)
    """By destination."""
    ready: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Destinations that may have room, in turn."""
    deferred: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Unproven destinations that wait for others of that kind."""
    running: int = 0
    unproven: int = 0
    """Conversations with unproven destinations."""
    leased: int = 0
    """Recipients, waiting and in conversations."""


@final
class Plan:
    """`add` what was leased, `take` jobs until there is none, tell `finish` how each went. `now` is in Unix seconds."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._origins: Final[dict[str, _Origin]] = {}
        self._turn: Final[OrderedDict[str, None]] = OrderedDict()
        """Origins with something ready."""
        self._destinations: Final[OrderedDict[str, _Destination]] = OrderedDict()
        """Those last used at the end."""
        self._open: Final[dict[tuple[QueueMessageId, str], Job]] = {}
        """Jobs that can still take recipients."""
        self.leased = 0
        self.running = 0

    # -- what comes in -------------------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many recipients more fit into memory."""
        return max(0, self.limits.max_leased - self.leased)

    @property
    def origin_room(self) -> int:
        """How many recipients an origin that has none here may get."""
        return max(1, self.room // 2) if self.room else 0

    def full_origins(self) -> frozenset[str]:
        """Origins that have their share of the memory: as much as is still free."""
        room = self.room
        return frozenset(name for name, origin in self._origins.items() if origin.leased >= room)

    def crowded(self) -> frozenset[str]:
        """Destinations for which enough waits here to keep them busy: more need not be leased of those who wait for them."""
        enough = 2 * self.limits.max_recipients
        return frozenset(
            name
            for name, found in self._destinations.items()
            if found.waiting >= enough or (found.failures >= DEAD_AFTER and found.waiting)
        )

    def orders(self) -> list[tuple[frozenset[str], frozenset[str]]]:
        """What to lease next, as destinations and origins to pass over.

        First what is not for crowded destinations; then also for these, of origins that did not crowd them: or a burst would
        keep everybody else's mail for its destination in the store.
        """
        full, crowded = self.full_origins(), self.crowded()
        if not crowded:
            return [(crowded, full)]
        return [(crowded, full), (frozenset(), full | self._crowders(crowded))]

    def _crowders(self, crowded: Iterable[str]) -> frozenset[str]:
        found: set[str] = set()
        for destination in crowded:
            for name, origin in self._origins.items():
                jobs = origin.jobs.get(destination)
                if jobs and sum(len(job.recipients) for job in jobs) >= self.limits.per_destination:
                    found.add(name)
        return frozenset(found)

    def dead_until(self, destination: str, now: int) -> int:
        """Until when a destination is left alone; 0: it is not."""
        found = self._destinations.get(destination)
        if found is None or found.failures < DEAD_AFTER or found.dead_until <= now:
            return 0
        return found.dead_until

    def add(self, recipients: Iterable[tuple[QueuedRecipient, str]], lease_until: int, now: int) -> list[Job]:
        """Take leased recipients, each with its destination. What goes to a dead one is given back, to be put off."""
        put_off: dict[tuple[QueueMessageId, str], Job] = {}
        for recipient, destination in recipients:
            key = (recipient.message.id, destination)
            if self.dead_until(destination, now):
                job = put_off.setdefault(key, Job(recipient.message, destination, [], lease_until, now))
                job.recipients.append(recipient)
                continue
            self._add(recipient, key, lease_until, now)
        return list(put_off.values())

    def _add(self, recipient: QueuedRecipient, key: tuple[QueueMessageId, str], lease_until: int, now: int) -> None:
        name = recipient.message.origin.key
        origin = self._origins.get(name)
        if origin is None:
            origin = self._origins[name] = _Origin(name)
        destination = self._destination(key[1])
        job = self._open.get(key)
        if job is None or len(job.recipients) >= self.limits.max_recipients:
            job = self._open[key] = Job(recipient.message, key[1], [], lease_until, now)
            origin.jobs.setdefault(key[1], deque()).append(job)
            if name not in destination.parked and key[1] not in origin.deferred:
                origin.ready[key[1]] = None
                self._turn[name] = None
        job.recipients.append(recipient)
        job.lease_until = min(job.lease_until, lease_until)
        origin.leased += 1
        destination.waiting += 1
        self.leased += 1

    def _destination(self, name: str) -> _Destination:
        found = self._destinations.get(name)
        if found is None:
            self._forget()
            found = self._destinations[name] = _Destination(name, float(self.limits.per_destination_start))
        return found

    def _forget(self) -> None:
        """The destinations unused for longest go, when there are too many that nothing waits for."""
        while len(self._destinations) >= REMEMBERED + self.leased:
            for name, found in self._destinations.items():
                if found.idle:
                    del self._destinations[name]
                    break
            else:
                return

    # -- what goes out -------------------------------------------------------------------------------------------------

    def take(self) -> Job | None:
        """The next job to start, if one can start now."""
        free = self.limits.max_attempts - self.running
        if free <= 0:
            return None
        for _ in range(len(self._turn)):
            name, _none = self._turn.popitem(last=False)
            origin = self._origins[name]
            if origin.running >= free:
                self._turn[name] = None
                continue
            most_unproven = max(1, (free + origin.running) * 3 // 8)  # three quarters of half of them
            job = self._take_of(origin, most_unproven)
            if origin.ready or (origin.deferred and origin.unproven < most_unproven):
                self._turn[name] = None
            if job is not None:
                return job
        return None

    def _take_of(self, origin: _Origin, most_unproven: int) -> Job | None:
        while True:
            if origin.deferred and origin.unproven < most_unproven:
                name, _none = origin.deferred.popitem(last=False)
            elif origin.ready:
                name, _none = origin.ready.popitem(last=False)
            else:
                return None
            destination = self._destinations[name]
            if not destination.admits(origin.name):
                destination.parked[origin.name] = None
                continue
            if not destination.proven and origin.unproven >= most_unproven:
                origin.deferred[name] = None
                continue
            return self._taken(origin, destination)

    def _taken(self, origin: _Origin, destination: _Destination) -> Job:
        name = destination.name
        jobs = origin.jobs[name]
        job = jobs.popleft()
        if jobs:
            origin.ready[name] = None
        else:
            del origin.jobs[name]
        key = (job.message.id, name)
        if self._open.get(key) is job:
            del self._open[key]
        job.probe = destination.failures >= DEAD_AFTER
        destination.waiting -= len(job.recipients)
        destination.total += 1
        destination.running[origin.name] = destination.running.get(origin.name, 0) + 1
        self._destinations.move_to_end(name)
        origin.running += 1
        self.running += 1
        job.unproven = not destination.proven
        origin.unproven += job.unproven
        return job

    def finish(self, job: Job, course: Course, now: int, dead_s: int = 0) -> list[Job]:
        """A taken job ended. When its destination is dead now, for `dead_s`, what waits for it is given back, to be put off."""
        destination = self._destinations[job.destination]
        destination.total -= 1
        left = destination.running[job.origin] - 1
        if left:
            destination.running[job.origin] = left
        else:
            del destination.running[job.origin]
        self.running -= 1
        origin = self._origins[job.origin]
        origin.running -= 1
        origin.unproven -= job.unproven
        if origin.deferred:
            self._turn[origin.name] = None
        self._release(origin, len(job.recipients))
        self._learn(destination, course, now, dead_s)
        given_back: list[Job] = []
        if course is Course.UNREACHABLE and destination.failures >= DEAD_AFTER:
            given_back = self._clear(destination)
        self._unpark(destination)
        return given_back

    def _learn(self, destination: _Destination, course: Course, now: int, dead_s: int) -> None:
        if course is Course.WELL:
            if destination.failures >= DEAD_AFTER:
                destination.window = float(self.limits.per_destination_start)
            destination.failures = 0
            destination.dead_until = 0
            destination.proven = True
            grown = destination.window + 1 / max(1.0, destination.window)
            destination.window = min(grown, float(self.limits.per_destination))
            return
        destination.window = max(
            1.0, destination.window / 2 if course is Course.UNREACHABLE else destination.window - 1
        )
        if course is Course.UNREACHABLE:
            destination.failures += 1
            if destination.failures >= DEAD_AFTER:
                destination.dead_until = max(destination.dead_until, now + dead_s)
                destination.proven = False

    def failures(self, destination: str) -> int:
        """Connection failures in a row: what the next `dead_s` goes by."""
        found = self._destinations.get(destination)
        return 0 if found is None else found.failures

    def give_back(self, least_until: int) -> list[Job]:
        """Jobs that have not begun and whose lease ends before then: they are no longer ours to try."""
        return self._take_back(self._origins, lambda _, job: job.lease_until < least_until)

    def stale(self, since: int) -> list[Job]:
        """Jobs that keep others of their origin from being leased, and have waited since then for an unproven destination."""
        return self._take_back(self.full_origins(), lambda to, job: job.added_at <= since and not to.proven)

    def drain(self) -> list[Job]:
        """All jobs that have not begun: the runner stops."""
        return self._take_back(self._origins, lambda _to, _job: True)

    def take_back(self, wanted: Callable[[Job], bool]) -> list[Job]:
        """Jobs that have not begun and must not begin now."""
        return self._take_back(tuple(self._origins), lambda _to, job: wanted(job))

    def _take_back(self, origins: Iterable[str], wanted: Callable[[_Destination, Job], bool]) -> list[Job]:
        given: list[Job] = []
        for origin in [self._origins[name] for name in origins]:
            for name, jobs in tuple(origin.jobs.items()):
                destination = self._destinations[name]
                kept = [job for job in jobs if not wanted(destination, job)]
                if len(kept) < len(jobs):
                    given += [job for job in jobs if wanted(destination, job)]
                    self._keep(origin, destination, kept)
        self._dropped(given)
        return given

    def _clear(self, destination: _Destination) -> list[Job]:
        given: list[Job] = []
        for origin in tuple(self._origins.values()):
            jobs = origin.jobs.get(destination.name)
            if jobs is not None:
                given += jobs
                self._keep(origin, destination, [])
        self._dropped(given)
        return given

    @staticmethod
    def _keep(origin: _Origin, destination: _Destination, jobs: Sequence[Job]) -> None:
        if jobs:
            origin.jobs[destination.name] = deque(jobs)
            return
        origin.jobs.pop(destination.name, None)
        origin.ready.pop(destination.name, None)
        origin.deferred.pop(destination.name, None)
        destination.parked.pop(origin.name, None)

    def _dropped(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            key = (job.message.id, job.destination)
            if self._open.get(key) is job:
                del self._open[key]
            self._destinations[job.destination].waiting -= len(job.recipients)
            self._release(self._origins[job.origin], len(job.recipients))

    def _release(self, origin: _Origin, recipients: int) -> None:
        origin.leased -= recipients
        self.leased -= recipients
        if not origin.leased:
            del self._origins[origin.name]
            self._turn.pop(origin.name, None)

    def _unpark(self, destination: _Destination) -> None:
        parked, destination.parked = destination.parked, {}
        for name in parked:
            origin = self._origins.get(name)
            if origin is not None and destination.name in origin.jobs:
                origin.ready[destination.name] = None
                self._turn[name] = None
