"""What reading a mail with reports gives."""

from dataclasses import dataclass
from enum import Enum

from poterne.values.dmarc import DmarcReport
from poterne.values.reports import TlsReport


class Fault(Enum):
    """Why a document is not read, or a mail; the value is the stable word."""

    NOTHING = "no-report"
    """No part of the mail is one."""
    TOO_LARGE = "too-large"
    BOMB = "bomb"
    """It expands beyond what reports do."""
    NESTED = "nested"
    """An archive in an archive."""
    ARCHIVE = "archive"
    """Broken, encrypted, or packed in a way that reports are not."""
    DTD = "dtd"
    DEPTH = "depth"
    TOKEN = "token"  # noqa: S105  (of XML)
    """A name, a tag or an attribute longer than any report's."""
    SYNTAX = "syntax"
    INCOMPLETE = "incomplete"
    """It does not say who reports, about which domain, or when."""
    RANGE = "range"
    """The time it is about can't be."""
    RESOURCES = "resources"
    """Its reading took more time or memory than it may."""


class ReportError(Exception):
    """A document can't be read. Never leaves `mailauth.reports_in`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is read of one mail."""

    report_bytes: int = 10 * 1024 * 1024
    """Of the mail, or the file."""
    expanded_bytes: int = 32 * 1024 * 1024
    """Of one document, unpacked."""
    rows: int = 20_000
    """Records of one report; what comes behind is left out, with a warning."""


@dataclass(frozen=True, slots=True)
class FailureReport:
    """The fields of a report about one message (RFC 6591, RFC 9991). What the message said is not read."""

    feedback_type: str
    auth_failure: str
    reported_domain: str
    source_ip: str
    arrived_at: int | None
    incidents: int = 1


@dataclass(frozen=True, slots=True)
class Reading:
    """All that a mail, or a file, holds. `faults`: of documents in it that can't be read."""

    dmarc: tuple[DmarcReport, ...] = ()
    tls: tuple[TlsReport, ...] = ()
    failures: tuple[FailureReport, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.dmarc or self.tls or self.failures)
