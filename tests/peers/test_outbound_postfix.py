"""We send to Debian's Postfix: everything that it offers is used, and nothing is changed on the way."""

import asyncio
import email
import email.policy
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from poterne.queue.outcome import Delivered, Hop, HopTimeouts, Permanent, TlsDemand
from tests.support.outbound import Sender, outcomes, recipient
from tests.support.peer_postfix import BINARY
from tests.support.peer_postfix_inbound import NAME, Receiver, receiver
from tests.support.peer_tools import awkward_letters, letter

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not BINARY.exists(), reason="postfix is not installed (see .ci/peers)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix must be started by root"),
]


@pytest.fixture(scope="module")
def postfix() -> Iterator[Receiver]:
    with receiver() as running:
        yield running
        assert "warning:" not in running.log, running.log


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with Sender(tmp_path / "blobs") as sender:
        yield sender


def there(postfix: Receiver, kind: str = "new") -> Hop:
    verified = Hop(
        "127.0.0.1",
        postfix.ports[kind],
        NAME,
        "client.test",
        tls=TlsDemand.VERIFIED,
        ca_file=postfix.authority.file,
        timeouts=HopTimeouts(command_s=20, final_s=30),
    )
    if kind == "old":
        return replace(verified, tls=TlsDemand.OPPORTUNISTIC)
    return replace(verified, implicit_tls=kind == "implicit")


async def deliver(sender: Sender, postfix: Receiver, text: bytes, kind: str = "new", **facts: object) -> bytes:
    """Sent to ada; what she got."""
    before = len(postfix.mails("ada"))
    result = await sender.send(there(postfix, kind), await sender.message(text, **facts), "ada@peers.test")
    assert isinstance(outcomes(result)[0], Delivered), result
    assert result.tls.verified is (kind != "old")
    return await asyncio.to_thread(postfix.wait, "ada", before + 1)


@pytest.mark.parametrize("kind", ["new", "implicit"])
@pytest.mark.parametrize("name", [*awkward_letters()])
async def test_bytes_are_kept(sender: Sender, postfix: Receiver, name: str, kind: str) -> None:
    wanted = awkward_letters()[name]
    got = await deliver(sender, postfix, wanted, kind)
    assert got.endswith(wanted.removesuffix(b"\r\n") + b"\r\n")
    assert b"using TLSv1.3" in got


async def test_a_big_message(sender: Sender, postfix: Receiver) -> None:
    wanted = letter(
        "big", b"".join(b".%d dots and more of them, to be stuffed\r\n" % number for number in range(500_000))
    )
    assert (await deliver(sender, postfix, wanted)).endswith(wanted)


async def test_many_on_one_connection(sender: Sender, postfix: Receiver) -> None:
    before = len(postfix.mails("bob"))
    message = await sender.message(letter("again"))
    reused = []
    for _ in range(5):
        result = await sender.send(there(postfix), message, "bob@peers.test", "nobody@peers.test")
        good, bad = outcomes(result)
        assert isinstance(good, Delivered)
        assert isinstance(bad, Permanent)
        assert bad.enhanced == "5.1.1"
        reused.append(result.reused)
    assert reused == [False, True, True, True, True]
    await asyncio.to_thread(postfix.wait, "bob", before + 5)


async def test_nobody_is_there_and_the_connection_goes_on(sender: Sender, postfix: Receiver) -> None:
    message = await sender.message(letter("x"))
    for reused in (False, True):
        result = await sender.send(there(postfix), message, "nobody@peers.test", "other@elsewhere.test")
        assert [outcome.enhanced for outcome in outcomes(result)] == ["5.1.1", "5.7.1"]
        assert result.reused is reused
    assert isinstance(outcomes(await sender.send(there(postfix), message, "ada@peers.test"))[0], Delivered)


async def test_an_international_address(sender: Sender, postfix: Receiver) -> None:
    before = len(postfix.mails("elodie"))
    text = letter("été", "à bientôt\r\n".encode()).replace(b"<ada@", "<é@".encode())
    message = await sender.message(text, reverse_path="é@elsewhere.test", smtputf8=True, eight_bit=True)
    result = await sender.send(there(postfix), message, "élodie@peers.test")
    assert isinstance(outcomes(result)[0], Delivered), result
    assert (await asyncio.to_thread(postfix.wait, "elodie", before + 1)).endswith(text)
    result = await sender.send(there(postfix, "old"), message, "élodie@peers.test")
    assert [outcome.enhanced for outcome in outcomes(result)] == ["5.6.7"]


async def test_an_old_server_gets_7_bits(sender: Sender, postfix: Receiver) -> None:
    text = awkward_letters()["eight-bit"]
    got = await deliver(sender, postfix, text, "old", eight_bit=True)
    assert got.isascii()
    read = email.message_from_bytes(got, policy=email.policy.default)
    assert read["Content-Transfer-Encoding"] == "quoted-printable"
    wanted = email.message_from_bytes(text, policy=email.policy.default)
    assert read.get_payload(decode=True) == wanted.get_payload(decode=True)
    assert "ESMTP id" in str(read["Received"])


async def test_success_is_told_when_asked_for(sender: Sender, postfix: Receiver) -> None:
    before = len(postfix.mails("bob"))
    message = await sender.message(letter("tell me"), reverse_path="bob@peers.test", envid="our+id=1", ret="HDRS")
    to = recipient(message, "ada@peers.test", notify="SUCCESS", orcpt="rfc822;ada+2Bx@elsewhere.test")
    result = await sender.send(there(postfix), message, to)
    assert result.dsn
    notice = email.message_from_bytes(await asyncio.to_thread(postfix.wait, "bob", before + 1))
    report = notice.as_string()
    assert "Original-Envelope-Id: our+id=1\n" in report
    assert "Original-Recipient: rfc822;ada+x@elsewhere.test\n" in report
    assert "Action: delivered" in report
