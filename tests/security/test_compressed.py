"""What a client can do with COMPRESS that it could not do without: streams that become nothing, or far too much."""

import asyncio
import socket
import struct
import time
import zlib
from pathlib import Path

import pytest

from poterne.net.link import Link, Poke
from tests.support.imap_deflate import deflate
from tests.support.imap_world import World

EMPTY = (b"\x00\x00\x00\xff\xff", b"\x02\x00\x00\x00\xff\xff", b"\x02\x08\x00\x00\x00\xff\xff")


@pytest.mark.parametrize("block", EMPTY)
async def test_empty_blocks_buy_no_time(block: bytes) -> None:
    """Neither while they come without end nor when they stop: the deadline must not get lost among them."""
    loop = asyncio.get_running_loop()
    links: list[Link] = []

    def made() -> Link:
        links.append(Link(loop))
        return links[-1]

    server = await loop.create_server(made, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await asyncio.sleep(0.05)
    [link] = links

    async def flood() -> None:
        until = loop.time() + 0.6
        while loop.time() < until:
            writer.write(block * 5_000)
            await writer.drain()

    link.compress()
    link.set_patience(0.3, "idle")
    flooding = asyncio.create_task(flood())
    got = await asyncio.wait_for(link.read(), 5)
    assert isinstance(got, Poke)
    assert Poke.DEADLINE in got
    assert link.expired == "idle"
    link.abort()
    await asyncio.gather(flooding, return_exceptions=True)
    writer.close()
    server.close()
    del reader


def test_connections_that_die_at_odd_moments_are_not_counted(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = packer.compress(b"n NOOP\r\n" * 400_000) + packer.flush(zlib.Z_SYNC_FLUSH)
    with World(tmp_path) as world:
        for sent in (b"", b"\x00", bomb, bomb[:-3], b"\xff", EMPTY[0] * 1000, b"\x03\x00", bomb + b"\xff" * 50):
            for how in ("close", "reset", "half"):
                with world.client() as wire:
                    inside = deflate(wire)
                    raw = inside.inner
                    raw.sendall(sent)
                    if how == "reset":
                        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    if how == "half":
                        raw.shutdown(socket.SHUT_WR)
                    raw.close()
        until = time.monotonic() + 10
        while world.service.compressing.count and time.monotonic() < until:
            time.sleep(0.02)
        assert world.service.compressing.count == 0
        with world.client() as wire:
            wire.ok("NOOP")
        assert not [notice for notice in world.notices if notice.error is not None]


def test_a_literal_meets_its_limit_however_small_it_came(tmp_path: Path) -> None:
    with World(tmp_path) as world, world.client() as wire:
        inside = deflate(wire)
        packer = inside.packer
        line = b"a APPEND INBOX {4000000000+}\r\n"
        inside.inner.sendall(packer.compress(line + b"x" * 40_000_000) + packer.flush(zlib.Z_SYNC_FLUSH))
        said = b""
        try:
            while data := inside.recv(65536):
                said += data
        except OSError:
            pass
        assert b"TOOBIG" in said or b"BYE" in said


def test_idle_is_no_shelter_for_a_bomb(tmp_path: Path) -> None:
    with World(tmp_path) as world, world.client() as wire:
        inside = deflate(wire)
        wire.ok("SELECT INBOX")
        wire.send(b"i IDLE\r\n")
        assert wire.line().startswith(b"+")
        packer = inside.packer
        inside.inner.sendall(packer.compress(b"x" * 50_000_000) + packer.flush(zlib.Z_SYNC_FLUSH))
        before = time.monotonic()
        try:
            while inside.recv(65536):
                pass
        except OSError:
            pass
        assert time.monotonic() - before < 5
