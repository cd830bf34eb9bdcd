"""Two people in one mailbox: what one does is told to the other; copies across accounts; rights that come and go."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.config.imap import Imap
from poterne.session.imap import access
from tests.support.imap_world import PASSWORD, Wire, World, message

EVE = "eve@example.org"
EVERY = "lrswipkxtea"
INBOX = '"Other Users/ada@example.org/INBOX"'


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights are looked up each time."""
    monkeypatch.setattr(access, "STALE_S", 0.0)


@pytest.fixture(params=["one process", "two processes"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[World, World]]:
    with World(tmp_path) as first:
        if request.param == "one process":
            yield first, first
            return
        with World(tmp_path) as second:
            yield first, second


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def share(world: World, rights: str, mailbox: str = "INBOX") -> None:
    with world.client() as ada:
        ada.ok(f'SETACL {mailbox} {EVE} "{rights}"')


def ended(wire: Wire) -> bytes:
    """What it is told last."""
    told: list[bytes] = []
    try:
        while True:
            told.append(wire.response())
    except (EOFError, OSError):
        return told[-1]


def test_each_hears_what_the_other_does(pair: tuple[World, World]) -> None:
    one, other = pair
    one.deliver(*(message(f"n{number}") for number in range(4)))
    share(one, EVERY)
    with one.client(select="INBOX") as ada, other.client(address=EVE, select=INBOX) as eve:
        ada.ok("STORE 1 +FLAGS.SILENT (\\Seen $Ada)")
        said = eve.ok("NOOP")
        assert any(line.startswith(b"* FLAGS") and b"$Ada" in line for line in said)
        assert any(re.match(rb"\* 1 FETCH \(FLAGS \(\\Seen.*\$Ada", line) for line in said)
        eve.ok("STORE 2 +FLAGS.SILENT (\\Flagged $Eve)")
        assert any(re.match(rb"\* 2 FETCH \(FLAGS \(\\Flagged.*\$Eve", line) for line in ada.ok("NOOP"))
        ada.ok("STORE 3 +FLAGS.SILENT \\Deleted")
        ada.ok("EXPUNGE")
        assert not any(b"EXPUNGE" in line for line in eve.ok("FETCH 4 UID"))  # numbers must not move under it
        assert b"* 3 EXPUNGE" in eve.ok("NOOP")
        eve.ok("UID STORE 1 +FLAGS.SILENT \\Deleted")
        eve.ok("UID EXPUNGE 1")
        assert b"* 1 EXPUNGE" in ada.ok("NOOP")
        assert b"* SEARCH 1" in eve.ok("SEARCH KEYWORD $Eve")
        assert b"* SEARCH" in eve.ok("SEARCH KEYWORD $Ada")
        ada.append(message("news"))
        assert b"* 3 EXISTS" in eve.ok("NOOP")
        eve.append(message("more"), mailbox=INBOX, flags="$Eve $Third")
        assert b"* 4 EXISTS" in ada.ok("NOOP")
        assert b"* SEARCH 4" in ada.ok("SEARCH KEYWORD $Third")
        eve.ok("SELECT INBOX")  # one's own flags again
        assert not any(b"$Eve" in line for line in eve.ok("SELECT INBOX"))
        eve.append(message("own"), flags="$Own")
        assert b"* SEARCH 1" in eve.ok("SEARCH KEYWORD $Own")


def test_idle_in_a_shared_mailbox(world: World) -> None:
    share(world, "lr")
    with world.client(address=EVE, select=INBOX) as eve:
        eve.send(b"i1 IDLE\r\n")
        assert eve.line().startswith(b"+")
        world.deliver(message("news"))
        assert eve.line() == b"* 1 EXISTS\r\n"
        assert eve.line().endswith(b"RECENT\r\n")
        eve.send(b"DONE\r\n")
        assert eve.line().startswith(b"i1 OK")


def test_sort_thread_and_qresync(world: World) -> None:
    world.deliver(message("b"), message("a"), message("c"))
    share(world, EVERY)
    with world.client(select="INBOX") as ada, world.client(address=EVE) as eve:
        eve.ok("ENABLE QRESYNC")
        said = b"".join(eve.ok(f"SELECT {INBOX}"))
        validity = int(re.search(rb"UIDVALIDITY (\d+)", said)[1])  # type: ignore[index]
        modseq = int(re.search(rb"HIGHESTMODSEQ (\d+)", said)[1])  # type: ignore[index]
        assert b"* SORT 2 1 3" in eve.ok("SORT (SUBJECT) UTF-8 ALL")
        assert any(line.startswith(b"* THREAD") for line in eve.ok("THREAD REFERENCES UTF-8 ALL"))
        assert b"* SEARCH 1" in eve.ok("SEARCH TEXT grace SUBJECT b")
        thread = b"".join(eve.ok("FETCH 1 THREADID"))
        assert thread == b"".join(ada.ok("FETCH 1 THREADID"))
        eve.ok("UNSELECT")
        ada.ok("UID STORE 1 +FLAGS (\\Flagged)")
        ada.ok("UID STORE 2 +FLAGS (\\Deleted)")
        ada.ok("EXPUNGE")
        said = b"\n".join(eve.ok(f"SELECT {INBOX} (QRESYNC ({validity} {modseq}))"))
        assert b"* VANISHED (EARLIER) 2" in said
        assert re.search(rb"\* 1 FETCH \(UID 1 FLAGS \(\\Flagged", said)


def test_rights_that_are_taken_away(pair: tuple[World, World]) -> None:
    one, other = pair
    one.deliver(message("one"))
    share(one, "lrsw")
    with other.client(address=EVE, select=INBOX) as eve:
        eve.ok("STORE 1 +FLAGS (\\Flagged)")
        share(one, "lrs")
        untagged, tagged = eve.run("STORE 1 +FLAGS (\\Draft)")
        assert tagged.startswith(b"NO [NOPERM]")
        assert any(b"PERMANENTFLAGS (\\Seen)" in line for line in untagged)
        share(one, "lr")
        untagged, tagged = eve.run("NOOP")
        assert any(b"PERMANENTFLAGS ()" in line for line in untagged)
        assert any(b"[READ-ONLY]" in line for line in untagged)
        assert b"[READ-ONLY]" in eve.no("STORE 1 +FLAGS (\\Seen)")
        share(one, "lrsw")
        untagged = eve.ok("STORE 1 +FLAGS (\\Draft)")
        assert any(b"PERMANENTFLAGS (\\Answered" in line for line in untagged)
        share(one, "l")
        eve.send(b"x FETCH 1 BODY[]\r\n")
        assert ended(eve).startswith(b"* BYE")


def test_who_idles_hears_of_no_mail_when_the_right_is_gone(world: World) -> None:
    share(world, "lr")
    with world.client(address=EVE, select=INBOX) as eve:
        eve.send(b"i1 IDLE\r\n")
        assert eve.line().startswith(b"+")
        share(world, "")
        world.deliver(message("secret"))
        assert ended(eve).startswith(b"* BYE")


def test_a_mailbox_that_is_deleted_or_renamed_meanwhile(world: World) -> None:
    with world.client() as ada:
        ada.ok("CREATE Work")
        ada.ok("CREATE Old")
    share(world, EVERY, "Work")
    share(world, EVERY, "Old")
    work, old = (f'"Other Users/ada@example.org/{name}"' for name in ("Work", "Old"))
    with world.client() as ada, world.client(address=EVE, select=work) as eve:
        ada.ok("RENAME Work Play")
        world.deliver(message("x"), mailbox="Play")
        assert b"* 1 EXISTS" in eve.ok("NOOP")  # the same mailbox by another name
        assert any(b"Play" in line for line in eve.ok('LIST "" "Other*"'))
        eve.ok(f"SELECT {old}")
        ada.ok("DELETE Old")
        eve.send(b"x NOOP\r\n")
        assert ended(eve).startswith(b"* BYE")


def test_making_renaming_deleting_in_anothers_account(world: World) -> None:
    with world.client() as ada:
        ada.ok("CREATE Work")
    share(world, EVERY, "Work")
    name = "Other Users/ada@example.org/Work"
    with world.client() as ada, world.client(address=EVE) as eve:
        eve.ok(f'CREATE "{name}/A/B/"')
        assert {b'"Work/A"', b'"Work/A/B"'} <= {b'"%b"' % line.rsplit(b" ", 1)[1] for line in ada.ok('LIST "" Work*')}
        eve.append(message("inside"), mailbox=f'"{name}/A/B"')  # it inherited the rights
        assert b"[ALREADYEXISTS]" in eve.no(f'CREATE "{name}/A"')
        assert b"[ALREADYEXISTS]" in eve.no(f'RENAME "{name}/A/B" "{name}/A"')
        eve.ok(f'RENAME "{name}/A" "{name}/C"')
        assert any(b"Work/C/B" in line for line in ada.ok('LIST "" Work/*'))
        assert b"[CANNOT]" in eve.no(f'RENAME "{name}/C" Mine')
        assert b"[CANNOT]" in eve.no(f'RENAME Sent "{name}/Sent"')
        assert b"[NONEXISTENT]" in eve.no(f'RENAME "{name}/C" "Other Users/ada@example.org/Top"')
        assert b"[USEATTR]" in eve.no(f'CREATE "{name}/Bin" (USE (\\Trash))')
        eve.ok(f'DELETE "{name}/C/B"')
        assert not any(b"C/B" in line for line in ada.ok('LIST "" Work/*'))
        assert any(b"Trash" in line and b"\\Trash" in line for line in ada.ok('LIST "" Trash'))
        told = world.call(world.store.events(kind="mailbox.deleted"))[0]
        assert (told.account_id, told.detail["by"], told.detail["name"]) == (1, EVE, "Work/C/B")


def test_uses_of_others_are_not_shown_as_ones_own(world: World) -> None:
    share(world, EVERY, "Sent")
    with world.client(address=EVE) as eve:
        assert [line for line in eve.ok('LIST (SPECIAL-USE) "" "*"') if b"Other" in line] == []
        (line,) = [line for line in eve.ok('LIST "" "*"') if b"Other Users/ada@example.org/Sent" in line]
        assert b"\\Sent" not in line


def test_levels_that_are_not_shared(world: World) -> None:
    with world.client() as ada:
        ada.ok("CREATE A/B/C")
    share(world, "lr", "A/B/C")
    with world.client(address=EVE) as eve:

        def listed(pattern: str) -> list[bytes]:
            return [line.removeprefix(b"* LIST ") for line in eve.ok(f'LIST "" "{pattern}"')]

        prefix = "Other Users/ada@example.org"
        assert listed("Other Users/*")[1:] == [b'(\\HasNoChildren) "/" "%b/A/B/C"' % prefix.encode()]
        assert listed(f"{prefix}/%") == [b'(\\NonExistent \\HasChildren) "/" "%b/A"' % prefix.encode()]
        assert listed(f"{prefix}/A") == []
        assert b"[NONEXISTENT]" in eve.no(f'SELECT "{prefix}/A"')


def test_copies_between_accounts(pair: tuple[World, World]) -> None:
    one, other = pair
    one.deliver(message("one"), message("two"), message("three"))
    other.deliver(message("mine"), address=EVE)
    share(one, EVERY)
    with one.client(select="INBOX") as ada, other.client(address=EVE, select=INBOX) as eve:
        ada.ok("STORE 1:2 +FLAGS (\\Answered $Shared)")
        assert b"COPYUID" in eve.run("COPY 1 INBOX")[1]
        untagged, tagged = eve.run("UID MOVE 2 INBOX")
        assert b"* 2 EXPUNGE" in untagged
        assert any(b"COPYUID" in line for line in untagged)
        assert b"* 2 EXPUNGE" in ada.ok("NOOP")
        eve.ok("SELECT INBOX")
        flags = [line for line in eve.ok("FETCH 2:3 FLAGS") if b"FETCH" in line]
        assert all(b"\\Answered" in line and b"$Shared" in line for line in flags)
        assert any(b"Subject: two" in line for line in eve.ok("FETCH 3 BODY[HEADER.FIELDS (SUBJECT)]"))
        assert b"* SEARCH 3" in eve.ok("SEARCH SUBJECT two")
        eve.ok(f"MOVE 1 {INBOX}")
        assert b"* 3 EXISTS" in ada.ok("NOOP")
        assert any(b"Subject: mine" in line for line in ada.ok("FETCH 3 BODY[HEADER.FIELDS (SUBJECT)]"))
        _, tagged = eve.run(f"REPLACE 1 {INBOX} {{}}", message("replaced"))
        assert tagged.startswith(b"OK")
        assert b"* 4 EXISTS" in ada.ok("NOOP")
    assert one.call(one.store.check()) == []


def test_the_owners_quota_counts(world: World) -> None:
    share(world, EVERY)

    async def limit() -> None:
        account = await world.store.account("ada@example.org")
        event = (await world.store.events(limit=1))[0]
        await world.store.set_account(account.id, event, quota_bytes=1024 * 1024, quota_messages=1)

    world.call(limit())
    world.deliver(message("x"), message("y"), address=EVE)
    with world.client(address=EVE, select="INBOX") as eve:
        assert any(b"QUOTAROOT INBOX" in line and b"Other" not in line for line in eve.ok("GETQUOTAROOT INBOX"))
        said = eve.ok(f"GETQUOTAROOT {INBOX}")
        assert b'"Other Users/ada@example.org"' in said[0]
        assert b"MESSAGE 0 1" in said[1]
        assert eve.ok('GETQUOTA "Other Users/ada@example.org"') == [said[1]]
        eve.ok(f"COPY 1 {INBOX}")
        assert b"[OVERQUOTA]" in eve.no(f"COPY 2 {INBOX}")
        assert b"[OVERQUOTA]" in eve.run(f"APPEND {INBOX} {{}}", message("z"))[1]
    with world.client(address=EVE) as eve:
        share(world, "l")
        assert b"[NONEXISTENT]" in eve.no('GETQUOTA "Other Users/ada@example.org"')


def test_other_domains_only_with_the_setting(tmp_path: Path) -> None:
    inbox = '"Other Users/ada@example.org/INBOX"'
    with World(tmp_path, settings=Imap(share_across_domains=True)) as world:
        world.account("mallory@example.net")
        with world.client() as ada:
            ada.ok("SETACL INBOX mallory@example.net lr")
            ada.ok("SETACL Sent anyone lr")
        with world.client(address="mallory@example.net") as mallory:
            mallory.ok(f"SELECT {inbox}")
            assert not any(b"/Sent" in line for line in mallory.ok('LIST "" "Other*"'))
    with World(tmp_path) as world, world.client(address="mallory@example.net") as mallory:
        assert b"[NONEXISTENT]" in mallory.no(f"SELECT {inbox}")
        assert mallory.ok('LIST "" "Other*"') == []


def test_somebody_else_signs_in_on_the_same_connection(world: World) -> None:
    share(world, EVERY)
    with world.client(address=EVE, select=INBOX) as wire:
        wire.ok("UNAUTHENTICATE")
        wire.ok(f'LOGIN ada@example.org "{PASSWORD}"')
        assert b"[NONEXISTENT]" in wire.no(f"SELECT {INBOX}")  # what is one's own has its own name
        wire.ok("SELECT INBOX")


def test_one_search_in_ones_own_and_others_mailboxes(world: World) -> None:
    with world.client() as ada:
        for name in ("Work", "Hidden", "Secret"):
            ada.ok(f"CREATE {name}")
    share(world, "lr", "Work")
    share(world, "r", "Hidden")
    share(world, "l", "Sent")
    other = "Other Users/ada@example.org"
    for name in ("Work", "Hidden", "Secret", "Sent"):
        world.deliver(message("found"), mailbox=name)
    world.deliver(message("found"), address=EVE)
    bits = world.call(world.store.keyword_bits((world.call(world.store.account("ada@example.org"))).id, ["$Found"]))
    world.deliver(message("marked"), mailbox="Work", flags=bits["$Found"])
    with world.client(address=EVE) as eve:

        def found(what: str) -> set[bytes]:
            return {
                matched[1].strip(b'"')
                for line in eve.ok(what)
                if (matched := re.search(rb'MAILBOX ("[^"]*"|[^ ]+) UIDVALIDITY', line))
            }

        eve.ok(f'SUBSCRIBE "{other}/Work"')
        work, hidden = (f"{other}/{name}".encode() for name in ("Work", "Hidden"))
        assert found("ESEARCH IN (personal) SUBJECT found") == {b"INBOX"}
        assert found("ESEARCH IN (subscribed) SUBJECT found") == {b"INBOX", work}
        assert found('ESEARCH IN (subtree "Other Users") SUBJECT found') == {work}
        names = " ".join(f'"{other}/{name}"' for name in ("Work", "Hidden", "Secret", "Sent", "None"))
        assert found(f"ESEARCH IN (mailboxes ({names})) SUBJECT found") == {work, hidden}
        assert found('ESEARCH IN (subtree "Other Users") KEYWORD $Found') == {work}


def test_a_folder_of_ones_own_from_before(world: World) -> None:
    """It came in with a migration, say: it can be used, and given another name, but no more such can be made."""

    async def make() -> None:
        account = await world.store.account(EVE)
        event = (await world.store.events(limit=1))[0]
        await world.store.create_mailbox(account.id, "Other Users/ada@example.org/INBOX/old", None, event)

    world.call(make())
    world.deliver(message("kept"), address=EVE, mailbox="Other Users/ada@example.org/INBOX/old")
    share(world, EVERY)
    with world.client(address=EVE) as eve:
        assert b"* 1 EXISTS" in eve.ok('SELECT "Other Users/ada@example.org/INBOX/old"')
        assert b"* 0 EXISTS" in eve.ok(f"SELECT {INBOX}")
        assert b"[CANNOT]" in eve.no('CREATE "Other Users"')
        eve.ok('RENAME "Other Users/ada@example.org/INBOX/old" Old')
        assert b"* 1 EXISTS" in eve.ok("SELECT Old")


def test_a_right_that_goes_while_a_message_comes_in(world: World) -> None:
    share(world, EVERY)
    with world.client(address=EVE) as eve:
        body = message("late")
        eve.send(b"a APPEND %b {%d}\r\n" % (INBOX.encode(), len(body)))
        assert eve.line().startswith(b"+")
        eve.send(body[:20])
        share(world, "lr")
        eve.send(body[20:] + b"\r\n")
        assert eve.line().startswith(b"a NO [NONEXISTENT]")
        assert b"MESSAGES 0" in eve.ok(f"STATUS {INBOX} (MESSAGES)")[0]
