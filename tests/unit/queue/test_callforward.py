"""Does a server know a recipient? Asked over real sockets, of servers that behave and that do not."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from poterne.config.route import Route
from poterne.queue.callforward import CallForward, Said
from poterne.queue.connections import ConnectionLimits
from poterne.queue.route import Ourselves, Router
from poterne.queue.routes import Routes
from poterne.values.address import Address
from poterne.values.dns import Answer
from poterne.values.ids import TraceId
from tests.support.outbound import Authority
from tests.support.queue_world import Names, here
from tests.support.sink import Drop, Hang, Rule, Sink

Ask = Callable[..., Awaitable[Said]]
TRACE = TraceId("t1")
NOBODY = b"550 5.1.1 nobody\r\n"
KEPT = ConnectionLimits(messages=50, lasting_s=60, idle_s=0.2, idle_most=20)


def known_and_not(line: str) -> bytes:
    return b"250 2.1.5 ok\r\n" if "known" in line else NOBODY


@asynccontextmanager
async def asking(
    route: Route, hosts: dict[str, list[str]] | None = None, folder: Path = Path("/nonexistent"), **how: float
) -> AsyncIterator[Ask]:
    routes = Routes({"inside": route}, folder)
    router = Router(routes, Names(hosts=hosts or {}), Ourselves("edge.test"), lambda _: None)
    asker = CallForward(router, limits=KEPT, **how)  # type: ignore[arg-type]

    async def ask(local_part: str = "known", domain: str = "inside.test") -> Said:
        said, words = await asker.ask(Address(local_part, domain), TRACE)
        assert words, "there is always something to say in the log"
        return said

    try:
        yield ask
    finally:
        await asker.close()


async def one(rules: dict[str, Rule], local_part: str = "known", **how: float) -> Said:
    with Sink(rules) as sink:
        async with asking(here("inside.test", port=sink.port), None, Path("/nonexistent"), **how) as ask:
            said = await ask(local_part)
    assert isinstance(said, Said)
    assert not sink.taken
    assert "DATA" not in sink.lines
    return said


async def test_the_question_is_a_transaction_of_the_null_sender_that_comes_to_nothing() -> None:
    with Sink({"RCPT": known_and_not}) as sink:
        async with asking(here("inside.test", port=sink.port)) as ask:
            assert await ask() is Said.KNOWN
    assert sink.lines == ["EHLO edge.test", "MAIL FROM:<>", "RCPT TO:<known@inside.test>", "QUIT"]
    assert sink.taken == []


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"250 2.1.5 ok\r\n", Said.KNOWN),
        (b"251 will forward\r\n", Said.KNOWN),
        (b"252 2.0.0 can't say\r\n", Said.KNOWN),
        (b"550 5.1.1 nobody\r\n", Said.UNKNOWN),
        (b"550 5.1.0 rejected\r\n", Said.UNKNOWN),
        (b"553 5.1.3 no such syntax here\r\n", Said.UNKNOWN),
        (b"550 5.2.1 this mailbox is closed\r\n", Said.UNKNOWN),
        (b"550 nobody\r\n", Said.UNKNOWN),
        (b"551 not here\r\n", Said.UNKNOWN),
        (b"553 what a name\r\n", Said.UNKNOWN),
        (b"550 5.7.2 only members write to this list\r\n", Said.KNOWN),
        (b"550 5.7.1 relaying denied\r\n", Said.LATER),
        (b"554 5.7.1 relaying denied\r\n", Said.LATER),
        (b"554 your address is on a list\r\n", Said.LATER),
        (b"552 5.2.2 mailbox full\r\n", Said.LATER),
        (b"530 5.7.0 STARTTLS first\r\n", Said.LATER),
        (b"500 5.5.2 what?\r\n", Said.LATER),
        (b"450 4.2.1 greylisted\r\n", Said.LATER),
        (b"450 4.1.1 not now\r\n", Said.LATER),
        (b"451 later\r\n", Said.LATER),
        (b"452 4.2.2 mailbox full\r\n", Said.LATER),
        (b"421 4.3.2 too busy\r\n", Said.LATER),
        (Drop(), Said.LATER),
        (Drop(reset=True), Said.LATER),
        (b"nonsense\r\n", Said.LATER),
        (b"250-" + b"x" * 100_000 + b"\r\n", Said.LATER),
    ],
)
async def test_what_an_answer_to_the_recipient_means(reply: Rule, said: Said) -> None:
    assert await one({"RCPT": reply}) is said


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"MAIL": b"550 5.7.1 no bounces here\r\n"}, Said.LATER),
        ({"MAIL": b"550 5.1.8 nobody\r\n"}, Said.LATER),
        ({"MAIL": b"451 4.3.0 later\r\n"}, Said.LATER),
        ({"MAIL": Drop(reset=True)}, Said.LATER),
        ({"greeting": b"554 5.7.1 go away\r\n"}, Said.DOWN),
        ({"greeting": b"421 too busy\r\n"}, Said.DOWN),
        ({"greeting": Drop(reset=True)}, Said.DOWN),
        ({"greeting": b"SSH-2.0-x\r\n"}, Said.DOWN),
        ({"EHLO": Drop()}, Said.DOWN),
        ({"EHLO": b"502 what?\r\n", "HELO": b"502 what?\r\n"}, Said.DOWN),
    ],
)
async def test_what_comes_before_says_nothing_about_people(rules: dict[str, Rule], said: Said) -> None:
    """Neither yes nor no, whatever the recipient would be answered."""
    for recipient in (b"250 2.1.5 ok\r\n", NOBODY):
        assert await one({"RCPT": recipient, **rules}) is said


@pytest.mark.parametrize(
    ("rules", "said"),
    [({"greeting": Hang()}, Said.DOWN), ({"EHLO": Hang(b"250-")}, Said.DOWN), ({"RCPT": Hang()}, Said.LATER)],
)
async def test_a_server_that_hangs_costs_little_time(rules: dict[str, Rule], said: Said) -> None:
    began = time.monotonic()
    assert await one(rules, answer_s=0.3, total_s=0.6) is said
    assert time.monotonic() - began < 3


async def test_nobody_listens_and_no_address() -> None:
    with Sink() as sink:
        port = sink.port
    async with asking(here("inside.test", port=port)) as ask:
        assert await ask() is Said.DOWN
    async with asking(Route(["inside.test"], "gone.test")) as ask:
        assert await ask() is Said.DOWN


async def test_a_name_that_is_looked_up_for_ever_costs_little_time() -> None:
    class Slow(Names):
        async def addresses(self, name: str, /) -> Answer[str]:
            await asyncio.Event().wait()
            return await super().addresses(name)

    router = Router(
        Routes({"inside": Route(["inside.test"], "slow.test")}, Path("/")),
        Slow(),
        Ourselves("edge.test"),
        lambda _: None,
    )
    said, _ = await CallForward(router, total_s=0.2).ask(Address("a", "inside.test"), TRACE)
    assert said is Said.DOWN


async def test_the_second_address_is_asked_when_the_first_is_dead(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Sink({"RCPT": known_and_not}, certificate=authority.context("two.test")) as sink:
        route = Route(["inside.test"], "two.test", sink.port, ca=authority.file.name)
        async with asking(route, {"two.test": ["127.0.0.3", "127.0.0.1"]}, tmp_path) as ask:
            assert [await ask(), await ask("nobody")] == [Said.KNOWN, Said.UNKNOWN]


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "days", "said"),
    [(("in.test",), 2, Said.KNOWN), (("other.test",), 2, Said.DOWN), (("in.test",), -1, Said.DOWN)],
)
async def test_the_certificate_is_verified(tmp_path: Path, names: tuple[str, ...], days: int, said: Said) -> None:
    authority = Authority(tmp_path)
    with Sink({"RCPT": known_and_not}, certificate=authority.context(*names, days=days)) as sink:
        route = Route(["inside.test"], "in.test", sink.port, ca=authority.file.name)
        async with asking(route, {"in.test": ["127.0.0.1"]}, folder=tmp_path) as ask:
            assert await ask() is said
    assert any(line.startswith("RCPT") for line in sink.lines) is (said is Said.KNOWN)


async def test_another_authority_is_not_trusted(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    ours, theirs = Authority(tmp_path / "a"), Authority(tmp_path / "b")
    with Sink(certificate=theirs.context("in.test")) as sink:
        route = Route(["inside.test"], "in.test", sink.port, ca=str(ours.file))
        async with asking(route, {"in.test": ["127.0.0.1"]}, folder=tmp_path) as ask:
            assert await ask() is Said.DOWN
    assert not any(line.startswith(("MAIL", "RCPT")) for line in sink.lines)


async def test_nothing_is_asked_in_the_clear() -> None:
    with Sink() as sink:
        async with asking(Route(["inside.test"], "in.test", sink.port), {"in.test": ["127.0.0.1"]}) as ask:
            assert await ask() is Said.DOWN
    assert not any(line.startswith(("MAIL", "RCPT")) for line in sink.lines)


# -- connections that wait ---------------------------------------------------------------------------------------------


async def test_a_connection_is_used_again_and_let_go_soon() -> None:
    with Sink({"RCPT": known_and_not}) as sink:
        async with asking(here("inside.test", port=sink.port)) as ask:
            assert [await ask(f"known{number}") for number in range(10)] == [Said.KNOWN] * 10
            assert (sink.connections, sink.ended) == (1, 0)
            assert sink.lines.count("RSET") == 9
            await asyncio.sleep(0.5)
            assert sink.ended == 1
            assert await ask() is Said.KNOWN
            assert sink.connections == 2


async def test_unknown_names_use_a_connection_up() -> None:
    """Ours counts them too: after the second one an answer would wait."""
    with Sink({"RCPT": known_and_not}) as sink:
        async with asking(here("inside.test", port=sink.port)) as ask:
            assert [await ask("nobody") for _ in range(6)] == [Said.UNKNOWN] * 6
    assert sink.connections == 3


async def test_questions_at_the_same_time_have_a_connection_each() -> None:
    with Sink({"RCPT": known_and_not}) as sink:
        async with asking(here("inside.test", port=sink.port)) as ask:
            answers = await asyncio.gather(*(ask(name) for name in ("known", "nobody", "known2", "nobody2")))
    assert answers == [Said.KNOWN, Said.UNKNOWN, Said.KNOWN, Said.UNKNOWN]


@pytest.mark.parametrize("end", [Drop(), Drop(reset=True), b"421 4.7.0 you ask and never send\r\n"])
async def test_a_server_that_had_enough_is_asked_anew(end: Rule) -> None:
    """Its impatience with a used connection is no answer."""
    turn = iter([b"250 ok\r\n", end, b"250 ok\r\n", b"250 ok\r\n"])

    def rule(_line: str) -> object:
        return next(turn)

    with Sink({"RCPT": rule}) as sink:  # type: ignore[dict-item]
        async with asking(here("inside.test", port=sink.port)) as ask:
            assert [await ask() for _ in range(3)] == [Said.KNOWN] * 3
    assert sink.connections == 2


async def test_a_refused_sender_leaves_nothing_behind() -> None:
    """The next question on the same connection is judged by its own answers."""
    with Sink({"MAIL": [b"451 4.3.0 later\r\n", b"250 ok\r\n"], "RCPT": [b"503 5.5.1 MAIL first\r\n", NOBODY]}) as sink:
        async with asking(here("inside.test", port=sink.port)) as ask:
            assert [await ask(), await ask()] == [Said.LATER, Said.UNKNOWN]
    assert sink.connections == 1
    assert "RSET" not in sink.lines


@pytest.mark.parametrize("extensions", [("PIPELINING", "ENHANCEDSTATUSCODES"), ()])
async def test_servers_without_extensions(extensions: tuple[str, ...]) -> None:
    with Sink({"RCPT": known_and_not}, extensions=extensions) as sink:
        async with asking(here("inside.test", port=sink.port)) as ask:
            assert [await ask(), await ask("nobody"), await ask("known2")] == [Said.KNOWN, Said.UNKNOWN, Said.KNOWN]
            assert await ask("élodie.known") is Said.UNKNOWN, "it can't be told the name, nor given the mail"
            assert await ask() is Said.KNOWN


async def test_an_international_address() -> None:
    with Sink({"RCPT": known_and_not}) as sink:
        async with asking(here("inside.test", port=sink.port)) as ask:
            assert await ask("élodie.known") is Said.KNOWN
    assert "MAIL FROM:<> SMTPUTF8" in sink.lines


async def test_lmtp() -> None:
    with Sink({"RCPT": known_and_not}, lmtp=True) as sink:
        async with asking(here("inside.test", port=sink.port, lmtp=True)) as ask:
            assert [await ask(), await ask("nobody")] == [Said.KNOWN, Said.UNKNOWN]
    assert sink.lines[0].startswith("LHLO")
