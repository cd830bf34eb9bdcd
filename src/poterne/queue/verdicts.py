"""What a server's reply, or the lack of one, means for a recipient. Pure."""

from dataclasses import replace
from typing import Final

from poterne.proto.smtp.client_commands import ServerReply
from poterne.queue.outcome import Delivered, Permanent, RecipientOutcome, Stage, TlsOutcome, Transient

REPLY_MOST: Final = 500
_TOO_MANY: Final = frozenset({"", "4.5.3"})
"""Enhanced codes of a 452 that speak of this transaction, not of the recipient."""
_UNFIT: Final = frozenset({"not-offered", "refused", "certificate", "name", "tlsa-mismatch", "expired", "unreadable"})
"""TLS problems that say what the server is like, not what the network did."""
_HIDDEN: Final = 521
"""RFC 7504: this host takes no mail at all."""

_PROTOCOL: Final = ("4.5.0", "The server's answers break the protocol")
_TEXTS: Final[dict[tuple[Stage | None, str], tuple[str, str]]] = {
    (Stage.CONNECT, "timeout"): ("4.4.1", "The server did not answer the connection in time"),
    (Stage.CONNECT, "refused"): ("4.4.1", "The server refused the connection"),
    (Stage.CONNECT, "unreachable"): ("4.4.1", "The server cannot be reached"),
    (Stage.TLS, "timeout"): ("4.7.5", "The encrypted connection was not set up in time"),
    (Stage.TLS, "closed"): ("4.7.5", "The server hung up instead of setting up encryption"),
    (Stage.TLS, "handshake"): ("4.7.5", "Encryption could not be agreed on with the server"),
    (Stage.TLS, "certificate"): ("4.7.5", "The server's certificate is not valid"),
    (Stage.TLS, "name"): ("4.7.5", "The server's certificate is for another name"),
    (Stage.TLS, "authorities"): ("4.3.5", "The file of certificate authorities for this server cannot be used"),
    (Stage.TLS, "tlsa-mismatch"): (
        "4.7.5",
        "The server's certificate is not the one that its TLSA records (DANE) name",
    ),
    (Stage.TLS, "expired"): ("4.7.5", "The server's certificate, which its TLSA records (DANE) name, is not valid now"),
    (Stage.TLS, "unreadable"): ("4.7.5", "The server's certificate cannot be read"),
    (Stage.STARTTLS, "not-offered"): ("4.7.4", "The server does not offer encryption, which is required"),
    (Stage.STARTTLS, "starttls-injection"): ("4.7.5", "Somebody put words into the connection before it was encrypted"),
    (None, "timeout"): ("4.4.2", "The server did not answer in time"),
    (None, "write-timeout"): ("4.4.2", "The server took the message too slowly"),
    (None, "lost"): ("4.4.2", "The connection to the server was lost"),
    (None, "reset"): ("4.4.2", "The connection to the server was lost"),
    (None, "closed"): ("4.4.2", "The connection to the server was lost"),
}


class ConversationError(Exception):
    """The conversation with a server is over. `word` is short and stable, for the log; `reply`: what the server said last."""

    def __init__(self, stage: Stage, word: str, *, reply: ServerReply | None = None, detail: str = "") -> None:
        super().__init__(f"{stage.value}: {word}" + (f": {detail}" if detail else ""))
        self.stage = stage
        self.word = word
        self.reply = reply
        self.detail = detail
        self.tls = TlsOutcome()


def of_reply(reply: ServerReply) -> RecipientOutcome:
    """2xx, 4xx, 5xx as RFC 5321 §4.2.1 has them; a 421 is never final."""
    text = reply.text[:REPLY_MOST]
    if reply.positive:
        return Delivered(text, reply.code, reply.enhanced or "2.0.0")
    if reply.code < 500:
        return Transient(text, reply.code, reply.enhanced or "4.0.0", reply.local)
    return Permanent(text, reply.code, reply.enhanced or "5.0.0", reply.local)


def of_recipient(reply: ServerReply, accepted: int) -> RecipientOutcome:
    """The same for RCPT after `accepted` others: 552 counts as 452 (RFC 5321 §4.5.3.1.10)."""
    if reply.code not in {452, 552} or reply.local:
        return of_reply(reply)
    enhanced = _temporary(reply.enhanced)
    soon = bool(accepted) and (enhanced in _TOO_MANY)
    return Transient(reply.text[:REPLY_MOST], reply.code, enhanced or "4.5.3", soon=soon)


def of_failure(error: ConversationError, *, requiretls: bool) -> RecipientOutcome:
    """For those whom the failed conversation left without an answer.

    A 5xx that came before MAIL is about the connection, not about this mail: others, and later, may do better. A 5xx
    while the message was sent refuses the message.
    """
    reply = error.reply
    if requiretls and error.stage in {Stage.STARTTLS, Stage.TLS} and error.word in _UNFIT:
        text = "REQUIRETLS was asked for, and the server cannot prove who it is over an encrypted connection"
        return Permanent(f"550 5.7.30 {text}", 550, "5.7.30", local=True)
    if reply is not None:
        if error.stage is Stage.DATA or reply.code == _HIDDEN:
            return of_reply(reply)
        return Transient(reply.text[:REPLY_MOST], reply.code, _temporary(reply.enhanced) or "4.0.0", reply.local)
    texts = _TEXTS.get((error.stage, error.word)) or _TEXTS.get((None, error.word)) or _PROTOCOL
    return local_transient(*texts)


def local_transient(enhanced: str, text: str, *, soon: bool = False) -> Transient:
    code = 452 if soon else 451
    return Transient(f"{code} {enhanced} {text}", code, enhanced, local=True, soon=soon)


def local_permanent(code: int, enhanced: str, text: str) -> Permanent:
    return Permanent(f"{code} {enhanced} {text}", code, enhanced, local=True)


def not_soon(outcome: RecipientOutcome) -> RecipientOutcome:
    """Nobody got the message in this transaction, so that the next one would be just as full."""
    return replace(outcome, soon=False) if isinstance(outcome, Transient) and outcome.soon else outcome


def _temporary(enhanced: str) -> str:
    return f"4{enhanced[1:]}" if enhanced else ""
