"""UIDONLY (RFC 9586) where the dialogue cannot go: IDLE, large messages, and how it ends."""

from pathlib import Path

from tests.support.imap_world import ADDRESS, PASSWORD, World, message


def test_idle_tells_uids(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.deliver(*[message(str(i)) for i in range(4)])
        with world.client(select="INBOX") as other, world.client() as wire:
            other.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
            other.ok("EXPUNGE")
            wire.ok("ENABLE UIDONLY IMAP4rev2")
            wire.ok("SELECT INBOX")
            wire.send(b"i IDLE\r\n")
            assert wire.line() == b"+ idling\r\n"
            other.ok("STORE 2 +FLAGS.SILENT (\\Flagged)")
            assert wire.line() == b"* 4 UIDFETCH (FLAGS (\\Flagged))\r\n"
            other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
            assert wire.line() == b"* 3 UIDFETCH (FLAGS (\\Deleted))\r\n"
            other.ok("EXPUNGE")
            assert wire.line() == b"* VANISHED 3\r\n"
            world.deliver(message("new"))
            assert wire.line() == b"* 2 EXISTS\r\n"
            wire.send(b"DONE\r\n")
            assert wire.line() == b"i OK Idle ended\r\n"


def test_large_messages_and_long_lists(tmp_path: Path) -> None:
    large = message("large", b"0123456789abcdef\r\n" * 5000)
    with World(tmp_path) as world:
        world.deliver(message("gone"), large, *[message(str(i)) for i in range(20)])
        with world.client() as wire:
            wire.ok("ENABLE UIDONLY")
            wire.ok("SELECT INBOX")
            wire.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)")
            assert wire.ok("EXPUNGE") == [b"* VANISHED 1"]
            (whole,) = wire.ok("UID FETCH 2 BODY.PEEK[]")
            assert whole == b"* 2 UIDFETCH (BODY[] {%d}\r\n%b)" % (len(large), large)
            for items in ("ENVELOPE", "BODYSTRUCTURE", "(FLAGS PREVIEW)", "(UID)", "(EMAILID THREADID)", "ALL"):
                answers = wire.ok(f"UID FETCH 1:* {items}")
                assert [answer.split(b" ")[1:3] for answer in answers] == [
                    [b"%d" % uid, b"UIDFETCH"] for uid in range(2, 23)
                ]
            assert b"UID" not in wire.ok("UID FETCH 3 (FLAGS ENVELOPE)")[0].replace(b"UIDFETCH", b"")


def test_it_ends_with_the_account(tmp_path: Path) -> None:
    with World(tmp_path) as world, world.client() as wire:
        world.deliver(message("one"))
        wire.ok("ENABLE UIDONLY")
        wire.ok("EXAMINE INBOX")
        assert wire.bad("FETCH 1 UID").startswith(b"BAD [UIDREQUIRED]")
        wire.ok("UNAUTHENTICATE")
        wire.ok(f'LOGIN "{ADDRESS}" "{PASSWORD}"')
        assert any(b"[UNSEEN 1]" in line for line in wire.ok("EXAMINE INBOX"))
        assert wire.ok("FETCH 1 UID") == [b"* 1 FETCH (UID 1)"]


def test_notify_tells_uids(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.deliver(*[message(str(i)) for i in range(3)])
        with world.client(select="INBOX") as other, world.client() as wire:
            other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
            other.ok("EXPUNGE")
            wire.ok("ENABLE UIDONLY IMAP4rev2")
            wire.ok("SELECT INBOX")
            wire.ok("NOTIFY SET (selected (MessageNew (RFC822.SIZE) MessageExpunge FlagChange))")
            other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
            assert wire.line() == b"* 2 UIDFETCH (FLAGS (\\Deleted))\r\n"
            other.ok("EXPUNGE")
            assert wire.line() == b"* VANISHED 2\r\n"
            size = len(message("new"))
            world.deliver(message("new"))
            assert wire.line() == b"* 2 EXISTS\r\n"
            assert wire.response() == b"* 4 UIDFETCH (RFC822.SIZE %d)" % size
