"""One client's command while another changes the mailbox: all orders there are.

Theory of operation. What a session does is a row of store operations; between two of them anything may happen. `Stepping` stands
between session and store and does the other one's change at the n-th such point, for n = 1, 2, … until the command has fewer
points. The other one is a second process on the same folder, and the session hears of the change at once, or not at all; or
it is another session of the same process. Before the command there was a change already, which the session may not have heard
of. Whatever the order:

- the client is told nothing that it may not be told (`tests/stress/picture.py` watches),
- after a NOOP it believes the truth,
- both changes are there, each once.
"""

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from poterne.session.notify import Subscriptions
from poterne.store.interface import Store
from poterne.store.sqlite import uidset
from poterne.store.sqlite.engine import SqliteStore
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, TraceId
from poterne.values.mailbox import Flag, FlagChange, UidRange
from tests.stress.believer import Believer
from tests.support.imap_world import ADDRESS, World, message

AT = 1_700_000_000
ALL = [UidRange(1, None)]
_NUMBERS = itertools.count(1)


class Stepping:
    """The store, with a point before and after each operation at which something else is done once."""

    def __init__(self, store: SqliteStore) -> None:
        self.real = store
        self.points = 0
        self.at = 0
        self.done = False
        self.act: Callable[[], Awaitable[None]] | None = None
        """On the loop of the session."""
        self.act_now: Callable[[], None] | None = None
        """While the loop stands still."""

    def arm(self, at: int) -> None:
        self.points, self.at, self.done = 0, at, False

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.real, name)
        if inspect.iscoroutinefunction(value):

            async def call(*args: Any, **named: Any) -> Any:
                await self._point()
                found = await value(*args, **named)
                await self._point()
                return found

            return call
        if name in {"rows", "contents", "flags"}:

            def call_now(*args: Any, **named: Any) -> Any:
                self._point_now()
                found = value(*args, **named)
                self._point_now()
                return found

            return call_now
        return value

    def _is_it(self) -> bool:
        if self.done or not self.at:
            return False
        self.points += 1
        self.done = self.points == self.at
        return self.done

    async def _point(self) -> None:
        if self.act is not None:
            if self._is_it():
                await self.act()
        else:
            self._point_now()

    def _point_now(self) -> None:
        if self.act_now is not None and self._is_it():
            self.act_now()


@dataclass
class Place:
    """Where both work: five messages, UIDs 1 to 5, and what is to be there in the end."""

    account: AccountId
    box: MailboxId
    name: str
    flags: dict[int, frozenset[bytes]] = field(default_factory=dict)


Change = Callable[[Store, Place], Awaitable[None]]


async def expunges(store: Store, place: Place) -> None:
    await store.store_flags(place.account, place.box, [UidRange(2, 2)], FlagChange.ADD, int(Flag.DELETED))
    await store.expunge(place.account, place.box, [UidRange(2, 2)])


async def flags_it(store: Store, place: Place) -> None:
    await store.store_flags(place.account, place.box, [UidRange(2, 3)], FlagChange.ADD, int(Flag.FLAGGED))


async def flags_twice(store: Store, place: Place) -> None:
    await flags_it(store, place)
    await store.store_flags(place.account, place.box, [UidRange(3, 3)], FlagChange.REMOVE, int(Flag.FLAGGED))


async def moves_it_out(store: Store, place: Place) -> None:
    sent = await store.mailbox(place.account, "Sent")
    await store.move(place.account, place.box, [UidRange(2, 2)], sent.id, AT)


async def copies_into(store: Store, place: Place) -> None:
    await store.copy(place.account, place.box, [UidRange(1, 1)], place.box, AT)


async def renames(store: Store, place: Place) -> None:
    await store.rename_mailbox(place.account, place.box, place.name + " more", _event(place))


async def deletes(store: Store, place: Place) -> None:
    await store.delete_mailbox(place.account, place.box, _event(place))


def _event(place: Place) -> Event:
    return Event(AT, "test", TraceId("t"), account_id=place.account)


CHANGES: dict[str, tuple[Change, set[int], dict[int, set[bytes]], int]] = {
    # what it removes, the flags it leaves (of those that stay), how many it adds
    "expunges": (expunges, {2}, {}, 0),
    "flags": (flags_it, set(), {2: {b"\\Flagged"}, 3: {b"\\Flagged"}}, 0),
    "flags twice": (flags_twice, set(), {2: {b"\\Flagged"}}, 0),
    "moves out": (moves_it_out, {2}, {}, 0),
    "copies into": (copies_into, set(), {}, 1),
    "renames": (renames, set(), {}, 0),
}


@dataclass(frozen=True)
class Command:
    text: str
    holds: bool = False
    """It has message numbers: nothing may be expunged meanwhile."""
    removes: frozenset[int] = frozenset()
    adds_flags: tuple[tuple[int, bytes], ...] = ()
    adds: int = 0
    literal: bytes = b""


