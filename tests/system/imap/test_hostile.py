"""What strangers and broken clients send: a clear answer, bounded memory, and a server that lives."""

import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.config.imap import Imap
from tests.support.imap_world import Wire, World, message


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("hostile"), settings=Imap(max_bad_commands=1000)) as world:
        world.deliver(message(), message("two"))
        yield world


@pytest.fixture(autouse=True)
def _alive(world: World) -> Iterator[None]:
    yield
    with world.client(select="INBOX") as wire:
        wire.ok("NOOP")


def memory_kib() -> int:
    return int(Path(f"/proc/{os.getpid()}/status").read_text().split("VmRSS:")[1].split()[0])


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n",
        b"\0\0\0\r\n",
        b"a\r\n",
        b"* LOGIN a b\r\n",
        b"a LOGIN {4294967296}\r\n",
        b"a LOGIN {99999999999999999999}\r\n",
        b"a LOGIN {1+}\r\nx {2+}\r\nyz\r\n",
        b'a LOGIN "' + b"x" * 30_000 + b'" y\r\n',
        b"(" * 15_000 + b"\r\n",
        b"a AUTHENTICATE PLAIN " + b"=" * 10_000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"a NOOP\nb NOOP\n",
        b"a NOOP\rb NOOP\r\n",
    ],
)
def test_before_login(world: World, data: bytes) -> None:
    with world.client(login=False) as wire:
        wire.send(data)
        wire.socket.settimeout(0.5)
        heard = b""
        try:
            while chunk := wire.socket.recv(65536):
                heard += chunk
        except (TimeoutError, OSError):
            pass
        for line in heard.splitlines():
            assert b" OK " not in line or b"NOOP" in data or b"Done" in line, line


@pytest.mark.parametrize(
    "command",
    [
        "FETCH 1 (BODY[9999999999])",
        "FETCH 1 (BODY[1.1.1.1.1.1.1.1.1.1])",
        "FETCH 1 BODY[HEADER.FIELDS ()]",
        "FETCH 1 BODY[]<4294967295.4294967295>",
        "FETCH 0 FLAGS",
        "FETCH 4294967296 FLAGS",
        "FETCH 1:4294967295 FLAGS",
        "UID FETCH 1:4294967295,1:4294967295,* FLAGS",
        "STORE 1 FLAGS (\\Recent)",
        "STORE 1 FLAGS (\\Made\\Up)",
        "STORE 1 +FLAGS (" + "x" * 500 + ")",
        "SEARCH BEFORE 99-Foo-20xx",
        "SEARCH BEFORE 31-Feb-2020",
        "SEARCH KEYWORD \\Bad",
        'SEARCH HEADER "" x',
        "COPY 1 &&&",
        "CREATE &ZZ-",
        "CREATE ../../etc/passwd",
        'LIST "" {3}',
        "STATUS INBOX ()",
        "SELECT INBOX (NONSENSE)",
        "ENABLE",
        "IDLE now",
        "STARTTLS",
        "LOGIN a b",
        "SORT (DATE) UTF-8 ALL",
    ],
)
def test_odd_commands_get_an_answer(world: World, command: str) -> None:
    with world.client(select="INBOX") as wire:
        wire.send(b"x " + command.encode() + b"\r\nabc\r\ny NOOP\r\n")
        for _ in range(50):
            line = wire.response()
            if line.startswith(b"y OK") or b"BYE" in line:
                break
        else:
            pytest.fail("no answer")


def test_too_many_keywords(world: World) -> None:
    with world.client(select="INBOX") as wire:
        limited = False
        for n in range(60):
            tagged = wire.run(f"STORE 1 +FLAGS.SILENT (kw{n})")[1]
            limited = limited or tagged.startswith(b"NO [LIMIT]")
        assert limited
        wire.ok("STORE 1 FLAGS ()")


