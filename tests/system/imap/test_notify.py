"""NOTIFY (RFC 5465) with a real server: what it tells is compared with the truth; what it costs is counted."""

import random
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.config.imap import Imap
from poterne.session.imap.name_notices import renamed
from poterne.values.event import Event
from poterne.values.ids import AccountId, MailboxId, ModSeq, TraceId
from poterne.values.mailbox import Changes
from tests.support.imap_world import PASSWORD, Wire, World, message
from tests.support.notified import GROUPS, Notified, subscriptions, truth

NAMES = ["a", "b", "a/x", "a/y", "a/x/deep", "b/z", "c"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def act(rng: random.Random, wire: Wire, world: World) -> None:
    """One thing that another client does; whether it succeeds does not matter."""
    name, other = rng.choice(NAMES), rng.choice(NAMES)
    kind = rng.randrange(12)
    match kind:
        case 0 | 1:
            wire.run(f"CREATE {name}")
        case 2:
            wire.run(f"DELETE {name}")
        case 3:
            wire.run(f"RENAME {name} {other}")
        case 4:
            wire.run(f"SUBSCRIBE {name}")
        case 5:
            wire.run(f"UNSUBSCRIBE {name}")
        case 6:
            world.deliver(message(f"n{rng.random()}"))
        case 7:
            wire.run(f"APPEND {name} {{}}", message(f"n{rng.random()}"))
        case _:
            if b"OK" not in wire.run(f"SELECT {rng.choice(['INBOX', 'INBOX', name])}")[1]:
                return
            numbers = rng.choice(["1", "2", "1:2", "3:*"])
            match kind:
                case 8:
                    wire.run(f"UID STORE {numbers} +FLAGS (\\Seen)")
                case 9:
                    wire.run(f"STORE {numbers} -FLAGS (\\Seen $Some)")
                case 10:
                    wire.run(f"STORE {numbers} +FLAGS (\\Deleted)")
                    wire.run("EXPUNGE")
                case _:
                    wire.run(f"{rng.choice(['COPY', 'MOVE'])} {numbers} {rng.choice(['INBOX', other])}")
            wire.run("UNSELECT")


def same(client: Notified, world: World, selected: str) -> None:
    """Does the client know what is true?"""
    with world.client() as other:
        names, subscribed, status = truth(other)
        other.ok(f"EXAMINE {selected}")
        messages = [tuple_of(line) for line in other.ok("UID FETCH 1:* (FLAGS)")]
    assert client.names == names
    assert client.subscribed == subscribed
    assert client.selected == messages
    for name, values in status.items():
        if name != selected:
            known = client.status.get(name)
            if known is None:
                assert not values["MESSAGES"], name
            else:
                assert {key: known[key] for key in values} == values, name


def tuple_of(line: bytes) -> tuple[int, frozenset[str]]:
    reader = Notified.__new__(Notified)
    reader.selected = [(None, None)] * 1_000
    reader.hear(line)
    uid, flags = next(pair for pair in reader.selected if pair[0] is not None)
    assert uid is not None
    assert flags is not None
    return uid, flags


@pytest.mark.parametrize("seed", range(4))
def test_what_is_told_is_the_truth(world: World, seed: int) -> None:
    """Three that change everything, two that listen: one idles, one gives commands of its own in between."""
    rng = random.Random(seed)
    world.deliver(*(message(f"n{i}") for i in range(4)))
    with world.client() as one, world.client() as two, world.client() as three:
        listeners = [Notified(one), Notified(two, condstore=True)]
        for listener in listeners:
            listener.select("INBOX")
        one.send(b"idle IDLE\r\n")
        assert one.response() == b"+ idling"
        for _ in range(60):
            for _ in range(rng.randrange(1, 6)):
                act(rng, three, world)
            if rng.random() < 0.3:
                command = rng.choice(["NOOP", "UID FETCH 1:* FLAGS", "UID SEARCH UNSEEN", "CHECK"])
                for line in two.ok(command):
                    listeners[1].hear(line)
        for listener in listeners:
            listener.listen()
            same(listener, world, "INBOX")


def test_what_it_did_itself_is_not_told(world: World) -> None:
    """Own appends, copies, moves, expunges, names: no word of it, and after it all is true; the actor selects in between."""
    rng = random.Random(7)
    world.deliver(*(message(f"n{i}") for i in range(4)))
    with world.client() as wire:
        client = Notified(wire)
        for command in ("CREATE a/x", "SUBSCRIBE a", "RENAME a b", "CREATE c", "DELETE c", "UNSUBSCRIBE a"):
            client.listen(0.1)
            assert wire.ok(command) == []
        client.listen(0.15)
        assert client.told == {"LIST": 0, "STATUS": 0}
        for name in ("b", "b/x"):
            wire.append(message(f"{rng.random()}"), name)
        wire.append(message("x"), "Sent")
        client.listen(0.15)
        assert client.told == {"LIST": 0, "STATUS": 0}
        client.select("INBOX")
        for command in ("COPY 1:2 b", "MOVE 1 b/x", "UID STORE 2 +FLAGS (\\Seen \\Deleted)", "CLOSE"):
            for line in wire.ok(command):
                client.hear(line)
            client.listen(0.1)
        client.listen(0.15)
        assert client.told == {"LIST": 0, "STATUS": 0}


def test_a_client_that_asks_for_little_hears_little(world: World) -> None:
    with world.client() as wire, world.client() as other:
        client = Notified(
            wire, groups="(mailboxes (Sent nowhere) (MessageNew MessageExpunge)) (subtree a (MailboxName))"
        )
        other.append(message(), "Trash")
        other.append(message(), "INBOX")
        other.ok("CREATE b")
        other.ok("SUBSCRIBE b")
        other.ok("CREATE a/x")
        other.append(message(), "a/x")
        other.append(message(), "Sent")
        client.listen()
        assert client.told == {"LIST": 2, "STATUS": 1}
        assert client.status["Sent"]["MESSAGES"] == 1
        other.ok("CREATE nowhere")
        other.append(message(), "nowhere")
        client.listen()
        assert client.status["nowhere"]["MESSAGES"] == 1


def test_subscribed_follows_the_subscriptions(world: World) -> None:
    with world.client() as wire, world.client() as other:
        other.ok("CREATE a")
        other.ok("UNSUBSCRIBE a")
        client = Notified(wire, groups="(subscribed (MessageNew MessageExpunge SubscriptionChange))")
        other.append(message(), "a")
        client.listen()
        assert client.told == {"LIST": 0, "STATUS": 0}
        other.ok("SUBSCRIBE a")
        client.listen()
        other.append(message(), "a")
        client.listen()
        assert client.told == {"LIST": 1, "STATUS": 1}
        other.ok("UNSUBSCRIBE a")
        client.listen()
        assert client.told == {"LIST": 2, "STATUS": 1}
        assert client.subscribed == subscriptions(other)
        other.append(message(), "a")
        client.listen()
        assert client.told == {"LIST": 2, "STATUS": 1}


def test_a_busy_mailbox_is_not_read_for_each_message(world: World) -> None:
    """Hundreds of messages are few notices, and the last one is right."""
    with world.client() as wire, world.client() as selected:
        client, chosen = Notified(wire), Notified(selected)
        chosen.select("INBOX")
        count = 400
        began = time.monotonic()
        world.deliver(*(message(f"n{i}") for i in range(count)))
        took = time.monotonic() - began
        client.listen()
        chosen.listen()
        assert client.status["INBOX"]["MESSAGES"] == count
        assert client.told["STATUS"] <= 3 + took / 0.03
        assert [uid for uid, _ in chosen.selected] == list(range(1, count + 1))


def test_too_many_mailboxes(tmp_path: Path) -> None:
    """Refused at first, and given up when there are too many later; then all is as after NOTIFY NONE."""
    with (
        World(tmp_path, settings=Imap(max_watched_mailboxes=10)) as world,
        world.client() as wire,
        world.client() as other,
    ):
        client = Notified(wire)
        for number in range(7):
            other.ok(f"CREATE n{number}")
        client.listen()
        assert client.names >= {f"n{number}" for number in range(7)}
        other.ok("CREATE one/more")
        line = wire.response()
        while b"NOTIFICATIONOVERFLOW" not in line:
            line = wire.response()
        assert line.startswith(b"* OK [NOTIFICATIONOVERFLOW] ")
        world.deliver(message())
        assert wire.ok("NOOP") == []
        assert wire.no(f"NOTIFY SET {GROUPS}").startswith(b"NO [NOTIFICATIONOVERFLOW]")
        other.ok("DELETE one/more")
        other.ok("DELETE n0")
        assert wire.ok("NOTIFY SET (personal (MailboxName))") == []
        assert wire.no("NOTIFY SET STATUS (personal (AnnotationChange))").startswith(b"NO [BADEVENT (")
        other.ok("DELETE n1")
        assert wire.response() == b'* LIST (\\NonExistent) "/" n1'


def test_nothing_is_left_of_a_watch(world: World) -> None:
    """Connections that end, sign out or want nothing any more are forgotten, and nothing is read for them."""
    with world.client() as one, world.client() as two:
        gone = world.client()
        for wire in (one, two, gone):
            wire.ok(f"NOTIFY SET {GROUPS}")
        assert len(world.service.pictures) == 1
        one.ok("NOTIFY NONE")
        two.ok("UNAUTHENTICATE")
        gone.ok("LOGOUT")
        gone.socket.close()
        until = time.monotonic() + 5
        while len(world.service.pictures) and time.monotonic() < until:
            time.sleep(0.02)
        assert len(world.service.pictures) == 0
        assert len(world.service.notifier) == 0  # type: ignore[arg-type]


def test_a_mailbox_that_is_deleted_while_it_is_selected(world: World) -> None:
    with world.client() as wire, world.client() as other:
        other.ok("CREATE a")
        wire.ok(f"NOTIFY SET {GROUPS}")
        wire.ok("SELECT a")
        other.ok("DELETE a")
        said = [wire.response()]
        while not said[-1].startswith(b"* BYE"):
            said.append(wire.response())
        assert said[-1].startswith(b"* BYE The selected mailbox was deleted")


def test_flags_that_nobody_asked_for_do_not_move_highestmodseq(world: World) -> None:
    """QRESYNC: a client that believed in the mailbox's modseq would never hear of the flags."""
    world.deliver(message("1"), message("2"))
    with world.client() as wire, world.client() as other:
        wire.ok("ENABLE QRESYNC")
        wire.ok("SELECT INBOX")
        wire.ok("NOTIFY SET (selected (MessageNew MessageExpunge))")
        other.ok("SELECT INBOX")
        flagged = other.ok("FETCH 1 MODSEQ")[-1]
        before = int(flagged.split(b"(")[-1].rstrip(b")"))
        other.ok("STORE 1 +FLAGS (\\Flagged)")
        other.ok("STORE 2 +FLAGS (\\Deleted)")
        other.ok("EXPUNGE")
        assert wire.response() == b"* VANISHED 2"
        _, tagged = wire.run("NOOP")
        found = int(tagged.split(b"HIGHESTMODSEQ ")[1].split(b"]")[0])
        assert found <= before + 1
        assert b"\\Flagged" in b"".join(wire.ok("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))"))


def eve(world: World) -> Wire:
    wire = world.client(login=False)
    wire.ok(f'LOGIN eve@example.org "{PASSWORD}"')
    return wire


THEIRS = "Other Users/ada@example.org"


def test_mailboxes_of_others(world: World) -> None:
    """Seen when they may be seen, told of when they may be read, and no longer when that is taken back."""
    with world.client() as ada, eve(world) as wire:
        ada.ok("CREATE team/news")
        for line in wire.ok(f'NOTIFY SET (subtree "{THEIRS}" (MailboxName MessageNew MessageExpunge))'):
            raise AssertionError(line)
        ada.append(message(), "team/news")
        ada.ok("SETACL team/news eve@example.org l")
        heard = [wire.response(), wire.response()]
        assert heard[0] == b'* LIST (\\HasNoChildren) "/" "%b/team/news"' % THEIRS.encode()
        assert heard[1] == b'* LIST (\\NoAccess) "/" "%b/team/news"' % THEIRS.encode()
        ada.append(message(), "team/news")
        ada.ok("SETACL team/news eve@example.org lr")
        assert wire.response() == b'* LIST () "/" "%b/team/news"' % THEIRS.encode()
        assert b"MESSAGES 2" in wire.response()
        ada.append(message(), "team/news")
        assert b"MESSAGES 3" in wire.response()
        ada.append(message(), "Sent")  # not shared
        ada.ok("RENAME team/news team/old")
        assert wire.response() == b'* LIST (\\HasNoChildren) "/" "%b/team/old" ("OLDNAME" ("%b/team/news"))' % (
            THEIRS.encode(),
            THEIRS.encode(),
        )
        ada.ok("DELETEACL team/old eve@example.org")
        assert wire.response() == b'* LIST (\\NonExistent) "/" "%b/team/old"' % THEIRS.encode()
        ada.append(message(), "team/old")
        assert wire.ok("NOOP") == []
        ada.ok("SETACL team/old anyone lr")
        assert wire.response().startswith(b"* LIST (")
        assert b"MESSAGES 4" in wire.response()
        for line in wire.ok("NOTIFY SET STATUS (personal (MessageNew MessageExpunge)) (inboxes (MailboxName))"):
            assert THEIRS.encode() not in line
        ada.append(message(), "team/old")
        ada.ok("SETACL INBOX anyone lr")
        assert wire.ok("NOOP") == []
        said = wire.ok(f'NOTIFY SET STATUS (mailboxes ("{THEIRS}/team/old") (MessageNew MessageExpunge))')
        assert [b"team/old" in line for line in said] == [True]
        ada.ok("SETACL team/old anyone l")
        assert wire.response() == b'* LIST (\\NoAccess) "/" "%b/team/old"' % THEIRS.encode()
        assert wire.ok(f'NOTIFY SET STATUS (mailboxes ("{THEIRS}/team/old") (MessageNew MessageExpunge))') == [
            b'* LIST (\\NoAccess) "/" "%b/team/old"' % THEIRS.encode()
        ]
        ada.ok("DELETEACL team/old anyone")
        assert wire.response() == b'* LIST (\\NoAccess) "/" "%b/team/old"' % THEIRS.encode()


def test_subscribed_mailboxes_of_others(world: World) -> None:
    with world.client() as ada, eve(world) as wire:
        ada.ok("SETACL INBOX eve@example.org lr")
        wire.ok(f'SUBSCRIBE "{THEIRS}/INBOX"')
        wire.ok("NOTIFY SET (subscribed (MessageNew MessageExpunge SubscriptionChange))")
        world.deliver(message())
        assert b"MESSAGES 1" in wire.response()
        with eve(world) as other:
            other.ok(f'UNSUBSCRIBE "{THEIRS}/INBOX"')
        assert wire.response() == b'* LIST (\\HasNoChildren) "/" "%b/INBOX"' % THEIRS.encode()
        world.deliver(message())
        assert wire.ok("NOOP") == []


def test_searching_mailboxes_of_others(world: World) -> None:
    """Only with the right to read, and to be seen where they are not named; nothing tells what is missing from what is not."""
    world.deliver(message("here"))
    with world.client() as ada, eve(world) as wire:
        for name, rights in (("one", "lr"), ("two", "r"), ("three", "l"), ("four", "")):
            ada.ok(f"CREATE {name}")
            ada.append(message("here"), name, "$Label")
            if rights:
                ada.ok(f"SETACL {name} eve@example.org {rights}")

        def found(sources: str, key: str = "SUBJECT here") -> list[str]:
            lines = wire.ok(f"ESEARCH IN ({sources}) {key}")
            return [line.decode().split("ada@example.org/")[1].split('"')[0] for line in lines]

        names = " ".join(f'"{THEIRS}/{name}"' for name in ("one", "two", "three", "four", "five", "INBOX"))
        assert found("personal") == []
        assert found("inboxes") == []
        assert found(f'subtree "{THEIRS}"') == ["one"]
        assert found('subtree "Other Users"') == ["one"]
        assert found(f'subtree-one "{THEIRS}"') == ["one"]
        assert sorted(found(f"mailboxes ({names})")) == ["one", "two"]
        assert sorted(found(f"personal mailboxes ({names})")) == ["one", "two"]
        assert found(f'mailboxes "{THEIRS}/one"', "KEYWORD $Label") == ["one"]
        wire.ok(f'SUBSCRIBE "{THEIRS}/one"')
        assert found("subscribed") == ["one"]


def test_new_messages_come_with_uid_and_modseq_after_condstore(world: World) -> None:
    """What a client did not ask for has both, whatever it wants to hear of new messages (RFC 7162 §3.2.4)."""
    with world.client() as plain, world.client() as wire, world.client() as numberless:
        for one, modes in ((plain, ""), (wire, "CONDSTORE"), (numberless, "CONDSTORE UIDONLY")):
            if modes:
                one.ok(f"ENABLE {modes}")
            one.ok("SELECT INBOX")
            one.ok("NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge))")
        world.deliver(message())

        def new(one: Wire) -> bytes:
            while b"FETCH" not in (line := one.response()):
                pass
            return line.replace(b"\\Recent", b"")

        told = new(wire)
        modseq = wire.ok("FETCH 1 MODSEQ")[-1].removeprefix(b"* 1 FETCH (").removesuffix(b")")
        assert told == b"* 1 FETCH (FLAGS () UID 1 %b)" % modseq
        assert new(numberless) == b"* 1 UIDFETCH (FLAGS () %b)" % modseq
        assert new(plain) == b"* 1 FETCH (FLAGS ())"


def test_what_others_undo_at_once_is_told(world: World) -> None:
    """Before and after it the names are the same, but not what the client believes."""
    with world.client() as wire, world.client() as other:
        wire.ok("NOTIFY SET (personal (MailboxName MessageNew MessageExpunge))")
        gone: set[bytes] = set()
        for number in range(25):
            said = wire.ok(f"CREATE n{number}")
            other.ok(f"DELETE n{number}")
            gone.update(line for line in said if b"NonExistent" in line)
        while len(gone) < 25:
            gone.add(wire.response())
        assert gone == {b'* LIST (\\NonExistent) "/" n%d' % number for number in range(25)}


class Believed:
    """The names that a client believes in, by the LIST that it hears."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def hear(self, *lines: bytes) -> None:
        for line in lines:
            found = re.match(rb'\* LIST \(([^)]*)\) "/" (\S+)(?: \("OLDNAME" \((\S+)\)\))?\Z', line)
            if found is None:
                continue
            name = found[2].decode()
            if found[3] is not None:
                self.names = renamed(self.names, found[3].decode(), name)
            (self.names.discard if b"NonExistent" in found[1] else self.names.add)(name)

    def until(self, wire: Wire, name: str) -> None:
        while name not in self.names:
            self.hear(wire.response())

    def of(self, number: int) -> set[str]:
        return {name for name in self.names if name[1:2] == str(number)}


@pytest.mark.parametrize("child", ["", "/x"])
def test_a_name_that_others_gave_away_and_the_client_took_is_told_after_the_rename(world: World, child: str) -> None:
    """Who hears "a is now b" after it has made another a believes that it is gone, and that what it made below went along."""
    with world.client() as wire, world.client() as other:
        wire.ok("NOTIFY SET (personal (MailboxName))")
        believed = Believed()
        for number in range(10):
            other.ok(f"CREATE a{number}")
            believed.until(wire, f"a{number}")
            other.ok(f"RENAME a{number} b{number}")
            believed.hear(*wire.ok(f"CREATE a{number}{child}"))
            believed.names.update({f"a{number}", f"a{number}{child}"})
            other.ok(f"CREATE c{number}")
            believed.until(wire, f"c{number}")
            assert believed.of(number) == {f"a{number}", f"a{number}{child}", f"b{number}", f"c{number}"}


@pytest.mark.parametrize("looks", ['LIST "" "*"', "SELECT a{}"])
@pytest.mark.parametrize("then", ["RENAME a{0} b{0}", "DELETE a{}"])
def test_what_was_seen_before_a_notice_told_it_is_told_when_it_is_gone(world: World, looks: str, then: str) -> None:
    with world.client() as wire, world.client() as other:
        wire.ok("ENABLE IMAP4rev2")
        wire.ok("NOTIFY SET (personal (MailboxName))")
        believed = Believed()
        for number in range(10):
            other.ok(f"CREATE c{number}")  # the next notice is some time after this one
            believed.until(wire, f"c{number}")
            other.ok(f"CREATE a{number}")
            believed.hear(*wire.ok(looks.format(number)))
            assert f"a{number}" in believed.names
            if looks.startswith("SELECT"):
                wire.ok("UNSELECT")
            other.ok(then.format(number))
            other.ok(f"CREATE d{number}")
            believed.until(wire, f"d{number}")
            assert believed.of(number) - {f"b{number}"} == {f"c{number}", f"d{number}"}


def test_what_the_client_put_where_others_moved_a_mailbox_is_counted_for_it(world: World) -> None:
    """It knows the mailbox by another name, and takes what it put there for something else."""
    with world.client() as wire, world.client() as other:
        client = Notified(wire)
        for number in range(5):
            other.ok(f"CREATE a{number}")
            other.append(message(), f"a{number}")
            client.listen(0.1)
            assert client.status[f"a{number}"]["MESSAGES"] == 1
            other.ok(f"CREATE c{number}")  # the next notice is some time after this one
            while f"c{number}" not in client.names:
                client.hear(wire.response())
            other.ok(f"RENAME a{number} b{number}")
            wire.append(message(), f"b{number}")
            client.listen(0.1)
            assert client.status[f"b{number}"]["MESSAGES"] == 2


def test_a_mailbox_that_goes_while_it_is_looked_at(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is for the next notice; it is no failure of the store."""
    changes = world.store.changes
    event = Event(0, "test", TraceId("t"))

    async def gone(account_id: AccountId, mailbox_id: MailboxId, since: ModSeq) -> Changes:
        monkeypatch.undo()
        await world.store.delete_mailbox(account_id, mailbox_id, event)
        return await changes(account_id, mailbox_id, since)

    with world.client() as wire:
        wire.ok("CREATE a")
        wire.ok("NOTIFY SET (personal (MailboxName MessageNew MessageExpunge FlagChange))")
        monkeypatch.setattr(world.store, "changes", gone)
        wire.append(message(), "a")
        assert wire.response() == b'* LIST (\\NonExistent) "/" a'
    assert world.log.of("imap.store_error") == []
