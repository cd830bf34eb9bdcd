"""What the edge tells whoever logs and counts. The text here is ours, for the log; none of it is ever sent to a peer."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.values.ids import TraceId

NO_TRACE: Final = TraceId("")


class Kind(Enum):
    """What happened on a connection or listener; the value is the stable word for logs and metrics."""

    REFUSED = "refused"
    """Over a connection limit, or not let in; detail says which limit, or why."""
    PROXY_REFUSED = "proxy-refused"
    """Security event: a listed proxy did not say who is behind it, or not so that it can be believed; detail says why."""
    TLS_FAILED = "tls-failed"
    """The handshake did not complete; detail is a `TlsError.code`, plus OpenSSL's reason."""
    INJECTION = "starttls-injection"
    """Security event: plaintext was waiting behind STARTTLS or STLS (RFC 3207 §6)."""
    FOREIGN_ALPN = "foreign-alpn"
    """Security event: a TLS client asked for another protocol, such as HTTP (ALPACA); detail is the name it offered."""
    PEER_ERROR = "peer-error"
    """The peer broke the protocol; detail is the PeerError."""
    BUG = "bug"
    """An unexpected exception in a session; `error` carries it."""
    CLOSED = "closed"
    """A connection ended, however; carries the counters. Exactly one for each connection that was not REFUSED."""
    ACCEPT_PAUSED = "accept-paused"
    """No file descriptors or memory left: accepting rests for a moment."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One happening. `peer` is the address without the port."""

    kind: Kind
    service: str
    peer: str = ""
    trace: TraceId = NO_TRACE
    detail: str = ""
    error: BaseException | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    lasted_s: float = 0.0


Observe = Callable[[Notice], None]
"""Must not block and must not raise."""
