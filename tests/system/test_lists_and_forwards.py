"""Aliases, lists, catch-alls, plus-addresses and forwards on a real server: who may write, where it goes, and what comes back."""

import re
import time
from collections.abc import Iterator

import pytest

from poterne.admin import people, srs_key
from poterne.admin.instance import DATA
from poterne.config.render import Value
from poterne.message.srs import Srs
from poterne.store.interface import Store
from poterne.values.directory import Posting
from poterne.values.event import Event
from poterne.values.ids import TraceId
from tests.support.outside import Client, Outside, arrive, letters, queued, rest, submit, wait_letters
from tests.support.server import DOMAIN, Instance, wait_for

ACTING = people.Acting("test", int(time.time()), TraceId("test"))
FAR = "carol@far.test"
REFUSED = "refused@far.test"


@pytest.fixture(scope="module")
def outside() -> Iterator[Outside]:
    def answer(line: str) -> bytes:
        return b"550 5.1.1 nobody of that name\r\n" if REFUSED in line else b"250 2.1.5 ok\r\n"

    with Outside("far.test", "second.test", rules={"RCPT": answer}) as made:
        yield made


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, outside: Outside) -> Iterator[Instance]:
    accounts = ("boss", "ann", "ben", "cyd", "forwarder", "mover", "keeper", "round", "taker", "pingpong", "full")
    chosen: dict[str, dict[str, Value]] = {**outside.settings, "limits": {"forwards_per_hour": 6}}
    made = Instance(tmp_path_factory.mktemp("lists") / "instance", accounts=accounts, chosen=chosen)
    yield made.start()
    assert made.stop() == 0
    assert not made.events("bug")


def at(name: str) -> str:
    return f"{name}@{DOMAIN}"


def alias(
    server: Instance, name: str, *targets: str, posting: Posting = Posting.ANYONE, posters: tuple[str, ...] = ()
) -> str:
    server.with_store(
        lambda store: people.add_alias(store, at(name), targets, ACTING, posting=posting, posters=posters)
    )
    return at(name)


def forward(server: Instance, name: str, *targets: str, keeps: bool) -> str:
    server.with_store(lambda store: people.set_forwards(store, at(name), targets, ACTING, keeps=keeps))
    return at(name)


def events(server: Instance, kind: str) -> list[Event]:
    found: list[Event] = server.with_store(lambda store: store.events(kind=kind))
    return found


# -- who may write -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "posting", "posters", "member", "stranger"),
    [
        ("anyone-list", Posting.ANYONE, (), True, True),
        ("local-list", Posting.LOCAL, (), True, True),
        ("members-list", Posting.MEMBERS, (), True, False),
        ("listed-list", Posting.LISTED, (at("ann"),), True, False),
    ],
)
def test_who_may_write_to_a_list(
    server: Instance,
    outside: Outside,
    name: str,
    posting: Posting,
    posters: tuple[str, ...],
    member: bool,
    stranger: bool,
) -> None:
    """ann is a member and listed, cyd is neither; an address alone proves nothing."""
    address = alias(server, name, at("ann"), at("ben"), FAR, posting=posting, posters=posters)
    for sender in ("carol@far.test", at("ann"), ""):
        answer = arrive(server, address, f"{name}-unsigned", sender=sender)
        if posting is Posting.ANYONE:
            assert answer.startswith("250")
        else:
            assert answer.startswith("550 5.7.2")
            assert "sign in to send" in answer
    answers = {user: submit(server, user, address, f"{name}-by-{user}") for user in ("ann", "cyd")}
    assert answers["ann"].startswith("250") is member
    assert answers["cyd"].startswith("250" if stranger else "550 5.7.2 You are not among the people who may write")
    for user in ("ann", "ben"):
        wait_letters(server, user, f"{name}-by-ann")
        assert len(letters(server, user, f"{name}-by-cyd")) == stranger
    (taken,) = outside.wait_taken(f"{name}-by-ann")
    assert taken.mail.startswith(f"MAIL FROM:<{at('ann')}>")  # the domain is ours: nothing to rewrite
    assert taken.rcpts == [f"RCPT TO:<{FAR}>"]
    assert taken.text.startswith(f"Delivered-To: {address}\r\nReceived: ".encode())
    if posting is not Posting.ANYONE:
        assert not letters(server, "ben", f"{name}-unsigned")


