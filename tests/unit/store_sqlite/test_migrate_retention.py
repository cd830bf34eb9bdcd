"""A store of before retention: messages are counted, nothing is kept back, and what is new can be used."""

from pathlib import Path

import apsw
import pytest

from poterne.store.sqlite import migrate
from poterne.store.sqlite.connection import DATABASE_NAME
from poterne.store.sqlite.engine import open_store
from poterne.store.sqlite.transaction import Limits
from poterne.values.ids import AccountId, ModSeq
from poterne.values.mailbox import UidRange
from tests.support.stores import ALL, AT, INBOX, Clock, event

OLD = """
INSERT INTO domain VALUES ('example.org', 5);
INSERT INTO account (domain, local_part, name, language, verifier, created_at) VALUES
    ('example.org', 'alice', 'Alice', 'fr', x'616c', 7), ('example.org', 'ben', 'Ben', 'fr', x'616c', 7);
INSERT INTO account_counter (account_id, quota_bytes, used_bytes, modseq, last_content, last_mailbox_id, last_uid_validity)
    VALUES (1, 100, 30, 3, 2, 2, 9), (2, 0, 0, 0, 0, 1, 9);
INSERT INTO mailbox (account_id, mailbox_id, name, uid_validity, uid_next, highest_modseq, messages, unseen, size_bytes) VALUES
    (1, 1, 'INBOX', 9, 4, 3, 2, 2, 20), (1, 2, 'Work', 9, 2, 3, 1, 1, 10), (2, 1, 'INBOX', 9, 1, 0, 0, 0, 0);
INSERT INTO content VALUES (68719476737, 1, 64, 10, 5, NULL, 1, x'', x'', x''), (68719476738, 1, 96, 10, 5, NULL, 2, x'', x'', x'');
INSERT INTO shared_content VALUES (68719476738, 2);
INSERT INTO message VALUES (1, 1, 2, 0, 1, 5, 0, 10, 68719476737, 5), (1, 1, 3, 0, 2, 5, 0, 10, 68719476738, 5),
    (1, 2, 1, 0, 3, 5, 0, 10, 68719476738, 5);
INSERT INTO expunged VALUES (1, 1, 2, 1, 1);
"""
ALICE = AccountId(1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    connection = apsw.Connection(str(tmp_path / DATABASE_NAME))
    assert migrate.migrate(connection, AT, migrate.shipped()[:6]) == 6
    connection.execute(OLD)
    connection.close()
    return tmp_path


async def test_messages_are_counted(folder: Path) -> None:
    store = open_store(folder, clock=Clock())
    assert [(one.used_messages, one.quota_messages) for one in await store.accounts()] == [(3, 0), (0, 0)]
    assert (await store.changes(ALICE, INBOX, ModSeq(0))).vanished == (1,)
    assert await store.kept_messages(ALICE) == []
    await store.close()


async def test_what_is_new_can_be_used(folder: Path) -> None:
    store = open_store(folder, clock=Clock(), limits=Limits(undelete_s=60))
    assert await store.remove(ALICE, INBOX, ALL) == [2, 3]
    assert [one.uid for one in await store.kept_messages(ALICE)] == [3, 2]
    assert (await store.account_by_id(ALICE)).used_messages == 1
    found = await store.kept_messages(ALICE)
    assert await store.undelete(found[:1], INBOX, event()) == 1
    assert [row.uid for row in store.rows(ALICE, INBOX, [UidRange(1, None)])] == [4]
    await store.close()
