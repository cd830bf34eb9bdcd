"""Signing keys, on every engine."""

from dataclasses import replace

import pytest

from poterne.store.errors import ConflictError, NotFoundError, UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.values.dkim import KeyState
from poterne.values.secret import Secret
from tests.support.stores import AT, World, event
from tests.support.verifying import KEY


async def test_a_key_and_its_life(world: World) -> None:
    store = world.store
    assert await store.dkim_keys() == []
    await store.add_dkim_key(KEY, event("dkim.added"))
    assert await store.dkim_keys() == [KEY] == await store.dkim_keys("Example.ORG")
    (kept,) = await store.dkim_keys()
    assert kept.private.reveal() == b"-----BEGIN PRIVATE KEY-----"
    seen = await store.set_dkim_key("example.org", "s1", None, seen_at=AT + 5, now=AT + 6)
    assert seen == replace(KEY, seen_at=AT + 5)
    active = await store.set_dkim_key("Example.org", "S1", event("dkim.active"), state=KeyState.ACTIVE, now=AT + 7)
    assert active == replace(KEY, seen_at=AT + 5, state=KeyState.ACTIVE, changed_at=AT + 7)
    again = await store.set_dkim_key("example.org", "s1", None, state=KeyState.ACTIVE, now=AT + 9)
    assert again == active
    assert await store.dkim_keys("example.org") == [active]
    assert [len(await store.events(kind=f"dkim.{kind}")) for kind in ("added", "active")] == [1, 1]


async def test_by_domain_then_oldest_first(world: World) -> None:
    store = world.store
    await store.add_domain("a.example", event())
    new = replace(KEY, selector="a", created_at=AT + 9)
    other = replace(KEY, domain="A.example", selector="S1")
    for key in (new, KEY, other):
        await store.add_dkim_key(key, event())
    assert await store.dkim_keys() == [replace(other, domain="a.example", selector="s1"), KEY, new]
    assert await store.dkim_keys("example.org") == [KEY, new]
    assert await store.dkim_keys("b.example") == []


async def test_a_selector_is_used_once_for_ever(world: World) -> None:
    store = world.store
    await store.add_dkim_key(KEY, event())
    with pytest.raises(ConflictError):
        await store.add_dkim_key(replace(KEY, private=Secret("other")), event("dkim.added"))
    await store.remove_dkim_key("example.org", "S1", event("dkim.removed"))
    assert await store.dkim_keys() == []
    for act in (
        store.remove_dkim_key("example.org", "s1", event("dkim.removed")),
        store.set_dkim_key("example.org", "s1", event("dkim.active"), state=KeyState.ACTIVE, now=AT),
        store.add_dkim_key(replace(KEY, domain="elsewhere.example"), event("dkim.added")),
    ):
        with pytest.raises(NotFoundError):
            await act
    with pytest.raises(ConflictError):
        await store.add_dkim_key(replace(KEY, selector="S1"), event("dkim.added"))
    assert [len(await store.events(kind=f"dkim.{kind}")) for kind in ("removed", "added", "active")] == [1, 0, 0]


async def test_keys_go_with_their_domain(world: World) -> None:
    store = world.store
    await store.add_domain("other.example", event())
    theirs = replace(KEY, domain="other.example")
    for key in (KEY, theirs):
        await store.add_dkim_key(key, event())
    await store.remove_domain("other.example", event())
    assert await store.dkim_keys() == [KEY]
    await store.add_domain("other.example", event())
    assert await store.dkim_keys() == [KEY]
    with pytest.raises(ConflictError):  # what it signed then may still be on its way
        await store.add_dkim_key(theirs, event())


@pytest.mark.parametrize("fails", Fails)
async def test_each_change_that_fails(world: World, fails: Fails) -> None:
    store, done = world.store, fails is Fails.AFTER
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).add_dkim_key(KEY, event("dkim.added"))
    assert await store.dkim_keys() == ([KEY] if done else [])
    if not done:
        await store.add_dkim_key(KEY, event())
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).set_dkim_key(
            "example.org", "s1", event("dkim.active"), state=KeyState.ACTIVE, now=AT
        )
    (key,) = await store.dkim_keys()
    assert key.state is (KeyState.ACTIVE if done else KeyState.NEXT)
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).remove_dkim_key("example.org", "s1", event("dkim.removed"))
    assert await store.dkim_keys() == ([] if done else [key])
    with pytest.raises(UnavailableError):
        await failing(store, FailurePlan(1, fails)).dkim_keys()
    for kind in ("added", "active", "removed"):
        assert len(await store.events(kind=f"dkim.{kind}")) == done


async def test_a_domain_behind_us_may_have_keys(world: World) -> None:
    theirs = replace(KEY, domain="behind.example")
    await world.store.add_dkim_key(theirs, event("dkim.added"), relayed=True)
    assert await world.store.dkim_keys("behind.example") == [theirs]
    with pytest.raises(ConflictError):
        await world.store.add_dkim_key(theirs, event("dkim.added"), relayed=True)
