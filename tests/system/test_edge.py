"""An edge in front of a mailbox server: two real servers, and what strangers, the inner one and mistakes can do with them."""

import smtplib
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from poterne.store.interface import Store
from poterne.values.event import Event
from tests.support.checked import FORGER, LIST, served, zones
from tests.support.checked import letter as checked_letter
from tests.support.edge import (
    DOMAIN,
    FROM,
    INNER,
    STRANGER,
    Elsewhere,
    Node,
    mailboxes,
    mx,
    relay,
    route,
)
from tests.support.server import ADDRESS, PASSWORD, free_port, letter, wait_for
from tests.support.sink import Sink
from tests.support.stores import event

ALICE, BOB, BELOW = f"alice@{DOMAIN}", f"bob@{DOMAIN}", f"dan@a.below.{DOMAIN}"


@dataclass
class Pair:
    """The edge, the server behind it, and the rest of the world."""

    edge: Node
    inner: Node
    gate: Elsewhere
    world: Sink

    def inbox(self, user: str = "alice") -> list[bytes]:
        client = self.inner.imap(user)
        try:
            client.select("INBOX", readonly=True)
            numbers = client.search(None, "ALL")[1][0].split()
            return [client.fetch(number.decode(), "(BODY.PEEK[])")[1][0][1] for number in numbers]  # type: ignore[index,misc]
        finally:
            client.logout()

    def arrived(self, text: str, user: str = "alice") -> bytes:
        """The message with these words, once it is there."""
        found: list[bytes] = wait_for(
            lambda: [each for each in self.inbox(user) if text.encode() in each], text=f"{text!r} never came"
        )
        (only,) = found
        return only

    def send(self, text: str, *to: str, node: Node | None = None, sender: str = FROM) -> None:
        with (node or self.edge).stranger() as client:
            client.send_message(letter(to[0], subject=text), sender, list(to))


def events(node: Node, kind: str) -> list[Event]:
    found: list[Event] = node.with_store(lambda store: store.events(kind=kind, limit=1000))
    return found


@contextmanager
def pair(
    folder: Path, *, more: str = "", inner_more: str = "", chosen: Mapping[str, Mapping[str, Any]] | None = None
) -> Iterator[Pair]:
    outside, inside, port = free_port(), free_port(), free_port()
    (folder / "edge").mkdir()
    (folder / "edge" / "people").write_text("# of list.test\nann@list.test\n@all.list.test\n")
    with Elsewhere(inside) as gate, Sink() as world:
        ca = folder / "inner" / "data" / "tls" / "ca.pem"
        edge = Node(
            folder / "edge",
            "edge.test",
            "edge",
            {"mx": mx(port=outside), "inside": mx(port=inside, proxies=[ADDRESS])},
            more="\n".join([
                route("inside", port, DOMAIN, f".below.{DOMAIN}", ca=ca, inbound=True, verify="call-forward"),
                route("outward", world.port, f"out.below.{DOMAIN}"),
                route("listed", world.port, "list.test", ".list.test", inbound=True, verify="list", recipients_file="people"),
                route("everybody", world.port, "open.test", inbound=True),
                route("world", world.port, "*"),
                relay("inner", DOMAIN),
                more,
            ]),
            chosen={"smtp": {"first_wait_ms": 0}, **(chosen or {})},
        )  # fmt: skip
        inner = Node(
            folder / "inner",
            "inner.test",
            "mailbox",
            {"mx": mx(port=port, allow=[ADDRESS]), **mailboxes()},
            accounts=[ALICE, BOB, BELOW],
            domains=[DOMAIN, f"a.below.{DOMAIN}"],
            more=inner_more or route("edge", gate.port, "*", ca=edge.ca),
        )
        try:
            inner.start()
            edge.start()
            yield Pair(edge, inner, gate, world)
        finally:
            edge.stop()
            inner.stop()


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with pair(tmp_path_factory.mktemp("edge")) as running:
        yield running
        for node in (running.edge, running.inner):
            assert not node.events("bug"), node.log.read_text()
            assert not node.events("queue.bug"), node.log.read_text()


# -- mail from strangers -----------------------------------------------------------------------------------------------


def test_a_stranger_s_mail_arrives_over_verified_tls(office: Pair) -> None:
    office.send("from afar", ALICE, BOB)
    for user in ("alice", "bob"):
        found = office.arrived("from afar", user)
        assert found.startswith(f"Return-Path: <{FROM}>\r\n".encode())
        assert b"by inner.test" in found
        assert b"by edge.test" in found
    sent = [each.detail for each in events(office.edge, "message.sent") if each.detail["to"] in {ALICE, BOB}]
    assert [(each["tls"], each["tls_verified"], each["origin"]) for each in sent] == [
        ("TLSv1.3", True, "route:inside")
    ] * 2


