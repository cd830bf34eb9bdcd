"""Where relayed mail ends: an SMTP server with STARTTLS that takes everything, keeps nothing, and counts.

`python -m bench.sink PORT CERTIFICATE KEY COUNTS MAILMAX` runs one; `Sink` starts it as a process of its own, so that its CPU is
neither the generator's nor the server's. What it counts is in a file that both have mapped: asking costs nobody anything.
"""

import asyncio
import mmap
import os
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, cast

import uvloop

from bench.certificate import make_certificate
from bench.sut import HOST

if TYPE_CHECKING:
    from typing_extensions import override
else:

    def override(method: object) -> object:
        return method


_COUNTS: Final = struct.Struct("=QQQQd")
_BACKLOG: Final = 1024
URGENT: Final = b"urgent@"
"""The last message for such a recipient is noted with its time."""


class Sink:
    """The process, and what it has counted. `mailmax`: messages a connection that it says it takes (RFC 9422), 0: any number."""

    def __init__(self, folder: Path, port: int, mailmax: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        certificate = make_certificate(folder, "sink.test")
        path = folder / "counts"
        path.write_bytes(bytes(_COUNTS.size))
        with path.open("r+b") as file:
            self._counts = mmap.mmap(file.fileno(), _COUNTS.size)
        arguments = [str(port), str(certificate.certificate), str(certificate.key), str(path), str(mailmax)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.sink", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).resolve().parent.parent,
        )
        assert self._process.stdout is not None
        if not self._process.stdout.readline():
            raise OSError(f"the sink does not listen on port {port}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._counts.close()

    @property
    def messages(self) -> int:
        return self._read()[0]

    @property
    def recipients(self) -> int:
        return self._read()[1]

    @property
    def connections(self) -> int:
        return self._read()[2]

    @property
    def resumed(self) -> int:
        """TLS handshakes that resumed an earlier session."""
        return self._read()[3]

    @property
    def urgent_at(self) -> float:
        """When the last one came, in the time of `time.monotonic`; 0: it did not."""
        return self._read()[4]

    def _read(self) -> tuple[int, int, int, int, float]:
        return cast("tuple[int, int, int, int, float]", _COUNTS.unpack_from(self._counts))


class _Counts:
    """The process's side."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _COUNTS.size)
        self.messages = self.recipients = self.connections = self.resumed = 0
        self.urgent_at = 0.0

    def write(self) -> None:
        values = (self.messages, self.recipients, self.connections, self.resumed, self.urgent_at)
        _COUNTS.pack_into(self._map, 0, *values)


class _Session(asyncio.Protocol):
    """One connection. Replies to what was pipelined go out in one write."""

    __slots__ = ("_buffer", "_context", "_counts", "_extensions", "_in_data", "_rcpts", "_tls", "_transport", "_urgent")

    def __init__(self, counts: _Counts, context: ssl.SSLContext, mailmax: int) -> None:
        self._counts = counts
        self._context = context
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._in_data = False
        self._rcpts = 0
        self._urgent = False
        self._tls = False
        limits = b"250-LIMITS MAILMAX=%d\r\n" % mailmax if mailmax else b""
        self._extensions = b"250-sink.test\r\n250-PIPELINING\r\n" + limits + b"250-8BITMIME\r\n"

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._counts.connections += 1
        self._transport.write(b"220 sink.test ESMTP\r\n")

    @override
    def data_received(self, data: bytes) -> None:
        self._buffer += data
        out: list[bytes] = []
        while True:
            if self._in_data:
                end = self._buffer.find(b"\r\n.\r\n")
                if end < 0:
                    break
                del self._buffer[: end + 5]
                out.append(self._took())
                continue
            end = self._buffer.find(b"\r\n")
            if end < 0:
                break
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            if line[:8].upper() == b"STARTTLS":
                asyncio.get_running_loop().create_task(self._encrypt())
                return
            out.append(self._answer(line))
        if out and self._transport is not None:
            self._transport.write(b"".join(out))

    def _took(self) -> bytes:
        counts = self._counts
        counts.messages += 1
        counts.recipients += self._rcpts
        if self._urgent:
            counts.urgent_at = time.monotonic()
        counts.write()
        self._in_data, self._rcpts, self._urgent = False, 0, False
        return b"250 2.0.0 taken\r\n"

    def _answer(self, line: bytes) -> bytes:
        word = line[:4].upper()
        if word == b"RCPT":
            self._rcpts += 1
            self._urgent = self._urgent or URGENT in line
        elif word == b"DATA":
            self._in_data = True
            return b"354 go ahead\r\n"
        elif word == b"EHLO":
            return self._extensions + (b"250 SMTPUTF8\r\n" if self._tls else b"250-STARTTLS\r\n250 SMTPUTF8\r\n")
        elif word == b"QUIT":
            return b"221 2.0.0 bye\r\n"
        return b"250 2.0.0 ok\r\n"

    async def _encrypt(self) -> None:
        assert self._transport is not None
        plain = self._transport
        plain.write(b"220 2.0.0 go ahead\r\n")
        try:
            upgraded = await asyncio.get_running_loop().start_tls(plain, self, self._context, server_side=True)
        except (OSError, ssl.SSLError):
            plain.abort()
            return
        assert upgraded is not None
        self._transport, self._tls = upgraded, True
        found = upgraded.get_extra_info("ssl_object")
        self._counts.resumed += bool(found is not None and found.session_reused)


async def _serve(port: int, context: ssl.SSLContext, counts: _Counts, mailmax: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Session(counts, context, mailmax), HOST, port, backlog=_BACKLOG)
    print("listening", flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(1)
        counts.write()
    server.close()


def main() -> None:
    port, certificate, key, path, mailmax = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    uvloop.run(_serve(int(port), context, _Counts(Path(path)), int(mailmax)))


if __name__ == "__main__":
    main()
