"""Who may write to an alias or list: whoever its `Posting` names, when it is proven that they are who they say.

An address alone proves nothing: the members of a list are no secret to whoever got one mail of it. Without a proof the answer is
the same for members and strangers, so it tells nobody who is one.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.message.forwarded import folded
from poterne.proto.smtp.replies import Reply
from poterne.values.directory import Posting


class PostingReason(Enum):
    """Why a message is not taken; the value is the stable word for logs and metrics."""

    SIGN_IN = "posting-sign-in"
    """For people of this server, and nobody signed in."""
    UNPROVEN = "posting-unproven"
    """For some people, and nothing shows that it is one of them."""
    NOT_A_POSTER = "posting-not-a-poster"
    """Known who, and not one of them."""


REPLIES: Final = {
    PostingReason.SIGN_IN: Reply(
        550, "5.7.2", "Only people of this organisation may write to this address: sign in to send (ports 465 and 587)"
    ),
    PostingReason.UNPROVEN: Reply(
        550,
        "5.7.2",
        "Only certain people may write to this address, and nothing shows that you are one: sign in to send, or ask its owner",
    ),
    PostingReason.NOT_A_POSTER: Reply(
        550, "5.7.2", "You are not among the people who may write to this address: ask its owner, or the administrator"
    ),
}
"""RFC 3463 §3.8: X.7.2, mailing list expansion prohibited."""


@dataclass(frozen=True, slots=True)
class PostingEvidence:
    """Facts of one recipient. Addresses are `Address.key`s.

    Decide at RCPT, and again when the header is known and a proof has come with it.
    """

    posting: Posting
    posters: tuple[str, ...] = ()
    signed_in_as: str = ""
    """The account's address, or the sender's name; "" for strangers. Who signed in owns the addresses below."""
    envelope_from: str = ""
    """"" for the null path."""
    header_from: tuple[str, ...] = ()
    proven: bool = False
    """The author of the header is proven (DMARC pass)."""


@dataclass(frozen=True, slots=True)
class Allow:
    pass


@dataclass(frozen=True, slots=True)
class Refuse:
    reason: PostingReason

    @property
    def reply(self) -> Reply:
        return REPLIES[self.reason]


PostingVerdict = Allow | Refuse
_ALLOW: Final = Allow()


def decide(evidence: PostingEvidence) -> PostingVerdict:
    """May this message go to the alias? Several authors must all be posters, when only the header is proven."""
    if evidence.posting is Posting.ANYONE:
        return _ALLOW
    if evidence.signed_in_as:
        if evidence.posting is Posting.LOCAL:
            return _ALLOW
        mine = (evidence.signed_in_as, evidence.envelope_from, *evidence.header_from)
        poster = any(_listed(address, evidence.posters) for address in mine if address)
        return _ALLOW if poster else Refuse(PostingReason.NOT_A_POSTER)
    if evidence.posting is Posting.LOCAL:
        return Refuse(PostingReason.SIGN_IN)
    if not (evidence.proven and evidence.header_from):
        return Refuse(PostingReason.UNPROVEN)
    if all(_listed(address, evidence.posters) for address in evidence.header_from):
        return _ALLOW
    return Refuse(PostingReason.NOT_A_POSTER)


def _listed(address: str, posters: tuple[str, ...]) -> bool:
    """As it is or without its `+tag`: who lists ann@… means ann's mail program too."""
    return address in posters or folded(address) in posters
