"""A client: its connection, its modes, its picture, and commands run to their end."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.stress.ledger import DifferenceError, Ledger
from tests.stress.notices import Notices
from tests.stress.picture import Doing, Picture, nothing
from tests.stress.wire import Wire
from tests.support.peer_server import HOST, PASSWORD, PeerServer

WAIT_S = 30.0
NAMES = ("INBOX", "Work", "Temp1", "Temp2")
"""Where things happen. The last two are made, renamed and deleted on the way."""
GUEST = "Guest"
"""The INBOX of the second account, whose clients else work in the mailboxes of the first (RFC 4314)."""
_RESULTS = (b"* SEARCH", b"* ESEARCH", b"* SORT", b"* THREAD")
_CODE = re.compile(rb"(?:OK|NO|BAD) \[([A-Z]+)(?: ([^\]]*))?\]")


@dataclass(frozen=True, slots=True)
class Modes:
    """What a client enables when it has signed in."""

    rev2: bool = False
    condstore: bool = False
    qresync: bool = False
    uid_only: bool = False
    deflate: bool = False
    notify: bytes = b""
    """SELECTED or SELECTED-DELAYED (RFC 5465 §6.1)."""

    @property
    def enabled(self) -> list[str]:
        asked = {"IMAP4rev2": self.rev2, "CONDSTORE": self.condstore, "QRESYNC": self.qresync, "UIDONLY": self.uid_only}
        return [name for name, wanted in asked.items() if wanted]


@dataclass(frozen=True, slots=True)
class Cache:
    """What a client keeps of a mailbox that it leaves."""

    highest: int
    flags: dict[int, frozenset[bytes]]


class ClosedError(Exception):
    """The server ended the connection, as it may: the selected mailbox was deleted."""


class Client:
    """`act`s of a client run one after the other; what is heard in between goes to its picture at once."""

    def __init__(
        self,
        number: int,
        address: str,
        server: PeerServer,
        ledger: Ledger,
        dice: Random,
        modes: Modes,
        owner: str | None = None,
    ) -> None:
        """`owner`: whose mailboxes it works in, if not its own."""
        self.owner = owner
        self.guest: str | None = None
        """Who is let into whatever it makes."""
        self.number = number
        self.name = f"client-{number}"
        self.address, self.server, self.ledger, self.dice, self.modes = address, server, ledger, dice, modes
        self.wire = Wire(self.name, self._hear, self._lost)
        self.picture: Picture | None = None
        self._opening: Picture | None = None
        self.notices: Notices | None = None
        self.condstore = False
        self._enabling = False
        """A command on the way enables CONDSTORE: what was told before the server met it has no MODSEQ yet."""
        self.caches: dict[int, Cache] = {}
        self.saved: list[int] = []
        """UIDs of the last SEARCH with SAVE."""
        self.mine: dict[tuple[int, int], bool] = {}
        """Messages that have this client's own keyword, or lost it again; nobody else stores it."""
        self.idling: Doing | None = None
        self.running: list[Doing] = []
        self._ended: dict[bytes, asyncio.Future[None]] = {}
        self._go_ahead: asyncio.Future[None] | None = None
        self._greeted: asyncio.Future[None]
        self.failure: BaseException | None = None
        self.bye = False
        self._tags = 0
        self._sessions = 0

    @property
    def keyword(self) -> bytes:
        return b"$Mine%d" % self.number

    def by_uid(self) -> bool:
        """Is the next command to be one with UIDs?"""
        return self.dice.random() < 0.5 or not self.numbers

    @property
    def numbers(self) -> bool:
        """May it use message numbers? With SELECTED they may change at any moment (RFC 5465 §5.3)."""
        return not self.modes.uid_only and self.modes.notify != b"SELECTED"

    @property
    def names(self) -> tuple[str, ...]:
        """Of mailboxes that it may use, as the truth calls them."""
        return NAMES if self.owner is None else (*NAMES, GUEST)

    def path(self, name: str) -> bytes:
        """As this client calls it."""
        if self.owner is None:
            return name.encode()
        return b"INBOX" if name == GUEST else f"Other Users/{self.owner}/{name}".encode()

    # -- the connection ------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        self.picture = self._opening = self.idling = self.notices = None
        self.running, self._ended, self.saved = [], {}, []
        self.bye = False
        self.condstore = self.modes.condstore or self.modes.qresync
        self._greeted = asyncio.get_running_loop().create_future()
        await self.wire.open(HOST, self.server.ports["imaps"], self.server.ca)
        async with asyncio.timeout(WAIT_S):
            await self._greeted
        await self.ok(b'LOGIN "%b" "%b"' % (self.address.encode(), PASSWORD.encode()))
        if self.modes.deflate:
            await self.ok(b"COMPRESS DEFLATE")
            self.wire.compress()
        if self.modes.enabled:
            await self.ok(("ENABLE " + " ".join(self.modes.enabled)).encode())
        self.notices = Notices() if self.modes.notify and self.owner is None else None
        if self.modes.notify:
            new = self.dice.choice([b"", b" (UID FLAGS)"])
            selected = b"(%b (MessageNew%b MessageExpunge FlagChange))" % (self.modes.notify, new)
            personal = b" (personal (MailboxName MessageNew MessageExpunge FlagChange))" if self.notices else b""
            await self.ok(b"NOTIFY SET STATUS %b%b" % (selected, personal))
            await self.ok(b'LIST "" "*"')

    async def close(self) -> None:
        self.remember()
        await self.wire.close()
        self.picture = None

    def _lost(self) -> None:
        self.failure = self.failure or (
            ClosedError() if self.bye else DifferenceError("the server closed the connection")
        )
        self._wake()

    def _wake(self) -> None:
        waiting = [*self._ended.values(), self._greeted, *([self._go_ahead] if self._go_ahead else [])]
        for future in waiting:
            if not future.done() and self.failure is not None:
                future.set_exception(self.failure)
                future.exception()

    # -- what is heard -------------------------------------------------------------------------------------------------

    def _hear(self, line: bytes) -> None:
        try:
            self._take(line)
        except Exception as error:  # noqa: BLE001
            self.failure = self.failure or error
            self._wake()

    def _take(self, line: bytes) -> None:
        if line.startswith(b"+"):
            if self._go_ahead is None or self._go_ahead.done():
                raise DifferenceError("a continuation that nobody waits for")
            self._go_ahead.set_result(None)
        elif line.startswith(b"* "):
            self._untagged(line)
        else:
            self._tagged(line)

    def _untagged(self, line: bytes) -> None:
        if not self._greeted.done():
            self._greeted.set_result(None)
            return
        if line.startswith(b"* BYE"):
            self.bye = True
            return
        code = _CODE.match(line[2:])
        if code is not None and code[1] == b"CLOSED" and self._opening is not None:
            self.picture, self._opening = self._opening, None
            return
        if code is not None and self.running:
            self.running[0].codes[code[1]] = code[2] or b""
            if code[1] == b"HIGHESTMODSEQ":
                self._enabled()
        if self.notices is not None:
            self.notices.hear(line)
        if self.picture is not None and self.picture.hear(line, self.running):
            return
        if self.running:
            doing = self.running[0]
            if line.startswith(_RESULTS) and self.picture is not None:
                doing.counted = len(self.picture.uids)
            doing.others.append(line)

    def _tagged(self, line: bytes) -> None:
        tag, _, rest = line.partition(b" ")
        if not self.running or self.running[0].tag != tag:
            raise DifferenceError(f"{line!r} answers no command, or out of turn")
        doing = self.running.pop(0)
        doing.status = rest.split(b" ", 1)[0]
        if (code := _CODE.match(rest)) is not None:
            doing.codes[code[1]] = code[2] or b""
        if doing.status == b"BAD":
            raise DifferenceError(f"BAD: {rest!r} for {doing.text!r}")
        self._enabled()
        if self.picture is not None:
            self.picture.complete(doing)
        if doing.status == b"OK":
            doing.then(doing)
        self._ended.pop(tag).set_result(None)

    # -- commands ------------------------------------------------------------------------------------------------------

    def start(
        self, text: bytes, *, holds: bool = False, asks_flags: bool = False, then: Callable[[Doing], None] = nothing
    ) -> Doing:
        """Send it; literals in it are the non-synchronising ones. `holds`: it has message numbers.

        `then`: what the client believes as soon as it hears OK, before it hears anything else.
        """
        self._tags += 1
        doing = Doing(b"%c%d" % (97 + self.number, self._tags), text, holds, asks_flags, then)
        self.running.append(doing)
        self._ended[doing.tag] = asyncio.get_running_loop().create_future()
        self.wire.send(doing.tag + b" " + text + b"\r\n")
        return doing

    async def end(self, doing: Doing) -> Doing:
        if (ended := self._ended.get(doing.tag)) is not None:
            try:
                async with asyncio.timeout(WAIT_S):
                    await ended
            except TimeoutError:
                raise DifferenceError(f"no answer in {WAIT_S} s to {doing.text!r}") from None
        if self.failure is not None:
            raise self.failure
        return doing

    async def run(
        self, text: bytes, *, holds: bool = False, asks_flags: bool = False, then: Callable[[Doing], None] = nothing
    ) -> Doing:
        if self.failure is not None:
            raise self.failure
        return await self.end(self.start(text, holds=holds, asks_flags=asks_flags, then=then))

    async def ok(self, text: bytes, *, holds: bool = False, asks_flags: bool = False) -> Doing:
        doing = await self.run(text, holds=holds, asks_flags=asks_flags)
        if doing.status != b"OK":
            raise DifferenceError(f"{doing.status!r} {doing.codes} for {text!r}")
        return doing

    async def idle(self) -> None:
        self._go_ahead = asyncio.get_running_loop().create_future()
        self.idling = self.start(b"IDLE")
        async with asyncio.timeout(WAIT_S):
            await self._go_ahead

    async def done(self) -> None:
        if self.idling is not None:
            doing, self.idling = self.idling, None
            self.wire.send(b"DONE\r\n")
            await self.end(doing)

    # -- mailboxes -----------------------------------------------------------------------------------------------------

    def remember(self) -> None:
        """Leaving the mailbox: keep what helps to come back, if it is all known."""
        picture = self.picture
        if picture is None:
            return
        if self.notices is not None:
            self.notices.forget_box(picture.box)
        if picture.known and set(picture.flags) == set(picture.uids) and picture.highest:
            self.caches[picture.box] = Cache(picture.highest, dict(picture.flags))
        else:
            self.caches.pop(picture.box, None)
        self.saved = []

    async def select(
        self,
        name: bytes,
        *,
        read_only: bool = False,
        parameters: bytes = b"",
        then: Callable[[Doing], None] = nothing,
    ) -> Doing:
        """The picture is of the new mailbox afterwards, or there is none. Not OK is the caller's to judge."""
        self.remember()
        self._sessions += 1
        if b"CONDSTORE" in parameters:
            self.condstore = True
        fresh = Picture(
            self.ledger,
            self.number * 100_000 + self._sessions,
            condstore=self.condstore,
            qresync=self.modes.qresync,
            rev2=self.modes.rev2,
            uid_only=self.modes.uid_only,
            at_once=self.modes.notify == b"SELECTED",
        )
        fresh.read_only = read_only
        if self.picture is None:
            self.picture = fresh
        else:
            self._opening = fresh
        word = b"EXAMINE" if read_only else b"SELECT"
        doing = await self.run(b'%b "%b"%b' % (word, name, parameters), then=then)
        if self._opening is not None:
            raise DifferenceError("no [CLOSED] for the mailbox before (RFC 9051 §7.1)")
        if doing.status != b"OK":
            self.picture = None
        return doing

    def changed(self, name: str) -> None:
        """It did something there that nobody has to tell it."""
        if self.notices is not None:
            self.notices.forget(name)

    def enable_condstore(self) -> None:
        """By a command that says so on the way (RFC 7162 §3.1)."""
        self.condstore = True
        self._enabling = True

    def _enabled(self) -> None:
        if self._enabling and self.picture is not None:
            self.picture.condstore = True
        self._enabling = False
