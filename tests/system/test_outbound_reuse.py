"""Connections that wait for more mail: when they are used again, and when they are not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from poterne.queue.attempt import attempt
from poterne.queue.connections import ConnectionLimits, Connections
from poterne.queue.outcome import Delivered, Transient
from tests.support.outbound import LETTER, QUICK, Authority, Sender, hop, only, recipient
from tests.support.sink import Drop, Hang, Rule, Sink


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with Sender(tmp_path / "blobs") as sender:
        yield sender


def limited(sender: Sender, **limits: float) -> Connections:
    sender.connections = Connections(replace(ConnectionLimits(), **limits))  # type: ignore[arg-type]
    return sender.connections


async def until(what: object) -> None:
    assert callable(what)
    for _ in range(300):
        if what():
            return
        await asyncio.sleep(0.01)
    pytest.fail("it never came")


async def test_messages_follow_each_other_without_rset(sender: Sender) -> None:
    with Sink() as sink:
        for _ in range(5):
            assert isinstance(only(await sender.send(hop(sink.port))), Delivered)
        assert sink.connections == 1
        assert len(sink.taken) == 5
        assert "RSET" not in sink.lines
        await sender.connections.close()
        await until(lambda: sink.lines[-1] == "QUIT")


async def test_an_open_transaction_is_reset_first(sender: Sender) -> None:
    with Sink({"RCPT": [b"550 5.1.1 no\r\n", b"250 ok\r\n"], "DATA": [b"503 5.5.1 no\r\n", b"354 go\r\n"]}) as sink:
        await sender.send(hop(sink.port))
        assert isinstance(only(await sender.send(hop(sink.port))), Delivered)
        assert [line.split(" ")[0] for line in sink.lines] == [
            "EHLO",
            *("MAIL", "RCPT", "DATA"),
            "RSET",
            *("MAIL", "RCPT", "DATA"),
        ]


async def test_only_so_many_messages(sender: Sender) -> None:
    limited(sender, messages=2)
    with Sink() as sink:
        for _ in range(5):
            await sender.send(hop(sink.port))
        assert sink.connections == 3


async def test_only_for_so_long(sender: Sender) -> None:
    connections = limited(sender, idle_s=0.1)
    with Sink() as sink:
        await sender.send(hop(sink.port))
        assert connections.waiting == 1
        await until(lambda: connections.waiting == 0 and sink.lines[-1] == "QUIT" and sink.ended == 1)
        await sender.send(hop(sink.port))
        assert sink.connections == 2


async def test_a_server_that_stops_is_let_go(sender: Sender) -> None:
    connections = limited(sender)
    with Sink() as sink:
        await sender.send(hop(sink.port))
        assert connections.waiting == 1
    async with asyncio.timeout(2.0):
        await until(lambda: connections.waiting == 0)


async def test_only_so_many_wait(sender: Sender) -> None:
    connections = limited(sender, idle_most=2)
    with Sink() as sink:
        for name in ("a.test", "b.test", "c.test"):
            await sender.send(hop(sink.port, name=name))
        assert connections.waiting == 2
        assert not (await sender.send(hop(sink.port, name="a.test"))).reused
        assert (await sender.send(hop(sink.port, name="c.test"))).reused


@pytest.mark.parametrize("terms", [{"name": "x.test"}, {"helo": "x.test"}, {"source": "127.0.0.2"}, {"lmtp": True}])
async def test_another_hop_has_a_connection_of_its_own(sender: Sender, terms: dict[str, object]) -> None:
    with Sink() as sink:
        await sender.send(hop(sink.port))
        assert not (await sender.send(hop(sink.port, **terms))).reused
        assert (await sender.send(hop(sink.port))).reused


@pytest.mark.parametrize("goodbye", [b"", b"421 4.4.2 idle\r\n"])
@pytest.mark.parametrize("noticed", [True, False])
async def test_a_server_that_hung_up_meanwhile(sender: Sender, goodbye: bytes, noticed: bool) -> None:
    """Whether we see it before, or only when MAIL is written: the mail goes over a new connection."""
    rules: dict[str, Rule] = {"MAIL": [b"250 ok\r\n", Drop(goodbye), b"250 ok\r\n"]}
    if noticed:
        rules = {".": [Drop(b"250 2.0.0 ok\r\n" + goodbye), b"250 ok\r\n"]}
    with Sink(rules) as sink:
        await sender.send(hop(sink.port))
        await asyncio.sleep(0.05)
        result = await sender.send(hop(sink.port))
        assert isinstance(only(result), Delivered)
        assert not result.reused
        assert (sink.connections, len(sink.taken)) == (2, 2)


async def test_a_fresh_connection_is_not_tried_twice(sender: Sender) -> None:
    with Sink({"MAIL": Drop()}) as sink:
        result = await sender.send(hop(sink.port))
        assert isinstance(only(result), Transient)
        assert sink.connections == 1


async def test_a_message_is_never_sent_twice_by_itself(sender: Sender) -> None:
    """Also on a used connection: after the dot nobody tries again here."""
    with Sink({".": [b"250 ok\r\n", Drop()]}) as sink:
        await sender.send(hop(sink.port))
        result = await sender.send(hop(sink.port))
        assert result.unsure
        assert result.reused
        assert not result.try_next
        assert (sink.connections, len(sink.taken)) == (1, 2)


async def test_a_cancelled_attempt_leaves_no_connection(sender: Sender) -> None:
    with Sink({"DATA": Hang()}) as sink:
        message = await sender.message(LETTER)
        task = asyncio.create_task(
            attempt(hop(sink.port), message, [recipient(message, "b@x.test")], sender.blobs, sender.connections)
        )
        await until(lambda: "DATA" in sink.lines)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: sink.ended == 1)
        assert sender.connections.waiting == 0


async def test_many_at_once(sender: Sender) -> None:
    with Sink() as sink:
        message = await sender.message(LETTER)
        there = hop(sink.port, timeouts=replace(QUICK, command_s=10, final_s=10))
        for reused in (False, True):
            results = await asyncio.gather(*(sender.send(there, message) for _ in range(30)))
            assert all(isinstance(only(result), Delivered) for result in results)
            assert {result.reused for result in results} == {reused}
        assert (sink.connections, len(sink.taken)) == (30, 60)


async def test_a_session_that_the_server_forgot_is_replaced(sender: Sender, tmp_path: Path) -> None:
    """It was restarted, or has new keys: it is not asked in vain from then on."""
    limited(sender, messages=1)
    authority = Authority(tmp_path)
    with Sink(certificate=authority.context("sink.test")) as sink:
        for _ in range(3):
            assert isinstance(only(await sender.send(hop(sink.port))), Delivered)
        assert sink.resumed == 1  # the first time the server is met, the second time its session is kept
        sink.certificate = authority.context("sink.test", days=3)
        for _ in range(3):
            assert isinstance(only(await sender.send(hop(sink.port))), Delivered)
        assert (sink.connections, sink.resumed) == (6, 3)
