"""Who has lost the account gets no more of what was asked for before, however much that was, and however slowly it is read."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.admin import passwords
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from tests.support.imap_deflate import deflate
from tests.support.imap_world import ADDRESS, World, message

SIZE = 1024 * 1024
COUNT = 64
OTHER = passwords.hash_password(Secret("something else"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        world.deliver(message(body=os.urandom(SIZE // 2).hex().encode() + b"\r\n"))
        with world.client(select="INBOX") as wire:
            while int(wire.ok("STATUS INBOX (MESSAGES)")[0].split()[-1][:-1]) < COUNT:
                wire.ok("COPY 1:* INBOX")
        yield world


def revoke(world: World) -> None:
    async def work() -> None:
        account = await world.store.account(ADDRESS)
        await world.store.set_password(account.id, OTHER, Event(0, "test", TraceId("t")))
        assert await world.service.authenticator.present.look(world.store) > 0

    world.call(work())


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "asked",
    [
        [f"FETCH 1:{COUNT} BODY.PEEK[]"],
        [f"FETCH {number} BODY.PEEK[]" for number in range(1, COUNT + 1)],
        [f"UID FETCH {number} (UID BINARY.PEEK[1] BODY.PEEK[TEXT])" for number in range(1, COUNT + 1)],
    ],
    ids=["one command", "many commands", "sections"],
)
def test_what_was_asked_for_is_not_answered_to_its_end(world: World, asked: list[str], *, compressed: bool) -> None:
    with world.client(select="INBOX") as wire:
        if compressed:
            deflate(wire)
        wire.send(b"".join(b"x%d %b\r\n" % (number, one.encode()) for number, one in enumerate(asked)))
        received = len(wire.socket.recv(1000))
        revoke(world)
        last = b""
        while data := wire.socket.recv(65536):
            received += len(data)
            last = (last + data)[-100:]
        assert last.endswith(b"* BYE Sign in again\r\n")
        assert received < COUNT * SIZE / 2  # what was on its way


def test_what_comes_after_it_is_not_done(world: World) -> None:
    """Commands that wait behind a long answer, and a message that is on its way in."""
    with world.client(select="INBOX") as wire:
        wire.send(b"a1 FETCH 1:%d BODY.PEEK[]\r\na2 STORE 1:* +FLAGS (\\Deleted)\r\na3 EXPUNGE\r\n" % COUNT)
        wire.socket.recv(1000)
        with world.client() as sender:
            sender.send(b"b1 APPEND INBOX {%d+}\r\n" % SIZE)
            sender.send(b"x" * 1000)
            revoke(world)
            assert sender.response() == b"* BYE Sign in again"
        while wire.socket.recv(65536):
            pass

    with world.client(login=False) as wire:
        wire.ok(f'LOGIN "{ADDRESS}" "something else"')
        assert wire.ok("STATUS INBOX (MESSAGES DELETED)") == [b"* STATUS INBOX (MESSAGES %d DELETED 0)" % COUNT]


def test_who_has_signed_out_or_is_somebody_else_stays(world: World) -> None:
    with world.client() as left, world.client(select="INBOX", address="eve@example.org") as other:
        left.ok("UNAUTHENTICATE")
        with world.client() as idle, world.client() as told:
            deflate(idle)
            idle.send(b"i1 IDLE\r\n")
            assert idle.response().startswith(b"+ ")
            deflate(told)
            told.ok("NOTIFY SET STATUS (personal (MessageNew MessageExpunge))")
            revoke(world)
            assert idle.response() == told.response() == b"* BYE Sign in again"
        left.ok(f'LOGIN "{ADDRESS}" "something else"')
        left.ok("SELECT INBOX")
        other.ok("NOOP")
        assert len(world.service.authenticator.present) == 2
        left.ok("LOGOUT")
        other.ok("LOGOUT")
    deadline = time.monotonic() + 10
    while len(world.service.authenticator.present) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(world.service.authenticator.present) == 0
