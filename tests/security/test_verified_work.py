"""What one message of a stranger costs us: questions to name servers, and time in which nobody else is served.

Each question goes where the stranger wants it to go, and takes one of few places while nobody answers.
"""

import asyncio
import time
from typing import TypeVar

import pytest

from poterne.mailauth.arc import outcome as arc
from poterne.message.author import Author, author
from poterne.message.header import index
from poterne.session.smtp.checks import Checks, Findings, Spoken
from poterne.values.address import Address
from poterne.values.dns import Answer, Failure, Found, Kind, NxDomain, TempFail
from tests.support.attack_client import Target
from tests.unit.mailauth.arc import sealed
from tests.unit.mailauth.dkim.signed import NOW

R = TypeVar("R")


class Asked:
    """DNS of a forger, who answers with the keys it has and lets everything else wait for nothing."""

    def __init__(self, keys: dict[str, Answer[bytes]], texts: dict[str, str] | None = None) -> None:
        self.names: list[str] = []
        self.at_once = self.most_at_once = 0
        self._keys = keys
        self._texts = texts or {}

    def known(self, name: str, kind: Kind[R], /) -> Answer[R] | None:
        return None

    async def query(self, name: str, kind: Kind[R], /) -> Answer[R]:
        self.names.append(name)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if name in self._texts:
            return Found((self._texts[name].encode(),), name, secure=False, ttl_s=300)  # type: ignore[arg-type]
        if name in self._keys:
            return self._keys[name]  # type: ignore[return-value]
        return TempFail(Failure.TIMEOUT, "no answer") if "slow" in name else NxDomain(secure=False, ttl_s=300)


async def checked(data: bytes, names: Asked, sender: str = "x@evil.test") -> tuple[Findings, float]:
    """What the checks find out, and the longest time that the loop was held up at the end, in seconds."""
    header = index(data)
    named = author(header, smtputf8=False)
    assert isinstance(named, Author)
    checks = Checks(
        names,
        Spoken("192.0.2.66", "mx.evil.test", "mail.ours.test", names, NOW),
        Address.parse(sender),
        "mail.ours.test",
        20.0,
        NOW,
    )
    checks.begin(header, named)
    checks.feed(data[header.end :])
    for _ in range(100):  # turns of the loop: all answers are there
        await asyncio.sleep(0)
    begun = time.process_time()
    found = await checks.finish()
    return found, time.process_time() - begun


@pytest.mark.parametrize("hops", [3, 12])
async def test_a_chain_as_they_are_is_verified(hops: int) -> None:
    names = Asked(dict(sealed.answers()))
    found, _ = await checked(sealed.message(sealed.chain(hops)), names)
    assert found.arc.result is arc.Result.PASS
    assert len(found.arc.sealers) == hops


async def test_a_long_chain_costs_no_questions_and_no_time() -> None:
    names = Asked({})
    found, took_s = await checked(sealed.message(sealed.chain(50)), names)
    assert (found.arc.result, found.arc.temporary) == (arc.Result.FAIL, False)
    assert not [name for name in names.names if "hop" in name]
    assert took_s < 0.05


async def test_questions_of_one_message_are_few() -> None:
    """Everything at once: mx and ptr in SPF, nine signatures of many domains, a chain, an author far below its organisation."""
    deep = "a.b.c.d.e.f.evil.test"
    mechanisms = " ".join(f"mx:m{n}.evil.test" for n in range(12))
    texts = dict.fromkeys(("evil.test", "mx.evil.test"), f"v=spf1 {mechanisms} -all")
    signatures = b"".join(
        b"DKIM-Signature: v=1; a=rsa-sha256; d=%d.slow.test; s=s; h=from; bh=%b; b=AAAA\r\n" % (n, b"A" * 43 + b"=")
        for n in range(30)
    )
    data = signatures + sealed.message(sealed.chain(12), fields=[b"From: x@%b\r\n" % deep.encode()])
    names = Asked({}, texts)
    await checked(data, names)
    assert len(names.names) <= 100
    assert names.most_at_once <= 40


@pytest.mark.parametrize("line", [b"a:\r\n", b"X: a\r\n \r\n", b"no field\r\n"])
def test_a_header_of_very_many_lines_is_refused_before_it_is_read(world: Target, line: bytes) -> None:
    """Each costs some microseconds, however short it is: 128 KiB of them held everybody up for 70 ms."""
    header = (b"From: x@evil.test\r\n" + line * 25_000)[:120_000].rpartition(b"\r\n")[0]
    assert world.deliver(world.account(), header + b"\r\n\r\nbody").startswith(b"552 5.3.4")
    few = b"From: x@evil.test\r\n" + b"X: a\r\n" * 4_000
    assert world.deliver(world.account(), few + b"\r\nbody").startswith(b"250")
