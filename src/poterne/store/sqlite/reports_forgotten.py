"""Taking reports away: old ones, and those about domains that were removed; in steps that are short enough for the writers."""

from typing import Final

from poterne.store.sqlite import report_mail, reports
from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.transaction import Tx

_SOURCES: Final = (
    "DELETE FROM report_source WHERE (domain_id, day, reporter_id, result_id, source_ip) IN"
    " (SELECT domain_id, day, reporter_id, result_id, source_ip FROM report_source WHERE domain_id = ? AND day < ? LIMIT ?)"
)
_REPORTS: Final = (
    "DELETE FROM report WHERE report_id IN (SELECT report_id FROM report INDEXED BY report_day"
    " WHERE domain_id = ? AND day < ? LIMIT ?) RETURNING reporter_id"
)
_RESULTS: Final = (
    "DELETE FROM report_result WHERE result_id IN (SELECT result_id FROM report_result INDEXED BY report_result_day"
    " WHERE last_day < ? LIMIT ?)"
)
_WITH_OLDER: Final = (
    "SELECT domain_id FROM report_domain d"
    " WHERE EXISTS (SELECT 1 FROM report r WHERE r.domain_id = d.domain_id AND r.day < ?1)"
    " OR EXISTS (SELECT 1 FROM report_source s WHERE s.domain_id = d.domain_id AND s.day < ?1)"
)
_FEWER: Final = "UPDATE reporter SET reports = reports - 1 WHERE reporter_id = ?"
_NONE_LEFT: Final = "DELETE FROM reporter WHERE reporter_id = ? AND reports <= 0"
_EVER: Final = 1 << 40


def forget_domain(tx: Tx, domain: str) -> None:
    """Of a domain that was just removed, and those below it that are below no other one of ours. Rows go by `removed`."""
    report_mail.forget_domain(tx, domain)
    for domain_id, place in reports.below(tx, domain):
        if not _is_ours(tx, place):
            tx.run("UPDATE report_domain SET place = '' WHERE domain_id = ?", (domain_id,))


def domains(rows: Rows, before_day: int) -> list[int]:
    """Those of which something is older."""
    return [domain_id for (domain_id,) in rows.all(_WITH_OLDER, (before_day,))]


def older(tx: Tx, domain_id: int, before_day: int) -> int | None:
    """Take some rows of a domain away; gives how many reports went, None: there are no more."""
    gone = tx.count(_SOURCES, (domain_id, before_day, reports.STEP_ROWS))
    if gone:
        tx.run("UPDATE report_domain SET rows = rows - ? WHERE domain_id = ?", (gone, domain_id))
        return 0
    found = tx.all(_REPORTS, (domain_id, before_day, reports.STEP_ROWS))
    if not found:
        return None
    tx.run_many(_FEWER, found)
    tx.run_many(_NONE_LEFT, list({*found}))
    tx.run("UPDATE report_domain SET reports = reports - ? WHERE domain_id = ?", (len(found), domain_id))
    return len(found)


def results(tx: Tx, before_day: int) -> int:
    """Take some results away that no row has any more; gives how many."""
    return tx.count(_RESULTS, (before_day, reports.STEP_ROWS))


def removed(tx: Tx) -> bool:
    """Take some rows of a removed domain away; False: there is none."""
    row = tx.one("SELECT domain_id FROM report_domain WHERE place = '' LIMIT 1")
    if row is None:
        return False
    (domain_id,) = row
    if older(tx, domain_id, _EVER) is None:
        tx.run("DELETE FROM report_domain WHERE domain_id = ?", (domain_id,))
    return True


def _is_ours(rows: Rows, place: str) -> bool:
    """Whether the domain of this place, or one above it, is a local one."""
    labels = place.split(".")[-2::-1]
    return any(
        rows.one("SELECT 1 FROM domain WHERE name = ?", (".".join(labels[at:]),)) is not None
        for at in range(len(labels))
    )
