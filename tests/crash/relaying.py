"""A server that sends mail out, the server that it sends to, and what both have said about each message.

Theory of operation. Who submits knows which messages were acknowledged; the sink knows when each message came whole, when it
answered, and whether anybody was still there. A message may come twice only when a process that could have been sending it
died before it can have written the answer down. Whoever takes a message for delivered before it has the answer loses mail
here: the sink often takes its time, and a message whose sender is gone by then, it sometimes throws away, as is its right
(RFC 5321 §6.1: it has taken responsibility when it answers, not before).
"""

import asyncio
import contextlib
import hashlib
import random
import re
import ssl
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from poterne.config.load import load
from tests.crash.people import LostError, RefusedError
from tests.crash.server import ACCOUNTS, DOMAIN, HOST, PASSWORD, Server, free_ports
from tests.crash.wires import ANSWER_S, Wire, connect

ELSEWHERE = "example.net"
LAG_S = 0.5
"""What a process wrote before it died is read up to so long after that."""
_IDENT = re.compile(rb"^X-Letter: (\S+)\r$", re.MULTILINE)
_SETTINGS = """
[listener.submissions]
service = "submission"
addresses = ["{host}"]
port = {submissions}
tls = "implicit"
max_per_address = 1000
max_per_minute = 0

[route.sink]
domains = ["{elsewhere}"]
host = "{host}"
port = {sink}
tls = "opportunistic"
"""


class Relay(Server):
    """A server whose users write to people elsewhere, and no limit stops them."""

    def __init__(self, folder: Path) -> None:
        unlimited = dict.fromkeys(("recipients_per_day", "external_per_hour", "new_per_day", "burst"), 0)
        super().__init__(folder, {"limits": {**unlimited}})
        self.submissions, self.sink = free_ports(2)
        with self.settings_path.open("a", encoding="utf-8") as file:
            file.write(_SETTINGS.format(host=HOST, submissions=self.submissions, elsewhere=ELSEWHERE, sink=self.sink))
        self.settings = load(self.settings_path)


# -- what is known -----------------------------------------------------------------------------------------------------


@dataclass(eq=False, slots=True)
class Arrival:
    """A message that came whole. Times are of `time.monotonic`."""

    begun_at: float
    """When its MAIL was read."""
    answered_at: float = 0.0
    """0: nobody was there any more to hear it."""
    digest: bytes = b""
    thrown_away: bool = False
    """It was not answered, and the sink did not keep it."""


@dataclass(eq=False, slots=True)
class Letter:
    """One message, and those it is for."""

    ident: str
    digest: bytes
    recipients: list[str]
    acknowledged: bool = False
    judged: bool = False
    arrivals: dict[str, list[Arrival]] = field(default_factory=dict)


