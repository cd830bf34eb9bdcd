"""With a real resolver and a real name server: what exists, aliases, wildcards, long records."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from poterne.lab.dns import Zones
from poterne.mailauth.dmarc import check
from poterne.mailauth.dmarc.outcome import Policy, Reason, Result
from poterne.net.dns.resolver import StubResolver
from tests.support.name_server import stub, zones_served
from tests.unit.mailauth.dmarc.zone import mail_from, signed

SOA = "$TTL 300\n@ SOA ns.test. root.test. 1 60 60 60 60\n@ NS ns.test.\n"
ZONES = {
    "test": SOA
    + """
_dmarc.corp TXT "v=DMARC1; p=quarantine; sp=none; " "np=reject; rua=mailto:dmarc@corp.test"
mail.corp A 192.0.2.1
host.dept.corp A 192.0.2.1
_dmarc.alias CNAME _dmarc.corp
_dmarc.wide TXT "v=DMARC1; p=none; np=reject"
*.wide TXT "anything"
""",
}


@pytest_asyncio.fixture
async def resolver() -> AsyncIterator[StubResolver]:
    async with zones_served(Zones(ZONES)) as port:
        yield stub(port)


@pytest.mark.parametrize(
    ("author", "requested", "tag"),
    [
        ("corp.test", Policy.QUARANTINE, "p"),
        ("mail.corp.test", Policy.NONE, "sp"),
        ("dept.corp.test", Policy.NONE, "sp"),  # exists for what is below it
        ("nothing.corp.test", Policy.REJECT, "np"),
        ("a.nothing.corp.test", Policy.REJECT, "np"),
        ("alias.test", Policy.QUARANTINE, "p"),
        ("made-up.wide.test", Policy.NONE, "p"),  # a wildcard makes it exist
    ],
)
async def test_policies(resolver: StubResolver, author: str, requested: Policy, tag: str) -> None:
    outcome = await check.evaluated(author, [], [], resolver)
    assert (outcome.result, outcome.requested, outcome.applied_tag) == (Result.FAIL, requested, tag)


async def test_alignment(resolver: StubResolver) -> None:
    outcome = await check.evaluated("mail.corp.test", [mail_from("bounce.corp.test")], [signed("corp.test")], resolver)
    assert (outcome.result, outcome.aligned_spf, outcome.aligned_dkim) == (
        Result.PASS,
        "bounce.corp.test",
        ("corp.test",),
    )
    assert outcome.rua == ("mailto:dmarc@corp.test",)
    asked = resolver.counts.cached
    again = await check.evaluated("mail.corp.test", [mail_from("bounce.corp.test")], [signed("corp.test")], resolver)
    assert again == outcome
    assert resolver.counts.cached == asked + 5


async def test_no_name_server_is_a_temperror() -> None:
    outcome = await check.evaluated("corp.test", [], [signed("corp.test")], stub(9))
    assert (outcome.result, outcome.reason) == (Result.TEMPERROR, Reason.DNS)
