"""COMPRESS=DEFLATE (RFC 4978) between a client that uses zlib as everybody does, and the real server."""

import base64
import random
import ssl
import time
import zlib
from pathlib import Path

import pytest

from poterne.config.imap import Imap
from tests.support import dialogue
from tests.support.imap_deflate import deflate
from tests.support.imap_world import ADDRESS, PASSWORD, Wire, World, message

DIALOGUES = [
    path
    for path in sorted((Path(__file__).parent / "dialogues").glob("*.imap"))
    # Before sign-in there is none, and UNAUTHENTICATE ends it.
    if not any(word in path.read_text("utf-8") for word in ("UNAUTHENTICATE", "@ guest", "@ starttls", "! deflate"))
]


@pytest.mark.parametrize("path", DIALOGUES, ids=lambda path: path.stem)
def test_every_dialogue_is_the_same_inside(path: Path, tmp_path: Path) -> None:
    with World(tmp_path, settings=dialogue.settings(path)) as world:
        dialogue.check(world, path, "deflated")


def test_it_is_announced_where_it_can_be_used(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        with world.client(login=False) as wire:
            assert b"COMPRESS" not in wire.greeting
            assert b"COMPRESS" not in wire.ok("CAPABILITY")[0]
            assert wire.bad("COMPRESS DEFLATE") == b"BAD Sign in first"
        with world.client() as wire:
            assert b" COMPRESS=DEFLATE" in wire.ok("CAPABILITY")[0]
            assert wire.bad("COMPRESS GZIP") == b"BAD Only DEFLATE is known"
            wire.bad("COMPRESS")
            wire.bad("COMPRESS DEFLATE NOW")
            deflate(wire)
            assert wire.no("COMPRESS DEFLATE") == b"NO [COMPRESSIONACTIVE] DEFLATE is active already"
            assert b"COMPRESS" not in wire.ok("CAPABILITY")[0]
            wire.ok("LOGOUT")


def test_it_can_be_turned_off(tmp_path: Path) -> None:
    with World(tmp_path, settings=Imap(compress=False)) as world, world.client() as wire:
        assert b"COMPRESS" not in wire.ok("CAPABILITY")[0]
        assert wire.bad("COMPRESS DEFLATE") == b"BAD Unknown command"
        wire.ok("NOOP")


def test_only_so_many_at_once(tmp_path: Path) -> None:
    with World(tmp_path, settings=Imap(compress_most=2)) as world:
        wires = [world.client() for _ in range(3)]
        for wire in wires[:2]:
            deflate(wire)
        assert wires[2].no("COMPRESS DEFLATE") == b"NO [LIMIT] Too many connections compress now"
        wires[2].ok("NOOP")
        wires[0].socket.close()
        for _ in range(100):
            if world.service.compressing.count == 1:
                break
            time.sleep(0.02)
        deflate(wires[2])
        wires[2].ok("NOOP")
        wires[1].ok("UNAUTHENTICATE")
        assert world.service.compressing.count == 1
        for wire in wires:
            wire.socket.close()


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH])
def test_mail_both_ways(tmp_path: Path, level: int, flush: int) -> None:
    chance = random.Random(1)
    picture = base64.encodebytes(chance.randbytes(90_000)).replace(b"\n", b"\r\n")
    letters = [message(f"number {i}", b"Words, words, words.\r\n" * i) for i in range(1, 400, 50)]
    letters.append(message("a picture", picture))
    with World(tmp_path) as world, world.client() as wire:
        inside = deflate(wire, flush=flush, level=level)
        for letter in letters:
            wire.append(letter)
        wire.ok("SELECT INBOX")
        for i, letter in enumerate(letters, 1):
            (answer,) = wire.ok(f"FETCH {i} BODY.PEEK[]")
            assert letter in answer
        whole = b"".join(wire.ok("FETCH 1:* (BODY.PEEK[])"))
        assert all(letter in whole for letter in letters)
        assert inside.received < 0.85 * inside.inflated
        wire.ok("FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)")
        wire.ok("LOGOUT")