def test_nobody_writes_as_the_list(server: Instance) -> None:
    alias(server, "masked", at("ann"), FAR)
    with Client(server, at("ann")) as client:
        assert client.send(at("ben"), "as the list", sender=at("masked")).startswith("553 5.7.1")
        assert client.send(at("ben"), "as the list", author=at("masked")).startswith("550 5.7.1")


def test_a_catch_all_takes_what_nobody_has(server: Instance, outside: Outside) -> None:
    """Not postmaster, not the tags of real accounts, not the notices that come back to a forward."""
    server.poterne("domain", "add", "wide.test")
    server.poterne("domain", "add", "narrow.test")
    server.with_store(lambda store: people.add_account(store, "real@wide.test", ACTING, password=None))
    shown = server.poterne("alias", "add", "--catch-all", "wide.test", at("taker"))
    assert "attracts spam" in shown.stderr
    server.with_store(lambda store: people.set_forwards(store, "real@wide.test", [FAR], ACTING, keeps=True))

    assert arrive(server, "no-such-name@wide.test", "guessed").startswith("250")
    assert arrive(server, "no-such-name@narrow.test", "guessed").startswith("550 5.1.1")
    wait_letters(server, "taker", "guessed")
    assert arrive(
        server, ["real+tag@wide.test", "postmaster@wide.test", "PostMaster+x@wide.test"], "caught"
    ).startswith("250")
    (taken,) = outside.wait_taken("caught")
    path = _reverse_path(taken.mail)
    assert path.startswith("SRS0=")
    assert path.endswith("@wide.test")
    assert arrive(server, path, "caught-notice", sender="").startswith("250")
    (notice,) = outside.wait_taken("caught-notice")
    assert notice.rcpts == ["RCPT TO:<carol@far.test>"]
    assert letters(server, "taker", "caught") == []


def test_plus_addresses_are_the_account_and_the_list(server: Instance) -> None:
    alias(server, "tagged", at("ann"), at("ben"), posting=Posting.LOCAL)
    assert arrive(server, at("ann+shop"), "plus-1").startswith("250")
    assert arrive(server, at("tagged+x"), "plus-2").startswith("550 5.7.2")
    assert submit(server, "ann", at("tagged+x"), "plus-3").startswith("250")
    with Client(server, at("ann")) as client:
        assert client.send(at("ben"), "plus-4", sender=at("ann+shop")).startswith("250")
    for user, word in (("ann", "plus-1"), ("ann", "plus-3"), ("ben", "plus-3"), ("ben", "plus-4")):
        wait_letters(server, user, word)


# -- forwards ----------------------------------------------------------------------------------------------------------


def _reverse_path(mail: str) -> str:
    found = re.match("MAIL FROM:<([^>]*)>", mail)
    assert found is not None
    return found[1]


def _flip(path: str) -> str:
    """One character of the signature is another one."""
    return path[:6] + ("A" if path[6] != "A" else "B") + path[7:]


