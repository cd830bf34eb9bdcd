"""What sending needs, as the settings say: names, routes, keys. The worker asks servers behind us; the steward sends."""

import random
from collections.abc import Callable
from pathlib import Path

from poterne.admin import srs_key
from poterne.app.context import StartError
from poterne.config.lists import recipients
from poterne.config.settings import Settings
from poterne.message.srs import Srs
from poterne.net.dns.resolver import StubResolver
from poterne.observe import Log
from poterne.queue.callforward import CallForward
from poterne.queue.outcome import HopTimeouts
from poterne.queue.route import Router
from poterne.queue.routes import Routes
from poterne.queue.runner import Chance, Runner, ourselves
from poterne.queue.settle import Counters
from poterne.session.smtp.internal import Internal
from poterne.store.interface import Store
from poterne.values.dns import Resolver

_RANDOM = random.SystemRandom()


def srs(data: Path) -> Srs:
    """What rewrites senders of forwarded mail. Raises StartError when its key can't be used."""
    try:
        return Srs(srs_key.ensure(data))
    except (srs_key.DamagedError, OSError) as error:
        raise StartError(str(error)) from None


def resolver(settings: Settings, log: Log) -> StubResolver:
    return StubResolver(settings.dns, log)


def runner(
    settings: Settings,
    folder: Path,
    data: Path,
    store: Store,
    names: Resolver,
    log: Log,
    counters: Counters,
    clock: Callable[[], float],
) -> Runner:
    """The queue's runner. `folder`: where files that the settings name are relative to."""
    rewriting = srs(data)
    chance = Chance(_RANDOM.random, _RANDOM.shuffle)
    return Runner(
        store,
        settings,
        names,
        folder,
        log=log,
        clock=clock,
        chance=chance,
        rewrite=rewriting.rewrite,
        counters=counters,
    )


def internal(
    settings: Settings, folder: Path, store: Store, names: Resolver, log: Log, clock: Callable[[], float]
) -> Internal | None:
    """The servers behind us; None when there is none. Raises StartError when a list of recipients can't be read."""
    if not any(route.inbound for route in settings.route.values()):
        return None
    # All routes: one that is not inbound may be for a domain below an inbound one, and then strangers' mail for it is refused.
    routes = Routes(settings.route, folder)
    listed = recipient_lists(settings, folder)
    router = Router(routes, names, ourselves(settings, HopTimeouts()), _RANDOM.shuffle)
    edge = settings.server.role == "edge"
    return Internal(routes, listed, store, CallForward(router), clock, log, postmaster=edge)


def recipient_lists(settings: Settings, folder: Path) -> dict[str, frozenset[str]]:
    """The entries of each inbound route's recipients_file. Raises StartError when one can't be read."""
    try:
        return {
            name: recipients(folder / route.recipients_file)
            for name, route in settings.route.items()
            if route.inbound and route.recipients_file
        }
    except OSError as error:
        raise StartError(f"a recipients_file can't be read: {error}") from None
