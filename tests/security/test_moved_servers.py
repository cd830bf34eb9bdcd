"""Servers that mail is brought from, and that mean ill: memory and disk stay bounded, and no password is given away."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from poterne.admin import local_ca
from poterne.admin.people import Acting
from poterne.moving import imap_import, imap_link
from poterne.moving.flags import REMEMBERED_MOST, FlagBits
from poterne.moving.folders import Choice
from poterne.moving.imap_import import ImapImport
from poterne.moving.imap_link import Server
from poterne.moving.told import WORDS_MOST, MovingError, Silent, Summary
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from tests.support.imap_source import Letter, Toy, serving
from tests.support.moved import messages_of
from tests.support.stores import AT, Clock, World, sqlite

PASSWORD = "hunter2-in-the-clear"
BODY = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    made = World(sqlite(tmp_path / "data", clock), tmp_path / "data", clock)
    await made.settle()
    yield made
    await made.store.close()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_import, "PAUSE_S", 0.001)


async def bring(world: World, server: Server) -> Summary:
    account = await world.store.account_by_id(world.alice)
    return await ImapImport(world.store, account, server, Choice(), Acting("t", AT, TraceId("t")), Silent()).run()


class Plain:
    """A server on a port without TLS that says what it is told to, and remembers what it heard."""

    def __init__(self, greeting: bytes, answers: dict[bytes, bytes], context: ssl.SSLContext) -> None:
        self.greeting = greeting
        self.answers = answers
        self.context = context
        self.heard = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self.greeting)
        try:
            while line := await reader.readline():
                self.heard += line
                tag, verb = line.split()[:2]
                writer.write(self.answers.get(verb.upper(), b"* OK\r\n").replace(b"TAG", tag))
                await writer.drain()
        except (ConnectionError, ValueError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def plain(folder: Path, greeting: bytes, **answers: bytes) -> AsyncIterator[tuple[Plain, Server]]:
    import datetime as dt

    issued = local_ca.ensure(folder, ["127.0.0.1"], dt.datetime.now(dt.UTC))
    said = {verb.upper().encode(): answer for verb, answer in answers.items()}
    made = Plain(greeting, said, ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield made, Server("127.0.0.1", port, True, "user", Secret(PASSWORD), ca_file=issued.ca)
    finally:
        server.close()


@pytest.mark.parametrize(
    ("greeting", "answer"),
    [
        (b"* PREAUTH hello\r\n", b"TAG OK go\r\n"),
        (b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n", b"TAG NO not here\r\n"),
        (b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n", b"TAG BAD what\r\n"),
        (b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n", b"TAG OK go\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"),
        (b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n", b"TAG OK go\r\n* 1 FETCH (BODY[] {100}\r\n"),
        (b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n", b"+ go on\r\n"),
        (b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n", b"* BYE\r\nTAG OK [CAPABILITY AUTH=PLAIN]\r\n"),
        (b"* BYE no\r\n", b""),
        (b"\x16\x03\x01\x00\x05hello\r\n", b""),
    ],
)
async def test_without_tls_nothing_is_told(world: World, tmp_path: Path, greeting: bytes, answer: bytes) -> None:
    async with plain(tmp_path / "ca", greeting, starttls=answer) as (peer, server):
        with pytest.raises(MovingError) as told:
            await asyncio.wait_for(bring(world, server), 20)
    assert PASSWORD not in str(told.value)
    assert re.findall(rb"(?i)login|authenticate|hunter2|list", peer.heard) == []


@pytest.mark.parametrize("change", ["pin", "name", "authority"])
async def test_another_certificate_gets_no_password(world: World, tmp_path: Path, change: str) -> None:
    toy = Toy({"INBOX": {1: Letter(BODY)}})
    heard: list[str] = []

    class Listening(Toy):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append("connected")
            line = await reader.readline()
            if line:
                heard.append(line.decode())
            writer.close()

    async with serving(Listening(toy.folders), tmp_path / "tls") as server:
        match change:
            case "pin":
                server = replace(server, fingerprint="00" * 32)
            case "name":
                server = replace(server, host="127.0.0.2")
            case _:
                server = replace(server, ca_file=None)
        with pytest.raises(MovingError):
            await bring(world, server)
    assert heard in ([], ["connected"])


async def test_a_password_that_is_no_line(world: World, tmp_path: Path) -> None:
    """It can't be made two commands of."""
    seen: list[bytes] = []

    class Hearing(Toy):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"* OK [CAPABILITY IMAP4rev1] toy\r\n")
            seen.append(await reader.readline())
            writer.write(b"p1 NO [AUTHENTICATIONFAILED] \x1b[31mno\r\n")
            await writer.drain()
            writer.close()

    async with serving(Hearing({}), tmp_path / "tls") as server:
        with pytest.raises(MovingError, match=r"refuses .*: \?\[31mno"):
            await bring(world, replace(server, secret=Secret("a\r\np2 DELETE INBOX")))
    assert seen == [b'p1 LOGIN "user" {18}\r\n']


