"""Mail between us and Debian's Exim and Postfix, both ways, over checked TLS: bytes, notices, accents and size."""

import email
import email.policy
import os
import re
import smtplib
import ssl
from collections.abc import Iterator
from email.message import EmailMessage, MIMEPart

import pytest

from poterne.message.dsn import Action
from poterne.message.dsn_read import Read, read, status_part
from poterne.message.scan import Scanner
from tests.support.peer_exchange import EXIM, POSTFIX, Peer, exchange, free_port
from tests.support.peer_server import NAME, PASSWORD, PeerServer, serve
from tests.support.peer_tools import letter, wait_until, written_by

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(os.geteuid() != 0, reason="Exim and Postfix must be started by root"),
]
KINDS = [
    pytest.param("exim", marks=pytest.mark.skipif(EXIM is None, reason="exim4 is not installed (see .ci/peers)")),
    pytest.param(
        "postfix", marks=pytest.mark.skipif(not POSTFIX.exists(), reason="postfix is not installed (see .ci/peers)")
    ),
]
ADA, BEN = "ada@peers.test", "ben@peers.test"
BIG_BYTES = 10_000_000


class Both:
    """Our server with ada and ben, and the other one."""

    def __init__(self, server: PeerServer, peer: Peer) -> None:
        self.server, self.peer = server, peer

    def submit(self, sender: str, to: str, message: bytes, *mail: str, rcpt: tuple[str, ...] = ()) -> None:
        """As a person's mail program does."""
        context = ssl.create_default_context(cafile=self.server.ca)
        with smtplib.SMTP_SSL(NAME, self.server.ports["submissions"], timeout=60, context=context) as client:
            client.login(sender, PASSWORD)
            assert client.sendmail(sender, [to], message, mail, rcpt) == {}

    def inbox(self, address: str, count: int) -> bytes:
        """The newest, once there are so many."""
        store = self.server.store
        wait_until(lambda: len(store.messages(address)) >= count, f"mail {count} of {address}:\n{self.peer.log}", 30)
        return store.messages(address)[-1].raw


