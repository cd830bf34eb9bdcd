"""One message at one server: what becomes of each recipient.

Theory of operation. MAIL, the RCPTs and DATA are written at once where the server allows (RFC 2920); each recipient's answer is
its own. Once the final dot has been written and until its answer is read nobody can know whether the message was taken: an
attempt that ends there is `unsure`. Everything before is sure: without the dot the server may not deliver (RFC 5321 §4.1.1.4).

A connection that waited for mail may have been closed by the server meanwhile; if it fails before it answered anything, a new
one is opened at once, for nothing was said yet.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, final

from poterne.proto.smtp.client_commands import Content, ContentEnd, ContentError, Data, Mail, Rcpt, Rset
from poterne.proto.smtp.client_lines import from_xtext
from poterne.proto.smtp.events import Body, Notify, Ret
from poterne.queue.connection import Connection
from poterne.queue.connections import Connections
from poterne.queue.outcome import AttemptResult, Delivered, Hop, RecipientOutcome, Stage, TlsDemand, TlsOutcome
from poterne.queue.signing import Signing
from poterne.queue.verdicts import (
    ConversationError,
    local_permanent,
    local_transient,
    not_soon,
    of_failure,
    of_recipient,
    of_reply,
)
from poterne.queue.wire import Letter
from poterne.store.interface import Blobs
from poterne.values.ids import QueueId
from poterne.values.queue import QueuedMessage, QueuedRecipient

_STALE: Final = frozenset({"lost", "reset", "closed"})
_RET: Final = {"FULL": Ret.FULL, "HDRS": Ret.HEADERS}
_CONTENT: Final = "content"
_UNSENDABLE: Final = {
    "bare-lf": "The message has a line feed that no carriage return goes before",
    "bare-cr": "The message has a carriage return that no line feed follows",
    "nul": "The message has a NUL octet",
}


async def attempt(
    hop: Hop,
    message: QueuedMessage,
    recipients: Sequence[QueuedRecipient],
    blobs: Blobs,
    connections: Connections,
    signing: Signing | None = None,
) -> AttemptResult:
    """Offer the message to the server, for these recipients of it. All that can go wrong out there is in the result.

    Lasts at most `total_s` plus `final_s` of the hop's timeouts; a lease must outlast that. Raises StoreError when the message
    cannot be read. When the caller is cancelled the connection is dropped; after the final dot that is an unsure end too.
    """
    if demands_tls(message) and hop.tls is not TlsDemand.DANE:
        hop = replace(hop, tls=TlsDemand.VERIFIED, fallback=None)
    letter = Letter(message, blobs, signing)
    await letter.inspect()
    total_by = asyncio.get_running_loop().time() + hop.timeouts.total_s
    connection = connections.take(hop)
    while True:
        transaction = _Transaction(message, recipients, letter)
        reused = connection is not None
        try:
            if connection is None:
                connection = await connections.open(hop, message.trace_id, total_by)
        except ConversationError as error:
            return transaction.result(hop, error.tls, error)
        failure: ConversationError | None = None
        connection.total_by = total_by
        try:
            await transaction.run(connection)
        except ConversationError as error:
            failure = error
        finally:
            if failure is not None or not transaction.over:
                connection.link.abort()
        if failure is not None and reused and not transaction.answered and failure.word in _STALE:
            connection = None
            continue
        dsn = "DSN" in connection.core.extensions
        if failure is None:
            connections.give(connection)
        return transaction.result(hop, connection.tls, failure, dsn=dsn, reused=reused)


def demands_tls(message: QueuedMessage) -> bool:
    """REQUIRETLS holds for it: for notices it is a wish, lest they be lost (RFC 8689 §5)."""
    return message.requiretls and bool(message.reverse_path)


@final
class _Transaction:
    """The state of one attempt on one connection."""

    __slots__ = ("_accepted", "_letter", "_message", "_outcomes", "_recipients", "_unsure", "answered", "over")

    def __init__(self, message: QueuedMessage, recipients: Sequence[QueuedRecipient], letter: Letter) -> None:
        self._message = message
        self._recipients = recipients
        self._letter = letter
        self._outcomes: dict[QueueId, RecipientOutcome] = {}
        self._accepted: list[QueuedRecipient] = []
        self._unsure = False
        self.answered = False
        """The server has said something about this message."""
        self.over = False
        """It went to its end, and the connection can take the next one."""

    async def run(self, connection: Connection) -> None:
        """Raises ConversationError; what is known by then stays known."""
        refused = await self._letter.fit(connection.core.extensions)
        if refused is not None:
            self._all(refused)
            self.over = True
            return
        if await self._envelope(connection):
            await self._content(connection)
        connection.carried += 1
        self.over = True

    # -- the envelope --------------------------------------------------------------------------------------------------

    async def _envelope(self, connection: Connection) -> bool:
        """MAIL, RCPT, DATA; whether the server waits for the message."""
        core, times = connection.core, connection.hop.timeouts
        room = connection.limit("RCPTMAX") or len(self._recipients)
        offered = self._recipients[:room]
        for left in self._recipients[room:]:
            self._outcomes[left.id] = local_transient("4.5.3", "The server takes fewer recipients at a time", soon=True)
        if connection.dirty:
            core.send(Rset())
        core.send(self._mail("SMTPUTF8" in core.extensions, "REQUIRETLS" in core.extensions))
        for recipient in offered:
            core.send(_rcpt(recipient))
        core.send(Data())
        if connection.dirty:
            await connection.answer(Stage.MAIL, times.command_s)
            connection.dirty = False
        mail = await connection.answer(Stage.MAIL, times.command_s)
        self.answered = not mail.reply.local
        if not mail.reply.positive:
            self._all(of_reply(mail.reply))
        else:
            connection.dirty = True
        for recipient in offered:
            reply = (await connection.answer(Stage.RCPT, times.command_s)).reply
            if not mail.reply.positive:
                continue
            if reply.positive:
                self._accepted.append(recipient)
            else:
                self._outcomes[recipient.id] = of_recipient(reply, len(self._accepted))
        data = (await connection.answer(Stage.DATA, times.data_s)).reply
        if data.code == 354:
            return True
        for recipient in self._accepted:
            self._outcomes[recipient.id] = of_reply(data)
        return False

    def _mail(self, takes_utf8: bool, requiretls: bool) -> Mail:
        message, letter = self._message, self._letter
        return Mail(
            message.reverse_path,
            letter.size,
            Body.EIGHT_BIT if letter.eight_bit else None,
            message.smtputf8 and takes_utf8,
            message.requiretls and (requiretls or demands_tls(message)),
            _RET.get(message.ret),
            message.envid or None,
        )

    # -- the message ---------------------------------------------------------------------------------------------------

    async def _content(self, connection: Connection) -> None:
        core = connection.core
        try:
            first = True
            async for piece in self._letter.content():
                if not first:
                    await connection.flush()
                first = False
                core.send(Content(piece))
            core.send(ContentEnd())
        except ContentError as error:
            self._all_accepted(local_permanent(554, "5.6.0", _UNSENDABLE[error.code]))
            raise ConversationError(Stage.DATA, _CONTENT) from None
        self._unsure = True
        connection.total_by += connection.hop.timeouts.final_s
        waiting = list(self._accepted) if core.lmtp else []
        while True:
            answer = await connection.answer(Stage.FINAL, connection.hop.timeouts.final_s)
            if waiting:
                self._outcomes[waiting.pop(0).id] = of_reply(answer.reply)
            if not waiting:
                break
        if not core.lmtp:
            self._all_accepted(of_reply(answer.reply))
        self._unsure = False
        connection.dirty = False

    # -- the result ----------------------------------------------------------------------------------------------------

    def _all(self, outcome: RecipientOutcome) -> None:
        self._outcomes = {recipient.id: outcome for recipient in self._recipients}

    def _all_accepted(self, outcome: RecipientOutcome) -> None:
        for recipient in self._accepted:
            self._outcomes[recipient.id] = outcome

    def result(
        self, hop: Hop, tls: TlsOutcome, failure: ConversationError | None, *, dsn: bool = False, reused: bool = False
    ) -> AttemptResult:
        outcomes = self._outcomes
        broken = failure
        if failure is not None:
            if failure.word == _CONTENT:
                broken = None  # the message is at fault, not the connection
            rest = of_failure(failure, requiretls=demands_tls(self._message))
            for recipient in self._recipients:
                outcomes.setdefault(recipient.id, rest)
        if not any(isinstance(outcome, Delivered) for outcome in outcomes.values()):
            outcomes = {queue_id: not_soon(outcome) for queue_id, outcome in outcomes.items()}
        return AttemptResult(
            hop,
            outcomes,
            tls,
            failed_at=None if broken is None else broken.stage,
            try_next=broken is not None and not self._unsure,
            unsure=self._unsure,
            dsn=dsn,
            reused=reused,
        )


@lru_cache(maxsize=64)
def _notify(words: str) -> frozenset[Notify]:
    return frozenset(Notify(word) for word in words.split(",") if word)


def _rcpt(recipient: QueuedRecipient) -> Rcpt:
    orcpt = None
    if recipient.orcpt:
        kind, _, address = recipient.orcpt.partition(";")
        orcpt = (kind, from_xtext(address))
    return Rcpt(recipient.forward_path, _notify(recipient.notify), orcpt)
