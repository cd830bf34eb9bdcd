"""What leaves is what was stored, and nothing that another server could read as something else."""

import binascii
import email
import email.policy
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from poterne.queue.outcome import Delivered, Permanent, Stage, Transient
from tests.support.outbound import QUICK, Sender, hop, only, outcomes, recipient
from tests.support.sink import EXTENSIONS, Drop, Sink, Stall

HEADER = b"From: a@example.org\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
SEVEN_BIT = tuple(word for word in EXTENSIONS if word not in {"8BITMIME", "SMTPUTF8"})


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with Sender(tmp_path / "blobs") as sender:
        yield sender


@pytest.mark.parametrize(
    "text",
    [
        b".\r\n",
        b"..\r\n.\r\n\r\n.",
        b"no end of line",
        b"",
        b"a: b\r\n\r\n" + b"." * 998 + b"\r\n",
        b"a: b\r\n\r\n" + b".\r\n" * 200_000,
        b"a: b\r\n\r\n" + (b"x" * 70 + b"\r\n") * 40_000,
    ],
    ids=["dot", "dots", "no-eol", "empty", "998", "many-dots", "large"],
)
async def test_every_octet_arrives(sender: Sender, text: bytes) -> None:
    with Sink() as sink:
        for _ in range(2):
            assert isinstance(only(await sender.send(hop(sink.port), await sender.message(text))), Delivered)
        ended = text if not text or text.endswith(b"\r\n") else text + b"\r\n"
        assert [taken.text for taken in sink.taken] == [ended, ended]


async def test_what_only_final_delivery_shows_stays(sender: Sender) -> None:
    for filler in (b"", b"x" * 70 + b"\r\n"):
        kept = b"Return-Path: <secret@example.org>\r\n"
        rest = b"From: a@example.org\r\n\r\nhello\r\n" + filler * 10_000
        with Sink() as sink:
            assert isinstance(
                only(await sender.send(hop(sink.port), await sender.message(kept + rest, start=35))), Delivered
            )
            assert sink.taken[0].text == rest
            assert f"SIZE={len(rest)}" in sink.taken[0].mail


