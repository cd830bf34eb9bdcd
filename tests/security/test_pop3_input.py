"""POP3: numbers, TOP, tricks with DELE and several sessions; S15."""

import os
import time
from pathlib import Path

import pytest

from tests.support.attack_client import MIB, Target, target


def test_numbers(world: Target) -> None:
    user = world.account()
    assert world.deliver(user, b"From: a@b.example\r\nSubject: x\r\n\r\none\r\ntwo\r\n").startswith(b"250")
    numbers = (
        b"0", b"2", b"-1", b"+1", b"4294967297", b"18446744073709551617", b"9" * 200, b"1e0", b"0x1", b"1.0", b"", b"1 1",
        b"\xd9\xa1", b"*", b"1,1", b"1;DELE 1",
    )  # fmt: skip
    with world.attacked():
        for command in (b"RETR", b"DELE", b"LIST", b"UIDL", b"TOP"):
            wire, left = world.pop3(user), 8
            for number in numbers:
                if not left:
                    wire.close()
                    wire, left = world.pop3(user), 8
                if command in {b"LIST", b"UIDL"} and not number.strip():
                    continue
                answer = wire.say(command + b" " + number + (b" 0" if command == b"TOP" else b""))
                assert answer.startswith(b"-ERR"), (command, number, answer)
                left -= 1
            wire.close()
    assert len(world.inbox(user)) == 1


@pytest.mark.parametrize("lines", [b"0", b"1", b"4294967296", b"99999999999999999999", b"-1", b"x", b"", b"9" * 100])
def test_top(world: Target, lines: bytes) -> None:
    user = world.account()
    assert world.deliver(user, b"From: a@b.example\r\nSubject: x\r\n\r\n" + b"line\r\n" * 1000).startswith(b"250")
    wire = world.pop3(user)
    answer = wire.say(b"TOP 1 " + lines)
    if answer.startswith(b"+OK"):
        got = wire.listing().splitlines(keepends=True)
        assert sum(line == b"line\r\n" for line in got) == min(int(lines), 1000)
    assert wire.say(b"NOOP").startswith(b"+OK")
    wire.close()


def test_without_quit_nothing_goes(world: Target) -> None:
    user = world.account()
    assert world.deliver(user, b"From: a@b.example\r\nSubject: x\r\n\r\nx").startswith(b"250")
    for end in ("close", "reset"):
        wire = world.pop3(user)
        assert wire.say(b"DELE 1").startswith(b"+OK")
        assert wire.say(b"RETR 1").startswith(b"-ERR")
        getattr(wire, end)()
    assert len(world.inbox(user)) == 1
    wire = world.pop3(user)
    wire.send(b"DELE 1\r\nQUIT\r\n")
    assert wire.rest().count(b"+OK") == 2
    assert world.inbox(user) == []


def test_answers_that_nobody_reads(world: Target) -> None:
    """RETR, a thousand times, by clients that do not read."""
    user = world.account()
    world.store.deliver(user, b"Subject: x\r\n\r\n" + b"x" * 76 + (b"y" * 76 + b"\r\n") * 20_000)
    with world.attacked(growth_bytes=16 * MIB):
        wires = [world.pop3(user) for _ in range(10)]
        for wire in wires:
            wire.send(b"RETR 1\r\n" * 1000)
        time.sleep(0.3)
        assert world.pop3(user).say(b"STAT").startswith(b"+OK")


def test_a_damaged_message_ends_the_connection_and_no_other(tmp_path: Path) -> None:
    """Damage behind the first pieces of a long one: its octets stop, nothing else is put among them, the rest is served."""
    with target(tmp_path / "instance") as world:
        user = world.account()
        noise = os.urandom(600_000).hex().encode()
        body = b"\r\n".join(noise[at : at + 76] for at in range(0, len(noise), 76))
        world.store.deliver(user, b"Subject: long\r\n\r\n" + body + b"\r\n")
        world.store.deliver(user, b"Subject: short\r\n\r\nx\r\n")
        segment = max((tmp_path / "instance").rglob("*.seg"), key=lambda path: path.stat().st_size)
        with segment.open("r+b") as file:
            file.seek(segment.stat().st_size - 100_000)
            file.write(b"#" * 5000)
        with world.attacked() as watch:
            wire = world.pop3(user)
            wire.send(b"RETR 1\r\nNOOP\r\n")
            said = wire.rest()
            assert said.startswith(b"+OK ")
            assert b"-ERR" not in said
            assert not said.endswith(b"\r\n.\r\n")
            wire = world.pop3(user)
            assert wire.say(b"RETR 2").startswith(b"+OK")
            assert b"Subject: short" in wire.listing()
        assert watch.events("pop3.unreadable")
