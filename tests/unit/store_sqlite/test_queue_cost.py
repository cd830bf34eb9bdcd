"""What leasing costs is the same however long the queue is: counted in steps of SQLite, not in seconds."""

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from poterne.store.interface import Store
from poterne.store.sqlite.connection import DATABASE_NAME
from poterne.store.sqlite.engine import open_store
from tests.support.stores import AT, Clock

ROWS = 60_000
MESSAGES = (
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)"
    " INSERT INTO queue_message (origin_kind, origin_name, trace_id, reverse_path, segment, blob_offset, blob_size, start,"
    " queued_at, eight_bit, smtputf8, requiretls, ret, envid, recipients)"
    " SELECT 'account', 'u' || (i % ?2) || '@example.org', 't', '', 1, 0, 1, 0, 0, 0, 0, 0, '', '', 1 FROM n"
)
RECIPIENTS = (
    "INSERT INTO queue_recipient (message_id, origin, domain, forward_path, notify, orcpt, state, due_at)"
    " SELECT message_id, 'account:' || origin_name, 'busy.example', 'a@busy.example', '', '', 'waiting', {due}"
    " FROM queue_message"
)


class Steps:
    """How many steps SQLite made, in thousands."""

    def __init__(self) -> None:
        self.count = 0

    def step(self) -> bool:
        self.count += 1
        return False


@pytest.fixture
def steps() -> Iterator[Steps]:
    made = Steps()

    def hook(connection: apsw.Connection) -> None:
        connection.set_progress_handler(made.step, 1_000)

    apsw.connection_hooks.append(hook)
    yield made
    apsw.connection_hooks.remove(hook)


@pytest.fixture
def fill(tmp_path: Path, steps: Steps) -> Callable[[int, str], Store]:
    def filled(origins: int, due: str) -> Store:
        store = open_store(tmp_path, clock=Clock())
        connection = apsw.Connection(str(tmp_path / DATABASE_NAME))
        connection.set_progress_handler(None)
        with connection:
            connection.execute(MESSAGES, (ROWS, origins))
            connection.execute(RECIPIENTS.format(due=due))
        connection.close()
        steps.count = 0
        return store

    return filled


@pytest.mark.parametrize(
    ("origins", "due"),
    [
        (1, f"{AT} - 5"),  # a mass mailing, all due in the same second
        (1, f"{AT} - message_id"),  # deferred mail, each due in another
        (20_000, f"{AT} - message_id"),
        (20_000, f"{AT} + 1000 + message_id"),
    ],
)
async def test_a_long_queue_costs_no_more(
    origins: int, due: str, fill: Callable[[int, str], Store], steps: Steps
) -> None:
    store = fill(origins, due)
    assert await store.next_due(AT) is not None
    assert steps.count <= 1
    for busy in (frozenset({"busy.example"}), frozenset[str]()):
        for _ in range(3):
            steps.count = 0
            found = await store.lease(AT, AT + 60, 100, 10, busy)
            assert steps.count < 250, (origins, due, busy)
            assert len(found) == (0 if busy or "+" in due else min(100, 10 * origins))
    await store.close()