@pytest.mark.parametrize(
    ("recipient", "said"),
    [
        (ALICE, "250 2.1.5"),
        ("ALICE@EXAMPLE.TEST", "250 2.1.5"),
        (f"alice+shop@{DOMAIN}", "250 2.1.5"),
        (f"nobody@{DOMAIN}", "550 5.1.1"),
        (f"alicex@{DOMAIN}", "550 5.1.1"),
        (f"postmaster@{DOMAIN}", "250 2.1.5"),
        ("postmaster", "250 2.1.5"),
        ("PostMaster", "250 2.1.5"),
        (BELOW, "250 2.1.5"),
        (f"postmaster@a.below.{DOMAIN}", "250 2.1.5"),
        (f"alice@a.below.{DOMAIN}", "550 5.1.1"),
        (f"dan@b.below.{DOMAIN}", "451 4.4.1"),
        (f"dan@below.{DOMAIN}", "550 5.7.1"),
        (f"dan@out.below.{DOMAIN}", "550 5.7.1"),
        ("ann@list.test", "250 2.1.5"),
        ("ann+x@list.test", "250 2.1.5"),
        ("postmaster@list.test", "250 2.1.5"),
        ("ben@list.test", "550 5.1.1"),
        ("ann@sub.list.test", "550 5.1.1"),
        ("whoever@all.list.test", "250 2.1.5"),
        ("whoever@open.test", "250 2.1.5"),
        ("whoever@sub.open.test", "550 5.7.1"),
        ("carol@elsewhere.test", "550 5.7.1"),
        ("alice@edge.test", "550 5.7.1"),
        ("alice@inner.test", "550 5.7.1"),
        (f"alice%elsewhere.test@{DOMAIN}", "553 5.1.3"),
        (f'"carol@elsewhere.test"@{DOMAIN}', "55"),
    ],
)
def test_what_a_recipient_is_answered(office: Pair, recipient: str, said: str) -> None:
    for sender in (FROM, ""):
        (answer,) = office.edge.rcpt(recipient, sender=sender)
        assert answer.startswith(said), answer


def test_mail_for_postmaster_without_a_domain_is_for_who_is_behind(office: Pair) -> None:
    with office.edge.stranger() as client:
        client.mail(FROM)
        client.rcpt("postmaster")
        assert client.data(letter(subject="to postmaster").as_string())[0] == 250
    assert b"to postmaster" in office.arrived("to postmaster")  # alice has the first account of the domain


def test_a_known_or_unknown_recipient_is_asked_about_once(office: Pair) -> None:
    for _ in range(4):
        assert [answer[:3] for answer in office.edge.rcpt(BOB, f"once@{DOMAIN}")] == ["250", "550"]
    refused = [line for line in office.inner.events("smtp.refused") if line["reason"] == "unknown-recipient"]
    before = len(refused)
    assert office.edge.rcpt(f"twice@{DOMAIN}", f"once@{DOMAIN}", f"twice@{DOMAIN}")[0].startswith("550")
    refused = [line for line in office.inner.events("smtp.refused") if line["reason"] == "unknown-recipient"]
    assert len(refused) == before + 1
    assert office.edge.with_store(lambda store: store.recipient_check(f"once@{DOMAIN}"))[0] is False


def test_a_changed_list_counts_after_a_reload(office: Pair) -> None:
    people = office.edge.folder / "people"
    assert office.edge.rcpt("zoe@list.test")[0].startswith("550")
    people.write_text(people.read_text() + "zoe@list.test\n")
    office.edge.reload()
    wait_for(lambda: office.edge.rcpt("zoe@list.test")[0].startswith("250"))


def test_who_may_open_smtp_behind_the_edge(office: Pair) -> None:
    with pytest.raises(smtplib.SMTPConnectError) as refused:
        office.inner.stranger()
    assert refused.value.smtp_code == 554


# -- what the inner server sends out -----------------------------------------------------------------------------------


def submit(office: Pair, text: str, to: str, sender: str = ALICE) -> None:
    with smtplib.SMTP(ADDRESS, office.inner.ports["submission"], timeout=20) as client:
        client.starttls(context=office.inner.context())
        client.login(sender, PASSWORD)
        message = letter(to, subject=text)
        message.replace_header("From", sender)
        client.send_message(message, sender, [to])


