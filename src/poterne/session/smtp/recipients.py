"""Where a recipient's mail goes: decided at each RCPT, so that what can't be delivered is refused in the dialogue.

In this order: addresses of ours (mailboxes, aliases, lists, forwards), bounces that come back to a forward of ours (SRS),
domains of servers behind us (`[route.NAME]`), and everywhere else for those who may: who signed in, and listed hosts.
"""

from typing import Final

from poterne.net.link import Link
from poterne.policy import posting
from poterne.policy.posting import PostingEvidence
from poterne.policy.relay import RelayReason
from poterne.proto.smtp.events import Notify, RcptTo
from poterne.proto.smtp.params import notify_text, orcpt_text
from poterne.proto.smtp.replies import Reply
from poterne.queue.callforward import Said
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.principal import Principal, Script
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.relay import REPLIES
from poterne.session.smtp.returning import returning, send_back
from poterne.session.smtp.scripts import may_write_to
from poterne.session.smtp.services import Services
from poterne.values.address import Address
from poterne.values.directory import Posting, Route, RouteKind
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewRecipient
from poterne.values.reports import ReportKind

UNKNOWN_RECIPIENT: Final = Refused(
    "unknown-recipient", Reply(550, "5.1.1", "No such recipient here: check the address")
)
ALONE: Final = Refused(
    "posting-alone",
    Reply(
        452,
        "4.5.3",
        "One of these recipients is a list that not everybody may write to: send to it in a transaction of its own",
    ),
)
_LATER: Final = Refused(
    "recipient-unverified",
    Reply(451, "4.4.1", "The server that knows this recipient can't be asked now: try again later"),
)
_NOT_RELAYED: Final = Refused(RelayReason.NOT_LISTED.value, REPLIES[RelayReason.NOT_LISTED])


async def place(
    services: Services, envelope: Envelope, event: RcptTo, principal: Principal | None, link: Link
) -> Refused | None:
    """Put the recipient where its mail goes, or say why it is refused. Raises StoreError."""
    address = event.path.address or _postmaster(services)
    if address.key in envelope.given:
        return None
    if isinstance(principal, Script) and (refused := may_write_to(services, principal, address)) is not None:
        return refused
    route = await services.store.route(address.local_part, address.domain)
    recipient = NewRecipient(
        # The address, not the text: its domain is in A-labels, which every server on the way understands.
        str(address) if address.domain else "postmaster",
        address.domain,
        notify_text(event),
        orcpt_text(event),
    )
    if envelope.unproven:
        return ALONE
    refused = UNKNOWN_RECIPIENT
    if principal is None and (report := _report(services, address, route)) is not None:
        envelope.reports[report, address.domain] = None
        envelope.given.setdefault(address.key, recipient)
        return None
    if principal is None and (route.kind is RouteKind.UNKNOWN_USER or not route.personal):
        # Before a catch-all takes it: it would keep the notices that come back to a forward.
        refused = await _returning(services, envelope, address, recipient, event)
    if refused is UNKNOWN_RECIPIENT and route.limited and _is_full(services, route, envelope.mail.size or 0):
        refused = Refused("quota", services.over_quota)
    elif refused is UNKNOWN_RECIPIENT and route.kind is RouteKind.ACCOUNTS:
        checked = services.verifying is not None and not services.verifying.trusted(link.peer)
        refused = _local(envelope, route, recipient, principal, event, provable=checked)
    elif route.kind is RouteKind.NOT_LOCAL and principal is not None:
        envelope.elsewhere.setdefault(principal.origin, []).append(recipient)
        envelope.away[address.key] = None
        refused = None
    elif route.kind is RouteKind.NOT_LOCAL:
        refused = await _for_others(services, envelope, address, recipient, link)
    if refused is None:
        envelope.given.setdefault(address.key, recipient)
    return refused


