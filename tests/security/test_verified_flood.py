"""One stranger asks for what no name server answers, again and again: everybody else's mail is checked and taken meanwhile."""

import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from poterne.lab.dns import Trouble
from tests.support.checked import FORGER, HONEST, arrive, letter, served, signed, zones
from tests.support.server import DOMAIN, Instance


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    with served(zones()) as (held, port):
        monkeypatch.setattr(held, "trouble_of", lambda query: Trouble(silent=b"\x04slow\x04test" in query))
        chosen = {
            "server": {"workers": 1},
            "dns": {"servers": [f"127.0.0.1:{port}"], "max_in_flight": 40},
            "inbound": {"verify": True},
        }
        instance = Instance(tmp_path, chosen=chosen).start()  # type: ignore[arg-type]
        try:
            yield instance
        finally:
            instance.stop()


def asking(number: int) -> bytes:
    """A header with eight signatures, whose keys are where nobody answers."""
    return b"".join(
        b"DKIM-Signature: v=1; a=rsa-sha256; d=n%d-%d.slow.test; s=s; h=from; bh=%b; b=AAAA\r\n"
        % (number, n, b"A" * 43 + b"=")
        for n in range(8)
    ) + letter("x@evil.test", "flood")


def test_lookups_that_hang_are_one_peers_trouble(server: Instance) -> None:
    """It need not even wait for an answer: it takes back what it began, and begins again."""
    client = smtplib.SMTP(server.address, server.ports["mx"], timeout=30, source_address=(FORGER, 0))
    with client:
        client.starttls(context=server.context())
        client.ehlo()
        for number in range(60):
            message = asking(number)
            client.docmd("MAIL FROM:<x@evil.test>")
            client.docmd(f"RCPT TO:<alice@{DOMAIN}>")
            client.send(f"BDAT {len(message)}\r\n".encode() + message)
            assert client.getreply()[0] == 250
            time.sleep(0.005)  # its questions are on their way
            assert client.docmd("RSET")[0] == 250
        honest = signed(letter("ann@strict.test", "meanwhile"), "strict.test")
        assert arrive(server, honest, "ann@strict.test", peer=HONEST).startswith("250")
