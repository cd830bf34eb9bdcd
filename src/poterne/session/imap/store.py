r"""STORE, and the \Seen that FETCH sets.

Theory of operation. The client knows the mailbox as of `view.modseq`. The change is first made under the condition that a
message was not changed since; in nearly all cases none was, and one operation does it all. Messages that somebody else
changed meanwhile are refused by that condition: what others did is then told, and they are changed without it. So a
client never misses another one's change, not even with .SILENT, and hears its own only once.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Final

from poterne.proto.imap import commands, responses
from poterne.proto.imap import fetch as fetch_lines
from poterne.proto.imap.items import FetchAtt, FlagSet
from poterne.proto.imap.responses import Completed, ok
from poterne.proto.imap.sequence import IndexRanges
from poterne.session.imap.ahead import ROWS_AT_ONCE, Ahead, parts
from poterne.session.imap.client import Client
from poterne.session.imap.errors import NOPERM
from poterne.session.imap.positions import EXPUNGED, NO_SUCH_NUMBER, READ_ONLY, names_gone, positions
from poterne.session.imap.updates import (
    behind,
    catch_up,
    finish,
    learn_keywords,
    recent_flags,
    sync,
    tell_keywords,
    with_recent,
)
from poterne.session.pending import NOTHING_TOLD, View
from poterne.values.directory import Account
from poterne.values.ids import ModSeq
from poterne.values.mailbox import (
    KEYWORD_SHIFT,
    KEYWORDS_OF_OTHERS,
    MAX_KEYWORDS,
    Flag,
    FlagChange,
    FlagsStored,
    MessageRow,
    UidRange,
)
from poterne.values.sharing import EVERY_RIGHT, Right, changeable

_STORED: Final = ok(b"Stored")
ALL_FLAGS: Final = (1 << KEYWORD_SHIFT + MAX_KEYWORDS) - 1


async def store(client: Client, command: commands.Store) -> None:
    """RFC 9051 §6.4.6, UNCHANGEDSINCE RFC 7162 §3.1.3."""
    if command.unchanged_since is not None:
        client.enable_condstore()
    if client.read_only:
        client.send(READ_ONLY)
        return
    spans = positions(client, command.messages, uid=command.uid)
    if spans is None:
        client.send(NO_SUCH_NUMBER)
        return
    flags = command.flags
    if client.foreign is not None:
        permitted = _permitted(client, flags)
        if permitted is None:
            client.send(NOPERM)
            return
        flags = permitted
    bits = flags.system
    if flags.keywords:
        bits = await flag_bits(client, client.owner, flags, make=command.change is not FlagChange.REMOVE)
    many = not (client.condstore or command.silent) and sum([last - first for first, last in spans]) > ROWS_AT_ONCE
    ahead = Ahead(client, spans, command.change, bits) if many else None
    if client.foreign is None:
        since = command.unchanged_since
        modified, rows = await change(client, spans, command.change, bits, unchanged_since=since, ahead=ahead)
    else:
        modified, rows = await _changed(client, command, spans, bits, ahead)
    if spans and (client.condstore or not command.silent):
        if ahead is not None and ahead.holds and rows is None:
            await _echo_flags(client, command, spans, ahead)
        else:
            await _echo(client, command, spans, set(modified), rows)
    if behind(client, expunge=command.uid):
        await catch_up(client, expunge=command.uid)
    gone = not command.uid and names_gone(client, spans)
    await finish(client, _completed(client, command, modified, gone=gone), expunge=command.uid)


def _completed(client: Client, command: commands.Store, modified: Sequence[int], *, gone: bool) -> Completed:
    if modified:
        _, view = client.selected
        numbers = modified if command.uid else [i + 1 for uid in modified if (i := view.index(uid)) is not None]
        if numbers:
            return ok(b"Some were changed meanwhile and are as they were", responses.code_modified(numbers))
    return EXPUNGED if gone else _STORED


def _permitted(client: Client, flags: FlagSet) -> FlagSet | None:
    """Those that the client may change; None if that is none of them (RFC 4314 §4)."""
    kept = permitted(flags, client.rights)
    asked = flags.system or flags.keywords
    left = kept.system or kept.keywords or (not asked and changeable(client.rights))
    return kept if left else None


async def _changed(
    client: Client, command: commands.Store, spans: IndexRanges, bits: int, ahead: Ahead | None
) -> tuple[list[int], Sequence[MessageRow] | None]:
    """As `change`, in somebody else's mailbox: flags that the client cannot change there stay as they are, also with FLAGS."""
    since = command.unchanged_since
    if command.change is not FlagChange.REPLACE or (mask := changeable(client.rights)) == -1:
        return await change(client, spans, command.change, bits, unchanged_since=since, ahead=ahead)
    modified, _ = await change(client, spans, FlagChange.REMOVE, mask & ALL_FLAGS & ~bits, unchanged_since=since)
    if modified:
        refused = set(modified)
        _, view = client.selected
        spans = view.spans_of([uid for first, last in spans for uid in view.uids[first:last] if uid not in refused])
    _, rows = await change(client, spans, FlagChange.ADD, bits)
    return modified, None if modified else rows


