"""A server that verifies who mail is from, in a world of a few domains whose DNS is served here.

ours.test       served here, p=reject, with a DKIM key
strict.test     p=reject; SPF lists 127.0.0.2 only; a DKIM key
soft.test       p=quarantine; the same SPF and key
none.test       p=none
plain.test      no policy, SPF lists 127.0.0.2 and ends in -all
silent.test     publishes nothing
lists.test      a mailing list's: SPF lists 127.0.0.3
"""

import asyncio
import contextlib
import smtplib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from poterne.lab.dns import NameServer, Zones
from poterne.mailauth.dkim.keys import SigningKey, record_text
from poterne.mailauth.dkim.sign import Signer
from poterne.message.header import index
from tests.support.name_server import free_dns_port
from tests.support.server import DOMAIN, Instance

HONEST: Final = "127.0.0.2"
"""In the SPF records."""
LIST: Final = "127.0.0.3"
FORGER: Final = "127.0.0.4"
"""In nobody's."""
KEYS: Final = {
    domain: SigningKey(domain, "k1", Ed25519PrivateKey.generate())
    for domain in (DOMAIN, "strict.test", "soft.test", "none.test", "lists.test", "evil.test")
}


def zones() -> dict[str, str]:
    spf = f"v=spf1 ip4:{HONEST} -all"
    found = {
        "strict.test": _zone("v=DMARC1; p=reject; rua=mailto:d@strict.test", spf),
        "soft.test": _zone("v=DMARC1; p=quarantine", spf),
        "none.test": _zone("v=DMARC1; p=none", spf),
        DOMAIN: _zone("v=DMARC1; p=reject", spf),
        "plain.test": _zone("", spf),
        "silent.test": _zone("", ""),
        "lists.test": _zone("", f"v=spf1 ip4:{LIST} -all"),
        "evil.test": _zone("", f"v=spf1 ip4:{FORGER} -all"),
        "test": "@ 300 IN SOA ns hostmaster 1 1 1 1 60\n@ 300 IN NS ns\nns 300 IN A 127.0.0.1\n",
    }
    for domain, key in KEYS.items():
        found[domain] += f'k1._domainkey 300 IN TXT "{record_text(key)}"\n'
    return found


def _zone(dmarc: str, spf: str) -> str:
    text = "@ 300 IN SOA ns hostmaster 1 1 1 1 60\n@ 300 IN NS ns\nns 300 IN A 127.0.0.1\n@ 300 IN MX 10 mx\nmx 300 IN A 127.0.0.2\n"
    if dmarc:
        text += f'_dmarc 300 IN TXT "{dmarc}"\n'
    if spf:
        text += f'@ 300 IN TXT "{spf}"\n'
    return text


@contextlib.contextmanager
def served(texts: dict[str, str]) -> Iterator[tuple[Zones, int]]:
    """A name server in a thread of its own, for tests that wait in theirs."""
    held, port, loop = Zones(texts), free_dns_port(), asyncio.new_event_loop()
    server = NameServer(held, "127.0.0.1", port)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    try:
        yield held, port
    finally:
        asyncio.run_coroutine_threadsafe(_closed(server), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _closed(server: NameServer) -> None:
    server.close()
    await asyncio.sleep(0.05)  # its sockets go with the next turns of the loop


@contextlib.contextmanager
def checking(folder: Path, **inbound: object) -> Iterator[Instance]:
    """A running server."""
    with served(zones()) as (_, port):
        chosen = {
            "server": {"workers": 1},
            "dns": {"servers": [f"127.0.0.1:{port}"]},
            "inbound": {"verify": True, **inbound},
        }
        server = Instance(folder, chosen=chosen).start()  # type: ignore[arg-type]
        try:
            yield server
        finally:
            server.stop()


def letter(author: str, subject: str, *more: str, body: str = "Some text.") -> bytes:
    lines = [
        *more,
        f"From: {author}",
        f"To: alice@{DOMAIN}",
        f"Subject: {subject}",
        "Date: Sun, 22 Nov 2026 21:00:00 +0000",
        f"Message-ID: <{subject}@test>",
        "",
        body,
        "",
    ]
    return "\r\n".join(lines).encode()


def signed(message: bytes, domain: str) -> bytes:
    header = index(message)
    signer = Signer([KEYS[domain]], header, int(time.time()))
    signer.feed(message[header.end :])
    return signer.finish() + message


def arrive(
    server: Instance,
    message: bytes,
    sender: str,
    *,
    peer: str = HONEST,
    to: Sequence[str] = (f"alice@{DOMAIN}",),
    helo: str = "mail.elsewhere.test",
) -> str:
    """The answer to the message, or the first refusal."""
    client = smtplib.SMTP(server.address, server.ports["mx"], local_hostname=helo, timeout=30, source_address=(peer, 0))
    with client:
        client.starttls(context=server.context())
        client.ehlo()
        for command in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{address}>" for address in to)):
            code, text = client.docmd(command)
            if code >= 400:
                return f"{code} {text.decode()}"
        code, text = client.data(message)
        return f"{code} {text.decode()}"