def test_the_inner_server_sends_out_through_the_edge(office: Pair) -> None:
    submit(office, "going out", "carol@elsewhere.test")
    wait_for(lambda: any(b"going out" in taken.text for taken in office.world.taken), text="it never went out")
    (taken,) = [each for each in office.world.taken if b"going out" in each.text]
    assert taken.mail.startswith(f"MAIL FROM:<{ALICE}>")
    (sent,) = [each for each in events(office.edge, "message.sent") if each.detail["to"] == "carol@elsewhere.test"]
    assert sent.detail["origin"] == "relay:inner"
    handed_over = events(office.inner, "message.sent")[0]
    assert handed_over.detail["tls_verified"] is True


def through(port: int, context: ssl.SSLContext, source: str, sender: str, to: str) -> str:
    with smtplib.SMTP(ADDRESS, port, local_hostname="inner.test", timeout=20, source_address=(source, 0)) as client:
        client.starttls(context=context)
        client.ehlo()
        client.mail(sender)
        code, text = client.rcpt(to)
        return f"{code} {text.decode()}"


@pytest.mark.parametrize(
    ("sender", "said"),
    [
        (ALICE, "250 2.1.5"),
        (f"nobody@{DOMAIN}", "250 2.1.5"),
        ("alice@elsewhere.test", "550 5.7.1"),
        (f"alice@sub.{DOMAIN}", "550 5.7.1"),
        (f"alice@{DOMAIN}.elsewhere.test", "550 5.7.1"),
        ("", "550 5.7.1"),
    ],
)
def test_as_its_domain_only(office: Pair, sender: str, said: str) -> None:
    """From its address."""
    answer = through(office.gate.port, office.edge.context(), ADDRESS, sender, "carol@elsewhere.test")
    assert answer.startswith(said), answer


@pytest.mark.parametrize("source", ["10.9.8.6", "10.9.9.7", "203.0.113.7", "2001:db8::7", "fd00::7", f"::ffff:{INNER}"])
def test_from_its_address_only(office: Pair, source: str) -> None:
    mapped = source == f"::ffff:{INNER}"
    with Elsewhere(office.edge.ports["inside"], source) as gate:
        answer = through(gate.port, office.edge.context(), ADDRESS, ALICE, "carol@elsewhere.test")
        assert answer.startswith("250 2.1.5" if mapped else "550 5.7.1"), answer


@pytest.mark.parametrize("sender", [FROM, ALICE, "", "postmaster@edge.test", "x@inner.test"])
@pytest.mark.parametrize("source", [STRANGER, ADDRESS])
def test_strangers_relay_through_neither(office: Pair, sender: str, source: str) -> None:
    """With whatever sender, from this machine or another; the inner one does not relay for its edge either."""
    (answer,) = office.edge.rcpt("carol@elsewhere.test", sender=sender, source=source)
    assert answer.startswith("550 5.7.1"), answer
    (answer,) = office.inner.rcpt("carol@elsewhere.test", sender=sender, source=ADDRESS)
    assert answer.startswith("550 5.7.1"), answer


# -- when something goes wrong -----------------------------------------------------------------------------------------


def test_harvesting_is_noticed_wherever_the_answer_comes_from(office: Pair) -> None:
    """Unknown names are asked about once, and counted against whoever guesses, each time."""
    with Elsewhere(office.edge.ports["inside"], "203.0.113.9") as harvester, Elsewhere(
        office.edge.ports["inside"], "203.0.113.10"
    ) as neighbour:  # fmt: skip
        ended = [_guess(office, harvester.port, number % 2) for number in range(7)]
        assert [code for code, _ in ended[:5]] == [421] * 5
        assert ended[6][0] == 450
        assert _rcpt(office, harvester.port, ALICE, f"guess0.1@{DOMAIN}", f"new@{DOMAIN}") == [450] * 3
        assert _rcpt(office, neighbour.port, ALICE, f"guess0.1@{DOMAIN}") == [250, 550]
    assert office.edge.wait_event("security.harvest")["peer"] == "203.0.113.9"
    for name in ("security.harvest", "security.origin-hidden"):
        assert not office.inner.events(name), "its own edge is no harvester"


def _guess(office: Pair, port: int, names: int) -> tuple[int, int]:
    """The code that ended it, and how many names were judged before."""
    said = _rcpt(office, port, *(f"guess{names}.{number}@{DOMAIN}" for number in range(12)))
    judged = next(number for number, code in enumerate(said) if code != 550)
    return said[judged], judged


