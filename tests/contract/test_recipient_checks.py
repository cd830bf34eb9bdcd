"""What internal servers said of their recipients."""

import pytest

from poterne.store.errors import UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from tests.support.stores import AT, World


async def test_newest_answer_counts(world: World) -> None:
    assert await world.store.recipient_check("a@inside.example") is None
    await world.store.note_recipient("a@inside.example", True, AT)
    await world.store.note_recipient("b@inside.example", False, AT + 1)
    assert await world.store.recipient_check("a@inside.example") == (True, AT)
    assert await world.store.recipient_check("b@inside.example") == (False, AT + 1)
    await world.store.note_recipient("a@inside.example", False, AT + 2)
    assert await world.store.recipient_check("a@inside.example") == (False, AT + 2)
    assert await world.store.recipient_check("c@inside.example") is None


@pytest.mark.parametrize("fails", Fails)
async def test_failure(world: World, fails: Fails) -> None:
    store = failing(world.store, FailurePlan(1, fails))
    with pytest.raises(UnavailableError):
        await store.note_recipient("a@inside.example", True, AT)
    written = await world.store.recipient_check("a@inside.example")
    assert written == (None if fails is Fails.BEFORE else (True, AT))
