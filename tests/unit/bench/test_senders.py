"""The letters of the signed scenarios pass what they are to pass, with the DNS of the run; a changed one does not."""

import pytest

from bench.senders import FORGER, FORGERS_PEER, PEER, Senders
from poterne.mailauth.dkim.outcome import Outcome
from poterne.mailauth.dkim.record import KeyType
from poterne.mailauth.dkim.verify import Verifier
from poterne.mailauth.dmarc import outcome as dmarc
from poterne.mailauth.dmarc.check import evaluated
from poterne.mailauth.spf.check import answered, check_host, mail_from
from poterne.mailauth.spf.outcome import Outcome as SpfOutcome
from poterne.message.header import index
from poterne.net.dns.resolver import StubResolver
from poterne.values.address import Address
from tests.support.checked import served
from tests.support.name_server import stub

SIZE_BYTES = 4096
BOTH = (KeyType.RSA, KeyType.ED25519)


@pytest.fixture(scope="module")
def senders() -> Senders:
    return Senders()


async def spf(resolver: StubResolver, peer: str, address: str) -> SpfOutcome:
    return await answered(check_host(mail_from(peer, Address.parse(address), "x.example")), resolver)


async def dkim(resolver: StubResolver, letter: bytes, now_s: int) -> tuple[Outcome, ...]:
    header = index(letter)
    verifier = Verifier(header, now_s)
    verifier.feed(letter[header.end :])
    return verifier.finish({name: await resolver.txt(name) for name in verifier.names})


@pytest.mark.parametrize("kinds", [(KeyType.RSA,), BOTH])
async def test_an_honest_letter_passes_all_three(senders: Senders, kinds: tuple[KeyType, ...]) -> None:
    letter, author = senders.letter(3, SIZE_BYTES, kinds), senders.author(3)
    assert len(letter) > SIZE_BYTES
    with served(senders.zones()) as (_, port):
        resolver = stub(port)
        sent = await spf(resolver, PEER, author)
        signed = await dkim(resolver, letter, 2_000_000_000)
        found = await evaluated(author.rpartition("@")[2], (sent,), signed, resolver)
        resolver.close()
    assert sent.authenticates
    assert [one.authenticates for one in signed] == [True] * len(kinds)
    assert found.result is dmarc.Result.PASS
    assert found.aligned_spf
    assert found.aligned_dkim


async def test_a_forgery_fails_by_dmarc_only(senders: Senders) -> None:
    letter = senders.letter(0, SIZE_BYTES, (KeyType.RSA,)).replace(b"invoice", b"INVOICE")
    with served(senders.zones()) as (_, port):
        resolver = stub(port)
        sent = await spf(resolver, FORGERS_PEER, f"x@{FORGER}")
        signed = await dkim(resolver, letter, 2_000_000_000)
        found = await evaluated(senders.author(0).rpartition("@")[2], (sent,), signed, resolver)
        resolver.close()
    assert sent.authenticates
    assert [one.authenticates for one in signed] == [False]
    assert (found.result, found.requested) == (dmarc.Result.FAIL, dmarc.Policy.REJECT)