def permitted(flags: FlagSet, rights: Right) -> FlagSet:
    """Those that may be set with these rights."""
    if rights == EVERY_RIGHT:
        return flags
    return FlagSet(flags.system & changeable(rights), flags.keywords if Right.WRITE in rights else ())


async def flag_bits(client: Client, account: Account, flags: FlagSet, *, make: bool) -> int:
    """The bits of these flags. Keywords that the account does not have are made, or passed over if `make` is False."""
    if not flags.keywords:
        return flags.system
    known = {name.lower(): 256 << i for i, name in enumerate(account.keywords)}
    bits = flags.system
    missing: list[str] = []
    for name in flags.keywords:
        bit = known.get(name.lower())
        if bit is None:
            missing.append(name)
        else:
            bits |= bit
    if missing and make:
        most = MAX_KEYWORDS if account.id == client.account.id else KEYWORDS_OF_OTHERS
        made = await client.store.keyword_bits(account.id, missing, most)
        for bit in made.values():
            bits |= bit
        client.learn(await client.store.account_by_id(account.id))
        if client.view is not None and client.owner.id == account.id:
            tell_keywords(client)
    return bits


async def change(
    client: Client,
    spans: IndexRanges,
    how: FlagChange,
    bits: int,
    *,
    unchanged_since: int | None = None,
    ahead: Ahead | None = None,
) -> tuple[list[int], Sequence[MessageRow] | None]:
    """Change flags, and tell what others changed meanwhile.

    Gives the UIDs that `unchanged_since` refused, and the messages as they are now if the store told (few of them). Meanwhile
    `ahead` is read.
    """
    mailbox, view = client.selected
    if not spans:
        return [], None
    ranges = view.ranges(spans)
    condition = view.modseq if unchanged_since is None else ModSeq(unchanged_since)
    args = (mailbox.account_id, mailbox.id)
    meanwhile = None if ahead is None or unchanged_since is not None else ahead.read
    stored = await client.store.store_flags(*args, ranges, how, bits, condition, meanwhile)
    if not stored.refused and unchanged_since is None:
        alone = _was_ours(view, stored)
        if not alone:
            # Others changed something, maybe after us too: that is told first, and `stored.rows` are of the past.
            await sync(client, expunge=False, told=_ours(view.uids, ranges, stored.modseq))
        if meanwhile is not None and ahead is not None:
            ahead.judge(stored.modseq, alone=alone)
        return [], stored.rows if alone else None
    if unchanged_since is not None:
        # What others changed is told as it is; nothing of theirs has the modseq that our own change has just got.
        await sync(
            client, expunge=False, told=_ours(view.uids, ranges, stored.modseq) if stored.changed else NOTHING_TOLD
        )
        return list(stored.refused), None
    # Others changed these. Their flags are told as they are; what of ours is in there is told again, to be safe.
    await sync(client, expunge=False)
    again = view.ranges(view.spans_of(stored.refused))
    if again:
        await client.store.store_flags(*args, again, how, bits)
        await sync(client, expunge=False)
    return [], None


def _was_ours(view: View, stored: FlagsStored) -> bool:
    """Move the view past our own change, if all that has happened was ours."""
    if stored.modseq > view.modseq:
        if not stored.changed or stored.modseq != view.modseq + 1:  # one step
            return False
        view.modseq = stored.modseq
    return True


