"""What every child process does the same way: ready, reload, drain, and noticing that the supervisor is gone."""

import asyncio
import gc
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from poterne.app.context import Child


class Lifetime:
    """Signals of one child, as something to wait for. Make it inside the loop, first thing."""

    def __init__(self, child: Child, reload: Callable[[], None]) -> None:
        self._child = child
        self._ending = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._ending.set)
        self._loop.add_signal_handler(signal.SIGHUP, reload)
        os.set_blocking(child.life_fd, False)
        self._loop.add_reader(child.life_fd, self._supervisor_gone)

    def _supervisor_gone(self) -> None:
        self._loop.remove_reader(self._child.life_fd)
        self._ending.set()

    def ready(self) -> None:
        """Tell the supervisor that this process serves. What was made until now stays, and is no garbage collector's work."""
        gc.collect()
        gc.freeze()
        with suppress(OSError):
            os.write(self._child.ready_fd, b"R")
        os.close(self._child.ready_fd)

    @property
    def ending(self) -> bool:
        return self._ending.is_set()

    async def end(self) -> None:
        """Wait until this process should drain."""
        await self._ending.wait()

    async def sleep(self, seconds: float) -> bool:
        """Wait, but not beyond the end; True while the process goes on."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        return not self._ending.is_set()
