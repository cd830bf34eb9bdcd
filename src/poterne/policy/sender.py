"""May a script's message pass? Only as it was approved: from there, in that name, to those people, until that day.

How much it may send is not decided here but with the counters in the store (`values.sending`): too much is held, not refused.
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Final

from poterne.proto.smtp.replies import Reply
from poterne.values.networks import NetworkError, NetworkSet
from poterne.values.sender import ANYONE, Sender, SenderState


class SenderReason(Enum):
    """Why a script's message is not taken; the value is the stable word for logs and metrics."""

    PENDING = "sender-pending"
    REVOKED = "sender-revoked"
    EXPIRED = "sender-expired"
    NETWORK = "sender-network"
    HIDDEN_ORIGIN = "sender-hidden-origin"
    """Its networks name the address, but strangers arrive under it too."""
    UID = "sender-uid"
    ENVELOPE_FROM = "sender-envelope-from"
    NULL_SENDER = "sender-null-sender"
    HEADER_FROM = "sender-header-from"
    RECIPIENT = "sender-recipient"
    SIZE = "sender-size"


TEXTS: Final = {
    SenderReason.PENDING: (
        550, "5.7.1",
        'The sender "{name}" is not approved yet: the administrator approves it with poterne sender approve {name}',
    ),
    SenderReason.REVOKED: (
        550, "5.7.1",
        'The sender "{name}" is revoked: ask the administrator for another one (poterne sender add)',
    ),
    SenderReason.EXPIRED: (
        550, "5.7.1",
        'The sender "{name}" has expired: the administrator can prolong it (poterne sender limit {name})',
    ),
    SenderReason.NETWORK: (
        550, "5.7.1",
        'The sender "{name}" may not send from this address: use a host it was approved for (poterne sender list)',
    ),
    SenderReason.HIDDEN_ORIGIN: (
        550, "5.7.1",
        'The sender "{name}" is bound to networks, but a gateway hides where you are: ask the administrator (poterne check)',
    ),
    SenderReason.UID: (
        550, "5.7.1",
        'The sender "{name}" is not for this local user: run it as a user it was approved for (poterne sender list)',
    ),
    SenderReason.ENVELOPE_FROM: (
        550, "5.7.1",
        'The sender "{name}" may not send as this address: use one it was approved for (poterne sender list)',
    ),
    SenderReason.NULL_SENDER: (
        550, "5.7.1",
        'The sender "{name}" may not send without a sender address: use one it was approved for (poterne sender list)',
    ),
    SenderReason.HEADER_FROM: (
        550, "5.7.1",
        'The sender "{name}" may not write as the address in From (or Sender): use one it was approved for (poterne sender list)',
    ),
    SenderReason.RECIPIENT: (
        550, "5.7.1",
        'The sender "{name}" may not write to this recipient: have it approved (poterne sender list)',
    ),
    SenderReason.SIZE: (
        552, "5.3.4",
        'The message is larger than the sender "{name}" may send: send a link instead (poterne sender limit {name})',
    ),
}  # fmt: skip
"""Code, enhanced code (RFC 3463) and public text."""


@dataclass(frozen=True, slots=True)
class SenderEvidence:
    """What is known so far: decide when it connects, and again with each fact more. Addresses are `Address.key`s."""

    sender: Sender
    now: int
    peer: str = ""
    """Its address; "" on the local socket."""
    uid: int | None = None
    """Of the local user on the socket, as the kernel says (SO_PEERCRED)."""
    password: bool = False
    """It proved that it knows the sender's password; else its uid must be enough."""
    hidden_origin: bool = False
    """`policy.origin` says that strangers arrive under the peer's address."""
    envelope_from: str | None = None
    """None: not known yet; "": the null path."""
    identities: tuple[str, ...] = ()
    """Every address of From, Sender and their Resent forms."""
    recipient: str | None = None
    size_bytes: int = 0
    """So far, or as announced."""


@dataclass(frozen=True, slots=True)
class Allow:
    pass


@dataclass(frozen=True, slots=True)
class Refuse:
    reason: SenderReason
    name: str
    """The sender's."""

    @property
    def reply(self) -> Reply:
        code, enhanced, text = TEXTS[self.reason]
        return Reply(code, enhanced, text.format(name=self.name))


SenderVerdict = Allow | Refuse
_ALLOW: Final = Allow()


def decide(evidence: SenderEvidence) -> SenderVerdict:
    """May it go on?"""
    reason = _state_fault(evidence) or _place_fault(evidence) or _message_fault(evidence)
    return _ALLOW if reason is None else Refuse(reason, evidence.sender.name)


def _state_fault(evidence: SenderEvidence) -> SenderReason | None:
    sender = evidence.sender
    if sender.state is SenderState.REVOKED:
        return SenderReason.REVOKED
    if sender.state is not SenderState.ACTIVE:
        return SenderReason.PENDING
    return SenderReason.EXPIRED if sender.expires_at and evidence.now >= sender.expires_at else None


def _place_fault(evidence: SenderEvidence) -> SenderReason | None:
    """On the local socket a listed uid is enough; else it takes the password, and an address of its networks if it has any."""
    scope = evidence.sender.scope
    if not evidence.peer and evidence.uid is not None and evidence.uid in scope.uids:
        return None
    if not evidence.password:
        return SenderReason.UID
    if not scope.networks:
        return None
    networks = _networks(scope.networks)
    if not any(address in networks for address in ((evidence.peer,) if evidence.peer else ("127.0.0.1", "::1"))):
        return SenderReason.NETWORK
    return SenderReason.HIDDEN_ORIGIN if evidence.hidden_origin else None


def _message_fault(evidence: SenderEvidence) -> SenderReason | None:
    scope = evidence.sender.scope
    if evidence.envelope_from == "":
        return SenderReason.NULL_SENDER
    if evidence.envelope_from is not None and evidence.envelope_from not in scope.from_addresses:
        return SenderReason.ENVELOPE_FROM
    if evidence.recipient is not None and not _may_write_to(evidence.recipient, scope.recipients):
        return SenderReason.RECIPIENT
    if any(address not in scope.from_addresses for address in evidence.identities):
        return SenderReason.HEADER_FROM
    return SenderReason.SIZE if evidence.size_bytes > scope.max_bytes else None


def _may_write_to(recipient: str, recipients: tuple[str, ...]) -> bool:
    _, at, domain = recipient.rpartition("@")
    return ANYONE in recipients or recipient in recipients or at + domain in recipients


@lru_cache(maxsize=256)
def _networks(entries: tuple[str, ...]) -> NetworkSet:
    """Of a sender. An entry that is none, which the store should not have taken, makes the set empty: nobody may come in."""
    try:
        return NetworkSet(entries)
    except NetworkError:
        return NetworkSet(())
