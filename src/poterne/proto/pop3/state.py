"""Which command is allowed when (RFC 1939 §3, RFC 2449 §5, RFC 2595 §4, RFC 5034 §4, RFC 6856)."""

from enum import Enum
from typing import Final


class State(Enum):
    CONNECT = "connect"
    AUTHORIZATION = "authorization"
    AUTH = "auth"
    """An AUTH exchange: the next line is no command."""
    TLS = "tls"
    """+OK was given to STLS."""
    TRANSACTION = "transaction"
    CLOSED = "closed"


_BEFORE: Final = frozenset({State.AUTHORIZATION})
_WITHIN: Final = frozenset({State.TRANSACTION})
_BOTH: Final = _BEFORE | _WITHIN

ALLOWED: Final[dict[bytes, frozenset[State]]] = {
    b"USER": _BEFORE,
    b"PASS": _BEFORE,
    b"AUTH": _BEFORE,
    b"STLS": _BEFORE,
    b"CAPA": _BOTH,
    b"UTF8": _BEFORE,
    b"LANG": _BOTH,
    b"STAT": _WITHIN,
    b"LIST": _WITHIN,
    b"UIDL": _WITHIN,
    b"RETR": _WITHIN,
    b"TOP": _WITHIN,
    b"DELE": _WITHIN,
    b"RSET": _WITHIN,
    b"NOOP": _WITHIN,
    b"QUIT": _BOTH,
}
