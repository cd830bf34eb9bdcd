"""What the processes of one server tell each other: packets over socket pairs made before they were forked.

A message may be lost (a full buffer, a process just restarted): whoever listens can always find out by asking the store. So the
bus never blocks, never repeats and never orders anything. A process that was behind is told so with the next packet that it has
room for (`Missed`), and asks the store for everything.

SOCK_SEQPACKET and not SOCK_DGRAM: datagrams between Unix sockets are limited to `net.unix.max_dgram_qlen`, often 10.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence

import msgspec

from poterne.values.ids import AccountId, MailboxId, ModSeq
from poterne.values.mailbox import MailboxChanged

MAX_PACKET = 60_000
_PER_PACKET = 1_000


class MailboxesChanged(msgspec.Struct, frozen=True, tag="m", array_like=True):
    """Commits of another process: (account, mailbox, modseq) each."""

    changes: tuple[tuple[int, int, int], ...]


class SignInFailed(msgspec.Struct, frozen=True, tag="f", array_like=True):
    """A wrong password was given to another process: the address counts here too."""

    peer: str
    account: str


class CertificatesChanged(msgspec.Struct, frozen=True, tag="c", array_like=True):
    """New certificate files: new handshakes should use them."""


class MailQueued(msgspec.Struct, frozen=True, tag="q", array_like=True):
    """Something waits to go out, or is due earlier than before."""


class Missed(msgspec.Struct, frozen=True, tag="x", array_like=True):
    """There was no room for some messages: whatever they said, ask the store."""


GAP_S = 0.02
"""How long changes gather after some were told."""
QUEUED_GAP_S = 0.05
"""The same for mail that waits: to lease ten recipients costs little more than to lease one."""

Message = MailboxesChanged | SignInFailed | CertificatesChanged | MailQueued | Missed

_decoder = msgspec.msgpack.Decoder(Message)
_encoder = msgspec.msgpack.Encoder()
_MISSED = _encoder.encode(Missed())


class Exchange:
    """All the socket pairs, held by the supervisor: one inbox per process slot, which outlives the process."""

    def __init__(self, slots: int, *, unmoved: int | None = None) -> None:
        """`unmoved`: a slot whose process has no use for changes of mailboxes; it is not woken for each of them."""
        self._unmoved = unmoved
        pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(slots)]
        self._inboxes = [pair[0] for pair in pairs]
        self._outboxes = [pair[1] for pair in pairs]
        for end in (*self._inboxes, *self._outboxes):
            end.setblocking(False)

    def end_of(self, slot: int) -> "Bus":
        """The bus as the process in `slot` sees it; call it in that process."""
        others = [i for i in range(len(self._outboxes)) if i != slot]
        moved = [place for place, i in enumerate(others) if i != self._unmoved]
        return Bus(self._inboxes[slot], [self._outboxes[i] for i in others], moved)

    def close(self) -> None:
        for end in (*self._inboxes, *self._outboxes):
            end.close()


class Bus:
    """One process's end. Publishing goes to every other process, of changes to those at the places `moved`."""

    def __init__(self, inbox: socket.socket, peers: Sequence[socket.socket], moved: Sequence[int]) -> None:
        self._inbox = inbox
        self._peers = peers
        self._moved = moved
        self._heard: Callable[[Message], None] | None = None
        self._behind: set[int] = set()
        """Places of peers that lost something of ours and do not know it yet."""

    def listen(self, loop: asyncio.AbstractEventLoop, heard: Callable[[Message], None]) -> None:
        """Call `heard` for each message. What waited for an earlier process in this slot is heard first."""
        self._heard = heard
        loop.add_reader(self._inbox.fileno(), self._ready)

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.remove_reader(self._inbox.fileno())

    def _ready(self) -> None:
        for _ in range(100):  # then let other work of the loop have its turn
            try:
                data = self._inbox.recv(MAX_PACKET)
            except (BlockingIOError, InterruptedError):
                return
            if not data:  # nobody is left who could write: it would be readable for ever
                asyncio.get_running_loop().remove_reader(self._inbox.fileno())
                return
            with contextlib.suppress(msgspec.DecodeError):  # from another version during an upgrade: not for us
                message = _decoder.decode(data)
                if self._heard is not None:
                    self._heard(message)

    def publish(self, message: Message) -> None:
        """Tell all others. A message over MAX_PACKET octets is never made: see `publish_changes` for the only long one."""
        data = _encoder.encode(message)
        for place in self._moved if isinstance(message, MailboxesChanged) else range(len(self._peers)):
            if self._behind and not self._caught_up(place):
                continue
            try:
                self._peers[place].send(data)
            except OSError:  # full: that process is slow, or is being replaced
                self._behind.add(place)

    def remind(self) -> None:
        """Tell those who lost messages that they did, where there is room again; call it now and then."""
        for place in tuple(self._behind):
            self._caught_up(place)

    def _caught_up(self, place: int) -> bool:
        if place in self._behind:
            with contextlib.suppress(OSError):
                self._peers[place].send(_MISSED)
                self._behind.discard(place)
        return place not in self._behind

    def publish_changes(self, changes: Sequence[MailboxChanged]) -> None:
        for start in range(0, len(changes), _PER_PACKET):
            page = changes[start : start + _PER_PACKET]
            self.publish(MailboxesChanged(tuple((c.account_id, c.mailbox_id, c.modseq) for c in page)))


class ChangesOut:
    """Changes of this process on their way to the others: the first at once, what follows it within GAP_S together.

    A packet costs its receivers a wake-up each, more than a commit is worth; a person does not see twenty milliseconds.
    """

    def __init__(self, bus: Bus, loop: asyncio.AbstractEventLoop) -> None:
        self._bus = bus
        self._loop = loop
        self._waiting: dict[tuple[AccountId, MailboxId], MailboxChanged] = {}
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, changes: Sequence[MailboxChanged]) -> None:
        if self._timer is None:
            self._bus.publish_changes(changes)
            self._timer = self._loop.call_later(GAP_S, self._gap_over)
        else:
            self._waiting.update({(c.account_id, c.mailbox_id): c for c in changes})

    def _gap_over(self) -> None:
        self._timer = None
        if self._waiting:
            changes, self._waiting = list(self._waiting.values()), {}
            self.tell(changes)


class QueuedOut:
    """That mail waits: the first is told of at once, what follows within QUEUED_GAP_S together."""

    def __init__(self, bus: Bus, loop: asyncio.AbstractEventLoop) -> None:
        self._bus = bus
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self._more = False

    def tell(self) -> None:
        if self._timer is None:
            self._bus.publish(MailQueued())
            self._timer = self._loop.call_later(QUEUED_GAP_S, self._gap_over)
        else:
            self._more = True

    def _gap_over(self) -> None:
        self._timer = None
        if self._more:
            self._more = False
            self.tell()


def changes_of(message: MailboxesChanged) -> list[MailboxChanged]:
    """The changes as values."""
    return [MailboxChanged(AccountId(a), MailboxId(m), ModSeq(s)) for a, m, s in message.changes]
