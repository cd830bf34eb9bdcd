"""What the steward does beside sending, again and again: keys, reports out and in, DNS. One task each, for its whole life."""

import random
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from poterne.admin import reports
from poterne.admin.dkim_rotation import DkimRotation
from poterne.admin.quota import QuotaNotices
from poterne.admin.retention import RetentionUpkeep
from poterne.app import dns_watch
from poterne.app.context import Child
from poterne.app.searching import Indexing
from poterne.observe import Log
from poterne.queue import dmarc_reports
from poterne.store.interface import Store
from poterne.values.dns import Resolver

Job = Coroutine[Any, Any, None]


def jobs(child: Child, store: Store, resolver: Resolver, log: Log) -> Iterator[Job]:
    """What is to run until it is cancelled. One process of an instance does this: what it sends is sent once."""
    settings, clock = child.settings, time.time
    chance: Callable[[], float] = random.SystemRandom().random
    yield DkimRotation(store, resolver, settings.dkim, clock=clock, log=log).run()
    yield dmarc_reports.of_settings(store, resolver, settings, clock=clock, chance=chance, log=log).run()
    yield reports.upkeep(store, settings, resolver, log, clock).run()
    yield RetentionUpkeep(store, settings.retention, clock, log).run()
    yield QuotaNotices(store, settings, clock, log).run()
    yield Indexing(store, settings.search, log).run()
    watch = dns_watch.watching(store, settings, child.config, child.data, clock, log)
    if watch is not None:
        yield watch.run()
