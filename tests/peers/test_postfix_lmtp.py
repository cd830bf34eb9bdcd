"""Debian's Postfix in front, which delivers to us by LMTP: one answer for each recipient, believed one by one."""

import os
import re
from collections.abc import Iterator

import pytest

from tests.support.peer_postfix import BINARY, Postfix, postfix
from tests.support.peer_server import DOMAIN, PeerServer, serve
from tests.support.peer_tools import NewAccount, awkward_letters, letter

pytestmark = [
    pytest.mark.peers,
    pytest.mark.skipif(not BINARY.exists(), reason="postfix is not installed (see .ci/peers)"),
    pytest.mark.skipif(os.geteuid() != 0, reason="Postfix must be started by root"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PeerServer]:
    """Its own: where all the other tests' strangers come from loopback, nobody is believed to be listed by that address."""
    with serve(tmp_path_factory.mktemp("lmtp") / "instance") as running:
        yield running


@pytest.fixture(scope="module")
def front(server: PeerServer) -> Iterator[Postfix]:
    with postfix(server, lmtp=True) as running:
        yield running


@pytest.mark.parametrize("name", [*awkward_letters()])
def test_bytes_are_kept(server: PeerServer, account: str, front: Postfix, name: str) -> None:
    wanted = awkward_letters()[name]
    said = front.send("carol@elsewhere.test", [account], wanted)
    assert re.search(r"status=sent \(250 2\.1\.5 Delivered as \w+\)", said), said[-2000:]
    (found,) = server.store.messages(account)
    assert b"with LMTPS " in found.raw.partition(b"\r\n\r\n")[0]
    _, _, rest = found.sent.partition(b"\r\nDate: ")
    assert b"Date: " + rest == wanted


def test_it_greets_with_lhlo_inside_tls(account: str, front: Postfix) -> None:
    said = front.send("carol@elsewhere.test", [account], letter("x"))
    assert "Verified TLS connection established to 127.0.0.1" in said
    assert said.count(": LHLO ") == 2
    assert ": EHLO " not in said
    assert "warning:" not in said, said


def test_one_recipient_is_refused_and_the_others_have_their_mail(
    server: PeerServer, new_account: NewAccount, front: Postfix
) -> None:
    people = [new_account(name) for name in ("fred", "gina")]
    said = front.send("carol@elsewhere.test", [people[0], f"nobody@{DOMAIN}", people[1]], letter("to some"))
    assert len(re.findall(r"status=sent \(250 2\.1\.5 ", said)) == 2, said[-2000:]
    assert re.search(r"to=<nobody@peers\.test>.*status=bounced \(host .* said: 550 5\.1\.1 ", said)
    assert [len(server.store.messages(who)) for who in people] == [1, 1]
