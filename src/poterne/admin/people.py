"""Domains, accounts and aliases: what an administrator adds, lists, changes and removes.

Each operation checks what a person typed, writes through the store with its event, and raises AdminError with a text that
says what to do. Time and the actor come from the caller.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from poterne.admin.passwords import hash_password
from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.interface import Store
from poterne.values.address import Address, AddressError, domain_name, routing_fault
from poterne.values.directory import Account, Alias, Domain, Posting
from poterne.values.event import Event
from poterne.values.folders import FOLDERS
from poterne.values.ids import TraceId
from poterne.values.mailbox import SpecialUse
from poterne.values.secret import Secret
from poterne.values.sending import SendingLimits

MIN_PASSWORD: Final = 10
MAX_PASSWORD: Final = 512
MAX_TARGETS: Final = 1000
"""Of one alias or forward: for more people there are mailing list programs."""
LANGUAGES: Final = ("en", "fr")


class AdminError(Exception):
    """What was asked can't be done; the text is for the person who asked."""


@dataclass(frozen=True, slots=True)
class Acting:
    """Who does something, and when."""

    actor: str
    now: int
    trace_id: TraceId

    def event(self, kind: str, **detail: str | int | bool | None) -> Event:
        return Event(self.now, kind, self.trace_id, reason=self.actor, detail=detail)


_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"