def _ours(uids: "array[int]", ranges: Sequence[UidRange], modseq: int) -> dict[int, int]:
    """What need not be told: these messages, as of our own change."""
    told: dict[int, int] = {}
    for part in ranges:
        known = uids[bisect_left(uids, part.first) : bisect_right(uids, part.last or part.first)]
        told.update(dict.fromkeys(known, modseq))
    return told


async def _echo(
    client: Client,
    command: commands.Store,
    spans: IndexRanges,
    modified: set[int],
    known: Sequence[MessageRow] | None,
) -> None:
    """The new flags of each message (RFC 9051 §6.4.6); with .SILENT and CONDSTORE its new modseq (RFC 7162 §3.1.3)."""
    mailbox, view = client.selected
    if known is not None:
        if known:
            await learn_keywords(client, max([row.flags for row in known]))
            uids = view.uids
            client.send_all(_lines(client, command, [bisect_left(uids, row.uid) + 1 for row in known], known, modified))
        return
    if not (modified or client.condstore or command.silent):
        await _echo_flags(client, command, spans)
        return
    for start, stop in parts(spans):
        part = UidRange(view.uids[start], view.uids[stop - 1])
        rows = client.store.rows(mailbox.account_id, mailbox.id, [part])
        if not rows:
            continue
        await learn_keywords(client, max([row.flags for row in rows]))
        client.send_all(_lines(client, command, view.numbers_of(rows, start, stop), rows, modified))
        await client.flush_if_big()


async def _echo_flags(client: Client, command: commands.Store, spans: IndexRanges, ahead: Ahead | None = None) -> None:
    """The same where flags are all that is told: many messages, and nothing special about any."""
    mailbox, view = client.selected
    for start, stop in parts(spans):
        uids: Sequence[int] = view.uids[start:stop]
        flags = None if ahead is None else ahead.take(start)
        names: dict[int, bytes] | None = None
        if ahead is not None and flags is not None:
            names = ahead.names
        else:
            uids, flags, _ = client.store.flags(mailbox.account_id, mailbox.id, [UidRange(uids[0], uids[-1])], uids)
            if not uids:
                continue
        await learn_keywords(client, max(flags))
        flags = with_recent(client, view, uids, flags)
        numbers: Sequence[int] = range(start + 1, stop + 1)
        if len(uids) != stop - start:  # some are gone, which the client does not know yet
            numbers = [bisect_left(view.uids, uid) + 1 for uid in uids]
        items = (FetchAtt.UID, FetchAtt.FLAGS) if command.uid else (FetchAtt.FLAGS,)
        if client.uid_only:
            items, numbers = (FetchAtt.FLAGS,), uids
        texts = client.flag_texts if names is None else names
        client.send(fetch_lines.flag_rows(items, numbers, uids, flags, texts, client.fetch_name))
        await client.flush_if_big()


def _lines(
    client: Client, command: commands.Store, numbers: Sequence[int], rows: Sequence[MessageRow], modified: set[int]
) -> list[bytes]:
    if modified:
        kept = [(number, row) for number, row in zip(numbers, rows, strict=True) if row.uid not in modified]
        numbers, rows = [number for number, _ in kept], [row for _, row in kept]
    _, view = client.selected
    texts = client.flag_texts
    if command.silent:
        shown = [b""] * len(rows)
    else:
        flags = recent_flags(client, view, rows) if rows else None
        shown = [b"FLAGS " + text for text in (flags or [texts[row.flags] for row in rows])]
    if client.condstore:
        gap = b"" if command.silent else b" "
        shown = [b"%b%bMODSEQ (%d)" % (text, gap, row.modseq) for text, row in zip(shown, rows, strict=True)]
    if client.uid_only:
        return [b"* %d UIDFETCH (%b)\r\n" % (row.uid, text) for row, text in zip(rows, shown, strict=True)]
    if command.uid or client.condstore:  # RFC 7162 §3.2.4
        return [
            b"* %d FETCH (UID %d %b)\r\n" % (number, row.uid, text)
            for number, row, text in zip(numbers, rows, shown, strict=True)
        ]
    return [b"* %d FETCH (%b)\r\n" % pair for pair in zip(numbers, shown, strict=True)]


async def mark_seen(client: Client, spans: IndexRanges) -> None:
    r"""Set \Seen on these messages, in one operation, for a FETCH that reads them."""
    await change(client, spans, FlagChange.ADD, int(Flag.SEEN))
