"""What in others' reports a person should hear of: a new source, less that passes, no reports, mail of invented names. Pure.

Each alarm has a key; whoever sends them remembers which keys were told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.policy.dmarc_sources import LEGITIMATE, Kind, Known, Volume, below, picture
from poterne.values.dmarc import SourceDay
from poterne.values.reports import ReporterSeen, ReportKind

BASELINE_DAYS: Final = 60
BASELINE_LEAST: Final = 14
"""Days with reports, before anything counts as new."""
NEW_DAYS: Final = 4
"""A report about a day comes up to two days later."""
NEW_MESSAGES: Final = 10
DROP_PERCENT: Final = 5.0
DROP_MESSAGES: Final = 50
STOPPED_S: Final = 48 * 3600
STOPPED_LONG_S: Final = 7 * 86_400
REGULAR_REPORTS: Final = 10
"""Who has had so many misses them when they stop."""
INVENTED_MESSAGES: Final = 10
MOST: Final = 5
"""Of one kind at a time."""


class Alarm(Enum):
    """The value is the stable word."""

    NEW_SOURCE = "new-source"
    DROP = "compliance-drop"
    STOPPED = "reports-stopped"
    INVENTED = "invented-names"
    """Mail in the name of subdomains that do not exist. Not told by mail."""


@dataclass(frozen=True, slots=True)
class Raised:
    alarm: Alarm
    key: str
    """The same for the same occasion."""
    name: str = ""
    """Source, or subdomain."""
    messages: int = 0
    failed: int = 0
    percent: int = 0
    """That pass now."""
    before: int = 0
    """… and before; of STOPPED: hours since the last report."""


def raised(
    domain: str, rows: Sequence[SourceDay], reporters: Iterable[ReporterSeen], known: Known, now: int
) -> list[Raised]:
    """Alarms of now, told before or not. `rows`: of BASELINE_DAYS and NEW_DAYS days."""
    today = now // 86_400
    return [*_new_sources(domain, rows, known, today), *_drop(domain, rows, known, today), *_stopped(reporters, now)]


def _new_sources(domain: str, rows: Sequence[SourceDay], known: Known, today: int) -> list[Raised]:
    since = today - NEW_DAYS
    before = picture(domain, rows, known, since - BASELINE_DAYS, since - 1)
    if len(before.days) < BASELINE_LEAST:
        return []
    had = {source.name for source in before.sources}
    found = [
        Raised(
            Alarm.NEW_SOURCE,
            f"source:{source.name}",
            source.name,
            source.volume.messages,
            source.volume.failed,
            int(source.volume.share(source.volume.passed)),
        )
        for source in picture(domain, rows, known, since, today).sources
        if source.name not in had and source.kind in LEGITIMATE - {Kind.OURS} and source.volume.messages >= NEW_MESSAGES
    ]
    return found[:MOST]


def _drop(domain: str, rows: Sequence[SourceDay], known: Known, today: int) -> list[Raised]:
    """The last days against those before."""
    seen = picture(domain, rows, known, today - BASELINE_DAYS, today)
    now, before, days = Volume(), Volume(), 0
    for day, one in seen.legitimate_days.items():
        into = now if day > today - NEW_DAYS else before
        into.messages += one.messages
        into.passed += one.passed
        days += into is before
    share, had = now.share(now.passed), before.share(before.passed)
    if days < BASELINE_LEAST or now.messages < DROP_MESSAGES or had - share < DROP_PERCENT:
        return []
    key = f"drop:{today // 14}"
    return [Raised(Alarm.DROP, key, "", now.messages, now.failed, int(share), int(had))]


def _stopped(reporters: Iterable[ReporterSeen], now: int) -> list[Raised]:
    known = [one for one in reporters if one.kind is ReportKind.DMARC]
    last = max((one.last_at for one in known), default=0)
    silent = now - last
    if sum(one.reports for one in known) < REGULAR_REPORTS or silent < STOPPED_S:
        return []
    word = "7d" if silent >= STOPPED_LONG_S else "48h"
    return [Raised(Alarm.STOPPED, f"stopped-{word}:{last}", before=silent // 3600)]


def suspects(domain: str, rows: Iterable[SourceDay], ours: Iterable[str], now: int) -> list[tuple[str, int]]:
    """Subdomains in whose name mail fails, with its messages: do they exist? Most messages first."""
    since, known = now // 86_400 - NEW_DAYS, set(ours)
    counts: dict[str, int] = {}
    for row in rows:
        name = row.header_from
        foreign = name != domain and name not in known and below(name, domain)
        if row.day >= since and foreign and "pass" not in {row.dkim, row.spf}:
            counts[name] = counts.get(name, 0) + row.count
    found = [(name, count) for name, count in counts.items() if count >= INVENTED_MESSAGES]
    return sorted(found, key=lambda one: (-one[1], one[0]))[:MOST]


def invented(name: str, messages: int) -> Raised:
    """The alarm for a suspect that is not in DNS."""
    return Raised(Alarm.INVENTED, f"np:{name}", name, messages, messages)
