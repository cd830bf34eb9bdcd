"""Reports that come by mail to the address of a domain that is there for them: how they wait, and what was read of them."""

from dataclasses import dataclass
from enum import Enum
from typing import NewType

from poterne.values.ids import BlobId, TraceId

ReportMailId = NewType("ReportMailId", int)


class ReportKind(Enum):
    """Which address it came to; the value is the stable word."""

    DMARC = "dmarc"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class NewReportMail:
    """A message for a report address, not read yet. `domain`: ours, that the address belongs to."""

    kind: ReportKind
    domain: str
    trace_id: TraceId
    blob: BlobId
    at: int
    author: str = ""
    """Domain of its From field."""
    proven: bool = False
    """DMARC passed for that domain, or a signature of it is correct."""


@dataclass(frozen=True, slots=True)
class ReportMail:
    id: ReportMailId
    mail: NewReportMail


@dataclass(frozen=True, slots=True)
class TlsReportRow:
    """Sessions with our servers under one policy, as somebody's report (RFC 8460 §4.4) counts them. Texts are bounded."""

    policy: str
    """policy-type."""
    policy_domain: str
    succeeded: int
    failed: int
    failures: tuple[tuple[str, str, int], ...] = ()
    """(result-type, receiving MX, sessions)."""


@dataclass(frozen=True, slots=True)
class TlsReport:
    organisation: str
    contact: str
    report_id: str
    begin: int
    end: int
    rows: tuple[TlsReportRow, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReporterSeen:
    """Who reports about a domain, and when the last report came."""

    kind: ReportKind
    organisation: str
    reports: int
    last_at: int