def test_a_forward_leaves_under_our_name_and_its_bounce_comes_back(server: Instance, outside: Outside) -> None:
    address = forward(server, "forwarder", FAR, "second@second.test", keeps=False)
    assert arrive(server, address, "forwarded", sender="dave@second.test").startswith("250")
    first, second = outside.wait_taken("forwarded", 2)
    assert sorted((*first.rcpts, *second.rcpts)) == ["RCPT TO:<carol@far.test>", "RCPT TO:<second@second.test>"]
    path = _reverse_path(first.mail)
    assert re.fullmatch(rf"SRS0=[A-Z2-7]{{8}}=[A-Z2-7]{{2}}=second\.test=dave@{DOMAIN}", path)
    for taken in (first, second):
        head = taken.text.partition(b"\r\n\r\n")[0]
        assert head.startswith(f"Delivered-To: {address}\r\nReceived: from elsewhere.test".encode())
        assert f" by mail.{DOMAIN} with ESMTP id ".encode() in re.sub(rb"\s+", b" ", head)
        assert b"Return-Path" not in head
    assert letters(server, "forwarder") == []

    assert arrive(server, path, "bounce-1", sender="").startswith("250")
    assert arrive(server, path.lower(), "bounce-2", sender="").startswith("250")
    for word in ("bounce-1", "bounce-2"):
        (back,) = outside.wait_taken(word)
        assert back.mail.startswith("MAIL FROM:<>")
        assert back.rcpts == ["RCPT TO:<dave@second.test>"]
        assert b"Delivered-To" not in back.text

    assert arrive(server, path, "x", sender="mallory@far.test").startswith("550 5.7.1 This address takes notices")
    assert submit(server, "ann", path, "x").startswith("550 5.1.1")
    assert arrive(server, _flip(path), "x", sender="").startswith("550 5.1.1")
    assert arrive(server, path.replace("dave", "eve"), "x", sender="").startswith("550 5.1.1")
    keys = srs_key.ensure(server.folder / DATA)
    old = Srs(keys).rewrite("dave@second.test", address, int(time.time()) - 25 * 86_400)
    assert arrive(server, old, "x", sender="").startswith("550 5.1.6")
    rest(server)
    assert outside.taken("Subject: x\r\n") == []


def test_a_bounce_for_one_of_ours_is_delivered_here(server: Instance) -> None:
    """ann's mail to a forward of another domain of ours, rewritten by nobody: her own address takes the notice."""
    keys = srs_key.ensure(server.folder / DATA)
    path = Srs(keys).rewrite(at("ann"), at("forwarder"), int(time.time()))
    assert arrive(server, path, "bounce-for-ann", sender="").startswith("250")
    (letter,) = wait_letters(server, "ann", "bounce-for-ann")
    assert letter.startswith(b"Return-Path: <>\r\n")


@pytest.mark.parametrize("keeps", [True, False])
def test_an_alias_leads_to_whoever_forwards(server: Instance, outside: Outside, keeps: bool) -> None:
    user = "keeper" if keeps else "mover"
    forward(server, user, FAR, keeps=keeps)
    address = alias(server, f"to-{user}", at(user), at("ann"))
    assert arrive(server, address, f"alias-{user}").startswith("250")
    (taken,) = outside.wait_taken(f"alias-{user}")
    assert taken.text.startswith(f"Delivered-To: {at(user)}\r\n".encode())
    wait_letters(server, "ann", f"alias-{user}")
    assert len(letters(server, user, f"alias-{user}")) == keeps


def test_nobody_learns_who_else_got_it(server: Instance, outside: Outside) -> None:
    """The forwarding addresses of blind copies are in nobody else's copy."""
    secret = alias(server, "secret", "lawyer@far.test")
    other = alias(server, "other", "doctor@second.test")
    assert submit(server, "ann", [at("ben"), FAR, secret, other], "blind-copy").startswith("250")
    taken = outside.wait_taken("blind-copy", 3)
    marks = {one.rcpts[0]: re.findall(rb"Delivered-To: [^\r]*", one.text) for one in taken}
    assert marks == {
        f"RCPT TO:<{FAR}>": [],
        "RCPT TO:<lawyer@far.test>": [f"Delivered-To: {secret}".encode()],
        "RCPT TO:<doctor@second.test>": [f"Delivered-To: {other}".encode()],
    }
    (here,) = wait_letters(server, "ben", "blind-copy")
    assert b"secret@" not in here
    assert b"other@" not in here


def _send_back(server: Instance, outside: Outside, word: str, to: str) -> str:
    """What a server elsewhere does that forwards back to us: the same message, under the sender it came with."""
    taken = outside.taken(word)[-1]
    with Client(server) as client:
        assert client.smtp.docmd(taken.mail.partition(" SIZE")[0])[0] == 250
        code, text = client.smtp.docmd(f"RCPT TO:<{to}>")
        if code == 250:
            code, text = client.smtp.data(
                b"Received: from us by second.test; Mon, 23 Nov 2026 00:00:00 +0000\r\n" + taken.text
            )
    return f"{code} {text.decode()}"


