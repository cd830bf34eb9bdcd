"""DKIM keys of our domains: made, brought into use, retired, removed; and what is to be published of them.

The life of a key (RFC 6376 §3.1, §6.1.2): NEXT, until its record is in DNS; ACTIVE, it signs; RETIRED, it signs no more and its
record stays until what it signed has arrived; then record and key go. Of each algorithm one key of a domain signs. The steward
does all that by itself (`dkim_rotation`) except for what is written into DNS.
"""

import asyncio
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.admin.people import Acting, AdminError, parse_domain
from poterne.config.dkim import Dkim, algorithms
from poterne.config.settings import Settings
from poterne.mailauth.dkim import record
from poterne.mailauth.dkim.keys import (
    SigningKey,
    UnusableKeyError,
    generate,
    load,
    new_selector,
    record_strings,
    record_text,
)
from poterne.mailauth.dkim.outcome import Reason
from poterne.mailauth.dkim.parse import key_name
from poterne.mailauth.dkim.record import KeyType
from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.interface import Store
from poterne.store.interface_authors import DkimKeys
from poterne.values.address import domain_name
from poterne.values.dkim import DkimKey, KeyState
from poterne.values.dns import Answer, Found, TempFail

DAY_S: Final = 86_400
_TRIES: Final = 50
"""Selectors of one day; a domain that had more gets its next key tomorrow."""
_COMMENTS: Final = {
    KeyState.NEXT: "publish it: the key signs once it is seen in DNS",
    KeyState.ACTIVE: "it signs",
    KeyState.RETIRED: "it signs no more: its record stays until what it signed has arrived",
}
_UNREADABLE: Final = "its key can't be read: remove it and make another one (poterne dkim create {})"


@dataclass(frozen=True, slots=True)
class DkimRecord:
    """One TXT record of a domain. `name` is complete, without the last dot."""

    name: str
    value: str
    """All of the text; "": the key can't be read, there is nothing to publish."""
    state: KeyState
    comment: str
    """For people."""

    @property
    def strings(self) -> tuple[str, ...]:
        """The text as strings of 255 octets at most."""
        return record_strings(self.value)


class Published(Enum):
    """What DNS has at the name of a key; the value is the stable word."""

    LIVE = "live"
    """The key's own record, and nothing else."""
    MISSING = "missing"
    OTHER = "other"
    """A record that is not this key's, one that marks it as a test (t=y), or several."""
    UNKNOWN = "unknown"
    """DNS does not say now."""


def records(keys: Sequence[DkimKey]) -> list[DkimRecord]:
    """What belongs in DNS for these keys, in their order, retired ones too. Never raises."""
    return [_record(key) for key in keys]


def _record(key: DkimKey) -> DkimRecord:
    try:
        text, comment = record_text(_loaded(key)), _COMMENTS[key.state]
    except UnusableKeyError:
        text, comment = "", _UNREADABLE.format(key.domain)
    return DkimRecord(key_name(key.selector, key.domain), text, key.state, comment)


def _loaded(key: DkimKey) -> SigningKey:
    return load(key.private, key.domain, key.selector)


def published(key: DkimKey, answer: Answer[bytes]) -> Published:
    """What an answer to the TXT query for the key's name says. Never raises."""
    if isinstance(answer, TempFail):
        return Published.UNKNOWN
    if not isinstance(answer, Found):
        return Published.MISSING
    try:
        ours = record.read(record_text(_loaded(key)).encode())
    except UnusableKeyError:
        return Published.OTHER
    theirs = record.read(answer.records[0])
    if len(answer.records) > 1 or not isinstance(theirs, record.Key) or not isinstance(ours, record.Key):
        return Published.OTHER
    same = theirs.type is ours.type and theirs.public == ours.public and not theirs.testing
    return Published.LIVE if same else Published.OTHER


