"""Mail that an administrator gives up: as when its time is over, with notices to those who may be told.

What waits is put on hold first, so that nobody tries it meanwhile: else a sender could hear of a failure of what arrives a
moment later. What is being tried just then is left alone. Interrupted, it stays on hold and can be given up again.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from poterne.admin.people import Acting
from poterne.admin.queue import Wanted, filter_of
from poterne.admin.silent import Silent
from poterne.config.settings import Settings
from poterne.queue.bounce import Notices
from poterne.queue.domains import LocalDomains
from poterne.queue.fate import Fate
from poterne.queue.forwards import FailedForwards
from poterne.queue.outcome import Permanent
from poterne.queue.routes import Routes
from poterne.queue.runner import retry_times
from poterne.queue.settle import Settler
from poterne.store.interface import Store
from poterne.values.queue import QueueChange, QueuedRecipient, QueueState

_PAGE: Final = 1_000
_REPLY_MOST: Final = 400


@dataclass(frozen=True, slots=True)
class GivenUp:
    """How many recipients were given up."""

    count: int
    busy: int
    """Being tried just then."""
    stay: int
    """Forwards whose mail could be kept nowhere: on hold now."""


def settler(settings: Settings, folder: Path, store: Store, clock: Callable[[], float]) -> Settler:
    """What settles, as the queue's runner does. `folder`: where files that the settings name are relative to."""
    domains, log = LocalDomains(store, clock), Silent()
    hostname, language = settings.server.hostname, settings.server.language
    routes = Routes(settings.route, folder)
    notices = Notices(store, hostname, language, routes, domains, settings.queue.return_whole_bytes)
    forwards = FailedForwards(store, hostname, language, domains, clock, log)
    return Settler(store, notices, forwards, retry_times(settings), clock, random.random, log)


async def give_up(store: Store, settling: Settler, wanted: Wanted, acting: Acting) -> GivenUp:
    """Give up all that fits and waits or is held."""
    where = filter_of(wanted)
    held_before = wanted.state != QueueState.WAITING.value
    before = {one.id for one in await _all(store, wanted, QueueState.HELD)}
    hold = acting.event("queue.hold", why="to give it up")
    if where.state in {None, QueueState.WAITING}:
        only = filter_of(wanted, QueueState.WAITING)
        await store.change_queue(only, QueueChange.HOLD, acting.now, hold)
    found = [one for one in await _all(store, wanted, QueueState.HELD) if held_before or one.id not in before]
    found.sort(key=lambda one: (one.message.id, one.id))
    for _, group in groupby(found, key=lambda one: one.message.id):
        recipients = list(group)
        await settling.settle(recipients[0].message, [Fate(one, _outcome(one)) for one in recipients])
    # Of a forward whose owner's mailbox is full, the mail stays on hold rather than being lost.
    left = {one.id for one in await _all(store, wanted, QueueState.HELD)} if found else set()
    count = sum(one.id not in left for one in found)
    if count:
        detail = {key: value for key, value in wanted.said().items() if value}
        await store.record([acting.event("queue.fail", recipients=count, **detail)])
    busy = len(await _all(store, wanted, QueueState.LEASED)) if where.state is None else 0
    return GivenUp(count, busy, len(found) - count)


async def _all(store: Store, wanted: Wanted, state: QueueState) -> list[QueuedRecipient]:
    if wanted.state not in {"", state.value, QueueState.WAITING.value}:
        return []
    found: list[QueuedRecipient] = []
    where = filter_of(wanted, state)
    while page := await store.queued(_PAGE, found[-1].id if found else None, where):
        found += page
    return found


def _outcome(one: QueuedRecipient) -> Permanent:
    said = f" The last answer was: {one.last_reply[:_REPLY_MOST]}" if one.last_reply else ""
    return Permanent(f"The administrator of this server has given it up.{said}", 554, "5.4.7", local=True)
