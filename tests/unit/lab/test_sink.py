"""The lab's exchangers: what they take is kept, how they misbehave is what their manner says, and nobody can fill them up."""

import asyncio
import contextlib
import datetime as dt
import email
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.lab import sink as lab_sink
from poterne.lab.credentials import Authority
from poterne.lab.sink import SEVEN_BIT, Manner, Sink
from poterne.lab.taken import Shelf
from tests.support.server import ADDRESS, free_port


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def reply(self) -> str:
        """All lines of one."""
        lines = []
        while True:
            async with asyncio.timeout(10):
                line = (await self.reader.readuntil(b"\r\n")).decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    async def ask(self, *lines: str | bytes) -> list[str]:
        """Pipelined."""
        self.writer.write(b"".join((one if isinstance(one, bytes) else one.encode()) + b"\r\n" for one in lines))
        return [await self.reply() for _ in lines]

    async def gone(self) -> None:
        async with asyncio.timeout(10):
            with contextlib.suppress(ConnectionResetError):
                assert await self.reader.read() == b""


class Place:
    """A sink that runs, and connections to it."""

    def __init__(self, sink: Sink, port: int) -> None:
        self.sink, self.port = sink, port
        self.clients: list[Client] = []

    async def connect(self, *, greeted: bool = True) -> Client:
        client = Client(*await asyncio.open_connection(ADDRESS, self.port))
        self.clients.append(client)
        if greeted:
            assert await client.reply() == "220 mx.d.test ESMTP"
        return client

    def texts(self) -> list[bytes]:
        return [taken.path.read_bytes() for taken in self.sink.shelf.taken]


