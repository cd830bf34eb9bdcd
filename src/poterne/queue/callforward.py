"""Asking a server behind us whether it knows a recipient (call-forward), without sending anything.

The null sender is used, so that nothing that the server thinks of senders comes into it. Its permanent answer to RCPT is believed
only when it is about the address (RFC 3463 §3.2, X.1.x, or without an enhanced code 550, 551, 553): "no relaying" or "you are
blocked" says nothing about people, and believing it would refuse everybody's mail.

Most of a question's cost is the TLS handshake, so a connection waits some seconds for the next one. Servers lose patience with
clients that ask and never send, above all for unknown names: a connection is ended long before that, and a question that a
waiting connection fails to answer is asked again over a new one.
"""

import asyncio
from dataclasses import replace
from enum import Enum
from typing import Final, final

from poterne.net.tls import ClientContexts
from poterne.proto.smtp.client_commands import Mail, Rcpt, Rset, ServerReply
from poterne.queue.connection import Connection
from poterne.queue.connections import ConnectionLimits, Connections
from poterne.queue.outcome import Hop, HopTimeouts, Stage
from poterne.queue.route import Router
from poterne.queue.verdicts import ConversationError
from poterne.values.address import Address
from poterne.values.ids import TraceId

TOTAL_S: Final = 20.0
"""For one question, connecting to all the server's addresses included: somebody waits at the other end."""
ANSWER_S: Final = 10.0
"""For each answer, and for the handshake."""
CONNECT_S: Final = 5.0
GREETING_S: Final = 15.0
LIMITS: Final = ConnectionLimits(messages=50, lasting_s=60.0, idle_s=5.0, idle_most=20)
"""Poterne ends a connection after 100 commands that bring nobody mail, so does Postfix; other servers have such limits too."""
_UNKNOWN_COSTS: Final = 25
"""Of what a connection may ask, an unknown recipient uses up so much: after the second one servers begin to slow down."""
_ABOUT_ADDRESS: Final = frozenset({550, 551, 553})


class Said(Enum):
    """What the server said of a recipient."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    LATER = "later"
    """It did answer, but not that."""
    DOWN = "down"
    """It can't be talked to."""


@final
class CallForward:
    """Asks the servers that mail for an address would go to. For one event loop; `close` at the end."""

    def __init__(
        self,
        router: Router,
        contexts: ClientContexts | None = None,
        limits: ConnectionLimits = LIMITS,
        *,
        answer_s: float = ANSWER_S,
        total_s: float = TOTAL_S,
    ) -> None:
        self._router: Final = router
        self._total_s: Final = total_s
        self._timeouts: Final = HopTimeouts(
            connect_s=CONNECT_S, tls_s=answer_s, greeting_s=GREETING_S, command_s=answer_s, block_s=answer_s
        )
        self._connections: Final = Connections(limits, contexts)

    async def ask(self, address: Address, trace: TraceId) -> tuple[Said, str]:
        """What they say, and in which words (for the log). Never raises but when cancelled; takes `total_s` at most."""
        loop = asyncio.get_running_loop()
        total_by = loop.time() + self._total_s
        try:
            async with asyncio.timeout_at(total_by):
                ways = await self._router.ways(address.domain)
        except TimeoutError:
            return Said.DOWN, "the name of the server is looked up in vain"
        if not isinstance(ways, tuple):
            return Said.DOWN, ways.reply
        words = ""
        for hop in ways:
            try:
                return await self._ask(replace(hop, timeouts=self._timeouts), address, trace, total_by)
            except ConversationError as error:
                words = f"{hop}: {error}" + ("" if error.reply is None else f": {error.reply.text}")
                if error.stage in {Stage.MAIL, Stage.RCPT}:  # it is there; what it did was about this question
                    return Said.LATER, words
            if loop.time() >= total_by:
                break
        return Said.DOWN, words

    async def close(self) -> None:
        """Say goodbye to the servers."""
        await self._connections.close()

    async def _ask(self, hop: Hop, address: Address, trace: TraceId, total_by: float) -> tuple[Said, str]:
        connection = self._connections.take(hop)
        if connection is not None:
            try:
                return await self._over(connection, address, total_by)
            except ConversationError:
                """It had enough of us, or was gone."""
        return await self._over(await self._connections.open(hop, trace, total_by), address, total_by)

    async def _over(self, connection: Connection, address: Address, total_by: float) -> tuple[Said, str]:
        connection.total_by = total_by
        try:
            answer = await _converse(connection, address)
        except BaseException:
            connection.link.abort()
            raise
        connection.carried += _UNKNOWN_COSTS if answer[0] is Said.UNKNOWN else 1
        self._connections.give(connection)
        return answer


async def _converse(connection: Connection, address: Address) -> tuple[Said, str]:
    """One question, at once where the server allows (RFC 2920). The transaction is left open: the next one, or QUIT, ends it."""
    core, recipient, answer_s = connection.core, str(address), connection.hop.timeouts.command_s
    if connection.dirty:
        core.send(Rset())
    core.send(Mail("", smtputf8=not recipient.isascii()))
    core.send(Rcpt(recipient))
    if connection.dirty:
        await connection.answer(Stage.MAIL, answer_s)
        connection.dirty = False
    mail = (await connection.answer(Stage.MAIL, answer_s)).reply
    connection.dirty = mail.positive
    answer = (await connection.answer(Stage.RCPT, answer_s)).reply
    if not mail.positive:
        # What we refuse ourselves is an address that needs SMTPUTF8, of which this server has none.
        return (Said.UNKNOWN if mail.local else Said.LATER), mail.text
    return _meaning(answer), answer.text


def _meaning(reply: ServerReply) -> Said:
    if reply.positive:
        return Said.KNOWN
    enhanced = reply.enhanced
    if reply.code < 500:
        return Said.LATER
    if enhanced == "5.7.2":  # a list, and the null sender may not write to it (RFC 3463 §3.8): it exists
        return Said.KNOWN
    if enhanced.startswith("5.1.") or enhanced == "5.2.1" or (not enhanced and reply.code in _ABOUT_ADDRESS):
        return Said.UNKNOWN
    return Said.LATER
