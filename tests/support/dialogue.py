r"""Golden dialogues of several clients with the real server: what is said, and all that is heard, octet by octet.

    A> text     client A says text CRLF                 A< text     client A hears text CRLF, exactly
    A~ regex    client A hears a line that fits         A. octets   client A says the octets, without CRLF
    M: name     a message, up to a line with "."        D: name     it is delivered into INBOX, behind the clients' backs
    Q: 3000 10  the account's quota in octets and messages; 0: none
    @ strict    an option of the server (`settings`)

Clients (A to F) are signed in when they first speak. In the end each must have heard everything. Empty lines and "#" lines are
for the reader; escapes as in `transcript`.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from poterne.config.imap import Imap
from poterne.values.event import Event
from poterne.values.ids import TraceId
from tests.support.imap_world import ADDRESS, Wire, World
from tests.support.transcript import unescape

_LINE = re.compile(r"([A-F])([><~.]) ?(.*)")


@dataclass
class Dialogue:
    name: str
    steps: list[tuple[str, str, str]] = field(default_factory=list)
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
        elif line.startswith(("D: ", "Q: ")):
            found.steps.append((line[0], ":", line[3:]))
        elif line.strip() and not line.startswith("#"):
            matched = _LINE.fullmatch(line)
            assert matched, f"{path.name}: not a line of a dialogue: {line!r}"
            found.steps.append((matched[1], matched[2], matched[3]))
    return found


def cases(folder: Path) -> list[object]:
    """Each dialogue twice: line by line, and octet by octet."""
    ways = ("lines", "octets")
    return [pytest.param(path, way, id=f"{path.stem}-{way}") for path in sorted(folder.glob("*.imap")) for way in ways]


def settings(path: Path) -> Imap:
    """What the dialogue asks of the server. "strict": a header in UTF-8 has to be enabled."""
    return Imap(utf8_needs_enable="strict" in read(path).options)


async def set_quota(world: World, size: int, count: int) -> None:
    account = await world.store.account(ADDRESS)
    event = Event(0, "test", TraceId("t"))
    await world.store.set_account(account.id, event, quota_bytes=size, quota_messages=count)


def check(world: World, path: Path, way: str) -> None:
    """Have the dialogue; the first line that differs is an AssertionError."""
    dialogue = read(path)
    clients: dict[str, Wire] = {}

    def say(wire: Wire, octets: bytes) -> None:
        if way == "octets":
            for octet in octets:
                wire.send(bytes((octet,)))
        else:
            wire.send(octets)

    for number, (who, what, text) in enumerate(dialogue.steps):
        if what == ":":
            if who == "D":
                world.deliver(dialogue.messages[text])
            else:
                size, count = map(int, text.split())
                world.call(set_quota(world, size, count))
            continue
        wire = clients.get(who)
        if wire is None:
            wire = clients[who] = world.client()
        place = f"{path.name}, step {number}: {who}{what} {text}"
        if what == ">":
            say(wire, unescape(text) + b"\r\n")
        elif what == ".":
            say(wire, unescape(text))
        elif what == "<":
            heard = wire.line()
            assert heard == unescape(text) + b"\r\n", (place, heard)
        else:
            heard = wire.line()
            assert re.fullmatch(unescape(text) + b"\r\n", heard), (place, heard)
    for who, wire in clients.items():
        wire.send(b"the-end LOGOUT\r\n")
        assert wire.line().startswith(b"* BYE"), f"{path.name}: {who} was told more"
        wire.socket.close()
