"""Which forwards of a message stay, now that its header is known: what comes round again stops here."""

from poterne.message.forwarded import delivered_to, loops
from poterne.message.header import HeaderIndex
from poterne.policy import forward as policy
from poterne.policy.forward import Authentication, ForwardEvidence, Keep
from poterne.policy.forward import Refuse as ForwardRefused
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.services import Services


def sift(services: Services, envelope: Envelope, header: HeaderIndex, hops: int, *, signed_in: bool) -> bytes | Refused:
    """Delivered-To fields of the addresses that forward it; the other forwards are taken out of the envelope.

    Refused when a forward that must not be would have been all that becomes of some recipient.
    """
    authentication = Authentication.PASS if signed_in else Authentication.NONE
    by_address: dict[str, bool] = {}
    for address, forward in list(envelope.forwards.items()):
        stays = by_address.get(forward.via)
        if stays is None:
            verdict = policy.decide(
                ForwardEvidence(
                    authentication=authentication,
                    looped=loops(header, forward.via),
                    received=hops,
                    max_received=services.settings.max_received,
                    mailbox=forward.owner is not None,
                )
            )
            if isinstance(verdict, ForwardRefused):
                if not (envelope.accounts or envelope.elsewhere):
                    return Refused(verdict.reason.value, verdict.reply)
                verdict = Keep(verdict.reason)
            stays = by_address[forward.via] = not isinstance(verdict, Keep)
            if isinstance(verdict, Keep):
                services.counters.refused(services.service.value, "forward", verdict.reason.value)
                services.log.info("forward.cut", trace=envelope.trace, via=forward.via, reason=verdict.reason.value)
        if not stays:
            del envelope.forwards[address]
            if forward.owner is not None:
                envelope.accounts.setdefault(forward.owner, forward.via)
    return b"".join(delivered_to(via) for via, stays in by_address.items() if stays)
