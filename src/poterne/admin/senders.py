"""Senders: credentials for scripts, printers, web shops. What an administrator adds, approves, limits, revokes.

A sender may do nothing until it is approved, and then only what was approved: its scope. Whoever widens the scope of an active
sender makes it pending again: an approval is of a scope that somebody has looked at, and must not be inherited by a larger one.
Narrowing needs no approval. Revoking also replaces the password by one that nobody knows.

Each operation is journalled with who did it, and raises AdminError with a text that says what to do.
"""

import re
from dataclasses import dataclass
from typing import Final

from poterne.admin.passwords import hash_password
from poterne.admin.people import Acting, AdminError, account_of, check_password, generate_password
from poterne.admin.sender_scope import Wanted, describe, is_open, scope_of, widened
from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.interface import Store
from poterne.values.event import Event
from poterne.values.secret import Secret
from poterne.values.sender import Sender, SenderState

_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
HISTORY: Final = 1000
"""So many events of a kind are searched for those of one sender."""


@dataclass(frozen=True, slots=True)
class Made:
    """A sender, and the password when one was generated, to be shown once."""

    sender: Sender
    password: Secret | None


@dataclass(frozen=True, slots=True)
class Limited:
    """A sender after a change. `widened` names what it may do more; then it is pending, unless it was approved at once."""

    sender: Sender
    widened: tuple[str, ...]


async def add_sender(
    store: Store,
    name: str,
    owner: str,
    wanted: Wanted,
    acting: Acting,
    *,
    expires_at: int = 0,
    with_password: bool | None = None,
    password: Secret | None = None,
) -> Made:
    """A pending sender. It gets a generated password, unless local users are listed and no network: then none is needed.

    `with_password` says otherwise. By default it may write to the domains served now, and to nobody else.
    """
    chosen = name.strip()
    if not _NAME.fullmatch(chosen):
        raise AdminError(
            f'"{name}" is not a sender\'s name: take lower-case letters, digits, dots, hyphens, for example webshop; '
            "a name with @ would be an account's"
        )
    account = await account_of(store, owner)
    needs = with_password if with_password is not None else not wanted.uids or bool(wanted.networks)
    needs = needs or password is not None
    scope = await scope_of(store, wanted, has_password=needs)
    _check_expiry(expires_at, acting.now)
    generated = generate_password() if needs and password is None else None
    if password is not None:
        check_password(password, chosen)
    secret = password if password is not None else generated
    event = acting.event("sender.added", sender=chosen, owner=account.address, **describe(scope), expires=expires_at)
    try:
        sender = await store.add_sender(
            chosen, account.id, scope, None if secret is None else hash_password(secret), expires_at, event
        )
    except ConflictError:
        raise AdminError(f"there is a sender {chosen} already (poterne sender list)") from None
    return Made(sender, generated)


def _check_expiry(expires_at: int, now: int) -> None:
    if expires_at and expires_at <= now:
        raise AdminError("the day it ends is over already: choose a later one, or never")


async def senders(store: Store) -> list[Sender]:
    """All, by name."""
    return await store.senders()


async def sender(store: Store, name: str) -> Sender:
    """Raises AdminError when there is none of that name."""
    try:
        return await store.sender(name.strip())
    except NotFoundError:
        raise AdminError(f"there is no sender {name} (poterne sender list)") from None


async def history(store: Store, name: str) -> list[Event]:
    """Who did what to it, newest first: of the last events of each kind."""
    found: list[Event] = []
    for kind in ("sender.added", "sender.approved", "sender.limited", "sender.password", "sender.revoked"):
        events = await store.events(kind=kind, limit=HISTORY)
        found += [event for event in events if event.detail.get("sender") == name]
    return sorted(found, key=lambda event: event.at, reverse=True)