async def test_a_list_of_folders_without_end(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_link, "ANSWER_MOST", 200_000)
    sent = 0

    class Endless(Toy):
        async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"* PREAUTH [CAPABILITY IMAP4rev1] toy\r\n")
            await reader.readline()
            try:
                while not writer.is_closing() and sent < 50_000_000:
                    writer.write(b'* LIST () "/" "x"\r\n' * 1000)
                    sent += 18_000
                    await writer.drain()
                    await asyncio.sleep(0.001)
            except ConnectionError:
                pass

    async with serving(Endless({}), tmp_path / "tls") as server:
        with pytest.raises(MovingError, match="the server's answer to LIST has more than 200,000 octets"):
            await asyncio.wait_for(bring(world, server), 20)


async def test_a_folder_of_messages_without_end(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_import, "LISTED_MOST", 50)
    async with serving(Toy({"INBOX": {uid: Letter(BODY) for uid in range(1, 52)}}), tmp_path / "tls") as server:
        with pytest.raises(MovingError, match="INBOX has more than 50 messages"):
            await bring(world, server)


async def test_a_message_without_end_fills_no_disk(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imap_import, "MESSAGE_MOST", 1000)
    box = {1: Letter(BODY), 2: Letter(b"Subject: long\r\n\r\n" + b"x" * 1_000_000, size=5), 3: Letter(BODY + b"3\r\n")}
    async with serving(Toy({"INBOX": box}), tmp_path / "tls") as server:
        summary = await bring(world, server)
    assert [(one.item, one.why) for one in summary.failures] == [("UID 2", "it has more than 1,000 octets")]
    account = await world.store.account_by_id(world.alice)
    assert [one.body for one in (await messages_of(world.store, account.address))["INBOX"]] == [BODY, BODY + b"3\r\n"]


async def test_names_that_only_a_bad_server_has(world: World, tmp_path: Path) -> None:
    names = ["../../etc", "a\x1b[31mb", "x" * 900, "/".join("d" * 200), "NUL&AAA-", "INBOX/../..", "&2D3YPQ-"]
    toy = Toy({name: {1: Letter(BODY + name[:9].encode() + b"\r\n")} for name in names})
    async with serving(toy, tmp_path / "tls") as server:
        summary = await bring(world, server)
    account = await world.store.account_by_id(world.alice)
    made = [box.name for box in await world.store.mailboxes(account.id)]
    assert all(char.isprintable() for name in made for char in name)
    assert "../../etc" in made  # a name as any other: nothing here is a path
    assert summary.messages + summary.failed == len(names)
    assert summary.failed == 2
    assert all(len(one.folder) <= WORDS_MOST for one in summary.failures)


async def test_ever_new_flags(world: World, tmp_path: Path) -> None:
    summary = Summary()
    bits = FlagBits(world.store, world.alice, summary)
    for number in range(REMEMBERED_MOST + 500):
        await bits.bits((f"\\Strange{number}" + "x" * 1000,))
    assert len(bits._bits) <= REMEMBERED_MOST
    assert sum(map(len, summary.notes)) < 1_000_000
