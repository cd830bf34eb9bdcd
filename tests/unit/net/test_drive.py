import asyncio
import contextlib
import socket
import time

import pytest

from poterne.net.drive import FLUSH_AT
from poterne.net.link import WRITE_HIGH, Poke
from poterne.net.notice import Kind
from tests.unit.net.loops import both_loops
from tests.unit.net.toy import LAST_WORDS, Raw, World, toy_server


async def greeted(port: int, *, receive_buffer: int = 0) -> Raw:
    client = await Raw.connect(port, receive_buffer=receive_buffer)
    assert await client.line() == b"220 hello\r\n"
    return client


@both_loops
async def test_a_command_split_into_single_bytes_is_one_command() -> None:
    world = World()
    async with toy_server(world) as (_, port):
        client = await greeted(port)
        for byte in b"NOOP one\r\nQUIT\r\n":
            await client.send(bytes([byte]))
            await asyncio.sleep(0.001)
        assert await client.rest() == b"250 ok\r\n221 bye\r\n"
        client.close()
    assert [text for text, _ in world.lines] == [b"NOOP one", b"QUIT"]
    assert world.closed == 1


@both_loops
async def test_ten_thousand_pipelined_commands_are_answered_in_order_and_others_get_their_turn() -> None:
    world = World()
    async with toy_server(world) as (_, port):
        other = await greeted(port)
        client = await greeted(port)
        commands = b"".join(b"NOOP %d\r\n" % number for number in range(10_000)) + b"QUIT\r\n"
        reading = asyncio.create_task(client.rest())
        sending = asyncio.create_task(client.send(commands))
        await world.until(lambda: len(world.lines) > 0)
        await other.send(b"NOOP other\r\n")
        assert await other.line() == b"250 ok\r\n"
        await sending
        assert await reading == b"250 ok\r\n" * 10_000 + b"221 bye\r\n"
        client.close()
        other.close()
    mine = [text for text, _ in world.lines if text != b"NOOP other"]
    assert mine == [b"NOOP %d" % number for number in range(10_000)] + [b"QUIT"]
    assert world.lines.index((b"NOOP other", False)) < 10_000, "the other client waited for the whole burst"


@both_loops
async def test_a_client_that_does_not_read_a_long_answer_costs_bounded_memory_and_gets_it_all_later() -> None:
    world = World()
    async with toy_server(world) as (_, port):
        client = await greeted(port, receive_buffer=4096)
        await client.send(b"LONG 200000\r\nNOOP after\r\n")  # 20 MB
        await asyncio.sleep(0.3)
        link = world.links[0]
        transport = link._transport
        assert transport is not None
        assert transport.get_write_buffer_size() <= WRITE_HIGH + FLUSH_AT + 200
        assert world.pending_peak <= FLUSH_AT + 200
        assert link.bytes_out < 8_000_000, "the server wrote on although nobody read"
        assert len(world.lines) == 1, "the next command was taken although the peer does not read"
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        await client.send(b"QUIT\r\n")
        answer = await client.rest()
        client.close()
    assert answer.count(b"\r\n") == 200_003
    assert answer.endswith(b"250 done\r\n250 ok\r\n221 bye\r\n")


@both_loops
async def test_input_that_nobody_takes_stops_the_reading() -> None:
    world = World()
    async with toy_server(world) as (_, port):
        client = await greeted(port)
        await client.send(b"SLEEP 0.5\r\n")
        await world.until(lambda: len(world.lines) == 1)
        sending = asyncio.create_task(client.send(b"NOOP " + b"x" * 20_000_000 + b"\r\nQUIT\r\n"))
        await asyncio.sleep(0.3)
        assert world.links[0].bytes_in < 1_000_000
        assert not sending.done()
        await sending
        assert (await client.rest()).endswith(b"221 bye\r\n")
        client.close()


@both_loops
async def test_half_close_gets_all_replies() -> None:
    world = World()
    async with toy_server(world) as (_, port):
        client = await greeted(port)
        await client.send(b"SLEEP 0.1\r\nNOOP\r\n")
        client.sock.shutdown(1)
        assert await client.rest() == b"250 slept\r\n250 ok\r\n"
        client.close()
        await world.until(lambda: Kind.CLOSED in world.kinds())
    assert world.kinds() == [Kind.CLOSED]
    assert world.closed == 1