def test_a_client_that_never_reads(world: World) -> None:
    """Its answers stop when the link is full; others are served, memory stays where it is."""
    world.deliver(*(message(str(n), b"x" * 70 * 1000) for n in range(30)), mailbox="Trash")
    with world.client(select="Trash") as deaf, world.client(select="INBOX") as wire:
        before = memory_kib()
        deaf.send(b"".join(b"d%d FETCH 1:* BODY.PEEK[]\r\n" % n for n in range(200)))
        for _ in range(20):
            wire.ok("FETCH 1:2 (FLAGS ENVELOPE)")
            time.sleep(0.01)
        assert memory_kib() - before < 30_000


def test_gone_in_the_middle_of_an_append(world: World) -> None:
    with world.client() as wire:
        wire.send(b"a APPEND INBOX {1000000}\r\n")
        wire.response()
        wire.send(b"x" * 200_000)
    with world.client() as wire:
        wire.send(b"a APPEND INBOX {100+}\r\n" + b"x" * 50)
        wire.socket.shutdown(socket.SHUT_WR)
    with world.client() as wire:
        assert b"MESSAGES 2" in wire.ok("STATUS INBOX (MESSAGES)")[0]


def test_half_closed_after_commands(world: World) -> None:
    wire = Wire(world.port, world.issued.ca)
    wire.send(b'a LOGIN "x" "y"\r\nb LOGOUT\r\n')
    assert wire.response().startswith(b"a NO")
    assert wire.response().startswith(b"* BYE")
    wire.socket.close()


def test_pipelined_commands_are_answered_in_order(world: World) -> None:
    with world.client(select="INBOX") as wire:
        wire.send(b"".join(b"p%d FETCH 1:2 (UID FLAGS)\r\np%dn NOOP\r\n" % (n, n) for n in range(300)))
        for n in range(300):
            assert wire.collect(b"p%d" % n)[1].startswith(b"OK")
            assert wire.collect(b"p%dn" % n)[1].startswith(b"OK")


@pytest.mark.parametrize("seed", range(5))
def test_noise(world: World, seed: int) -> None:
    dice = random.Random(seed)
    words = [b"FETCH", b"STORE", b"SEARCH", b"UID", b"1:*", b"(", b")", b"FLAGS", b"BODY[", b"]", b"{5}", b"{3+}", b"\r\n",
             b'"', b"\\Seen", b"NOT", b"OR", b"IDLE", b"DONE", b"APPEND", b"INBOX", b"a", b"<0.1>", b"SELECT", b"CLOSE", b"$"]  # fmt: skip
    with world.client(select="INBOX") as wire:
        wire.socket.settimeout(5)
        for _ in range(150):
            wire.send(b" ".join(dice.choices(words, k=dice.randint(1, 9))) + b"\r\n")
        wire.send(b"xxx\r\nDONE\r\nz9 NOOP\r\n" * 3)
        heard = b""
        try:
            while b"z9 " not in heard and b"BYE" not in heard:
                heard += wire.socket.recv(65536)
        except TimeoutError:
            assert b"+" in heard  # it waits for a literal that was promised


def test_login_deadline(tmp_path: Path) -> None:
    with World(tmp_path, settings=Imap(login_timeout_s=1)) as world, world.client(login=False) as wire:
        assert wire.response().startswith(b"* BYE")


def test_message_of_ten_thousand_nested_parts(world: World) -> None:
    hostile = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\r\n\r\n--%d\r\n' % (n, n) for n in range(10_000))
    with world.client(select="Sent") as wire:
        wire.append(hostile, mailbox="Sent")
        wire.ok("FETCH 1 (ENVELOPE BODYSTRUCTURE BODY BODY.PEEK[1.1.1.1] BODY.PEEK[TEXT]<0.10>)")
        wire.ok("SEARCH TEXT zebra BODY horse")


def test_search_lets_others_work(world: World) -> None:
    world.deliver(*(message(str(n), b"word " * 14_000) for n in range(100)), mailbox="Trash")
    with world.client(select="Trash") as slow, world.client(select="INBOX") as wire:
        slow.send(b"s SEARCH BODY zebra OR BODY lion BODY tiger\r\n")
        waits = []
        for _ in range(10):
            began = time.monotonic()
            wire.ok("NOOP")
            waits.append(time.monotonic() - began)
        assert slow.collect(b"s")[0] == [b"* SEARCH"]
        assert sorted(waits)[5] < 0.2
