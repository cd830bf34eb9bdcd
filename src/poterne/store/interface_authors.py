"""The parts of `interface.Store` about who mail is from: keys, quarantine, results, reports, what was seen."""

from collections.abc import Sequence
from typing import Protocol

from poterne.values.dkim import DkimKey, KeyState
from poterne.values.dmarc import DmarcCount, DmarcReport, SourceDay
from poterne.values.event import Event
from poterne.values.history import ListSeen
from poterne.values.ids import AccountId
from poterne.values.mailbox import Appended
from poterne.values.quarantine import Quarantined, QuarantineId
from poterne.values.queue import NewQueued
from poterne.values.reports import ReporterSeen, ReportMail, ReportMailId, TlsReport
from poterne.values.watch import DnsFinding

REPORT_MAIL_MOST = 10_000
"""Reports that wait to be read; beyond, they are answered 4xx."""


class DkimKeys(Protocol):
    """Keys that sign for our domains. A domain's keys go with it (`remove_domain`)."""

    async def dkim_keys(self, domain: str | None = None) -> list[DkimKey]:
        """By domain, then oldest first."""

    async def add_dkim_key(self, key: DkimKey, event: Event, *, relayed: bool = False) -> None:
        """ConflictError: the selector was used by the domain before, be it long ago (RFC 6376 §3.1). NotFoundError: no domain.

        `relayed`: its domain need not be served here, a server behind us sends for it.
        """

    async def set_dkim_key(
        self,
        domain: str,
        selector: str,
        event: Event | None,
        *,
        state: KeyState | None = None,
        seen_at: int | None = None,
        now: int,
    ) -> DkimKey:
        """NotFoundError. `changed_at` becomes `now` when the state changes."""

    async def remove_dkim_key(self, domain: str, selector: str, event: Event) -> None:
        """The private half is gone; the selector stays known as used. NotFoundError."""


class Quarantine(Protocol):
    """Mail kept from its mailbox. It counts for nobody's quota."""

    async def quarantined(
        self,
        limit: int = 1000,
        after: QuarantineId | None = None,
        account_id: AccountId | None = None,
        domain: str = "",
    ) -> list[Quarantined]:
        """By id, so that `after` continues a page. `domain`: of the account."""

    async def quarantined_by_id(self, quarantine_id: QuarantineId) -> Quarantined: ...
    async def release_quarantined(self, quarantine_id: QuarantineId, now: int, event: Event) -> Appended:
        """Into the account's INBOX, in the transaction that ends its quarantine. NotFoundError, OverQuotaError."""

    async def delete_quarantined(self, quarantine_id: QuarantineId, event: Event) -> None: ...
    async def expire_quarantined(self, now: int, limit: int = 1000) -> int:
        """Those whose time is over go; gives how many. Not those of accounts under a legal hold."""


class DmarcResults(Protocol):
    """Results of DMARC for what came in, until they are reported."""

    async def count_dmarc(self, counts: Sequence[DmarcCount]) -> None:
        """Add to the rows of these days and policies. A domain's day has a bounded number of rows; beyond, networks count."""

    async def dmarc_to_report(self, before_day: int, limit: int = 1000) -> list[tuple[int, str]]:
        """(day, domain of the policy) with counts, oldest first."""

    async def dmarc_counts(self, day: int, domain: str) -> list[DmarcCount]: ...
    async def dmarc_reported(
        self, day: int, domain: str, reports: Sequence[NewQueued] = (), events: Sequence[Event] = ()
    ) -> bool:
        """The counts go, and the reports are queued, in one transaction; False, and nothing queued: there were no counts."""


class Reports(Protocol):
    """Reports of others about our domains."""

    async def report_mail(self, limit: int = 100) -> list[ReportMail]:
        """What waits to be read: what is proven first, authors in turn, each one's oldest first."""

    async def report_read(
        self,
        mail_id: ReportMailId | None,
        now: int,
        events: Sequence[Event],
        *,
        dmarc: DmarcReport | None = None,
        tls: TlsReport | None = None,
        domain: str = "",
        proven: bool = False,
    ) -> bool:
        """It waits no more, and what was read of it is kept for `domain`. False: the same report was there already.

        The same: reporter, report id and domain; but what is `proven` is kept beside what is not. `mail_id` None: it did not
        come by mail. Both None: it could not be read. False also when the mail waits no more; no event is recorded then. Rows
        that are alike are added up, and the 20,000 with most messages kept; what covers several days counts on the first.
        LimitError: text that cannot be kept.
        """

    async def source_days(self, domain: str, from_day: int, to_day: int, limit: int = 50_000) -> list[SourceDay]:
        """What reports about a domain and the domains below it said, days included; most messages first."""

    async def tls_reports(self, domain: str, since: int, limit: int = 1000) -> list[TlsReport]:
        """Newest first."""

    async def reporters(self, domain: str) -> list[ReporterSeen]: ...
    async def forget_reports(self, before_day: int) -> int:
        """What is older goes; gives how many reports."""


class Watched(Protocol):
    """What was seen of DNS and of lists, kept to notice changes."""

    async def dns_findings(self, domain: str) -> list[DnsFinding]: ...
    async def set_dns_findings(self, domain: str, findings: Sequence[DnsFinding], events: Sequence[Event]) -> None:
        """Instead of the domain's earlier ones."""

    def list_seen(self, list_id: str, domain: str) -> ListSeen | None:
        """Read at once on the calling thread."""

    async def note_lists(self, seen: Sequence[ListSeen]) -> None:
        """Add these messages to what is known. A bounded number is kept; those not seen for longest go."""
