"""What one connection may still do that is of no use, and how long it waits for the answers.

Theory of operation. Each fault of a peer (a wrong command, an unknown recipient) beyond a few free ones costs it a wait, twice
as long as the one before, up to a bound. Whoever makes mistakes loses seconds; whoever guesses loses hours. The waits of a
connection have a budget: when it is used up the connection ends, since a peer that is kept waiting costs us too.

Commands that are in order but lead to no message (NOOP, RSET, VRFY, HELP, another EHLO, a transaction that comes to nothing) are
counted as well, and an accepted message forgives them.

Nothing is held while a peer waits: no lock, no store turn, no transaction of the database. Failed sign-ins are slowed by
`session.slowing`, across connections; here they only count.
"""

import asyncio
from collections.abc import Callable
from typing import Final, final

from poterne.config.settings import Smtp
from poterne.net.link import Link
from poterne.proto.smtp.replies import TOO_MANY_ERRORS, Reply

STEP_S: Final = 0.25
"""How often somebody who waits is looked at: whether the connection is still there, and the server is still up."""
TOO_MANY_UNKNOWN: Final = Reply(421, "4.7.1", "Too many unknown recipients: check your address list")
_TOO_MANY_COMMANDS: Final = Reply(421, "4.7.0", "Too many commands without a message: come back when there is one")


@final
class Patience:
    """One connection's. Each method gives the reply to send: its own, or the one that ends the connection.

    `draining`: the server is stopping.
    """

    __slots__ = ("_bad", "_budget_s", "_draining", "_faults", "_link", "_settings", "_unknown", "_useless", "_waits")

    def __init__(self, settings: Smtp, link: Link, draining: Callable[[], bool]) -> None:
        self._settings: Final = settings
        self._draining: Final = draining
        self._link: Final = link
        self._bad = 0
        self._unknown = 0
        self._useless = 0
        self._faults = 0
        self._budget_s = float(settings.max_waits_s)
        self._waits = True

    async def wrong(self, reply: Reply) -> Reply:
        """A wrong command. The one too many ends the connection."""
        self._bad += 1
        if self._bad >= self._settings.max_bad_commands or not await self._wait():
            return TOO_MANY_ERRORS
        return reply

    def failed(self, reply: Reply) -> Reply:
        """A failed sign-in: it counts, and waited already."""
        self._bad += 1
        self._faults += 1
        return reply if self._bad < self._settings.max_bad_commands else TOO_MANY_ERRORS

    async def unknown(self, reply: Reply, *, waits: bool = True) -> Reply:
        """A recipient that does not exist. People who signed in and have an old address in their list do not wait."""
        self._unknown += 1
        if self._unknown >= self._settings.max_unknown_recipients or (waits and not await self._wait()):
            return TOO_MANY_UNKNOWN
        return reply

    def useless(self, reply: Reply) -> Reply:
        """Something in order that brings nobody mail."""
        self._useless += 1
        return reply if self._useless <= self._settings.max_useless_commands else _TOO_MANY_COMMANDS

    def rewarded(self) -> None:
        """A message was accepted: what was useless until now may have had its use."""
        self._useless = 0

    def lost(self) -> None:
        """The peer was refused for good: no more waits, so that it is gone soon."""
        self._waits = False

    async def _wait(self) -> bool:
        """One more fault; False when there is no waiting time left."""
        self._faults += 1
        over = self._faults - self._settings.free_faults
        if over <= 0 or not self._waits:
            return True
        delay_s = min(self._settings.max_wait_s, self._settings.first_wait_ms / 1000 * 2 ** min(over - 1, 16))
        if delay_s > self._budget_s:
            return False
        self._budget_s -= delay_s
        loop = asyncio.get_running_loop()
        until = loop.time() + delay_s
        while (left_s := until - loop.time()) > 0 and self._link.connected and not self._draining():  # noqa: ASYNC110
            await asyncio.sleep(min(left_s, STEP_S))  # several may end it, and only `net.drive` may wait for the link
        return True
