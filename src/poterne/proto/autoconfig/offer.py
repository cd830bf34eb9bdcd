"""What is open to mail programs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Protocol(Enum):
    IMAP = "imap"
    POP3 = "pop3"
    SMTP = "smtp"


@dataclass(frozen=True, slots=True)
class Door:
    """One way in. `implicit`: TLS from the first byte; else STARTTLS, which must be used."""

    protocol: Protocol
    host: str
    port: int
    implicit: bool


_WORDS: Final = (
    ("imaps", Protocol.IMAP, True),
    ("imap", Protocol.IMAP, False),
    ("pop3s", Protocol.POP3, True),
    ("pop3", Protocol.POP3, False),
    ("submissions", Protocol.SMTP, True),
    ("submission", Protocol.SMTP, False),
)
"""By what is better: IMAP before POP3, TLS from the first byte before STARTTLS (RFC 8314 §3)."""


@dataclass(frozen=True, slots=True)
class Offer:
    """All doors of a server, the better ones first. The user name is the full address, the password goes inside TLS."""

    doors: tuple[Door, ...]
    web: str
    """Where the page for people is: `https://mail.example.org` without a path."""

    @property
    def complete(self) -> bool:
        """Mail can be read and sent."""
        return self.best(Protocol.SMTP) is not None and self.incoming is not None

    @property
    def incoming(self) -> Door | None:
        """The best one to read mail."""
        return self.best(Protocol.IMAP) or self.best(Protocol.POP3)

    def best(self, protocol: Protocol) -> Door | None:
        return next(self.all(protocol), None)

    def all(self, protocol: Protocol) -> Iterator[Door]:
        return (door for door in self.doors if door.protocol is protocol)


def offer(host: str, ports: Mapping[str, int], web_port: int) -> Offer:
    """`ports`: by the service names of RFC 6186 and RFC 8314; what is not in it is not open."""
    doors = tuple(Door(protocol, host, ports[word], implicit) for word, protocol, implicit in _WORDS if word in ports)
    return Offer(doors, f"https://{host}" + (f":{web_port}" if web_port != 443 else ""))
