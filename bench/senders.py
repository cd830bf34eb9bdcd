"""Those who write signed mail: their domains, keys and DNS, and letters of theirs that pass SPF, DKIM and DMARC.

All of them send through one address of loopback, which their SPF records list; each has a key of either kind, and asks in
DMARC that forgeries are refused. `FORGER` sends from an address of its own, with SPF that is right for itself.
"""

import time
from collections.abc import Sequence
from typing import Final

from bench import smtp
from bench.corpus import plain_message
from poterne.mailauth.dkim import keys
from poterne.mailauth.dkim.record import KeyType
from poterne.mailauth.dkim.sign import Signer
from poterne.message.header import index

PEER: Final = "127.0.53.7"
FORGERS_PEER: Final = "127.0.53.9"
FORGER: Final = "forger.example"
NAME: Final = "out.senders.example"
"""What the honest peer calls itself."""
_DOMAINS: Final = tuple(f"sender{number}.example" for number in range(8))
_TTL_S: Final = 86_400
_ZONE: Final = f"""\
@ {_TTL_S} IN SOA ns hostmaster 1 3600 600 86400 3600
@ {_TTL_S} IN NS ns
ns {_TTL_S} IN A 127.0.0.1
{NAME}. {_TTL_S} IN A {PEER}
{NAME}. {_TTL_S} IN TXT "v=spf1 ip4:{PEER} -all"
forger {_TTL_S} IN TXT "v=spf1 ip4:{FORGERS_PEER} -all"
forger {_TTL_S} IN MX 10 forger
forger {_TTL_S} IN A {FORGERS_PEER}
"""
_KINDS: Final = (KeyType.RSA, KeyType.ED25519)


class Senders:
    """New keys each time."""

    def __init__(self) -> None:
        self._keys = {
            domain: [keys.load(keys.generate(kind), domain, kind.value) for kind in _KINDS] for domain in _DOMAINS
        }

    def zones(self) -> dict[str, str]:
        """All that is in DNS: one zone. (Not `test`: libunbound, that OpenDKIM asks with, never looks there.)"""
        lines = [_ZONE]
        for domain, both in self._keys.items():
            lines.append(f'{domain}. {_TTL_S} IN TXT "v=spf1 ip4:{PEER} -all"\n')
            lines.append(f"{domain}. {_TTL_S} IN MX 10 out.senders\n")
            lines.append(f'_dmarc.{domain}. {_TTL_S} IN TXT "v=DMARC1; p=reject; rua=mailto:reports@{domain}"\n')
            for key in both:
                strings = " ".join(f'"{each}"' for each in keys.record_strings(keys.record_text(key)))
                lines.append(f"{key.name}. {_TTL_S} IN TXT {strings}\n")
        return {"example": "".join(lines)}

    def letter(self, number: int, size_bytes: int, kinds: Sequence[KeyType]) -> bytes:
        """A message of that size with signatures above it."""
        domain = _DOMAINS[number % len(_DOMAINS)]
        message = plain_message(size_bytes, number).replace(b"sender@example.net", self.author(number).encode(), 1)
        header = index(message)
        signer = Signer([key for key in self._keys[domain] if key.type in kinds], header, int(time.time()))
        signer.feed(message[header.end :])
        return signer.finish() + message

    def author(self, number: int) -> str:
        """Of the letter with that number; its envelope names the same."""
        return f"ann@{_DOMAINS[number % len(_DOMAINS)]}"

    def opening(self, number: int, recipients: Sequence[str]) -> bytes:
        """The envelope of the letter with that number."""
        return smtp.envelope(recipients, self.author(number))
