"""The clients against small scripted servers on loopback: a wrong answer is an error, never a fast success."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench import imap, pop3, smtp
from bench.wire import DisconnectedError, RefusedError


@asynccontextmanager
async def server(*exchanges: tuple[bytes, bytes], greeting: bytes) -> AsyncIterator[tuple[int, bytearray]]:
    """Sends the greeting, then for each (expected, answer) waits for the expected bytes and sends the answer."""
    heard = bytearray()

    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(greeting)
            for expected, answer in exchanges:
                heard.extend(await reader.readuntil(expected))
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            ended.set()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], heard
        async with asyncio.timeout(5):
            await ended.wait()


EHLO = (b"EHLO client.example.net\r\n", b"250-mx\r\n250 PIPELINING\r\n")


async def test_smtp_transaction_is_two_writes() -> None:
    script = (
        EHLO,
        (b"DATA\r\n", b"250 1\r\n250 2\r\n354 go\r\n"),
        (b"\r\n.\r\n", b"250 kept\r\n"),
        (b"QUIT\r\n", b"221 bye\r\n"),
    )
    async with server(*script, greeting=b"220 mx\r\n") as (port, heard):
        client = await smtp.SmtpClient.open(port)
        await client.send(smtp.envelope(["a"]), 1, smtp.data(b"x: y\r\n\r\nbody\r\n"))
        await client.quit()
    assert b"RCPT TO:<a@bench.test>\r\nDATA\r\nx: y\r\n\r\nbody\r\n.\r\n" in heard


@pytest.mark.parametrize(
    "answers",
    [
        (b"250 1\r\n550 no\r\n354 go\r\n", b"250 kept\r\n"),
        (b"250 1\r\n250 2\r\n354 go\r\n", b"451 later\r\n"),
        (b"250 1\r\n250 2\r\n503 no\r\n", b""),
    ],
)
async def test_smtp_refusals_are_errors(answers: tuple[bytes, bytes]) -> None:
    script = (EHLO, (b"DATA\r\n", answers[0]), (b"\r\n.\r\n", answers[1]))
    async with server(*script, greeting=b"220 mx\r\n") as (port, _):
        client = await smtp.SmtpClient.open(port)
        with pytest.raises(RefusedError):
            await client.send(smtp.envelope(["a"]), 1, smtp.data(b"x: y\r\n\r\nbody\r\n"))
        client.close()


LOGIN = (b"\r\n", b"zq1001 OK [CAPABILITY IMAP4rev1 LITERAL+] in\r\n")


async def test_imap_counts_and_appends_in_one_write() -> None:
    script = (
        LOGIN,
        (b"(MESSAGES)\r\n", b"* STATUS INBOX (MESSAGES 17)\r\nzq1002 OK done\r\n"),
        (b"{3+}\r\nabc\r\n", b"zq1003 OK [APPENDUID 1 2] done\r\n"),
        (b"\r\n", b"* 17 EXISTS\r\nzq1004 OK [READ-WRITE] done\r\n"),
    )
    async with server(*script, greeting=b"* OK ready\r\n") as (port, _):
        client = await imap.ImapClient.open(port, None, "u")
        assert client.literal_plus
        assert await client.count() == 17
        await client.append(b"INBOX", b"abc")
        assert await client.select() == 17
        client.close()


async def test_imap_literal_waits_without_literal_plus() -> None:
    script = (
        (b"\r\n", b"zq1001 OK [CAPABILITY IMAP4rev1] in\r\n"),
        (b"{3}\r\n", b"+ go\r\n"),
        (b"abc\r\n", b"zq1002 OK done\r\n"),
    )
    async with server(*script, greeting=b"* OK ready\r\n") as (port, _):
        client = await imap.ImapClient.open(port, None, "u")
        await client.append_batch(b"INBOX", [b"abc"])
        client.close()


async def test_imap_no_is_an_error() -> None:
    async with server(LOGIN, (b"\r\n", b"zq1002 NO nothing\r\n"), greeting=b"* OK ready\r\n") as (port, _):
        client = await imap.ImapClient.open(port, None, "u")
        with pytest.raises(RefusedError, match="nothing"):
            await client.skim(b"FETCH 1:* (FLAGS)")
        client.close()


async def test_pop3_retrieve() -> None:
    script = (
        (b"\r\n", b"+OK\r\n"),
        (b"\r\n", b"+OK\r\n"),
        (b"STAT\r\n", b"+OK 2 300\r\n"),
        (b"RETR 1\r\n", b"+OK 10\r\na: b\r\n\r\n-\r\n.\r\n"),
        (b"RETR 2\r\n", b"-ERR gone\r\n"),
    )
    async with server(*script, greeting=b"+OK ready\r\n") as (port, _):
        client = await pop3.Pop3Client.open(port, None, "u")
        assert await client.count() == 2
        assert (await client.retrieve(1)).size_bytes == len(b"a: b\r\n\r\n-\r\n.\r\n")
        with pytest.raises(RefusedError, match="gone"):
            await client.retrieve(2)
        client.close()


async def test_a_server_that_hangs_up() -> None:
    async with server(greeting=b"") as (port, _):
        with pytest.raises(DisconnectedError):
            await smtp.SmtpClient.open(port)
