"""A message that is complete is taken: delivered to mailboxes, queued for elsewhere, or held, in one durable operation.

Then, and not before, the session answers 250.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from poterne.message.compose import return_path
from poterne.policy.verdict import Accept, Junk, Quarantine
from poterne.session.ingest import Ingested
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.incoming import Incoming
from poterne.session.smtp.placing import placed, reported
from poterne.session.smtp.principal import Principal, Script
from poterne.session.smtp.services import Services
from poterne.store.errors import OverQuotaError
from poterne.store.interface import Delivery, Submission
from poterne.values.address import Address
from poterne.values.event import Event
from poterne.values.ids import AccountId
from poterne.values.origin import Origin, OriginKind
from poterne.values.quarantine import NewQuarantined
from poterne.values.queue import NewQueued, NewRecipient
from poterne.values.sending import Charge, Submitted

_WENT: Final = Submitted()


async def accept(
    services: Services,
    incoming: Incoming,
    ingested: Ingested,
    principal: Principal | None,
    peer: str,
    now: int,
    *,
    only: Iterable[AccountId] | None = None,
) -> Submitted:
    """Take it, for all recipients or none. `only`: for these mailboxes (LMTP asks one at a time). Raises StoreError.

    A member of a list whose mailbox is full does not keep it from the others: it waits for room in the queue. The queue knows
    inboxes only: what is not for the inbox does not wait there, but in quarantine.
    """
    envelope = incoming.envelope
    mailboxes = tuple(envelope.accounts if only is None else only)
    queue: list[NewQueued] = []
    if only is None:
        queue = list(_queued(services, envelope, ingested, now, ours=principal is not None))
    try:
        return await _take(services, incoming, ingested, principal, peer, now, mailboxes, queue)
    except OverQuotaError:
        full = await _members_without_room(services, incoming, ingested, mailboxes)
        if not full:
            raise
    concluded = incoming.concluded
    junk = {account: verdict for account in full if isinstance(verdict := concluded.each.get(account), Junk)}
    aside = {account: Quarantine(verdict.reason, verdict.found, verdict.told) for account, verdict in junk.items()}
    incoming.concluded = replace(concluded, each={**concluded.each, **aside})
    full = {account: address for account, address in full.items() if account not in aside}
    for account, address in full.items():
        # By its own address, which does not forward it a second time.
        origin = Origin(OriginKind.FORWARD, address, account)
        recipient = _recipient(address)
        queue.append(_new(origin, envelope, ingested, (recipient,), envelope.reverse_path, now))
    mailboxes = tuple(account for account in mailboxes if account not in full)
    return await _take(services, incoming, ingested, principal, peer, now, mailboxes, queue)


async def _members_without_room(
    services: Services, incoming: Incoming, ingested: Ingested, mailboxes: Sequence[AccountId]
) -> dict[AccountId, str]:
    """Members of lists whose mailbox is full; nobody, when one is who was named: then the sender is told. Raises StoreError."""
    envelope, each = incoming.envelope, incoming.concluded.each
    full: dict[AccountId, str] = {}
    for account_id in mailboxes:
        if isinstance(each.get(account_id), Quarantine):  # takes no room there
            continue
        if all(state.has_room(ingested.blob.size) for state in services.store.quotas((account_id,))):
            continue
        if account_id in envelope.named:
            return {}
        full[account_id] = (await services.store.account_by_id(account_id)).address
    return full


async def _take(
    services: Services,
    incoming: Incoming,
    ingested: Ingested,
    principal: Principal | None,
    peer: str,
    now: int,
    mailboxes: Sequence[AccountId],
    queue: Sequence[NewQueued],
) -> Submitted:
    envelope, each = incoming.envelope, incoming.concluded.each
    kept: list[NewQuarantined] = []
    if each and not all(isinstance(verdict, Accept) for verdict in each.values()):
        deliveries, kept = await placed(services, incoming, ingested, mailboxes, peer, now)
    else:
        deliveries = [Delivery(account, None, ingested.content, 0, now, 0) for account in mailboxes]
    event = _event(services, incoming, ingested, None if principal is None else principal.id, peer, now)
    if principal is None:
        if kept or envelope.reports:
            reports = reported(incoming, ingested, now)
            await services.store.deliver(deliveries, queue, [event], quarantined=kept, reports=reports)
        else:
            await services.store.deliver(deliveries, queue, [event])
        if queue:
            services.queued()
        return _WENT
    submitted = await services.store.submit(
        Submission(
            charge=_charge(services, incoming, principal, now),
            deliveries=deliveries,
            queue=queue,
            held=_new(principal.origin, envelope, ingested, tuple(envelope.given.values()), envelope.reverse_path, now),
            event=event,
        )
    )
    if queue and submitted.incident is None:
        services.queued()
    return submitted


def _charge(services: Services, incoming: Incoming, principal: Principal, now: int) -> Charge:
    """What counts: each recipient given, and each address elsewhere that a list of ours leads to."""
    envelope = incoming.envelope
    outside = dict.fromkeys((*envelope.forwards, *envelope.away))
    recipients = tuple(dict.fromkeys((*envelope.given, *outside)))
    return Charge(
        origin=principal.origin,
        limits=principal.limits(services.limits),
        at=now,
        recipients=recipients,
        external=len(recipients) if isinstance(principal, Script) else len(outside),  # a script's hour counts everybody
        content=0 if incoming.judged.says is None else incoming.judged.says.value(),
        answers=incoming.judged.answers,
    )


def _queued(services: Services, envelope: Envelope, ingested: Ingested, now: int, *, ours: bool) -> Iterator[NewQueued]:
    """What leaves. `ours`: the sender's domain is one of ours, so a forward need not rewrite it."""
    for origin, recipients in envelope.elsewhere.items():
        yield _new(origin, envelope, ingested, tuple(recipients), envelope.reverse_path, now)
    by_address: dict[Origin, list[NewRecipient]] = {}
    for forward in envelope.forwards.values():
        origin = Origin(OriginKind.FORWARD, forward.via, forward.owner)
        by_address.setdefault(origin, []).append(_recipient(forward.address))
    for origin, recipients in by_address.items():
        sender = services.srs.rewrite(envelope.reverse_path, origin.name, now, local=ours)
        yield _new(origin, envelope, ingested, tuple(recipients), sender, now)


