"""The steward: what a server does once, not once per worker. Upkeep of the store, certificates, metrics."""

import asyncio
import datetime as dt
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from poterne.app import certificates, metrics, outbound
from poterne.app.bus import CertificatesChanged, MailQueued, Message, Missed
from poterne.app.context import Child
from poterne.app.lifetime import Lifetime
from poterne.app.metrics_files import FOLDER_VARIABLE
from poterne.app.stores import open_instance_store
from poterne.app.upkeep import jobs
from poterne.net.tls import CertificateError
from poterne.observe import logger
from poterne.store.errors import StoreError
from poterne.store.sqlite.lock import FileLock

TICK_S: Final = 1.0
RENEW_S: Final = 12 * 3600.0
COUNT_S: Final = 10.0
EXPIRE_S: Final = 3600.0
QUEUE_LOCK: Final = "queue.lock"
SOLE_S: Final = 0.5
QUEUE_STOP_S: Final = 10.0
"""What is being sent gets so long to end; the rest is sent after the start."""
METRICS_S: Final = 5.0
"""How often a taken metrics port is tried again."""


async def keep(child: Child) -> int:
    """Take care until the end; 0."""
    return await _Steward(child).run()


@dataclass(slots=True)
class _Task:
    """Something to do again and again."""

    name: str
    every_s: float
    work: Callable[[], Awaitable[None]]
    at: float


class _Steward:
    def __init__(self, child: Child) -> None:
        self._child = child
        self._log = logger()
        # The ports are the workers'. Held here they would stay taken while we finish what we send, after the others are gone.
        for sock in (*(one for sockets in child.sockets.values() for one in sockets), *filter(None, [child.local])):
            sock.close()
        self._metrics = metrics.Metrics(child.place)
        self._lifetime = Lifetime(child, self._nothing)
        self._store = open_instance_store(child.data, child.settings)
        self._renewed = certificates.renew_local(child.data, child.settings, dt.datetime.now(dt.UTC))
        self._resolver = outbound.resolver(child.settings, self._log)
        self._runner = outbound.runner(
            child.settings,
            child.config.parent,
            child.data,
            self._store,
            self._resolver,
            self._log,
            self._metrics,
            time.time,
        )
        self._sole = FileLock(child.data / QUEUE_LOCK)
        self._page_served = False
        self._page_refused = ""

    @staticmethod
    def _nothing() -> None:
        """SIGHUP: the steward reads its files when it needs them."""

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        self._child.bus.listen(loop, self._hear)
        if self._renewed:
            self._child.bus.publish(CertificatesChanged())
        await self._attempt("metrics", self._serve_metrics)
        self._lifetime.ready()
        running = asyncio.create_task(self._run_queue())
        tasks = self._tasks(time.monotonic())
        while await self._lifetime.sleep(TICK_S):
            self._child.bus.remind()
            now = time.monotonic()
            for task in tasks:
                if now >= task.at and not self._lifetime.ending:
                    await self._attempt(task.name, task.work)
                    task.at = time.monotonic() + task.every_s
        self._child.bus.stop(loop)
        await self._runner.stop(float(min(QUEUE_STOP_S, self._child.settings.server.drain_s)))
        await running
        self._sole.close()
        self._resolver.close()
        await self._store.close()
        return 0

    async def _run_queue(self) -> None:
        """Alone: of a server that was killed the steward may still be sending, and what it has leased is not ours to take."""
        while not self._sole.acquire(wait=False):
            self._log.info("queue.waits", why="another process of this instance is still sending")
            if not await self._lifetime.sleep(SOLE_S):
                return
        beside = [asyncio.create_task(job) for job in jobs(self._child, self._store, self._resolver, self._log)]
        if self._runner.tls_upkeep is not None:
            beside.append(asyncio.create_task(self._runner.tls_upkeep.run()))
        try:
            await self._runner.run()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)

    def _hear(self, message: Message) -> None:
        if isinstance(message, MailQueued | Missed):  # changes of mailboxes do not come here: see `Exchange`
            self._runner.wake()

    def _tasks(self, now: float) -> list[_Task]:
        compact_s = self._child.settings.store.compact_every_s
        tasks = [
            _Task("checkpoint", TICK_S, self._checkpoint, now),
            _Task("count", COUNT_S, self._count, now),
            _Task("compact", compact_s, self._compact, now + compact_s),
            _Task("quarantine", EXPIRE_S, self._expire, now + COUNT_S),
            _Task("renew", RENEW_S, self._renew, now + RENEW_S),
        ]
        if self._child.settings.metrics.port:
            tasks.append(_Task("metrics", METRICS_S, self._serve_metrics, now + METRICS_S))
        return tasks

    async def _attempt(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do a task; a failure is loud in the log and the task comes again."""
        try:
            await work()
        except (StoreError, CertificateError, OSError) as error:
            self._log.error(f"steward.{what}", problem=str(error))

    async def _checkpoint(self) -> None:
        if self._store.poll():
            await self._store.checkpoint()

    async def _count(self) -> None:
        self._metrics.queued(await self._store.queue_depth())

    async def _expire(self) -> None:
        """What nobody released from quarantine in time goes."""
        now, gone = int(time.time()), 0
        while some := await self._store.expire_quarantined(now):
            gone += some
        if gone:
            self._log.info("quarantine.expired", messages=gone)

    async def _compact(self) -> None:
        if freed := await self._store.compact():
            self._log.info("store.compacted", bytes=freed)

    async def _renew(self) -> None:
        if certificates.renew_local(self._child.data, self._child.settings, dt.datetime.now(dt.UTC)):
            self._log.info("certificates.renewed")
            self._child.bus.publish(CertificatesChanged())

    async def _serve_metrics(self) -> None:
        """The page, as soon as its port is free; why not is told once."""
        settings = self._child.settings.metrics
        if not settings.port or self._page_served or FOLDER_VARIABLE not in os.environ:
            return
        try:
            metrics.serve(settings.address, settings.port)
        except OSError as error:
            reason = error.strerror or "unknown reason"
            if reason != self._page_refused:
                self._page_refused = reason
                self._log.error("metrics.off", address=settings.address, port=settings.port, problem=reason)
        else:
            self._page_served = True
