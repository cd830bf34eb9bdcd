"""Notices that come back to a sender that we rewrote (SRS), and what that way is not good for.

Theory of operation. Whoever gets forwarded mail sees its rewritten sender, and anybody may write there with the null sender, with
whatever text. Without more, one forwarded mail would buy weeks of unlimited mail to its sender, who may be invented by whoever
wants to write to somebody else in our name. So a path brings back a few notices a day to one address, whichever paths stand for
it, and one in a transaction (RFC 3464 §2: a notice has one recipient). And an address of ours is asked what every recipient is
asked: a list that strangers may not write to is closed here too.

What is counted belongs to one worker, and is bounded; the oldest goes first.
"""

from typing import Final

from poterne.message.srs import Hidden, SrsFault
from poterne.proto.smtp.replies import Reply
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.services import Services
from poterne.values.address import Address
from poterne.values.directory import Route
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewRecipient

_SENDER: Final = Refused(
    "srs-sender", Reply(550, "5.7.1", "This address takes notices of non-delivery only, with the null sender")
)
_ONE: Final = Refused("srs-several", Reply(452, "4.5.3", "A notice goes to one sender: send the others by themselves"))
_ENOUGH: Final = Refused(
    "srs-enough", Reply(450, "4.7.1", "Enough notices came for this sender today: try again tomorrow")
)
_EXPIRED: Final = Refused(
    SrsFault.EXPIRED.value, Reply(550, "5.1.6", "This address was for notices about one message, long ago")
)


async def returning(services: Services, envelope: Envelope, address: Address) -> Address | Route | Refused | None:
    """Who a notice to this address of ours is for: an address, or the mailboxes of whoever answers for the forward.

    None: nobody, it has not the form of a rewritten sender, or is none of ours: to guess one costs what guessing names costs.
    Raises StoreError.
    """
    now = int(services.clock())
    found = services.srs.reverse(address, now)
    if found is None or found is SrsFault.HASH:
        return None
    if isinstance(found, SrsFault):
        return _EXPIRED
    if not envelope.mail.path.is_null:
        return _SENDER
    if any(_is_return(origin) for origin in envelope.elsewhere):
        return _ONE
    if isinstance(found, Hidden):  # who it was is not known any more; `via` is an address as it means, without quotes
        local_part, _, domain = found.via.rpartition("@")
        back = Address(local_part, domain)
    else:
        back = Address.parse(found.reverse_path)
    if not services.returned.may(back.key, now):
        return _ENOUGH
    return await _answerable(services, back) if isinstance(found, Hidden) else back


async def _answerable(services: Services, via: Address) -> Route:
    """Who gets notices about mail that an address forwarded: whose it is; for a list the postmaster."""
    route = await services.store.route(via.local_part, via.domain)
    return route if route.personal and route.accounts else await services.store.route("postmaster", via.domain)


def send_back(envelope: Envelope, address: Address, back: Address) -> None:
    """It leaves by the right of a forward of ours, which is no address: nothing is delivered to it on the way."""
    origin = Origin(OriginKind.FORWARD, f"srs:{address.domain}")
    envelope.elsewhere.setdefault(origin, []).append(NewRecipient(str(back), back.domain))


def _is_return(origin: Origin) -> bool:
    return origin.kind is OriginKind.FORWARD and origin.name.startswith("srs:")
