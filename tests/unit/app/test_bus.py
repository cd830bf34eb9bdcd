"""The bus between processes: everybody else hears; nobody waits; who missed something is told so."""

import asyncio
import os

import pytest

from poterne.app import bus
from poterne.app.bus import (
    CertificatesChanged,
    Exchange,
    MailboxesChanged,
    MailQueued,
    Message,
    Missed,
    QueuedOut,
    SignInFailed,
)
from poterne.values.ids import AccountId, MailboxId, ModSeq
from poterne.values.mailbox import MailboxChanged


async def heard_by(end: bus.Bus, work: object = None) -> list[Message]:
    """What is waiting in an inbox."""
    found: list[Message] = []
    loop = asyncio.get_running_loop()
    end.listen(loop, found.append)
    for _ in range(20):
        await asyncio.sleep(0)
    end.stop(loop)
    return found


async def test_everybody_else_hears_each_kind_of_message() -> None:
    exchange = Exchange(3)
    ends = [exchange.end_of(slot) for slot in range(3)]
    said: list[Message] = [
        SignInFailed("192.0.2.1", "a@example.org"),
        CertificatesChanged(),
        MailboxesChanged(((1, 2, 3),)),
    ]
    for message in said:
        ends[0].publish(message)
    assert await heard_by(ends[1]) == said
    assert await heard_by(ends[2]) == said
    assert await heard_by(ends[0]) == []
    exchange.close()


async def test_who_has_no_use_for_changes_is_not_woken_by_them_and_hears_all_else() -> None:
    exchange = Exchange(3, unmoved=1)
    ends = [exchange.end_of(slot) for slot in range(3)]
    said: list[Message] = [MailboxesChanged(((1, 2, 3),)), CertificatesChanged()]
    for end in (ends[0], ends[1]):
        for message in said:
            end.publish(message)
    assert await heard_by(ends[1]) == [CertificatesChanged()]
    assert await heard_by(ends[2]) == said * 2
    assert await heard_by(ends[0]) == said
    exchange.close()


async def test_many_changes_go_in_pages_and_come_back_as_values() -> None:
    exchange = Exchange(2)
    changes = [MailboxChanged(AccountId(2**60 + n), MailboxId(2**60), ModSeq(2**62)) for n in range(2500)]
    exchange.end_of(0).publish_changes(changes)
    pages = [message for message in await heard_by(exchange.end_of(1)) if isinstance(message, MailboxesChanged)]
    assert [len(page.changes) for page in pages] == [1000, 1000, 500]
    assert [change for page in pages for change in bus.changes_of(page)] == changes
    exchange.close()


async def test_who_is_behind_hears_that_it_missed_something_and_nobody_waits() -> None:
    exchange = Exchange(3)
    one, slow, quick = (exchange.end_of(slot) for slot in range(3))
    count = 0
    for number in range(5_000):
        one.publish(MailboxesChanged(((1, 1, number),)))
        if number % 50 == 0:
            count += len(await heard_by(quick))
    count += len(await heard_by(quick))
    assert count == 5_000, "a process that reads lost something because another does not"
    waiting = await heard_by(slow)
    assert 100 < len(waiting) < 5_000  # far more than the ten datagrams of net.unix.max_dgram_qlen
    assert Missed() not in waiting
    one.remind()
    assert await heard_by(slow) == [Missed()]
    one.remind()
    one.publish(CertificatesChanged())
    assert await heard_by(slow) == [CertificatesChanged()]
    exchange.close()


async def test_the_next_message_brings_the_news_too() -> None:
    exchange = Exchange(2)
    one, slow = exchange.end_of(0), exchange.end_of(1)
    for number in range(5_000):
        one.publish(MailboxesChanged(((1, 1, number),)))
    await heard_by(slow)
    one.publish(CertificatesChanged())
    assert await heard_by(slow) == [Missed(), CertificatesChanged()]
    exchange.close()


async def test_packets_that_cannot_be_read_are_passed_over() -> None:
    exchange = Exchange(2)
    one, two = exchange.end_of(0), exchange.end_of(1)
    for junk in (b"\xff", b"\x92\xa1z\x01", b"\x00", os.urandom(100)):
        one._peers[0].send(junk)
    one.publish(CertificatesChanged())
    assert await heard_by(two) == [CertificatesChanged()]
    exchange.close()


async def test_a_loop_is_not_kept_busy_when_nobody_is_left_to_speak() -> None:
    exchange = Exchange(2)
    end = exchange.end_of(1)
    loop = asyncio.get_running_loop()
    end.listen(loop, lambda _: None)
    exchange._outboxes[1].close()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not loop.remove_reader(end._inbox.fileno())  # it took itself off
    exchange.close()


async def test_that_mail_waits_is_told_at_once_and_then_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bus, "QUEUED_GAP_S", 0.02)
    exchange = Exchange(2)
    out = QueuedOut(exchange.end_of(0), asyncio.get_running_loop())
    for _ in range(5):
        out.tell()
    assert await heard_by(exchange.end_of(1)) == [MailQueued()]
    await asyncio.sleep(0.1)
    assert await heard_by(exchange.end_of(1)) == [MailQueued()]  # of the other four
    await asyncio.sleep(0.1)
    assert await heard_by(exchange.end_of(1)) == []
    out.tell()
    assert await heard_by(exchange.end_of(1)) == [MailQueued()]
    await asyncio.sleep(0.05)
    exchange.close()
