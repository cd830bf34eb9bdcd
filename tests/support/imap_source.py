"""A toy IMAP server to bring mail from, with the habits of broken ones. TLS from the start, certificate of a local CA."""

import asyncio
import datetime as dt
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from poterne.admin import local_ca
from poterne.moving.imap_link import Server
from poterne.values.secret import Secret


@dataclass
class Letter:
    body: bytes | None
    """None: NIL is given."""
    flags: str = ""
    size: int | None = None
    """Told in place of the true one."""
    refused: bool = False
    """A FETCH that asks for it ends there with NO."""
    google_id: int = 0
    quoted: bool = False


@dataclass
class Toy:
    """`folders`: by wire name, with attributes; UIDs begin at 1."""

    folders: dict[str, dict[int, Letter]]
    attributes: dict[str, str] = field(default_factory=dict)
    separator: str = "/"
    capabilities: str = "IMAP4rev1 AUTH=PLAIN SASL-IR"
    namespace: str = ""
    drop_after: int = 0
    """The connection is cut in the middle of the n-th message, once."""
    validity: int = 7
    vanish: set[int] = field(default_factory=set)
    """Listed, and gone when they are fetched."""
    sent: int = 0
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(f"* OK [CAPABILITY {self.capabilities}] toy\r\n".encode())
        box: dict[int, Letter] = {}
        try:
            while line := await reader.readline():
                tag, _, words = line.decode("latin-1").rstrip("\r\n").partition(" ")
                verb = words.split()[0].upper()
                status = "OK done"
                if verb == "NAMESPACE":
                    writer.write(f"* NAMESPACE {self.namespace}\r\n".encode())
                elif verb == "CAPABILITY":
                    writer.write(f"* CAPABILITY {self.capabilities}\r\n".encode())
                elif verb in {"LIST", "LSUB"}:
                    for name in self.folders:
                        has = self.attributes.get(name, "") if verb == "LIST" else ""
                        writer.write(f'* {verb} ({has}) "{self.separator}" "{name}"\r\n'.encode("latin-1"))
                elif verb == "EXAMINE":
                    box = self.folders[words.split('"')[1]]
                    writer.write(f"* {len(box)} EXISTS\r\n* OK [UIDVALIDITY {self.validity}] v\r\n".encode())
                elif "BODY" in words:
                    status = await self._bodies(writer, box, words.split()[2])
                elif verb == "UID":
                    self._list(writer, box)
                writer.write(f"{tag} {status}\r\n".encode())
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _list(self, writer: asyncio.StreamWriter, box: dict[int, Letter]) -> None:
        for number, (uid, letter) in enumerate(box.items(), 1):
            size = len(letter.body or b"") if letter.size is None else letter.size
            google = f" X-GM-MSGID {letter.google_id}" if letter.google_id else ""
            writer.write(
                f"* {number} FETCH (FLAGS ({letter.flags}) RFC822.SIZE {size} UID {uid}"
                f' INTERNALDATE "22-Nov-2026 21:00:00 +0100"{google})\r\n'.encode()
            )

    async def _bodies(self, writer: asyncio.StreamWriter, box: dict[int, Letter], wanted: str) -> str:
        ranges = [tuple(map(int, (part.split(":") * 2)[:2])) for part in wanted.split(",")]
        for number, (uid, letter) in enumerate(box.items(), 1):
            if not any(first <= uid <= last for first, last in ranges) or uid in self.vanish:
                continue
            if letter.refused:
                return "NO [SERVERBUG] this message is broken"
            body = letter.body
            if body is None:
                writer.write(f"* {number} FETCH (BODY[] NIL UID {uid})\r\n".encode())
                continue
            if letter.quoted:
                writer.write(
                    b'* %d FETCH (UID %d BODY[] "%b")\r\n' % (number, uid, re.sub(rb'(["\\])', rb"\\\1", body))
                )
                continue
            self.sent += 1
            writer.write(b"* %d FETCH (BODY[] {%d}\r\n" % (number, len(body)))
            if self.drop_after and self.sent >= self.drop_after:
                self.drop_after = 0
                writer.write(body[: len(body) // 2])
                await writer.drain()
                raise ConnectionResetError
            writer.write(body + b" UID %d)\r\n* %d EXISTS\r\n" % (uid, len(box)))
        return "OK done"


@asynccontextmanager
async def serving(toy: Toy, folder: Path) -> AsyncIterator[Server]:
    """It listens until the context ends; how to reach it."""
    issued = local_ca.ensure(folder, ["localhost", "127.0.0.1"], dt.datetime.now(dt.UTC))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(issued.chain, issued.key)
    server = await asyncio.start_server(toy.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Server("127.0.0.1", port, False, "user", Secret("pw"), ca_file=issued.ca)
    finally:
        server.close()
