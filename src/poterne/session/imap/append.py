"""APPEND and MULTIAPPEND (RFC 9051 §6.3.12, RFC 3502): from the wire to the blob in one pass, then one transaction."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import Completed, Condition, Continue, no, ok
from poterne.proto.imap.sequence import SequenceSet
from poterne.session.imap import access, errors
from poterne.session.imap.appending import Appending
from poterne.session.imap.client import Client
from poterne.session.imap.errors import TRYCREATE
from poterne.session.imap.foreign import Place, is_foreign
from poterne.session.imap.positions import EXPUNGED, NO_SUCH_NUMBER, READ_ONLY, positions
from poterne.session.imap.store import flag_bits, permitted
from poterne.session.imap.updates import finish, merge, sync, told_of_new
from poterne.session.ingest import Ingest
from poterne.store.errors import ConflictError, NotFoundError, StoreError
from poterne.store.interface import Delivery
from poterne.values.ids import ContentId, Uid
from poterne.values.mailbox import Appended, Changes, MessageRow
from poterne.values.sharing import EVERY_RIGHT, Right

MIN_RATE_BYTES_PER_S: Final = 1_000.0
GRACE_S: Final = 60.0
"""A message must come at this rate, measured after the grace: slow phones pass, connections that only hold memory do not."""
_TAKE: Final = Right.DELETE_MESSAGES | Right.EXPUNGE
_NUL: Final = no(b"A message cannot have NUL octets", responses.UNKNOWN_CTE)
_FULL: Final = no(b"The account has no space left", responses.OVERQUOTA)
_EMPTY: Final = no(b"A message cannot be empty")
_NO_MESSAGE: Final = no(b"There is no such message", responses.NONEXISTENT)
_NEEDS_UTF8: Final = no(b"A header in UTF-8 needs ENABLE UTF8=ACCEPT first", responses.CANNOT)
"""RFC 9755 §4, more lenient unless the setting says otherwise: what copies mail from elsewhere enables nothing."""
MAX_HEADER_BYTES: Final = 256 * 1024
"""Of a header that is looked at for UTF-8."""


async def append_start(client: Client, command: commands.AppendStart) -> None:
    """Refuse before the message is sent, where that is possible (RFC 9051 §6.3.12: TRYCREATE)."""
    current = client.appending
    refusal = current.failed if current is not None else None
    place = current.place if current is not None else None
    replaced: Uid | None = None
    if command.replaces is not None:
        named = _replaced(client, command.replaces)
        if isinstance(named, Completed):
            refusal = named
        else:
            replaced = named
    if refusal is None:
        try:
            found = place or _known(client, command) or await access.destination(client, command.mailbox)
            if isinstance(found, Completed):
                refusal = found
            else:
                place = found
                refusal = await _refusal(client, command, place)
        except StoreError as error:
            refusal = errors.reply(error)
    if refusal is not None or place is None:
        _end(client)
        client.send(refusal or TRYCREATE)
        return
    when = command.internal_date
    offset = when.utcoffset() if when is not None else None
    internal_at = int(client.service.clock()) if when is None else int(when.timestamp())
    minutes = 0 if offset is None else int(offset.total_seconds()) // 60
    ingest = Ingest(client.store.blobs)
    if current is None:
        client.appending = Appending(place, ingest, command.flags, internal_at, minutes, replaced)
        client.link.begin_bulk(MIN_RATE_BYTES_PER_S, GRACE_S)
    else:
        current.ingest, current.flags = ingest, command.flags
        current.internal_at, current.internal_offset = internal_at, minutes
    if client.appending is not None:
        strict = client.service.settings.utf8_needs_enable and not client.core.utf8
        client.appending.head = bytearray() if strict else None
    client.send(Continue())


def _known(client: Client, command: commands.AppendStart) -> Place | None:
    """The selected mailbox, or that of the last message, if it has this name: the transaction will tell if it has it no more."""
    name, selected, filed = command.mailbox, client.mailbox, client.filed
    if command.replaces is not None or is_foreign(name):
        return None
    if selected is not None and selected.name == name and client.foreign is None:
        return Place(selected, EVERY_RIGHT, "")
    return filed if filed is not None and filed.mailbox.name == name else None


async def _refusal(client: Client, command: commands.AppendStart, place: Place) -> Completed | None:
    if command.size == 0:
        return _EMPTY
    if command.replaces is not None or not (place.owner or client.account.quota_bytes):  # what goes makes room
        return None
    account = await client.store.account_by_id(place.mailbox.account_id)
    if account.quota_bytes and account.used_bytes + command.size > account.quota_bytes:
        return _FULL  # the transaction decides again; this saves the transfer
    return None


def _replaced(client: Client, replaces: commands.Replaced) -> Uid | Completed:
    """The UID of the message that REPLACE names, or why it cannot be replaced."""
    if client.read_only:
        return READ_ONLY
    if _TAKE & ~client.rights:  # RFC 8508 §4.1
        return errors.NOPERM
    _, view = client.selected
    spans = positions(client, SequenceSet(((replaces.number, replaces.number),)), uid=replaces.uid)
    if spans is None:
        return NO_SUCH_NUMBER
    if not spans:
        return _NO_MESSAGE
    uid = Uid(view.uids[spans[0][0]])
    return EXPUNGED if uid in view.gone else uid


async def append_data(client: Client, event: commands.AppendData) -> None:
    appending = client.appending
    if appending is None or appending.failed is not None:
        return
    if 0 in event.data:
        appending.failed = _NUL
        appending.abort()
        return
    if appending.head is not None and _is_utf8_header(appending, event.data):
        appending.failed = _NEEDS_UTF8
        appending.abort()
        return
    try:
        appending.ingest.feed(event.data)
        if appending.ingest.must_drain:
            await appending.ingest.drain()
    except StoreError as error:
        appending.failed = errors.reply(error)
        appending.abort()


def _is_utf8_header(appending: Appending, data: bytes) -> bool:
    """Was the header completed, and is it UTF-8 beyond ASCII? What is 8-bit otherwise says nothing and is taken, as ever."""
    head = appending.head
    if head is None:
        return False
    end = data.find(b"\r\n\r\n")
    if not head and end >= 0 and data[:end].isascii():  # nearly all
        appending.head = None
        return False
    head += data
    end = head.find(b"\r\n\r\n")
    if end < 0 and len(head) < MAX_HEADER_BYTES:
        return False
    appending.head = None
    block = bytes(head[:end]) if end >= 0 else bytes(head)
    return not block.isascii() and _is_utf8(block)


def _is_utf8(block: bytes | bytearray) -> bool:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


async def append_end(client: Client, event: commands.AppendEnd) -> None:
    appending = client.appending
    if appending is None:
        return
    if appending.failed is None and appending.head and not appending.head.isascii() and _is_utf8(appending.head):
        appending.failed = _NEEDS_UTF8  # a message that is all header
        appending.abort()
    if appending.failed is None:
        try:
            await _complete(client, appending)
        except StoreError as error:
            appending.failed = errors.reply(error)
            appending.abort()
    if not event.last:
        return
    if appending.failed is not None:
        client.send(appending.failed)
        _end(client)
        return
    await _deliver(client, appending)


async def _complete(client: Client, appending: Appending) -> None:
    ingested = await appending.ingest.finish()
    mailbox, wanted = appending.place.mailbox, appending.flags
    flags = wanted.system
    if wanted.keywords or appending.place.owner:
        owner = await access.account_of(client, mailbox.account_id)
        flags = await flag_bits(client, owner, permitted(wanted, appending.place.rights), make=True)
    appending.deliveries.append(
        Delivery(
            mailbox.account_id,
            mailbox.id,
            ingested.content,
            flags,
            appending.internal_at,
            appending.internal_offset,
            None if appending.place.owner else mailbox.name,
        )
    )


async def _deliver(client: Client, appending: Appending) -> None:
    deliveries = appending.deliveries
    client.link.end_bulk()
    client.appending = None
    if appending.place.owner and not await access.may_still(client, appending.place, Right.INSERT):
        appending.abort()
        client.send(errors.NONEXISTENT)
        return
    if appending.replaces is not None:
        await _replace(client, appending.place, deliveries[0], appending.replaces)
        return
    try:
        appended = await client.store.deliver(deliveries, (), ())
    except NotFoundError:
        moved = await _delivered_elsewhere(client, appending)
        if isinstance(moved, Completed):
            client.send(moved)
            return
        appended = moved
    if not appending.place.owner:
        client.filed = appending.place
    code = responses.code_appenduid(appended[0].uid_validity, [one.uid for one in appended])
    client.did(appending.place.mailbox, [one.uid for one in appended])
    if access.is_selected(client, appending.place.mailbox):
        await _tell(client, appending, appended)
    await finish(client, ok(b"Appended", code))


async def _delivered_elsewhere(client: Client, appending: Appending) -> list[Appended] | Completed:
    """The mailbox that was known by this name was renamed or deleted: another one may have the name now."""
    client.filed = None
    name = appending.place.mailbox.name
    place = TRYCREATE if appending.place.owner else await access.destination(client, name)
    if isinstance(place, Completed):
        return place
    appending.place = place
    appending.deliveries = [replace(delivery, mailbox=place.mailbox.id) for delivery in appending.deliveries]
    try:
        return await client.store.deliver(appending.deliveries, (), ())
    except NotFoundError:
        return TRYCREATE


async def _replace(client: Client, place: Place, delivery: Delivery, replaced: Uid) -> None:
    """RFC 8508 §3.4: both or neither. APPENDUID comes first, as its §4.3 advises."""
    mailbox, view = client.selected
    if client.read_only or _TAKE & ~client.rights:  # it was not so when the message began to come in
        client.send(errors.NOPERM)
        return
    try:
        appended = await client.store.replace(delivery, mailbox.id, replaced, mailbox.account_id)
    except NotFoundError:
        client.send(TRYCREATE)
        return
    except ConflictError:
        await finish(client, EXPUNGED)
        return
    code = responses.code_appenduid(appended.uid_validity, [appended.uid])
    client.send(responses.status_line(Condition.OK, b"The replacement is there", code))
    view.remove([replaced])
    client.did(place.mailbox, [appended.uid])
    await sync(client, expunge=True)
    await finish(client, ok(b"Replaced"))


async def _tell(client: Client, appending: Appending, appended: Sequence[Appended]) -> None:
    """Our own messages are new in the selected mailbox. The store is only asked if something else may have happened there."""
    _, view = client.selected
    last, count = appended[-1], len(appended)
    if last.modseq != view.modseq + count or last.uid != view.uid_next + count - 1:
        await sync(client, expunge=True)
        return
    if client.watch is None and not view.gone:
        view.grow(count, last.modseq)
        told_of_new(client)
        return
    rows = tuple(
        MessageRow(
            one.uid,
            delivery.flags,
            one.modseq,
            delivery.internal_at,
            delivery.internal_offset,
            delivery.content.blob.size,
            ContentId(0),  # nobody asks
        )
        for one, delivery in zip(appended, appending.deliveries, strict=True)
    )
    await merge(client, Changes(last.modseq, Uid(last.uid + 1), rows, ()))


def _end(client: Client) -> None:
    """The command is over without a message."""
    if client.appending is not None:
        client.appending.abort()
        client.appending = None
        client.link.end_bulk()


def forget(client: Client) -> None:
    """The connection ended, or the core refused the rest: drop what was received."""
    _end(client)
