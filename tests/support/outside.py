"""A real server and the world outside it: domains whose MX is a sink on loopback, named by real zones; mail in, mail out."""

import asyncio
import smtplib
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

from poterne.config.render import Value
from poterne.lab.dns import NameServer, Zones
from poterne.store.interface import Store
from poterne.values.mailbox import UidRange
from poterne.values.queue import QueuedRecipient, QueueState
from tests.support.name_server import free_dns_port
from tests.support.server import ADDRESS, DOMAIN, PASSWORD, WAIT_S, Instance, wait_for
from tests.support.sink import Rule, Sink, Taken

MX = "127.0.0.3"
"""Not the server's own address: mail whose MX is ourselves is a loop."""
_ZONE = "$TTL 60\n@ SOA ns hostmaster 1 60 60 60 60\n@ NS ns\n@ MX 10 mx\nns A {mx}\nmx A {mx}\n"


class Outside:
    """`domains`: what the sink takes mail for, as its rules say. `others`: domains that live at other addresses, same port."""

    def __init__(
        self, *domains: str, rules: Mapping[str, Rule] | None = None, others: Mapping[str, str] | None = None
    ) -> None:
        self.sink = Sink(rules or {}, address=MX)
        places = dict.fromkeys(domains, MX) | dict(others or {})
        self.zones = Zones({domain: _ZONE.format(mx=address) for domain, address in places.items()})
        self._dns_port = free_dns_port()

    def __enter__(self) -> Self:
        self.sink.__enter__()
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._names = NameServer(self.zones, ADDRESS, self._dns_port)

        def serve() -> None:
            self._loop.run_until_complete(self._names.start())
            ready.set()
            self._loop.run_forever()
            self._names.close()
            self._loop.run_until_complete(asyncio.sleep(0.01))  # transports close a turn later
            self._loop.close()

        self._thread = threading.Thread(target=serve, daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self.sink.__exit__(kind, error, trace)

    @property
    def settings(self) -> dict[str, dict[str, Value]]:
        """For a server that sends to this world."""
        return {
            "dns": {"servers": [f"{ADDRESS}:{self._dns_port}"]},
            "queue": {"mx_port": self.sink.port, "private_mx": True},
        }

    def taken(self, word: str) -> list[Taken]:
        """What came for outside and has this word in it."""
        return [one for one in self.sink.taken if word.encode() in one.text]

    def wait_taken(self, word: str, count: int = 1) -> list[Taken]:
        """The first `count` of them."""
        wait_for(
            lambda: len(self.taken(word)) >= count, text=f"not {count} with {word!r} left: {self.sink.lines[-20:]}"
        )
        return self.taken(word)[:count]


def written(
    author: str, to: str, subject: str, fields: Mapping[str, str] | None = None, body: str = "text\r\n"
) -> bytes:
    """A message in plain ASCII."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (fields or {}).items())
    return f"From: {author}\r\nTo: {to}\r\nSubject: {subject}\r\n{more}\r\n{body}".encode()


class Client:
    """One connection: submits as somebody who signed in, or brings mail from elsewhere (`user` empty)."""

    def __init__(
        self, server: Instance, user: str = "", password: str = PASSWORD, *, port: str = "submissions"
    ) -> None:
        where = (server.address, server.ports["mx" if not user else port])
        if user and port == "submissions":
            self.smtp: smtplib.SMTP = smtplib.SMTP_SSL(
                *where, local_hostname="elsewhere.test", timeout=WAIT_S, context=server.context()
            )
        else:
            self.smtp = smtplib.SMTP(*where, local_hostname="elsewhere.test", timeout=WAIT_S)
        self.user = user
        try:
            self._begin(server, password, starttls=bool(user) and port != "submissions")
        except BaseException:
            self.smtp.close()
            raise

    def _begin(self, server: Instance, password: str, *, starttls: bool) -> None:
        self.smtp.ehlo()
        if starttls:
            self.smtp.starttls(context=server.context())
            self.smtp.ehlo()
        if self.user:
            self.smtp.login(self.user, password)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.smtp.close()

    def send(
        self,
        recipients: str | Sequence[str],
        subject: str,
        *,
        sender: str | None = None,
        author: str = "",
        fields: Mapping[str, str] | None = None,
        body: str = "text\r\n",
        options: Sequence[str] = (),
    ) -> str:
        """The answer that decided: to MAIL or RCPT when one refuses, else to the message."""
        envelope = self.user if sender is None else sender
        to = [recipients] if isinstance(recipients, str) else list(recipients)
        reply = self.smtp.docmd(f"MAIL FROM:<{envelope}>")
        if reply[0] == 250:
            for recipient in to:
                reply = self.smtp.docmd(" ".join((f"RCPT TO:<{recipient}>", *options)))
                if reply[0] != 250:
                    break
        if reply[0] == 250:
            message = written(author or envelope or "postmaster@elsewhere.test", to[0], subject, fields, body)
            reply = self.smtp.data(message)
        else:
            self.smtp.docmd("RSET")
        return f"{reply[0]} {reply[1].decode()}"


def submit(
    server: Instance, user: str, recipients: str | Sequence[str], subject: str, *, port: str = "submissions"
) -> str:
    """Over a connection of its own; the answer."""
    with Client(server, f"{user}@{DOMAIN}", port=port) as client:
        return client.send(recipients, subject)


def arrive(server: Instance, recipients: str | Sequence[str], subject: str, sender: str = "carol@far.test") -> str:
    """A stranger's mail on port 25; the answer."""
    with Client(server) as client:
        return client.send(recipients, subject, sender=sender)


def letters(server: Instance, user: str, word: str = "") -> list[bytes]:
    """What is in somebody's INBOX and has this word in it, in order."""

    async def read(store: Store) -> list[bytes]:
        account = await store.account(f"{user}@{server.domain}")
        inbox = await store.mailbox(account.id, "INBOX")
        rows = store.contents(account.id, inbox.id, (UidRange(1, None),))
        return [store.blobs.read(row.blob) for row in rows]

    found: list[bytes] = server.with_store(read)
    return [letter for letter in found if word.encode() in letter]


def wait_letters(server: Instance, user: str, word: str, count: int = 1) -> list[bytes]:
    """The same, once there are so many; then they are all."""
    wait_for(lambda: len(letters(server, user, word)) >= count, text=f"{word!r} never reached {user}")
    found = letters(server, user, word)
    assert len(found) == count
    return found


def queued(server: Instance) -> list[QueuedRecipient]:
    """All that waits or is held."""
    found: list[QueuedRecipient] = server.with_store(lambda store: store.queued())
    return found


def rest(server: Instance) -> None:
    """Wait until nothing is on its way; what is held is not."""

    def nothing() -> bool:
        return all(one.state is QueueState.HELD for one in queued(server))

    wait_for(nothing, text="something still waits")


__all__ = [
    "Client",
    "Outside",
    "arrive",
    "letters",
    "queued",
    "rest",
    "submit",
    "wait_letters",
    "written",
]
