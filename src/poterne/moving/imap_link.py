"""A connection to the server that mail is brought from. Encrypted and verified, or none: there is no setting for less."""

import asyncio
import encodings.idna
import hashlib
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from poterne.moving.told import MovingError
from poterne.net.dial import DialError, dial
from poterne.net.link import Link, LinkClosed, Poke, TlsSetup
from poterne.net.tls import CertificateError, client_context
from poterne.net.tlswire import InjectionError, TlsError
from poterne.proto.core import PeerError, Signal
from poterne.proto.imap.client import ClientCore, ClientEvent, Completed, Greeting, Lost, Untagged
from poterne.proto.imap.client_commands import (
    Command,
    authenticate,
    bearer_response,
    login,
    plain,
    plain_response,
)
from poterne.values.secret import Secret

_ = encodings.idna
"""For looking up names; here from the start, since the owner of the data may not be able to read Python's files."""
ANSWER_S: Final = 180.0
"""How long the server may be silent. Some look for minutes before they answer a FETCH of a large folder."""

ANSWER_MOST: Final = 16 * 1024 * 1024
"""Octets of all data that are kept together, such as the list of folders: room for 150,000 of them."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the mail is, and how to sign in."""

    host: str
    port: int
    starttls: bool
    user: str
    secret: Secret
    master: str = ""
    """Who signs in for `user`; "": the user does."""
    is_token: bool = False
    """The secret is an OAuth 2.0 access token, not a password."""
    ca_file: Path | None = None
    ca_pem: str = ""
    """What is in `ca_file`, where it was read already: who runs now may not be who may read it."""
    fingerprint: str = ""
    """SHA-256 of the server's certificate, in hexadecimal: it is trusted whoever signed it."""


class SourceLostError(Exception):
    """The connection is gone, or of no use any more: another one may do."""


@final
class ImapLink:
    """One connection, signed in. `open` it, `close` it."""

    __slots__ = ("_core", "_link", "_server")

    def __init__(self, server: Server, link: Link) -> None:
        self._server: Final = server
        self._link: Final = link
        self._core: Final = ClientCore()

    @classmethod
    async def open(cls, server: Server) -> "ImapLink":
        """Raises MovingError when it can't be or isn't wanted, SourceLostError when trying again may help."""
        made = cls(server, await _connected(server))
        try:
            await made._begin()
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        self._link.abort()

    @property
    def capabilities(self) -> frozenset[str]:
        return self._core.capabilities

    async def goodbye(self) -> None:
        """Say LOGOUT, and do not wait long for the answer."""
        try:
            async with asyncio.timeout(2):
                await self.run(plain("LOGOUT"))
        except (TimeoutError, SourceLostError, MovingError):
            pass
        finally:
            self.close()

    # Talking

    def send(self, command: Command) -> None:
        self._core.send(command)

    async def event(self) -> ClientEvent:
        """The next thing the server says. Raises SourceLostError."""
        core, link = self._core, self._link
        while True:
            try:
                event = core.next_event()
            except PeerError as error:
                raise SourceLostError(f"the server says what is no IMAP ({error})") from None
            if isinstance(event, Lost):
                said = f": {event.status.text}" if event.status is not None else ""
                raise SourceLostError(f"the server closed the connection{said}")
            if not isinstance(event, Signal):
                return event
            if event is not Signal.NEED_DATA:
                raise SourceLostError("the connection is at its end")
            try:
                if core.pending:
                    await link.write(core.output())
                link.set_deadline(ANSWER_S, "answer")
                got = await link.read()
            except LinkClosed as closed:
                raise SourceLostError(f"the connection is lost ({closed.code})") from None
            if isinstance(got, bytes):
                core.receive(got)
            elif Poke.DEADLINE in got:
                raise SourceLostError(f"the server has said nothing for {ANSWER_S:.0f} s")

    async def run(self, command: Command) -> tuple[Completed, list[Untagged]]:
        """One command, its end and the data before. Raises SourceLostError, MovingError."""
        self.send(command)
        data: list[Untagged] = []
        before = self._link.bytes_in
        while True:
            event = await self.event()
            if self._link.bytes_in - before > ANSWER_MOST:
                raise MovingError(f"the server's answer to {command.name} has more than {ANSWER_MOST:,} octets")
            if isinstance(event, Completed):
                return event, data
            if isinstance(event, Untagged):
                data.append(event)

    # Making it ready

    async def _begin(self) -> None:
        greeting = await self.event()
        if not isinstance(greeting, Greeting) or greeting.status.word not in {"OK", "PREAUTH"}:
            text = greeting.status.text if isinstance(greeting, Greeting) else ""
            raise SourceLostError(f"the server does not want us now: {text}")
        if self._server.starttls:
            if greeting.status.word == "PREAUTH":
                raise MovingError("the server signs in before TLS is there: that is no place for a password")
            await self._start_tls()
        elif greeting.status.word == "PREAUTH":
            return
        if not self.capabilities:
            await self.run(plain("CAPABILITY"))
        await self._sign_in()
        if not self.capabilities:
            await self.run(plain("CAPABILITY"))

    async def _start_tls(self) -> None:
        done, _ = await self.run(plain("STARTTLS"))
        if not done.status.ok:
            raise MovingError(
                f"the server does not offer STARTTLS on port {self._server.port} ({done.status.text}):"
                " try --tls implicit with its port for that, usually 993"
            )
        try:
            await self._link.start_tls(self._core.output())
            self._core.tls_started()
        except (TlsError, InjectionError, PeerError, LinkClosed) as error:
            raise await _tls_trouble(self._server, error) from None
        _check_pin(self._server, self._link)
        await self.run(plain("CAPABILITY"))

    async def _sign_in(self) -> None:
        server, offered = self._server, self.capabilities
        user, initial = server.user.encode(), "SASL-IR" in offered
        if server.is_token:
            command = authenticate("XOAUTH2", bearer_response(user, server.secret), initial=initial)
        elif server.master:
            if "AUTH=PLAIN" not in offered:
                raise MovingError("the server does not offer AUTH=PLAIN, which a master user needs")
            response = plain_response(server.master.encode(), server.secret, user)
            command = authenticate("PLAIN", response, initial=initial)
        elif "AUTH=PLAIN" in offered:
            command = authenticate("PLAIN", plain_response(user, server.secret), initial=initial)
        elif "LOGINDISABLED" not in offered:
            command = login(user, server.secret)
        else:
            raise MovingError("the server takes no password (LOGINDISABLED): it may want a token, --token-file")
        done, _ = await self.run(command)
        if done.status.ok:
            return
        if "UNAVAILABLE" in done.status.code.upper() or "INUSE" in done.status.code.upper():
            raise SourceLostError(f"the server can't sign us in now: {done.status.text}")
        raise MovingError(f"{server.host} refuses {server.master or server.user}: {done.status.text}")


