"""A line protocol just large enough to exercise the edge, and a server that speaks it on loopback."""

import asyncio
import datetime as dt
import socket
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from poterne.net.admission import Admission
from poterne.net.drive import drive, flush_if_big
from poterne.net.limits import Gate, Limits
from poterne.net.link import Link, Poke, TlsSetup
from poterne.net.listen import Listener, bind_socket
from poterne.net.notice import Kind, Notice
from poterne.net.tls import CertificateFiles, Certificates
from poterne.proto.core import PeerError, Signal

LAST_WORDS = b"421 sorry\r\n"
REFUSAL = b"421 too many\r\n"


@dataclass(frozen=True, slots=True)
class Line:
    text: bytes


class ToyCore:
    """Lines in, lines out. `STARTTLS` is upgraded when the session accepts it; `BREAK` is a PeerError."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._out: list[bytes] = []
        self._pending = 0
        self._eof = False
        self._closed = False
        self._tls = False

    def receive(self, data: bytes) -> None:
        if not data:
            self._eof = True
        self._buffer += data

    def next_event(self) -> Line | Signal:
        if self._closed:
            return Signal.CLOSED
        if self._tls:
            return Signal.START_TLS
        end = self._buffer.find(b"\n")
        if end < 0:
            if self._eof:
                self._closed = True
                return Signal.CLOSED
            return Signal.NEED_DATA
        text = bytes(self._buffer[:end]).rstrip(b"\r")
        del self._buffer[: end + 1]
        if text == b"BREAK":
            self.send(b"500 broken\r\n")
            self._closed = True
            raise PeerError("toy-broken", "said BREAK")
        return Line(text)

    def send(self, reply: bytes, /) -> None:
        self._out.append(reply)
        self._pending += len(reply)

    def accept_tls(self) -> None:
        self.send(b"220 go ahead\r\n")
        self._tls = True

    def close(self) -> None:
        self._closed = True

    def output(self) -> list[bytes]:
        out, self._out = self._out, []
        self._pending = 0
        return out

    @property
    def pending(self) -> int:
        return self._pending

    def tls_started(self) -> None:
        self._tls = False
        if self._buffer:
            self._closed = True
            self._buffer.clear()
            raise PeerError("starttls-injection", "plaintext behind STARTTLS")


@dataclass
class World:
    """What the toy server saw, shared by its sessions."""

    lines: list[tuple[bytes, bool]] = field(default_factory=list)
    """Each executed command, and whether it came inside TLS."""
    notices: list[Notice] = field(default_factory=list)
    pokes: list[tuple[Poke, str]] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    closed: int = 0
    pending_peak: int = 0
    on_open: Callable[[Link], None] | None = None
    slow_starttls_s: float = 0.0

    def kinds(self) -> list[Kind]:
        return [notice.kind for notice in self.notices]

    async def until(self, condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110  # a test watches from outside
                await asyncio.sleep(0.005)


class ToySession:
    def __init__(self, world: World, core: ToyCore, link: Link) -> None:
        self.world, self.core, self.link = world, core, link

    async def opened(self) -> None:
        self.core.send(b"220 hello\r\n")
        if self.world.on_open:
            self.world.on_open(self.link)

    async def handle(self, event: Line, /) -> None:
        verb, _, rest = event.text.partition(b" ")
        self.world.lines.append((event.text, self.link.tls is not None))
        match verb:
            case b"QUIT":
                self.core.send(b"221 bye\r\n")
                self.core.close()
            case b"STARTTLS":
                await asyncio.sleep(self.world.slow_starttls_s)
                self.core.accept_tls()
            case b"LONG":
                for number in range(int(rest)):
                    self.core.send(b"* %06d %s\r\n" % (number, b"x" * 90))
                    self.world.pending_peak = max(self.world.pending_peak, self.core.pending)
                    await flush_if_big(self.core, self.link)
                self.core.send(b"250 done\r\n")
            case b"BUG":
                raise RuntimeError("secret detail")
            case b"BULK":
                self.link.begin_bulk(float(rest), 0.2)
                self.core.send(b"354 go\r\n")
            case b"SLEEP":
                await asyncio.sleep(float(rest))
                self.core.send(b"250 slept\r\n")
            case b"TLS":
                tls = self.link.tls
                self.core.send(b"250 %s\r\n" % (f"{tls.version} {tls.cipher} {tls.sni}".encode() if tls else b"none"))
            case _:
                self.core.send(b"250 ok\r\n")

    async def poked(self, why: Poke, /) -> None:
        self.world.pokes.append((why, self.link.expired))
        if why & (Poke.SHUTDOWN | Poke.DEADLINE):
            self.core.send(b"421 %s\r\n" % (b"shutdown" if why & Poke.SHUTDOWN else self.link.expired.encode()))
            self.core.close()
        else:
            self.core.send(b"* changed\r\n")

    def secured(self) -> None:
        self.world.lines.append((b"(secured)", True))

    async def closed(self) -> None:
        self.world.closed += 1


@asynccontextmanager
async def toy_server(
    world: World,
    *,
    certificates: Certificates | None = None,
    implicit_tls: bool = False,
    limits: Limits | None = None,
    handshake_timeout_s: float = 5.0,
    write_timeout_s: float = 30.0,
    address: str = "127.0.0.1",
    admission: Callable[[Gate], Admission] = Admission,
) -> AsyncIterator[tuple[Listener, int]]:
    def serve(link: Link) -> Coroutine[object, object, None]:
        world.links.append(link)
        core = ToyCore()
        return drive(core, ToySession(world, core, link), link, last_words=LAST_WORDS, observe=world.notices.append)

    sock = bind_socket(address, 0)
    port = int(sock.getsockname()[1])
    setup = None
    if certificates is not None:
        setup = TlsSetup(lambda: certificates.context("imap"), "imap", handshake_timeout_s)
    gate = Gate(limits or Limits())
    listener = Listener(
        "toy",
        [sock],
        serve,
        admission=admission(gate),
        observe=world.notices.append,
        tls=setup,
        implicit_tls=implicit_tls,
        refusal=REFUSAL,
        write_timeout_s=write_timeout_s,
    )
    listener.start()
    try:
        yield listener, port
    finally:
        await listener.drain(0.2)
    bugs = [notice.error for notice in world.notices if notice.kind is Kind.BUG]
    assert bool(bugs) == any(text == b"BUG" for text, _ in world.lines), bugs
    assert listener.connections == 0
    assert gate.inside == 0


class Raw:
    """A client on a bare socket, so that a test decides each segment."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""

    @classmethod
    async def connect(cls, port: int, *, receive_buffer: int = 0, address: str = "127.0.0.1") -> "Raw":
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.setblocking(False)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except OSError:
            sock.close()
            raise
        return cls(sock)

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def recv(self, size: int = 65536) -> bytes:
        async with asyncio.timeout(10):
            return await asyncio.get_running_loop().sock_recv(self.sock, size)

    async def line(self) -> bytes:
        """The next line, or what is left at end of file."""
        while b"\n" not in self.buffer:
            data = await self.recv()
            if not data:
                rest, self.buffer = self.buffer, b""
                return rest
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    async def rest(self) -> bytes:
        """Everything up to end of file; a reset counts as one."""
        try:
            while data := await self.recv():
                self.buffer += data
        except ConnectionError:
            pass
        rest, self.buffer = self.buffer, b""
        return rest

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


def make_certificate(folder: Path, name: str) -> CertificateFiles:
    """A self-signed certificate in `folder`/name.pem; the file names do not change when it is made again."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    stem = name.replace("*", "star")
    chain_path, key_path = folder / f"{stem}.pem", folder / f"{stem}.key"
    chain_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return CertificateFiles(chain_path, key_path, (name,))
