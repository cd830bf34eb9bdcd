"""Waiting for answers: however the bytes are cut, the same answer is found."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

import pytest

from bench import pop3, smtp
from bench.imap import tagged_stop
from bench.wire import DisconnectedError, Wire, line_stop

T = TypeVar("T")
LITERAL = b"x" * 700 + b"zq1001 OK not the end\r\nzq10011 neither\r\n"
ANSWER = b"* 1 FETCH (BODY[] {%d}\r\n%b)\r\n* 2 FETCH (FLAGS ())\r\nzq1001 OK Fetch completed.\r\n" % (
    len(LITERAL),
    LITERAL,
)


async def started(coroutine: Coroutine[object, object, T]) -> "asyncio.Task[T]":
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    return task


@pytest.mark.parametrize("step", [1, 2, 7, 64, 511, 512, 513, 10_000])
async def test_keep_gives_the_answer_and_leaves_the_rest(step: int) -> None:
    wire = Wire()
    task = await started(wire.keep(tagged_stop(b"zq1001")))
    data = ANSWER + b"* 3 EXISTS\r\n"
    for at in range(0, len(data), step):
        wire.data_received(data[at : at + step])
    assert await task == ANSWER
    assert await wire.keep(line_stop) == b"* 3 EXISTS\r\n"


@pytest.mark.parametrize("step", [1, 2, 7, 64, 511, 512, 513, 10_000])
async def test_skim_counts_each_match_and_octet_once(step: int) -> None:
    wire = Wire()
    task = await started(wire.skim(tagged_stop(b"zq1001"), b" FETCH ("))
    data = ANSWER + b"* 3 EXISTS\r\n"
    for at in range(0, len(data), step):
        wire.data_received(data[at : at + step])
    seen = await task
    assert (seen.size_bytes, seen.matches) == (len(ANSWER), 2)
    assert seen.tail.endswith(b"zq1001 OK Fetch completed.\r\n")
    assert await wire.keep(line_stop) == b"* 3 EXISTS\r\n"


async def test_skim_of_what_has_come_already() -> None:
    wire = Wire()
    wire.data_received(ANSWER)
    seen = await wire.skim(tagged_stop(b"zq1001"), b" FETCH (")
    assert (seen.size_bytes, seen.matches) == (len(ANSWER), 2)


async def test_skim_holds_little() -> None:
    wire = Wire()
    task = await started(wire.skim(pop3.body_stop, b"\r\n"))
    for _ in range(1000):
        wire.data_received(b"-" * 998 + b"\r\n")
        assert len(wire._buffer) <= 1512
    wire.data_received(b".\r\n")
    assert (await task).size_bytes == 1_000_003


async def test_a_tag_at_the_very_start_of_an_answer() -> None:
    wire = Wire()
    wire.data_received(b"zq1001 NO\r\n")
    assert await wire.keep(tagged_stop(b"zq1001")) == b"zq1001 NO\r\n"


async def test_a_lost_connection_ends_the_wait() -> None:
    wire = Wire()
    task = await started(wire.keep(line_stop))
    wire.data_received(b"421 go aw")
    wire.connection_lost(None)
    with pytest.raises(DisconnectedError, match="421 go aw"):
        await task
    with pytest.raises(DisconnectedError):
        await wire.keep(line_stop)


@pytest.mark.parametrize("step", [1, 3, 100])
async def test_smtp_replies_are_counted_not_lines(step: int) -> None:
    answer = b"250-first\r\n250 ok\r\n250 2.1.5 ok\r\n354 go on\r\n"
    wire = Wire()
    task = await started(wire.keep(smtp.replies_stop(3)))
    data = answer + b"250 next\r\n"
    for at in range(0, len(data), step):
        wire.data_received(data[at : at + step])
    assert await task == answer
    assert smtp.codes(answer) == [250, 250, 354]
    assert await wire.keep(smtp.replies_stop(1)) == b"250 next\r\n"


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (b"a\r\nb\r\n", b"a\r\nb\r\n.\r\n"),
        (b".a\r\n..\r\nb.\r\n", b"..a\r\n...\r\nb.\r\n.\r\n"),
    ],
)
def test_dots_are_stuffed(message: bytes, sent: bytes) -> None:
    assert smtp.data(message) == sent
