"""Whose mail may go elsewhere without a sign-in: that of listed hosts, for listed sender domains, at a listed rate.

What can be a rule at all is decided in `poterne.values.relay`; here every rule is already a narrow one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, final

from poterne.values.relay import RelayRule


class RelayReason(Enum):
    """Why mail is not relayed; the value is the stable word for logs and metrics."""

    NOT_LISTED = "relay"
    """No rule names this host: what every stranger hears."""
    HIDDEN_ORIGIN = "relay-hidden-origin"
    """A rule names the address, but strangers arrive under it too."""
    NULL_SENDER = "relay-null-sender"
    """Bounces of a host belong to nobody who could be held responsible; they are for its own queue."""
    SENDER_DOMAIN = "relay-sender-domain"
    RECIPIENT_DOMAIN = "relay-recipient-domain"
    RATE = "relay-rate"


@dataclass(frozen=True, slots=True)
class RelayEvidence:
    """Facts of one RCPT for a domain elsewhere. Domains are lower-case A-labels; `sender_domain` is None for `<>`."""

    peer: str
    sender_domain: str | None
    recipient_domain: str
    hidden_origin: bool = False
    """`policy.origin` says that strangers arrive under the peer's address."""


@dataclass(frozen=True, slots=True)
class Allow:
    rule: RelayRule


@dataclass(frozen=True, slots=True)
class Refuse:
    """`rule` is the one that names the host, if any does."""

    reason: RelayReason
    rule: RelayRule | None = None


RelayVerdict = Allow | Refuse
_STRANGER: Final = Refuse(RelayReason.NOT_LISTED)


@final
class RelayPolicy:
    """All rules. No two name the same host (the settings refuse that), so the first that does decides."""

    __slots__ = ("rules",)

    def __init__(self, rules: Sequence[RelayRule] = ()) -> None:
        self.rules = tuple(rules)

    def decide(self, evidence: RelayEvidence, sent_this_hour: dict[str, int]) -> RelayVerdict:
        """May this recipient be taken? `sent_this_hour` is what each rule, by name, was used for already."""
        for rule in self.rules:
            if evidence.peer in rule.networks:
                reason = _fault(rule, evidence, sent_this_hour.get(rule.name, 0))
                return Allow(rule) if reason is None else Refuse(reason, rule)
        return _STRANGER


def _fault(rule: RelayRule, evidence: RelayEvidence, sent: int) -> RelayReason | None:
    if evidence.hidden_origin:
        return RelayReason.HIDDEN_ORIGIN
    if evidence.sender_domain is None:
        return RelayReason.NULL_SENDER
    if evidence.sender_domain not in rule.sender_domains:
        return RelayReason.SENDER_DOMAIN
    if rule.recipient_domains and evidence.recipient_domain not in rule.recipient_domains:
        return RelayReason.RECIPIENT_DOMAIN
    return RelayReason.RATE if sent >= rule.per_hour else None
