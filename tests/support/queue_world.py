"""A queue runner with a real store, for tests that bring the servers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from poterne.config.queue import Queue
from poterne.config.route import Route
from poterne.config.settings import Server, Settings
from poterne.queue.local import Rewrite
from poterne.queue.outcome import HopTimeouts
from poterne.queue.runner import Chance, Runner, Try
from poterne.store.interface import Store
from poterne.values.dns import Answer, Found, Kind, Mx, NxDomain, R, Resolver, Tlsa
from poterne.values.event import Event
from poterne.values.ids import AccountId, TraceId
from poterne.values.mailbox import UidRange
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient, QueuedRecipient
from tests.support.stores import Clock, World, blob, sqlite

LETTER = (
    b"From: alice@example.org\r\nTo: b@example.net\r\nSubject: hello\r\nMessage-ID: <1@example.org>\r\n\r\nbody\r\n"
)
QUICK = HopTimeouts(connect_s=2, tls_s=2, greeting_s=2, command_s=2, data_s=2, block_s=2, final_s=2, total_s=10)
ALICE = "alice@example.org"
NO_CHANCE = Chance(lambda: 0.0, lambda _: None)


class SilentLog:
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, object]]] = []

    def debug(self, event: str, **fields: object) -> None:
        self.said.append((event, fields))

    info = warning = error = debug

    def names(self) -> list[str]:
        return [name for name, _ in self.said]


@dataclass
class Names:
    """A resolver that knows what it is told. `mx`: by domain, as a whole answer or as (preference, name) pairs."""

    mxs: Mapping[str, Answer[Mx] | Sequence[tuple[int, str]]] = field(default_factory=dict)
    hosts: Mapping[str, Answer[str] | Sequence[str]] = field(default_factory=dict)

    async def query(self, name: str, kind: Kind[R], /) -> Answer[R]:
        raise NotImplementedError

    async def mx(self, domain: str, /) -> Answer[Mx]:
        found = self.mxs.get(domain)
        if found is None or not isinstance(found, Sequence):
            return found or NxDomain(secure=False, ttl_s=60)
        return Found(tuple(Mx(*one) for one in found), domain, secure=False, ttl_s=60)

    async def addresses(self, name: str, /) -> Answer[str]:
        found = self.hosts.get(name)
        if found is None or not isinstance(found, Sequence):
            return found or NxDomain(secure=False, ttl_s=60)
        return Found(tuple(found), name, secure=False, ttl_s=60)

    async def txt(self, name: str, /) -> Answer[bytes]:
        return NxDomain(secure=False, ttl_s=60)

    async def ptr(self, ip: str, /) -> Answer[str]:
        raise NotImplementedError

    async def tlsa(self, name: str, /) -> Answer[Tlsa]:
        raise NotImplementedError


def here(*domains: str, port: int, **more: object) -> Route:
    """A route to a server on this machine, in the clear."""
    return replace(Route(list(domains), "127.0.0.1", port, "opportunistic"), **more)  # type: ignore[arg-type]


def settings(routes: Mapping[str, Route] | None = None, **queue: object) -> Settings:
    return Settings(
        server=Server(hostname="mail.example.org"),
        route=dict(routes or {}),
        queue=replace(Queue(private_mx=True), **queue),  # type: ignore[arg-type]
    )


@dataclass
class Post:
    """A store with alice@example.org, and a runner that can be started, stopped and killed."""

    world: World
    folder: Path
    clock: Clock
    log: SilentLog = field(default_factory=SilentLog)
    runner: Runner | None = None
    task: "asyncio.Task[None] | None" = None

    @property
    def store(self) -> Store:
        return self.world.store

    async def queue(
        self,
        *paths: str,
        origin: Origin | None = None,
        reverse_path: str = ALICE,
        letter: bytes = LETTER,
        notify: str = "",
        start: int = 0,
        due_at: int | None = None,
        ret: str = "",
    ) -> None:
        """One message."""
        due_at = int(self.clock.now) if due_at is None else due_at
        recipients = tuple(NewRecipient(path, path.rpartition("@")[2].lower(), notify) for path in paths)
        kept = await blob(self.store, letter)
        new = NewQueued(
            origin or self.account(), TraceId("trace"), reverse_path, kept, recipients, due_at, start=start, ret=ret
        )
        await self.store.deliver([], [new], [])
        self.wake()

    async def burst(self, domains: Sequence[str], origin: Origin) -> None:
        """One message for each, all of the same bytes."""
        kept = await blob(self.store, LETTER)
        new = [
            NewQueued(
                origin, TraceId("burst"), "", kept, (NewRecipient(f"u{n}@{domain}", domain),), int(self.clock.now)
            )
            for n, domain in enumerate(domains)
        ]
        for at in range(0, len(new), 1000):
            await self.store.deliver([], new[at : at + 1000], [])
        self.wake()

    def account(self) -> Origin:
        return Origin(OriginKind.ACCOUNT, ALICE, self.world.alice)

    def wake(self) -> None:
        if self.runner is not None:
            self.runner.wake()

    def start(
        self,
        values: Settings,
        resolver: Resolver | None = None,
        *,
        rewrite: Rewrite | None = None,
        attempts: Try | None = None,
        poll_s: float = 0.2,
        store: Store | None = None,
    ) -> Runner:
        runner = Runner(
            store or self.store,
            values,
            resolver,
            self.folder,
            log=self.log,
            clock=self.clock,
            chance=NO_CHANCE,
            rewrite=rewrite,
            timeouts=QUICK,
            attempts=attempts,
            poll_s=poll_s,
        )
        self.runner, self.task = runner, asyncio.get_running_loop().create_task(runner.run())
        return runner

    async def stop(self) -> None:
        if self.runner is not None and self.task is not None:
            await self.runner.stop(5)
            await asyncio.wait_for(self.task, 10)
            self.runner = self.task = None

    async def until(self, there: Callable[[], bool], what: str = "", wait_s: float = 10.0) -> None:
        """Wait for it."""
        end = asyncio.get_running_loop().time() + wait_s
        while not there():
            assert asyncio.get_running_loop().time() < end, what or "it did not happen"
            await asyncio.sleep(0.005)

    async def rest(self, wait_s: float = 10.0) -> list[QueuedRecipient]:
        """Wait until nothing is due or tried; what waits then."""
        end = asyncio.get_running_loop().time() + wait_s
        while True:
            found = await self.store.queued()
            busy = [one for one in found if one.state.value == "leased"]
            due = [one for one in found if one.state.value == "waiting" and one.due_at <= self.clock.now]
            if not busy and not due and (self.runner is None or not self.runner.leased):
                return found
            assert asyncio.get_running_loop().time() < end, found
            await asyncio.sleep(0.01)

    async def later(self, seconds: int) -> list[QueuedRecipient]:
        """Time passes; what waits when the runner has done what is due."""
        self.clock.now += seconds
        self.wake()
        return await self.rest()

    async def events(self, kind: str) -> list[Event]:
        return await self.store.events(kind=kind)

    async def letters(self, account: AccountId | None = None) -> list[bytes]:
        """The messages in somebody's INBOX, in order."""
        account = account or self.world.alice
        inbox = await self.store.mailbox(account, "INBOX")
        rows = self.store.contents(account, inbox.id, (UidRange(1, None),))
        return [self.store.blobs.read(row.blob) for row in rows]


@contextlib.asynccontextmanager
async def post(folder: Path) -> AsyncIterator[Post]:
    clock = Clock()
    store = sqlite(folder / "store", clock)
    world = World(store, folder, clock)
    await world.settle()
    made = Post(world, folder, clock)
    try:
        yield made
    finally:
        await made.stop()
        await store.close()
