"""What a client is told between two pictures of its account: STATUS of mailboxes, LIST of names (RFC 5465 §5)."""

from collections.abc import Collection, Iterator, Mapping
from typing import Final, final

from poterne.proto.imap import responses
from poterne.proto.imap.items import StatusItem
from poterne.proto.imap.responses import Untagged
from poterne.session.imap.client import Client
from poterne.session.imap.mailboxes import attributes, parents_of
from poterne.session.imap.pictures import Picture
from poterne.session.imap.rules import FLAGS, MESSAGES, NAMES, SUBSCRIPTIONS
from poterne.session.imap.turns import Turn
from poterne.session.imap.watch import Watch
from poterne.values.ids import ModSeq
from poterne.values.mailbox import Mailbox


async def tell(client: Client, watch: Watch, before: Picture, after: Picture) -> None:
    """Everything that is different and asked for. What the client did itself is left out where it is sure to be that."""
    if after.names_at != before.names_at and watch.rules.every & (NAMES | SUBSCRIPTIONS):
        turn = Turn()  # thousands of names may have gone
        for line in _Names(client, watch, before, after).lines():
            client.send(line)
            await client.flush_if_big()
            if turn.over:
                await turn.give_way()
    if watch.rules.every & MESSAGES:
        await _tell_messages(client, watch, before, after)


# Messages of other mailboxes


async def tell_status(client: Client, watch: Watch, picture: Picture) -> None:
    """The STATUS of each watched mailbox but the selected one, which NOTIFY SET STATUS begins with (RFC 5465 §3.1)."""
    turn = Turn()
    for row in picture.mailboxes.values():
        events = _events(client, watch, picture, row)
        if events:
            client.send(_status(client, row, events, modseq=bool(events & FLAGS)))
            await client.flush_if_big()
        if turn.over:
            await turn.give_way()


def _events(client: Client, watch: Watch, picture: Picture, row: Mailbox) -> int:
    """What is told of its messages: nothing for the selected mailbox, which has rules of its own."""
    if not row.selectable or (client.mailbox is not None and client.mailbox.id == row.id):
        return 0
    found = watch.rules.of(row.name, row.special_use, subscribed=row.name in picture.subscribed)
    return found if found & MESSAGES else 0


async def _tell_messages(client: Client, watch: Watch, before: Picture, after: Picture) -> None:
    old = before.mailboxes
    by_name: Mapping[str, Mailbox] | None = None
    for key in after.changed_since(before):
        row = after.mailboxes[key]
        events = _events(client, watch, after, row)
        if not events:
            continue
        was = old.get(key)
        if was is None:  # a new mailbox, perhaps with the name of one that is gone
            by_name = by_name or {row.name: row for row in old.values()}
            was = by_name.get(row.name)
        if _is_news(client, was, row, events) and not await _is_ours(client, watch, was, row):
            client.send(_status(client, row, events, modseq=client.condstore))
            await client.flush_if_big()


def _is_news(client: Client, was: Mailbox | None, row: Mailbox, events: int) -> bool:
    if was is None:
        return bool(row.messages)
    if (was.uid_validity, was.uid_next, was.messages) != (row.uid_validity, row.uid_next, row.messages):
        return True
    if not events & FLAGS:
        return False
    # Without CONDSTORE, UNSEEN is all that can be told of flags (RFC 5465 §5.1).
    return was.unseen != row.unseen or (client.condstore and was.highest_modseq != row.highest_modseq)


async def _is_ours(client: Client, watch: Watch, was: Mailbox | None, row: Mailbox) -> bool:
    """Is it nothing but what this client did itself?"""
    if was is not None and was.uid_validity != row.uid_validity:
        return False
    known = watch.known.get(row.id, ModSeq(0))
    if row.highest_modseq <= known:
        return True
    ours = watch.ours.get(row.id)
    uid_next, modseq = (1, 0) if was is None else (was.uid_next, was.highest_modseq)
    if not ours or row.uid_next - uid_next > len(ours):  # others have added some
        return False
    changes = await client.store.changes(row.account_id, row.id, ModSeq(max(known, modseq)))
    return all(one.uid in ours for one in changes.changed) and ours.issuperset(changes.vanished)