def revoked(answer: Answer[bytes]) -> bool:
    """Nobody can verify with it any more: there is no record, or one with an empty p= (RFC 6376 §3.6.1)."""
    if isinstance(answer, Found):
        found = [record.read(text) for text in answer.records]
        return all(isinstance(one, record.Unusable) and one.reason is Reason.KEY_REVOKED for one in found)
    return not isinstance(answer, TempFail)


def removable(key: DkimKey, settings: Dkim, now: int) -> bool:
    """Its record may go from DNS."""
    return key.state is KeyState.RETIRED and now - key.changed_at >= settings.keep_days * DAY_S


def relayed(settings: Settings) -> frozenset[str]:
    """Domains that `[relay.NAME]` lets servers behind us send for: their mail may be signed here."""
    return frozenset(domain_name(name) for rule in settings.relay.values() for name in rule.sender_domains)


def kinds(settings: Dkim) -> tuple[KeyType, ...]:
    """Which keys a domain has."""
    wanted = algorithms(settings)
    return tuple(kind for kind in KeyType if kind.algorithm in wanted)


# -- what people do ----------------------------------------------------------------------------------------------------


async def keys_of(store: DkimKeys, domain: str | None = None) -> list[DkimKey]:
    """All keys, or those of a domain. Raises AdminError for what is no domain."""
    return await store.dkim_keys(None if domain is None else parse_domain(domain))


async def require_domain(store: Store, settings: Settings, domain: str) -> None:
    """Raises AdminError for a domain that has no keys and can have none here: most likely it is misspelt."""
    name = parse_domain(domain)
    served = {one.name for one in await store.domains()} | relayed(settings)
    if name not in served and not await store.dkim_keys(name):
        raise AdminError(f"{name} is not served here: see poterne domain list")


async def create(
    store: DkimKeys,
    domain: str,
    acting: Acting,
    wanted: Iterable[KeyType],
    *,
    state: KeyState = KeyState.NEXT,
    relayed: Container[str] = (),
) -> list[DkimKey]:
    """A new key of each wanted type that has none in that state yet. Takes some 100 ms of CPU for RSA, in a thread.

    `relayed`: domains that are not served here, for which servers behind us send. Raises AdminError.
    """
    domain = parse_domain(domain)
    there = await store.dkim_keys(domain)
    taken = {key.selector for key in there}
    return [
        await _add(store, domain, kind, taken, state, acting, relayed=bool(there) or domain in relayed)
        for kind in wanted
        if not any(key.algorithm == kind.algorithm and key.state is state for key in there)
    ]


async def _add(
    store: DkimKeys, domain: str, kind: KeyType, taken: set[str], state: KeyState, acting: Acting, *, relayed: bool
) -> DkimKey:
    private = await asyncio.to_thread(generate, kind)
    for _ in range(_TRIES):
        selector = new_selector(kind, acting.now, taken)
        key = DkimKey(domain, selector, kind.algorithm, private, state, acting.now, acting.now)
        (record_,) = records([key])
        event = acting.event(
            "dkim.created",
            domain=domain,
            selector=selector,
            state=state.value,
            name=record_.name,
            publish=record_.value,
        )
        try:
            await store.add_dkim_key(key, event, relayed=relayed)
        except ConflictError:  # a key of that name was there, and is gone: a selector names one key for ever
            taken.add(selector)
        except NotFoundError:
            raise AdminError(f"{domain} is not served here: add it first (poterne domain add {domain})") from None
        else:
            return key
    raise AdminError(f"{domain} had {_TRIES} keys today: make the next one tomorrow")


async def for_new_domain(store: DkimKeys, domain: str, acting: Acting, settings: Dkim) -> list[DkimKey]:
    """The first keys of a domain that has none; they sign once their records are seen in DNS. None: nothing is signed here."""
    if not settings.sign or await store.dkim_keys(domain):
        return []
    return await create(store, domain, acting, kinds(settings))


