"""The steward: what a server does once, not once per worker. Upkeep of the store, certificates, metrics."""

import asyncio
import datetime as dt
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Final

from poterne.app import certificates, metrics
from poterne.app.bus import CertificatesChanged
from poterne.app.context import Child
from poterne.app.lifetime import Lifetime
from poterne.app.stores import open_instance_store
from poterne.observe import logger
from poterne.store.errors import StoreError

TICK_S: Final = 1.0
RENEW_S: Final = 12 * 3600.0


async def keep(child: Child) -> int:
    """Take care until the end; 0."""
    return await _Steward(child).run()


class _Steward:
    def __init__(self, child: Child) -> None:
        self._child = child
        self._log = logger()
        self._lifetime = Lifetime(child, self._nothing)
        self._store = open_instance_store(child.data, child.settings)
        certificates.renew_local(child.data, child.settings, dt.datetime.now(dt.UTC))

    @staticmethod
    def _nothing() -> None:
        """SIGHUP: the steward reads its files when it needs them."""

    async def run(self) -> int:
        self._child.bus.listen(asyncio.get_running_loop(), lambda _: None)
        self._serve_metrics()
        self._lifetime.ready()
        compact_at = time.monotonic() + self._child.settings.store.compact_every_s
        renew_at = time.monotonic() + RENEW_S
        while await self._lifetime.sleep(TICK_S):
            if self._store.poll():
                await self._attempt("checkpoint", self._checkpoint)
            now = time.monotonic()
            if now >= compact_at:
                compact_at = now + self._child.settings.store.compact_every_s
                await self._attempt("compact", self._compact)
            if now >= renew_at:
                renew_at = now + RENEW_S
                await self._attempt("renew", self._renew)
        await self._store.close()
        return 0

    async def _attempt(self, what: str, work: Callable[[], Awaitable[None]]) -> None:
        """Do a task; a failure is loud in the log and the task comes again."""
        try:
            await work()
        except (StoreError, OSError) as error:
            self._log.error(f"steward.{what}", problem=str(error))

    async def _checkpoint(self) -> None:
        await self._store.checkpoint()

    async def _compact(self) -> None:
        if freed := await self._store.compact():
            self._log.info("store.compacted", bytes=freed)

    async def _renew(self) -> None:
        if certificates.renew_local(self._child.data, self._child.settings, dt.datetime.now(dt.UTC)):
            self._log.info("certificates.renewed")
            self._child.bus.publish(CertificatesChanged())

    def _serve_metrics(self) -> None:
        settings = self._child.settings.metrics
        if not settings.port:
            return

        def serve() -> None:
            try:
                metrics.serve(settings.address, settings.port)
            except OSError as error:
                self._log.error("metrics.off", address=settings.address, port=settings.port, problem=error.strerror)

        threading.Thread(target=serve, name="metrics", daemon=True).start()