def generate_password() -> Secret:
    """Four groups of four: 80 random bits, easy to read out and to type."""
    return Secret("-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4)))


def check_password(password: Secret, address: str) -> None:
    """Raises AdminError when it is too short, too long, or the address itself."""
    revealed = password.reveal()
    try:
        characters = revealed.decode()
    except UnicodeDecodeError:
        raise AdminError("this password is not UTF-8: mail programs could not send it") from None
    if any(ord(character) < 32 or ord(character) == 127 for character in characters):
        raise AdminError("this password holds control characters: mail programs could not send it")
    if len(characters) < MIN_PASSWORD:
        raise AdminError(f"this password is too short: take {MIN_PASSWORD} characters or more, or let one be generated")
    if len(revealed) > MAX_PASSWORD:
        raise AdminError(f"this password is too long: {MAX_PASSWORD} octets are the most")
    lowered = revealed.lower()
    if lowered in {address.encode(), *(piece.encode() for piece in address.split("@"))}:
        raise AdminError("this password is the address: take another one, or let one be generated")


def parse_address(text: str) -> Address:
    """What a person typed as an address. Raises AdminError."""
    try:
        return Address.parse(text.strip())
    except AddressError as error:
        raise AdminError(f'"{text}" is not a mail address ({error.code}): write it as name@example.org') from None


def parse_domain(text: str) -> str:
    """A domain in lower-case A-labels. Raises AdminError."""
    try:
        address = Address.parse(f"postmaster@{text.strip()}")
    except AddressError as error:
        raise AdminError(f'"{text}" is not a domain ({error.code}): write it as example.org') from None
    if address.literal is not None or "." not in address.domain:
        raise AdminError(f'"{text}" is not a full domain: write it as example.org')
    return address.domain


# -- domains -----------------------------------------------------------------------------------------------------------


async def add_domain(store: Store, name: str, acting: Acting) -> str:
    """Serve a domain; gives its name as it is stored."""
    domain = parse_domain(name)
    try:
        await store.add_domain(domain, acting.event("domain.added", domain=domain))
    except ConflictError:
        raise AdminError(f"the domain {domain} is served already") from None
    return domain


async def remove_domain(store: Store, name: str, acting: Acting) -> None:
    domain = parse_domain(name)
    try:
        await store.remove_domain(domain, acting.event("domain.removed", domain=domain))
    except NotFoundError:
        raise AdminError(f"the domain {domain} is not served here") from None
    except ConflictError:
        raise AdminError(
            f"{domain} still has accounts or aliases: remove them first (poterne account list {domain})"
        ) from None


async def domains(store: Store) -> list[Domain]:
    return await store.domains()


async def _require_domain(store: Store, domain: str) -> None:
    if domain not in {served.name for served in await store.domains()}:
        raise AdminError(f"{domain} is not served here: add it first (poterne domain add {domain})")


# -- accounts ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Made:
    """A new account; `password` is there only when it was generated, to be shown once."""

    account: Account
    password: Secret | None


async def add_account(
    store: Store,
    text: str,
    acting: Acting,
    *,
    password: Secret | None,
    name: str = "",
    language: str = "en",
    quota_bytes: int = 0,
    quota_messages: int = 0,
) -> Made:
    """An account with its folders; without a password one is generated."""
    address = parse_address(text)
    await _require_domain(store, address.domain)
    if "+" in address.local_part:
        raise AdminError('an account\'s name has no "+": what follows a "+" is a tag that its user may choose freely')
    if language not in LANGUAGES:
        raise AdminError(f'there is no language "{language}": choose one of {", ".join(LANGUAGES)}')
    generated = None if password is not None else generate_password()
    if password is not None:
        check_password(password, address.key)
    chosen = password if password is not None else generated
    assert chosen is not None  # noqa: S101  (one of the two is there)
    event = acting.event("account.added", address=address.key)
    folders: Sequence[tuple[str, SpecialUse | None]] = FOLDERS[language]
    try:
        account = await store.add_account(
            address.key,
            name,
            language,
            hash_password(chosen),
            quota_bytes,
            folders,
            event,
            quota_messages=quota_messages,
        )
    except ConflictError:
        raise await _exists(store, address.key) from None
    return Made(account, generated)


async def accounts(store: Store, domain: str | None = None) -> list[Account]:
    """All accounts, or those of a domain."""
    if domain is None:
        return await store.accounts(None)
    name = parse_domain(domain)
    await _require_domain(store, name)
    return await store.accounts(name)


async def account_of(store: Store, text: str) -> Account:
    """The account that a person typed. Raises AdminError."""
    address = parse_address(text)
    try:
        return await store.account(address.key)
    except NotFoundError:
        if await _is_alias(store, address.key):
            raise AdminError(
                f"{address.key} is an alias, not an account (poterne alias list): name one of those that it leads to, or make "
                f"it an account (poterne alias remove {address.key}, then poterne account add {address.key})"
            ) from None
        raise AdminError(f"there is no account {address.key} (poterne account list)") from None


async def _is_alias(store: Store, key: str) -> bool:
    return key in {alias.address for alias in await store.aliases(key.rpartition("@")[2])}


async def _exists(store: Store, key: str) -> AdminError:
    """What has an address already."""
    if await _is_alias(store, key):
        return AdminError(f"{key} exists already, as an alias (poterne alias list; poterne alias remove {key})")
    return AdminError(f"{key} exists already, as an account (poterne account list)")


async def set_password(store: Store, text: str, acting: Acting, *, password: Secret | None) -> Secret | None:
    """A new password; the generated one is returned, to be shown once. Who is signed in with the old one is signed out."""
    account = await account_of(store, text)
    generated = None if password is not None else generate_password()
    if password is not None:
        check_password(password, account.address)
    chosen = password if password is not None else generated
    assert chosen is not None  # noqa: S101  (one of the two is there)
    await store.set_password(
        account.id, hash_password(chosen), acting.event("account.password", address=account.address)
    )
    return generated


async def set_disabled(store: Store, text: str, disabled: bool, acting: Acting) -> Account:
    """Nobody signs in with a disabled account, and who has is signed out, scripts of its too. Mail for it still comes in."""
    account = await account_of(store, text)
    kind = "account.disabled" if disabled else "account.enabled"
    return await store.set_account(account.id, acting.event(kind, address=account.address), disabled=disabled)


async def remove_account(store: Store, text: str, acting: Acting) -> None:
    """The account and all its mail."""
    account = await account_of(store, text)
    try:
        await store.remove_account(account.id, acting.event("account.removed", address=account.address))
    except ConflictError:
        raise AdminError(
            f"{account.address} is under a legal hold: its mail has to stay (poterne retention; poterne retention lift)"
        ) from None


async def set_forwards(
    store: Store, text: str, targets: Sequence[str], acting: Acting, *, keeps: bool = True
) -> Account:
    """Its mail goes to these addresses elsewhere as well, or (`keeps` False) instead; without any, it stays here."""
    account = await account_of(store, text)
    forwards = tuple(dict.fromkeys(_elsewhere(target) for target in _few(targets)))
    served = {domain.name for domain in await store.domains()}
    for forward in forwards:
        if forward.rpartition("@")[2] in served:
            raise AdminError(
                f"{forward} is an address of this server: an alias leads to several accounts (poterne alias add)"
            )
    kept = keeps or not forwards
    event = acting.event("account.forwards", address=account.address, forwards=" ".join(forwards), keeps=kept)
    await store.set_forwards(account.id, forwards, kept, event)
    return replace(account, forwards=forwards, keeps=kept)


FORWARDERS_MOST: Final = 50


async def set_forwarders(store: Store, text: str, domains: Sequence[str], acting: Acting) -> Account:
    """Servers of these domains forward mail to it: what they break does not count as forged; without any, all count the same."""
    account = await account_of(store, text)
    names: list[str] = []
    for domain in domains:
        try:
            name = domain_name(domain)
        except AddressError:
            raise AdminError(f"{domain!r} is not a domain name: write for example forward.example.org") from None
        if "." not in name:
            raise AdminError(f"{domain} is all of a top-level domain: write for example forward.example.org")
        names.append(name)
    if len(names) > FORWARDERS_MOST:
        raise AdminError(f"{FORWARDERS_MOST} forwarders of one account are the most")
    forwarders = tuple(dict.fromkeys(names))
    event = acting.event("account.forwarders", address=account.address, forwarders=" ".join(forwarders))
    await store.set_forwarders(account.id, forwarders, event)
    return replace(account, forwarders=forwarders)


async def set_limits(store: Store, text: str, limits: SendingLimits | None, acting: Acting) -> Account:
    """How much it may send before its mail is held; None: what the settings say."""
    account = await account_of(store, text)
    detail: dict[str, str | int | bool | None] = {"default": limits is None}
    if limits is not None:
        detail |= {
            "per_day": limits.per_day,
            "external_per_hour": limits.external_per_hour,
            "new_per_day": limits.new_per_day,
            "burst": limits.burst,
        }
        if min(limits.per_day, limits.external_per_hour, limits.new_per_day, limits.burst) < 0:
            raise AdminError("a limit is a number of recipients; 0 is no limit")
    await store.set_limits(account.id, limits, acting.event("account.limits", address=account.address, **detail))
    return replace(account, limits=limits)


def bulk_limits(per_day: int) -> SendingLimits:
    """Of an identity that is declared to write to many: one cap, the day's.

    A newsletter goes out in one hour, to people who were never written to, as fast as the program can; limits made for people
    would hold it each time, and whoever releases by habit looks at nothing. What was declared is the most that is lost.
    """
    if per_day < 1:
        raise AdminError("a bulk identity has a cap: say how many recipients a day")
    return SendingLimits(per_day=per_day, external_per_hour=per_day, new_per_day=0, burst=0)


# -- aliases -----------------------------------------------------------------------------------------------------------


def _few(targets: Sequence[str]) -> Sequence[str]:
    if len(targets) > MAX_TARGETS:
        raise AdminError(f"{len(targets)} addresses are too many: {MAX_TARGETS} are the most")
    return targets


def _elsewhere(text: str) -> str:
    address = parse_address(text)
    if routing_fault(address) is not None or address.literal is not None:
        raise AdminError(f'mail can\'t be forwarded to "{text}": write it as name@example.org')
    return address.key


async def add_alias(
    store: Store,
    text: str,
    targets: Sequence[str],
    acting: Acting,
    *,
    posting: Posting = Posting.ANYONE,
    posters: Sequence[str] = (),
) -> Alias:
    """Mail for an address goes to these accounts, and to these addresses elsewhere. `*@domain`: all that nobody else has."""
    address = parse_address(text)
    await _require_domain(store, address.domain)
    if "*" in address.local_part and address.local_part != "*":
        raise AdminError('"*" stands for all addresses of a domain, and only alone: --catch-all')
    served = {domain.name for domain in await store.domains()}
    keys = tuple(dict.fromkeys(_elsewhere(target) for target in _few(targets)))
    here = tuple(key for key in keys if key.rpartition("@")[2] in served)
    forwards = tuple(key for key in keys if key not in here)
    listed = tuple(dict.fromkeys(parse_address(poster).key for poster in _few(posters)))
    if listed and posting is not Posting.LISTED:
        raise AdminError("posters are for --posting listed: anybody else would be forgotten")
    if posting is Posting.LISTED and not listed:
        raise AdminError("nobody could write to it: name who may (--poster)")
    event = acting.event(
        "alias.added",
        address=address.key,
        targets=" ".join(here),
        forwards=" ".join(forwards),
        posting=posting.value,
        posters=" ".join(listed),
    )
    try:
        await store.add_alias(address.key, here, event, forwards=forwards, posting=posting, posters=listed)
    except ConflictError:
        raise await _exists(store, address.key) from None
    except NotFoundError:
        missing = await _no_accounts(store, here)
        raise AdminError(
            f"an alias points to accounts of this server, and {' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} "
            "none (poterne account list)"
        ) from None
    return Alias(address.key, here, acting.now, forwards, posting, listed)


async def _no_accounts(store: Store, keys: Sequence[str]) -> list[str]:
    known = {account.address for account in await store.accounts(None)}
    return [key for key in keys if key not in known]


async def aliases(store: Store, domain: str | None = None) -> list[Alias]:
    """All aliases, or those of a domain."""
    if domain is None:
        return await store.aliases(None)
    name = parse_domain(domain)
    await _require_domain(store, name)
    return await store.aliases(name)


async def remove_alias(store: Store, text: str, acting: Acting) -> None:
    address = parse_address(text)
    try:
        await store.remove_alias(address.key, acting.event("alias.removed", address=address.key))
    except NotFoundError:
        raise AdminError(f"there is no alias {address.key} (poterne alias list)") from None
