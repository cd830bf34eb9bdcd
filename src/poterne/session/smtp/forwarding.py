"""Which forwards of a message stay, now that its header is known: what comes round again stops here."""

from collections import Counter

from poterne.message.forwarded import loops
from poterne.message.header import HeaderIndex
from poterne.policy import forward as policy
from poterne.policy.forward import Authentication, ForwardEvidence, ForwardVerdict
from poterne.policy.forward import Forward as Allowed
from poterne.policy.forward import Refuse as ForwardRefused
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.often import ANYBODY
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.services import Services
from poterne.values.directory import Forward


def sift(
    services: Services, envelope: Envelope, header: HeaderIndex, authentication: Authentication, *, signed_in: bool
) -> Refused | None:
    """Take the forwards that must not be out of the envelope; into the mailbox of whose address it is, when there is one.

    Refused when nothing would be left to do: else what is cut is known only here, for whoever else gets the message has it.
    What may be forwarded later is refused for now whatever is left, so that it comes again.
    """
    hops = len(header.find(b"received"))
    copies = Counter(forward.via for forward in envelope.forwards.values())
    verdicts: dict[str, ForwardVerdict] = {}
    refused: ForwardRefused | None = None
    for address, forward in list(envelope.forwards.items()):
        verdict = verdicts.get(forward.via)
        if verdict is None:
            verdict = verdicts[forward.via] = policy.decide(
                ForwardEvidence(
                    authentication=authentication,
                    looped=loops(header, forward.via),
                    received=hops,
                    max_received=services.settings.max_received,
                    often=not signed_in and _too_often(services, envelope, forward.via, copies[forward.via]),
                    mailbox=forward.owner is not None,
                )
            )
            if not isinstance(verdict, Allowed):
                _tell(services, envelope, forward, verdict.reason.value)
        if isinstance(verdict, Allowed):
            continue
        del envelope.forwards[address]
        if forward.owner is not None:
            envelope.accounts.setdefault(forward.owner, forward.via)
        if isinstance(verdict, ForwardRefused):
            refused = verdict
            if verdict.reply.code < 500:
                break
    left = envelope.forwards or envelope.accounts or envelope.elsewhere
    if refused is None or (left and refused.reply.code >= 500):
        return None
    return Refused(refused.reason.value, refused.reply)


def _too_often(services: Services, envelope: Envelope, via: str, copies: int) -> bool:
    limits, often, sender, now = services.limits, services.often, envelope.mail.path.address, int(services.clock())
    if (most := limits.copies_per_hour) and often.too_often(via, ANYBODY, now, most, copies):
        return True
    key = "" if sender is None else sender.key
    return bool(limits.forwards_per_hour) and often.too_often(via, key, now, limits.forwards_per_hour)


def _tell(services: Services, envelope: Envelope, forward: Forward, reason: str) -> None:
    services.counters.refused(services.service.value, "forward", reason)
    services.log.info("forward.cut", trace=envelope.trace, via=forward.via, reason=reason)