def _rcpt(office: Pair, port: int, *recipients: str) -> list[int]:
    """The codes, until the connection ends."""
    codes: list[int] = []
    with smtplib.SMTP(ADDRESS, port, local_hostname="elsewhere.test", timeout=20) as client:
        client.starttls(context=office.edge.context())
        client.ehlo()
        client.mail(FROM)
        for recipient in recipients:
            code, _ = client.docmd(f"RCPT TO:<{recipient}>")
            codes.append(code)
            if code == 421:
                client.close()
                break
    return codes


def test_the_inner_server_is_down_for_a_while(tmp_path: Path) -> None:
    """Whom the edge knows gets mail, whom it does not know is asked to wait; a restart of the edge changes nothing."""
    with pair(tmp_path) as office:
        known = [answer[:3] for answer in office.edge.rcpt(ALICE, f"nobody@{DOMAIN}")]
        assert known == ["250", "550"]
        office.inner.stop()
        assert [answer[:9] for answer in office.edge.rcpt(ALICE, BOB, f"new@{DOMAIN}", f"nobody@{DOMAIN}")] == [
            "250 2.1.5",
            "451 4.4.1",
            "451 4.4.1",
            "550 5.1.1",
        ]
        office.send("while it was away", ALICE)
        assert office.edge.wait_event("recipient-check.down")["route"] == "inside"
        office.edge.stop()
        office.edge.start()
        assert office.edge.rcpt(ALICE)[0].startswith("250")
        assert len(office.edge.queued()) == 1
        office.inner.start()
        office.edge.poterne("queue", "retry", "--all", "--yes")
        office.arrived("while it was away")
        assert wait_for(lambda: office.edge.queued() == [])


def test_no_bounce_when_the_inner_server_refuses_later(tmp_path: Path) -> None:
    """Somebody left after the edge had asked: nothing goes to the forged sender, and the edge's log and events say so."""
    with pair(tmp_path) as office:
        assert office.edge.rcpt(BOB)[0].startswith("250")
        office.inner.poterne("account", "remove", BOB, "--yes")
        office.send("too late", BOB, sender="victim@elsewhere.test")
        said = office.edge.wait_event("message.failed")
        assert (said["level"], said["to"], said["told"], said["origin"]) == ("warning", BOB, False, "route:inside")
        assert said["reply"].startswith("550 5.1.1")
        (failed,) = wait_for(lambda: events(office.edge, "message.failed"))
        assert failed.detail["told"] is False
        assert office.edge.queued() == []
        time.sleep(0.5)
        assert office.world.connections == 0
        assert office.inner.poterne("queue", "list", "--json").stdout.strip() == "[]"


def test_a_full_mailbox_waits_in_the_queue_and_nobody_hears_of_it(tmp_path: Path) -> None:
    with pair(tmp_path) as office:
        office.inner.with_store(_fill_up)
        office.send("x" * 50, BOB, sender="victim@elsewhere.test")
        wait_for(lambda: [e for e in events(office.edge, "message.deferred") if e.detail["to"] == BOB])
        (waiting,) = office.edge.queued()
        assert waiting["to"] == BOB
        assert office.world.connections == 0


async def _fill_up(store: Store) -> None:
    bob = await store.account(BOB)
    await store.set_account(bob.id, event("account.changed"), quota_bytes=10)


# -- loops -------------------------------------------------------------------------------------------------------------


def _looping(folder: Path, verify: str) -> Iterator[tuple[Node, Node]]:
    ports = free_port(), free_port()
    nodes = []
    for own, other, name, role in ((0, 1, "edge", "edge"), (1, 0, "inner", "mailbox")):
        nodes.append(
            Node(
                folder / name,
                f"{name}.test",
                role,
                {"mx": mx(port=ports[own], allow=[] if role == "edge" else [ADDRESS])},
                more=route("there", ports[other], "loop.test", inbound=True, verify=verify),
                chosen={"smtp": {"max_received": 10}},
            )
        )
    try:
        for node in nodes:
            node.start()
        yield nodes[0], nodes[1]
    finally:
        for node in nodes:
            node.stop()


@pytest.fixture
def circle(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Node, Node]]:
    yield from _looping(tmp_path, request.param)


