"""Alarms: raised for what is new, and for nothing that was there before."""

from poterne.policy.dmarc_alarms import NEW_DAYS, Alarm, invented, raised, suspects
from poterne.policy.dmarc_sources import Known
from poterne.values.dmarc import SourceDay
from poterne.values.reports import ReporterSeen, ReportKind
from tests.unit.policy.test_dmarc_sources import DAY, OURS, row

NOW = DAY * 86_400 + 40_000
FRESH = (ReporterSeen(ReportKind.DMARC, "big.example", 40, NOW - 3600),)
KNOWN = Known(ours={"192.0.2.25"}.__contains__)


def base(days: int = 40) -> list[SourceDay]:
    return [row(count=40, day=DAY - i, signatures=(OURS,)) for i in range(days)]


def alarms(*rows: SourceDay, reporters: tuple[ReporterSeen, ...] = FRESH) -> list[tuple[Alarm, str]]:
    return [(one.alarm, one.key) for one in raised("example.org", rows, reporters, KNOWN, NOW)]


def test_nothing_new() -> None:
    assert alarms(*base()) == []
    assert alarms() == []


def test_a_new_source_once_there_is_something_to_compare() -> None:
    new = row("198.51.100.9", 20, "fail", "pass", day=DAY - 1)
    assert alarms(*base(), new) == [(Alarm.NEW_SOURCE, "source:198.51.100.0/24")]
    assert alarms(*base(15), new) == []
    assert alarms(*base(), new, row("198.51.100.3", 1, "fail", "pass", day=DAY - 30)) == []
    assert alarms(*base(), row("198.51.100.9", 9, "fail", "pass", day=DAY - 1)) == []
    assert alarms(*base(), row("203.0.113.9", 500, "fail", "fail")) == []  # abuse comes every day


def test_compliance_drops() -> None:
    failing = [row(count=20, dkim="fail", spf="fail", day=DAY - i) for i in range(NEW_DAYS)]
    (found,) = raised("example.org", [*base(), *failing], FRESH, KNOWN, NOW)
    assert (found.alarm, found.percent, found.before, found.messages, found.failed) == (Alarm.DROP, 66, 100, 240, 80)
    assert alarms(*base(), row(count=5, dkim="fail", spf="fail")) == []
    assert alarms(*base(10), *failing) == []


def test_reports_stop() -> None:
    def since(hours: int, reports: int = 40, kind: ReportKind = ReportKind.DMARC) -> list[tuple[Alarm, str]]:
        return alarms(*base(), reporters=(ReporterSeen(kind, "big.example", reports, NOW - hours * 3600),))

    assert since(47) == []
    assert since(48) == [(Alarm.STOPPED, f"stopped-48h:{NOW - 48 * 3600}")]
    assert since(7 * 24) == [(Alarm.STOPPED, f"stopped-7d:{NOW - 7 * 24 * 3600}")]
    assert since(100, reports=3) == []
    assert since(100, kind=ReportKind.TLS) == []


def test_names_that_may_be_invented() -> None:
    rows = [
        row("203.0.113.9", 12, "fail", "fail", author="pay.example.org"),
        row("203.0.113.9", 30, "fail", "fail", author="hr.example.org"),
        row("203.0.113.9", 3, "fail", "fail", author="few.example.org"),
        row("203.0.113.9", 30, author="passes.example.org"),
        row("203.0.113.9", 30, "fail", "fail", author="known.example.org"),
        row("203.0.113.9", 30, "fail", "fail", author="old.example.org", day=DAY - 20),
        row("203.0.113.9", 30, "fail", "fail"),
        row("203.0.113.9", 30, "fail", "fail", author="other.example"),
    ]
    found = suspects("example.org", rows, ["example.org", "known.example.org"], NOW)
    assert found == [("hr.example.org", 30), ("pay.example.org", 12)]
    assert invented("hr.example.org", 30).key == "np:hr.example.org"
