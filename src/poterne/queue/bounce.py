"""Notices to senders: who may be told, and the message that tells.

Theory of operation. A notice that goes to whoever stands in the reverse-path of a stranger's mail is backscatter. So `told`
knows no way to a stranger: a notice goes to an address of ours, whose owner signed in to send the mail, or who owns the script
that did; or to a domain behind us, through its `[route.NAME]`, never by way of public DNS. Mail that came in for somebody
else (forwards, routes) is never answered. What nobody is told of is still an event and a log line.

A notice that fails itself is told to the postmaster of the first domain of ours, once.
"""

from collections.abc import Sequence
from typing import Final, final

from poterne.message.compose import Mailbox, message_id
from poterne.message.dsn import Action, Notification, Original, RecipientReport, render, returns_whole
from poterne.queue.content import letter_of_ours
from poterne.queue.domains import LocalDomains
from poterne.queue.routes import Routes
from poterne.store.errors import NotFoundError, StoreError
from poterne.store.interface import Store
from poterne.values.address import Address, AddressError
from poterne.values.directory import Account
from poterne.values.ids import AccountId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient, QueuedMessage, QueuedRecipient

HEADER_MOST: Final = 64 * 1024
SYSTEM: Final = Origin(OriginKind.SYSTEM, "")


@final
class Notices:
    """Writes notices. `language`: of those who have none. `whole_most`: octets of what comes back whole where that was asked."""

    def __init__(
        self, store: Store, hostname: str, language: str, routes: Routes, domains: LocalDomains, whole_most: int
    ) -> None:
        self._store: Final = store
        self._hostname: Final = hostname
        self._language: Final = language
        self._routes: Final = routes
        self._domains: Final = domains
        self._whole_most: Final = whole_most

    async def about(
        self, message: QueuedMessage, reports: Sequence[RecipientReport], failed: Sequence[QueuedRecipient], now: int
    ) -> list[NewQueued]:
        """One notice on these recipients, for whoever may be told; none otherwise. Its blob is written. Raises StoreError."""
        address = await self.told(message, failed)
        if address is None or not reports:
            return []
        return [await self._written(message, tuple(reports), address, await self._language_of(message.origin), now)]

    async def told(self, message: QueuedMessage, failed: Sequence[QueuedRecipient] = ()) -> Address | None:
        """Who hears of this message's fate; None: nobody. `failed`: those of a notice of ours that failed."""
        origin = message.origin
        match origin.kind:
            case OriginKind.ACCOUNT:
                return await self._ours(message.reverse_path)
            case OriginKind.SENDER:
                account = await self._account(origin.account_id) if message.reverse_path else None
                return None if account is None else await self._ours(account.address)
            case OriginKind.RELAY:
                return self._behind_us(message.reverse_path)
            case OriginKind.SYSTEM:
                return await self._postmaster(failed)
            case OriginKind.FORWARD | OriginKind.ROUTE:
                return None

    async def _ours(self, text: str) -> Address | None:
        address = _parsed(text)
        return address if address is not None and address.domain in await self._domains.names() else None

    def _behind_us(self, text: str) -> Address | None:
        address = _parsed(text)
        return address if address is not None and self._routes.own(address.domain) is not None else None

    async def _postmaster(self, failed: Sequence[QueuedRecipient]) -> Address | None:
        """Of a double bounce; of a third one nobody."""
        domain = await self._domains.first()
        if not failed or domain is None:
            return None
        postmaster = Address("postmaster", domain)
        if any(recipient.forward_path.lower() == postmaster.key for recipient in failed):
            return None
        return postmaster

    async def _account(self, account_id: AccountId | None) -> Account | None:
        if account_id is None:
            return None
        try:
            return await self._store.account_by_id(account_id)
        except NotFoundError:
            return None

    async def _language_of(self, origin: Origin) -> str:
        account = await self._account(origin.account_id)
        return self._language if account is None else account.language

    async def _written(
        self, message: QueuedMessage, reports: tuple[RecipientReport, ...], to: Address, language: str, now: int
    ) -> NewQueued:
        domain = await self._domains.first() or self._hostname
        rendered = render(
            Notification(
                hostname=self._hostname,
                sender=Mailbox(f"postmaster@{domain}"),
                to=str(to),
                language=language,
                message_id=message_id(
                    f"{message.trace_id}.{message.id}.{now}.{reports[0].action.value}", self._hostname
                ),
                unix_s=now,
                arrived_at=message.queued_at,
                recipients=reports,
                original=self._original(message, reports),
                envid=message.envid,
            )
        )
        blob, start = await letter_of_ours(self._store.blobs, rendered.octets)
        return NewQueued(
            origin=SYSTEM,
            trace_id=message.trace_id,
            reverse_path="",
            blob=blob,
            recipients=(NewRecipient(str(to), to.domain, notify="NEVER"),),
            due_at=now,
            start=start,
            eight_bit=rendered.eight_bit,
            smtputf8=rendered.smtputf8,
            requiretls=message.requiretls,  # RFC 8689 §5: guarded as the message was, header fields only
            tls_optional=message.tls_optional,
        )

    def _original(self, message: QueuedMessage, reports: Sequence[RecipientReport]) -> Original:
        try:
            return self._read(message, reports)
        except StoreError:  # that it can't be read may be why it failed: its sender hears of it all the same
            return Original(b"\r\n")

    def _read(self, message: QueuedMessage, reports: Sequence[RecipientReport]) -> Original:
        blobs = self._store.blobs
        size = message.blob.size - message.start
        actions = frozenset(report.action for report in reports)
        if not message.requiretls and returns_whole(message.ret, actions, size, self._whole_most):
            return Original(blobs.read(message.blob, message.start), whole=True)
        head = blobs.read(message.blob, message.start, min(message.blob.size, message.start + HEADER_MOST))
        end = head.find(b"\r\n\r\n")
        if end >= 0:
            return Original(head[: end + 4])
        return Original(head[: head.rfind(b"\r\n") + 2] + b"\r\n")


def _parsed(text: str) -> Address | None:
    """None for the null path, and for what can't be answered."""
    try:
        return Address.parse(text) if text else None
    except AddressError:
        return None


__all__ = ["HEADER_MOST", "SYSTEM", "Action", "Notices"]
