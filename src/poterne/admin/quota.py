"""Quotas: set by an administrator, and the mail to who has nearly used theirs.

Theory of operation. The steward looks once a minute, and not each delivery: for a mail that tells of gigabytes a minute is
nothing. Who has passed a threshold gets one mail, noted in the same transaction as its delivery. When less is used, by some
points so that it does not swing, the note sinks with it, and passing it again is told again.
"""

import asyncio
from collections.abc import Callable
from typing import Final, final

from poterne.admin.people import Acting, AdminError, account_of
from poterne.config.settings import Settings
from poterne.message.compose import Mailbox, message_id, return_path
from poterne.message.quota_notice import QuotaNotice, quota_notice
from poterne.observe import Log
from poterne.queue.content import written
from poterne.store.errors import NotFoundError, StoreError
from poterne.store.interface import Delivery, Store
from poterne.values.directory import Account
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.retention import QuotaState

EVERY_S: Final = 60.0
SLACK_PERCENT: Final = 3
"""So far below a threshold usage must sink before passing it is told again."""


async def set_quota(
    store: Store, text: str, acting: Acting, *, quota_bytes: int | None = None, quota_messages: int | None = None
) -> Account:
    """What is None stays; 0 is no limit. Raises AdminError, StoreError."""
    if any(number is not None and not 0 <= number <= 2**60 for number in (quota_bytes, quota_messages)):
        raise AdminError("a quota is a number of octets or messages; 0 is none")
    account = await account_of(store, text)
    event = acting.event("account.quota", address=account.address, bytes=quota_bytes, messages=quota_messages)
    return await store.set_account(account.id, event, quota_bytes=quota_bytes, quota_messages=quota_messages)


def threshold(percent: int, told: int, thresholds: tuple[int, ...]) -> int:
    """The percent of which the user is to have been told: the highest threshold that is passed, or that was and nearly is.

    `thresholds`: ascending.
    """
    level = 0
    for one in thresholds:
        if percent >= one or (told >= one and percent >= one - SLACK_PERCENT):
            level = one
    return level


@final
class QuotaNotices:
    """`run` as a task until it is cancelled."""

    def __init__(self, store: Store, settings: Settings, clock: Callable[[], float], log: Log) -> None:
        self._store: Final = store
        self._settings: Final = settings
        self._clock: Final = clock
        self._log: Final = log
        quota = settings.quota
        self._thresholds: Final = tuple(sorted({quota.warn_percent, quota.alarm_percent} - {0}))

    async def run(self) -> None:
        """Failures are logged, and it is tried again a minute later."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.once()
            except StoreError as error:
                self._log.error("quota.unavailable", problem=str(error))
            except Exception as error:  # noqa: BLE001  (a bug here must not end it)
                self._log.error("quota.bug", exc_info=error)

    async def once(self) -> None:
        """Raises StoreError."""
        if not self._thresholds:
            return
        for state in await self._store.quotas_to_tell(self._thresholds[0]):
            level = threshold(state.percent, state.told, self._thresholds)
            if level == state.told:
                continue
            try:
                if level < state.told:
                    await self._store.quota_told(state.account_id, level)
                else:
                    await self._tell(state, level)
            except NotFoundError:  # the account went away
                continue

    async def _tell(self, state: QuotaState, level: int) -> None:
        account = await self._store.account_by_id(state.account_id)
        now, settings = int(self._clock()), self._settings
        hostname = settings.server.hostname
        trace = TraceId(f"quota-{now:x}-{account.id}")
        notice = QuotaNotice(
            hostname=hostname,
            sender=Mailbox(f"postmaster@{account.address.rpartition('@')[2]}"),
            to=Mailbox(account.address, account.name),
            language=account.language,
            message_id=message_id(str(trace), hostname),
            unix_s=now,
            percent=state.percent,
            used_bytes=state.used_bytes,
            most_bytes=state.quota_bytes,
            used_messages=state.used_messages,
            most_messages=state.quota_messages,
            refuses=settings.quota.over == "refuse",
        )
        content = await written(self._store.blobs, return_path("") + quota_notice(notice))
        event = Event(now, "notice.quota", trace, account.id, detail={"percent": state.percent, "threshold": level})
        await self._store.quota_told(account.id, level, Delivery(account.id, None, content, 0, now, 0), event)
        self._log.info("quota.told", account=account.address, percent=state.percent)
