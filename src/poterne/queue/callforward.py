"""Asking a server behind us whether it knows a recipient (call-forward), without sending anything.

The null sender is used, so that nothing that the server thinks of senders comes into it. Its permanent answer to RCPT is believed
only when it is about the address (RFC 3463 §3.2, X.1.x, or without an enhanced code 550, 551, 553): "no relaying" or "you are
blocked" says nothing about people, and believing it would refuse everybody's mail.
"""

import asyncio
from enum import Enum
from typing import Final, final

from poterne.net.tls import ClientContexts
from poterne.proto.smtp.client_commands import Mail, Rcpt, ServerReply
from poterne.queue.connection import Connection, connect
from poterne.queue.outcome import Hop, Stage
from poterne.queue.route import Router
from poterne.queue.verdicts import ConversationError
from poterne.values.address import Address
from poterne.values.ids import TraceId

TOTAL_S: Final = 20.0
"""For one question, connecting to all the server's addresses included: somebody waits at the other end."""
ANSWER_S: Final = 10.0
_ABOUT_ADDRESS: Final = frozenset({550, 551, 553})


class Said(Enum):
    """What the server said of a recipient."""

    KNOWN = "known"
    UNKNOWN = "unknown"
    LATER = "later"
    """It did answer, but not that."""
    DOWN = "down"
    """No conversation."""


@final
class CallForward:
    """Asks the servers that mail for an address would go to."""

    def __init__(self, router: Router, contexts: ClientContexts) -> None:
        self._router: Final = router
        self._contexts: Final = contexts

    async def ask(self, address: Address, trace: TraceId) -> tuple[Said, str]:
        """What they say, and in which words (for the log). Never raises but when cancelled; takes `TOTAL_S` at most."""
        loop = asyncio.get_running_loop()
        total_by = loop.time() + TOTAL_S
        ways = await self._router.ways(address.domain)
        if not isinstance(ways, tuple):
            return Said.DOWN, ways.reply
        words = ""
        for hop in ways:
            try:
                return await self._ask(hop, address, trace, total_by)
            except ConversationError as error:
                words = f"{hop}: {error}"
            if loop.time() >= total_by:
                break
        return Said.DOWN, words

    async def _ask(self, hop: Hop, address: Address, trace: TraceId, total_by: float) -> tuple[Said, str]:
        connection = await connect(hop, self._contexts, trace=trace, total_by=total_by)
        try:
            return await self._converse(connection, address)
        finally:
            await connection.quit()

    @staticmethod
    async def _converse(connection: Connection, address: Address) -> tuple[Said, str]:
        recipient = str(address)
        mail = Mail("", smtputf8=not recipient.isascii())
        answer = await connection.ask(mail, Stage.MAIL, ANSWER_S)
        if not answer.reply.positive:
            return Said.LATER, answer.reply.text
        answer = await connection.ask(Rcpt(recipient), Stage.RCPT, ANSWER_S)
        return _meaning(answer.reply), answer.reply.text


def _meaning(reply: ServerReply) -> Said:
    if reply.positive:
        return Said.KNOWN
    enhanced = reply.enhanced
    if reply.code >= 500 and (enhanced.startswith("5.1.") if enhanced else reply.code in _ABOUT_ADDRESS):
        return Said.UNKNOWN
    return Said.LATER
