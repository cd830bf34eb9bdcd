"""Audit events: what was decided, about whom, why. Written in the same transaction as what they describe."""

from dataclasses import dataclass, field

from poterne.values.ids import AccountId, TraceId


@dataclass(frozen=True, slots=True)
class Event:
    """One decision or change. `kind` is dotted and stable (`message.delivered`, `auth.failed`, `account.created`).

    `detail` holds numbers and short words that a program filters by; never message text, never a password.
    """

    at: int
    kind: str
    trace_id: TraceId
    account_id: AccountId | None = None
    peer: str = ""
    reason: str = ""
    detail: dict[str, str | int | bool | None] = field(default_factory=dict)
