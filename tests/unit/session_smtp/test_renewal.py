"""Who signed in, looked at anew before each message, with a real store."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from poterne.session.authenticate import Proven
from poterne.session.smtp.principal import Person
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.renewal import renewed, signed_in
from poterne.store.sqlite.engine import open_store
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from poterne.values.sending import SendingLimits

EVENT = Event(0, "test", TraceId("t"))


@pytest.mark.parametrize(
    ("change", "reason"), [("password", "password-changed"), ("disabled", "account-gone"), ("gone", "account-gone")]
)
async def test_what_was_taken_away_is_gone_at_once(tmp_path: Path, change: str, reason: str) -> None:
    store = open_store(tmp_path)
    services: Any = SimpleNamespace(store=store)
    await store.add_domain("example.org", EVENT)
    ada = await store.add_account("ada@example.org", "", "en", Secret("old"), 0, (), EVENT)
    person = signed_in(Proven(ada, Secret("old"), 0))
    assert await renewed(services, None) is None
    assert await renewed(services, person) is person, "nothing changed"
    limits = SendingLimits(1, 2, 3, 4)
    await store.set_limits(ada.id, limits, EVENT)
    limited = await renewed(services, person)
    assert isinstance(limited, Person)
    assert (limited.account.limits, limited.name, limited.verifier) == (limits, person.name, Secret("old"))
    await store.set_limits(ada.id, None, EVENT)
    again = await renewed(services, limited)
    assert isinstance(again, Person)
    assert again.account.limits is None
    if change == "password":
        await store.set_password(ada.id, Secret("new"), EVENT)
    elif change == "disabled":
        await store.set_account(ada.id, EVENT, disabled=True)
    else:
        await store.remove_account(ada.id, EVENT)
    refused = await renewed(services, again)
    assert isinstance(refused, Refused)
    assert refused.reason == reason
    await store.close()
