"""Looks at the DNS of the domains that are served here: now for a command, once a day for the steward.

Theory of operation. Each look is kept by its outcomes. When one got worse, the domain is looked at again some minutes later, and
only what is still worse then is told: an event for each change, and one mail to postmaster of the domain for all of them. The
mail is queued before the outcomes are kept: when the server is killed between the two it comes twice, and never not at all.
"""

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, final

from poterne.admin import dns_check, zone
from poterne.admin.people import AdminError
from poterne.admin.silent import Silent
from poterne.app import certificates, outbound
from poterne.config.settings import Settings
from poterne.message.compose import Mailbox, message_id
from poterne.message.dns_notice import DnsNotice, Worse, dns_notice
from poterne.net.tls import CertificateError
from poterne.observe import Log
from poterne.policy.published.change import Change, looked
from poterne.policy.published.finding import Finding
from poterne.queue.content import letter_of_ours
from poterne.store.errors import StoreError
from poterne.store.interface import Store
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient

FIRST_S: Final = 300.0
"""After the start, when there is most to do."""
DAILY_S: Final = 86_400.0
AGAIN_S: Final = 600.0
"""After so long it is looked again whether what got worse stays so."""
_OURS: Final = Origin(OriginKind.SYSTEM, "")

Look = Callable[[str], Awaitable[list[Finding]]]
"""What the checks find of a domain now. Raises AdminError and StoreError."""


async def look(
    store: Store, settings: Settings, config: Path, data: Path, domain: str, now: dt.datetime
) -> list[Finding]:
    """What the checks find of a domain. `config`: the settings file. Raises AdminError and StoreError."""
    facts = await zone.facts(store, settings, config.parent, certificates.public_chains(config, settings), domain)
    relatives = [name for name in await zone.our_domains(store, settings) if name != domain]
    try:
        chains = [pair.chain for pair in certificates.files(config, data, settings)]
    except CertificateError:
        chains = []  # `poterne check` tells
    resolver = outbound.resolver(settings, Silent())
    try:
        fetch = dns_check.fetcher(settings, config.parent, resolver)
        return await dns_check.findings(facts, relatives, dns_check.Sources(resolver, fetch, chains), now)
    finally:
        resolver.close()


@final
class DnsWatch:
    """`run` as a task until it is cancelled."""

    def __init__(self, store: Store, settings: Settings, look_at: Look, clock: Callable[[], float], log: Log) -> None:
        self._store: Final = store
        self._settings: Final = settings
        self._look: Final = look_at
        self._clock: Final = clock
        self._log: Final = log

    async def run(self) -> None:
        """Failures are logged, and the next day it is looked again."""
        await asyncio.sleep(FIRST_S)
        while True:
            try:
                await self.daily()
            except StoreError as error:
                self._log.error("dns.watch", problem=str(error))
            except Exception as error:  # noqa: BLE001  (a bug here must not end it)
                self._log.error("dns.bug", exc_info=error)
            await asyncio.sleep(DAILY_S)

    async def daily(self) -> None:
        """One look at each domain, a second one at those where something got worse. Raises StoreError."""
        domains = await zone.our_domains(self._store, self._settings)
        again = [domain for domain in domains if not await self._watched(domain, sure=False)]
        if again:
            await asyncio.sleep(AGAIN_S)
        for domain in again:
            await self._watched(domain, sure=True)

    async def _watched(self, domain: str, *, sure: bool) -> bool:
        """Look, and keep and tell what was found; False: something got worse, and nothing was done about it yet."""
        known = await self._store.dns_findings(domain)
        try:
            found = await self._look(domain)
        except AdminError as error:
            self._log.error("dns.watch", domain=domain, problem=str(error))
            return True
        now = int(self._clock())
        kept, changes = looked(domain, known, found, now)
        if not sure and any(change.worse for change in changes):
            return False
        trace = TraceId(f"dns-{now:x}-{domain}"[:64])
        if worse := [change for change in changes if change.worse]:
            self._log.warning("dns.worse", domain=domain, checks=" ".join(change.check for change in worse))
            await self._store.deliver([], [await self._letter(domain, worse, now, trace)], [])
        await self._store.set_dns_findings(domain, kept, [_event(domain, one, now, trace) for one in changes])
        return True

    async def _letter(self, domain: str, worse: Sequence[Change], now: int, trace: TraceId) -> NewQueued:
        hostname = self._settings.server.hostname
        postmaster = Mailbox(f"postmaster@{domain}")
        notice = DnsNotice(
            hostname=hostname,
            domain=domain,
            sender=postmaster,
            to=postmaster,
            language=self._settings.server.language,
            message_id=message_id(str(trace), hostname),
            unix_s=now,
            worse=[Worse(one.check, one.before.value, one.now.value) for one in worse],
        )
        letter = dns_notice(notice)
        blob, start = await letter_of_ours(self._store.blobs, letter)
        recipient = NewRecipient(postmaster.address, domain, notify="NEVER")
        return NewQueued(
            origin=_OURS,
            trace_id=trace,
            reverse_path="",
            blob=blob,
            recipients=(recipient,),
            due_at=now,
            start=start,
            eight_bit=not letter.isascii(),
        )


def _event(domain: str, change: Change, now: int, trace: TraceId) -> Event:
    detail: dict[str, str | int | bool | None] = {
        "domain": domain,
        "check": change.check,
        "before": change.before.value,
        "now": change.now.value,
        "worse": change.worse,
    }
    return Event(now, "dns.changed", trace, reason=change.now.value, detail=detail)


def watching(
    store: Store, settings: Settings, config: Path, data: Path, clock: Callable[[], float], log: Log
) -> DnsWatch | None:
    """The watch of an instance; None: the settings want none. `config`: the settings file.

    Each look has a resolver of its own: what another one remembers would be found again ten minutes later.
    """
    if not settings.publish.watch:
        return None

    async def look_at(domain: str) -> list[Finding]:
        return await look(store, settings, config, data, domain, dt.datetime.fromtimestamp(clock(), dt.UTC))

    return DnsWatch(store, settings, look_at, clock, log)