@pytest.mark.parametrize("octets", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\0", b"\r\r\n", b"\r"])
@pytest.mark.parametrize("large", [False, True])
async def test_nothing_leaves_that_could_hide_a_second_message(sender: Sender, octets: bytes, large: bool) -> None:
    filler = (b"x" * 70 + b"\r\n") * (10_000 if large else 1)
    text = b"From: a@example.org\r\n\r\n" + filler + b"a" + octets + b"MAIL FROM:<evil@example.org>\r\n"
    with Sink() as sink:
        result = await sender.send(hop(sink.port), await sender.message(text))
        outcome = only(result)
        assert isinstance(outcome, Permanent)
        assert (outcome.enhanced, outcome.local) == ("5.6.0", True)
        assert (result.try_next, result.unsure, result.failed_at) == (False, False, None)
        assert sink.taken == []
        assert isinstance(only(await sender.send(hop(sink.port))), Delivered)
        assert len(sink.taken) == 1


async def test_8bit_text_for_an_old_server(sender: Sender) -> None:
    text = HEADER + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + "Œuf à la coque =\r\n.\r\n".encode()
    with Sink() as sink:
        await sender.send(hop(sink.port), await sender.message(text))
        assert sink.taken[0].mail.endswith(" BODY=8BITMIME")
        assert sink.taken[0].text == text
    with Sink(extensions=SEVEN_BIT) as sink:
        await sender.send(hop(sink.port), await sender.message(text))
        (taken,) = sink.taken
        assert taken.text.isascii()
        assert "BODY" not in taken.mail
        assert f"SIZE={len(taken.text)}" in taken.mail
        read = email.message_from_bytes(taken.text, policy=email.policy.default)
        assert read["Content-Transfer-Encoding"] == "quoted-printable"
        assert read.get_content() == "Œuf à la coque =\r\n.\r\n"
        signed = b"DKIM-Signature: v=1; d=example.org\r\n" + text
        outcome = only(await sender.send(hop(sink.port), await sender.message(signed)))
        assert isinstance(outcome, Permanent)
        assert (outcome.enhanced, outcome.local) == ("5.6.3", True)
        assert "DKIM" in outcome.reply
        # The connection was not harmed.
        assert (await sender.send(hop(sink.port))).reused


@pytest.mark.parametrize("size", [999, 5_000, 300_000])
async def test_long_lines_are_encoded(sender: Sender, size: int) -> None:
    text = HEADER + b"\r\nfirst\r\n" + b"y" * size + b"\r\nlast\r\n"
    with Sink() as sink:
        assert isinstance(only(await sender.send(hop(sink.port), await sender.message(text))), Delivered)
        sent = sink.taken[0].text
        assert max(map(len, sent.split(b"\r\n"))) <= 998
        _, _, body = sent.partition(b"\r\n\r\n")
        assert binascii.a2b_qp(body) == b"first\r\n" + b"y" * size + b"\r\nlast\r\n"


async def test_a_long_line_in_a_message_too_large_to_encode(sender: Sender) -> None:
    text = HEADER + b"\r\n" + (b"x" * 998 + b"\r\n") * 9_000 + b"y" * 999 + b"\r\n"
    with Sink() as sink:
        outcome = only(await sender.send(hop(sink.port), await sender.message(text)))
        assert isinstance(outcome, Permanent)
        assert outcome.enhanced == "5.6.3"
        assert sink.taken == []


@pytest.mark.parametrize(
    ("reverse_path", "text", "to", "expected"),
    [
        ("é@example.org", b"Subject: x\r\n\r\nx\r\n", ("b@example.net",), ["5.6.7"]),
        ("a@example.org", "Subject: é\r\n\r\nx\r\n".encode(), ("b@example.net",), ["5.6.7"]),
        ("a@example.org", b"Subject: x\r\n\r\nx\r\n", ("b@example.net",), ["2.0.0"]),
        ("a@example.org", b"Subject: x\r\n\r\nx\r\n", ("b@example.net", "é@example.net"), ["2.0.0", "5.6.7"]),
        ("a@example.org", HEADER + "\r\né\r\n".encode(), ("b@example.net",), ["2.0.0"]),
        (
            "a@example.org",
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Description: \xc3\xa9\r\n\r\nx\r\n--b--\r\n",
            ("b@example.net",),
            ["5.6.7"],
        ),
    ],
)
async def test_international_mail_for_a_server_that_takes_none(
    sender: Sender, reverse_path: str, text: bytes, to: tuple[str, ...], expected: list[str]
) -> None:
    message = await sender.message(text, reverse_path=reverse_path, smtputf8=True)
    with Sink(extensions=SEVEN_BIT) as sink:
        result = await sender.send(hop(sink.port), message, *to)
        assert [outcome.enhanced for outcome in outcomes(result)] == expected
        assert len(sink.taken) == ("2.0.0" in expected)
        assert all(line.isascii() for line in sink.lines)
    with Sink() as sink:
        result = await sender.send(hop(sink.port), message, *to)
        assert {outcome.enhanced for outcome in outcomes(result)} == {"2.0.0"}
        assert " SMTPUTF8" in sink.taken[0].mail
        assert sink.taken[0].text == text


async def test_dsn_parameters_are_passed_to_who_takes_them(sender: Sender) -> None:
    message = await sender.message(ret="HDRS", envid="id+1=x")
    to = recipient(message, "b@example.net", notify="SUCCESS,DELAY", orcpt="rfc822;b+2Bx@example.net")
    with Sink() as sink:
        assert (await sender.send(hop(sink.port), message, to)).dsn
        assert sink.taken[0].mail.endswith(" RET=HDRS ENVID=id+2B1+3Dx")
        assert sink.taken[0].rcpts == ["RCPT TO:<b@example.net> NOTIFY=DELAY,SUCCESS ORCPT=rfc822;b+2Bx@example.net"]
    with Sink(extensions=("PIPELINING",)) as sink:
        assert not (await sender.send(hop(sink.port), message, to)).dsn
        assert sink.taken[0].rcpts == ["RCPT TO:<b@example.net>"]


async def test_a_message_larger_than_the_server_takes(sender: Sender) -> None:
    with Sink(extensions=("PIPELINING", "SIZE 50")) as sink:
        outcome = only(await sender.send(hop(sink.port)))
        assert isinstance(outcome, Permanent)
        assert outcome.enhanced == "5.3.4"
        assert not any(line.startswith("MAIL") for line in sink.lines)


LARGE = b"From: a@example.org\r\n\r\n" + (b"x" * 70 + b"\r\n") * 100_000


@pytest.mark.parametrize(
    ("during", "expected", "stage"),
    [
        (
            Drop(b"552 5.3.4 too large after all\r\n"),
            Permanent("552 5.3.4 too large after all", 552, "5.3.4"),
            Stage.DATA,
        ),
        (Drop(b"452 4.3.1 disk\r\n"), Transient("452 4.3.1 disk", 452, "4.3.1"), Stage.DATA),
        (Drop(b"421 4.3.2 down\r\n"), Transient("421 4.3.2 down", 421, "4.3.2"), Stage.DATA),
        (Drop(), "4.4.2", Stage.DATA),
        (Drop(reset=True), "4.4.2", Stage.DATA),
        (Drop(b"250 2.0.0 taken already\r\n"), "4.5.0", Stage.DATA),
    ],
)
async def test_a_server_that_breaks_off_in_the_middle(
    sender: Sender, during: Drop, expected: Permanent | Transient | str, stage: Stage
) -> None:
    with Sink({"during": during}) as sink:
        result = await sender.send(hop(sink.port), await sender.message(LARGE))
        outcome = only(result)
        # The kernel's reset may destroy the last words on their way.
        assert outcome == expected or outcome.enhanced in {expected, "4.4.2"}
        assert not isinstance(outcome, Delivered)
        assert (result.failed_at, result.unsure) == (stage, False)
        assert sink.taken == []


async def test_a_server_that_stops_taking(sender: Sender) -> None:
    with Sink({"during": Stall()}) as sink:
        patience = replace(QUICK, block_s=0.5)
        result = await sender.send(hop(sink.port, timeouts=patience), await sender.message(LARGE * 4))
        text = "451 4.4.2 The server took the message too slowly"
        assert only(result) == Transient(text, 451, "4.4.2", local=True)
        assert (result.failed_at, result.unsure, result.try_next) == (Stage.DATA, False, True)
