"""The steward's part in the life of DKIM keys: a key signs once its record is in DNS, gets a successor in time, and goes at last.

Theory of operation. While a key waits for its record, DNS is asked for it every ten minutes. As soon as the record is there it
signs, unless somebody may still hold the answer that there is none: that answer says how long it may be kept (RFC 2308 §5), and
so long is waited from when we got it last. The key that signed before is retired. When all that it signed must have arrived
(`keep_days`) an event asks to take its record away; once DNS has it no more, or has it with an empty p=, the key is removed.
A key that has signed for `rotate_days` gets its successor, and an event says what to publish: nothing changes until it is.

DNS that does not answer changes nothing. What was told already is known from the events, so a restart does not tell it again.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final, final

from poterne.admin import dkim
from poterne.admin.dkim import DAY_S, Published
from poterne.admin.people import Acting, AdminError
from poterne.config.dkim import Dkim
from poterne.mailauth.dkim.parse import key_name
from poterne.mailauth.dkim.record import KeyType
from poterne.observe import Log
from poterne.store.errors import StoreError
from poterne.store.interface import Store
from poterne.values.dkim import DkimKey, KeyState
from poterne.values.dns import Answer, NoData, NxDomain, Resolver
from poterne.values.event import Event
from poterne.values.ids import TraceId

LOOK_S: Final = 600.0
DENIED_MOST_S: Final = 3 * 3600
"""Nobody keeps the answer that there is no record longer (RFC 2308 §5)."""
_ACTOR: Final = "steward"
_TRACE: Final = TraceId("dkim")
_TOLD_MOST: Final = 1000
_AT_ONCE: Final = 16


@final
class DkimRotation:
    """`run` as a task until it is cancelled; `look` does it once."""

    def __init__(
        self, store: Store, resolver: Resolver, settings: Dkim, *, clock: Callable[[], float], log: Log
    ) -> None:
        self._store: Final = store
        self._resolver: Final = resolver
        self._settings: Final = settings
        self._clock: Final = clock
        self._log: Final = log
        self._kinds: Final = dkim.kinds(settings)
        self._denied_until: Final[dict[str, int]] = {}
        """By the record's name: until when somebody may hold that there is none."""
        self._told: set[tuple[str, str]] | None = None
        """Retired keys whose record was asked to be taken away."""
        self._reminded: Final[dict[str, int]] = {}

    async def run(self) -> None:
        """Store failures are logged and waited out."""
        while True:
            try:
                await self.look()
            except (StoreError, AdminError) as error:
                self._log.error("dkim.upkeep", problem=str(error))
            except Exception as error:  # noqa: BLE001  (a bug here must not end it)
                self._log.error("dkim.bug", exc_info=error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """What is due of it; called more often it does no more. Raises StoreError."""
        keys = await self._store.dkim_keys()
        now = int(self._clock())
        for key in _signing_twice(keys):
            await dkim.retire_older(self._store, key, self._acting(now))
        waiting = [key for key in keys if key.state is KeyState.NEXT]
        going = [key for key in keys if dkim.removable(key, self._settings, now)]
        self._forget(waiting)
        for at in range(0, len(waiting), _AT_ONCE):
            some = waiting[at : at + _AT_ONCE]
            for key, answer in zip(some, await self._ask(some), strict=True):
                await self._of_next(key, answer, now)
        for at in range(0, len(going), _AT_ONCE):
            some = going[at : at + _AT_ONCE]
            for key, answer in zip(some, await self._ask(some), strict=True):
                await self._of_retired(key, answer, now)
        if self._settings.rotate_days:
            await self._renew(await self._store.dkim_keys(), now)  # as they are after all that

    async def _ask(self, keys: Sequence[DkimKey]) -> list[Answer[bytes]]:
        return await asyncio.gather(*(self._resolver.txt(_name(key)) for key in keys))

    # -- a key that is to sign -----------------------------------------------------------------------------------------

    async def _of_next(self, key: DkimKey, answer: Answer[bytes], now: int) -> None:
        name = _name(key)
        found = dkim.published(key, answer)
        # Until then the resolver's own memory repeats the answer, which is no newer for that.
        if isinstance(answer, NoData | NxDomain) and now >= self._denied_until.get(name, 0):
            self._denied_until[name] = now + min(answer.ttl_s, DENIED_MOST_S)
        if found is not Published.LIVE:
            self._remind(key, found, now)
            return
        if not key.seen_at:
            await self._store.set_dkim_key(key.domain, key.selector, None, seen_at=now, now=now)
            self._log.info("dkim.published", domain=key.domain, selector=key.selector)
        if now >= self._denied_until.get(name, 0):
            for changed in await dkim.activate(self._store, key.domain, key.selector, self._acting(now)):
                self._log.info(f"dkim.{changed.state.value}", domain=changed.domain, selector=changed.selector)

    def _remind(self, key: DkimKey, found: Published, now: int) -> None:
        """Once a day, of a key that waits for its record; at once of a record that is wrong."""
        name = _name(key)
        if now - self._reminded.get(name, 0 if found is Published.OTHER else key.created_at) < DAY_S:
            return
        self._reminded[name] = now
        self._log.warning(
            "dkim.unpublished",
            domain=key.domain,
            selector=key.selector,
            dns=found.value,
            name=name,
            remedy="publish the record that poterne dkim list shows; until then the key does not sign",
        )

    def _forget(self, waiting: Iterable[DkimKey]) -> None:
        names = {_name(key) for key in waiting}
        for kept in (self._denied_until, self._reminded):
            for gone in kept.keys() - names:
                del kept[gone]

    # -- a key that has signed -----------------------------------------------------------------------------------------

    async def _of_retired(self, key: DkimKey, answer: Answer[bytes], now: int) -> None:
        if dkim.revoked(answer):
            event = self._acting(now).event("dkim.removed", domain=key.domain, selector=key.selector)
            await self._store.remove_dkim_key(key.domain, key.selector, event)
            self._log.info("dkim.removed", domain=key.domain, selector=key.selector)
            return
        told = await self._known_told()
        if (key.domain, key.selector) in told:
            return
        event = self._acting(now).event(
            "dkim.removable", domain=key.domain, selector=key.selector, name=_name(key), publish="v=DKIM1; p="
        )
        await self._store.record([event])
        told.add((key.domain, key.selector))
        self._log.warning(
            "dkim.removable",
            domain=key.domain,
            selector=key.selector,
            name=_name(key),
            remedy="take the record out of DNS, or publish it with an empty p=: nothing needs it any more",
        )

    async def _known_told(self) -> set[tuple[str, str]]:
        if self._told is None:
            events = await self._store.events(kind="dkim.removable", limit=_TOLD_MOST)
            self._told = {_subject(event) for event in events}
        return self._told

    # -- successors ----------------------------------------------------------------------------------------------------

    async def _renew(self, keys: Sequence[DkimKey], now: int) -> None:
        """A key that has signed for long gets a successor, unless one waits already."""
        old = now - self._settings.rotate_days * DAY_S
        for domain in dict.fromkeys(key.domain for key in keys):
            due: list[KeyType] = []
            for kind in self._kinds:
                mine = [key for key in keys if key.domain == domain and key.algorithm == kind.algorithm]
                active = [key for key in mine if key.state is KeyState.ACTIVE]
                if active and max(key.changed_at for key in active) <= old:
                    due.append(kind)
            for key in await dkim.create(self._store, domain, self._acting(now), due) if due else ():
                (record,) = dkim.records([key])
                self._log.warning(
                    "dkim.rotation",
                    domain=key.domain,
                    selector=key.selector,
                    name=record.name,
                    publish=record.value,
                    remedy="publish this record: once it is seen the new key signs",
                )

    @staticmethod
    def _acting(now: int) -> Acting:
        return Acting(_ACTOR, now, _TRACE)


def _name(key: DkimKey) -> str:
    return key_name(key.selector, key.domain)


def _signing_twice(keys: Sequence[DkimKey]) -> list[DkimKey]:
    """Of each domain and algorithm with several active keys the newest: a change of keys was cut in half."""
    newest: dict[tuple[str, str], DkimKey] = {}
    twice = set()
    for key in sorted(keys, key=lambda one: (one.changed_at, one.created_at, one.selector)):
        if key.state is KeyState.ACTIVE:
            place = key.domain, key.algorithm
            if place in newest:
                twice.add(place)
            newest[place] = key
    return [newest[place] for place in sorted(twice)]


def _subject(event: Event) -> tuple[str, str]:
    return str(event.detail.get("domain")), str(event.detail.get("selector"))
