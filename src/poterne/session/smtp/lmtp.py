"""LMTP (RFC 2033): an SMTP session in which each recipient gets a reply of its own, because nothing is queued for them.

Theory of operation. Everything until the end of the message is the SMTP session's. Usually one store operation then delivers
to all recipients, as for SMTP. When that fails for the quota of one of them, each recipient is tried by itself, all at the same
time (the store commits them together), so that a full mailbox costs nobody else their mail. What one recipient stands for (an
alias leads to several mailboxes) is delivered whole or not at all, so that a retry brings nothing twice.

Who speaks LMTP to us is a server of ours in front of us, on a listed address inside: it judged the message, and it keeps what we
refuse for now. Nobody signs in, and nothing leaves that no address of ours sends on.
"""

import asyncio
from collections.abc import Iterable
from typing import final

from poterne.net.limits import is_loopback
from poterne.net.link import Link
from poterne.proto.smtp import replies as re
from poterne.proto.smtp.replies import Reply
from poterne.session.ingest import Ingested
from poterne.session.smtp.accept import accept
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.incoming import Incoming
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.services import Services
from poterne.store.errors import NotFoundError, OverQuotaError, StoreError
from poterne.values.ids import AccountId


def needs_tls(link: Link) -> bool:
    """Must this peer say STARTTLS first? Only within this machine nobody can listen."""
    return link.tls is None and not is_loopback(link.peer)


def with_protocol(*, tls: bool, utf8: bool) -> str:
    """What the Received field says of how it came (RFC 3848, RFC 6531 §4.3)."""
    return ("UTF8LMTP" if utf8 else "LMTP") + ("S" if tls else "")


@final
class Shares:
    """The recipients of one transaction in the order of their replies, each with the mailboxes that it stands for."""

    __slots__ = ("_mailboxes", "_sent_on")

    def __init__(self) -> None:
        self._mailboxes: list[tuple[AccountId, ...]] = []
        self._sent_on: list[bool] = []

    def __len__(self) -> int:
        return len(self._mailboxes)

    def add(self, whole: Envelope, one: Envelope) -> None:
        """One more recipient, as an envelope of its own; it becomes a part of the whole."""
        self._mailboxes.append(tuple(one.accounts))
        self._sent_on.append(bool(one.forwards or one.elsewhere))
        whole.given.update(one.given)
        for origin, recipients in one.elsewhere.items():
            whole.elsewhere.setdefault(origin, []).extend(recipients)
        whole.forwards.update(one.forwards)
        whole.named.update(one.named)
        for account, path in one.accounts.items():
            whole.accounts.setdefault(account, path)

    async def settle(self, services: Services, incoming: Incoming, link: Link, size_bytes: int) -> list[Reply]:
        """The message is complete: deliver it; a reply for each recipient. Never raises: what fails is told 4xx."""
        try:
            ingested = await incoming.finish()
        except StoreError as error:
            incoming.abort()
            _deferred(services, incoming, error)
            return [re.LOCAL_ERROR] * len(self)
        if isinstance(ingested, Refused):
            services.counters.refused(services.service.value, "data", ingested.reason)
            services.log.info("smtp.refused", trace=link.trace, peer=link.peer, stage="data", reason=ingested.reason)
            return [ingested.reply] * len(self)
        recipients = incoming.envelope.recipients
        replies = await self._deliver(services, incoming, ingested, link.peer, int(services.clock()))
        delivered = sum(reply.positive for reply in replies)
        services.counters.message(services.service.value, "accepted" if delivered else "deferred", size_bytes)
        services.log.info(
            "message.delivered",
            trace=incoming.envelope.trace,
            connection=link.trace,
            peer=link.peer,
            sender=incoming.envelope.reverse_path,
            recipients=recipients,
            delivered=delivered,
            size=size_bytes,
        )
        return replies

    async def _deliver(
        self, services: Services, incoming: Incoming, ingested: Ingested, peer: str, now: int
    ) -> list[Reply]:
        try:
            await accept(services, incoming, ingested, None, peer, now)
        except (OverQuotaError, NotFoundError):
            return await self._each(services, incoming, ingested, peer, now)
        except StoreError as error:
            _deferred(services, incoming, error)
            return [re.LOCAL_ERROR] * len(self)
        return [_delivered(incoming)] * len(self)

    async def _each(
        self, services: Services, incoming: Incoming, ingested: Ingested, peer: str, now: int
    ) -> list[Reply]:
        async def attempt(only: Iterable[AccountId] | None) -> Reply:
            try:
                await accept(services, incoming, ingested, None, peer, now, only=only)
            except OverQuotaError:
                return services.over_quota
            except StoreError as error:
                _deferred(services, incoming, error)
                return re.LOCAL_ERROR
            return _delivered(incoming)

        first: dict[AccountId, int] = {}
        for number, mailboxes in enumerate(self._mailboxes):
            for account in mailboxes:
                first.setdefault(account, number)
        # Forwarded copies leave with an operation of their own, which also keeps what came round again.
        for account in first:
            incoming.envelope.accounts.pop(account, None)
        sent_on = await attempt(None) if any(self._sent_on) else _delivered(incoming)
        own = [[a for a in mailboxes if first[a] == number] for number, mailboxes in enumerate(self._mailboxes)]
        results = await asyncio.gather(*(attempt(only) for only in own if only))
        of = dict(zip((number for number, only in enumerate(own) if only), results, strict=True))
        return [
            # What another recipient answers for comes again with it: asked for twice, the others here would have it twice.
            _worst([of[first[account]] for account in mine or mailboxes] + ([sent_on] if forwarded else []))
            for mine, mailboxes, forwarded in zip(own, self._mailboxes, self._sent_on, strict=True)
        ]


def _worst(results: list[Reply]) -> Reply:
    return next((reply for reply in results if not reply.positive), results[0])


def _delivered(incoming: Incoming) -> Reply:
    return Reply(250, "2.1.5", f"Delivered as {incoming.envelope.trace}")


def _deferred(services: Services, incoming: Incoming, error: StoreError) -> None:
    services.log.error("message.deferred", trace=incoming.envelope.trace, error=str(error))
