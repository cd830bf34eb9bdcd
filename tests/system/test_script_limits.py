"""Scripts over TLS on a real server: what was approved passes, anything else is refused in words, and loops are held."""

import imaplib
import poplib
import smtplib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from poterne.admin import people, senders
from poterne.admin.sender_scope import Wanted
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from poterne.values.sending import HoldReason, Incident
from tests.support.outside import Client, Outside, letters, rest, wait_letters
from tests.support.server import ADDRESS, DOMAIN, PASSWORD, Instance, wait_for

ALICE, SHOP = f"alice@{DOMAIN}", f"shop@{DOMAIN}"
NOBODY = "nobody@far.test"
USUAL = Wanted([SHOP], [f"@{DOMAIN}", "@far.test"], [ADDRESS])
SECRET = Secret("a-printer-in-the-cellar")


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    def answer(line: str) -> bytes:
        return b"550 5.1.1 nobody of that name\r\n" if NOBODY in line else b"250 2.1.5 ok\r\n"

    with Outside("far.test", rules={"RCPT": answer}) as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, outside: Outside) -> Iterator[Instance]:
    made = Instance(
        tmp_path_factory.mktemp("scripts") / "instance",
        accounts=("boss", "alice", "owner", "leaver"),
        chosen=outside.settings,
    )
    made.poterne("alias", "add", SHOP, f"alice@{DOMAIN}")
    yield made.start()
    assert made.stop() == 0
    assert not made.events("bug")


def acting() -> people.Acting:
    return people.Acting("test", int(time.time()), TraceId("test"))


def add(server: Instance, name: str, wanted: Wanted = USUAL, *, owner: str = "owner", approved: bool = True) -> None:
    async def work(store: Store) -> None:
        await senders.add_sender(store, name, f"{owner}@{DOMAIN}", wanted, acting(), password=SECRET)
        if approved:
            await senders.approve_sender(store, name, acting())

    server.with_store(work)


@contextmanager
def script(server: Instance, name: str, port: str = "submissions") -> Iterator[Client]:
    with Client(server, name, SECRET.reveal().decode(), port=port) as client:
        yield client


def send(client: Client, subject: str, to: str = ALICE, **how: Any) -> str:
    return client.send(to, subject, **{"sender": SHOP, **how})


def reasons(server: Instance, since: int) -> list[str]:
    return [line["reason"] for line in server.events("smtp.refused")[since:]]


def incidents(server: Instance, name: str) -> list[Incident]:
    found: list[Incident] = server.with_store(lambda store: store.incidents())
    return [one for one in found if one.origin.key == f"sender:{name}"]


@pytest.mark.parametrize("port", ["submission", "submissions"])
def test_what_was_approved_passes_and_says_that_no_person_wrote_it(
    server: Instance, outside: Outside, port: str
) -> None:
    name = f"shop-{port}"
    add(server, name)
    with script(server, name, port) as client:
        assert send(client, f"{name}-here").startswith("250")
        assert send(client, f"{name}-there", "carol@far.test", fields={"Auto-Submitted": "no"}).startswith("250")
    (here,) = wait_letters(server, "alice", f"{name}-here")
    (there,) = outside.wait_taken(f"{name}-there")
    assert there.mail.startswith(f"MAIL FROM:<{SHOP}>")
    for octets in (here, there.text):
        assert octets.lower().count(b"auto-submitted:") == 1
        assert b"Auto-Submitted: auto-generated\r\n" in octets
        assert ADDRESS.encode() not in octets.split(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    ("name", "how", "code", "reason", "text"),
    [
        ("foreign-sender", {"sender": ALICE}, "550 5.7.1", "sender-envelope-from", "may not send as this address"),
        ("null-sender", {"sender": ""}, "550 5.7.1", "sender-null-sender", "without a sender address"),
        ("foreign-from", {"author": ALICE}, "550 5.7.1", "sender-header-from", "may not write as the address in From"),
        (
            "foreign-extra",
            {"author": SHOP, "fields": {"Sender": ALICE}},
            "550 5.7.1",
            "sender-header-from",
            "may not write as the address in From",
        ),
        ("recipient", {"to": "x@other.test"}, "550 5.7.1", "sender-recipient", "may not write to this recipient"),
        ("too-big", {"body": "x" * 70 + "\r\n" + "y" * 6000}, "552 5.3.4", "sender-size", "larger than the sender"),
    ],
)
def test_what_was_not_approved_is_refused_in_words(
    server: Instance, name: str, how: dict[str, Any], code: str, reason: str, text: str
) -> None:
    add(server, name, replace(USUAL, max_bytes=5000))
    since = len(server.events("smtp.refused"))
    with script(server, name) as client:
        assert send(client, f"{name}-before").startswith("250")
        answer = send(client, f"{name}-refused", **how)
        assert answer.startswith(code)
        assert text in answer
        assert f'"{name}"' in answer
        assert send(client, f"{name}-after").startswith("250")
    assert reasons(server, since) == [reason]
    wait_letters(server, "alice", f"{name}-after")
    assert not letters(server, "alice", f"{name}-refused")


def test_what_is_announced_too_big_is_refused_at_once(server: Instance) -> None:
    add(server, "announced", replace(USUAL, max_bytes=5000))
    with script(server, "announced") as client:
        code, text = client.smtp.docmd(f"MAIL FROM:<{SHOP}> SIZE=6000")
        assert (code, b"larger than the sender" in text) == (552, True)


async def _expire(store: Store, name: str) -> None:
    found = await store.sender(name)
    await store.set_sender(found.id, acting().event("sender.limited"), expires_at=int(time.time()) - 1)