def test_lists_become_much_shorter(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        world.deliver(*[message(f"number {i}") for i in range(60)])
        with world.client(select="INBOX") as wire:
            inside = deflate(wire)
            wire.ok("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)")
            assert inside.received < inside.inflated / 6


def test_a_message_tells_nothing_of_another_by_its_length(tmp_path: Path) -> None:
    """Read together with its copy it takes twice the octets: what it says can't be guessed at with mail of one's own."""
    chance = random.Random(2)
    body = b"".join(b"%x\r\n" % chance.getrandbits(240) for _ in range(110))
    with World(tmp_path) as world:
        world.deliver(message("one", body), message("two", body))
        with world.client(select="INBOX") as wire:
            inside = deflate(wire)
            sizes = []
            for which in ("1", "1:2"):
                before = inside.received
                wire.ok(f"FETCH {which} BODY.PEEK[]")
                sizes.append(inside.received - before)
            assert len(body) > 6000
            assert sizes[1] > 1.8 * sizes[0]


def test_idle_is_heard_at_once(tmp_path: Path) -> None:
    with World(tmp_path) as world, world.client(select="INBOX") as wire:
        deflate(wire)
        wire.send(b"i IDLE\r\n")
        assert wire.line() == b"+ idling\r\n"
        for count in (1, 2, 3):
            world.deliver(message(f"number {count}"))
            assert wire.line() == b"* %d EXISTS\r\n" % count
            assert wire.line() == b"* %d RECENT\r\n" % count
        wire.send(b"DONE\r\n")
        assert wire.line().startswith(b"i OK")


def test_who_sends_ahead_is_heard_as_it_is(tmp_path: Path) -> None:
    with World(tmp_path) as world, world.client() as wire:
        wire.send(b"a COMPRESS DEFLATE\r\nb NOOP\r\n")
        assert wire.line() == b"a BAD [CLIENTBUG] Nothing may be sent before the answer to COMPRESS\r\n"
        assert wire.line() == b"b OK Done\r\n"
        deflate(wire)
        wire.ok("NOOP")


@pytest.mark.parametrize("garbage", [b"c NOOP\r\n", b"\xff" * 100, b"\x00\x05\x00\x05\x00hello"])
def test_a_broken_stream_ends_the_connection(tmp_path: Path, garbage: bytes) -> None:
    with World(tmp_path) as world:
        with world.client() as wire:
            inside = deflate(wire)
            inside.inner.sendall(garbage)
            with pytest.raises(EOFError):
                wire.line()
        assert [notice.detail for notice in world.notices if notice.detail == "compression-broken"]
        with world.client() as wire:
            wire.ok("NOOP")
        assert not world.service.compressing.count


def test_a_stream_that_the_client_ends_is_the_end(tmp_path: Path) -> None:
    with World(tmp_path) as world, world.client() as wire:
        inside = deflate(wire)
        inside.flush = zlib.Z_FINISH
        wire.send(b"z NOOP\r\n")
        assert wire.line() == b"z OK Done\r\n"
        with pytest.raises(EOFError):
            wire.line()
        assert not world.notices


def test_a_bomb_meets_the_limit_of_a_line(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        with world.client() as wire:
            inside = deflate(wire)
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            bomb = b"".join(packer.compress(b"x" * 2**20) for _ in range(64)) + packer.flush(zlib.Z_SYNC_FLUSH)
            inside.inner.sendall(bomb)
            assert wire.line().startswith(b"* BAD ")
            assert wire.line().startswith(b"* BYE ")
            with pytest.raises((EOFError, ssl.SSLError, ConnectionError)):
                wire.line()
        with world.client() as wire:
            wire.ok("NOOP")


def test_others_are_served_while_a_bomb_goes_off(tmp_path: Path) -> None:
    with World(tmp_path) as world, world.client() as bomber, world.client() as other:
        inside = deflate(bomber)
        bomber.send(b"a APPEND INBOX {52000000}\r\n")
        assert bomber.line().startswith(b"+")
        packer = inside.packer
        inside.inner.sendall(
            b"".join(packer.compress(b"y" * 1_000_000) for _ in range(30)) + packer.flush(zlib.Z_SYNC_FLUSH)
        )
        longest = 0.0
        for _ in range(20):
            before = time.monotonic()
            other.ok("NOOP")
            longest = max(longest, time.monotonic() - before)
        assert longest < 1


@pytest.mark.parametrize("flush", [zlib.Z_SYNC_FLUSH, zlib.Z_FINISH])
@pytest.mark.parametrize("ahead", [False, True])
def test_unauthenticate_ends_it_both_ways(tmp_path: Path, flush: int, ahead: bool) -> None:
    login = f'l LOGIN "{ADDRESS}" "{PASSWORD}"\r\n'.encode()
    with World(tmp_path) as world, world.client() as wire:
        inside = deflate(wire)
        packed = inside.packer.compress(b"u UNAUTHENTICATE\r\n") + inside.packer.flush(flush)
        inside.inner.sendall(packed + login if ahead else packed)
        plain = Wire.__new__(Wire)
        plain.socket, plain._tag, plain._buffer = inside.inner, 0, b""
        heard = b""
        while not heard.endswith(b"sign in again\r\n"):
            heard += inside.inflater.decompress(inside.inner.recv(1))
        assert heard == b"u OK Signed out; sign in again\r\n"
        while not plain._buffer.endswith(b"\r\n"):  # what is left of the last flush inflates to nothing
            if not ahead:
                plain.send(login)
                ahead = True
            plain._more()
        left = inside.inflater.decompress(plain._buffer[: plain._buffer.rindex(b"l OK")])
        assert left == b""
        assert plain._buffer.endswith(b"\r\n")
        plain._buffer = b""
        plain.ok("NOOP")
        deflate(plain)
        plain.ok("NOOP")