async def activate(store: DkimKeys, domain: str, selector: str, acting: Acting) -> list[DkimKey]:
    """From now on this key signs; whichever of its algorithm did is retired. Gives all that changed.

    Whether its record is in DNS is for the caller to know. Raises AdminError.
    """
    key = await _key(store, domain, selector)
    if key.state is KeyState.RETIRED:
        raise AdminError(
            f"{selector} was retired: a key that was given up does not come back; make another (poterne dkim create)"
        )
    changed = [
        key if key.state is KeyState.ACTIVE else await _set(store, key, KeyState.ACTIVE, "dkim.activated", acting)
    ]
    return changed + await retire_older(store, changed[0], acting)


async def retire_older(store: DkimKeys, key: DkimKey, acting: Acting) -> list[DkimKey]:
    """Whatever else of the domain signs with the same algorithm is retired."""
    return [
        await _set(store, one, KeyState.RETIRED, "dkim.retired", acting)
        for one in await store.dkim_keys(key.domain)
        if one.state is KeyState.ACTIVE and one.algorithm == key.algorithm and one.selector != key.selector
    ]


async def retire(store: DkimKeys, domain: str, selector: str, acting: Acting, *, last: bool = False) -> DkimKey:
    """It signs no more. `last`: also when no other key of the domain signs, or no RSA key. Raises AdminError."""
    key = await _key(store, domain, selector)
    if key.state is KeyState.NEXT:
        raise AdminError(f"{selector} has not signed yet: remove it (poterne dkim remove {key.domain} {selector})")
    if key.state is KeyState.RETIRED:
        return key
    others = [one for one in await store.dkim_keys(key.domain) if one.state is KeyState.ACTIVE and one != key]
    if not others and not last:
        raise AdminError(
            f"{selector} is the only key of {key.domain} that signs: activate another one first, or say --last "
            "and let mail leave unsigned"
        )
    if (
        key.algorithm == KeyType.RSA.algorithm
        and not any(one.algorithm == key.algorithm for one in others)
        and not last
    ):
        raise AdminError(
            f"{selector} is the only RSA key of {key.domain} that signs, and many servers verify nothing else: activate "
            "another one first, or say --last"
        )
    return await _set(store, key, KeyState.RETIRED, "dkim.retired", acting)


async def remove(
    store: DkimKeys, domain: str, selector: str, acting: Acting, settings: Dkim, *, early: bool = False
) -> DkimKey:
    """The key is gone for good. `early`: although its record may still be needed. Raises AdminError."""
    key = await _key(store, domain, selector)
    if key.state is KeyState.ACTIVE:
        raise AdminError(f"{selector} signs: retire it first (poterne dkim retire {key.domain} {selector})")
    if key.state is KeyState.RETIRED and not early and not removable(key, settings, acting.now):
        days = settings.keep_days - (acting.now - key.changed_at) // DAY_S
        raise AdminError(
            f"mail that {selector} signed may still be on its way: it can go in {days} days, or say --early"
        )
    await store.remove_dkim_key(
        key.domain, key.selector, acting.event("dkim.removed", domain=key.domain, selector=key.selector)
    )
    return key


async def _key(store: DkimKeys, domain: str, selector: str) -> DkimKey:
    domain, selector = parse_domain(domain), selector.strip().lower()
    for key in await store.dkim_keys(domain):
        if key.selector == selector:
            return key
    raise AdminError(f"{domain} has no key {selector}: poterne dkim list {domain} shows its keys")


async def _set(store: DkimKeys, key: DkimKey, state: KeyState, kind: str, acting: Acting) -> DkimKey:
    event = acting.event(kind, domain=key.domain, selector=key.selector)
    try:
        return await store.set_dkim_key(key.domain, key.selector, event, state=state, now=acting.now)
    except NotFoundError:
        raise AdminError(f"{key.selector} was removed meanwhile") from None


__all__ = [
    "DkimRecord", "Published", "activate", "create", "for_new_domain", "keys_of", "kinds", "published", "records", "relayed",
    "removable", "remove", "require_domain", "retire", "retire_older", "revoked",
]  # fmt: skip
