"""Which command is allowed when, and what each answer leads to. All rules about order live in this file, as tables.

Rule 1: a transaction exists in MAIL, RCPT, DATA, CHUNKS and in no other state; leaving them ends it, whatever the reason was.
Rule 2: only an answer of the session moves the state, never a command alone: MAIL is in force after its 250, not before.
Rule 3: a refusal leads to a state without a transaction, except for RCPT, where it only adds no recipient.
"""

from enum import Enum
from typing import Final

from poterne.proto.smtp.replies import Reply


class State(Enum):
    CONNECT = "connect"
    """The greeting is not sent."""
    REFUSED = "refused"
    """Greeted by 554 (RFC 5321 §3.1): only QUIT."""
    START = "start"
    """No EHLO or HELO is in force."""
    READY = "ready"
    MAIL = "mail"
    """MAIL accepted, no recipient yet."""
    RCPT = "rcpt"
    """At least one recipient accepted."""
    DATA = "data"
    """The octets after DATA are coming, or DATA or its end is being answered."""
    CHUNKS = "chunks"
    """Inside a message sent by BDAT."""
    AUTH = "auth"
    """An AUTH exchange: the next line is no command."""
    TLS = "tls"
    """220 was given to STARTTLS."""
    CLOSED = "closed"


_GREETED: Final = frozenset({State.READY, State.MAIL, State.RCPT, State.CHUNKS})
_SPOKEN: Final = _GREETED | {State.START}

ALLOWED: Final[dict[str, frozenset[State]]] = {
    "EHLO": _SPOKEN,
    "HELO": _SPOKEN,
    "LHLO": _SPOKEN,
    "MAIL": frozenset({State.READY}),
    "RCPT": frozenset({State.MAIL, State.RCPT}),
    "DATA": frozenset({State.RCPT}),
    "BDAT": frozenset({State.RCPT, State.CHUNKS}),
    "RSET": _SPOKEN,
    "NOOP": _SPOKEN | {State.REFUSED},
    "VRFY": _SPOKEN,
    "HELP": _SPOKEN,
    "QUIT": _SPOKEN | {State.REFUSED},
    "STARTTLS": frozenset({State.READY, State.MAIL, State.RCPT}),
    "AUTH": frozenset({State.READY}),  # RFC 4954 §4: not inside a transaction
}

# (after a positive answer, after a negative one). None: stays as it was.
AFTER: Final[dict[str, tuple[State | None, State | None]]] = {
    "connect": (State.START, State.REFUSED),
    "hello": (State.READY, State.START),
    "mail": (State.MAIL, State.READY),
    "rcpt": (State.RCPT, None),
    "data": (State.DATA, State.READY),
    "chunk": (State.CHUNKS, State.READY),
    "end": (State.READY, State.READY),
    "starttls": (State.TLS, None),
    "auth": (State.READY, State.READY),
    "nothing": (None, None),
}

_SAY_HELLO: Final = Reply(503, "5.5.1", "Say EHLO first")
_SAY_MAIL: Final = Reply(503, "5.5.1", "Say MAIL first")
_SAY_RCPT: Final = Reply(503, "5.5.1", "Say RCPT first")
_NESTED: Final = Reply(503, "5.5.1", "A transaction is open, say RSET to give it up")
_IN_CHUNKS: Final = Reply(503, "5.5.1", "A message in BDAT chunks is open")
_NOT_NOW: Final = Reply(503, "5.5.1", "Not now")
_WHY: Final[dict[tuple[str, State], Reply]] = {
    ("RCPT", State.READY): _SAY_MAIL,
    ("DATA", State.READY): _SAY_MAIL,
    ("BDAT", State.READY): _SAY_MAIL,
    ("DATA", State.MAIL): _SAY_RCPT,
    ("BDAT", State.MAIL): _SAY_RCPT,
    ("MAIL", State.MAIL): _NESTED,
    ("MAIL", State.RCPT): _NESTED,
    ("AUTH", State.MAIL): _NESTED,
    ("AUTH", State.RCPT): _NESTED,
    ("MAIL", State.CHUNKS): _IN_CHUNKS,
    ("RCPT", State.CHUNKS): _IN_CHUNKS,
    ("DATA", State.CHUNKS): _IN_CHUNKS,
    ("AUTH", State.CHUNKS): _IN_CHUNKS,
    ("STARTTLS", State.CHUNKS): _IN_CHUNKS,
}
_SAY_QUIT: Final = Reply(503, "5.5.1", "No service here, say QUIT")
NO_RECIPIENTS: Final = Reply(554, "5.5.1", "No valid recipients")


def out_of_order(verb: str, state: State) -> Reply:
    """The 503 for a command that `ALLOWED` does not allow in this state."""
    if state is State.START:
        return _SAY_HELLO
    if state is State.REFUSED:
        return _SAY_QUIT
    return _WHY.get((verb, state), _NOT_NOW)