@contextlib.asynccontextmanager
async def place(
    folder: Path, manner: Manner | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[Place]:
    sink = Sink("mx.d.test", manner or Manner(), Shelf(folder / "taken"), context)
    port = free_port()
    await sink.start(ADDRESS, port)
    made = Place(sink, port)
    try:
        yield made
    finally:
        await sink.close()
        for client in made.clients:
            client.writer.close()
        await asyncio.sleep(0)


ENVELOPE = ("MAIL FROM:<a@b.test> SIZE=10", "RCPT TO:<c@d.test> NOTIFY=NEVER", "DATA")


async def test_a_message_is_kept_as_it_came(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        client = await at.connect()
        (hello,) = await client.ask("EHLO b.test")
        assert hello.splitlines()[0] == "250-mx.d.test"
        assert "STARTTLS" not in hello
        assert hello.splitlines()[-1].startswith("250 SIZE ")
        assert [one[:3] for one in await client.ask(*ENVELOPE)] == ["250", "250", "354"]
        # Dots stuffed, the end followed at once by the next transaction, which is empty.
        replies = await client.ask("Subject: x\r\n\r\n..\r\n...two\r\n.", *ENVELOPE, ".", "NOOP", "QUIT")
        assert [one[:3] for one in replies] == ["250", "250", "250", "354", "250", "250", "221"]
        await client.gone()
        first, second = at.texts()
        assert first.endswith(b"Subject: x\r\n\r\n.\r\n..two\r\n")
        assert second.endswith(b" -0000\r\n")  # nothing after the trace
        read = email.message_from_bytes(first)
        assert (read["Return-Path"], read["Delivered-To"]) == ("<a@b.test>", "c@d.test")
        assert read["Received"].startswith("from b.test by mx.d.test with ESMTP (not encrypted); ")
        assert at.sink.shelf.taken[0].recipients == ("c@d.test",)


async def test_the_order_of_commands(tmp_path: Path) -> None:
    async with place(tmp_path) as at:
        client = await at.connect()
        replies = await client.ask(
            "HELO x", "RCPT TO:<c@d.test>", "DATA", "MAIL FROM:", "MAIL FROM:<>", "MAIL FROM:<>", "DATA", "RCPT TO:",
            "RSET", "RCPT TO:<c@d.test>", "VRFY x", "", "STARTTLS", b"\xff\x00",
        )  # fmt: skip
        codes = [one[:3] for one in replies]
        assert codes == [
            "250",
            "503",
            "503",
            "501",
            "250",
            "503",
            "503",
            "501",
            "250",
            "503",
            "500",
            "500",
            "502",
            "500",
        ]
        assert replies[0] == "250 mx.d.test"
        assert at.texts() == []


async def test_its_reply_instead_of_the_usual_one(tmp_path: Path) -> None:
    async with place(tmp_path, Manner(replies={"RCPT": "550 5.1.1 nobody"})) as at:
        client = await at.connect()
        assert (await client.ask("HELO x", *ENVELOPE))[2:] == ["550 5.1.1 nobody", "503 5.5.1 not now"]


async def test_who_is_new_comes_back_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_sink, "REMEMBERED_MOST", 2)
    now = 100.0
    sink = Sink("mx.d.test", Manner(grey_s=20.0), Shelf(tmp_path), clock=lambda: now)
    assert sink.too_soon("a@b.test", "c@d.test")
    assert sink.too_soon("e@b.test", "c@d.test")
    now += 19
    assert sink.too_soon("a@b.test", "c@d.test")
    now += 1
    assert not sink.too_soon("a@b.test", "c@d.test")
    assert sink.too_soon("f@b.test", "c@d.test")  # the third: the oldest is forgotten
    assert sink.too_soon("a@b.test", "c@d.test")
    async with place(tmp_path, Manner(grey_s=20.0)) as at:
        client = await at.connect()
        assert (await client.ask("HELO x", *ENVELOPE))[2].startswith("451 4.7.1 ")


async def test_slow_silent_and_broken_off(tmp_path: Path) -> None:
    async with place(tmp_path / "slow", Manner(delay_s=0.1)) as at:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await (await at.connect()).ask("HELO x", "NOOP")
        assert loop.time() - began >= 0.29
    async with place(tmp_path / "silent", Manner(silent=True)) as at:
        client = await at.connect(greeted=False)
        client.writer.write(b"EHLO x\r\n" * 1000)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await client.reader.read(1)
    async with place(tmp_path / "reset", Manner(reset_at_end=True)) as at:
        client = await at.connect()
        await client.ask("HELO x", *ENVELOPE)
        client.writer.write(b"x: y\r\n.\r\n")
        with pytest.raises(ConnectionResetError):
            await client.reader.read()
        assert len(at.texts()) == 1


async def test_seven_bits_mean_seven(tmp_path: Path) -> None:
    async with place(tmp_path, Manner(extensions=SEVEN_BIT)) as at:
        client = await at.connect()
        hello, eight, utf8 = await client.ask(
            "EHLO x", "MAIL FROM:<a@b.test> body=8bitmime", "MAIL FROM:<a@b.test> SMTPUTF8"
        )
        assert "8BITMIME" not in hello
        assert (eight[:3], utf8[:3]) == ("555", "555")
        await client.ask(*ENVELOPE)
        assert (await client.ask("x: y\r\n\r\né\r\n."))[0].startswith("554 5.6.3")
        assert at.texts() == []


async def test_over_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca", dt.datetime.now(dt.UTC))
    trusting = ssl.create_default_context(cafile=str(authority.file))
    async with place(tmp_path, context=authority.issue(["mx.d.test"]).context) as at:
        client = await at.connect()
        (hello,) = await client.ask("EHLO x")
        assert "STARTTLS" in hello
        assert "REQUIRETLS" not in hello
        assert (await client.ask("MAIL FROM:<early@b.test>", "STARTTLS"))[1][:3] == "220"
        await client.writer.start_tls(trusting, server_hostname="mx.d.test")
        hello, *envelope = await client.ask("EHLO b.test", *ENVELOPE)
        assert "STARTTLS" not in hello
        assert "REQUIRETLS" in hello
        assert [one[:3] for one in envelope] == ["250", "250", "354"]  # what was said before is forgotten
        await client.ask("x: y\r\n.")
        assert at.sink.shelf.taken[0].tls == "TLSv1.3"
        assert b"Received: from b.test by mx.d.test with ESMTPS (TLSv1.3); " in at.texts()[0]
        injecting = await at.connect()
        injecting.writer.write(b"STARTTLS\r\nEHLO evil\r\n")
        await injecting.gone()
        broken = await at.connect()
        await broken.ask("STARTTLS")
        broken.writer.write(b"no handshake at all\r\n")
        await broken.gone()


async def test_what_it_holds_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lab_sink, "MESSAGE_MOST", 200_000)
    monkeypatch.setattr(lab_sink, "CONNECTIONS_MOST", 3)
    monkeypatch.setattr(lab_sink, "RECIPIENTS_MOST", 2)
    async with place(tmp_path) as at:
        client = await at.connect()
        client.writer.write(b"x" * 10_000)
        assert (await client.reply())[:3] == "500"
        await client.gone()
        client = await at.connect()
        replies = await client.ask("HELO x", ENVELOPE[0], *(f"RCPT TO:<{name}@d.test>" for name in "abc"), "DATA")
        assert [one[:3] for one in replies] == ["250", "250", "250", "250", "452", "354"]
        client.writer.write(b"y" * 210_000)
        assert (await client.reply())[:3] == "552"
        await client.gone()
        assert at.texts() == []
        for _ in range(3):
            await at.connect()
        refused = await at.connect(greeted=False)
        assert (await refused.reply())[:3] == "421"
        await refused.gone()


async def test_closing_ends_every_conversation(tmp_path: Path) -> None:
    async with place(tmp_path, Manner(delay_s=0.01)) as at:
        idle, sending = await at.connect(), await at.connect()
        await sending.ask("HELO x", *ENVELOPE)
        sending.writer.write(b"half a message")
        await asyncio.sleep(0.05)
        await at.sink.close()
        await idle.gone()
        await sending.gone()
        assert at.texts() == []
