"""What a scenario is, and how one is measured.

A *group* is a set of scenarios that share one started server and its preparation (a filled mailbox). A *scenario* plays one
kind of traffic to one server and returns a `Sample`: named figures of one round. The runner does the alternating.
Names of figures carry their unit: `cpu_ms` is CPU of the server's process tree per operation, `per_s` operations per second of
wall time, `p50_ms` and `p99_ms` wall time of one operation as its client sees it, `generator_ms` the generator's own CPU
per operation (if it comes near the machine's share, the rate is the generator's, not the server's).
"""

import asyncio
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from bench import accounting
from bench.imap import ImapClient
from bench.senders import Senders
from bench.sut import Endpoints

Sample = dict[str, float]
_WARM_LOGINS = 6  # of each account
_WARM_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Scale:
    """How much work: set by the command line. Counts are bounded by these, times by `limit_s`."""

    quick: bool = False
    mailbox_messages: int = 10_000
    mean_bytes: int = 41_000
    connections: int = 2_000
    limit_s: float = 300.0

    def pick(self, full: int, quick: int) -> int:
        return quick if self.quick else full


@dataclass(slots=True)
class Stage:
    """One started server, as a scenario sees it."""

    name: str
    endpoints: Endpoints
    root: int
    scale: Scale
    tls: ssl.SSLContext | None  # of IMAP and POP3
    starttls: ssl.SSLContext  # of SMTP
    round: int = 0
    memory: "Baseline | None" = None  # set by a group's preparation where later growth matters
    senders: Senders | None = None  # of a group whose mail is verified


@dataclass(frozen=True, slots=True)
class Baseline:
    """The memory of a server that is warm but has not yet met what is measured."""

    peaks: accounting.PeakMemory
    pss_kib: int

    @classmethod
    def of(cls, root: int) -> "Baseline":
        return cls(accounting.PeakMemory(root), accounting.tree_pss_kib(root))


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    prepare: Callable[[Stage], Coroutine[object, object, None]] | None = None
    verified: bool = False
    """The servers verify who mail is from; `Stage.senders` are those who write."""
    indexed: bool = False
    """A server that keeps an index of texts keeps it here; in all other groups nobody does."""


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    group: Group
    summary: str
    measure: Callable[[Stage], Coroutine[object, object, Sample]]


@dataclass(slots=True)
class Watch:
    """Adds up CPU and wall time of the measured parts of a scenario."""

    root: int
    server_s: float = 0.0
    wall_s: float = 0.0
    generator_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """What happens inside is measured."""
        server, generator, wall = accounting.tree_cpu_s(self.root), time.process_time(), time.perf_counter()
        yield
        self.wall_s += time.perf_counter() - wall
        self.generator_s += time.process_time() - generator
        self.server_s += accounting.tree_cpu_s(self.root) - server

    async def timed(self, operation: Awaitable[object]) -> None:
        """Await one operation and note how long it took."""
        started = time.perf_counter()
        await operation
        self.latencies_s.append(time.perf_counter() - started)

    def sample(self, operations: int) -> Sample:
        """The figures per operation; percentiles if single operations were timed."""
        figures = {
            "cpu_ms": self.server_s / operations * 1000,
            "per_s": operations / self.wall_s,
            "generator_ms": self.generator_s / operations * 1000,
        }
        if self.latencies_s:
            figures |= percentiles_ms(self.latencies_s)
        return figures


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: a value that was measured, not one between two."""
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * int(share * 100) // 100))
    return ordered[rank - 1]


def percentiles_ms(latencies_s: Sequence[float]) -> Sample:
    return {"p50_ms": percentile(latencies_s, 0.5) * 1000, "p99_ms": percentile(latencies_s, 0.99) * 1000}


async def repeat(
    watch: Watch, operation: Callable[[], Awaitable[object]], *, at_least: int, at_most: int, for_s: float
) -> int:
    """Run an operation again and again: at least so often, then until the time is over; how often it ran."""
    done = 0
    with watch.running():
        ends = time.perf_counter() + for_s
        while done < at_least or (done < at_most and time.perf_counter() < ends):
            await watch.timed(operation())
            done += 1
    return done


async def in_parallel(workers: int, work: Callable[[int], Awaitable[None]]) -> None:
    """Run `work(number)` for each worker; the first error ends all."""
    async with asyncio.TaskGroup() as group:
        for number in range(workers):
            group.create_task(_run(work, number))


async def _run(work: Callable[[int], Awaitable[None]], number: int) -> None:
    await work(number)


class PssSampler:
    """The highest memory of a tree above a baseline while it runs, looked at every few milliseconds from a thread."""

    _EVERY_S = 0.02

    def __init__(self, root: int, baseline: Baseline) -> None:
        self._root = root
        self._baseline = baseline
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._peak_kib = accounting.tree_pss_kib(root)

    def _watch(self) -> None:
        while not self._stopped.wait(self._EVERY_S):
            self._peak_kib = max(self._peak_kib, accounting.tree_pss_kib(self._root))

    @contextmanager
    def running(self) -> Iterator[None]:
        self._baseline.peaks.restart()
        self._thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            self._thread.join()

    def sample(self) -> Sample:
        """Peaks above the baseline."""
        extra_kib = max(0, self._peak_kib - self._baseline.pss_kib)
        return {"extra_mib": extra_kib / 1024, "extra_rss_mib": self._baseline.peaks.extra_kib() / 1024}


async def warm_logins(stage: Stage, users: Sequence[str]) -> None:
    """Log in so often that every process has met every account: a costly first password check is not what is measured."""
    left = iter([user for _ in range(_WARM_LOGINS) for user in users])

    async def work(_number: int) -> None:
        for user in left:
            client = await ImapClient.open(stage.endpoints.imaps, stage.tls, user)
            await client.logout()

    await in_parallel(_WARM_AT_ONCE, work)


def memory_mib(stage: Stage) -> float:
    return accounting.tree_pss_kib(stage.root) / 1024


def accounts(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number:02d}" for number in range(count)]
