"""An account that sends too much, on a real server: first mails pass, the rest is held, and one command decides about it."""

import json
import os
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from poterne.admin import people
from poterne.store.interface import HELD_MOST, Store, Submission
from poterne.values.ids import TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient
from poterne.values.sending import Charge, HoldReason, Incident, SendingLimits
from tests.support.outside import Client, Outside, letters, queued, rest, submit, wait_letters
from tests.support.server import DOMAIN, Instance, alive, wait_for

ACTING = people.Acting("test", 1, TraceId("test"))
SENDERS = ("ann", "ben", "cyd", "dan", "eve", "fay", "gil", "hal", "ida", "jon", "kim", "lou")
BOB = f"bob@{DOMAIN}"
FAR = "carol@far.test"


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    with Outside("far.test") as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, outside: Outside) -> Iterator[Instance]:
    made = Instance(
        tmp_path_factory.mktemp("limits") / "instance", accounts=("boss", "bob", *SENDERS), chosen=outside.settings
    )
    yield made.start()
    assert made.stop() == 0
    assert not made.events("bug")


def limit(server: Instance, user: str, limits: SendingLimits) -> None:
    server.with_store(lambda store: people.set_limits(store, f"{user}@{DOMAIN}", limits, ACTING))


def open_incidents(server: Instance, user: str) -> list[Incident]:
    found: list[Incident] = server.with_store(lambda store: store.incidents())
    return [one for one in found if one.origin.name == f"{user}@{DOMAIN}"]


def held(answer: str) -> bool:
    """Accepted, and told in the same line that it waits."""
    assert answer.startswith("250 2.0.0 Accepted as "), answer
    return "held until an administrator looks at it" in answer


def _kill(server: Instance) -> None:
    """All of it, at once."""
    pids = [server.pid, *server.children()]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    server.wait()
    wait_for(lambda: not any(alive(pid) for pid in pids))


@pytest.mark.parametrize(
    ("user", "port", "decision"), [("ann", "submission", "release"), ("ben", "submissions", "purge")]
)
def test_the_rest_is_held_and_one_command_decides(
    server: Instance, outside: Outside, user: str, port: str, decision: str
) -> None:
    server.poterne("account", "limit", f"{user}@{DOMAIN}", "--per-day", "4", "--burst", "0")
    words = [f"{user}-{number}-letter" for number in range(5)]
    for word in words[:2]:
        assert not held(submit(server, user, [BOB, FAR], word, port=port))
    for word in words[2:]:
        assert held(submit(server, user, [BOB, FAR], word, port=port))
    for word in words[:2]:
        wait_letters(server, "bob", word)
        outside.wait_taken(word)

    (told,) = wait_letters(server, user, "")
    assert b"Auto-Submitted: auto-generated" in told
    reader = server.imap(user)  # reading still works, and the notice is there: one, not one for each message
    reader.select()
    assert len(reader.search(None, "ALL")[1][0].split()) == 1
    reader.logout()
    (incident,) = open_incidents(server, user)
    assert (incident.reason, incident.messages, incident.recipients) == (HoldReason.DAY, 3, 6)
    (boss,) = wait_letters(server, "boss", f"{user}@{DOMAIN}")
    assert f"poterne hold release {incident.id}".encode() in boss
    listed = json.loads(server.poterne("hold", "list", "--json").stdout)
    (row,) = [one for one in listed if one["id"] == incident.id]
    assert (row["origin"], row["messages"], row["recipients"]) == (f"account:{user}@{DOMAIN}", 3, 6)
    shown = server.poterne("hold", "show", str(incident.id)).stdout
    assert (shown.count(BOB), shown.count(FAR)) == (3, 3)

    if decision == "release":
        _kill(server)
    else:
        assert server.stop() == 0
    server.start()
    assert len(queued(server)) == 6
    if decision == "release":
        server.poterne("hold", "release", str(incident.id))
        for word in words:
            (letter,) = wait_letters(server, "bob", word)
            assert letter.startswith(f"Return-Path: <{user}@{DOMAIN}>\r\n".encode())
            assert letter.count(b"Return-Path:") == 1
            (taken,) = outside.wait_taken(word)
            assert taken.rcpts == [f"RCPT TO:<{FAR}>"]
        rest(server)
        assert all(len(outside.taken(word)) == 1 for word in words)
    else:
        server.poterne("hold", "purge", "--yes", str(incident.id))
        assert queued(server) == []
        assert held(submit(server, user, BOB, "purged is not forgiven"))
        (again,) = open_incidents(server, user)
        server.poterne("hold", "purge", "--yes", str(again.id))
        server.poterne("account", "limit", f"{user}@{DOMAIN}", "--default")
    assert not held(submit(server, user, [BOB, FAR], f"{user}-after"))
    wait_letters(server, "bob", f"{user}-after")
    outside.wait_taken(f"{user}-after")
    if decision == "purge":
        assert not any(letters(server, "bob", word) or outside.taken(word) for word in words[2:])
    assert open_incidents(server, user) == []
    rest(server)
    assert server.with_store(lambda store: store.check()) == []


