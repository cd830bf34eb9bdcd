"""What was seen of DNS and of lists, and who forwards to an account, on every engine."""

from dataclasses import replace

import pytest

from poterne.store.errors import LimitError, NotFoundError, UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.values.history import ListSeen
from poterne.values.ids import AccountId
from poterne.values.watch import DnsFinding
from tests.support.stores import AT, World, event

MX = DnsFinding("example.org", "D02", "fail", "no MX", AT)
SPF = DnsFinding("example.org", "D07", "ok", "", AT - 9)
SEEN = ListSeen("dev.lists.example", "lists.example", AT, AT + 5, 2)


async def test_findings_replace_the_earlier_ones(world: World) -> None:
    store = world.store
    assert await store.dns_findings("example.org") == []
    await store.set_dns_findings("example.org", [SPF, MX], [event("dns.changed")])
    await store.set_dns_findings("other.example", [replace(MX, domain="other.example")], [])
    assert await store.dns_findings("Example.org") == [MX, SPF]
    await store.set_dns_findings("example.org", [replace(MX, outcome="ok")], [])
    assert await store.dns_findings("example.org") == [replace(MX, outcome="ok")]
    assert len(await store.dns_findings("other.example")) == 1
    assert len(await store.events(kind="dns.changed")) == 1
    await store.set_dns_findings("example.org", [], [])
    assert await store.dns_findings("example.org") == []


async def test_findings_go_with_their_domain(world: World) -> None:
    await world.store.add_domain("other.example", event())
    await world.store.set_dns_findings("other.example", [replace(MX, domain="other.example")], [])
    await world.store.set_dns_findings("example.org", [MX], [])
    await world.store.remove_domain("other.example", event())
    assert await world.store.dns_findings("other.example") == []
    assert await world.store.dns_findings("example.org") == [MX]


async def test_lists_add_up(world: World) -> None:
    store = world.store
    assert store.list_seen(SEEN.list_id, SEEN.domain) is None
    await store.note_lists([SEEN, replace(SEEN, domain="other.example")])
    assert store.list_seen(SEEN.list_id, SEEN.domain) == SEEN
    later = replace(SEEN, first_at=AT + 50, last_at=AT + 60, messages=3)
    earlier = replace(SEEN, first_at=AT - 5, last_at=AT - 5, messages=1)
    await store.note_lists([later, earlier])
    expected = replace(SEEN, first_at=AT - 5, last_at=AT + 60, messages=6)
    assert store.list_seen(SEEN.list_id, SEEN.domain) == expected
    assert store.list_seen(SEEN.list_id, "other.example") == replace(SEEN, domain="other.example")
    assert store.list_seen(SEEN.list_id, "none.example") is None


async def test_forwarders(world: World) -> None:
    store = world.store
    assert (await store.account_by_id(world.alice)).forwarders == ()
    await store.set_forwarders(world.alice, ["Uni.example", "club.example", "uni.example"], event("forwarders"))
    assert (await store.account("alice@example.org")).forwarders == ("uni.example", "club.example")
    (alice,) = await store.accounts()
    assert alice.forwarders == ("uni.example", "club.example")
    await store.set_forwarders(world.alice, [], event("forwarders"))
    assert (await store.account_by_id(world.alice)).forwarders == ()
    with pytest.raises(NotFoundError):
        await store.set_forwarders(AccountId(99), ["uni.example"], event("forwarders"))
    with pytest.raises(LimitError):
        await store.set_forwarders(world.alice, [f"{number}.example" for number in range(101)], event("forwarders"))
    assert len(await store.events(kind="forwarders")) == 2


@pytest.mark.parametrize("fails", Fails)
async def test_each_change_that_fails(world: World, fails: Fails) -> None:
    store, done = world.store, fails is Fails.AFTER
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).set_dns_findings("example.org", [MX], [event("dns.changed")])
    assert await store.dns_findings("example.org") == [MX] * done
    assert len(await store.events(kind="dns.changed")) == done
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).note_lists([SEEN])
    assert store.list_seen(SEEN.list_id, SEEN.domain) == (SEEN if done else None)
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).set_forwarders(world.alice, ["a.example"], event("forwarders"))
    assert (await store.account_by_id(world.alice)).forwarders == ("a.example",) * done
    with pytest.raises(UnavailableError):
        failing(store, FailurePlan(1, fails)).list_seen(SEEN.list_id, SEEN.domain)
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).dns_findings("example.org")
