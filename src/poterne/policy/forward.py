"""May a message be forwarded outside?

Forwarding lends our name: what we forward, we are blamed for. So what is spam, or is not from who it says, stays; and what comes
round again stops here. It stays in the mailbox of whose address it is, when there is one; else it is refused in the dialogue, so
that nobody has to send a bounce later. The null reverse-path is forwarded like any other: people want to see their bounces.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.proto.smtp.replies import Reply


class Authentication(Enum):
    """What SPF, DKIM and DMARC say of the author."""

    PASS = "pass"  # noqa: S105 - the word of RFC 8601
    NONE = "none"
    """Its domain says nothing that could be checked, or nothing was checked."""
    FAIL = "fail"
    """Its domain says that it is not from there."""


class ForwardReason(Enum):
    """Why a message is not forwarded; the value is the stable word for logs and metrics."""

    LOOP = "forward-loop"
    """It was here before: it carries Delivered-To of the address that would forward it."""
    HOPS = "forward-hops"
    UNAUTHENTICATED = "forward-unauthenticated"
    SPAM = "forward-spam"
    OFTEN = "forward-often"
    """So many messages of this sender went this way within an hour that two programs may be answering each other."""


REPLIES: Final = {
    ForwardReason.LOOP: Reply(554, "5.4.6", "This address forwards in a circle: tell its owner by another way"),
    ForwardReason.HOPS: Reply(554, "5.4.6", "This message has travelled through too many servers: it is in a loop"),
    ForwardReason.UNAUTHENTICATED: Reply(
        550,
        "5.7.1",
        "This address forwards, and mail that fails the checks of its sender's domain is not forwarded: send it from a server "
        "that your domain names (SPF, DKIM)",
    ),
    ForwardReason.SPAM: Reply(550, "5.7.1", "This address forwards, and this message looks like spam: write it differently"),
    ForwardReason.OFTEN: Reply(
        451, "4.7.1", "This address forwards, and it forwarded much of your mail just now: try again in an hour"
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ForwardEvidence:
    """Facts of one message for one forwarding address."""

    authentication: Authentication
    looped: bool
    """`message.forwarded.loops`, for this address."""
    received: int
    """Received fields that it came with."""
    max_received: int
    spam: bool = False
    often: bool = False
    """It has forwarded as many messages of this sender as it may in an hour."""
    mailbox: bool = False
    """Somebody's mailbox here belongs to the address."""


@dataclass(frozen=True, slots=True)
class Forward:
    pass


@dataclass(frozen=True, slots=True)
class Keep:
    """Not forwarded; delivered to the local mailbox, whether or not its owner keeps what is forwarded."""

    reason: ForwardReason


@dataclass(frozen=True, slots=True)
class Refuse:
    reason: ForwardReason

    @property
    def reply(self) -> Reply:
        return REPLIES[self.reason]


ForwardVerdict = Forward | Keep | Refuse
_FORWARD: Final = Forward()


def decide(evidence: ForwardEvidence) -> ForwardVerdict:
    """Forward, or why not and what instead."""
    reason = _fault(evidence)
    if reason is None:
        return _FORWARD
    return Keep(reason) if evidence.mailbox else Refuse(reason)


def _fault(evidence: ForwardEvidence) -> ForwardReason | None:
    if evidence.looped:
        return ForwardReason.LOOP
    if evidence.received >= evidence.max_received:
        return ForwardReason.HOPS
    if evidence.authentication is Authentication.FAIL:
        return ForwardReason.UNAUTHENTICATED
    if evidence.spam:
        return ForwardReason.SPAM
    return ForwardReason.OFTEN if evidence.often else None