@pytest.mark.parametrize("state", ["pending", "expired", "network"])
def test_who_may_not_send_now_is_told_why(server: Instance, state: str) -> None:
    wanted = replace(USUAL, networks=["10.20.30.0/24"]) if state == "network" else USUAL
    add(server, state, wanted, approved=state != "pending")
    if state == "expired":
        server.with_store(lambda store: _expire(store, state))
    since = len(server.events("smtp.refused"))
    with script(server, state) as client:
        answer = send(client, state)
    text = {"pending": "is not approved yet", "expired": "has expired", "network": "may not send from this address"}[
        state
    ]
    assert answer.startswith("550 5.7.1")
    assert text in answer
    assert reasons(server, since) == [f"sender-{state}"]


def test_what_is_taken_away_ends_within_an_open_session(server: Instance) -> None:
    add(server, "revoked")
    add(server, "narrowed")
    add(server, "left", owner="leaver")
    with script(server, "revoked") as one, script(server, "narrowed") as two, script(server, "left") as three:
        for client in (one, two, three):
            assert send(client, "while it may").startswith("250")
        server.poterne("sender", "revoke", "revoked")
        server.poterne("sender", "limit", "narrowed", "--to", "@far.test")

        async def leave(store: Store) -> None:
            account = await store.account(f"leaver@{DOMAIN}")
            await store.set_account(account.id, acting().event("account.disabled"), disabled=True)

        server.with_store(leave)
        assert 'The sender "revoked" is revoked' in send(one, "too late")
        assert "may not write to this recipient" in send(two, "too late")
        assert 'The sender "left" is revoked' in send(three, "too late")
    with pytest.raises(smtplib.SMTPAuthenticationError), script(server, "revoked"):
        pass
    assert not letters(server, "alice", "too late")


def test_a_script_reads_no_mail(server: Instance) -> None:
    add(server, "reader")
    password = SECRET.reveal().decode()
    with imaplib.IMAP4_SSL(ADDRESS, server.ports["imaps"], ssl_context=server.context(), timeout=20) as imap:
        with pytest.raises(imaplib.IMAP4.error):
            imap.login("reader", password)
        with pytest.raises(imaplib.IMAP4.error):
            imap.login(f"owner@{DOMAIN}", password)
    pop3 = poplib.POP3_SSL(ADDRESS, server.ports["pop3s"], context=server.context(), timeout=20)
    pop3.user("reader")
    with pytest.raises(poplib.error_proto):
        pop3.pass_(password)
    pop3.close()
    assert server.imap("owner", PASSWORD).logout()[0] == "BYE"


def test_the_same_again_and_again_is_held_and_other_mail_is_not_until_then(server: Instance) -> None:
    add(server, "looping")
    with script(server, "looping") as client:
        answers = [send(client, "disk full", body="the disk is full\r\n") for _ in range(20)]
        assert not any("held" in answer for answer in answers)
        assert "held" not in send(client, "disk full", body="the other disk is full\r\n")
        assert "held" not in send(client, "disk full", "owner@" + DOMAIN, body="the disk is full\r\n")
        answer = send(client, "disk full", body="the disk is full\r\n")
        assert answer.startswith("250")
        assert "is a script in a loop?" in answer
        assert "held already" in send(client, "anything", body="new\r\n")
    (incident,) = incidents(server, "looping")
    assert (incident.reason, incident.messages) == (HoldReason.REPEATED, 2)
    assert len(wait_letters(server, "alice", "disk full\r\n", 21)) == 21
    (told,) = wait_letters(server, "owner", "looping")
    assert b"Auto-Submitted: auto-" in told
    assert len(wait_letters(server, "boss", "looping")) == 1


def test_answers_to_answers_are_held(server: Instance) -> None:
    add(server, "answering", replace(USUAL, answers_per_hour=3))
    with script(server, "answering") as client:
        for number in range(5):
            assert "held" not in send(client, f"note-{number}")
        for number in range(3):
            answer = send(client, f"Re-{number}", fields={"In-Reply-To": f"<{number}@far.test>"}, body=f"{number}\r\n")
            assert "held" not in answer
        assert "do two programs talk to each other?" in send(client, "Re-3", fields={"In-Reply-To": "<3@far.test>"})
    (incident,) = incidents(server, "answering")
    assert incident.reason is HoldReason.PING_PONG


def test_a_rate_holds_and_the_release_lets_it_go(server: Instance) -> None:
    add(server, "rated", replace(USUAL, per_hour=3))
    with script(server, "rated") as client:
        answers = [send(client, f"rated-{number}") for number in range(5)]
    assert ["held" in answer for answer in answers] == [False, False, False, True, True]
    (incident,) = incidents(server, "rated")
    server.poterne("hold", "release", str(incident.id))
    assert len(wait_letters(server, "alice", "Subject: rated-", 5)) == 5


def test_failed_mail_is_told_to_the_owner(server: Instance, outside: Outside) -> None:
    add(server, "failing")
    with script(server, "failing") as client:
        assert send(client, "failing-one", NOBODY).startswith("250")
    (notice,) = wait_letters(server, "owner", "failing-one")
    assert b"multipart/report" in notice
    assert b"550 5.1.1 nobody of that name" in notice
    assert notice.startswith(b"Return-Path: <>\r\n")
    rest(server)
    assert not letters(server, "alice", "failing-one")  # whose alias the sender address is
    assert not outside.taken("failing-one")
    wait_for(lambda: server.events("message.failed"))
