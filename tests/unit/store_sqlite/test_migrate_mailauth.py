"""A store of before senders were verified: everything is kept, and what is new has its defaults."""

from pathlib import Path

import apsw
import pytest

from poterne.store.sqlite import migrate
from poterne.store.sqlite.connection import DATABASE_NAME
from poterne.store.sqlite.engine import open_store
from poterne.values.ids import AccountId
from tests.support.stores import AT, Clock, event
from tests.support.verifying import KEY, counted, report, report_mail, suspicious

OLD = """
INSERT INTO domain VALUES ('example.org', 5);
INSERT INTO account (domain, local_part, name, language, verifier, disabled, created_at, keeps) VALUES
    ('example.org', 'alice', 'Alice', 'fr', x'616c', 0, 7, 0);
INSERT INTO account_counter (account_id, quota_bytes, used_bytes, last_uid_validity) VALUES (1, 100, 0, 9);
INSERT INTO account_forward VALUES (1, 'x@one.example');
INSERT INTO mailbox (account_id, mailbox_id, name, uid_validity, highest_modseq) VALUES (1, 1, 'INBOX', 9, 0);
INSERT INTO queue_message VALUES (4, 'account', 'alice@example.org', 1, 't', 'alice@example.org', 1, 64, 9, 3, 10, 1, 0, 1,
    'HDRS', 'e', NULL, 1);
INSERT INTO queue_recipient VALUES (8, 4, 'account:alice@example.org', 'b.example', 'bob@b.example', 'NEVER', '', 'waiting',
    2, 11, 1, 'no');
"""
ALICE = AccountId(1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a database as the version before left it."""
    connection = apsw.Connection(str(tmp_path / DATABASE_NAME))
    assert migrate.migrate(connection, AT, migrate.shipped()[:5]) == 5
    connection.execute(OLD)
    connection.close()
    return tmp_path


async def test_accounts_and_queue_are_kept(folder: Path) -> None:
    store = open_store(folder, clock=Clock())
    alice = await store.account_by_id(ALICE)
    assert (alice.forwards, alice.keeps, alice.forwarders) == (("x@one.example",), False, ())
    (waiting,) = await store.queued()
    message = waiting.message
    assert (waiting.id, message.id, message.ret, message.envid, message.requiretls) == (8, 4, "HDRS", "e", True)
    assert (message.incident_id, message.tls_optional) == (None, False)
    (leased,) = await store.lease(AT, AT + 9, 9, 9)
    assert leased.message == message
    await store.close()
    again = open_store(folder, clock=Clock())
    assert await again.queued() == [leased]
    await again.close()


async def test_what_is_new_can_be_used(folder: Path) -> None:
    store = open_store(folder, clock=Clock())
    await store.set_forwarders(ALICE, ["one.example"], event())
    await store.add_dkim_key(KEY, event())
    new = await suspicious(store, ALICE)
    await store.deliver([], [], [], quarantined=[new], reports=[await report_mail(store)])
    (kept,) = await store.quarantined()
    assert (await store.release_quarantined(kept.id, AT, event())).uid == 1
    await store.count_dmarc([counted()])
    (mail,) = await store.report_mail()
    assert await store.report_read(mail.id, AT, [], dmarc=report(), domain="example.org")
    assert len(await store.source_days("example.org", 0, 10**6)) == 1
    await store.close()
