"""Senders: scripts that may send mail. Each belongs to an account, and goes with it."""

from typing import Final

import msgspec

from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.sqlite import events
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.ids import AccountId, SenderId
from poterne.values.origin import Origin, OriginKind
from poterne.values.secret import Secret
from poterne.values.sender import Sender, SenderCredential, SenderScope, SenderState
from poterne.values.sending import MINUTE_S

_SENDER: Final = (
    "SELECT s.sender_id, s.name, s.account_id, a.local_part || '@' || a.domain, s.state, s.scope, s.verifier IS NOT NULL,"
    " s.created_at, s.expires_at, s.last_used_at, s.last_peer{} FROM sender s JOIN account a USING (account_id)"
)
_PLAIN: Final = _SENDER.format("")
_WITH_VERIFIER: Final = _SENDER.format(", s.verifier")

_encode = msgspec.json.Encoder().encode
_scope = msgspec.json.Decoder(SenderScope).decode


def senders(rows: Rows) -> list[Sender]:
    return [_sender(row) for row in rows.all(f"{_PLAIN} ORDER BY s.name")]


def sender(rows: Rows, name: str) -> Sender:
    return _found(rows.one(f"{_PLAIN} WHERE s.name = ?", (name.lower(),)))


def by_id(rows: Rows, sender_id: SenderId) -> Sender:
    return _found(rows.one(f"{_PLAIN} WHERE s.sender_id = ?", (sender_id,)))


def credential(rows: Rows, name: str) -> SenderCredential:
    row = rows.one(f"{_WITH_VERIFIER} WHERE s.name = ? AND s.verifier IS NOT NULL", (name.lower(),))
    if row is None:
        raise NotFoundError("no sender with a password")
    return SenderCredential(_sender(row[:-1]), Secret(row[-1]))


def of_uid(rows: Rows, uid: int) -> list[Sender]:
    """Whether they have expired is for the caller to see: no clock here."""
    found = rows.all(
        f"{_PLAIN} WHERE s.state <> ? AND ? IN (SELECT value FROM json_each(s.scope, '$.uids'))"  # noqa: S608
        " ORDER BY s.name",
        (SenderState.REVOKED.value, uid),
    )
    return [_sender(row) for row in found]


def add(
    tx: Tx,
    name: str,
    owner: AccountId,
    scope: SenderScope,
    verifier: Secret | None,
    expires_at: int,
    event: Event,
) -> Sender:
    name = name.lower()
    if not name or "@" in name:
        raise ConflictError("such a name is an account's, or nobody's")
    if not tx.one("SELECT 1 FROM account WHERE account_id = ?", (owner,)):
        raise NotFoundError("no such account")
    if tx.one("SELECT 1 FROM sender WHERE name = ?", (name,)):
        raise ConflictError("the name is taken")
    tx.run(
        "INSERT INTO sender (name, account_id, state, scope, verifier, created_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (name, owner, SenderState.PENDING.value, _text(scope), _bytes(verifier), event.at, expires_at),
    )
    events.record(tx, (event,))
    return sender(tx, name)


def change(
    tx: Tx,
    sender_id: SenderId,
    event: Event,
    *,
    state: SenderState | None = None,
    scope: SenderScope | None = None,
    verifier: Secret | None = None,
    expires_at: int | None = None,
) -> Sender:
    if not tx.count(
        "UPDATE sender SET state = coalesce(?, state), scope = coalesce(?, scope), verifier = coalesce(?, verifier),"
        " expires_at = coalesce(?, expires_at) WHERE sender_id = ?",
        (
            None if state is None else state.value,
            None if scope is None else _text(scope),
            _bytes(verifier),
            expires_at,
            sender_id,
        ),
    ):
        raise NotFoundError("no such sender")
    events.record(tx, (event,))
    return by_id(tx, sender_id)


def is_stale(rows: Rows, sender_id: SenderId, at: int) -> bool:
    """Would `used` write anything?"""
    row = rows.one("SELECT last_used_at FROM sender WHERE sender_id = ?", (sender_id,))
    return row is not None and not 0 <= at - row[0] < MINUTE_S


def used(tx: Tx, sender_id: SenderId, at: int, peer: str) -> None:
    """Once a minute at most, and also when the clock was put back. No event: what it sends has its own."""
    if is_stale(tx, sender_id, at):
        tx.run("UPDATE sender SET last_used_at = ?, last_peer = ? WHERE sender_id = ?", (at, peer, sender_id))


def remove_of(tx: Tx, owner: AccountId) -> None:
    """All senders of an account that goes, and what was counted of them: their names become free."""
    for (name,) in tx.all("SELECT name FROM sender WHERE account_id = ?", (owner,)):
        forget_usage(tx, Origin(OriginKind.SENDER, name))
    tx.run("DELETE FROM sender WHERE account_id = ?", (owner,))


def forget_usage(tx: Tx, origin: Origin) -> None:
    """Whoever has the name next begins anew: what was counted is gone, and what is held still waits, but holds nothing more."""
    tx.run(
        "UPDATE incident SET origin = origin || ' #' || incident_id WHERE origin = ? AND state = 'open'", (origin.key,)
    )
    for table in ("sending_usage", "sending_repeat"):
        tx.run(f"DELETE FROM {table} WHERE origin = ?", (origin.key,))  # noqa: S608  # words of ours


def _found(row: Row | None) -> Sender:
    if row is None:
        raise NotFoundError("no such sender")
    return _sender(row)


def _sender(row: Row) -> Sender:
    sender_id, name, owner, owner_address, state, scope, has_password, *rest = row
    return Sender(
        SenderId(sender_id),
        name,
        AccountId(owner),
        owner_address,
        SenderState(state),
        _scope(scope),
        bool(has_password),
        *rest,
    )


def _text(scope: SenderScope) -> str:
    return _encode(scope).decode()


def _bytes(verifier: Secret | None) -> bytes | None:
    return None if verifier is None else verifier.reveal()
