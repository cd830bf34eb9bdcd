"""What a sender may do, from what a person typed: each address, network and number judged; what is dangerous is refused."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from poterne.admin.people import AdminError, parse_address, parse_domain
from poterne.store.errors import NotFoundError
from poterne.store.interface import Store
from poterne.values.address import routing_fault
from poterne.values.networks import NetworkError, parse_network
from poterne.values.relay import Fault, RuleFault, faults
from poterne.values.sender import ANYONE, SenderScope

NOBODY_UID: Final = 65534
"""Whoever the kernel cannot name, such as users of another user namespace, seems to be this one."""
MAX_UID: Final = 2**32 - 2
MAX_LISTED: Final = 1000
MAX_PER_HOUR: Final = 100_000
MAX_PER_DAY: Final = 1_000_000
MAX_BYTES: Final = 256 * 1024 * 1024
_ANYONE_WORDS: Final = frozenset({ANYONE, "anyone"})
_UNSAFE: Final = frozenset(
    {
        RuleFault.EVERYBODY,
        RuleFault.NOT_A_NETWORK,
        RuleFault.LINK_LOCAL,
        RuleFault.SHARED,
        RuleFault.TRANSLATED,
        RuleFault.SPECIAL,
        RuleFault.PUBLIC_NETWORK,
    }
)
"""Of a relay rule's faults those that also count behind a password. Loopback and whole private networks may be meant here."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed; None: as it is, or as it is usual."""

    from_addresses: Sequence[str] | None = None
    recipients: Sequence[str] | None = None
    """Addresses, `@domain`, or `anyone`. Usual: the domains served now."""
    networks: Sequence[str] | None = None
    uids: Sequence[int] | None = None
    per_hour: int | None = None
    per_day: int | None = None
    same_per_hour: int | None = None
    answers_per_hour: int | None = None
    max_bytes: int | None = None
    anywhere: bool = False
    """Yes, with its password it may write to anyone from anywhere."""

    def over(self, scope: SenderScope, *, anywhere: bool = False) -> "Wanted":
        """The same, with what is left out taken from `scope`. `anywhere`: it was so already."""
        return Wanted(
            scope.from_addresses if self.from_addresses is None else self.from_addresses,
            scope.recipients if self.recipients is None else self.recipients,
            scope.networks if self.networks is None else self.networks,
            scope.uids if self.uids is None else self.uids,
            scope.per_hour if self.per_hour is None else self.per_hour,
            scope.per_day if self.per_day is None else self.per_day,
            scope.same_per_hour if self.same_per_hour is None else self.same_per_hour,
            scope.answers_per_hour if self.answers_per_hour is None else self.answers_per_hour,
            scope.max_bytes if self.max_bytes is None else self.max_bytes,
            self.anywhere or anywhere,
        )


async def scope_of(store: Store, wanted: Wanted, *, has_password: bool) -> SenderScope:
    """The scope that is meant. Raises AdminError for what can't be, or would open a door."""
    usual = SenderScope((), ())
    scope = SenderScope(
        await _from_addresses(store, wanted.from_addresses or ()),
        await _recipients(store, wanted.recipients),
        _networks(wanted.networks or ()),
        _uids(wanted.uids or ()),
        _number("per hour", wanted.per_hour, usual.per_hour, MAX_PER_HOUR),
        _number("per day", wanted.per_day, usual.per_day, MAX_PER_DAY),
        _number("the same per hour", wanted.same_per_hour, usual.same_per_hour, MAX_PER_HOUR),
        _number("answers per hour", wanted.answers_per_hour, usual.answers_per_hour, MAX_PER_HOUR),
        _number("octets", wanted.max_bytes, usual.max_bytes, MAX_BYTES),
    )
    if has_password and is_open(scope) and not wanted.anywhere:
        raise AdminError(
            "whoever gets hold of this password could write to anyone, from anywhere, in your name: name the networks it is "
            "used from (--network), or the recipients (--to); if it must be so, say --anywhere"
        )
    return scope


def is_open(scope: SenderScope) -> bool:
    """Whoever knew its password could write to anyone, from anywhere."""
    return ANYONE in scope.recipients and not scope.networks


def _listed(values: Sequence[str], what: str) -> Sequence[str]:
    if len(values) > MAX_LISTED:
        raise AdminError(f"{len(values)} {what} are too many for one sender: {MAX_LISTED} are the most")
    return values


async def _from_addresses(store: Store, typed: Sequence[str]) -> tuple[str, ...]:
    """Each is an account's or an alias's: answers and bounces must reach somebody."""
    if not typed:
        raise AdminError("a sender needs an address to write as: name an account or an alias (--from)")
    keys = tuple(dict.fromkeys(parse_address(text).key for text in _listed(typed, "addresses")))
    for key in keys:
        if not await _is_local(store, key):
            raise AdminError(
                f"{key} is no account and no alias of this server: a script writes only as an address whose answers reach "
                f"somebody (poterne alias add {key} you@example.org)"
            )
    return keys


