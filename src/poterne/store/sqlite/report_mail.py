"""Reports that came by mail and wait to be read: each names its bytes, so that compaction leaves them."""

from collections.abc import Sequence
from typing import Final

from poterne.store.errors import OverQuotaError
from poterne.store.interface_authors import REPORT_MAIL_MOST
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.ids import BlobId, TraceId
from poterne.values.reports import NewReportMail, ReportKind, ReportMail, ReportMailId

_INSERT: Final = (
    "INSERT INTO report_mail (kind, domain, trace_id, segment, blob_offset, blob_size, at, author, proven)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_WAITING: Final = "SELECT count(*), ifnull(sum(blob_size), 0) FROM report_mail"
BYTES_MOST: Final = 1024 * 1024 * 1024
"""Of all that wait: no quota counts them."""
_FIRST: Final = (
    "SELECT mail_id, kind, domain, trace_id, segment, blob_offset, blob_size, at, author, proven FROM report_mail"
    " ORDER BY proven DESC, row_number() OVER (PARTITION BY proven, author ORDER BY mail_id), mail_id LIMIT ?"
)


def add(tx: Tx, messages: Sequence[NewReportMail]) -> None:
    """They wait from now on. OverQuotaError when too many do; what nobody answers for may take half of the room only."""
    count, size_bytes = tx.all(_WAITING)[0] if messages else (0, 0)
    size_bytes += sum(new.blob.size for new in messages)
    part = 1 if all(new.proven for new in messages) else 2
    if count + len(messages) > REPORT_MAIL_MOST // part or size_bytes > BYTES_MOST // part:
        raise OverQuotaError(f"{count} reports wait to be read, with these {size_bytes} bytes")
    for new in messages:
        blob = new.blob
        place = (blob.segment, blob.offset, blob.size)
        tx.run(
            _INSERT,
            (new.kind.value, new.domain.lower(), new.trace_id, *place, new.at, new.author, int(new.proven)),
        )


def waiting(rows: Rows, limit: int) -> list[ReportMail]:
    """Those that somebody answers for come first, one of each author, then one more of each; each author's oldest first."""
    return [_mail(row) for row in rows.all(_FIRST, (limit,))]


def end(tx: Tx, mail_id: ReportMailId) -> bool:
    """It waits no more; False: it did not."""
    return bool(tx.count("DELETE FROM report_mail WHERE mail_id = ?", (mail_id,)))


def forget_domain(tx: Tx, domain: str) -> None:
    tx.run("DELETE FROM report_mail WHERE domain = ?", (domain,))


def _mail(row: Row) -> ReportMail:
    mail_id, kind, domain, trace_id, segment, offset, size, at, author, proven = row
    blob = BlobId(segment, offset, size)
    mail = NewReportMail(ReportKind(kind), domain, TraceId(trace_id), blob, at, author, bool(proven))
    return ReportMail(ReportMailId(mail_id), mail)
