r"""Golden dialogues of several clients with the real server: what is said, and all that is heard, octet by octet.

    A> text     client A says text CRLF                 A< text     client A hears text CRLF, exactly
    A~ regex    client A hears a line that fits         A. octets   client A says the octets, without CRLF
    M: name     a message, up to a line with "."        D: name     it is delivered into INBOX, behind the clients' backs
    Q: 3000 10  the account's quota in octets and messages; 0: none
    A! tls      client A starts TLS                 A! closed   the server has closed client A's connection
    A! deflate  client A compresses from here on
    @ name=value    a setting of [imap]; "@ strict" stands for utf8_needs_enable
    @ guest     clients are not signed in, and hear the greeting; "@ starttls": nor is TLS there
    = NAME …    the capabilities that the dialogue shows (`test_dialogues` wants each to be shown somewhere)
    U: B eve@example.org    whose client B is; else it is ada's. An account that is not there is made

Clients (A to F) are signed in when they first speak. In the end each must have heard everything. Empty lines and "#" lines are
for the reader; escapes as in `transcript`.

A dialogue is had in several WAYS, which must sound the same: line by line; octet by octet; in pieces cut at random; and with all
that a client says, until somebody else acts, sent ahead at once. "deflated" is octet by octet inside COMPRESS.
"""

import dataclasses
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from poterne.config.imap import Imap
from poterne.values.event import Event
from poterne.values.ids import TraceId
from tests.support.imap_deflate import deflate, deflated
from tests.support.imap_world import ADDRESS, USERS, Wire, World
from tests.support.transcript import unescape

_LINE = re.compile(r"([A-F])([><~.!]) ?(.*)")
WAYS = ("lines", "octets", "pieces", "ahead")
_FLAGS = frozenset({"strict", "guest", "starttls"})
Step = tuple[str, str, str]


@dataclass
class Dialogue:
    name: str
    steps: list[Step] = field(default_factory=list)
    shows: set[str] = field(default_factory=set)
    messages: dict[str, bytes] = field(default_factory=dict)
    options: set[str] = field(default_factory=set)


def read(path: Path) -> Dialogue:
    found = Dialogue(path.stem)
    lines = iter(path.read_text("utf-8").split("\n"))
    for line in lines:
        if line.startswith("M: "):
            taken = []
            while (text := next(lines)) != ".":
                taken.append(text)
            found.messages[line[3:]] = unescape("\r\n".join(taken) + "\r\n")
        elif line.startswith("@ "):
            found.options.add(line[2:])
        elif line.startswith("= "):
            found.shows.update(line[2:].split())
        elif line.startswith(("D: ", "Q: ", "U: ")):
            found.steps.append((line[0], ":", line[3:]))
        elif line.strip() and not line.startswith("#"):
            matched = _LINE.fullmatch(line)
            assert matched, f"{path.name}: not a line of a dialogue: {line!r}"
            found.steps.append((matched[1], matched[2], matched[3]))
    return found


def cases(folder: Path, ways: tuple[str, ...] = WAYS) -> list[object]:
    """Each dialogue in each of these ways."""
    return [pytest.param(path, way, id=f"{path.stem}-{way}") for path in sorted(folder.glob("*.imap")) for way in ways]


def settings(path: Path) -> Imap:
    """What the dialogue asks of the server."""
    options = read(path).options
    found: dict[str, object] = {}
    for name, given, value in (option.partition("=") for option in options - _FLAGS):
        assert given, f"{path.name}: an option without a value: {name}"
        found[name] = int(value) if value.isdecimal() else value
    return dataclasses.replace(Imap(utf8_needs_enable="strict" in options), **found)  # type: ignore[arg-type]


async def set_quota(world: World, size: int, count: int) -> None:
    account = await world.store.account(ADDRESS)
    event = Event(0, "test", TraceId("t"))
    await world.store.set_account(account.id, event, quota_bytes=size, quota_messages=count)


