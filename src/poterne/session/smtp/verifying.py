"""What all sessions of a process share to find out who strangers' mail is from."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol, final

from poterne.net.link import Link
from poterne.policy.evidence import Rules
from poterne.policy.ours import Ours
from poterne.proto.smtp.events import MailFrom
from poterne.queue.domains import LocalDomains
from poterne.session.smtp.asking import Names, Shares
from poterne.session.smtp.checks import Checks, Spoken
from poterne.store.interface import Store
from poterne.values.dmarc import DmarcRow, PublishedPolicy

MADE_AT_ONCE: Final = 300
"""Domains whose tables are made on the event loop: some 5 ms. More are left to a thread."""


class Tally(Protocol):
    """Counts what DMARC said, for the reports to the authors' domains."""

    def count(self, day: int, policy: PublishedPolicy, row: DmarcRow) -> None: ...


class ListTally(Protocol):
    """Counts mailing lists that a domain answered for."""

    def saw(self, list_id: str, domain: str, at: int) -> None: ...


@final
class Verifying:
    """`trusted`: servers whose mail is not checked, by address."""

    __slots__ = (
        "_behind", "_clock", "_domains", "_hostname", "_making", "_names", "_ours", "_served", "language", "lists", "rules",
        "tally", "trusted",
    )  # fmt: skip

    def __init__(
        self,
        names: Names,
        rules: Rules,
        store: Store,
        hostname: str,
        language: str,
        *,
        tally: Tally,
        lists: ListTally,
        trusted: Callable[[str], bool],
        clock: Callable[[], float],
        behind: Iterable[str] = (),
        share: int = 40,
    ) -> None:
        """`behind`: domains that servers behind this one have mailboxes of. `share`: questions of one origin at a time."""
        self.rules: Final = rules
        self.language: Final = language
        self.tally: Final = tally
        self.lists: Final = lists
        self.trusted: Final = trusted
        self._names: Final = Shares(names, share)
        self._hostname: Final = hostname
        self._clock: Final = clock
        self._domains: Final = LocalDomains(store, clock)
        self._behind: Final = frozenset(behind)
        self._served: frozenset[str] | None = None
        self._ours = Ours((), rules)
        self._making: Final = asyncio.Lock()

    async def ours(self) -> Ours:
        """For the domains that are served now. Raises StoreError."""
        served = await self._domains.names()
        if served == self._served:
            return self._ours
        async with self._making:
            if served != self._served:
                names = served | self._behind
                few = len(names) <= MADE_AT_ONCE
                self._ours = Ours(names, self.rules) if few else await asyncio.to_thread(Ours, names, self.rules)
                self._served = served
        return self._ours

    def spoken(self, peer: str, name: str) -> Spoken:
        """For a connection whose client called itself so."""
        return Spoken(peer, name, self._hostname, self._names.of(peer), int(self._clock()))

    def checks(self, spoken: Spoken, mail: MailFrom, peer_name: str) -> Checks:
        """For one message. `peer_name`: of the client's address in DNS, when it leads back to it."""
        dns_s, now_s = float(self.rules.settings.max_dns_s), int(self._clock())
        names = self._names.of(spoken.claim.client)
        return Checks(names, spoken, mail.path.address, self._hostname, dns_s, now_s, peer_name=peer_name)


@final
class Speaker:
    """Of one connection: what its client called itself, asked about once it sends a message."""

    __slots__ = ("_link", "_name", "_spoken", "_verifying")

    def __init__(self, verifying: Verifying | None, link: Link) -> None:
        self._verifying: Final = verifying
        self._link: Final = link
        self._name = ""
        self._spoken: Spoken | None = None

    def checks(self, mail: MailFrom, name: str, peer_name: str) -> Checks | None:
        """For a message of a client that calls itself `name`; None: nothing is checked here."""
        verifying = self._verifying
        if verifying is None or verifying.trusted(self._link.peer):
            return None
        if self._spoken is None or name != self._name:
            self.drop()
            self._name = name
            self._spoken = verifying.spoken(self._link.peer, name)
        return verifying.checks(self._spoken, mail, peer_name)

    def drop(self) -> None:
        """The connection has ended, or another name is said."""
        if self._spoken is not None:
            self._spoken.asking.drop()
            self._spoken = None
