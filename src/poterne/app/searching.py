"""Keeping the index of texts, with a bounded share of one core, and making it anew."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Final, final

from poterne.config.search import Search
from poterne.observe import Log
from poterne.session.imap.search_index import read_words
from poterne.store.errors import UnavailableError
from poterne.store.interface import Store
from poterne.store.interface_search import ReadWords, SearchWriter

FIRST_S: Final = 5.0
TURN_S: Final = 0.005
"""After so much work at once, all others get their share."""
TIDY_BLOCKS: Final = 4
"""Looked at each time: of a million messages, all within an hour."""
SAVE_EVERY: Final = 1024
_REPORT_LEAST: Final = 1000

Progress = Callable[[int, int], None]


@final
class Indexing:
    """Puts new mail into the index, and takes out what is gone."""

    def __init__(self, store: Store, settings: Search, log: Log) -> None:
        self._writer: Final = store.search_writer()
        self._read: Final[ReadWords] = partial(read_words, store.blobs)
        self._settings: Final = settings
        self._log: Final = log

    async def run(self) -> None:
        """Until it is cancelled. Without an index by the settings: it is removed, once."""
        try:
            await asyncio.sleep(FIRST_S)
            while True:
                try:
                    await self.once()
                except (UnavailableError, OSError) as error:
                    self._log.error("search.index", problem=str(error))
                if not self._settings.index:
                    return
                await asyncio.sleep(self._settings.every_s)
        finally:
            self._writer.close()

    async def once(self) -> int:
        """What waits now; gives how many messages were put into the index. 0 also when another process is at it."""
        if not self._writer.begin():
            return 0
        try:
            if not self._settings.index:
                self._writer.forget_all()
                return 0
            started = time.monotonic()
            done = await self._driven(self._writer.index(self._read))
            await self._driven(self._writer.tidy(TIDY_BLOCKS))
        finally:
            self._writer.end()
        if done >= _REPORT_LEAST:
            self._log.info("search.indexed", messages=done, seconds=round(time.monotonic() - started))
        return done

    async def _driven(self, steps: Generator[int, None, None]) -> int:
        """Take the steps, and rest between them so that our share of a core is what the settings say."""
        rest = 100 / self._settings.cpu_percent - 1
        done = saved = 0
        began = time.monotonic()
        with contextlib.closing(steps):
            for finished in steps:
                done += finished
                worked = time.monotonic() - began
                if worked < TURN_S:
                    continue
                if done - saved >= SAVE_EVERY and await asyncio.to_thread(self._writer.save):
                    saved = done
                await asyncio.sleep(worked * rest)
                began = time.monotonic()
        await asyncio.to_thread(self._writer.save)
        return done


def reindex(store: Store, progress: Progress) -> int:
    """Make the index anew, at once; waits for a process that is at it. Gives how many messages are in it. UnavailableError."""
    writer = store.search_writer()
    try:
        writer.begin(wait=True)
        writer.forget_all()
        return _all(writer, partial(read_words, store.blobs), progress)
    finally:
        writer.end()
        writer.close()


def _all(writer: SearchWriter, read: ReadWords, progress: Progress) -> int:
    total, done, saved, shown = sum(writer.waiting().values()), 0, 0, 0.0
    for finished in writer.index(read, least=1):
        done += finished
        if done - saved >= SAVE_EVERY and writer.save():
            saved = done
        if finished and time.monotonic() - shown > 0.1:
            shown = time.monotonic()
            progress(done, total)
    writer.save()
    progress(total, total)
    return done
