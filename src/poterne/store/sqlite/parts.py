"""The engine's methods, grouped as in `interface.py`. Each hands an operation to the writer, or reads at once."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from poterne.store.interface import Delivery, EventFilter, Uids
from poterne.store.sqlite import (
    accounts,
    aliases,
    copying,
    delivery,
    events,
    expunging,
    flags,
    incoming,
    mailbox_rows,
    mailboxes,
    messages,
    replacing,
    senders,
    uidset,
)
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.routing import Routes, directory_serial
from poterne.store.sqlite.transaction import Tx
from poterne.store.sqlite.uid_cache import UidCache
from poterne.store.writer import GroupWriter
from poterne.values.directory import Account, Alias, Credential, Domain, Posting, Route
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, ModSeq, SenderId, Uid
from poterne.values.mailbox import (
    MAX_KEYWORDS,
    Appended,
    Changes,
    ContentRow,
    Copied,
    FlagChange,
    FlagsStored,
    Mailbox,
    MailboxChanged,
    MessageRow,
    SpecialUse,
)
from poterne.values.quarantine import NewQuarantined
from poterne.values.queue import NewQueued
from poterne.values.reports import NewReportMail
from poterne.values.secret import Secret
from poterne.values.sender import Sender, SenderCredential, SenderScope, SenderState
from poterne.values.sending import SendingLimits

_AT_ONCE: Final = 2_048
"""A STORE on so many messages is done on the event loop if nobody else writes: a millisecond at most, as reading them is."""


class DirectoryPart:
    _writer: GroupWriter[Tx]
    _reader: Reader
    _routes: Routes

    async def domains(self) -> list[Domain]:
        return accounts.domains(self._reader)

    async def add_domain(self, name: str, event: Event) -> None:
        await self._writer.submit(accounts.add_domain, name, event)

    async def remove_domain(self, name: str, event: Event) -> None:
        await self._writer.submit(accounts.remove_domain, name, event)

    async def accounts(self, domain: str | None = None) -> list[Account]:
        return accounts.accounts(self._reader, domain)

    async def account(self, address: str) -> Account:
        return accounts.account(self._reader, address)

    async def account_by_id(self, account_id: AccountId) -> Account:
        return accounts.account_by_id(self._reader, account_id)

    async def add_account(
        self,
        address: str,
        name: str,
        language: str,
        verifier: Secret,
        quota_bytes: int,
        mailboxes: Sequence[tuple[str, SpecialUse | None]],
        event: Event,
        *,
        quota_messages: int = 0,
    ) -> Account:
        return await self._writer.submit(
            accounts.add_account, address, name, language, verifier, quota_bytes, mailboxes, event, quota_messages
        )

    async def remove_account(self, account_id: AccountId, event: Event) -> None:
        await self._writer.submit(accounts.remove_account, account_id, event)

    async def set_account(
        self,
        account_id: AccountId,
        event: Event,
        *,
        disabled: bool | None = None,
        quota_bytes: int | None = None,
        quota_messages: int | None = None,
        name: str | None = None,
        language: str | None = None,
        imap_without: Sequence[str] | None = None,
    ) -> Account:
        return await self._writer.submit(
            accounts.set_account,
            account_id,
            event,
            disabled=disabled,
            quota_bytes=quota_bytes,
            quota_messages=quota_messages,
            name=name,
            language=language,
            imap_without=imap_without,
        )

    async def set_password(self, account_id: AccountId, verifier: Secret, event: Event) -> None:
        await self._writer.submit(accounts.set_password, account_id, verifier, event)

    async def credential(self, address: str) -> Credential:
        return accounts.credential(self._reader, address)

    async def credential_of(self, account_id: AccountId) -> Credential:
        return accounts.credential_of(self._reader, account_id)

    def directory_serial(self) -> int:
        return directory_serial(self._reader)

    async def set_limits(self, account_id: AccountId, limits: SendingLimits | None, event: Event) -> None:
        await self._writer.submit(accounts.set_limits, account_id, limits, event)

    async def set_forwards(self, account_id: AccountId, forwards: Sequence[str], keeps: bool, event: Event) -> None:
        await self._writer.submit(accounts.set_forwards, account_id, forwards, keeps, event)

    async def set_forwarders(self, account_id: AccountId, names: Sequence[str], event: Event) -> None:
        await self._writer.submit(accounts.set_forwarders, account_id, names, event)

    async def aliases(self, domain: str | None = None) -> list[Alias]:
        return aliases.aliases(self._reader, domain)

    async def add_alias(
        self,
        address: str,
        targets: Sequence[str],
        event: Event,
        *,
        forwards: Sequence[str] = (),
        posting: Posting = Posting.ANYONE,
        posters: Sequence[str] = (),
    ) -> None:
        await self._writer.submit(
            aliases.add, address, targets, event, forwards=forwards, posting=posting, posters=posters
        )

    async def remove_alias(self, address: str, event: Event) -> None:
        await self._writer.submit(aliases.remove, address, event)

    async def route(self, local_part: str, domain: str) -> Route:
        return self._routes.route(local_part, domain)

    async def senders(self) -> list[Sender]:
        return senders.senders(self._reader)

    async def sender(self, name: str) -> Sender:
        return senders.sender(self._reader, name)

    async def sender_credential(self, name: str) -> SenderCredential:
        return senders.credential(self._reader, name)

    async def sender_of_uid(self, uid: int) -> list[Sender]:
        return senders.of_uid(self._reader, uid)

    async def add_sender(
        self, name: str, owner: AccountId, scope: SenderScope, verifier: Secret | None, expires_at: int, event: Event
    ) -> Sender:
        return await self._writer.submit(senders.add, name, owner, scope, verifier, expires_at, event)

    async def set_sender(
        self,
        sender_id: SenderId,
        event: Event,
        *,
        state: SenderState | None = None,
        scope: SenderScope | None = None,
        verifier: Secret | None = None,
        expires_at: int | None = None,
    ) -> Sender:
        return await self._writer.submit(
            senders.change, sender_id, event, state=state, scope=scope, verifier=verifier, expires_at=expires_at
        )

    async def sender_used(self, sender_id: SenderId, at: int, peer: str) -> None:
        if senders.is_stale(self._reader, sender_id, at):  # most uses need no write
            await self._writer.small_soon(senders.used, sender_id, at, peer)


class MailboxesPart:
    _writer: GroupWriter[Tx]
    _reader: Reader

    async def mailboxes(self, account_id: AccountId) -> list[Mailbox]:
        return mailbox_rows.mailboxes(self._reader, account_id)

    async def mailbox(self, account_id: AccountId, name: str) -> Mailbox:
        return mailbox_rows.by_name(self._reader, account_id, name)

    async def mailbox_by_id(self, account_id: AccountId, mailbox_id: MailboxId) -> Mailbox:
        return mailbox_rows.by_id(self._reader, account_id, mailbox_id)

    async def create_mailbox(
        self, account_id: AccountId, name: str, special_use: SpecialUse | None, event: Event
    ) -> Mailbox:
        return await self._writer.submit(mailboxes.create, account_id, name, special_use, event)

    async def delete_mailbox(self, account_id: AccountId, mailbox_id: MailboxId, event: Event) -> None:
        await self._writer.submit(mailboxes.delete, account_id, mailbox_id, event)

    async def rename_mailbox(self, account_id: AccountId, mailbox_id: MailboxId, name: str, event: Event) -> None:
        await self._writer.submit(mailboxes.rename, account_id, mailbox_id, name, event)

    async def set_special_use(
        self, account_id: AccountId, mailbox_id: MailboxId, special_use: SpecialUse | None, event: Event
    ) -> None:
        await self._writer.submit(mailboxes.set_special_use, account_id, mailbox_id, special_use, event)

    async def subscribe(self, account_id: AccountId, name: str, subscribed: bool) -> None:
        await self._writer.submit(mailboxes.subscribe, account_id, name, subscribed=subscribed)

    async def subscriptions(self, account_id: AccountId) -> list[str]:
        return mailbox_rows.subscriptions(self._reader, account_id)

    async def claim_recent(self, account_id: AccountId, mailbox_id: MailboxId) -> Uid:
        found = mailbox_rows.by_id(self._reader, account_id, mailbox_id)
        if found.recent_uid == found.uid_next:  # nothing to claim: most SELECTs need no write
            return found.recent_uid
        return await self._writer.submit_soon(mailboxes.claim_recent, account_id, mailbox_id)


class MessagesPart:
    _writer: GroupWriter[Tx]
    _reader: Reader
    _uids: UidCache

    async def deliver(
        self,
        deliveries: Sequence[Delivery],
        queue: Sequence[NewQueued],
        events: Sequence[Event],
        *,
        quarantined: Sequence[NewQuarantined] = (),
        reports: Sequence[NewReportMail] = (),
    ) -> list[Appended]:
        if quarantined or reports:
            return await self._writer.submit(incoming.deliver, deliveries, queue, events, quarantined, reports)
        return await self._writer.submit(delivery.deliver, deliveries, queue, events)

    async def uids(self, account_id: AccountId, mailbox_id: MailboxId) -> tuple[Mailbox, bytes]:
        return self._uids.uids(account_id, mailbox_id)

    def rows(self, account_id: AccountId, mailbox_id: MailboxId, uids: Uids) -> list[MessageRow]:
        return messages.rows(self._reader, account_id, mailbox_id, uids)

    def flags(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Uids, known: Sequence[int] = ()
    ) -> tuple[Sequence[int], list[int], ModSeq]:
        return messages.flags(self._reader, account_id, mailbox_id, uids, known)

    def highest_modseq(self, account_id: AccountId, mailbox_id: MailboxId) -> ModSeq:
        return messages.highest_modseq(self._reader, account_id, mailbox_id)

    def contents(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Uids,
        *,
        envelope: bool = True,
        structure: bool = True,
        parsed: bool = True,
    ) -> list[ContentRow]:
        return messages.contents(
            self._reader, account_id, mailbox_id, uids, envelope=envelope, structure=structure, parsed=parsed
        )

    def texts(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Uids, *, structure: bool
    ) -> list[tuple[Uid, bytes]]:
        return messages.texts(self._reader, account_id, mailbox_id, uids, structure=structure)

    async def flagged(
        self, account_id: AccountId, mailbox_id: MailboxId, flags_set: int, flags_clear: int, *, lowest: bool = False
    ) -> list[Uid]:
        with self._reader.snapshot():
            return messages.flagged(self._reader, account_id, mailbox_id, flags_set, flags_clear, lowest=lowest)

    async def changes(self, account_id: AccountId, mailbox_id: MailboxId, since: ModSeq) -> Changes:
        with self._reader.snapshot():
            return messages.changes(self._reader, account_id, mailbox_id, since)

    async def keyword_bits(
        self, account_id: AccountId, names: Sequence[str], most: int = MAX_KEYWORDS
    ) -> dict[str, int]:
        known = flags.known_keywords(self._reader, account_id)
        try:
            return {name: known[name.lower()] for name in names}
        except KeyError:
            return await self._writer.submit(flags.make_keywords, account_id, names, most)

    async def store_flags(
        self,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uids: Uids,
        change: FlagChange,
        flags: int,
        unchanged_since: ModSeq | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> FlagsStored:
        if uidset.few(uids, _AT_ONCE):
            return await self._writer.small_soon(
                _store_flags, account_id, mailbox_id, uids, change, flags, unchanged_since
            )
        stored = self._writer.submit_soon(_store_flags, account_id, mailbox_id, uids, change, flags, unchanged_since)
        if meanwhile is not None:
            self._writer.hand_over()
            meanwhile()
        return await stored

    async def copy(
        self, account_id: AccountId, source: MailboxId, uids: Uids, destination: MailboxId, now: int
    ) -> Copied:
        return await self._writer.submit(copying.copy, account_id, source, uids, destination, now)

    async def move(
        self, account_id: AccountId, source: MailboxId, uids: Uids, destination: MailboxId, now: int
    ) -> Copied:
        return await self._writer.submit(copying.move, account_id, source, uids, destination, now)

    async def expunge(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Uids | None, events: Sequence[Event] = ()
    ) -> list[Uid]:
        return await self._writer.submit(expunging.remove, account_id, mailbox_id, uids, events, deleted_only=True)

    async def replace(
        self, delivery: Delivery, mailbox_id: MailboxId, uid: Uid, account_id: AccountId | None = None
    ) -> Appended:
        return await self._writer.submit(replacing.replace, delivery, mailbox_id, uid, account_id)

    async def remove(
        self, account_id: AccountId, mailbox_id: MailboxId, uids: Uids, events: Sequence[Event] = ()
    ) -> list[Uid]:
        return await self._writer.submit(expunging.remove, account_id, mailbox_id, uids, events, deleted_only=False)


_store_flags = flags.store_flags


class EventsPart:
    _writer: GroupWriter[Tx]
    _reader: Reader

    async def record(self, events: Iterable[Event]) -> None:
        await self._writer.submit(_record, tuple(events))

    async def events(
        self, *, kind: str | None = None, account_id: AccountId | None = None, limit: int = 100
    ) -> list[Event]:
        return events.events(self._reader, kind, account_id, limit)

    async def events_about(self, where: EventFilter, limit: int = 100) -> list[Event]:
        return events.about(self._reader, where, limit)

    def listen(self, heard: Callable[[Sequence[MailboxChanged]], None]) -> None:
        """Call `heard` on the event loop after each commit of this process that changed mailboxes."""
        self._writer.listen(heard)

    def poll(self) -> bool:
        """Did another process commit since the last call?"""
        return self._writer.others_committed()


_record = events.record
