"""Scripts that send: what `policy.sender` decides at each step, with what the session knows by then."""

from dataclasses import replace
from typing import Final

from poterne.policy import sender as policy
from poterne.policy.sender import Refuse, SenderEvidence, SenderReason
from poterne.proto.smtp.replies import Reply
from poterne.session.smtp.principal import Script
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.services import Services
from poterne.store.errors import NotFoundError
from poterne.values.address import Address
from poterne.values.sender import Sender, SenderState

_NO_SENDER: Final = Refused(
    "sender-uid",
    Reply(
        550,
        "5.7.1",
        "No sender is approved for this local user: the administrator makes one with poterne sender add --uid",
    ),
)


async def by_uid(services: Services, uid: int, address: Address | None) -> Script | Refused:
    """The sender that a local user may use for this address, as the kernel says who it is. Raises StoreError."""
    found = await services.store.sender_of_uid(uid)
    key = "" if address is None else address.key
    fitting = [sender for sender in found if key in sender.scope.from_addresses] or found
    active = [sender for sender in fitting if sender.state is SenderState.ACTIVE] or fitting
    return await _answered_for(services, active[0]) if active else _NO_SENDER


async def renewed(services: Services, script: Script) -> Script | Refused:
    """As it is now: what was revoked or narrowed since the sign-in counts for the next message. Raises StoreError."""
    try:
        found = await services.store.sender(script.name)
        # Another one may have the name by now, which nobody here has given a password for.
        return await _answered_for(services, found) if found.id == script.sender.id else _revoked(script.name)
    except NotFoundError:
        return _revoked(script.name)


async def _answered_for(services: Services, sender: Sender) -> Script | Refused:
    """Somebody has to answer for it: with its owner's account disabled it is as good as revoked."""
    owner = await services.store.account_by_id(sender.owner)
    return _revoked(sender.name) if owner.disabled else Script(sender)


def _revoked(name: str) -> Refused:
    gone = Refuse(SenderReason.REVOKED, name)
    return Refused(gone.reason.value, gone.reply)


def may_begin(
    services: Services, script: Script, peer: str, uid: int | None, reverse_path: Address | None, size_bytes: int
) -> Refused | None:
    """May it send from there, in this name, so much? `uid`: on the local socket, whatever `peer` says."""
    evidence = SenderEvidence(
        script.sender,
        int(services.clock()),
        peer="" if uid is not None else peer,
        uid=uid,
        password=uid is None,
        hidden_origin=services.hidden(peer),
        envelope_from="" if reverse_path is None else reverse_path.key,
        size_bytes=size_bytes,
    )
    return _refused(policy.decide(evidence))


def may_write_to(services: Services, script: Script, recipient: Address) -> Refused | None:
    """May it write to this recipient?"""
    return _message(services, script.sender, SenderEvidence(script.sender, 0, recipient=recipient.key))


def may_be_so_big(services: Services, script: Script, size_bytes: int) -> Refused | None:
    """Now that all of it is here: what was announced is never trusted."""
    return _message(services, script.sender, SenderEvidence(script.sender, 0, size_bytes=size_bytes))


def not_its_name(script: Script) -> Refused:
    """The header names somebody else."""
    refuse = Refuse(SenderReason.HEADER_FROM, script.name)
    return Refused(refuse.reason.value, refuse.reply)


def _message(services: Services, sender: Sender, evidence: SenderEvidence) -> Refused | None:
    """A fact about the message alone: who and where it is was decided at MAIL."""
    return _refused(
        policy.decide(replace(evidence, now=int(services.clock()), password=True, sender=_anywhere(sender)))
    )


def _anywhere(sender: Sender) -> Sender:
    return replace(sender, scope=replace(sender.scope, networks=()))


def _refused(verdict: policy.SenderVerdict) -> Refused | None:
    return Refused(verdict.reason.value, verdict.reply) if isinstance(verdict, Refuse) else None
