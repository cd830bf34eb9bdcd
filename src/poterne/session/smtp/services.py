"""What an SMTP session needs of the rest of the house, and the counters it keeps."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from poterne.config.settings import Smtp
from poterne.observe import Log
from poterne.session.authenticate import Authenticator
from poterne.session.smtp.relay import Relays
from poterne.store.interface import Store
from poterne.values.ids import TraceId


class Service(Enum):
    """What a listener is for."""

    MX = "mx"
    SUBMISSION = "submission"


class Counters(Protocol):
    """Metrics of SMTP; `outcome` is a short stable word."""

    def message(self, service: str, outcome: str, size_bytes: int) -> None: ...
    def refused(self, service: str, stage: str, reason: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Services:
    """Shared by all SMTP sessions of a listener in a process."""

    service: Service
    hostname: str
    store: Store
    authenticator: Authenticator
    settings: Smtp
    require_tls: bool
    log: Log
    counters: Counters
    new_trace: Callable[[], TraceId]
    clock: Callable[[], float]
    """Unix seconds."""
    draining: Callable[[], bool]
    """The server is stopping: no new transaction."""
    relays: Relays | None = None
    """Service mx: what may be relayed without a sign-in. None: nothing."""

    @property
    def authserv_id(self) -> bytes:
        """The name our Authentication-Results are known by (RFC 8601 §2.5)."""
        return self.hostname.lower().encode("ascii", "replace")
