"""Where a message goes that is not simply for the inbox: Junk, quarantine, the reader of reports."""

from collections.abc import Sequence
from typing import Final

from poterne.admin.folders import own_folder
from poterne.message.decode import header_text
from poterne.policy.verdict import Junk, Quarantine
from poterne.session.ingest import Ingested
from poterne.session.smtp.incoming import Incoming
from poterne.session.smtp.services import Services
from poterne.store.errors import LimitError
from poterne.store.interface import Delivery
from poterne.values.ids import AccountId
from poterne.values.mailbox import SpecialUse
from poterne.values.mime import MailAddress
from poterne.values.quarantine import NewQuarantined
from poterne.values.reports import NewReportMail

_TEXT_MOST: Final = 250


async def placed(
    services: Services, incoming: Incoming, ingested: Ingested, accounts: Sequence[AccountId], peer: str, now: int
) -> tuple[list[Delivery], list[NewQuarantined]]:
    """What is delivered, and what is kept apart. Raises StoreError."""
    each = incoming.concluded.each
    deliveries: list[Delivery] = []
    kept: list[NewQuarantined] = []
    for account in accounts:
        verdict = each.get(account)
        if isinstance(verdict, Quarantine):
            kept.append(_quarantined(services, incoming, ingested, account, verdict.word, peer, now))
            continue
        mailbox = None
        if isinstance(verdict, Junk):
            trace = incoming.envelope.trace
            try:
                mailbox = await own_folder(services.store, account, SpecialUse.JUNK, trace, now)
            except LimitError as error:  # of mailboxes: there is no room for one more, and it is not for the inbox
                services.log.warning("junk.nowhere", trace=trace, account=int(account), problem=str(error))
                kept.append(_quarantined(services, incoming, ingested, account, verdict.word, peer, now))
                continue
        deliveries.append(Delivery(account, mailbox, ingested.content, 0, now, 0))
    return deliveries, kept


def _quarantined(
    services: Services,
    incoming: Incoming,
    ingested: Ingested,
    account: AccountId,
    reason: str,
    peer: str,
    now: int,
) -> NewQuarantined:
    envelope, seen = incoming.envelope, ingested.scanned.envelope
    return NewQuarantined(
        account_id=account,
        trace_id=envelope.trace,
        content=ingested.content,
        at=now,
        expires_at=now + services.quarantine_s,
        reason=reason,
        recipient=_shown(envelope.accounts.get(account, "")),
        reverse_path=_shown(envelope.reverse_path),
        header_from=_shown(", ".join(map(_address, seen.from_[:5]))),
        subject=_shown(header_text(seen.subject or b"")),
        peer=peer,
    )


def _address(address: MailAddress) -> str:
    bare = b"@".join((address.mailbox or b"", address.host or b"")).decode("utf-8", "replace")
    name = header_text(address.name) if address.name else ""
    return f"{name} <{bare}>" if name else bare


def _shown(text: str) -> str:
    """One printable line."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:_TEXT_MOST])


def reported(incoming: Incoming, ingested: Ingested, now: int) -> list[NewReportMail]:
    """The message as what came to the addresses for reports."""
    envelope, concluded = incoming.envelope, incoming.concluded
    return [
        NewReportMail(kind, domain, envelope.trace, ingested.blob, now, concluded.author_domain, concluded.proven)
        for kind, domain in envelope.reports
    ]