def _is_full(services: Services, route: Route, size_bytes: int) -> bool:
    """Is it for one person, without room for so much? Of a list the others get it, and who has no room gets it later."""
    (account, *others) = route.accounts
    if others or any(forward.owner != account for forward in route.forwards):
        return False
    return not all(state.has_room(size_bytes) for state in services.store.quotas(route.limited))


def _report(services: Services, address: Address, route: Route) -> ReportKind | None:
    """Which reports come to this address, when it is nobody's own: a catch-all does not have it."""
    if not services.reports or route.kind is RouteKind.NOT_LOCAL or (route.accounts and route.personal):
        return None
    return services.reports.get(address.local_part.lower())


def _postmaster(services: Services) -> Address:
    """Whom `<postmaster>` means: ours, or on an edge that of the servers behind it."""
    behind = None if services.internal is None else services.internal.postmaster
    return behind or Address("postmaster", "")


def _local(
    envelope: Envelope,
    route: Route,
    recipient: NewRecipient,
    principal: Principal | None,
    event: RcptTo,
    *,
    provable: bool = False,
) -> Refused | None:
    """`provable`: the message may show who its author is."""
    if route.posting is not Posting.ANYONE and provable and principal is None and route.posting is not Posting.LOCAL:
        # Alone in its transaction, for what is found out at the end is the answer to all recipients.
        if envelope.given:
            return ALONE
        envelope.unproven[event.path.raw] = route.posting, route.posters
    elif route.posting is not Posting.ANYONE:
        sender = envelope.mail.path.address
        verdict = posting.decide(
            PostingEvidence(
                route.posting,
                route.posters,
                signed_in_as="" if principal is None else principal.name,
                envelope_from="" if sender is None else sender.key,
            )
        )
        if isinstance(verdict, posting.Refuse):
            return Refused(verdict.reason.value, verdict.reply)
    if principal is not None and Notify.SUCCESS in event.notify:
        # Who asks to hear of the delivery hears it from the queue, which delivers here as it does elsewhere.
        envelope.elsewhere.setdefault(principal.origin, []).append(recipient)
        envelope.away.update(dict.fromkeys(forward.address for forward in route.forwards))
        return None
    if len(route.accounts) == 1 and all(forward.owner == route.accounts[0] for forward in route.forwards):
        envelope.named.add(route.accounts[0])
    for account in route.accounts:
        envelope.accounts.setdefault(account, event.path.raw)
    for forward in route.forwards:
        envelope.forwards.setdefault(forward.address, forward)
    return None


async def _returning(
    services: Services, envelope: Envelope, address: Address, recipient: NewRecipient, event: RcptTo
) -> Refused | None:
    """Nobody has this name. It may be a sender that we rewrote: then a notice goes back to who it was."""
    found = await returning(services, envelope, address)
    if found is None or isinstance(found, Refused):
        return found or UNKNOWN_RECIPIENT
    route = await services.store.route(found.local_part, found.domain) if isinstance(found, Address) else found
    if isinstance(found, Address) and route.kind is RouteKind.NOT_LOCAL:
        send_back(envelope, address, found)
        return None
    return _local(envelope, route, recipient, None, event) if route.accounts or route.forwards else UNKNOWN_RECIPIENT


async def _for_others(
    services: Services, envelope: Envelope, address: Address, recipient: NewRecipient, link: Link
) -> Refused | None:
    """A domain that is not ours, from somebody who has not signed in."""
    internal = services.internal
    route = None if internal is None else internal.route_of(address.domain)
    if internal is not None and route is not None:
        answer = await internal.check(route, address, link.trace)
        if answer is Said.KNOWN:
            envelope.elsewhere.setdefault(Origin(OriginKind.ROUTE, route.name), []).append(recipient)
            return None
        return UNKNOWN_RECIPIENT if answer is Said.UNKNOWN else _LATER
    if services.relays is None:
        return _NOT_RELAYED
    rule = services.relays.judge(link.peer, envelope.mail.path.address, address)
    if isinstance(rule, Refused):
        return rule
    envelope.elsewhere.setdefault(Origin(OriginKind.RELAY, rule.name), []).append(recipient)
    return None
