"""What a server may say and do instead of taking the mail, stage by stage, over real sockets."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from poterne.queue.outcome import Delivered, Permanent, Stage, Transient
from tests.support.outbound import QUICK, Sender, hop, only, outcomes
from tests.support.sink import Act, Drop, Hang, Repeat, Rule, Sink

HASTY = replace(QUICK, greeting_s=0.3, command_s=0.3, data_s=0.3, final_s=0.3)
GOOD = Delivered("250 2.0.0 taken as 1", 250, "2.0.0")


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with Sender(tmp_path / "blobs") as sender:
        yield sender


async def test_nobody_is_there(sender: Sender) -> None:
    with Sink() as sink:
        port = sink.port
    result = await sender.send(hop(port))
    assert only(result) == Transient("451 4.4.1 The server refused the connection", 451, "4.4.1", local=True)
    assert (result.failed_at, result.try_next, result.unsure) == (Stage.CONNECT, True, False)


WORDS = {
    Stage.GREETING: "greeting",
    Stage.EHLO: "EHLO",
    Stage.MAIL: "MAIL",
    Stage.RCPT: "RCPT",
    Stage.DATA: "DATA",
    Stage.FINAL: ".",
}
BROKEN: dict[str, tuple[Rule, str]] = {
    "hangs up": (Drop(), "4.4.2"),
    "resets": (Drop(reset=True), "4.4.2"),
    "says nothing": (Hang(), "4.4.2"),
    "half a line": (Hang(b"25"), "4.4.2"),
    "a line for ever": (Repeat(b"2" * 512), "4.5.0"),
    "a reply for ever": (Repeat(b"250-and\r\n"), "4.5.0"),
    "a slow reply for ever": (Repeat(b"250-and\r\n", 0.05), "4.4.2"),
    "garbage": (b"\x00\xff\x80 HTTP/1.1 400 Bad Request\r\n", "4.5.0"),
    "bare line feeds": (b"250 ok\n", "4.5.0"),
    "another code on the next line": (b"250-ok\r\n550 no\r\n", "4.5.0"),
    "a code of no class": (b"999 ok\r\n", "4.5.0"),
    "the wrong class": (b"334 ok\r\n", "4.5.0"),
}


@pytest.mark.parametrize("stage", WORDS, ids=lambda stage: stage.value)
@pytest.mark.parametrize("what", BROKEN)
async def test_a_broken_conversation_is_a_reason_to_try_the_next_server(
    sender: Sender, stage: Stage, what: str
) -> None:
    rule, enhanced = BROKEN[what]
    if stage is Stage.GREETING and what == "the wrong class":
        enhanced = "4.0.0"  # not a 220: the server refuses us
    with Sink({WORDS[stage]: rule}) as sink:
        result = await sender.send(hop(sink.port, timeouts=HASTY))
        outcome = only(result)
        assert isinstance(outcome, Transient), outcome
        if result.failed_at is Stage.CONNECT:  # the reset of the greeting was quicker
            assert (stage, what) == (Stage.GREETING, "resets")
            return
        assert outcome.enhanced == enhanced
        assert result.failed_at is stage
        assert result.unsure is (stage is Stage.FINAL)
        assert result.try_next is not result.unsure
        assert not outcome.soon
        assert sender.connections.waiting == 0
        assert len(sink.taken) == (stage is Stage.FINAL)


@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        ({"greeting": b"554 5.7.1 go away\r\n"}, Transient("554 5.7.1 go away", 554, "4.7.1")),
        ({"greeting": b"521 no mail here\r\n"}, Permanent("521 no mail here", 521, "5.0.0")),
        ({"greeting": b"421 4.3.2 busy\r\n"}, Transient("421 4.3.2 busy", 421, "4.3.2")),
        ({"EHLO": b"554 no\r\n"}, Transient("554 no", 554, "4.0.0")),
        ({"EHLO": b"502 no\r\n", "HELO": b"450 later\r\n"}, Transient("450 later", 450, "4.0.0")),
        ({"MAIL": Drop(b"421 4.4.5 full\r\n")}, Transient("421 4.4.5 full", 421, "4.4.5")),
        ({"RCPT": Drop(b"421 4.4.5 full\r\n")}, Transient("421 4.4.5 full", 421, "4.4.5")),
        ({"DATA": Drop(b"421 4.4.5 full\r\n")}, Transient("421 4.4.5 full", 421, "4.4.5")),
    ],
)
async def test_a_server_that_does_not_want_us(sender: Sender, rules: dict[str, Rule], outcome: Any) -> None:
    with Sink(rules) as sink:
        result = await sender.send(hop(sink.port))
        assert only(result) == outcome
        assert result.try_next
        assert not result.unsure
        assert sink.taken == []


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("rules", "outcome"),
    [
        ({"MAIL": b"550 5.7.1 not you\r\n", "RCPT": b"503 5.5.1 MAIL first\r\n", "DATA": b"503 5.5.1 MAIL first\r\n"},
         Permanent("550 5.7.1 not you", 550, "5.7.1")),
        ({"MAIL": b"451 4.7.1 later\r\n", "RCPT": b"503 5.5.1 MAIL first\r\n", "DATA": b"503 5.5.1 MAIL first\r\n"},
         Transient("451 4.7.1 later", 451, "4.7.1")),
        ({"RCPT": b"550 5.1.1 no such user\r\n", "DATA": b"554 5.5.1 nobody\r\n"},
         Permanent("550 5.1.1 no such user", 550, "5.1.1")),
        ({"RCPT": b"550 5.1.1 no such user\r\n"}, Permanent("550 5.1.1 no such user", 550, "5.1.1")),
        ({"RCPT": b"450 4.2.0 greylisted\r\n", "DATA": b"503 5.5.1 RCPT first\r\n"},
         Transient("450 4.2.0 greylisted", 450, "4.2.0")),
        ({"DATA": b"554 5.7.1 no\r\n"}, Permanent("554 5.7.1 no", 554, "5.7.1")),
        ({"DATA": b"451 no\r\n"}, Transient("451 no", 451, "4.0.0")),
        ({".": b"554-5.6.0 I do not\r\n554 5.6.0 like it\r\n"}, Permanent("554 5.6.0 I do not like it", 554, "5.6.0")),
        ({".": b"451 4.3.0 disk\r\n"}, Transient("451 4.3.0 disk", 451, "4.3.0")),
        ({".": b"550 4.7.1 which?\r\n"}, Permanent("550 4.7.1 which?", 550, "5.0.0")),
        ({".": b"450 2.0.0 which?\r\n"}, Transient("450 2.0.0 which?", 450, "4.0.0")),
        ({".": b"250 5.7.1 which?\r\n"}, Delivered("250 5.7.1 which?", 250, "2.0.0")),
    ],
)  # fmt: skip
async def test_an_answer_about_the_mail_stands_and_the_connection_too(
    sender: Sender, rules: dict[str, Act], outcome: Any, pipelining: bool
) -> None:
    once = {
        word: [rule, {"DATA": b"354 go\r\n"}.get(word, b"250 2.0.0 taken as 1\r\n")] for word, rule in rules.items()
    }
    with Sink(once, extensions=("PIPELINING",) if pipelining else ()) as sink:
        result = await sender.send(hop(sink.port))
        assert only(result) == outcome
        assert (result.failed_at, result.try_next, result.unsure) == (None, False, False)
        while not isinstance(only(again := await sender.send(hop(sink.port))), Delivered):
            pass  # without pipelining some of the rules are still to come
        assert again.reused
        assert sink.connections == 1


async def test_each_recipient_has_its_own_fate(sender: Sender) -> None:
    said = {
        "no": b"550 5.1.1 no such user\r\n",
        "grey": b"450 4.7.1 come back\r\n",
        "full": b"552 5.2.2 mailbox full\r\n",
        "many": b"452 4.5.3 too many\r\n",
        "bare": b"452 too many\r\n",
    }

    def rcpt(line: str) -> bytes:
        return said.get(line.partition("<")[2].partition("@")[0], b"250 ok\r\n")

    with Sink({"RCPT": rcpt}) as sink:
        names = ("many", "a", "no", "grey", "full", "many", "bare", "b")
        result = await sender.send(hop(sink.port), None, *(f"{name}@example.net" for name in names))
        assert outcomes(result) == [
            Transient("452 4.5.3 too many", 452, "4.5.3"),  # the first one: the server has no room at all
            GOOD,
            Permanent("550 5.1.1 no such user", 550, "5.1.1"),
            Transient("450 4.7.1 come back", 450, "4.7.1"),
            Transient("552 5.2.2 mailbox full", 552, "4.2.2"),
            Transient("452 4.5.3 too many", 452, "4.5.3", soon=True),
            Transient("452 too many", 452, "4.5.3", soon=True),
            GOOD,
        ]
        assert sink.taken[0].rcpts == ["RCPT TO:<a@example.net>", "RCPT TO:<b@example.net>"]


async def test_soon_is_not_now_when_nobody_got_it(sender: Sender) -> None:
    with Sink({"RCPT": [b"250 ok\r\n", b"452 4.5.3 too many\r\n"], ".": b"451 4.3.0 disk\r\n"}) as sink:
        result = await sender.send(hop(sink.port), None, "a@example.net", "b@example.net")
        assert outcomes(result) == [
            Transient("451 4.3.0 disk", 451, "4.3.0"),
            Transient("452 4.5.3 too many", 452, "4.5.3"),
        ]


async def test_what_was_answered_before_the_loss_stands(sender: Sender) -> None:
    with Sink({"RCPT": [b"550 5.1.1 no\r\n", b"250 ok\r\n", Drop(b"421 4.3.2 down\r\n")]}) as sink:
        result = await sender.send(hop(sink.port), None, "a@example.net", "b@example.net", "c@example.net")
        assert outcomes(result) == [
            Permanent("550 5.1.1 no", 550, "5.1.1"),
            Transient("421 4.3.2 down", 421, "4.3.2"),
            Transient("421 4.3.2 down", 421, "4.3.2"),
        ]
        assert (result.failed_at, result.try_next) == (Stage.RCPT, True)


@pytest.mark.parametrize("act", [b"421 4.3.2 down\r\n", Drop(b"421 4.3.2 down\r\n")])
async def test_a_421_after_the_dot_is_an_answer(sender: Sender, act: Rule) -> None:
    with Sink({".": act}) as sink:
        result = await sender.send(hop(sink.port))
        assert only(result) == Transient("421 4.3.2 down", 421, "4.3.2")
        assert not result.unsure
        assert sender.connections.waiting == 0


async def test_lmtp_answers_for_each(sender: Sender) -> None:
    with Sink({".": [b"250 2.0.0 ok\r\n", b"452 4.2.2 full\r\n", Drop()]}, lmtp=True) as sink:
        to = [f"{name}@example.net" for name in "abc"]
        result = await sender.send(hop(sink.port, lmtp=True), None, *to)
        first, second, third = outcomes(result)
        assert first == Delivered("250 2.0.0 ok", 250, "2.0.0")
        assert second == Transient("452 4.2.2 full", 452, "4.2.2")
        assert third == Transient("451 4.4.2 The connection to the server was lost", 451, "4.4.2", local=True)
        assert result.unsure
        assert sink.lines[0] == "LHLO client.test"


async def test_a_server_with_a_limit_gets_no_more(sender: Sender) -> None:
    with Sink(extensions=("PIPELINING", "LIMITS RCPTMAX=2 MAILMAX=2")) as sink:
        result = await sender.send(hop(sink.port), None, *(f"{name}@example.net" for name in "abc"))
        first, second, third = outcomes(result)
        assert first == second == GOOD
        assert isinstance(third, Transient)
        assert (third.soon, third.local) == (True, True)
        await sender.send(hop(sink.port))
        await sender.send(hop(sink.port))
        assert sink.connections == 2


async def test_the_whole_has_an_end(sender: Sender) -> None:
    """Each answer is in time, and there are many."""
    slowly = replace(QUICK, total_s=0.5)
    with Sink({"RCPT": Repeat(b"250 ok\r\n", 0.2)}, extensions=()) as sink:
        result = await sender.send(hop(sink.port, timeouts=slowly), None, *(f"{n}@example.net" for n in range(50)))
        assert {outcome.enhanced for outcome in outcomes(result)} <= {"4.4.2", "4.5.0"}
        assert not any(isinstance(outcome, Delivered) for outcome in outcomes(result))


async def test_greeted_with_helo_when_that_is_all_it_knows(sender: Sender) -> None:
    with Sink({"EHLO": b"500 5.5.2 what?\r\n"}) as sink:
        result = await sender.send(hop(sink.port))
        assert only(result) == GOOD
        assert not result.dsn
        assert sink.lines[:3] == ["EHLO client.test", "HELO client.test", "MAIL FROM:<a@example.org>"]