@pytest.mark.parametrize("keeps", [True, False])
def test_what_comes_round_stays_with_whoever_forwards_it(server: Instance, outside: Outside, keeps: bool) -> None:
    word = f"round-{'kept' if keeps else 'moved'}"
    address = forward(server, "round", "back@second.test", keeps=keeps)
    assert arrive(server, address, word).startswith("250")
    outside.wait_taken(word)
    assert _send_back(server, outside, word, address).startswith("250")
    assert _send_back(server, outside, word, at("round+tag")).startswith("250")
    wait_letters(server, "round", word, 3 if keeps else 2)
    rest(server)
    assert len(outside.taken(word)) == 1


def test_a_list_that_comes_round_is_refused(server: Instance, outside: Outside) -> None:
    address = alias(server, "carousel", "back@second.test")
    assert arrive(server, address, "round-list").startswith("250")
    outside.wait_taken("round-list")
    assert _send_back(server, outside, "round-list", address).startswith("554 5.4.6 This address forwards in a circle")
    rest(server)
    assert len(outside.taken("round-list")) == 1


def test_two_programs_that_answer_each_other_are_stopped(server: Instance, outside: Outside) -> None:
    """New messages each time: nothing in them shows the circle, only how often they come."""
    listed = alias(server, "robot", "robot@far.test")
    kept = forward(server, "pingpong", "robot@far.test", keeps=False)
    with Client(server) as client:
        answers = [client.send(listed, f"ping-list-{number}", sender="robot@far.test") for number in range(8)]
        assert [answer[:9] for answer in answers] == ["250 2.0.0"] * 6 + ["451 4.7.1"] * 2
        assert client.send([at("ann"), listed], "ping-both", sender="robot@far.test").startswith("451 4.7.1")
        assert client.send(listed, "ping-other", sender="carol@far.test").startswith("250")
        for number in range(8):
            assert client.send(kept, f"ping-kept-{number}", sender="robot@far.test").startswith("250")
    assert submit(server, "ann", listed, "ping-ann").startswith("250")
    wait_letters(server, "pingpong", "ping-kept-", 2)
    for word, count in (("ping-list-", 6), ("ping-kept-", 6), ("ping-other", 1), ("ping-ann", 1)):
        assert len(outside.wait_taken(word, count)) == count
    rest(server)
    assert (len(outside.taken("ping-list-")), len(outside.taken("ping-kept-"))) == (6, 6)
    assert letters(server, "ann", "ping-both") == []


def test_what_was_forwarded_too_often_is_refused(server: Instance) -> None:
    with Client(server) as client:
        client.smtp.docmd("MAIL FROM:<carol@far.test>")
        client.smtp.docmd(f"RCPT TO:<{at('ann')}>")
        hops = b"Received: from a by b; Mon, 23 Nov 2026 00:00:00 +0000\r\n" * 60
        code, text = client.smtp.data(hops + b"From: carol@far.test\r\nSubject: hops\r\n\r\nx\r\n")
    assert (code, text[:5]) == (554, b"5.4.6")


def test_a_forward_that_fails_is_told_to_nobody_outside(server: Instance, outside: Outside) -> None:
    address = alias(server, "dead-end", REFUSED)
    before = len(events(server, "message.failed"))
    assert arrive(server, address, "dead-end-mail", sender="innocent@second.test").startswith("250")
    wait_for(lambda: len(events(server, "message.failed")) > before)
    rest(server)
    (failed,) = [one for one in events(server, "message.failed") if one.detail["to"] == REFUSED]
    assert (failed.detail["told"], failed.detail["origin"]) == (False, f"forward:{address}")
    assert not [one for one in outside.sink.taken if "RCPT TO:<innocent@second.test>" in one.rcpts]


# -- many --------------------------------------------------------------------------------------------------------------


