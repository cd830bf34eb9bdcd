"""NOTIFY and ESEARCH asked for more than is good: long filter lists, thousands of mailboxes, notices that nobody reads.

The attacker may be refused, or wait; nobody else may notice. Each test has its bystander (`attacked`).
"""

import time

import pytest

from tests.support.attack_client import MIB, Target, Wire

EVERYTHING = b"(personal (MailboxName SubscriptionChange MessageNew MessageExpunge FlagChange MailboxMetadataChange))"
MAILBOXES = 1500


@pytest.fixture(scope="module")
def crowded(running: Target) -> str:
    """An account with many mailboxes, most of them with a message."""
    user = running.account()
    wire = running.imap(user)
    wire.sock.settimeout(60)
    wire.send(b"".join(b"c%d CREATE m%d/n%d\r\n" % (i, i // 30, i) for i in range(MAILBOXES)) + b"last NOOP\r\n")
    wire.until_tag(b"last")
    running.close_wires()
    return user


def answer(wire: Wire, command: bytes) -> bytes:
    return wire.imap(command).splitlines()[-1]


def test_long_lists_of_filters(world: Target, crowded: str) -> None:
    """As long as a line may be; each of them is held against each mailbox."""
    names = b" ".join(b"m%d/n%d" % (i % 50, i) for i in range(990))
    with world.attacked():
        wire = world.imap(crowded)
        wire.sock.settimeout(60)
        assert b" OK " in answer(wire, b"NOTIFY SET STATUS (mailboxes (%b) (MessageNew MessageExpunge))" % names)
        assert b" OK " in answer(wire, b"NOTIFY SET (subtree (%b) (MailboxName))" % names)
        many = b" ".join(b"(subtree m%d (MailboxName))" % i for i in range(450))
        assert b" OK " in answer(wire, b"NOTIFY SET STATUS " + many)
        assert b" NO [NOTIFICATIONOVERFLOW]" in answer(wire, b"NOTIFY SET " + b" ".join([many] * 3))
        assert b" OK " in answer(wire, b"ESEARCH IN (mailboxes (%b) subtree (m1 m2)) ALL" % names)
        assert b" NO [LIMIT]" in answer(wire, b"ESEARCH IN (%b) ALL" % b" ".join([b"personal"] * 1001))
        assert b" NO [LIMIT]" in answer(wire, b"ESEARCH IN (personal) ALL")
        assert b" BAD " in answer(wire, b"NOTIFY SET " + b"(" * 5000)


def test_an_answer_to_notify_that_nobody_reads(world: Target, crowded: str) -> None:
    """STATUS of all mailboxes, again and again."""
    with world.attacked(growth_bytes=16 * MIB):
        for _ in range(10):
            wire = world.imap(crowded)
            wire.send(b"".join(b"n%d NOTIFY SET STATUS %b\r\n" % (i, EVERYTHING) for i in range(50)))
        time.sleep(1.0)


def test_notices_that_nobody_reads(world: Target, crowded: str) -> None:
    """Ten clients watch, and read nothing, while an eleventh renames the whole lot up and down."""
    with world.attacked(growth_bytes=32 * MIB):
        for _ in range(10):
            wire = world.imap(crowded)
            assert b" OK " in answer(wire, b"NOTIFY SET " + EVERYTHING)
        actor = world.imap(crowded)
        actor.sock.settimeout(60)
        for number in range(6):
            for name in range(20):
                old, new = (b"m%d", b"x%d") if number % 2 == 0 else (b"x%d", b"m%d")
                assert b" OK " in answer(actor, b"RENAME " + old % name + b" " + new % name)


def test_subscriptions_up_and_down(world: Target) -> None:
    """Each of them is a change of names; a client that watches hears of the last ones."""
    user = world.account()
    with world.attacked():
        watching = world.imap(user)
        assert b" OK " in answer(watching, b"NOTIFY SET (personal (SubscriptionChange)) (selected NONE)")
        actor = world.imap(user)
        actor.sock.settimeout(60)
        for _ in range(10):
            actor.send(b"a SUBSCRIBE INBOX\r\nb UNSUBSCRIBE INBOX\r\n" * 20 + b"last NOOP\r\n")
            actor.until_tag(b"last")
        assert b" OK " in answer(watching, b"NOOP")


def test_notify_on_and_off(world: Target, crowded: str) -> None:
    with world.attacked():
        wire = world.imap(crowded)
        wire.sock.settimeout(60)
        for _ in range(20):
            wire.send((b"a NOTIFY SET %b\r\nb NOTIFY NONE\r\n" % EVERYTHING) * 20 + b"last NOOP\r\n")
            wire.until_tag(b"last")