def _recipient(key: str) -> NewRecipient:
    """From an `Address.key`, which has no quotes."""
    local_part, _, domain = key.rpartition("@")
    return NewRecipient(str(Address(local_part, domain)), domain)


def _new(
    origin: Origin,
    envelope: Envelope,
    ingested: Ingested,
    recipients: tuple[NewRecipient, ...],
    reverse_path: str,
    now: int,
) -> NewQueued:
    mail = envelope.mail
    return NewQueued(
        origin=origin,
        trace_id=envelope.trace,
        reverse_path=reverse_path,
        blob=ingested.blob,
        recipients=recipients,
        due_at=now,
        start=len(return_path(envelope.reverse_path)),
        eight_bit=ingested.scanned.eight_bit,
        smtputf8=mail.smtputf8,
        requiretls=mail.requiretls,
        ret="" if mail.ret is None else mail.ret.value,
        envid=mail.envid or "",
        tls_optional=envelope.tls_optional,
    )


def _event(
    services: Services, incoming: Incoming, ingested: Ingested, account: AccountId | None, peer: str, now: int
) -> Event:
    envelope = incoming.envelope
    return Event(
        now,
        "message.accepted",
        envelope.trace,
        account,
        peer,
        detail={
            "service": services.service.value,
            "from": envelope.reverse_path,
            "to": envelope.told,
            "local": len(envelope.accounts),
            "queued": len(envelope.forwards) + sum(map(len, envelope.elsewhere.values())),
            "size": ingested.scanned.size,
            "message_id": (ingested.scanned.envelope.message_id or b"").decode("utf-8", "replace")[:250],
            **incoming.concluded.detail,
        },
    )
