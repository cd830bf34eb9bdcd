"""What all sessions of a process share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from poterne.app.metrics import Metrics
from poterne.config.settings import Settings
from poterne.message.srs import Srs
from poterne.net.notice import Observe
from poterne.net.reputation import Reputation
from poterne.observe import Log
from poterne.session.authenticate import Authenticator
from poterne.session.notify import Notifier
from poterne.session.pending import Snapshots
from poterne.session.pop3.visits import Visits
from poterne.session.smtp.internal import Internal
from poterne.session.smtp.relay import Relays
from poterne.session.smtp.services import Tells
from poterne.session.smtp.verifying import Verifying
from poterne.store.interface import Store
from poterne.values.ids import TraceId

MECHANISMS: Final = ("PLAIN", "LOGIN")


@dataclass(frozen=True, slots=True)
class Parts:
    """Made once in a worker."""

    settings: Settings
    store: Store
    authenticator: Authenticator
    notifier: Notifier
    snapshots: Snapshots
    metrics: Metrics
    log: Log
    observe: Observe
    new_trace: Callable[[], TraceId]
    clock: Callable[[], float]
    draining: Callable[[], bool]
    relays: Relays
    srs: Srs
    tells: Tells
    internal: Internal | None
    hidden: Callable[[str], bool]
    queued: Callable[[], None]
    reputation: Reputation
    verifying: Verifying | None
    visits: Visits
    sign_profile: Callable[[bytes], bytes]
