"""Standing pauses as the runner obeys them: read again before each lease, so that they count within seconds.

What is being tried when a pause begins goes to its end. A paused recipient is not tried, so nothing is said of it: no notice of
delay, and it is given up only after one more try when the pause is over.
"""

from typing import Final, final

from poterne.observe import Log
from poterne.queue.plan import Job
from poterne.store.interface import Store
from poterne.values.queue import Pause, PauseKind


@final
class Pauses:
    """`look`, then ask. Raises StoreError."""

    def __init__(self, store: Store, log: Log) -> None:
        self._store: Final = store
        self._log: Final = log
        self._known: tuple[Pause, ...] = ()
        self.everything = False
        self.domains: frozenset[str] = frozenset()
        self.origins: frozenset[str] = frozenset()

    @property
    def any(self) -> bool:
        return bool(self._known)

    async def look(self, now: int) -> bool:
        """Read them; whether others than before are there."""
        found = tuple(await self._store.pauses(now))
        if found == self._known:
            return False
        self._known = found
        self.everything = any(pause.kind is PauseKind.ALL for pause in found)
        self.domains = frozenset(pause.name for pause in found if pause.kind is PauseKind.DOMAIN)
        self.origins = frozenset(pause.name for pause in found if pause.kind is PauseKind.ORIGIN)
        self._log.info("queue.pauses", pauses=[str(pause) for pause in found])
        return True

    def covers(self, job: Job) -> bool:
        """Must it not begin? All recipients of a job that a route does not share are of one domain."""
        if self.everything or job.origin in self.origins:
            return True
        return any(recipient.domain in self.domains for recipient in job.recipients)
