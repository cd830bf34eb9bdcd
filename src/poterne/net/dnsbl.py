"""A DNS blocklist of addresses (RFC 5782), believed only while its test entries are right.

Theory of operation. A list that ends may start to name everybody, one that we ask too often, or through the resolver of a large
provider, answers with error codes: both have cost other servers all their mail. So each list must prove itself before it is
asked, for IPv4 and IPv6 apart: it has 127.0.0.2, and does not have 127.0.0.1 (RFC 5782 §5). That is repeated every hour, and
sooner after trouble. Only codes in 127.0.0.0/8 mean "listed", and of these neither 127.0.0.1 nor 127.255.255.0/24, which lists
use to say that they refuse to answer. A list that fails is skipped, and the log says so once.
"""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from poterne.observe import Log
from poterne.policy.reputation import Listing
from poterne.values.dns import TXT, A, Answer, Found, Resolver, TempFail, reversed_labels
from poterne.values.networks import address_number

CHECK_S: Final = 3600.0
RETRY_S: Final = 300.0
"""After a check that got no answer."""
SUSPECT_S: Final = 60.0
"""A list that suddenly does not answer is checked again, so long after the last check at the soonest."""
MAX_TEXT: Final = 300
TEXT_S: Final = 2.0
"""What a list says about an entry is waited for so long; that it has the entry counts anyway."""

_MAPPED: Final = 0xFFFF << 32
_LISTED_TEST, _CLEAN_TEST = 0x7F000002, 0x7F000001
_KEY: Final = re.compile(r"(?=[a-z0-9_-]*[0-9])(?=[a-z0-9_-]*[a-z])[a-z0-9_-]{16,}")


class Silence(Enum):
    """No listing."""

    CLEAN = "clean"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class _Health:
    """Of one list, for one IP version."""

    sound: bool = False
    due_at: float = 0.0
    checked_at: float = float("-inf")
    check: asyncio.Task[None] | None = None
    trouble: str = ""
    """What the log was told last."""


def public_name(zone: str) -> str:
    """The zone without the customer's key that some lists put before it."""
    labels = zone.split(".")
    while len(labels) > 2 and _KEY.fullmatch(labels[0]):
        labels.pop(0)
    return ".".join(labels)


def meaning(answer: Answer[str]) -> tuple[str, ...] | str:
    """The codes of a listing, none for "not listed"; or, as text, what is wrong with the answer."""
    if isinstance(answer, TempFail):
        return f"it does not answer ({answer.reason.value}: {answer.detail})"
    if not isinstance(answer, Found):
        return ()
    for code in answer.records:
        if not code.startswith("127.") or code == "127.0.0.1" or code.startswith("127.255.255."):
            return (
                f"it answers {code}, which means an error: does it answer your resolver, and is its zone spelled right?"
            )
    return answer.records


@final
class Blocklist:
    """One list. Bounded by the resolver; keeps nothing of the addresses asked for."""

    def __init__(self, zone: str, resolver: Resolver, log: Log, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.name: Final = public_name(zone)
        self._zone: Final = zone
        self._resolver: Final = resolver
        self._log: Final = log
        self._clock: Final = clock
        self._health: Final = {4: _Health(), 6: _Health()}

    async def look_up(self, ip: str) -> Listing | Silence:
        """Is this address listed? UNKNOWN while the list has not proved itself."""
        found, labels = address_number(ip), reversed_labels(ip)
        if found is None or labels is None or not await self._proved(found[0]):
            return Silence.UNKNOWN
        name = f"{labels}.{self._zone}"
        answer = await self._resolver.query(name, A)
        codes = meaning(answer)
        if isinstance(codes, str):
            self._suspect(found[0], codes, error=isinstance(answer, Found))
            return Silence.UNKNOWN
        if not codes:
            return Silence.CLEAN
        return Listing(self.name, codes, await self._text(name))

    async def _text(self, name: str) -> str:
        try:
            async with asyncio.timeout(TEXT_S):
                return _first_text(await self._resolver.query(name, TXT))
        except TimeoutError:
            return ""

    def sound(self, version: int) -> bool:
        """Did it prove itself, when it was last checked?"""
        return self._health[version].sound

    async def _proved(self, version: int) -> bool:
        health = self._health[version]
        if self._clock() >= health.due_at and health.check is None:
            health.check = asyncio.create_task(self._check(version, health))
        if health.check is not None and not health.sound:
            await asyncio.shield(health.check)
        return health.sound

    def _suspect(self, version: int, trouble: str, *, error: bool) -> None:
        health, now = self._health[version], self._clock()
        if error:
            self._conclude(version, health, trouble)
            health.due_at = now + CHECK_S
        else:
            health.due_at = min(health.due_at, health.checked_at + SUSPECT_S)

    async def _check(self, version: int, health: _Health) -> None:
        try:
            listed, clean = await asyncio.gather(
                self._resolver.query(self._test_name(_LISTED_TEST, version), A),
                self._resolver.query(self._test_name(_CLEAN_TEST, version), A),
            )
            health.checked_at = self._clock()
            unanswered = isinstance(listed, TempFail) or isinstance(clean, TempFail)
            health.due_at = health.checked_at + (RETRY_S if unanswered else CHECK_S)
            self._conclude(version, health, _verdict(listed, clean))
        finally:
            health.check = None

    def _test_name(self, address: int, version: int) -> str:
        octets = address.to_bytes(4)
        labels = (
            ".".join(str(octet) for octet in reversed(octets))
            if version == 4
            else ".".join(f"{_MAPPED | address:032x}"[::-1])
        )
        return f"{labels}.{self._zone}"

    def _conclude(self, version: int, health: _Health, trouble: str) -> None:
        """Told to the log when it changes: the operator must know that a list no longer protects."""
        was, health.sound = health.sound, not trouble
        if trouble and not health.trouble:
            if version == 6 and trouble == _NO_TEST_ENTRY:  # most lists have IPv4 only
                self._log.info("dnsbl.no_ipv6", list=self.name)
            else:
                self._log.error("dnsbl.skipped", list=self.name, ip_version=version, problem=trouble)
        elif not trouble and not was:
            self._log.info("dnsbl.sound", list=self.name, ip_version=version)
        health.trouble = trouble

    def close(self) -> None:
        for health in self._health.values():
            if health.check is not None:
                health.check.cancel()


_NO_TEST_ENTRY: Final = "its test entry 127.0.0.2 is missing: this is no list, or no longer one"


def _verdict(listed: Answer[str], clean: Answer[str]) -> str:
    """What is wrong with a list that answers so to its two tests; "" when nothing is."""
    codes = meaning(listed)
    if isinstance(codes, str):
        return codes
    if not codes:
        return _NO_TEST_ENTRY
    if isinstance(clean, TempFail):
        return str(meaning(clean))
    return "it names 127.0.0.1, and so perhaps everybody" if isinstance(clean, Found) else ""


def _first_text(answer: Answer[bytes]) -> str:
    """Printable ASCII of what the list says about an entry."""
    if not isinstance(answer, Found):
        return ""
    text = answer.records[0][:MAX_TEXT].decode("ascii", "replace")
    return "".join(c if " " <= c <= "~" else "?" for c in text)
