"""The one interface between a protocol and everything else.

Theory of operation. A core is a state machine that never blocks and never sees a socket:

- `receive(data)` only stores bytes; `next_event()` parses as far as the state allows and returns one event, or a `Signal`.
- After an event the caller acts, hands replies to `send()`, and asks for the next event. Replies collect as bytes until
  `output()` hands them over, so that a pipelined burst costs one write.
- A command that is wrong is an *event* too (the session counts it and answers); `PeerError` means that the connection
  cannot go on: the core has already queued the closing reply into `output()`, and every later `next_event()` is CLOSED.
- For STARTTLS the core answers `Signal.START_TLS` once the session accepted it. The driver writes `output()`, upgrades the
  link and calls `tls_started()`. Plaintext that is still buffered then is an injection attempt (RFC 3207 §6): PeerError.

Rule 1: whether the whole input comes at once or byte by byte makes no difference to the events.
Rule 2: memory is bounded by the limits given to the core; a length announced by the peer is never reserved.
"""

from enum import Enum
from typing import Protocol, TypeVar

E_co = TypeVar("E_co", covariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


class Signal(Enum):
    """What `next_event` returns when there is no event."""

    NEED_DATA = "need data"
    """Everything received was consumed as far as it goes: write `output()`, then read."""
    START_TLS = "start tls"
    """Write `output()`, start the TLS handshake, then call `tls_started`."""
    CLOSED = "closed"
    """Write `output()`, then close. Final."""


class PeerError(Exception):
    """The peer broke the protocol so that the connection must end. Its text is ours, for the log; it is never sent.

    `code` is a short stable word for logs and metrics, e.g. "line-too-long", "bare-lf", "starttls-injection".
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class Core(Protocol[E_co, R_contra]):
    """One connection's protocol state, server or client side."""

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; b"" is end of file. Parses nothing yet and never raises."""

    def next_event(self) -> E_co | Signal:
        """The next event, or a Signal. Raises PeerError and nothing else, whatever the peer sent."""

    def send(self, reply: R_contra, /) -> None:
        """Queue a reply, checked against the state. A reply that does not fit the state is our bug: RuntimeError."""

    def output(self) -> list[bytes]:
        """Hand over the bytes to write, in order, and forget them."""

    @property
    def pending(self) -> int:
        """How many bytes `output` would hand over."""

    def tls_started(self) -> None:
        """The link is encrypted now: back to the initial state. Raises PeerError if plaintext is left over."""
