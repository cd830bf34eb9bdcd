"""Domains, accounts and aliases: what an administrator adds, lists, changes and removes.

Each operation checks what a person typed, writes through the store with its event, and raises AdminError with a text that
says what to do. Time and the actor come from the caller.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from poterne.admin.passwords import hash_password
from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.interface import Store
from poterne.values.address import Address, AddressError
from poterne.values.directory import Account, Alias, Domain
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.mailbox import SpecialUse
from poterne.values.secret import Secret

MIN_PASSWORD: Final = 10
MAX_PASSWORD: Final = 512
LANGUAGES: Final = ("en", "fr")

FOLDERS: Final[dict[str, tuple[tuple[str, SpecialUse], ...]]] = {
    "en": (
        ("Drafts", SpecialUse.DRAFTS),
        ("Sent", SpecialUse.SENT),
        ("Junk", SpecialUse.JUNK),
        ("Trash", SpecialUse.TRASH),
        ("Archive", SpecialUse.ARCHIVE),
    ),
    "fr": (
        ("Brouillons", SpecialUse.DRAFTS),
        ("Envoyés", SpecialUse.SENT),
        ("Indésirables", SpecialUse.JUNK),
        ("Corbeille", SpecialUse.TRASH),
        ("Archives", SpecialUse.ARCHIVE),
    ),
}


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
            address.key, name, language, hash_password(chosen), quota_bytes, folders, event
        )
    except ConflictError:
        raise AdminError(f"{address.key} exists already, as an account or an alias") from None
    return Made(account, generated)


async def accounts(store: Store, domain: str | None = None) -> list[Account]:
    """All accounts, or those of a domain."""
    if domain is None:
        return await store.accounts(None)
    name = parse_domain(domain)
    await _require_domain(store, name)
    return await store.accounts(name)


async def _account(store: Store, text: str) -> Account:
    address = parse_address(text)
    try:
        return await store.account(address.key)
    except NotFoundError:
        raise AdminError(f"there is no account {address.key} (poterne account list)") from None


async def set_password(store: Store, text: str, acting: Acting, *, password: Secret | None) -> Secret | None:
    """A new password; the generated one is returned, to be shown once. Sessions signed in with the old one go on."""
    account = await _account(store, text)
    generated = None if password is not None else generate_password()
    if password is not None:
        check_password(password, account.address)
    chosen = password if password is not None else generated
    assert chosen is not None  # noqa: S101  (one of the two is there)
    await store.set_password(
        account.id, hash_password(chosen), acting.event("account.password", address=account.address)
    )
    return generated


async def remove_account(store: Store, text: str, acting: Acting) -> None:
    """The account and all its mail."""
    account = await _account(store, text)
    await store.remove_account(account.id, acting.event("account.removed", address=account.address))


# -- aliases -----------------------------------------------------------------------------------------------------------


async def add_alias(store: Store, text: str, targets: Sequence[str], acting: Acting) -> Alias:
    """Mail for an address goes to these accounts."""
    address = parse_address(text)
    await _require_domain(store, address.domain)
    keys = tuple(dict.fromkeys(parse_address(target).key for target in targets))
    event = acting.event("alias.added", address=address.key, targets=" ".join(keys))
    try:
        await store.add_alias(address.key, keys, event)
    except ConflictError:
        raise AdminError(f"{address.key} exists already, as an account or an alias") from None
    except NotFoundError:
        raise AdminError(
            "an alias points to accounts of this server, and one of these is not (poterne account list)"
        ) from None
    return Alias(address.key, keys, acting.now)


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