def _status(client: Client, row: Mailbox, events: int, *, modseq: bool) -> Untagged:
    values: dict[StatusItem, int | bytes] = {
        StatusItem.UIDVALIDITY: row.uid_validity,
        StatusItem.UIDNEXT: row.uid_next,
        StatusItem.MESSAGES: row.messages,
    }
    if events & FLAGS:
        values[StatusItem.UNSEEN] = row.unseen
    if modseq:
        values[StatusItem.HIGHESTMODSEQ] = row.highest_modseq
    return responses.status(row.name, values, utf8=client.core.utf8)


# Names and subscriptions


@final
class _Names:
    """The LIST responses: first what is gone, then what has another name, then what is there, each name once."""

    def __init__(self, client: Client, watch: Watch, before: Picture, after: Picture) -> None:
        self._client: Final = client
        self._watch: Final = watch
        self._before: Final = before
        self._after: Final = after
        self._by_name: Final = {row.name: row for row in after.mailboxes.values()}
        self._parents: Final = parents_of(self._by_name)

    def lines(self) -> Iterator[Untagged]:
        named, renamed = self._changes()
        told: set[str] = set()
        there: list[str] = []
        for name in sorted(named):
            if name in self._by_name:
                there.append(name)
            elif self._wanted(name, NAMES) and not self._own(name):
                told.add(name)
                yield self._line(name)
        for old, name in renamed:
            if (self._wanted(name, NAMES) or self._wanted(old, NAMES)) and not (self._own(old) and self._own(name)):
                told.add(name)
                yield self._line(name, old)
        for name in there:
            if name not in told and self._wanted(name, NAMES) and not self._own(name):
                told.add(name)
                yield self._line(name)
        subscribed = self._after.subscribed
        for name in sorted(subscribed ^ self._before.subscribed):
            own = self._watch.subscriptions.get(name) is (name in subscribed)
            if name not in told and not own and self._wanted(name, SUBSCRIPTIONS):
                yield self._line(name)

    def _changes(self) -> tuple[Collection[str], list[tuple[str, str]]]:
        """Names made or gone, with the names right above them (RFC 5465 §5.4); and old with new names."""
        old, new = self._before.mailboxes, self._after.mailboxes
        named: set[str] = set()
        renamed: list[tuple[str, str]] = []
        for key, row in new.items():
            was = old.get(key)
            if was is row:
                continue
            if was is not None and was.name != row.name:
                renamed.append((was.name, row.name))
            elif was is None or was.selectable != row.selectable:
                named.add(row.name)
        named.update(was.name for key, was in old.items() if key not in new)
        named.update([name[:cut] for name in named if (cut := name.rfind("/")) > 0])
        return named, _without_children(renamed)

    def _wanted(self, name: str, event: int) -> bool:
        row = self._by_name.get(name)
        # A subscription that is just gone still counts for "subscribed", or nobody would hear of it.
        subscribed = name in self._after.subscribed or (event == SUBSCRIPTIONS and name in self._before.subscribed)
        return bool(self._watch.rules.of(name, None if row is None else row.special_use, subscribed=subscribed) & event)

    def _own(self, name: str) -> bool:
        """Is it as this client has just made it?"""
        row = self._by_name.get(name)
        return self._watch.names.get(name) is (row is not None and row.selectable)

    def _line(self, name: str, old_name: str | None = None) -> Untagged:
        row = self._by_name.get(name)
        if row is not None:
            found = attributes(row, name in self._parents)
        else:
            found = [b"\\NonExistent", b"\\HasChildren"] if name in self._parents else [b"\\NonExistent"]
        if name in self._after.subscribed:
            found.append(b"\\Subscribed")
        return responses.list_mailbox(name, found, utf8=self._client.core.utf8, old_name=old_name)


def _without_children(renamed: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Children that moved along are not told apart."""
    moved: dict[str, str] = {}
    for old, new in sorted(renamed):
        above = old
        while (above := above.rpartition("/")[0]) and above not in moved:
            pass
        if not above or moved[above] + old[len(above) :] != new:
            moved[old] = new
    return list(moved.items())