@pytest.fixture(scope="module", params=KINDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    kind: str = request.param
    folder = tmp_path_factory.mktemp(kind) / "instance"
    port = free_port()
    authority = folder.parent / "peer.pem"
    route = f'\n[route.peer]\ndomains = ["{kind}.test"]\nhost = "{NAME}"\nport = {port}\nca = "{authority}"\n'
    with serve(folder, {"smtp": {"max_message_bytes": 20_000_000}}, route) as server:
        for each in (ADA, BEN):
            server.store.add_account(each.partition("@")[0])
        with exchange(kind, port, server.ports["mx"], server.ca.read_bytes()) as peer:
            authority.write_bytes(peer.ca.read_bytes())
            yield Both(server, peer)
        assert server.store.check() == []
    assert '"level":"error"' not in server.log.read_text()


def notice(octets: bytes) -> Read:
    """What a delivery status notification says, read with our own eyes."""
    scanner = Scanner()
    scanner.feed(octets)
    part = status_part(scanner.finish().root)
    assert part is not None, octets
    return read(octets[part.body_start : part.body_end], part)


def parts(octets: bytes) -> list[MIMEPart]:
    """The parts of a report, read with Python's."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert message.get_content_type() == "multipart/report"
    assert isinstance(message, EmailMessage)
    found = list(message.iter_parts())
    assert len(found) == 3
    return found


def test_what_we_send_arrives_as_it_was(both: Both) -> None:
    before = len(both.peer.mails())
    message = written_by(ADA, letter("from us", b".dots\r\n..\r\nFrom here\r\n"))
    both.submit(ADA, both.peer.address(), message)
    got = both.peer.wait(before + 1)
    assert got.partition(b"\r\n\r\n")[2] == message.partition(b"\r\n\r\n")[2]
    assert b"return-path: <ada@peers.test>" in got.lower()
    assert re.search(rb"TLS1\.3|TLSv1\.3", got), got
    assert b"Subject: from us\r\n" in got


def test_what_it_sends_arrives_as_it_was(both: Both) -> None:
    before = len(both.server.store.messages(ADA))
    message = letter("from there", b".dots\r\n..\r\nFrom here\r\n", to=ADA)
    both.peer.send(both.peer.address(), [ADA], message)
    got = both.inbox(ADA, before + 1)
    assert got.partition(b"\r\n\r\n")[2] == message.partition(b"\r\n\r\n")[2]
    assert f"Return-Path: <{both.peer.address()}>".encode() in got
    assert b"TLSv1.3" in got.partition(b"\r\nDate:")[0]


def test_eight_bits_both_ways(both: Both) -> None:
    body = "déjà vu, œuvre, 日本語\r\n".encode() * 20
    fields = (
        b"MIME-Version: 1.0",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Transfer-Encoding: 8bit",
    )
    before, there = len(both.server.store.messages(BEN)), len(both.peer.mails())
    both.submit(BEN, both.peer.address(), written_by(BEN, letter("8", body, *fields)), "BODY=8BITMIME")
    assert both.peer.wait(there + 1).endswith(body)
    both.peer.send(both.peer.address(), [BEN], letter("8", body, *fields, to=BEN), ["BODY=8BITMIME"])
    assert both.inbox(BEN, before + 1).endswith(body)


def test_addresses_with_accents_both_ways(both: Both) -> None:
    there = len(both.peer.mails("élodie"))
    subject = "été à Besançon"
    context = ssl.create_default_context(cafile=both.server.ca)
    with smtplib.SMTP_SSL(NAME, both.server.ports["submissions"], timeout=60, context=context) as client:
        client.login(ADA, PASSWORD)
        client.command_encoding = "utf-8"
        message = written_by(ADA, letter(subject, "à bientôt\r\n".encode(), to=both.peer.address("élodie")))
        assert client.sendmail(ADA, [both.peer.address("élodie")], message, ["SMTPUTF8", "BODY=8BITMIME"]) == {}
    got = both.peer.wait(there + 1, "élodie")
    assert f"Subject: {subject}\r\n".encode() in got
    assert got.endswith("à bientôt\r\n".encode())
    before = len(both.server.store.messages(ADA))
    back = letter(subject, "à toi aussi\r\n".encode(), to=ADA).replace(b"<ada@else", "<é@else".encode())
    with smtplib.SMTP(NAME, both.peer.port, timeout=30) as plain:
        plain.starttls(context=ssl.create_default_context(cafile=both.peer.ca))
        plain.ehlo()
        plain.command_encoding = "utf-8"
        assert plain.sendmail(both.peer.address("élodie"), [ADA], back, ["SMTPUTF8", "BODY=8BITMIME"]) == {}
    got = both.inbox(ADA, before + 1)
    assert f"Return-Path: <{both.peer.address('élodie')}>".encode() in got
    assert f"Subject: {subject}\r\n".encode() in got
    assert got.endswith("à toi aussi\r\n".encode())


def test_ten_megabytes_both_ways(both: Both) -> None:
    body = b"".join(b"%08d %s\r\n" % (number, b"." * (number % 80)) for number in range(BIG_BYTES // 51))
    there, before = len(both.peer.mails()), len(both.server.store.messages(ADA))
    both.submit(ADA, both.peer.address(), written_by(ADA, letter("big", body)))
    assert both.peer.wait(there + 1, limit_s=60).partition(b"\r\n\r\n")[2] == body
    both.peer.send(both.peer.address(), [ADA], letter("big", body, to=ADA))
    assert both.inbox(ADA, before + 1).partition(b"\r\n\r\n")[2] == body


def test_success_is_told_by_it_when_we_ask(both: Both) -> None:
    """Our user asks, the other server delivers, and tells her through our MX."""
    before = len(both.server.store.messages(ADA))
    both.submit(
        ADA,
        both.peer.address(),
        written_by(ADA, letter("tell me")),
        "RET=HDRS",
        "ENVID=our+2Bid+3D1",
        rcpt=("NOTIFY=SUCCESS,FAILURE,DELAY", "ORCPT=rfc822;ann+2Bx@elsewhere.test"),
    )
    got = both.inbox(ADA, before + 1)
    assert b"Return-Path: <>\r\n" in got
    found = notice(got)
    assert found.envid == ("our+2Bid+3D1" if both.peer.kind == "exim" else "our+id=1")  # Exim 4.96 leaves both encoded
    (told,) = found.told
    assert told.action is Action.DELIVERED
    assert told.original == ("ann+2Bx@elsewhere.test" if both.peer.kind == "exim" else "ann+x@elsewhere.test")


def test_a_failure_is_told_by_us(both: Both) -> None:
    before = len(both.server.store.messages(ADA))
    both.submit(
        ADA,
        both.peer.address("nobody"),
        written_by(ADA, letter("to nobody")),
        "RET=FULL",
        "ENVID=again",
        rcpt=("NOTIFY=FAILURE",),
    )
    got = both.inbox(ADA, before + 1)
    found = notice(got)
    assert (found.reporting, found.envid) == ("mx.peers.test", "again")
    (told,) = found.told
    assert (told.recipient, told.action, told.remote) == (both.peer.address("nobody"), Action.FAILED, NAME)
    assert told.status.startswith("5.")
    assert told.diagnostic.startswith("550 ")
    text, report, original = parts(got)
    assert both.peer.address("nobody") in text.get_content()
    assert report.get_content_type() == "message/delivery-status"
    assert original.get_content_type() == "message/rfc822"
    assert original.get_content()["Subject"] == "to nobody"


def test_two_of_three_are_unknown(both: Both) -> None:
    """In one transaction: it arrives for one, and one notice is about the two others."""
    there, before = len(both.peer.mails()), len(both.server.store.messages(BEN))
    to = [both.peer.address(name) for name in ("ann", "nobody", "root+nobody")]
    context = ssl.create_default_context(cafile=both.server.ca)
    with smtplib.SMTP_SSL(NAME, both.server.ports["submissions"], timeout=60, context=context) as client:
        client.login(BEN, PASSWORD)
        assert client.sendmail(BEN, to, written_by(BEN, letter("to three"))) == {}
    both.peer.wait(there + 1)
    got = both.inbox(BEN, before + 1)
    assert {(told.recipient, told.action) for told in notice(got).told} == {(each, Action.FAILED) for each in to[1:]}


def test_nothing_is_told_when_nobody_wants_it(both: Both) -> None:
    before = len(both.server.store.messages(BEN))
    both.submit(BEN, both.peer.address("nobody"), written_by(BEN, letter("to nobody")), rcpt=("NOTIFY=NEVER",))
    there = len(both.peer.mails())
    both.submit(BEN, both.peer.address(), written_by(BEN, letter("behind it")))
    both.peer.wait(there + 1)
    wait_until(lambda: not both.server.store.queued(), "an empty queue", 30)
    assert len(both.server.store.messages(BEN)) == before


def test_what_we_refuse_is_told_by_it(both: Both) -> None:
    there = len(both.peer.mails())
    message = letter("to nobody", to="nobody@peers.test")
    both.peer.send(both.peer.address(), ["nobody@peers.test"], message, rcpt=["NOTIFY=FAILURE"])
    got = both.peer.wait(there + 1)
    (told,) = notice(got).told
    assert (told.recipient, told.action) == ("nobody@peers.test", Action.FAILED)
    assert "5.1.1" in told.status + told.diagnostic
    assert "No such recipient here" in told.diagnostic


def test_it_hears_of_success_with_us(both: Both) -> None:
    """Strangers are told nothing by us, so their own server says that the mail was passed on (RFC 3461 §5.2.2)."""
    there, before = len(both.peer.mails()), len(both.server.store.messages(ADA))
    both.peer.send(
        both.peer.address(), [ADA], letter("tell me", to=ADA), ["RET=HDRS", "ENVID=theirs"], ["NOTIFY=SUCCESS"]
    )
    both.inbox(ADA, before + 1)
    got = both.peer.wait(there + 1)
    found = notice(got)
    assert found.envid in {"theirs", ""}  # Exim 4.96 leaves it out
    (told,) = found.told
    assert told.recipient == ADA
    assert told.action is (Action.DELIVERED if both.peer.kind == "exim" else Action.RELAYED)  # so Exim 4.96 calls it
