"""What a client is told of names and subscriptions between two pictures of its account (RFC 5465 §5.4, §5.5).

Theory of operation. Much may have happened between two pictures: names given away and taken again, children gone another way
than what was above them. A client that hears of a rename moves all children along. So renames are told in an order in which
each means what it says; what no order can say (two mailboxes have changed names) is told as gone and made. In the end it is
reckoned what the client believes now, and what is still wrong is put right.
"""

from collections.abc import Iterator
from typing import Final, final

from poterne.proto.imap import responses
from poterne.proto.imap.responses import Untagged
from poterne.session.imap.client import Client
from poterne.session.imap.foreign import is_foreign
from poterne.session.imap.mailboxes import attributes, parents_of
from poterne.session.imap.pictures import Picture
from poterne.session.imap.rules import NAMES, SUBSCRIPTIONS
from poterne.session.imap.watch import Watch
from poterne.values.ids import MailboxId

Renames = list[tuple[str, str]]
MOST_RENAMES: Final = 30
"""Of more at once, all are told as gone and made: putting them in order is work that grows fast."""


@final
class Names:
    """The LIST responses: what is gone, then what has another name, then what is there; each name once."""

    def __init__(self, client: Client, watch: Watch, before: Picture, after: Picture) -> None:
        self._client: Final = client
        self._watch: Final = watch
        self._before: Final = before
        self._after: Final = after
        self._by_name: Final = {row.name: row for row in after.mailboxes.values()}
        self._parents: Final = parents_of(self._by_name)
        self.unknown: set[MailboxId] = set()
        """Mailboxes that the client, after `lines`, takes for new ones though they were there before."""

    def lines(self) -> Iterator[Untagged]:
        named, moved = self._changes()
        named |= self._undone()
        renames = in_order(without_children(moved))
        told: set[str] = set()
        away: list[str] = []
        believed = {row.name for row in self._before.mailboxes.values()}
        believed.update(name for name, exists in self._watch.names.items() if exists)
        for name in sorted(named - self._by_name.keys()):
            believed.discard(name)
            if self._tells(name):
                yield self._line(name)
        for old, name in renames:
            believed = renamed(believed, old, name)
            if (self._wanted(name, NAMES) or self._wanted(old, NAMES)) and not (self._own(old) and self._own(name)):
                told.add(name)
                away.append(old)
                yield self._line(name, old)
        for name in sorted(believed - self._by_name.keys()):
            if self._tells(name):
                yield self._line(name)
        named |= self._by_name.keys() - believed
        for name in sorted(named & self._by_name.keys() - told):
            # What this client has made where others had gone away from: that rename took it along.
            if self._tells(name) or (self._wanted(name, NAMES) and any(_is_at(name, old) for old in away)):
                told.add(name)
                yield self._line(name)
        yield from self._subscriptions(told)
        self.unknown = {key for key in self.unknown if not self._follows(key, renames)}

    def _follows(self, key: MailboxId, renames: Renames) -> bool:
        """Do these renames bring the mailbox to its name?"""
        name = self._before.mailboxes[key].name
        for old, new in renames:
            if _is_at(name, old):
                name = new + name[len(old) :]
        return name == self._after.mailboxes[key].name

    def _subscriptions(self, told: set[str]) -> Iterator[Untagged]:
        subscribed = self._after.subscribed
        for name in sorted(subscribed ^ self._before.subscribed):
            own = self._watch.subscriptions.get(name) is (name in subscribed)
            if name not in told and not own and self._wanted(name, SUBSCRIPTIONS):
                yield self._line(name)

    def _changes(self) -> tuple[set[str], Renames]:
        """Names made or gone, with the names right above them; and old with new names, children included."""
        old, new = self._before.mailboxes, self._after.mailboxes
        named: set[str] = set()
        moved: Renames = []
        for key, row in new.items():
            was = old.get(key)
            if was is row:
                continue
            if was is not None and was.name != row.name:
                moved.append((was.name, row.name))
                self.unknown.add(key)
            elif was is None or was.selectable != row.selectable:
                named.add(row.name)
        named.update(was.name for key, was in old.items() if key not in new)
        there = self._by_name.keys() | {row.name for row in old.values()}
        above = [name[:cut] for name in named if (cut := name.rfind("/")) > 0]
        named.update(name for name in above if not is_foreign(name) or name in there)
        return named, moved

    def _undone(self) -> set[str]:
        """What this client made or removed itself, and others have changed since: nothing else may be different."""
        return {name for name in self._watch.names if not self._own(name)}

    def _tells(self, name: str) -> bool:
        return self._wanted(name, NAMES) and not self._own(name)

    def _wanted(self, name: str, event: int) -> bool:
        row = self._by_name.get(name)
        # A subscription that is just gone still counts for "subscribed", or nobody would hear of it.
        subscribed = name in self._after.subscribed or (event == SUBSCRIPTIONS and name in self._before.subscribed)
        use = None if row is None else row.special_use
        return bool(self._watch.rules.of(name, use, subscribed=subscribed) & event)

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


def without_children(moved: Renames) -> Renames:
    """Children that moved along are not told apart (RFC 5465 §5.4)."""
    found: dict[str, str] = {}
    for old, new in sorted(moved):
        above = old
        while (above := above.rpartition("/")[0]) and above not in found:
            pass
        if not above or found[above] + old[len(above) :] != new:
            found[old] = new
    return list(found.items())


def in_order(renames: Renames) -> Renames:
    """So that none moves what another means. Those that stand in each other's way for good are left out."""
    waiting = dict(renames) if len(renames) <= MOST_RENAMES else {}
    found: Renames = []
    while waiting:
        free = [(old, new) for old, new in waiting.items() if not _in_the_way(old, new, waiting)]
        if not free:
            break
        found += free[:1]
        del waiting[free[0][0]]
    return found


def _in_the_way(old: str, new: str, waiting: dict[str, str]) -> bool:
    """A name below the old one that goes elsewhere; one at, below or above the new one that has to go first."""
    return any(other != old and (_is_at(other, old) or _is_at(other, new) or _is_at(new, other)) for other in waiting)


def _is_at(name: str, tree: str) -> bool:
    return name == tree or name.startswith(tree + "/")


def renamed(names: set[str], old: str, new: str) -> set[str]:
    """The names that a client believes in after it was told of this rename."""
    return {new + name[len(old) :] if _is_at(name, old) else name for name in names}