@dataclass
class Mailbag:
    """Everything that was sent and what became of it."""

    letters: dict[str, Letter] = field(default_factory=dict)
    deaths: list[float] = field(default_factory=list)
    """Of a process that may have been sending."""
    duplicates: int = 0
    unheard: int = 0
    """Answers that nobody was there to hear."""
    thrown_away: int = 0

    def write(self, sender: str, chance: random.Random) -> tuple[Letter, bytes]:
        ident = f"{sender}-{len(self.letters)}"
        size = 400_000 if chance.random() < 0.05 else round(2 ** chance.uniform(9, 15))
        lines = b"\r\n".join(b64encode(chance.randbytes(54)) for _ in range(max(1, size // 74)))
        head = f"From: {sender}@{DOMAIN}\r\nTo: them@{ELSEWHERE}\r\nSubject: letter\r\nX-Letter: {ident}\r\n"
        head += f"Date: Sun, 22 Nov 2026 21:00:00 +0000\r\nMessage-ID: <{ident}@{DOMAIN}>\r\n\r\n"
        count = chance.choice((1, 1, 1, 2, 5))
        recipients = [f"r{number}.{ident}@{ELSEWHERE}" for number in range(count)]
        letter = self.letters[ident] = Letter(ident, hashlib.sha256(lines).digest(), recipients)
        return letter, head.encode() + lines + b"\r\n"

    def missing(self) -> list[Letter]:
        """Acknowledged to those who sent them, and not with all of those that they are for."""
        return [letter for letter in self.letters.values() if letter.acknowledged and not _is_there(letter)]

    def judge(self, settle_s: float) -> list[str]:
        """What must not be, in letters that nothing more will happen to."""
        wrong: list[str] = []
        for letter in self.letters.values():
            if letter.judged:
                continue
            letter.judged = True
            if letter.acknowledged and not _is_there(letter):
                wrong.append(f"{letter.ident}: was acknowledged, and did not arrive: {letter.arrivals}")
            for recipient, arrivals in letter.arrivals.items():
                wrong += [f"{recipient}: octets differ" for each in arrivals if each.digest != letter.digest]
                wrong += self._judge_repeated(recipient, arrivals, settle_s)
        return wrong

    def _judge_repeated(self, recipient: str, arrivals: Sequence[Arrival], settle_s: float) -> list[str]:
        """All but the last came again: of each, somebody died between its beginning and writing its answer down."""
        wrong: list[str] = []
        self.duplicates += len(arrivals) - 1
        for arrival in arrivals[:-1]:
            until = arrival.answered_at + settle_s if arrival.answered_at else float("inf")
            if not any(arrival.begun_at - LAG_S <= death <= until for death in self.deaths):
                wrong.append(f"{recipient}: came {len(arrivals)} times; this was answered and nobody died: {arrival}")
        return wrong


def _is_there(letter: Letter) -> bool:
    return all(
        any(not arrival.thrown_away for arrival in letter.arrivals.get(recipient, ()))
        for recipient in letter.recipients
    )


# -- who sends ---------------------------------------------------------------------------------------------------------


class Submitter:
    """A person's mail program. RefusedError, LostError."""

    def __init__(self, wire: Wire, account: str) -> None:
        self._wire = wire
        self._account = account

    @classmethod
    async def open(cls, port: int, context: ssl.SSLContext, account: str) -> "Submitter":
        client = cls(await connect(port, context), account)
        await client._expect(220)
        await client._ask("EHLO client.example.org", 250)
        token = b64encode(f"\0{account}@{DOMAIN}\0{PASSWORD}".encode()).decode()
        await client._ask(f"AUTH PLAIN {token}", 235)
        return client

    async def send(self, letter: Letter, octets: bytes) -> None:
        """Returns when it is acknowledged."""
        await self._ask(f"MAIL FROM:<{self._account}@{DOMAIN}>", 250)
        for recipient in letter.recipients:
            await self._ask(f"RCPT TO:<{recipient}>", 250)
        await self._ask("DATA", 354)
        await self._wire.send(octets + b".\r\n")
        await self._expect(250)
        letter.acknowledged = True

    async def _ask(self, command: str, code: int) -> None:
        await self._wire.send(command.encode() + b"\r\n")
        await self._expect(code)

    async def _expect(self, code: int) -> None:
        while (line := await self._wire.line())[3:4] != b" ":
            pass
        if int(line[:3]) != code:
            self.close()
            raise RefusedError(line.decode().strip())

    def close(self) -> None:
        self._wire.close()


class Senders:
    """People who send one message after the other while `on`."""

    def __init__(self, server: Relay, bag: Mailbag, chance: random.Random, count: int) -> None:
        self.on = False
        self.refusals: list[str] = []
        self._server = server
        self._bag = bag
        self._chance = chance
        self._count = count
        self._context = server.tls()

    async def run(self) -> None:
        """Until `on` is false and everybody has an answer, or none will come."""
        self.on = True
        await asyncio.gather(*map(self._send, range(self._count)))

    async def _send(self, number: int) -> None:
        account, client = ACCOUNTS[number % len(ACCOUNTS)], None
        while self.on:
            try:
                if client is None:
                    client = await Submitter.open(self._server.submissions, self._context, account)
                await client.send(*self._bag.write(account, self._chance))
            except (LostError, RefusedError) as error:
                if isinstance(error, RefusedError):
                    self.refusals.append(str(error))
                client = None
                await asyncio.sleep(0.01)
        if client is not None:
            client.close()


# -- where it arrives --------------------------------------------------------------------------------------------------


class Sink:
    """The other server. Reads large messages slowly, and takes its time to answer, each at random."""

    def __init__(self, port: int, bag: Mailbag, chance: random.Random) -> None:
        self._port = port
        self._bag = bag
        self._chance = chance
        self.troubles: list[BaseException] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, HOST, self._port, limit=1 << 16)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        except Exception as error:  # noqa: BLE001  # told at the end of the round
            self.troubles.append(error)
        finally:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink.example.net\r\n")
        recipients: list[str] = []
        begun_at = time.monotonic()
        while True:
            line = (await reader.readuntil(b"\r\n"))[:-2].decode()
            word = line[:4].upper()
            if word == "MAIL":
                begun_at = time.monotonic()
                recipients = []
            elif word == "RCPT":
                recipients.append(line.partition("<")[2].partition(">")[0])
            elif word == "DATA":
                writer.write(b"354 go ahead\r\n")
                text = await self._message(reader)
                await self._answer(reader, writer, self._arrived(recipients, text, begun_at))
                continue
            writer.write(b"250-sink.example.net\r\n250 PIPELINING\r\n" if word == "EHLO" else b"250 ok\r\n")
            if word == "QUIT":
                return

    async def _message(self, reader: asyncio.StreamReader) -> bytes:
        """With the dot line."""
        text = bytearray()
        slow = self._chance.random() < 0.3
        while not text.endswith(b"\r\n.\r\n"):
            piece = await reader.read(16_384)
            if not piece:
                raise asyncio.IncompleteReadError(bytes(text), None)
            text += piece
            if slow:
                await asyncio.sleep(0.01)
        return bytes(text)

    def _arrived(self, recipients: list[str], text: bytes, begun_at: float) -> list[Arrival]:
        found = _IDENT.search(text)
        assert found is not None, text[:500]
        letter = self._bag.letters[found[1].decode()]
        _, _, body = text.partition(b"\r\n\r\n")
        arrivals = []
        for recipient in recipients:
            assert recipient in letter.recipients, (recipient, letter)
            arrival = Arrival(begun_at, digest=hashlib.sha256(body.removesuffix(b"\r\n.\r\n")).digest())
            letter.arrivals.setdefault(recipient, []).append(arrival)
            arrivals.append(arrival)
        return arrivals

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, arrivals: list[Arrival]
    ) -> None:
        if self._chance.random() < 0.4:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._chance.uniform(0.0, 0.4)):
                    gone = not await reader.read(1)
                    assert gone, "something came before the answer"
                self._bag.unheard += 1
                if self._chance.random() < 0.5:
                    self._bag.thrown_away += 1
                    for arrival in arrivals:
                        arrival.thrown_away = True
                raise asyncio.IncompleteReadError(b"", None)
        writer.write(b"250 2.0.0 taken\r\n")
        now = time.monotonic()
        for arrival in arrivals:
            arrival.answered_at = now
        async with asyncio.timeout(ANSWER_S):
            await writer.drain()