def test_a_list_of_fifty_is_one_message_with_fifty_recipients(server: Instance, outside: Outside) -> None:
    members = [f"member{number}@far.test" for number in range(50)]
    address = alias(server, "fifty", *members)
    before = time.perf_counter()
    assert submit(server, "ann", address, "to-fifty").startswith("250")
    took_s = time.perf_counter() - before
    (taken,) = outside.wait_taken("to-fifty")
    assert sorted(taken.rcpts) == sorted(f"RCPT TO:<{one}>" for one in members)
    assert took_s < 5.0
    (accepted,) = [
        one
        for one in events(server, "message.accepted")
        if one.detail["from"] == at("ann") and one.detail["queued"] == 50
    ]
    assert accepted.detail["local"] == 0


def test_one_stranger_and_many_forwards_are_no_amplifier(server: Instance, outside: Outside) -> None:
    """Each address elsewhere gets it once, by however many names of ours it was reached; the octets are stored once."""
    names = [f"amp{number}" for number in range(20)]
    for name in names:
        alias(server, name, FAR, f"{name}@second.test")
    size = 72 * 3000
    before = _stored(server)
    with Client(server) as client:
        answer = client.send(
            [*(at(name) for name in names), *(at(f"{name}+tag") for name in names)],
            "amplified",
            sender="mallory@far.test",
            body=("y" * 70 + "\r\n") * 3000,
        )
    assert answer.startswith("250")
    rest(server)
    reached = [one.rpartition("<")[2] for taken in outside.taken("amplified") for one in taken.rcpts]
    assert sorted(reached) == sorted([f"{FAR}>", *(f"{name}@second.test>" for name in names)])
    assert size <= _stored(server) - before < 1.5 * size


def _stored(server: Instance) -> int:
    """Octets of all messages on disk, without the zeros ahead of them."""
    return sum(len(path.read_bytes().rstrip(b"\0")) for path in (server.folder / DATA / "messages").glob("*.seg"))


# -- notices of delivery -----------------------------------------------------------------------------------------------


def test_who_asks_hears_that_it_was_delivered_here(server: Instance) -> None:
    with Client(server, at("cyd")) as client:
        assert client.send(at("ben"), "success-please", options=["NOTIFY=SUCCESS", "ORCPT=rfc822;ben@x"]).startswith(
            "250"
        )
    wait_letters(server, "ben", "success-please")
    (notice,) = wait_letters(server, "cyd", "multipart/report")
    assert b"Action: delivered\r\n" in notice
    assert f"Final-Recipient: rfc822; {at('ben')}\r\n".encode() in notice
    assert b"Original-Recipient: rfc822; ben@x\r\n" in notice


# -- a full mailbox ----------------------------------------------------------------------------------------------------


def test_a_full_member_does_not_keep_a_list_from_the_others(server: Instance, outside: Outside) -> None:
    """The others have it at once, whoever writes; the full one gets it when there is room. By itself it is told in the dialogue."""

    async def quota(store: Store, quota_bytes: int) -> None:
        full = await store.account(at("full"))
        await store.set_account(full.id, ACTING.event("account.changed"), quota_bytes=quota_bytes)

    server.with_store(lambda store: quota(store, 10))
    address = alias(server, "tight", at("ann"), at("full"), at("ben"), FAR)
    assert arrive(server, at("full"), "full-alone").startswith("452 4.2.2")
    assert arrive(server, [at("full"), at("ann")], "full-alone").startswith("452 4.2.2")
    assert arrive(server, address, "full-stranger").startswith("250")
    assert submit(server, "cyd", address, "full-member").startswith("250")
    with Client(server, at("cyd")) as client:
        assert client.send(address, "full-success", options=["NOTIFY=SUCCESS"]).startswith("250")
    for word in ("full-stranger", "full-member", "full-success"):
        wait_letters(server, "ann", word)
        wait_letters(server, "ben", word)
        outside.wait_taken(word)
    assert letters(server, "full") == []
    waiting = wait_for(lambda: [one for one in queued(server) if one.attempts])
    assert {one.forward_path for one in waiting} == {at("full")}
    server.with_store(lambda store: quota(store, 0))
    server.poterne("queue", "retry", "--to", at("full"))
    for word in ("full-stranger", "full-member", "full-success"):
        wait_letters(server, "full", word)
        assert len(letters(server, "ann", word)) == 1
        assert len(outside.taken(word)) == 1
    assert letters(server, "ann", "full-alone") == []