@pytest.mark.parametrize("circle", ["none"], indirect=True)
def test_a_circle_ends_by_the_count_of_received_fields(circle: tuple[Node, Node]) -> None:
    """Each is the other's server behind: the message goes round, is counted, and ends in one log; nobody hears of it."""
    edge, inner = circle
    with edge.stranger() as client:
        client.send_message(letter("a@loop.test"), "victim@elsewhere.test", ["a@loop.test"])

    def failed() -> list[dict[str, object]]:
        return edge.events("message.failed") + inner.events("message.failed")

    wait_for(failed)
    (one,) = failed()
    assert one["told"] is False
    assert str(one["reply"]).startswith("554 5.4.6")
    accepted = edge.events("message.accepted") + inner.events("message.accepted")
    assert 9 <= len(accepted) <= 11
    assert edge.queued() == inner.queued() == []


@pytest.mark.parametrize("circle", ["call-forward"], indirect=True)
def test_a_circle_of_questions_ends_too(circle: tuple[Node, Node]) -> None:
    """The edge asks the inner one, which asks the edge, which is asking already."""
    edge, _ = circle
    began = time.monotonic()
    (answer,) = edge.rcpt("a@loop.test")
    assert answer.startswith("451 4.4.1")
    assert time.monotonic() - began < 15


# -- its own edge is no flood ------------------------------------------------------------------------------------------


def test_limits_for_an_address_do_not_count_for_servers_that_are_named(tmp_path: Path) -> None:
    few = {"max_per_address": 3, "max_per_minute": 5}
    named = _limited(tmp_path / "named", [ADDRESS, STRANGER], few)
    network = _limited(tmp_path / "network", ["127.0.0.0/24"], few)
    try:
        assert _connections(named, 12) == [250] * 12
        assert _connections(network, 12) == [250] * 3 + [421] * 9
    finally:
        named.stop()
        network.stop()


def _limited(folder: Path, allow: Sequence[str], limits: dict[str, int]) -> Node:
    listener = replace(mx(allow=allow), **limits)  # type: ignore[arg-type]
    made = Node(folder, "inner.test", "mailbox", {"mx": listener}, domains=[DOMAIN], accounts=[ALICE])
    made.start()
    return made


def _connections(node: Node, count: int) -> list[int]:
    """So many at the same time; 250 or the code that refused."""
    clients, codes = [], []
    for _ in range(count):
        try:
            clients.append(node.stranger())
            codes.append(250)
        except smtplib.SMTPConnectError as error:
            codes.append(error.smtp_code)
    for client in clients:
        client.close()
    return codes


# -- what the edge finds out about strangers ---------------------------------------------------------------------------


def test_what_the_edge_found_is_done_by_the_server_behind(tmp_path: Path) -> None:
    """Forged mail ends at the edge; what it would put into Junk or quarantine, the server behind puts there."""
    with served(zones()) as (_, dns):
        verifying: dict[str, dict[str, Any]] = {
            "dns": {"servers": [f"127.0.0.1:{dns}"]},
            "inbound": {"verify": True, "lists": ["lists.test"], "list_messages": 1},
        }
        with pair(tmp_path, chosen=verifying) as office:

            def arrive(author: str, subject: str, peer: str, *fields: str) -> str:
                with office.edge.stranger(source=peer) as client:
                    client.mail("x@lists.test" if peer == LIST else "x@evil.test")
                    code, text = client.rcpt(ALICE)
                    assert code == 250, text
                    code, text = client.data(checked_letter(author, subject, *fields))
                    return f"{code} {text.decode()}"

            claim = "X-Poterne-Verdict: junk"
            assert arrive("ann@silent.test", "edge-fine", FORGER, claim).startswith("250")
            office.arrived("edge-fine")
            assert arrive("ann@strict.test", "edge-forged", FORGER).startswith("550 5.7.")
            assert arrive(f"boss@{DOMAIN}", "edge-own", FORGER).startswith("550 5.7.")
            assert arrive("ann@soft.test", "edge-listed", LIST, "List-Id: <a.lists.test>").startswith("250")
            assert arrive("ann@strict.test", "edge-kept", LIST, "List-Id: <a.lists.test>").startswith("250")
            wait_for(lambda: events(office.inner, "message.accepted")[2:], text="it never came")
            kept = office.inner.with_store(lambda store: store.quarantined())
            assert [(one.subject, one.reason) for one in kept] == [("edge-kept", "dmarc-reject")]
            with office.inner.imap() as client:
                client.select("Junk")
                assert client.search(None, "SUBJECT", "edge-listed")[1] != [b""]
                client.select("INBOX")
                assert client.search(None, "SUBJECT", "edge-")[1][0].split() == [b"1"]