SEEN, ANSWERED, DELETED, DRAFT = b"\\Seen", b"\\Answered", b"\\Deleted", b"\\Draft"
COMMANDS = [
    Command("NOOP"),
    Command("FETCH 1:4 (UID FLAGS)", holds=True),
    Command("FETCH 1:4 (FLAGS BODY[TEXT])", holds=True, adds_flags=tuple((uid, SEEN) for uid in (1, 2, 3, 4))),
    Command("UID FETCH 2:4 (FLAGS MODSEQ)"),
    Command("STORE 2:3 +FLAGS (\\Answered)", holds=True, adds_flags=((2, ANSWERED), (3, ANSWERED))),
    Command("STORE 2:3 +FLAGS.SILENT (\\Answered)", holds=True, adds_flags=((2, ANSWERED), (3, ANSWERED))),
    Command("UID STORE 2:3 +FLAGS (\\Answered)", adds_flags=((2, ANSWERED), (3, ANSWERED))),
    Command("SEARCH UNFLAGGED", holds=True),
    Command("UID SEARCH ALL"),
    Command("SORT (SUBJECT) UTF-8 ALL", holds=True),
    Command("COPY 2:3 Sent"),
    Command("MOVE 3:4 Sent", removes=frozenset({3, 4})),
    Command("UID MOVE 3:4 Sent", removes=frozenset({3, 4})),
    Command("EXPUNGE", removes=frozenset({5})),
    Command("APPEND {name} {}", adds=1, literal=message("new")),
    Command("REPLACE 4 {name} {}", removes=frozenset({4}), adds=1, literal=message("replacement")),
]
WAYS = ["heard at once", "not heard", "same process"]


class Both:
    """The session's process, and the other one."""

    def __init__(self, one: World, other: World, stepping: Stepping) -> None:
        self.one, self.other, self.stepping = one, other, stepping
        account = one.call(one.store.account(ADDRESS))
        self.account = account.id
        self.model = one.call(one.store.mailbox(account.id, "INBOX"))
        one.deliver(*(message(f"n{i}") for i in range(5)))
        one.call(
            one.store.store_flags(self.account, self.model.id, [UidRange(5, 5)], FlagChange.ADD, int(Flag.DELETED))
        )

    def place(self) -> Place:
        name = f"box{next(_NUMBERS)}"
        store = self.one.store
        box = self.one.call(store.create_mailbox(self.account, name, None, Event(AT, "test", TraceId("t"))))
        self.one.call(store.copy(self.account, self.model.id, ALL, box.id, AT))
        return Place(self.account, box.id, name)

    def truth(self, place: Place) -> dict[int, frozenset[bytes]]:
        rows = self.one.store.rows(self.account, place.box, ALL)
        return {
            row.uid: frozenset(b"\\" + str(flag.name).capitalize().encode() for flag in Flag if row.flags & flag)
            for row in rows
        }

    def prepare(self, way: str, change: Change, place: Place) -> None:
        stepping = self.stepping
        stepping.act = stepping.act_now = None
        if way == "same process":

            async def act() -> None:
                await change(self.one.store, place)
                await asyncio.sleep(0)  # wake-ups are told

            stepping.act = act
            return

        def act_now() -> None:
            self.other.call(cast("Any", change(self.other.store, place)))
            if way == "heard at once":
                cast("Subscriptions", self.one.service.notifier).wake_all()

        stepping.act_now = act_now


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("interleavings")
    made: list[Stepping] = []

    def wrap(store: SqliteStore) -> Store:
        made.append(Stepping(store))
        return cast("Store", made[0])

    with World(folder, wrap=wrap) as one, World(folder) as other:
        yield Both(one, other, made[0])


@pytest.mark.parametrize(
    ("what", "way"),
    [
        *((what, way) for what in ("expunges", "flags", "moves out") for way in WAYS),
        ("flags twice", "not heard"),
        ("copies into", "heard at once"),
        ("renames", "same process"),
    ],
)
def test_every_order(both: Both, what: str, way: str) -> None:
    change = CHANGES[what]
    points = 0
    with both.one.client() as plain, both.one.client() as resyncing:
        resyncing.ok("ENABLE QRESYNC")
        for command in COMMANDS:
            # One mode for each second command and order; the other has the others.
            for at in itertools.count(1):
                qresync = (at + len(what) + COMMANDS.index(command)) % 2 == 1
                believer = Believer(resyncing if qresync else plain, qresync=qresync)
                if not _one_order(both, believer, command, change, way, at):
                    break
                points += 1
    assert points > 2 * len(COMMANDS)