async def approve_sender(store: Store, name: str, acting: Acting) -> Sender:
    """From now on it may send what its scope says. Who approved it, and what, is in the event."""
    known = await sender(store, name)
    if known.state is SenderState.ACTIVE:
        raise AdminError(f"{known.name} is approved already")
    if known.state is SenderState.REVOKED and known.has_password:
        raise AdminError(
            f"{known.name} was revoked, and its password with it: give it a new one (poterne sender password {known.name})"
        )
    if known.expires_at and known.expires_at <= acting.now:
        raise AdminError(f"{known.name} has expired: prolong it first (poterne sender limit {known.name} --expires …)")
    # What was an address of ours when it was added may be gone, and domains may have been removed.
    await scope_of(store, Wanted(anywhere=True).over(known.scope), has_password=known.has_password)
    event = acting.event("sender.approved", sender=known.name, owner=known.owner_address, **describe(known.scope))
    return await store.set_sender(known.id, event, state=SenderState.ACTIVE)


async def limit_sender(
    store: Store, name: str, changed: Wanted, acting: Acting, *, expires_at: int | None = None, approve: bool = False
) -> Limited:
    """Change the scope: what `changed` leaves out stays. Wider than before, it is pending again, unless `approve` is said."""
    known = await sender(store, name)
    if known.state is SenderState.REVOKED:
        raise AdminError(f"{known.name} is revoked: a change would mean nothing (poterne sender password {known.name})")
    wanted = changed.over(known.scope, anywhere=known.has_password and is_open(known.scope))
    scope = await scope_of(store, wanted, has_password=known.has_password)
    if not (known.has_password or scope.uids):
        raise AdminError(f"{known.name} has no password, and without local users nothing could use it: name a --uid")
    ends = known.expires_at if expires_at is None else expires_at
    if expires_at is not None:
        _check_expiry(expires_at, acting.now)
    more = list(widened(known.scope, scope))
    if known.expires_at and (ends == 0 or ends > known.expires_at):
        more.append("expires")
    state = SenderState.PENDING if more and known.state is SenderState.ACTIVE and not approve else None
    if approve and known.state is SenderState.PENDING:
        state = SenderState.ACTIVE
    event = acting.event(
        "sender.limited",
        sender=known.name,
        owner=known.owner_address,
        before=_line(describe(known.scope)),
        **describe(scope),
        expires=ends,
        widened=" ".join(more),
        approved=approve,
    )
    return Limited(await store.set_sender(known.id, event, state=state, scope=scope, expires_at=ends), tuple(more))


def _line(words: dict[str, str | int]) -> str:
    return "; ".join(f"{key} {value}" for key, value in words.items())


async def revoke_sender(store: Store, name: str, acting: Acting) -> Sender:
    """From now on it may send nothing; its password is worth nothing, whatever happens later."""
    known = await sender(store, name)
    if known.state is SenderState.REVOKED:
        raise AdminError(f"{known.name} is revoked already")
    dead = hash_password(generate_password()) if known.has_password else None
    event = acting.event("sender.revoked", sender=known.name, owner=known.owner_address)
    return await store.set_sender(known.id, event, state=SenderState.REVOKED, verifier=dead)


async def set_sender_password(
    store: Store, name: str, acting: Acting, *, password: Secret | None = None, anywhere: bool = False
) -> Made:
    """A new password; a generated one is returned. A revoked sender is pending then, and one that had none as well."""
    known = await sender(store, name)
    if not known.has_password:  # a password opens the network to it
        await scope_of(store, Wanted(anywhere=anywhere).over(known.scope), has_password=True)
    if password is not None:
        check_password(password, known.name)
    generated = None if password is not None else generate_password()
    secret = password if password is not None else generated
    assert secret is not None  # noqa: S101  (one of the two is there)
    again = known.state is SenderState.REVOKED or not known.has_password
    event = acting.event("sender.password", sender=known.name, owner=known.owner_address)
    changed = await store.set_sender(
        known.id, event, state=SenderState.PENDING if again else None, verifier=hash_password(secret)
    )
    return Made(changed, generated)
