"""Reports that others sent about our domains, as they are kept and asked for.

Theory of operation. A report is kept once: its reporter, domain and id are a key. Ids can be guessed, so what nobody answers for
keeps nothing out that somebody does. Rows of DMARC reports are added up at once, by day, reporter, source and result (what DMARC,
DKIM and SPF said, which many rows share: it is a row of its own). So a question about some days reads these days only, whatever
there is besides. Anybody may send reports about us: rows of a report, and reports and rows of a domain, are bounded. Where it is
full, reporters whom nobody ever answered for go, those first that were not heard of for longest; what finds no room then is not
kept. An event tells of both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final

import msgspec

from poterne.store.errors import LimitError
from poterne.store.sqlite import events
from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.dmarc import DkimAuth, DmarcReport, Override, SourceDay, SpfAuth
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.reports import ReporterSeen, ReportKind, TlsReport

ROWS_MOST: Final = 20_000
"""Of one report, after rows that are alike were added up: those with most messages."""
DOMAIN_ROWS_MOST: Final = 2_000_000
DOMAIN_REPORTS_MOST: Final = 100_000
REPORTERS_MOST: Final = 10_000
"""That are told of a domain: those heard of last."""
ROOM_REPORTERS: Final = 200
"""That go at once, at most, where a domain is full; and no more once ROWS_MOST rows have gone."""
STEP_ROWS: Final = 2_000
"""That one transaction takes away."""
_DAY_S: Final = 86_400
_NO_TRACE: Final = TraceId("")
_NAME_SHOWN: Final = 64
_TIME_MOST: Final = 253_402_300_800
"""The end of the year 9999: times beyond are kept as this."""
_COUNT_MOST: Final = 1 << 40
"""Of one row; so that no sum overflows."""

_Result = tuple[str, str, str, str, tuple[DkimAuth, ...], tuple[SpfAuth, ...], tuple[Override, ...]]
"""header_from, disposition, DKIM and SPF aligned, and what they are made of: a row without its source and count."""

_DOMAIN: Final = "SELECT domain_id, reports, rows FROM report_domain WHERE place = ? AND place != ''"
_BELOW: Final = "SELECT domain_id, place FROM report_domain WHERE place >= ? AND place < ? AND place != ''"
_REPORTER: Final = "SELECT reporter_id FROM reporter WHERE domain_id = ? AND kind = ? AND organisation = ?"
_KNOWN: Final = "SELECT proven FROM report WHERE reporter_id = ? AND digest = ?"
_REPORT: Final = (
    "INSERT INTO report (reporter_id, digest, domain_id, kind, day, days, begin_at, received_at, proven, text)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_HEARD: Final = "UPDATE reporter SET reports = reports + 1, last_at = max(last_at, ?) WHERE reporter_id = ?"
_RESULT: Final = (
    "INSERT INTO report_result (digest, last_day, text) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET last_day = max(last_day, excluded.last_day) RETURNING result_id"
)
_SOURCE: Final = (
    "INSERT INTO report_source VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
)
_SOURCES: Final = "SELECT count(*) FROM report_source WHERE domain_id = ? AND day = ? AND reporter_id = ?"
_UNPROVEN: Final = (
    "SELECT reporter_id FROM reporter r WHERE domain_id = ? AND reporter_id != ? AND reports > 0"
    " AND NOT EXISTS (SELECT 1 FROM report p WHERE p.reporter_id = r.reporter_id AND p.proven) ORDER BY last_at LIMIT ?"
)
_SOURCE_DAYS: Final = (
    "SELECT s.day, s.organisation, s.source_ip, s.messages, t.result_id, t.text FROM"
    " (SELECT day, organisation, source_ip, result_id, sum(count) AS messages FROM report_source"
    " JOIN reporter USING (reporter_id) WHERE report_source.domain_id IN (SELECT value FROM json_each(?1))"
    " AND day BETWEEN ?2 AND ?3 GROUP BY day, organisation, source_ip, result_id ORDER BY messages DESC LIMIT ?4) s"
    " CROSS JOIN report_result t USING (result_id) ORDER BY s.messages DESC, s.day, s.organisation, s.source_ip"
)

_encode = msgspec.json.Encoder().encode
_result = msgspec.json.Decoder(_Result).decode
_tls = msgspec.json.Decoder(TlsReport).decode


@dataclass(frozen=True, slots=True)
class Read:
    """A report, made ready for the transaction that keeps it."""

    kind: ReportKind
    organisation: str
    digest: bytes
    begin: int
    days: int
    text: str
    results: Sequence[tuple[bytes, str]] = ()
    rows: Sequence[tuple[int, str, int]] = ()
    """Place of the result, source, messages."""


def dmarc_read(report: DmarcReport) -> Read:
    """Rows that are alike are added up, which takes some microseconds each. LimitError: nothing that can be kept."""
    added: dict[tuple[_Result, str], int] = {}
    for row in report.rows:
        result = (
            *(row.header_from, row.disposition, row.dkim, row.spf),
            *(row.dkim_results, row.spf_results, row.overrides),
        )
        key = (result, row.source_ip)
        added[key] = added.get(key, 0) + min(max(row.count, 0), _COUNT_MOST)
    most = sorted(added.items(), key=lambda item: -item[1])[:ROWS_MOST]
    places: dict[_Result, int] = {}
    rows = [(places.setdefault(key[0], len(places)), key[1], min(count, _COUNT_MOST)) for key, count in most]
    texts = [_text(result) for result in places]
    results = [(_digest(text), text) for text in texts]
    warnings = report.warnings
    begin, days = _times(report.begin, report.end)
    if days > 1:
        warnings = (*warnings, f"covers {days} days, counted on the first")
    if len(added) > ROWS_MOST:
        warnings = (*warnings, f"{len(added)} rows, of which {ROWS_MOST} are kept")
    text = _text(replace(report, rows=(), warnings=warnings))
    digest = _digest(report.report_id)
    return Read(ReportKind.DMARC, report.organisation, digest, begin, days, text, results, rows)


def tls_read(report: TlsReport) -> Read:
    """LimitError: nothing that can be kept."""
    begin, days = _times(report.begin, report.end)
    return Read(ReportKind.TLS, report.organisation, _digest(report.report_id), begin, days, _text(report))


def keep(
    tx: Tx,
    domain: str,
    read: Read,
    now: int,
    *,
    proven: bool,
    trace: TraceId = _NO_TRACE,
    reports_most: int = DOMAIN_REPORTS_MOST,
    rows_most: int = DOMAIN_ROWS_MOST,
) -> bool:
    """False: it was there already."""
    domain_id, reports, rows = _domain(tx, domain)
    reporter_id = _reporter(tx, domain_id, read)
    digest = read.digest
    known = tx.one(_KNOWN, (reporter_id, digest))
    if known is not None and proven and not known[0]:  # whoever guesses an id must not keep the real one out
        digest = blake2b(digest, digest_size=16, person=b"proven").digest()
        known = tx.one(_KNOWN, (reporter_id, digest))
    if known is not None:
        return False
    if reports >= reports_most or rows + len(read.rows) > rows_most:
        gone = _make_room(tx, domain_id, reporter_id)
        reports, rows = reports - gone[0], rows - gone[1]
        full = reports >= reports_most
        lost = 0 if full else max(0, len(read.rows) - (rows_most - rows))
        detail: dict[str, str | int | bool | None] = {
            "domain": domain, "reporter": read.organisation[:_NAME_SHOWN], "kept": not full, "rows_not_kept": lost,
            "unproven_reports_gone": gone[0], "unproven_rows_gone": gone[1],
        }  # fmt: skip
        events.record(tx, [Event(now, "report.full", trace, reason="reports" if full else "rows", detail=detail)])
        if full:
            tx.run("DELETE FROM reporter WHERE reporter_id = ? AND reports = 0", (reporter_id,))
            return True
    day = read.begin // _DAY_S
    tx.run(
        _REPORT,
        (
            *(reporter_id, digest, domain_id, read.kind.value, day, read.days, read.begin, now),
            *(int(proven), read.text),
        ),
    )
    tx.run(_HEARD, (now, reporter_id))
    new = _add_sources(tx, domain_id, reporter_id, day, read, max(0, rows_most - rows))
    tx.run("UPDATE report_domain SET reports = reports + 1, rows = rows + ? WHERE domain_id = ?", (new, domain_id))
    return True


def source_days(rows: Rows, domain: str, from_day: int, to_day: int, limit: int) -> list[SourceDay]:
    """Most messages first."""
    domains = [domain_id for domain_id, _ in below(rows, domain)]
    if not domains:
        return []
    found = rows.all(_SOURCE_DAYS, (_encode(domains).decode(), from_day, to_day, limit))
    results: dict[int, _Result] = {}
    days: list[SourceDay] = []
    for day, organisation, source_ip, count, result_id, text in found:
        result = results.get(result_id)
        if result is None:
            result = results[result_id] = _result(text)
        header_from, *rest = result
        days.append(SourceDay(day, organisation, source_ip, header_from, count, *rest))
    return days


def tls_reports(rows: Rows, domain: str, since: int, limit: int) -> list[TlsReport]:
    """Those that begin then or later, newest first."""
    found = rows.all(
        "SELECT text FROM report JOIN report_domain USING (domain_id) WHERE place = ? AND place != '' AND kind = ?"
        " AND begin_at >= ? ORDER BY begin_at DESC LIMIT ?",
        (_place(domain), ReportKind.TLS.value, since, limit),
    )
    return [_tls(text) for (text,) in found]


def reporters(rows: Rows, domain: str) -> list[ReporterSeen]:
    """Those heard of last come first."""
    found = rows.all(
        "SELECT kind, organisation, reporter.reports, last_at FROM reporter JOIN report_domain USING (domain_id)"
        " WHERE place = ? AND place != '' ORDER BY last_at DESC, organisation LIMIT ?",
        (_place(domain), REPORTERS_MOST),
    )
    return [
        ReporterSeen(ReportKind(kind), organisation, count, last_at) for kind, organisation, count, last_at in found
    ]


def _domain(tx: Tx, domain: str) -> tuple[int, int, int]:
    """Its id, and how many reports and rows it has."""
    place = _place(domain)
    row = tx.one(_DOMAIN, (place,))
    if row is None:
        tx.run("INSERT INTO report_domain (place) VALUES (?)", (place,))
        return tx.connection.last_insert_rowid(), 0, 0
    return int(row[0]), int(row[1]), int(row[2])


def _reporter(tx: Tx, domain_id: int, read: Read) -> int:
    key = (domain_id, read.kind.value, read.organisation)
    row = tx.one(_REPORTER, key)
    if row is None:
        tx.run("INSERT INTO reporter (domain_id, kind, organisation) VALUES (?, ?, ?)", key)
        return tx.connection.last_insert_rowid()
    return int(row[0])


def _make_room(tx: Tx, domain_id: int, but: int) -> tuple[int, int]:
    """Reports and rows of reporters whom nobody answered for go; gives how many of each."""
    reports = rows = 0
    for (reporter_id,) in tx.all(_UNPROVEN, (domain_id, but, ROOM_REPORTERS)):
        if rows >= ROWS_MOST:
            break
        for (day,) in tx.all("SELECT DISTINCT day FROM report WHERE reporter_id = ?", (reporter_id,)):
            where = (domain_id, day, reporter_id)
            rows += tx.count("DELETE FROM report_source WHERE domain_id = ? AND day = ? AND reporter_id = ?", where)
        reports += tx.count("DELETE FROM report WHERE reporter_id = ?", (reporter_id,))
        tx.run("DELETE FROM reporter WHERE reporter_id = ?", (reporter_id,))
    gone = (reports, rows, domain_id)
    tx.run("UPDATE report_domain SET reports = reports - ?, rows = rows - ? WHERE domain_id = ?", gone)
    return reports, rows


def _add_sources(tx: Tx, domain_id: int, reporter_id: int, day: int, read: Read, room: int) -> int:
    """Gives how many rows are new."""
    rows = read.rows[:room]
    if not rows:
        return 0
    ids = {
        place: tx.all(_RESULT, (read.results[place][0], day, read.results[place][1]))[0][0]
        for place in {row[0] for row in rows}
    }
    where = (domain_id, day, reporter_id)
    before = tx.all(_SOURCES, where)[0][0]
    tx.run_many(_SOURCE, [(*where, ids[place], source_ip, count) for place, source_ip, count in rows])
    return int(tx.all(_SOURCES, where)[0][0]) - int(before)


def below(rows: Rows, domain: str) -> list[tuple[int, str]]:
    """Id and place of this domain and those below it."""
    place = _place(domain)
    beyond = f"{place[:-1]}/"  # the character behind the dot
    return [(domain_id, found) for domain_id, found in rows.all(_BELOW, (place, beyond))]


def _place(domain: str) -> str:
    return "".join(f"{label}." for label in reversed(domain.lower().split(".")))


def _times(begin: int, end: int) -> tuple[int, int]:
    """When it begins, and how many days it covers."""
    begin = min(max(begin, 0), _TIME_MOST)
    end = min(max(end, begin), _TIME_MOST)
    return begin, max(1, round((end - begin) / _DAY_S))


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


def _text(what: object) -> str:
    try:
        return _encode(what).decode()
    except UnicodeError as error:
        raise LimitError("a report with text that cannot be kept") from error
