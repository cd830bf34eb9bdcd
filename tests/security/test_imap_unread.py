"""Clients that ask, or idle, and do not read: what the server holds for them is bounded, and it comes when they read again."""

import re
import socket
import time

import pytest

from tests.support.attack_client import MIB, Target, Wire

MESSAGES = 800
READERS = 50
IDLERS = 8
CHANGES = 30


@pytest.fixture(scope="module")
def crowded(running: Target) -> str:
    user = running.account()
    message = b"From: a@b.example\r\nSubject: x\r\n\r\n" + b"common body\r\n" * 150
    running.store.deliver(user, *([message] * MESSAGES))
    return user


def unread(world: Target, user: str) -> Wire:
    """A connection that takes in little by itself."""
    wire = world.imap(user, mailbox=b"INBOX")
    wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    return wire


def test_fifty_that_ask_for_everything(world: Target, crowded: str) -> None:
    """Each asks four times for 1.5 MB: less than half a MiB is held for each, its TLS included."""
    with world.attacked(growth_bytes=READERS * MIB // 2):
        wires = [unread(world, crowded) for _ in range(READERS)]
        for wire in wires:
            wire.send(b"".join(b"f%d FETCH 1:* BODY.PEEK[]\r\n" % i for i in range(4)))
        time.sleep(1)


def test_changes_pile_up_for_those_that_idle(world: Target, crowded: str) -> None:
    """And whoever reads again knows in the end how it is."""
    with world.attacked(growth_bytes=IDLERS * MIB):
        idlers = [unread(world, crowded) for _ in range(IDLERS)]
        for wire in idlers:
            wire.send(b"i IDLE\r\n")
        busy = world.imap(crowded, mailbox=b"INBOX")
        busy.sock.settimeout(60)
        for number in range(CHANGES):
            sign, flag = b"+-"[number % 2 :][:1], b"\\Flagged" if number < CHANGES - 1 else b"\\Answered"
            assert b" OK " in busy.imap(b"STORE 1:* " + sign + b"FLAGS.SILENT (" + flag + b")")
        assert b" OK " in busy.imap(b"STORE 1:* FLAGS.SILENT (\\Draft)")
        one = idlers[0]
        one.sock.settimeout(30)
        last: dict[bytes, bytes] = {}
        while len(last) < MESSAGES or set(last.values()) != {b"\\Draft"}:
            found = re.match(rb"\* (\d+) FETCH \(FLAGS \(([^)]*)\)\)", one.line())
            if found is not None:
                last[found[1]] = found[2].replace(b"\\Recent", b"").strip()
