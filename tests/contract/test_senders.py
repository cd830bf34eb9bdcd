"""Scripts that may send mail."""

import asyncio

import pytest

from poterne.store.errors import ConflictError, NotFoundError
from poterne.store.interface import Store
from poterne.values.ids import AccountId, SenderId
from poterne.values.secret import Secret
from poterne.values.sender import ANYONE, Sender, SenderScope, SenderState
from tests.support.stores import AT, Factory, World, event

SCOPE = SenderScope(
    from_addresses=("shop@example.org",),
    recipients=("@example.org", "boss@one.example"),
    networks=("192.0.2.0/24", "2001:db8::/32"),
    uids=(33, 1000),
    per_hour=7,
    per_day=70,
    same_per_hour=2,
    answers_per_hour=1,
    max_bytes=1024,
)
SMALL = SenderScope(("a@example.org",), (ANYONE,))


async def add(
    world: World, name: str = "shop", scope: SenderScope = SCOPE, verifier: Secret | None = None, expires_at: int = 0
) -> Sender:
    return await world.store.add_sender(name, world.alice, scope, verifier, expires_at, event("sender.added"))


async def test_new_sender_is_pending(world: World) -> None:
    made = await add(world, "Web-Shop", verifier=Secret("hash"), expires_at=AT + 9)
    assert made == Sender(
        made.id,
        "web-shop",
        world.alice,
        "alice@example.org",
        SenderState.PENDING,
        SCOPE,
        has_password=True,
        created_at=AT,
        expires_at=AT + 9,
        last_used_at=0,
        last_peer="",
    )
    assert await world.store.sender("WEB-shop") == made
    assert (await world.store.events(limit=1))[0].kind == "sender.added"
    plain = await add(world, "cron", SMALL)
    assert (plain.has_password, plain.expires_at, plain.scope) == (False, 0, SMALL)
    assert await world.store.senders() == [plain, made]


async def test_names(world: World) -> None:
    await add(world)
    before = await world.store.events(limit=1000)
    for taken in ("shop", "SHOP", "", "shop@example.org"):
        with pytest.raises(ConflictError):
            await add(world, taken)
    with pytest.raises(NotFoundError):
        await world.store.add_sender("new", AccountId(999), SCOPE, None, 0, event())
    with pytest.raises(NotFoundError):
        await world.store.sender("new")
    assert await world.store.events(limit=1000) == before


async def test_credential_of_any_state_with_a_password(world: World) -> None:
    shop = await add(world, verifier=Secret("hash"))
    await add(world, "cron")
    for name in ("cron", "unknown", ""):
        with pytest.raises(NotFoundError):
            await world.store.sender_credential(name)
    for state in SenderState:
        await world.store.set_sender(shop.id, event(), state=state)
        found = await world.store.sender_credential("Shop")
        assert (found.sender.id, found.sender.state, found.verifier.reveal()) == (shop.id, state, b"hash")
        assert found.sender == await world.store.sender("shop")


async def test_each_thing_is_set_alone(world: World) -> None:
    shop = await add(world)
    changed = await world.store.set_sender(shop.id, event("sender.approved"), state=SenderState.ACTIVE)
    assert (changed.state, changed.scope, changed.has_password, changed.expires_at) == (
        SenderState.ACTIVE,
        SCOPE,
        False,
        0,
    )
    assert (await world.store.events(limit=1))[0].kind == "sender.approved"
    changed = await world.store.set_sender(shop.id, event(), scope=SMALL)
    assert (changed.state, changed.scope) == (SenderState.ACTIVE, SMALL)
    changed = await world.store.set_sender(shop.id, event(), verifier=Secret("new"))
    assert changed.has_password
    assert (await world.store.sender_credential("shop")).verifier.reveal() == b"new"
    changed = await world.store.set_sender(shop.id, event(), expires_at=AT)
    assert (changed.expires_at, changed.has_password) == (AT, True)
    changed = await world.store.set_sender(shop.id, event(), expires_at=0)
    assert changed.expires_at == 0
    assert await world.store.sender("shop") == changed
    before = await world.store.events(limit=1000)
    with pytest.raises(NotFoundError):
        await world.store.set_sender(SenderId(999), event(), state=SenderState.ACTIVE)
    assert await world.store.events(limit=1000) == before


async def test_senders_of_a_local_user(world: World) -> None:
    async def of(uid: int) -> list[str]:
        return [sender.name for sender in await world.store.sender_of_uid(uid)]

    made = [await add(world, name, scope) for name, scope in (("web", SCOPE), ("cron", SCOPE), ("other", SMALL))]
    assert await of(33) == ["cron", "web"], "pending ones too, so that their script hears what it waits for"
    for sender in made:
        await world.store.set_sender(sender.id, event(), state=SenderState.ACTIVE)
    assert await of(33) == await of(1000) == ["cron", "web"]
    assert await of(3) == await of(0) == await of(100) == await of(-1) == []
    await world.store.set_sender(made[0].id, event(), state=SenderState.REVOKED)
    assert await of(33) == ["cron"]


async def last_use(store: Store) -> tuple[int, str]:
    found = await store.sender("shop")
    return found.last_used_at, found.last_peer


async def test_last_use_is_written_once_a_minute(world: World, engine: Factory) -> None:
    shop = await add(world)
    before = await world.store.events(limit=1000)
    await world.store.sender_used(shop.id, AT, "192.0.2.9")
    assert await last_use(world.store) == (AT, "192.0.2.9")
    await world.store.sender_used(shop.id, AT + 59, "192.0.2.10")
    assert await last_use(world.store) == (AT, "192.0.2.9")
    await world.store.sender_used(shop.id, AT + 60, "192.0.2.11")
    assert await last_use(world.store) == (AT + 60, "192.0.2.11")
    await asyncio.gather(*(world.store.sender_used(shop.id, AT + 200 + i, f"192.0.2.{i}") for i in range(20)))
    assert await last_use(world.store) == (AT + 200, "192.0.2.0")
    await world.store.sender_used(shop.id, AT - 500, "192.0.2.12")  # the clock was put right
    assert await last_use(world.store) == (AT - 500, "192.0.2.12")
    await world.store.sender_used(SenderId(999), AT, "192.0.2.13")
    assert await world.store.events(limit=1000) == before
    other = engine(world.folder, world.clock)
    assert await last_use(other) == (AT - 500, "192.0.2.12")
    await other.close()


async def test_senders_go_with_their_owner(world: World) -> None:
    bob = await world.account("bob@example.org")
    kept = await add(world, "kept")
    await world.store.add_sender("shop", bob, SCOPE, Secret("hash"), 0, event())
    await world.store.remove_account(bob, event())
    assert await world.store.senders() == [kept]
    with pytest.raises(NotFoundError):
        await world.store.sender_credential("shop")
    again = await add(world, "shop", SMALL)
    assert (again.owner, again.state, again.scope, again.has_password) == (
        world.alice,
        SenderState.PENDING,
        SMALL,
        False,
    )
