"""TLS reports go where a stranger's DNS says: that must be no way to have us write to somebody else again and again, or into a list.

A stranger needs our mail to domains of theirs, which a forward or a notice that goes back is enough for.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin import people
from poterne.lab.dns import Zones
from poterne.queue.domains import LocalDomains
from poterne.queue.tlsrpt import TlsReports
from poterne.store.interface import Store
from poterne.values.directory import Posting
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from poterne.values.tls import AppliedPolicy, PolicyKind, TlsCount
from tests.support.lines import Lines
from tests.support.name_server import stub, zones_served
from tests.support.stores import AT, Clock, sqlite

DAY = AT // 86_400
SOA = "$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n@ NS ns\nns A 192.0.2.53\n"
NONE = AppliedPolicy(PolicyKind.NONE, "evil.test")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = sqlite(tmp_path, Clock())
    acting = people.Acting("test", AT, TraceId("test"))
    await people.add_domain(store, "ours.test", acting)
    await people.add_account(store, "ann@ours.test", acting, password=Secret("correct-horse-battery"))
    await people.add_alias(store, "staff@ours.test", ["ann@ours.test"], acting, posting=Posting.LOCAL)
    yield store
    await store.close()


async def reported(store: Store, records: dict[str, str]) -> list[str]:
    """To whom reports about these domains are queued."""
    zones = Zones({domain: f'{SOA}_smtp._tls TXT "v=TLSRPTv1; rua={rua}"\n' for domain, rua in records.items()})
    await store.count_tls([TlsCount(DAY - 1, domain, NONE, 1, 0) for domain in records])
    async with zones_served(zones) as port:
        reports = TlsReports(
            store,
            stub(port),
            "mail.ours.test",
            LocalDomains(store, lambda: AT),
            clock=lambda: float(AT + 86_400),
            chance=lambda: 0.0,
            log=Lines(),
        )
        await reports.send()
        await reports.send()
    return [row.forward_path for row in await store.queued(limit=10_000)]


async def test_many_domains_that_name_one_victim(store: Store) -> None:
    found = await reported(store, {f"d{n}.evil.test": "mailto:victim@victim.test" for n in range(150)})
    assert 1 <= len(found) <= 100


async def test_spelling_makes_nobody_another(store: Store) -> None:
    spelled = [
        "VICTIM@victim.test",
        "Victim@VICTIM.test",
        "%56ictim@victim.test",
        "%22victim%22@victim.test",
        "victim+{}@victim.test",
    ]
    found = await reported(store, {f"d{n}.evil.test": f"mailto:{spelled[n % 5].format(n)}" for n in range(200)})
    assert len(found) <= 100


@pytest.mark.parametrize("rua", ["staff@ours.test", "STAFF+x@OURS.test", "nobody@ours.test"])
async def test_a_list_that_strangers_may_not_write_to_gets_none(store: Store, rua: str) -> None:
    assert await reported(store, {"evil.test": f"mailto:{rua}"}) == []


async def test_an_honest_domain_gets_its_report_here_or_elsewhere(store: Store) -> None:
    asked = {"a.test": "mailto:tls@a.test", "b.test": "mailto:ann@ours.test,mailto:tls@reports.test"}
    assert sorted(await reported(store, asked)) == ["ann@ours.test", "tls@a.test", "tls@reports.test"]


@pytest.mark.parametrize("rua", ["x@[127.0.0.1]", "x@[IPv6:::1]", "a%25b@victim.test", "a!b@victim.test"])
async def test_addresses_that_nobody_may_write_to(store: Store, rua: str) -> None:
    assert await reported(store, {"evil.test": f"mailto:{rua}"}) == []