def has_tls(path: Path) -> bool:
    """Is TLS there from the start?"""
    return "starttls" not in read(path).options


class _Run:
    """One dialogue under way."""

    def __init__(self, world: World, dialogue: Dialogue, way: str) -> None:
        self.world = world
        self.dialogue = dialogue
        self.way = way
        self.clients: dict[str, Wire] = {}
        self.users: dict[str, str] = {}
        self.random = random.Random(dialogue.name)

    def client(self, who: str) -> Wire:
        wire = self.clients.get(who)
        if wire is None:
            guest = bool(self.dialogue.options & {"guest", "starttls"})
            wire = self.clients[who] = self.world.client(login=not guest, address=self.users.get(who, ADDRESS))
            if guest:
                wire._buffer = wire.greeting + b"\r\n" + wire._buffer
            if self.way == "deflated":
                deflate(wire)
        return wire

    def say(self, wire: Wire, octets: bytes) -> None:
        if self.way in {"lines", "ahead"}:
            wire.send(octets)
            return
        most = 1 if self.way != "pieces" else self.random.choice((2, 7, 40))
        at = 0
        while at < len(octets):
            size = self.random.randint(1, most)
            wire.send(octets[at : at + size])
            at += size

    def act(self, what: str, text: str) -> None:
        """Something happens that no client says."""
        if what == "D":
            self.world.deliver(self.dialogue.messages[text])
        elif what == "U":
            who, address = text.split()
            self.users[who] = address
            if address not in USERS:
                self.world.account(address)
        else:
            size, count = map(int, text.split())
            self.world.call(set_quota(self.world, size, count))

    def manage(self, who: str, text: str) -> None:
        wire = self.client(who)
        if text == "tls":
            wire.start_tls(self.world.issued.ca)
        elif text == "deflate":
            deflated(wire)
        else:
            assert text == "closed", text
            assert not wire._buffer, wire._buffer
            with pytest.raises((EOFError, OSError)):
                wire.line()
            wire.socket.close()
            del self.clients[who]

    def turn(self, number: int, steps: list[Step]) -> None:
        """What one client says and hears until something else happens."""
        wire = self.client(steps[0][0])
        if self.way == "ahead":
            self.say(wire, b"".join(_octets(step) for step in steps))
        for one, step in enumerate(steps, number):
            who, what, text = step
            place = f"{self.dialogue.name}, step {one}: {who}{what} {text}"
            if what in {">", "."}:
                if self.way != "ahead":
                    self.say(wire, _octets(step))
                continue
            heard = wire.line()
            if what == "<":
                assert heard == unescape(text) + b"\r\n", (place, heard)
            else:
                assert re.fullmatch(unescape(text) + b"\r\n", heard), (place, heard)


def _octets(step: Step) -> bytes:
    """What is said in this step, if anything is."""
    _, what, text = step
    return unescape(text) + (b"\r\n" if what == ">" else b"") if what in {">", "."} else b""


def check(world: World, path: Path, way: str) -> None:
    """Have the dialogue in one of the ways; a difference is an AssertionError."""
    dialogue = read(path)
    run = _Run(world, dialogue, way)
    number = 0
    while number < len(dialogue.steps):
        who, what, text = dialogue.steps[number]
        stop = number + 1
        if what == ":":
            run.act(who, text)
        elif what == "!":
            run.manage(who, text)
        else:
            while stop < len(dialogue.steps) and _goes_on(dialogue.steps[stop], who):
                stop += 1
            run.turn(number, dialogue.steps[number:stop])
        number = stop
    for who, wire in run.clients.items():
        wire.send(b"the-end LOGOUT\r\n")
        assert wire.line().startswith(b"* BYE"), f"{path.name}: {who} was told more"
        wire.socket.close()


def _goes_on(step: Step, who: str) -> bool:
    return step[0] == who and step[1] not in {":", "!"}
