"""Clients on real sockets that notice what was answered and what was not."""

import asyncio
import re
import ssl
from collections.abc import Sequence

from tests.crash.bare_store import ident_of
from tests.crash.ledger import Box, Flags, Ledger, SeenBox
from tests.crash.people import LostError, RefusedError
from tests.crash.server import DOMAIN, HOST, PASSWORD

ANSWER_S = 40.0
"""An answer that takes longer is a hang: the test fails."""
_BROKEN = (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, OSError)


class Wire:
    """A connection. LostError when it ends; never silence for long."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def line(self) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._reader.readuntil(b"\r\n")
        except TimeoutError:
            raise AssertionError(f"no answer within {ANSWER_S} s") from None
        except _BROKEN as error:
            raise LostError(str(error)) from error

    async def octets(self, count: int) -> bytes:
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._reader.readexactly(count)
        except TimeoutError:
            raise AssertionError(f"no answer within {ANSWER_S} s") from None
        except _BROKEN as error:
            raise LostError(str(error)) from error

    async def send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            async with asyncio.timeout(ANSWER_S):
                await self._writer.drain()
        except TimeoutError:
            raise AssertionError(f"could not send for {ANSWER_S} s") from None
        except _BROKEN as error:
            raise LostError(str(error)) from error

    def close(self) -> None:
        self._writer.transport.abort()


async def connect(port: int, context: ssl.SSLContext | None = None) -> Wire:
    try:
        name = "localhost" if context else None
        reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname=name, limit=1 << 22)
    except _BROKEN as error:
        raise LostError(str(error)) from error
    return Wire(reader, writer)


# -- SMTP --------------------------------------------------------------------------------------------------------------


class SmtpClient:
    """A server that sends to ours."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    @classmethod
    async def open(cls, port: int) -> "SmtpClient":
        client = cls(await connect(port))
        code, text = await client.reply()
        if code != 220:
            raise LostError(text)
        await client._wire.send(b"EHLO client.example.net\r\n")
        await client.reply()
        return client

    async def reply(self) -> tuple[int, str]:
        while True:
            line = await self._wire.line()
            if line[3:4] == b" ":
                return int(line[:3]), line.decode().strip()

    async def deliver(self, names: Sequence[str], octets: bytes) -> None:
        """Returns when it is acknowledged. RefusedError, LostError."""
        opening = ["MAIL FROM:<s@example.net>", *(f"RCPT TO:<{name}@{DOMAIN}>" for name in names), "DATA"]
        await self._wire.send("\r\n".join([*opening, ""]).encode())
        for _ in opening:
            code, text = await self.reply()
            if code >= 400:
                # What follows would be answers to commands that are out of place now: this connection is done.
                self.close()
                raise RefusedError(text)
        stuffed = octets.replace(b"\r\n.", b"\r\n..")
        for at in range(0, len(stuffed), 65_536):
            await self._wire.send(stuffed[at : at + 65_536])
        await self._wire.send(b".\r\n")
        code, text = await self.reply()
        if code != 250:
            self.close()
            raise RefusedError(text)

    def close(self) -> None:
        self._wire.close()


# -- IMAP --------------------------------------------------------------------------------------------------------------


