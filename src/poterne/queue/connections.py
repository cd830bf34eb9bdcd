"""Connections that wait for more mail for the same server, and what earlier ones left to resume."""

import asyncio
import ssl
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, final

from poterne.net.tls import ClientContexts
from poterne.queue.connection import Connection, connect
from poterne.queue.outcome import Hop
from poterne.values.ids import TraceId

_SESSIONS_MOST: Final = 1000
"""A TLS session is some KiB."""
_LOOK_S: Final = 0.25
"""How often waiting connections are looked at: a server that stops says goodbye, and should not wait for us."""
_SESSION_S: Final = 3600.0
"""A session is resumed for so long: then the certificate is looked at again."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How long connections are kept, and how many."""

    messages: int = 100
    """Per connection; less when the server says so (MAILMAX, RFC 9422)."""
    lasting_s: float = 300.0
    """An older one takes no more mail."""
    idle_s: float = 10.0
    """It waits so long for the next message. Servers count idle connections as occupied ones."""
    idle_most: int = 100
    """Of all servers together; the one that waits longest goes first."""


@dataclass(frozen=True, slots=True)
class _Ticket:
    context: ssl.SSLContext
    session: ssl.SSLSession | None
    """None: the server was met once."""
    since: float


@final
class Connections:
    """Gives a waiting connection or opens one. For one event loop; `close` at the end."""

    def __init__(self, limits: ConnectionLimits = ConnectionLimits(), contexts: ClientContexts | None = None) -> None:
        self._limits = limits
        self._contexts = contexts if contexts is not None else ClientContexts()
        self._idle: OrderedDict[Connection, None] = OrderedDict()  # oldest first
        self._by_key: dict[tuple[object, ...], list[Connection]] = {}
        self._tickets: OrderedDict[tuple[object, ...], _Ticket] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._quitting: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._idle)

    def take(self, hop: Hop) -> Connection | None:
        """The one used last of those that wait for mail to this hop, or None. The caller gives it back, or aborts it."""
        key = hop.key
        while key in self._by_key:
            connection = self._by_key[key][-1]
            self._forget(connection)
            if connection.hop.login == hop.login and self._usable(connection):
                return connection
            self._end(connection)
        return None

    async def open(self, hop: Hop, trace: TraceId, total_by: float) -> Connection:
        """A new one. Raises ConversationError."""
        ticket = self._tickets.get(hop.key)
        now = asyncio.get_running_loop().time()
        if ticket is not None and now - ticket.since > _SESSION_S:
            del self._tickets[hop.key]
            ticket = None
        session = None if ticket is None or ticket.session is None else (ticket.context, ticket.session)
        connection = await connect(hop, self._contexts, session=session, trace=trace, total_by=total_by)
        if ticket is not None and session is not None and not connection.link.tls_resumed:
            # The server does not know it any more, and would be asked in vain each time: what it gives now is kept.
            self._tickets[hop.key] = _Ticket(ticket.context, None, now)
        return connection

    def give(self, connection: Connection) -> None:
        """It has done its work: it waits for more, or ends."""
        connection.used_at = asyncio.get_running_loop().time()
        if not self._usable(connection) or not self._limits.idle_most:
            self._end(connection)
            return
        connection.link.set_deadline(None, "")
        self._idle[connection] = None
        self._by_key.setdefault(connection.key, []).append(connection)
        while len(self._idle) > self._limits.idle_most:
            oldest = next(iter(self._idle))
            self._forget(oldest)
            self._end(oldest)
        if self._timer is None:
            self._arm()

    async def close(self) -> None:
        """Say goodbye to all of them."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in list(self._idle):
            self._forget(connection)
            self._end(connection)
        while self._quitting:
            await asyncio.wait(self._quitting)

    def _usable(self, connection: Connection) -> bool:
        limits = self._limits
        if connection.finished or not connection.link.silent:
            return False
        most = min(limits.messages, connection.limit("MAILMAX") or limits.messages)
        age_s = asyncio.get_running_loop().time() - connection.opened_at
        return connection.carried < most and age_s < limits.lasting_s

    def _forget(self, connection: Connection) -> None:
        del self._idle[connection]
        key = connection.key
        waiting = self._by_key[key]
        waiting.remove(connection)
        if not waiting:
            del self._by_key[key]

    def _end(self, connection: Connection) -> None:
        self._keep_session(connection)
        task = asyncio.ensure_future(connection.quit())
        self._quitting.add(task)
        task.add_done_callback(self._quitting.discard)

    def _keep_session(self, connection: Connection) -> None:
        """Of a server that is met for the second time: taking a session and resuming it cost 0.15 ms each."""
        key, context = connection.key, connection.context
        if context is None or connection.link.tls is None:
            return
        known = self._tickets.get(key)
        if known is not None and known.session is not None and known.context is context:
            return
        session = connection.link.tls_session if known is not None else None
        if session is not None and not session.has_ticket:
            session = None
        self._tickets[key] = _Ticket(context, session, connection.opened_at)
        self._tickets.move_to_end(key)
        if len(self._tickets) > _SESSIONS_MOST:
            self._tickets.popitem(last=False)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_LOOK_S, self._sweep) if self._idle else None

    def _sweep(self) -> None:
        due = asyncio.get_running_loop().time() - self._limits.idle_s + 0.01
        for connection in [one for one in self._idle if one.used_at <= due or not one.link.silent]:
            self._forget(connection)
            self._end(connection)
        self._arm()
