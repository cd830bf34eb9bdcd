"""An edge in front of Debian's Postfix: mail comes in and goes out through it, also when Postfix was away for a while."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from poterne.admin.instance import DATA, TLS
from tests.support.edge import Elsewhere, Node, mx, relay, route
from tests.support.peer_postfix import BINARY
from tests.support.peer_postfix_office import DOMAIN, Office, office
from tests.support.peer_tools import letter
from tests.support.server import ADDRESS, free_port, wait_for
from tests.support.server import letter as message
from tests.support.sink import Sink

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not BINARY.exists(), reason="postfix is not installed (see .ci/peers)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix must be started by root"),
]
ADA, BOB, NOBODY = f"ada@{DOMAIN}", f"bob@{DOMAIN}", f"nobody@{DOMAIN}"
FROM = "carol@elsewhere.test"


@dataclass
class Pair:
    edge: Node
    postfix: Office
    world: Sink

    def send(self, text: str, *to: str) -> None:
        with self.edge.stranger() as client:
            client.send_message(message(to[0], subject=text), FROM, list(to))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder: Path = tmp_path_factory.mktemp("edge")
    outside, inside, port = free_port(), free_port(), free_port()
    with Elsewhere(inside) as gate, Sink() as world:
        ca = folder / "edge" / DATA / TLS / "ca.pem"
        with office(port, relay_port=gate.port, relay_name="edge.test", relay_ca=ca) as postfix:
            authority = postfix.authority.file
            edge = Node(
                folder / "edge",
                "edge.test",
                "edge",
                {"mx": mx(port=outside), "inside": mx(port=inside, proxies=[ADDRESS])},
                more="\n".join([
                    route("postfix", port, DOMAIN, ca=authority, host="localhost", inbound=True, verify="call-forward"),
                    route("world", world.port, "*"),
                    relay("postfix", DOMAIN),
                ]),
                chosen={"smtp": {"first_wait_ms": 0}},
            )  # fmt: skip
            postfix.start()
            try:
                edge.start()
                yield Pair(edge, postfix, world)
            finally:
                edge.stop()
                assert not edge.events("bug"), edge.log.read_text()
                assert not re.search("fatal:|panic:", postfix.log), postfix.log


def test_mail_from_a_stranger_arrives_over_verified_tls(pair: Pair) -> None:
    pair.send("from afar", ADA, BOB)
    for name in ("ada", "bob"):
        found = pair.postfix.arrived(name, b"Subject: from afar")
        assert b"using TLSv1.3" in found
        assert b"by edge.test" in found
    (sent, _) = wait_for(lambda: pair.edge.with_store(lambda store: store.events(kind="message.sent")))
    assert sent.detail["tls_verified"] is True


def test_whom_postfix_does_not_know_is_refused_by_the_edge(pair: Pair) -> None:
    said = pair.edge.rcpt(ADA, NOBODY, f"postmaster@{DOMAIN}", "postmaster", NOBODY, "x@elsewhere.test")
    assert [answer[:9] for answer in said] == [
        "250 2.1.5",
        "550 5.1.1",
        "250 2.1.5",
        "250 2.1.5",
        "550 5.1.1",
        "550 5.7.1",
    ]
    assert pair.postfix.log.count(f"<{NOBODY}>: Recipient address rejected: User unknown") == 1


def test_many_questions_do_not_wear_postfix_out(pair: Pair) -> None:
    """It slows down after ten errors in a connection, and hangs up after twenty; a new edge asks all of it at once."""
    for batch in range(5):
        said = pair.edge.rcpt(*(f"guess{batch}.{number}@{DOMAIN}" for number in range(8)), ADA)
        assert [answer[:9] for answer in said] == ["550 5.1.1"] * 8 + ["250 2.1.5"]
    assert "too many errors" not in pair.postfix.log
    assert not pair.edge.events("recipient-check.useless") + pair.edge.events("recipient-check.down")


def test_postfix_sends_out_through_the_edge_as_its_domain_only(pair: Pair) -> None:
    said = pair.postfix.sender.send(ADA, ["x@elsewhere.test"], letter("going out"))
    assert "status=sent (250 2.0.0 Accepted" in said
    assert "Verified TLS connection established" in said
    wait_for(lambda: pair.world.taken, text="it never went out")
    (taken,) = pair.world.taken
    assert taken.mail.startswith(f"MAIL FROM:<{ADA}>")
    assert b"Subject: going out\r\n" in taken.text
    said = pair.postfix.sender.send("ada@elsewhere.test", ["x@elsewhere.test"], letter("not ours"))
    assert "550 5.7.1 We relay for this host, but not from this sender domain" in said
    assert len(pair.world.taken) == 1


def test_postfix_goes_away_and_comes_back(pair: Pair) -> None:
    assert pair.edge.rcpt(ADA)[0].startswith("250")
    pair.postfix.stop()
    said = pair.edge.rcpt(ADA, f"never.seen@{DOMAIN}", "postmaster")
    assert [answer[:9] for answer in said] == ["250 2.1.5", "451 4.4.1", "250 2.1.5"]
    pair.send("meanwhile", ADA)
    wait_for(lambda: [one for one in pair.edge.queued() if one["attempts"]])
    pair.postfix.start()
    pair.edge.stop()
    pair.edge.start()
    pair.edge.poterne("queue", "retry", "--all", "--yes")
    pair.postfix.arrived("ada", b"Subject: meanwhile")
    assert pair.edge.rcpt(f"never.seen@{DOMAIN}")[0].startswith("550 5.1.1")