def test_two_connections_at_once_never_exceed_the_limit(server: Instance) -> None:
    limit(server, "cyd", SendingLimits(0, 0, 0, 10))
    answers: list[str] = []
    ready = threading.Barrier(6)

    def send(name: int) -> None:
        with Client(server, f"cyd@{DOMAIN}") as client:
            ready.wait(20)
            answers.extend(client.send(BOB, f"cyd-{name}-{number}") for number in range(4))

    threads = [threading.Thread(target=send, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(answers) == 24
    assert sum(held(answer) for answer in answers) == 14
    wait_letters(server, "bob", "Subject: cyd-", 10)
    (incident,) = open_incidents(server, "cyd")
    assert (incident.messages, incident.recipients) == (14, 14)
    assert len(wait_letters(server, "cyd", "")) == 1


def far(number: int) -> str:
    return f"stranger{number}@far.test"


Step = tuple[str | list[str], bool]


@pytest.mark.parametrize(
    ("user", "limits", "steps", "reason"),
    [
        ("dan", SendingLimits(0, 0, 0, 2), [(BOB, False), (BOB, False), (FAR, True)], HoldReason.BURST),
        ("eve", SendingLimits(0, 2, 0, 0), [(far(1), False), (BOB, False), (far(2), False), (far(3), True)], HoldReason.EXTERNAL),
        ("fay", SendingLimits(0, 0, 2, 0), [(far(1), False), (far(1), False), (BOB, False), (far(1), False), (far(2), True)], HoldReason.NEW),
        ("gil", people.bulk_limits(5), [([far(n) for n in range(5)], False), (far(9), True)], HoldReason.DAY),
        ("hal", SendingLimits(2, 0, 0, 0), [([BOB, far(1), far(2)], True)], HoldReason.DAY),
    ],
    ids=["burst", "external", "new", "bulk", "one-alone-is-over"],
)  # fmt: skip
def test_each_limit_holds(
    server: Instance, user: str, limits: SendingLimits, steps: list[Step], reason: HoldReason
) -> None:
    limit(server, user, limits)
    with Client(server, f"{user}@{DOMAIN}") as client:
        for number, (recipients, expected) in enumerate(steps):
            assert held(client.send(recipients, f"{user}-{number}")) is expected
        assert held(client.send(BOB, f"{user}-more"))  # all of it, while nobody has decided
    (incident,) = open_incidents(server, user)
    assert (incident.reason, incident.messages) == (reason, 2)


def test_a_list_of_ours_counts_for_all_it_leads_to(server: Instance, outside: Outside) -> None:
    outsiders = [f"member{number}@far.test" for number in range(5)]
    server.with_store(lambda store: people.add_alias(store, f"crowd@{DOMAIN}", outsiders, ACTING))
    server.with_store(lambda store: people.add_alias(store, f"others@{DOMAIN}", [*outsiders[:3], BOB], ACTING))
    for limits, reason in (
        (SendingLimits(5, 0, 0, 0), HoldReason.DAY),  # the list itself is one more
        (SendingLimits(0, 0, 5, 0), HoldReason.NEW),
    ):
        limit(server, "ida", limits)
        assert held(submit(server, "ida", f"crowd@{DOMAIN}", "ida-purged"))
        (incident,) = open_incidents(server, "ida")
        assert incident.reason is reason
        server.poterne("hold", "purge", "--yes", str(incident.id))
    limit(server, "ida", SendingLimits(0, 4, 0, 0))
    assert held(submit(server, "ida", [f"crowd@{DOMAIN}", f"others@{DOMAIN}", BOB], "ida-to-all"))
    (incident,) = open_incidents(server, "ida")
    assert incident.reason is HoldReason.EXTERNAL
    server.poterne("hold", "release", str(incident.id))
    (taken,) = outside.wait_taken("ida-to-all")
    assert sorted(taken.rcpts) == sorted(f"RCPT TO:<{one}>" for one in outsiders)
    wait_letters(server, "bob", "ida-to-all")
    rest(server)
    assert len(outside.taken("ida-to-all")) == 1, "nobody gets it twice"


def test_who_asks_to_hear_of_the_delivery_here_has_not_written_outside(server: Instance) -> None:
    limit(server, "jon", SendingLimits(0, 1, 0, 0))
    with Client(server, f"jon@{DOMAIN}") as client:
        for number in range(3):
            assert not held(client.send(BOB, f"jon-{number}", options=["NOTIFY=SUCCESS"]))


def test_when_too_much_is_held_the_sender_has_to_wait(server: Instance) -> None:
    """The room for held mail is filled in the store; the dialogue then says so, and takes nothing."""
    limit(server, "kim", SendingLimits(0, 0, 0, 1))
    assert not held(submit(server, "kim", BOB, "kim-1"))
    assert held(submit(server, "kim", BOB, "kim-2"))
    server.with_store(_full(f"kim@{DOMAIN}"))
    answer = submit(server, "kim", BOB, "kim-3")
    assert answer.startswith("452 4.7.1 Too much of your mail is held already")
    (incident,) = open_incidents(server, "kim")
    server.poterne("hold", "purge", "--yes", str(incident.id))
    assert not any(one.message.origin == incident.origin for one in queued(server))


def _full(user: str) -> Callable[[Store], Awaitable[None]]:
    """Holds as much of this user's mail as there is room for."""

    async def fill(store: Store) -> None:
        account = await store.account(user)
        origin = Origin(OriginKind.ACCOUNT, user, account.id)
        writer = store.blobs.writer()
        writer.write(b"Subject: one of many\r\n\r\nx\r\n")
        crowd = tuple(NewRecipient(far(number), "far.test") for number in range(HELD_MOST - 1))
        held = NewQueued(origin, TraceId("many"), user, await writer.finish(), crowd, 1)
        charge = Charge(origin, SendingLimits(0, 0, 0, 1), int(time.time()), (BOB,), 0)
        event = ACTING.event("message.accepted")
        assert (await store.submit(Submission(charge, [], [], held, event))).incident is not None

    return fill


def test_the_administrator_hears_of_it_though_the_sender_has_no_room_and_wherever_the_administrator_reads(
    server: Instance, outside: Outside
) -> None:
    """A mass mailer's own mailbox is soon full of bounces."""

    async def work(store: Store) -> None:
        lou = await store.account(f"lou@{DOMAIN}")
        await store.set_account(lou.id, ACTING.event("account.changed"), quota_bytes=10)
        await people.add_alias(store, f"postmaster@{DOMAIN}", ["admin@far.test"], ACTING)

    server.with_store(work)
    try:
        limit(server, "lou", SendingLimits(0, 0, 0, 1))
        assert not held(submit(server, "lou", BOB, "lou-1"))
        assert held(submit(server, "lou", BOB, "lou-2"))
        (taken,) = outside.wait_taken(f"lou@{DOMAIN}")
        assert taken.rcpts == ["RCPT TO:<admin@far.test>"]
        assert taken.mail.startswith("MAIL FROM:<>")
        assert b"poterne hold release" in taken.text
        assert letters(server, "lou") == []
    finally:
        server.with_store(lambda store: people.remove_alias(store, f"postmaster@{DOMAIN}", ACTING))
