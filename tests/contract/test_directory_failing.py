"""Each change of the directory fails in turn: before it, nothing has happened; after it, all of it, with its event."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from poterne.store.errors import StoreError, UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.store.interface import Store
from poterne.values.directory import Posting
from poterne.values.ids import AccountId, SenderId
from poterne.values.secret import Secret
from poterne.values.sender import SenderScope, SenderState
from poterne.values.sending import SendingLimits
from tests.support.stores import AT, Clock, Factory, World, event

Step = Callable[[Store], Awaitable[object]]
ALICE, SHOP = AccountId(1), SenderId(1)
SCOPE = SenderScope(("shop@example.org",), ("*",))
STEPS: tuple[tuple[str, Step], ...] = (
    ("limits", lambda s: s.set_limits(ALICE, SendingLimits(1, 2, 3, 4), event("limits"))),
    ("forwards", lambda s: s.set_forwards(ALICE, ["x@one.example"], False, event("forwards"))),
    (
        "alias",
        lambda s: s.add_alias(
            "team@example.org",
            ["alice@example.org"],
            event("alias"),
            forwards=["y@one.example"],
            posting=Posting.LISTED,
            posters=["alice@example.org"],
        ),
    ),
    ("sender", lambda s: s.add_sender("shop", ALICE, SCOPE, Secret("x"), 0, event("sender"))),
    ("approved", lambda s: s.set_sender(SHOP, event("approved"), state=SenderState.ACTIVE)),
    ("unalias", lambda s: s.remove_alias("team@example.org", event("unalias"))),
    ("gone", lambda s: s.remove_account(ALICE, event("gone"))),
)


async def state(store: Store) -> object:
    """All that can be seen of the directory."""
    try:
        mailboxes = len(await store.mailboxes(ALICE))
    except StoreError:
        mailboxes = 0
    routes = [await store.route(name, "example.org") for name in ("alice", "team", "postmaster")]
    return await store.accounts(), await store.aliases(), await store.senders(), routes, mailboxes


async def kinds(store: Store) -> list[str]:
    return [found.kind for found in await store.events(limit=100)]


@pytest.mark.parametrize("fails", Fails)
@pytest.mark.parametrize("number", range(len(STEPS)), ids=[name for name, _ in STEPS])
async def test_every_change_in_turn(engine: Factory, tmp_path: Path, number: int, fails: Fails) -> None:
    clock = Clock()
    store, twin = engine(tmp_path / "data", clock), engine(tmp_path / "twin", clock)
    for each in (store, twin):
        await World(each, tmp_path, clock).settle()
        for _, step in STEPS[:number]:
            await step(each)
    assert await state(store) == await state(twin)
    before = await state(store)
    name, step = STEPS[number]
    with pytest.raises(UnavailableError, match="made to fail"):
        await step(failing(store, FailurePlan(1, fails)))
    if fails is Fails.AFTER:
        await step(twin)
        assert await state(twin) != before
    assert await state(store) == await state(twin)
    assert await kinds(store) == await kinds(twin)
    assert (name in await kinds(store)) is (fails is Fails.AFTER)
    await store.close()
    await twin.close()


async def test_last_use_that_fails(world: World) -> None:
    shop = await world.store.add_sender("shop", world.alice, SCOPE, None, 0, event())
    with pytest.raises(UnavailableError):
        await failing(world.store, FailurePlan(1)).sender_used(shop.id, AT, "192.0.2.1")
    assert (await world.store.sender("shop")).last_used_at == 0