@both_loops
async def test_a_reset_ends_the_session_quietly(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    async with toy_server(world) as (_, port):
        for script in (b"", b"LONG 100000\r\n", b"SLEEP 0.2\r\nLONG 100000\r\n"):
            client = await greeted(port)
            await client.send(script)
            await asyncio.sleep(0.05)
            client.reset()
        await world.until(lambda: world.closed == 3)
        await world.until(lambda: world.kinds() == [Kind.CLOSED] * 3)
    assert caplog.records == []


@both_loops
async def test_a_poke_interrupts_waiting_and_keeps_pending_input() -> None:
    world = World()
    async with toy_server(world) as (_, port):
        client = await greeted(port)
        await client.send(b"NO")
        await world.until(lambda: world.links[0].bytes_in == 2)
        world.links[0].poke(Poke.CHANGED)
        assert await client.line() == b"* changed\r\n"
        await client.send(b"OP\r\n")
        assert await client.line() == b"250 ok\r\n"
        client.close()


@both_loops
async def test_a_poke_while_busy_is_told_afterwards_once() -> None:
    world = World()
    async with toy_server(world) as (_, port):
        client = await greeted(port)
        await client.send(b"SLEEP 0.1\r\n")
        await world.until(lambda: len(world.lines) == 1)
        world.links[0].poke(Poke.CHANGED)
        world.links[0].poke(Poke.CHANGED)
        assert await client.line() == b"250 slept\r\n"
        assert await client.line() == b"* changed\r\n"
        await client.send(b"QUIT\r\n")
        assert await client.rest() == b"221 bye\r\n"
        client.close()


@both_loops
async def test_a_bug_is_caught_told_and_not_shown() -> None:
    world = World()
    async with toy_server(world) as (_, port):
        other = await greeted(port)
        client = await greeted(port)
        await client.send(b"NOOP\r\nBUG\r\nNOOP\r\n")
        assert await client.rest() == LAST_WORDS or b"secret" not in LAST_WORDS
        client.close()
        await world.until(lambda: Kind.CLOSED in world.kinds())
        await other.send(b"NOOP\r\n")
        assert await other.line() == b"250 ok\r\n"
        other.close()
    bugs = [notice for notice in world.notices if notice.kind is Kind.BUG]
    assert len(bugs) == 1
    assert isinstance(bugs[0].error, RuntimeError)
    assert bugs[0].trace


@both_loops
async def test_a_protocol_error_is_answered_even_when_the_peer_keeps_sending() -> None:
    world = World()
    async with toy_server(world) as (_, port):
        client = await greeted(port)
        await client.send(b"BREAK\r\n" + b"x" * 300_000)
        assert await client.rest() == b"500 broken\r\n"
        client.close()
        await world.until(lambda: Kind.CLOSED in world.kinds())
    assert world.kinds() == [Kind.PEER_ERROR, Kind.CLOSED]
    assert world.notices[0].detail == "toy-broken: said BREAK"


@both_loops
async def test_patience_is_measured_from_the_last_answer_and_not_from_single_bytes() -> None:
    world = World()
    world.on_open = lambda link: link.set_patience(0.3, "idle")
    async with toy_server(world) as (_, port):
        client = await greeted(port)
        for _ in range(3):  # busy for longer than the patience in all
            await asyncio.sleep(0.15)
            await client.send(b"SLEEP 0.05\r\n")
            assert await client.line() == b"250 slept\r\n"
        await client.send(b"SLEEP 0.4\r\n")  # our own work is not the peer's silence
        assert await client.line() == b"250 slept\r\n"
        started = time.monotonic()
        for _ in range(20):  # bytes that make no command buy no time
            try:
                await client.send(b"x")
            except ConnectionError:
                break
            await asyncio.sleep(0.05)
        assert await client.rest() == b"421 idle\r\n"
        assert 0.25 < time.monotonic() - started < 1.5
        client.close()
    assert world.pokes == [(Poke.DEADLINE, "idle")]


@both_loops
async def test_an_absolute_deadline_passes_although_commands_come() -> None:
    world = World()
    world.on_open = lambda link: link.set_deadline(0.3, "login")
    async with toy_server(world) as (_, port):
        client = await greeted(port)
        answers = b""
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                await client.send(b"NOOP\r\n")
                line = await client.line()
                answers += line
                if not line:
                    break
                await asyncio.sleep(0.02)
        assert b"421 login\r\n" in answers
        client.close()


@both_loops
async def test_slow_bulk_is_cut_and_fast_bulk_is_not() -> None:
    world = World()
    async with toy_server(world) as (_, port):
        slow = await greeted(port)
        await slow.send(b"BULK 10000\r\n")
        assert await slow.line() == b"354 go\r\n"
        fast = await greeted(port)
        await fast.send(b"BULK 10000\r\n")
        assert await fast.line() == b"354 go\r\n"
        for _ in range(15):
            await fast.send(b"NOOP " + b"y" * 2000 + b"\r\n")
            if world.pokes:
                break
            await slow.send(b"x")
            await asyncio.sleep(0.03)
        assert await slow.rest() == b"421 too-slow\r\n"
        slow.close()
        await fast.send(b"QUIT\r\n")
        assert (await fast.rest()).endswith(b"221 bye\r\n")
        fast.close()
    assert world.pokes == [(Poke.DEADLINE, "too-slow")]


@both_loops
async def test_a_peer_that_takes_nothing_is_dropped_after_the_write_timeout() -> None:
    world = World()
    async with toy_server(world, write_timeout_s=0.3) as (_, port):
        client = await greeted(port, receive_buffer=4096)
        await client.send(b"LONG 200000\r\n")
        await world.until(lambda: Kind.CLOSED in world.kinds())
        assert world.notices[-1].detail == "write-timeout"
        client.close()
    assert world.closed == 1
