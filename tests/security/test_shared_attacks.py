"""What one of two who share mailboxes must not get, change or learn of the other's account beyond what was granted."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.session.imap import access
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.sharing import Right
from tests.support.imap_world import World, message

EVE = "eve@example.org"
HERS = "Other Users/ada@example.org"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights are looked up each time."""
    monkeypatch.setattr(access, "STALE_S", 0.0)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def share(world: World, rights: str, mailbox: str = "INBOX") -> None:
    with world.client() as ada:
        ada.ok(f'SETACL {mailbox} {EVE} "{rights}"')


def test_no_special_use_in_anothers_account(world: World) -> None:
    r"""A mailbox for all sent mail that somebody else has made, and reads; and which uses are taken is the owner's affair."""
    with world.client() as ada, world.client(address=EVE) as eve:
        ada.ok("CREATE Team")
        ada.ok(f'SETACL Team {EVE} "lrk"')
        for use in ("\\Archive", "\\Sent", "\\Trash"):
            assert b"[USEATTR]" in eve.no(f'CREATE "{HERS}/Team/x" (USE ({use}))'), use
            told = eve.no(f'CREATE "{HERS}/Team/x" (USE ({use}))')
            assert told == eve.no(f'CREATE "{HERS}/Team/x" (USE (\\Drafts))'), "which are taken cannot be told"
        assert not any(b"Archive" in line for line in ada.ok('LIST "" "*"'))
        ada.ok("CREATE Old (USE (\\Archive))")
        eve.ok("CREATE Old (USE (\\Archive))")


def test_a_replacement_after_the_right_to_remove_is_gone(world: World) -> None:
    world.deliver(message("hers"))
    share(world, "lrswite")
    with world.client(address=EVE, select=f'"{HERS}/INBOX"') as eve:
        body = message("late")
        eve.send(b'a REPLACE 1 "%b/INBOX" {%d}\r\n' % (HERS.encode(), len(body)))
        assert eve.line().startswith(b"+")
        eve.send(body[:20])
        share(world, "lrswi")
        eve.send(body[20:] + b"\r\n")
        untagged, tagged = eve.collect(b"a")
        assert tagged.startswith(b"NO [NOPERM]"), (untagged, tagged)
        eve.ok("NOOP")
        assert b"hers" in b"".join(eve.ok("FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT)]"))
        assert b"MESSAGES 1" in eve.ok(f'STATUS "{HERS}/INBOX" (MESSAGES)')[0]


@pytest.mark.parametrize("how", ["fetch", "notify"])
def test_a_long_answer_ends_when_the_right_to_read_is_gone(world: World, how: str) -> None:
    """Who reads slowly cannot go on for hours with mail that may be read no more."""
    share(world, "lrs")
    eve = world.client(address=EVE, select=f'"{HERS}/INBOX"')
    big = b"x" * 78 + b"\r\n"
    if how == "notify":
        eve.ok("NOTIFY SET (SELECTED (MessageNew (BODY.PEEK[]) MessageExpunge))")
    world.deliver(*(message(f"n{number}", body=big * 25_000) for number in range(40)))
    if how == "fetch":
        eve.ok("NOOP")
        eve.send(b"a FETCH 1:* BODY.PEEK[]\r\n")
    while b"n1\r\n" not in eve.response():
        pass
    share(world, "l")
    heard = []
    try:
        while True:
            heard.append(eve.response())
    except (EOFError, OSError):
        pass
    assert b"* BYE" in heard[-1], heard[-1][:80]
    assert len(heard) < 30, len(heard)
    eve.socket.close()


def test_others_leave_the_owner_some_keywords(world: World) -> None:
    """A keyword stays for ever: who may change flags could take all that there are."""
    world.deliver(message("one"))
    share(world, "lrswi")
    with world.client(address=EVE, select=f'"{HERS}/INBOX"') as eve:
        for number in range(40):
            eve.ok(f"STORE 1 +FLAGS.SILENT (eve{number})")
        assert b"[LIMIT]" in eve.no("STORE 1 +FLAGS (more)")
        assert b"[LIMIT]" in eve.run(f'APPEND "{HERS}/INBOX" (more) {{}}', message("two"))[1]
        eve.ok("STORE 1 +FLAGS (eve1)")
        eve.ok("SELECT INBOX")
        eve.append(message("hers"), flags="mine")
        eve.ok(f'COPY 1 "{HERS}/INBOX"')
    with world.client(select="INBOX") as ada:
        assert b"mine" not in b"".join(ada.ok("FETCH 2 FLAGS"))
        ada.ok("STORE 1 +FLAGS (more)")


def test_a_search_of_many_goes_no_further_than_the_right_to_read(world: World) -> None:
    """The grant of a mailbox goes while the search is in one before it."""
    with world.client() as ada:
        for name in ("A", "B"):
            ada.ok(f"CREATE {name}")
            ada.ok(f"SETACL {name} {EVE} lr")
            world.deliver(message("x"), mailbox=name)
        with world.client(address=EVE) as eve:
            store, rights = world.store, world.store.rights

            async def withdrawn(*ids: int) -> object:
                box = await store.mailbox_by_id(ids[1], ids[2])  # type: ignore[arg-type]
                return rights_none if box.name == "B" else await rights(*ids)  # type: ignore[arg-type]

            rights_none = Right(0)
            world.store.rights = withdrawn  # type: ignore[method-assign, assignment]
            found = eve.ok(f'ESEARCH IN (mailboxes ("{HERS}/A" "{HERS}/B")) RETURN (COUNT) ALL')
            assert [b"/A" in line for line in found] == [True]


def test_who_is_shut_out_reads_no_more_of_others(world: World) -> None:
    """A session that is open when the account is disabled."""
    world.deliver(message("one"))
    share(world, "lr")
    with world.client(address=EVE, select=f'"{HERS}/INBOX"') as eve, world.client(address=EVE) as other:

        async def disable() -> None:
            account = await world.store.account(EVE)
            await world.store.set_account(account.id, Event(0, "test", TraceId("t"), account.id), disabled=True)

        world.call(disable())
        assert b"[NONEXISTENT]" in other.no(f'STATUS "{HERS}/INBOX" (MESSAGES)')
        eve.send(b"a FETCH 1 BODY.PEEK[]\r\n")
        assert eve.response().startswith(b"* BYE")