async def _connected(server: Server) -> Link:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise MovingError(f"{server.host} has no address: {error.strerror or error}") from None
    setup = TlsSetup(_context(server), "imap", server_name=server.host)
    trouble = "no address"
    for address in dict.fromkeys(str(info[4][0]) for info in found):
        try:
            link = await dial(
                address, server.port, service="imap", tls=setup, implicit_tls=not server.starttls, timeout_s=30.0
            )
        except DialError as error:
            trouble = f"{address}: {error}"
        except (TlsError, InjectionError, LinkClosed) as error:
            raise await _tls_trouble(server, error) from None
        else:
            if not server.starttls:
                _check_pin(server, link)
            return link
    raise SourceLostError(f"{server.host} port {server.port} can't be reached ({trouble})")


def _context(server: Server) -> "_Context":
    try:
        return _Context(client_context(verify=not server.fingerprint, ca_file=server.ca_file, ca_pem=server.ca_pem))
    except CertificateError as error:
        raise MovingError(str(error)) from None


@dataclass(frozen=True, slots=True)
class _Context:
    """Gives the same context each time."""

    context: ssl.SSLContext

    def __call__(self) -> ssl.SSLContext:
        return self.context


def fingerprint_of(certificate: bytes) -> str:
    return hashlib.sha256(certificate).hexdigest()


def _check_pin(server: Server, link: Link) -> None:
    if not server.fingerprint:
        return
    found = fingerprint_of(link.tls.certificate) if link.tls is not None else ""
    if found != server.fingerprint.replace(":", "").lower():
        link.abort()
        raise MovingError(f"the certificate of {server.host} has another fingerprint: {found}")


async def _tls_trouble(server: Server, error: Exception) -> Exception:
    """What to tell a person; a certificate that is not trusted is named, so that it can be compared and pinned."""
    if not isinstance(error, TlsError) or error.code not in {"certificate", "handshake"}:
        return SourceLostError(f"TLS with {server.host} failed ({error})")
    if error.code == "handshake":
        return MovingError(
            f"TLS with {server.host} port {server.port} failed ({error.detail}):"
            f" is it the port for {'STARTTLS' if server.starttls else 'TLS from the start'}? (--tls)"
        )
    return MovingError(
        f"the certificate of {server.host} is not trusted ({error.detail}). If it is the right one, name the file of its CA"
        " with --ca, or its SHA-256 with --fingerprint. The server's own administrator sees it with:"
        " openssl x509 -in CERTIFICATE -noout -fingerprint -sha256"
    )
