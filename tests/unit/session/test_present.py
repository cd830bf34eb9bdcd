"""Connections of who may be there no longer are found, also if the password was changed while somebody signed in."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin import passwords
from poterne.config.settings import SignIn
from poterne.net.link import Link
from poterne.net.poke import Poke
from poterne.session.authenticate import Authenticator, Denied, Proven
from poterne.session.present import STEP, Presence
from poterne.store.errors import UnavailableError
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.values.directory import Account, Credential
from poterne.values.event import Event
from poterne.values.ids import AccountId, TraceId
from poterne.values.secret import Secret

EVENT = Event(0, "test", TraceId("t"))
ADA = "ada@example.org"
VERIFIER = passwords.hash_password(Secret("right"))
OTHER = passwords.hash_password(Secret("other"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = open_store(tmp_path)
    await store.add_domain("example.org", EVENT)
    await store.add_account(ADA, "", "en", VERIFIER, 0, (), EVENT)
    yield store
    await store.close()


@pytest.fixture
async def authenticator(store: SqliteStore) -> AsyncIterator[Authenticator]:
    made = Authenticator(store, SignIn())
    await made.start()
    yield made
    made.close()


async def prove(authenticator: Authenticator, password: str = "right") -> Proven[Account]:
    proven = await authenticator.prove(ADA, Secret(password), "192.0.2.1")
    assert not isinstance(proven, Denied)
    return proven


def enter(authenticator: Authenticator, proven: Proven[Account]) -> tuple[Presence, Link]:
    link = Link(asyncio.get_running_loop(), service="imap")
    return authenticator.present.enter(proven.subject.id, proven.verifier, link, proven.looks), link


async def test_only_who_has_another_password_is_revoked(store: SqliteStore, authenticator: Authenticator) -> None:
    old, old_link = enter(authenticator, await prove(authenticator))
    assert await authenticator.present.look(store) == 0
    await store.set_password(old_account := (await store.account(ADA)).id, OTHER, EVENT)
    fresh, fresh_link = enter(authenticator, await prove(authenticator, "other"))
    assert await authenticator.present.look(store) == 1
    assert old.revoked
    assert not fresh.revoked
    assert await old_link.read() is Poke.REVOKED
    fresh_link.poke(Poke.CHANGED)
    assert await fresh_link.read() is Poke.CHANGED
    assert await authenticator.present.look(store) == 0  # told once
    old.leave()
    await store.set_account(old_account, EVENT, disabled=True)
    assert await authenticator.present.look(store) == 1
    fresh.leave()
    fresh.leave()
    assert len(authenticator.present) == 0


async def test_a_password_that_is_changed_while_somebody_signs_in(
    store: SqliteStore, authenticator: Authenticator
) -> None:
    """The only look that the change caused is over before the session is there."""
    present = authenticator.present
    proven = await prove(authenticator)
    await store.set_password(proven.subject.id, OTHER, EVENT)
    assert await present.look(store) == 0
    presence, _ = enter(authenticator, proven)
    assert await present.look(store, everybody=False) == 1
    assert presence.revoked


async def test_who_enters_while_others_are_looked_at(store: SqliteStore, authenticator: Authenticator) -> None:
    present = authenticator.present
    names = [f"u{number}@example.org" for number in range(STEP + 1)]
    for account in await asyncio.gather(*[store.add_account(name, "", "en", VERIFIER, 0, (), EVENT) for name in names]):
        present.enter(account.id, VERIFIER, Link(asyncio.get_running_loop(), service="imap"), 0)
    proven = await prove(authenticator)
    await store.set_password(proven.subject.id, OTHER, EVENT)
    looking = asyncio.ensure_future(present.look(store))
    await asyncio.sleep(0)
    assert not looking.done()
    presence, _ = enter(authenticator, proven)
    await looking
    assert not presence.revoked
    assert await present.look(store, everybody=False) == 1
    assert presence.revoked


async def test_a_store_that_does_not_answer_is_asked_again(
    store: SqliteStore, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: AccountId) -> Credential:
        raise UnavailableError("the disk")

    present = authenticator.present
    first, _ = enter(authenticator, await prove(authenticator))
    proven = await prove(authenticator)
    await store.set_password(proven.subject.id, OTHER, EVENT)

    async def fail(*, everybody: bool) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(store, "credential_of", broken)
            with pytest.raises(UnavailableError):
                await present.look(store, everybody=everybody)

    await fail(everybody=True)
    assert await present.look(store) == 1
    assert first.revoked
    second, _ = enter(authenticator, proven)
    await fail(everybody=False)
    assert await present.look(store) == 1
    assert second.revoked


async def test_nobody_is_looked_at_when_nothing_has_changed(
    store: SqliteStore, authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    credential_of = store.credential_of

    async def counted(account_id: AccountId) -> Credential:
        asked.append(account_id)
        return await credential_of(account_id)

    monkeypatch.setattr(store, "credential_of", counted)
    presence, _ = enter(authenticator, await prove(authenticator))
    present = authenticator.present
    await present.look(store)
    await present.look(store)
    assert len(asked) == 1
    account = await store.account(ADA)
    for disabled in (True, False):
        await store.set_account(account.id, EVENT, disabled=disabled)
        await present.look(store)
    assert len(asked) == 3
    assert presence.revoked
    await store.remove_account(account.id, EVENT)
    await present.look(store)
    assert len(asked) == 4


async def test_who_is_sure_costs_nothing(store: SqliteStore, authenticator: Authenticator) -> None:
    await authenticator.present.look(store)
    enter(authenticator, await prove(authenticator))
    await store.close()
    assert await authenticator.present.look(store, everybody=False) == 0
