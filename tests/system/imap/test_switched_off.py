"""Capabilities that an account is not offered: as if they had never been built."""

from pathlib import Path

from poterne.config.imap import Imap
from poterne.values.event import Event
from poterne.values.ids import TraceId
from tests.support.imap_world import ADDRESS, PASSWORD, World


async def _without(world: World, *names: str) -> None:
    account = await world.store.account(ADDRESS)
    await world.store.set_account(account.id, Event(0, "test", TraceId("t")), imap_without=names)


def test_for_an_account(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        before = world.client()
        world.call(_without(world, "IDLE", "QUOTA", "CONDSTORE", "UTF8"))
        wire = world.client(login=False)
        told = wire.run(f'LOGIN {ADDRESS} "{PASSWORD}"')[1]
        again = wire.ok("CAPABILITY")[0]
        for words in (told[: told.index(b"]")].split(), again.split()):
            assert b"IDLE" not in words
            assert b"IMAP4rev2" not in words  # it contains IDLE
            assert not [word for word in words if word.startswith((b"QUOTA", b"CONDSTORE", b"QRESYNC", b"UTF8"))]
            assert {b"IMAP4rev1", b"MOVE", b"SORT", b"ENABLE"} <= set(words)
        for command in ("IDLE", "GETQUOTA x", "GETQUOTAROOT INBOX"):
            assert wire.bad(command) == b"BAD Unknown command"
        assert wire.ok("ENABLE IMAP4rev2 CONDSTORE QRESYNC UTF8=ACCEPT") == [b"* ENABLED"]
        assert wire.bad("SELECT INBOX (QRESYNC (1 1))") == b"BAD QRESYNC is not enabled"
        wire.ok("SELECT INBOX")
        # Who was there keeps what it had; the next sign-in of the same connection does not.
        assert b"IDLE" in before.ok("CAPABILITY")[0].split()
        assert before.ok("ENABLE CONDSTORE") == [b"* ENABLED CONDSTORE"]
        before.ok("UNAUTHENTICATE")
        before.ok(f'LOGIN {ADDRESS} "{PASSWORD}"')
        assert b"IDLE" not in before.ok("CAPABILITY")[0].split()
        # Somebody else on the same connection is offered all.
        wire.ok("UNAUTHENTICATE")
        assert b"IMAP4rev2" in wire.ok("CAPABILITY")[0].split()
        wire.ok(f'LOGIN eve@example.org "{PASSWORD}"')
        assert b"IDLE" in wire.ok("CAPABILITY")[0].split()
        wire.no("GETQUOTA x")
        before.socket.close()
        wire.socket.close()


def test_for_all(tmp_path: Path) -> None:
    with World(tmp_path, settings=Imap(without=["Sort"])) as world:
        world.call(_without(world, "THREAD", "NO-LONGER-THERE"))
        wire = world.client(select="INBOX")
        words = wire.ok("CAPABILITY")[0].split()
        assert not [word for word in words if word.startswith((b"SORT", b"THREAD"))]
        assert b"IMAP4rev2" in words
        assert wire.bad("UID SORT (DATE) UTF-8 ALL") == b"BAD Unknown command"
        assert wire.bad("THREAD REFERENCES UTF-8 ALL") == b"BAD Unknown command"
        wire.socket.close()
