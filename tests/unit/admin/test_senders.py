"""Senders: pending until approved, never wider than approved, and each danger refused with its reason. With a real store."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from poterne.admin import people, senders
from poterne.admin.passwords import verify
from poterne.admin.people import Acting, AdminError
from poterne.admin.sender_scope import Wanted, widened
from poterne.store.interface import Store
from poterne.store.sqlite.engine import open_store
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from poterne.values.sender import ANYONE, SenderScope, SenderState

NOW = 1_700_000_000
ACTING = Acting("cli:tester", NOW, TraceId("t1"))
OWNER = "anne@example.org"
SHOP = "shop@example.org"
LOCAL = Wanted(from_addresses=[SHOP], uids=[33])
REMOTE = Wanted(from_addresses=[SHOP])
SCOPE = SenderScope((SHOP,), ("@example.org",), ("192.0.2.0/28",), (33,))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = open_store(tmp_path / "data")
    await people.add_domain(opened, "example.org", ACTING)
    await people.add_account(opened, OWNER, ACTING, password=Secret("long enough word"))
    await people.add_alias(opened, SHOP, [OWNER], ACTING)
    yield opened
    await opened.close()


async def add(store: Store, wanted: Wanted = REMOTE, name: str = "webshop") -> senders.Made:
    return await senders.add_sender(store, name, OWNER, wanted, ACTING)


async def test_a_new_sender_is_pending_and_writes_to_the_served_domains_only(store: Store) -> None:
    made = await add(store)
    assert made.sender.state is SenderState.PENDING
    assert made.sender.scope == SenderScope((SHOP,), ("@example.org",))
    assert made.sender.owner_address == OWNER
    assert made.password is not None
    credential = await store.sender_credential("webshop")
    assert verify(made.password, credential.verifier)


async def test_local_users_need_no_password(store: Store) -> None:
    made = await add(store, LOCAL)
    assert (made.password, made.sender.has_password) == (None, False)
    both = await add(store, replace(LOCAL, networks=["192.0.2.7"]), "both")
    assert both.password is not None


async def test_approval_is_journalled_with_who_gave_it_and_what_for(store: Store) -> None:
    await add(store, LOCAL)
    assert [s.state for s in await store.sender_of_uid(33)] == [SenderState.PENDING]
    approved = await senders.approve_sender(store, "webshop", replace(ACTING, actor="web:boss"))
    assert approved.state is SenderState.ACTIVE
    assert [(s.name, s.state) for s in await store.sender_of_uid(33)] == [("webshop", SenderState.ACTIVE)]
    newest = (await senders.history(store, "webshop"))[0]
    assert [e.kind for e in await senders.history(store, "webshop")] in (
        ["sender.approved", "sender.added"],
        ["sender.added", "sender.approved"],
    )
    (event,) = await store.events(kind="sender.approved")
    assert event.reason == "web:boss"
    assert event.detail["from"] == SHOP
    assert event.detail["uids"] == "33"
    assert newest.detail["sender"] == "webshop"
    with pytest.raises(AdminError, match="approved already"):
        await senders.approve_sender(store, "webshop", ACTING)


async def test_an_approval_looks_again_at_the_addresses(store: Store) -> None:
    await add(store)
    await people.remove_alias(store, SHOP, ACTING)
    with pytest.raises(AdminError, match="no account and no alias"):
        await senders.approve_sender(store, "webshop", ACTING)


@pytest.mark.parametrize(
    "wider",
    [
        Wanted(recipients=["anyone"]),
        Wanted(from_addresses=[SHOP, OWNER]),
        Wanted(networks=[]),
        Wanted(networks=["192.0.2.0/27"]),
        Wanted(uids=[33, 34]),
        Wanted(per_hour=101),
        Wanted(per_day=1001),
        Wanted(same_per_hour=21),
        Wanted(answers_per_hour=11),
        Wanted(max_bytes=11 * 1024 * 1024),
    ],
)
async def test_what_is_wider_has_to_be_approved_again(store: Store, wider: Wanted) -> None:
    await add(store, Wanted(from_addresses=[SHOP], networks=["192.0.2.0/28"], uids=[33]))
    await senders.approve_sender(store, "webshop", ACTING)
    changed = await senders.limit_sender(store, "webshop", wider, ACTING)
    assert changed.sender.state is SenderState.PENDING
    assert len(changed.widened) == 1
    approved = await senders.limit_sender(store, "webshop", Wanted(), ACTING, approve=True)
    assert approved.sender.state is SenderState.ACTIVE


@pytest.mark.parametrize(
    "narrower",
    [
        Wanted(recipients=["bob@example.org"]),
        Wanted(networks=["192.0.2.3"]),
        Wanted(uids=[]),
        Wanted(per_hour=10, per_day=10, same_per_hour=2, answers_per_hour=1, max_bytes=1000),
        Wanted(),
    ],
)
async def test_what_is_narrower_counts_at_once(store: Store, narrower: Wanted) -> None:
    await add(store, Wanted(from_addresses=[SHOP], networks=["192.0.2.0/28"], uids=[33]))
    await senders.approve_sender(store, "webshop", ACTING)
    changed = await senders.limit_sender(store, "webshop", narrower, ACTING)
    assert (changed.sender.state, changed.widened) == (SenderState.ACTIVE, ())


async def test_wider_and_approved_in_one_step(store: Store) -> None:
    await add(store)
    await senders.approve_sender(store, "webshop", ACTING)
    changed = await senders.limit_sender(store, "webshop", Wanted(per_day=5000), ACTING, approve=True)
    assert (changed.sender.state, changed.sender.scope.per_day) == (SenderState.ACTIVE, 5000)
    (event,) = await store.events(kind="sender.limited")
    assert (event.detail["widened"], event.detail["approved"]) == ("per_day", True)
    assert "per_day 1000" in str(event.detail["before"])


async def test_a_longer_life_is_wider(store: Store) -> None:
    await senders.add_sender(store, "webshop", OWNER, REMOTE, ACTING, expires_at=NOW + 100)
    await senders.approve_sender(store, "webshop", ACTING)
    shorter = await senders.limit_sender(store, "webshop", Wanted(), ACTING, expires_at=NOW + 50)
    assert shorter.widened == ()
    longer = await senders.limit_sender(store, "webshop", Wanted(), ACTING, expires_at=0)
    assert (longer.widened, longer.sender.state) == (("expires",), SenderState.PENDING)
    with pytest.raises(AdminError, match="over already"):
        await senders.limit_sender(store, "webshop", Wanted(), ACTING, expires_at=NOW)


async def test_an_expired_sender_is_not_approved(store: Store) -> None:
    await senders.add_sender(store, "webshop", OWNER, REMOTE, ACTING, expires_at=NOW + 100)
    with pytest.raises(AdminError, match="prolong it first"):
        await senders.approve_sender(store, "webshop", replace(ACTING, now=NOW + 100))


async def test_revoked_is_revoked_and_its_password_is_dead(store: Store) -> None:
    made = await add(store)
    assert made.password is not None
    await senders.approve_sender(store, "webshop", ACTING)
    assert (await senders.revoke_sender(store, "webshop", ACTING)).state is SenderState.REVOKED
    assert not verify(made.password, (await store.sender_credential("webshop")).verifier)
    for refused in (
        senders.approve_sender(store, "webshop", ACTING),
        senders.limit_sender(store, "webshop", Wanted(per_day=1), ACTING),
        senders.revoke_sender(store, "webshop", ACTING),
    ):
        with pytest.raises(AdminError, match="revoked"):
            await refused
    again = await senders.set_sender_password(store, "webshop", ACTING)
    assert again.sender.state is SenderState.PENDING


async def test_a_new_password_ends_the_old_one_and_nothing_else(store: Store) -> None:
    made = await add(store)
    await senders.approve_sender(store, "webshop", ACTING)
    again = await senders.set_sender_password(store, "webshop", ACTING)
    assert made.password is not None
    assert again.password is not None
    assert again.sender.state is SenderState.ACTIVE
    verifier = (await store.sender_credential("webshop")).verifier
    assert verify(again.password, verifier)
    assert not verify(made.password, verifier)
    with pytest.raises(AdminError, match="too short"):
        await senders.set_sender_password(store, "webshop", ACTING, password=Secret("short"))


async def test_a_first_password_opens_the_network_so_it_is_judged(store: Store) -> None:
    await add(store, replace(LOCAL, recipients=["anyone"]))
    await senders.approve_sender(store, "webshop", ACTING)
    with pytest.raises(AdminError, match="write to anyone, from anywhere"):
        await senders.set_sender_password(store, "webshop", ACTING)
    opened = await senders.set_sender_password(store, "webshop", ACTING, anywhere=True)
    assert opened.sender.state is SenderState.PENDING


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        (Wanted(), "needs an address to write as"),
        (Wanted(from_addresses=["shop@elsewhere.test"]), "no account and no alias"),
        (Wanted(from_addresses=["nobody@example.org"]), "no account and no alias"),
        (Wanted(from_addresses=["nonsense"]), "is not a mail address"),
        (replace(REMOTE, recipients=["anyone"]), "write to anyone, from anywhere"),
        (replace(REMOTE, recipients=[ANYONE]), "write to anyone, from anywhere"),
        (replace(REMOTE, recipients=["anyone"], networks=["8.8.0.0/16"]), "public network"),
        (replace(REMOTE, networks=["0.0.0.0/0"]), "every address"),
        (replace(REMOTE, networks=["::/0"]), "every address"),
        (replace(REMOTE, networks=["8.8.8.0/24", "8.8.9.0/24"]), "together"),
        (replace(REMOTE, networks=["100.64.0.0/24"]), "shared by customers"),
        (replace(REMOTE, networks=["printer.example.org"]), "is a name, not a network"),
        (replace(REMOTE, networks=["192.0.2.1/24"]), "bits set behind its prefix"),
        (replace(REMOTE, uids=[65534]), "65534 is nobody"),
        (replace(REMOTE, uids=[-1]), "no number of a local user"),
        (replace(REMOTE, recipients=[]), "write to nobody"),
        (replace(REMOTE, recipients=["a%b@example.org"]), "is not one recipient"),
        (replace(REMOTE, recipients=["*@example.org"]), "is not one recipient"),
        (replace(REMOTE, recipients=["@"]), "is not a domain"),
        (replace(REMOTE, per_hour=0), "per hour: 0 is not between"),
        (replace(REMOTE, same_per_hour=0), "the same per hour: 0"),
        (replace(REMOTE, per_day=10**9), "per day"),
        (replace(REMOTE, max_bytes=10**12), "octets"),
        (replace(REMOTE, recipients=[f"u{n}@example.org" for n in range(1001)]), "too many for one sender"),
    ],
)
async def test_what_is_dangerous_or_meaningless_is_refused(store: Store, wanted: Wanted, text: str) -> None:
    with pytest.raises(AdminError, match=text):
        await add(store, wanted)
    assert await senders.senders(store) == []
    assert (await add(store)).sender.name == "webshop"


@pytest.mark.parametrize(
    "wanted",
    [
        replace(REMOTE, recipients=["anyone"], anywhere=True),
        replace(REMOTE, recipients=["anyone"], networks=["8.8.8.8"]),
        replace(REMOTE, recipients=["anyone"], networks=["10.0.0.0/8", "2001:db8::/56"]),
        replace(REMOTE, recipients=["anyone"], networks=["127.0.0.1"]),
        replace(LOCAL, recipients=["anyone"]),
    ],
)
async def test_what_is_bound_or_meant_is_made(store: Store, wanted: Wanted) -> None:
    assert (await add(store, wanted)).sender.scope.recipients == (ANYONE,)


@pytest.mark.parametrize("name", ["", "Web", "a@b", "-a", "a-", "x" * 64, "a b", "é"])
async def test_names(store: Store, name: str) -> None:
    with pytest.raises(AdminError, match="not a sender's name"):
        await add(store, name=name)


async def test_who_is_not_there(store: Store) -> None:
    await add(store)
    with pytest.raises(AdminError, match="there is a sender webshop already"):
        await add(store)
    with pytest.raises(AdminError, match="there is no account"):
        await senders.add_sender(store, "other", "ghost@example.org", REMOTE, ACTING)
    with pytest.raises(AdminError, match="there is no sender ghost"):
        await senders.approve_sender(store, "ghost", ACTING)


async def test_what_was_open_may_be_narrowed_without_saying_so_again(store: Store) -> None:
    await add(store, replace(REMOTE, recipients=["anyone"], anywhere=True))
    assert (await senders.limit_sender(store, "webshop", Wanted(per_day=5), ACTING)).sender.scope.per_day == 5
    bound = await senders.limit_sender(store, "webshop", Wanted(networks=["192.0.2.7"]), ACTING)
    assert bound.widened == ()
    with pytest.raises(AdminError, match="from anywhere"):
        await senders.limit_sender(store, "webshop", Wanted(networks=[]), ACTING)


async def test_without_password_and_local_users_nothing_could_use_it(store: Store) -> None:
    await add(store, LOCAL)
    with pytest.raises(AdminError, match="nothing could use it"):
        await senders.limit_sender(store, "webshop", Wanted(uids=[]), ACTING)


def test_a_domain_covers_its_addresses_and_a_network_its_parts() -> None:
    assert list(widened(SCOPE, replace(SCOPE, recipients=("a@example.org",), networks=("192.0.2.4/30",)))) == []
    assert list(widened(replace(SCOPE, recipients=("a@example.org",)), SCOPE)) == ["recipients"]
    assert list(widened(replace(SCOPE, networks=()), SCOPE)) == []
    assert list(widened(SCOPE, replace(SCOPE, networks=("2001:db8::1",)))) == ["networks"]
