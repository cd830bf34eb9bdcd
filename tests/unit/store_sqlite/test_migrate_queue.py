"""A queue of the version before: each row becomes a message with one recipient, and its Return-Path stays here."""

import asyncio
from pathlib import Path

import apsw
import pytest

from poterne.message.compose import return_path
from poterne.store.sqlite import migrate
from poterne.store.sqlite.connection import DATABASE_NAME
from poterne.store.sqlite.engine import open_store
from poterne.values.ids import BlobId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import QueuedRecipient, QueueState
from poterne.values.secret import Secret
from tests.support.stores import AT, Clock, blob, event

REST = b"Received: from x\r\nSubject: x\r\n\r\nbody\r\n"
PATHS = ["", "alice@example.org", "jürgen.☃@example.org", '"a<b> c"@example.org', '"日本@"@xn--bcher-kva.example']
FORWARD = ["bob@Remote.EXAMPLE", '"b@c"@remote.example', "bob@[192.0.2.1]", "bob@remote.example", "bob@xn--p1ai"]
DOMAINS = ["remote.example", "remote.example", "[192.0.2.1]", "remote.example", "xn--p1ai"]
_OLD = (
    "INSERT INTO queue_recipient (account_id, trace_id, reverse_path, forward_path, segment, blob_offset, blob_size, state,"
    " due_at, queued_at, eight_bit, smtputf8) VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting', ?, ?, ?, ?)"
)


def before(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database of the first two migrations with queued rows; those of account 7 are of one that was removed."""
    shipped = migrate.shipped()

    async def write() -> list[BlobId]:
        store = open_store(folder, clock=Clock())
        bodies = [return_path(path) + REST for path in PATHS]
        blobs = [await blob(store, body) for body in bodies]
        await store.record([event()])
        await store.close()
        return blobs

    with monkeypatch.context() as patched:
        patched.setattr(migrate, "shipped", lambda: shipped[:2])
        blobs = asyncio.run(write())
    connection = apsw.Connection(str(folder / DATABASE_NAME))
    connection.execute("INSERT INTO domain VALUES ('example.org', 1)")
    connection.execute(
        "INSERT INTO account (account_id, domain, local_part, name, language, verifier, created_at)"
        " VALUES (3, 'example.org', 'alice', 'Alice', 'en', x'00', 1)"
    )
    connection.execute("INSERT INTO account_counter (account_id, quota_bytes, last_uid_validity) VALUES (3, 0, 1)")
    for number, (path, to, where) in enumerate(zip(PATHS, FORWARD, blobs, strict=True)):
        row = (
            7 if number == 4 else 3,
            f"t{number}",
            path,
            to,
            where.segment,
            where.offset,
            where.size,
            AT + number,
            AT,
        )
        connection.execute(_OLD, (*row, number % 2, 1 - number % 2))
    connection.close()


def test_the_queue_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before(tmp_path, monkeypatch)

    async def look() -> list[QueuedRecipient]:
        store = open_store(tmp_path, clock=Clock())
        assert await store.check() == []
        found = await store.queued()
        for one in found:
            octets = store.blobs.read(one.message.blob)
            assert octets[one.message.start :] == REST
            assert octets[: one.message.start] == return_path(one.message.reverse_path)
        leased = await store.lease(AT + 9, AT + 99, 9, 9)
        assert [one.id for one in leased] == [one.id for one in found]
        await store.add_account("bob@example.org", "Bob", "en", Secret("x"), 0, [], event())
        await store.close()
        return found

    found = asyncio.run(look())
    alice = Origin(OriginKind.ACCOUNT, "alice@example.org", found[0].message.origin.account_id)
    assert [one.message.origin for one in found[:4]] == [alice] * 4
    assert (found[4].message.origin.name, found[4].message.origin.account_id) == ("", 7)
    assert [one.message.reverse_path for one in found] == PATHS
    assert [one.forward_path for one in found] == FORWARD
    assert [one.domain for one in found] == DOMAINS
    assert [one.due_at for one in found] == [AT + number for number in range(5)]
    assert [one.message.eight_bit for one in found] == [False, True, False, True, False]
    assert [one.message.smtputf8 for one in found] == [True, False, True, False, True]
    assert {one.message.queued_at for one in found} == {AT}
    assert {(one.state, one.attempts, one.message.ret) for one in found} == {(QueueState.WAITING, 0, "")}
