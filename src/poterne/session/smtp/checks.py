"""Who a message is from: SPF, DKIM, ARC and DMARC of one message while it comes.

Theory of operation. What can be asked early is asked early: SPF when the message begins, keys and the author's policy when the
header is known; the body's hashes are made as it passes. At the end of the message only DNS that is slow is still waited for, no
longer than `max_dns_s` in all: what is then unknown is a temperror, and never a pass.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast, final

from poterne.mailauth.arc import outcome as arc_outcome
from poterne.mailauth.arc.outcome import Outcome as ArcOutcome
from poterne.mailauth.arc.verify import Verifier as ArcVerifier
from poterne.mailauth.dkim.outcome import Outcome as DkimOutcome
from poterne.mailauth.dkim.verify import Verifier as DkimVerifier
from poterne.mailauth.dmarc.check import judge
from poterne.mailauth.dmarc.discover import Discovery, discover
from poterne.mailauth.dmarc.outcome import Outcome as DmarcOutcome
from poterne.mailauth.dmarc.outcome import Reason as DmarcReason
from poterne.mailauth.dmarc.outcome import Result as DmarcResult
from poterne.mailauth.spf.check import Claim, Question, Steps, check_host, helo, mail_from, out_of_time
from poterne.mailauth.spf.outcome import Outcome as SpfOutcome
from poterne.message.author import Author
from poterne.message.header import HeaderIndex
from poterne.session.smtp.asking import Asking, Names
from poterne.values.address import Address
from poterne.values.dns import TXT, Answer, NxDomain

ARC_SETS_MOST: Final = 12
"""Of a longer chain no key is asked for: it fails. Honest ones have one to four; 50, which RFC 8617 allows, are 51 questions to
name servers of a stranger's choice, and a tenth of a second of work."""
_TOO_LONG: Final = ArcOutcome(arc_outcome.Result.FAIL, arc_outcome.Reason.TOO_MANY)


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checks came to."""

    spf: SpfOutcome
    """Of MAIL FROM; of the null reverse-path that is postmaster of the HELO name."""
    helo: SpfOutcome
    dkim: tuple[DkimOutcome, ...]
    arc: ArcOutcome
    dmarc: DmarcOutcome
    author_exists: bool = True
    """False: there is no such domain."""


@final
class Spoken:
    """SPF of what a connection called itself, once for all of its messages."""

    __slots__ = ("asking", "claim")

    def __init__(self, peer: str, name: str, hostname: str, names: Names, now_s: int) -> None:
        self.claim: Final = helo(peer, name, receiver=hostname, now_s=now_s)
        self.asking: Final = Asking(check_host(self.claim, explain=False), names)


@final
class Checks:
    """Of one message. `begin` when its header is known, `feed` its body, then `finish`; or `drop`."""

    __slots__ = (
        "_arc", "_author", "_claim", "_dkim", "_dns_s", "_keys", "_names", "_now_s", "_policy", "_spf", "_spoken", "peer_name",
    )  # fmt: skip

    def __init__(
        self,
        names: Names,
        spoken: Spoken,
        reverse_path: Address | None,
        hostname: str,
        dns_s: float,
        now_s: int,
        *,
        peer_name: str = "",
    ) -> None:
        """`peer_name`: of the client's address in DNS, when it leads back to it."""
        self.peer_name: Final = peer_name
        self._names: Final = names
        self._spoken: Final = spoken
        self._dns_s: Final = dns_s
        self._now_s: Final = now_s
        said = spoken.claim
        self._claim: Final[Claim] = mail_from(said.client, reverse_path, said.domain, receiver=hostname, now_s=now_s)
        self._spf: Final = Asking(check_host(self._claim), names)
        self._author: Author | None = None
        self._dkim: DkimVerifier | None = None
        self._arc: ArcVerifier | None = None
        """None also for a chain that is too long."""
        self._keys: Asking[Mapping[str, Answer[bytes]]] | None = None
        self._policy: Asking[Discovery] | None = None

    def begin(self, header: HeaderIndex, author: Author) -> None:
        """The header, as it was received."""
        self._author = author
        arc = ArcVerifier(header, self._now_s)
        believable = len(arc.sealers) <= ARC_SETS_MOST
        self._arc = arc if believable else None
        also = arc.wanted if believable else ()
        self._dkim = dkim = DkimVerifier(header, self._now_s, also=also)  # the body is hashed once for both
        names = tuple(dict.fromkeys((*dkim.names, *arc.names))) if believable and arc.names else dkim.names
        if names:
            self._keys = Asking(_keys(names), self._names)
        self._policy = Asking(discover(author.domain), self._names)

    def feed(self, chunk: bytes) -> None:
        """The next octets of the body, as received."""
        if self._dkim is not None:
            self._dkim.feed(chunk)

    async def finish(self) -> Findings:
        """What is known when the message, and the time for DNS, has ended. Once only."""
        ends_at = asyncio.get_running_loop().time() + self._dns_s
        if not self._at_hand:
            try:
                async with asyncio.timeout_at(ends_at):
                    await self._wait()
            except TimeoutError:
                self.drop()
        spf = await self._spf.result() if self._spf.done else out_of_time(self._claim)
        spoken = self._spoken
        called = await spoken.asking.result() if spoken.asking.done else out_of_time(spoken.claim)
        answers: Mapping[str, Answer[bytes]] = {}
        if self._keys is not None and self._keys.done:
            answers = await self._keys.result()
        dkim, arc, author = self._dkim, self._arc, self._author
        if dkim is None or author is None:
            raise RuntimeError("the header of this message was never known")
        signatures = dkim.finish(answers)
        aligned = await self._dmarc(author.domain, spf, signatures, ends_at)
        chain = _TOO_LONG if arc is None else arc.finish(answers, dkim.body)
        there = aligned.result is not DmarcResult.NONE or await self._exists(author.domain, ends_at)
        return Findings(spf, called, signatures, chain, aligned, there)

    @property
    def peer(self) -> str:
        """Its address."""
        return self._claim.client

    @property
    def _at_hand(self) -> bool:
        asked = (self._spf, self._spoken.asking, self._keys, self._policy)
        return all(one is None or one.done for one in asked)

    async def _wait(self) -> None:
        await self._spf.result()
        await asyncio.shield(self._spoken.asking.result())
        for asking in (self._keys, self._policy):
            if asking is not None:
                await asking.result()

    async def _dmarc(self, domain: str, spf: SpfOutcome, dkim: tuple[DkimOutcome, ...], ends_at: float) -> DmarcOutcome:
        if self._policy is not None and self._policy.done:
            asking = Asking(judge(await self._policy.result(), (spf,), dkim), self._names)
            if asking.done:
                return await asking.result()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(ends_at):
                    return await asking.result()
        return DmarcOutcome(DmarcResult.TEMPERROR, DmarcReason.DNS, domain)

    async def _exists(self, domain: str, ends_at: float) -> bool:
        """Not so only when DNS says that it does not (RFC 8020)."""
        asking = Asking(_exists(domain), self._names)
        with contextlib.suppress(TimeoutError):
            if asking.done:
                return await asking.result()
            async with asyncio.timeout_at(ends_at):
                return await asking.result()
        return True

    def drop(self) -> None:
        """Nobody will ask for the outcome. Safe at any time."""
        self._spf.drop()
        for asking in (self._keys, self._policy):
            if asking is not None:
                asking.drop()


def _exists(domain: str) -> Steps[bool]:
    (answer,) = yield (Question(domain, TXT),)
    return not isinstance(answer, NxDomain)


def _keys(names: tuple[str, ...]) -> Steps[Mapping[str, Answer[bytes]]]:
    answers = yield tuple(Question(name, TXT) for name in names)
    return dict(zip(names, cast("Sequence[Answer[bytes]]", answers), strict=True))  # TXT was asked for