STORES = [
    Command("STORE 1:4 +FLAGS (\\Answered)", holds=True, adds_flags=tuple((uid, ANSWERED) for uid in (1, 2, 3, 4))),
    Command("UID STORE 2:5 +FLAGS (\\Answered)", adds_flags=tuple((uid, ANSWERED) for uid in (2, 3, 4, 5))),
    Command("STORE 1,3:4 -FLAGS (\\Answered)", holds=True),
]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ["flags", "flags twice", "expunges", "moves out"])
def test_every_order_of_many(both: Both, what: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """STORE as if these were thousands: the writer's thread does it, and the answer is read while it does."""
    monkeypatch.setattr(uidset, "few", lambda *_: False)
    points = 0
    with both.one.client() as plain, both.one.client() as resyncing:
        resyncing.ok("ENABLE QRESYNC")
        for command, wire, before in itertools.product(STORES, (plain, resyncing), (True, False)):
            for at in itertools.count(1):
                believer = Believer(wire, qresync=wire is resyncing)
                if not _one_order(both, believer, command, CHANGES[what], way, at, before=before):
                    break
                points += 1
    assert points > 10 * len(STORES)


async def _before(store: Store, place: Place, last: int) -> None:
    await store.store_flags(place.account, place.box, [UidRange(1, last)], FlagChange.ADD, int(Flag.DRAFT))


def _one_order(
    both: Both,
    believer: Believer,
    command: Command,
    change: tuple[Change, set[int], dict[int, set[bytes]], int],
    way: str,
    at: int,
    *,
    before: bool = True,
) -> bool:
    """False: the command has no such point. `before`: there was a change already."""
    act, removed, flags, added = change
    place = both.place()
    both.prepare(way, act, place)
    believer.select(f'SELECT "{place.name}"')
    drafts = 1 if act is flags_it else 3  # the messages that both change, or only another one
    if before:
        both.other.call(_before(both.other.store, place, drafts))
    else:
        drafts = 0
    both.stepping.arm(at)
    literals = (command.literal,) if command.literal else ()
    _, tagged = believer.run(command.text.replace("{name}", f'"{place.name}"'), *literals, holds=command.holds)
    happened = both.stepping.done
    both.stepping.arm(0)
    if not happened:
        return False
    where = (command.text, way, at, tagged)
    gone = bool(removed) and command.text.split(maxsplit=1)[0] != "UID"
    assert tagged.startswith(b"OK") or (gone and b"[EXPUNGEISSUED]" in tagged) or _lost_its_name(act, tagged), where
    if "SILENT" in command.text and tagged.startswith((b"OK", b"NO [EXPUNGEISSUED]")):
        for uid, flag in command.adds_flags:
            if uid not in believer.told and uid in believer.picture.flags:
                believer.picture.flags[uid] |= {flag}
    believer.run("NOOP")
    truth = both.truth(place)
    believed = believer.picture.flags
    assert believed == {uid: truth.get(uid) for uid in believed}, where
    believer.run("UID FETCH 1:* (UID FLAGS)")
    assert believer.picture.uids == list(truth), where
    assert believer.picture.flags == truth, where
    took_place = not _lost_its_name(act, tagged)
    left = {1, 2, 3, 4, 5} - removed - (command.removes if took_place else set())
    assert {uid for uid in truth if uid <= 5} == left, where
    assert len(truth) - len(left) == added + (command.adds if took_place else 0), where
    wanted: dict[int, set[bytes]] = {
        uid: {DELETED} if uid == 5 else {DRAFT} if uid <= drafts else set() for uid in left
    }
    for uid, more in flags.items():
        wanted.get(uid, set()).update(more)
    for uid, flag in command.adds_flags:
        wanted.get(uid, set()).add(flag)
    assert {uid: set(truth[uid]) for uid in left} == wanted, where
    return True


def _lost_its_name(act: Change, tagged: bytes) -> bool:
    return act is renames and tagged.startswith((b"NO [TRYCREATE]", b"NO [NONEXISTENT]"))


@pytest.mark.parametrize("way", ["heard at once", "same process"])
def test_deleted_at_every_point(both: Both, way: str) -> None:
    """The command ends somehow, and then the client hears that the mailbox is gone; no bug, no other mailbox touched."""
    points = 0
    for command in COMMANDS:
        for at in itertools.count(1):
            place = both.place()
            both.prepare(way, deletes, place)
            with both.one.client() as wire:
                believer = Believer(wire)
                believer.select(f'SELECT "{place.name}"')
                both.stepping.arm(at)
                literals = (command.literal,) if command.literal else ()
                try:
                    believer.run(command.text.replace("{name}", f'"{place.name}"'), *literals, holds=command.holds)
                except EOFError:
                    pass
                else:
                    if both.stepping.done:
                        with pytest.raises(EOFError):
                            believer.run("NOOP")
                happened = both.stepping.done
                both.stepping.arm(0)
            if not happened:
                break
            points += 1
    assert points > 2 * len(COMMANDS)
