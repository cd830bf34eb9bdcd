"""What an SMTP session needs of the rest of the house, and the counters it keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol

from poterne.config.limits import Limits
from poterne.config.settings import Smtp
from poterne.message.srs import Srs
from poterne.net.reputation import Reputation
from poterne.observe import Log
from poterne.proto.smtp.replies import Reply
from poterne.session.authenticate import Authenticator
from poterne.session.smtp.greeting import Greeting
from poterne.session.smtp.harvest import Harvest
from poterne.session.smtp.internal import Internal
from poterne.session.smtp.often import Often
from poterne.session.smtp.principal import Principal
from poterne.session.smtp.relay import Relays
from poterne.session.smtp.returned import Returned
from poterne.session.smtp.verifying import Verifying
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from poterne.values.reports import ReportKind
from poterne.values.sending import Submitted

OVER_QUOTA: Final = Reply(452, "4.2.2", "The recipient's mailbox is full: try again later")
OVER_QUOTA_REFUSED: Final = Reply(552, "5.2.2", "The recipient's mailbox is full")


class Service(Enum):
    """What a listener is for."""

    MX = "mx"
    SUBMISSION = "submission"
    LMTP = "lmtp"


class Tells(Protocol):
    """Tells people what they would not see otherwise."""

    async def held(self, principal: Principal, submitted: Submitted, trace: TraceId) -> Reply:
        """The answer to a message that is held; its sender and an administrator hear of the first one by mail."""


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
    limits: Limits
    """What people may send."""
    srs: Srs
    """Rewrites senders of forwarded mail, and knows its bounces again."""
    tells: Tells
    """Tells people that mail is held."""
    queued: Callable[[], None] = lambda: None
    """Called when something waits to go out."""
    hidden: Callable[[str], bool] = lambda _: False
    """Do strangers arrive under this address (`policy.origin`)?"""
    internal: Internal | None = None
    """Service mx: servers behind us (`[route.NAME]`)."""
    relays: Relays | None = None
    """Service mx: what may be relayed without a sign-in. None: nothing."""
    reputation: Reputation | None = None
    """Service mx: what DNS tells about peers. None: it is not asked."""
    greeting: Greeting | None = None
    """Service mx: who waits for the greeting. None: nobody."""
    harvest: Harvest | None = None
    """Service mx: who tries out names. None: nobody is watched."""
    verifying: Verifying | None = None
    """Service mx: how it is found out who strangers' mail is from. None: it is not."""
    behind_edge: bool = False
    """Service mx: a server in front of us has verified who mail is from, and says what it found."""
    over_quota: Reply = OVER_QUOTA
    """For a mailbox that is full."""
    quarantine_s: int = 30 * 86_400
    """How long mail that nobody releases is kept in quarantine."""
    reports: Mapping[str, ReportKind] = field(default_factory=dict)
    """Service mx: local parts, in lower case, that reports of others come to."""
    returned: Returned = field(default_factory=Returned)
    """How many notices went back to senders that we rewrote."""
    often: Often = field(default_factory=Often)
    """How often an address forwarded a sender's mail."""

    @property
    def authserv_id(self) -> bytes:
        """The name our Authentication-Results are known by (RFC 8601 §2.5)."""
        return self.hostname.lower().encode("ascii", "replace")