class ImapClient:
    """`Mail` over IMAP, and a reader of everything."""

    atomic = False

    def __init__(self, wire: Wire, account: str) -> None:
        self._wire = wire
        self.account = account
        self._tag = 0
        self._selected = ""

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext, account: str) -> "ImapClient":
        client = cls(await connect(port, context), account)
        greeting = await client._wire.line()
        if not greeting.startswith(b"* OK"):
            raise LostError(greeting.decode())
        try:
            await client.ask(f'LOGIN "{account}@{DOMAIN}" "{PASSWORD}"')
        except RefusedError as error:
            client.close()
            raise LostError(str(error)) from error
        return client

    def close(self) -> None:
        self._wire.close()

    async def response(self) -> bytes:
        whole = await self._wire.line()
        while (literal := re.search(rb"\{(\d+)\}\r\n\Z", whole)) is not None:
            whole += await self._wire.octets(int(literal[1])) + await self._wire.line()
        if whole.startswith(b"* BYE"):
            raise LostError(whole.decode())
        return whole

    async def ask(self, command: str, literal: bytes | None = None) -> tuple[list[bytes], bytes]:
        """Untagged responses and the tagged OK. RefusedError at NO, a failed test at BAD."""
        self._tag += 1
        tag = b"t%d " % self._tag
        await self._wire.send(tag + command.encode() + b"\r\n")
        untagged: list[bytes] = []
        while True:
            answer = await self.response()
            if answer.startswith(b"+") and literal is not None:
                await self._wire.send(literal + b"\r\n")
            elif answer.startswith(tag):
                break
            else:
                untagged.append(answer)
        word = answer[len(tag) :].split(b" ", 1)[0]
        assert word in {b"OK", b"NO"}, (command, answer)
        if word == b"NO":
            raise RefusedError(f"{command}: {answer.decode()}")
        return untagged, answer

    async def select(self, box: Box) -> None:
        if self._selected == box.name:
            return
        self._selected = ""
        untagged, _ = await self.ask(f'SELECT "{box.name}"')
        told = _number(rb"UIDVALIDITY (\d+)", b"".join(untagged))
        assert box.uid_validity in {0, told}, f"{box}: UIDVALIDITY was {box.uid_validity}, is {told}"
        box.uid_validity = told
        self._selected = box.name

    async def append(self, box: Box, octets: bytes, flags: Flags) -> int:
        command = f'APPEND "{box.name}" ({" ".join(sorted(flags))}) {{{len(octets)}}}'
        _, answer = await self.ask(command, octets)
        match = re.search(rb"\[APPENDUID (\d+) (\d+)\]", answer)
        assert match is not None, answer
        self._same(box, int(match[1]))
        return int(match[2])

    @staticmethod
    def _same(box: Box, told: int) -> None:
        assert box.uid_validity in {0, told}, f"{box}: UIDVALIDITY was {box.uid_validity}, is {told}"
        box.uid_validity = told

    async def change_flags(self, box: Box, uids: Sequence[int], flags: Flags, *, add: bool) -> None:
        await self.select(box)
        sign = "+" if add else "-"
        _, answer = await self.ask(f"UID STORE {_set(uids)} {sign}FLAGS.SILENT ({' '.join(sorted(flags))})")
        assert b"MODIFIED" not in answer, answer

    async def copy(self, box: Box, uids: Sequence[int], to: Box, *, move: bool) -> dict[int, int]:
        await self.select(box)
        untagged, answer = await self.ask(f'UID {"MOVE" if move else "COPY"} {_set(uids)} "{to.name}"')
        match = re.search(rb"\[COPYUID (\d+) (\S+) (\S+)\]", b"".join([*untagged, answer]))
        assert match is not None, (uids, untagged, answer)
        self._same(to, int(match[1]))
        return dict(zip(_expand(match[2]), _expand(match[3]), strict=True))

    async def expunge(self, box: Box, uids: Sequence[int]) -> None:
        await self.select(box)
        await self.ask(f"UID EXPUNGE {_set(uids)}")

    async def create(self, account: str, name: str) -> None:
        await self.ask(f'CREATE "{name}"')

    async def delete(self, box: Box) -> None:
        await self._leave(box)
        await self.ask(f'DELETE "{box.name}"')

    async def rename(self, box: Box, name: str) -> None:
        await self._leave(box)
        await self.ask(f'RENAME "{box.name}" "{name}"')

    async def _leave(self, box: Box) -> None:
        if self._selected == box.name:
            self._selected = ""
            await self.ask("UNSELECT")

    # -- reading everything --------------------------------------------------------------------------------------------

    async def look(self, ledger: Ledger, *, all_octets: bool) -> tuple[dict[tuple[str, str], SeenBox], list[str]]:
        """What is there, and what is wrong with the octets of letters that were not read yet (or of all)."""
        seen: dict[tuple[str, str], SeenBox] = {}
        wrong: list[str] = []
        untagged, _ = await self.ask('LIST "" "*"')
        for line in untagged:
            name = line.decode().strip().rpartition('"/" ')[2].strip('"')
            box, idents = await self._look_into(name)
            seen[self.account, name] = box
            unread = {
                uid: ident
                for uid, ident in idents.items()
                if ident in ledger.letters and (all_octets or not ledger.letters[ident].byte_checked)
            }
            wrong += await self._wrong_octets(ledger, unread)
        self._selected = ""
        return seen, wrong

    async def _look_into(self, name: str) -> tuple[SeenBox, dict[int, str]]:
        untagged, _ = await self.ask(f'EXAMINE "{name}"')
        head = b"".join(untagged)
        messages: dict[int, tuple[str, Flags]] = {}
        if _number(rb"\* (\d+) EXISTS", head):
            untagged, _ = await self.ask("FETCH 1:* (UID FLAGS BODY.PEEK[HEADER.FIELDS (X-LETTER)])")
            for line in untagged:
                flags = re.search(rb"FLAGS \(([^)]*)\)", line)
                assert flags is not None, line
                held = frozenset(flags[1].decode().split()) - {"\\Recent"}
                uid = _number(rb"UID (\d+)", line)
                assert uid not in messages, f"{name}: UID {uid} twice"
                messages[uid] = (ident_of(line), held)
        idents = {uid: ident for uid, (ident, _) in messages.items()}
        return SeenBox(_number(rb"UIDVALIDITY (\d+)", head), _number(rb"UIDNEXT (\d+)", head), messages), idents

    async def _wrong_octets(self, ledger: Ledger, unread: dict[int, str]) -> list[str]:
        wrong: list[str] = []
        uids = sorted(unread)
        for start in range(0, len(uids), 50):
            untagged, _ = await self.ask(f"UID FETCH {_set(uids[start : start + 50])} BODY.PEEK[]")
            for line in untagged:
                if b" FETCH (" not in line[:40]:
                    continue
                ident = unread[_number(rb"UID (\d+)", line[:80])]
                match = re.search(rb"BODY\[\] \{(\d+)\}\r\n", line)
                assert match is not None, line[:200]
                letter = ledger.letters[ident]
                if letter.is_intact(line[match.end() : match.end() + int(match[1])]):
                    letter.byte_checked = True
                else:
                    wrong.append(f"{ident}: octets differ over IMAP")
        return wrong


def _set(uids: Sequence[int]) -> str:
    return ",".join(map(str, uids))


def _expand(uid_set: bytes) -> list[int]:
    found: list[int] = []
    for part in uid_set.decode().split(","):
        first, _, last = part.partition(":")
        found += range(int(first), int(last or first) + 1)
    return found


def _number(pattern: bytes, text: bytes) -> int:
    match = re.search(pattern, text)
    assert match is not None, (pattern, text[:200])
    return int(match[1])