async def _is_local(store: Store, key: str) -> bool:
    try:
        await store.account(key)
    except NotFoundError:
        domain = key.rpartition("@")[2]
        return any(alias.address == key for alias in await store.aliases(domain))
    return True


async def _recipients(store: Store, typed: Sequence[str] | None) -> tuple[str, ...]:
    if typed is None:
        served = tuple(f"@{domain.name}" for domain in await store.domains())
        if not served:
            raise AdminError("no domain is served yet: say whom it may write to (--to), or add a domain first")
        return served
    if not typed:
        raise AdminError("a sender that may write to nobody is of no use: name recipients (--to)")
    return tuple(dict.fromkeys(_recipient(text.strip()) for text in _listed(typed, "recipients")))


def _recipient(text: str) -> str:
    if text.lower() in _ANYONE_WORDS:
        return ANYONE
    if text.startswith("@"):
        return f"@{parse_domain(text[1:])}"
    address = parse_address(text)
    if routing_fault(address) is not None or "*" in address.local_part:
        raise AdminError(f'"{text}" is not one recipient: name an address, @domain for all of a domain, or anyone')
    return address.key


def _networks(typed: Sequence[str]) -> tuple[str, ...]:
    entries = tuple(dict.fromkeys(text.strip() for text in _listed(typed, "networks")))
    narrow = []
    for entry in entries:
        found = list(faults([entry], ["example.org"], (), 1))
        _refuse_unsafe(fault for fault in found if fault.why in _UNSAFE)
        narrow += [entry] if not found else []
    # Neighbours, each narrow enough, may amount to a whole network.
    _refuse_unsafe(fault for fault in faults(narrow, ["example.org"], (), 1) if fault.why in _UNSAFE)
    try:
        return tuple(str(parse_network(entry)) for entry in entries)
    except NetworkError as error:
        raise AdminError(f"network: {error}") from None


def _refuse_unsafe(found: Iterator[Fault]) -> None:
    for fault in found:
        raise AdminError(f"network {fault.what}: {fault.remedy}")


def _uids(typed: Sequence[int]) -> tuple[int, ...]:
    for uid in typed:
        if not 0 <= uid <= MAX_UID:
            raise AdminError(f"{uid} is no number of a local user (id -u NAME)")
        if uid == NOBODY_UID:
            raise AdminError(
                "65534 is nobody: whoever the kernel can't name, such as users of containers, seems to be it; give the script "
                "a user of its own (useradd --system)"
            )
    return tuple(sorted(set(typed)))


def _number(what: str, typed: int | None, usual: int, most: int) -> int:
    if typed is None:
        return usual
    if not 1 <= typed <= most:
        raise AdminError(
            f"{what}: {typed} is not between 1 and {most}: a script without limits can't be told from a stolen one"
        )
    return typed


def widened(before: SenderScope, after: SenderScope) -> Iterator[str]:
    """What a sender may do now that it might not do before, by the name of the setting."""
    if not set(after.from_addresses) <= set(before.from_addresses):
        yield "from_addresses"
    if not all(_covered(recipient, before.recipients) for recipient in after.recipients):
        yield "recipients"
    if before.networks and not (
        after.networks and all(_within(network, before.networks) for network in after.networks)
    ):
        yield "networks"
    if not set(after.uids) <= set(before.uids):
        yield "uids"
    for name in ("per_hour", "per_day", "same_per_hour", "answers_per_hour", "max_bytes"):
        if getattr(after, name) > getattr(before, name):
            yield name


def _covered(recipient: str, by: Sequence[str]) -> bool:
    return ANYONE in by or recipient in by or "@" + recipient.rpartition("@")[2] in by


def _within(entry: str, networks: Sequence[str]) -> bool:
    inner = parse_network(entry)
    for other in map(parse_network, networks):
        if inner.version == other.version and inner.network_address in other and inner.prefixlen >= other.prefixlen:
            return True
    return False


def describe(scope: SenderScope) -> dict[str, str | int]:
    """The scope in words for an event or a person."""
    return {
        "from": " ".join(scope.from_addresses),
        "to": "anyone" if ANYONE in scope.recipients else " ".join(scope.recipients),
        "networks": " ".join(scope.networks),
        "uids": " ".join(map(str, scope.uids)),
        "per_hour": scope.per_hour,
        "per_day": scope.per_day,
        "same_per_hour": scope.same_per_hour,
        "answers_per_hour": scope.answers_per_hour,
        "max_bytes": scope.max_bytes,
    }
