"""The integrity check: the database itself, its counters against its rows, and every blob against its checksum."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Final

import apsw

from poterne.store.blobs.backup import pinned
from poterne.store.blobs.folder import SegmentFolder
from poterne.store.blobs.verify import verify
from poterne.store.interface import Finding
from poterne.store.sqlite.connection import PlainRows
from poterne.store.sqlite.purge import NAMING, live_blobs
from poterne.values.ids import BlobId

_RESTORE: Final = "restore a backup; what came since is in the mail clients' copies"
_REPORT: Final = "no mail is lost by it; please report it with the log of the last restart"
_MOST_FINDINGS: Final = 1_000

# Each query gives the account and what is wrong; an empty result is a sound store.
_QUERIES: Final = (
    (
        False,
        (
            "SELECT m.account_id, 'mailbox ' || m.mailbox_id || ' has counters that differ from its messages' FROM mailbox m"
            " LEFT JOIN (SELECT account_id, mailbox_id, count(*) AS messages, sum(flags & 1 = 0) AS unseen,"
            " sum(flags & 8 != 0) AS deleted, sum(size) AS size, max(uid) AS uid, max(modseq) AS modseq"
            " FROM message GROUP BY account_id, mailbox_id) r USING (account_id, mailbox_id)"
            " WHERE m.messages != coalesce(r.messages, 0) OR m.unseen != coalesce(r.unseen, 0)"
            " OR m.deleted != coalesce(r.deleted, 0) OR m.size_bytes != coalesce(r.size, 0)"
            " OR m.uid_next <= coalesce(r.uid, 0) OR m.highest_modseq < coalesce(r.modseq, 0)"
        ),
    ),
    (
        False,
        (
            "SELECT account_id, 'used bytes, messages or modseq of the account differ from its mailboxes' FROM account_counter c"
            " JOIN (SELECT account_id, sum(size_bytes) AS size, sum(messages) AS messages, max(highest_modseq) AS modseq"
            " FROM mailbox GROUP BY account_id) m USING (account_id)"
            " WHERE c.used_bytes != m.size OR c.used_messages != m.messages OR c.modseq < m.modseq"
        ),
    ),
    (
        True,
        (
            "SELECT account_id, 'message ' || uid || ' of mailbox ' || mailbox_id || ' has no content' FROM message"
            " LEFT JOIN content c USING (content_id) WHERE c.content_id IS NULL"
        ),
    ),
    (
        False,
        (
            "SELECT m.account_id, 'message ' || uid || ' belongs to no mailbox' FROM message m"
            " LEFT JOIN mailbox b USING (account_id, mailbox_id)"
            " WHERE b.mailbox_id IS NULL AND m.account_id NOT IN (SELECT account_id FROM removed_account)"
        ),
    ),
    (
        False,
        (
            "SELECT c.content_id >> 36, 'content ' || c.content_id || ' has no message and is not waiting to be removed'"
            " FROM content c LEFT JOIN (SELECT content_id FROM message UNION SELECT content_id FROM kept_message"
            " UNION SELECT content_id FROM freed_content) m"
            " USING (content_id)"
            " WHERE m.content_id IS NULL AND c.content_id >> 36 NOT IN (SELECT account_id FROM removed_account)"
        ),
    ),
    (
        True,
        (
            "SELECT f.content_id >> 36, 'content ' || f.content_id || ' waits to be removed but has messages'"
            " FROM freed_content f WHERE f.content_id IN"
            " (SELECT content_id FROM message UNION ALL SELECT content_id FROM kept_message)"
        ),
    ),
    (
        True,
        (
            "SELECT content_id >> 36, 'content ' || content_id || ' is shared by ' || found || ' messages, counted otherwise'"
            " FROM (SELECT content_id, count(*) AS found FROM (SELECT content_id FROM message UNION ALL"
            " SELECT content_id FROM kept_message) GROUP BY content_id) LEFT JOIN shared_content s"
            " USING (content_id) WHERE found != coalesce(s.messages, 1)"
        ),
    ),
    (
        True,
        (
            "SELECT account_id, 'expunged message ' || uid || ' of mailbox ' || mailbox_id || ' has no content'"
            " FROM kept_message LEFT JOIN content c USING (content_id) WHERE c.content_id IS NULL"
        ),
    ),
    (
        False,
        (
            "SELECT account_id, 'message ' || uid || ' is noted as fetched and is not there' FROM fetched f"
            " LEFT JOIN message m USING (account_id, mailbox_id, uid)"
            " WHERE m.uid IS NULL AND account_id NOT IN (SELECT account_id FROM removed_account)"
        ),
    ),
    (
        False,
        (
            "SELECT account_id, what || ' is of an account that does not exist' FROM"
            " (SELECT account_id, 'sender ' || name AS what FROM sender"
            " UNION ALL SELECT account_id, 'forward to ' || address FROM account_forward"
            " UNION ALL SELECT account_id, 'rule for ' || what FROM retention_rule WHERE account_id"
            " UNION ALL SELECT grantee_id, 'right in mailbox ' || mailbox_id || ' of account ' || account_id"
            " FROM mailbox_right WHERE grantee_id"
            " UNION ALL SELECT reader_id, 'annotation in mailbox ' || mailbox_id || ' of account ' || account_id"
            " FROM annotation WHERE reader_id"
            " UNION ALL SELECT account_id, 'annotation ' || entry FROM annotation"
            " UNION ALL SELECT account_id, 'alias ' || local_part || '@' || domain FROM alias_target)"
            " LEFT JOIN account a USING (account_id) WHERE a.account_id IS NULL"
        ),
    ),
    (
        False,
        (
            "SELECT r.account_id, 'right of account ' || grantee_id || ' in mailbox ' || mailbox_id || ', which is not there'"
            " FROM mailbox_right r LEFT JOIN mailbox b USING (account_id, mailbox_id)"
            " WHERE b.mailbox_id IS NULL OR NOT b.selectable"
        ),
    ),
    (
        False,
        (
            "SELECT n.account_id, 'annotation ' || entry || ' of mailbox ' || mailbox_id || ', which is not there'"
            " FROM annotation n LEFT JOIN mailbox b USING (account_id, mailbox_id)"
            " WHERE n.mailbox_id AND b.mailbox_id IS NULL"
        ),
    ),
    (
        False,
        (
            "SELECT q.account_id, 'message ' || q.quarantine_id || ' in quarantine is of an account that does not exist'"
            " FROM quarantine q LEFT JOIN account a USING (account_id)"
            " WHERE a.account_id IS NULL AND q.account_id NOT IN (SELECT account_id FROM removed_account)"
        ),
    ),
)

# What is wrong with the queue and with reports: whether mail is lost by it, and what it is.
_OTHER_QUERIES: Final = (
    (
        True,
        (
            "SELECT 'queued recipient ' || r.queue_id || ' has no message' FROM queue_recipient r"
            " LEFT JOIN queue_message m USING (message_id) WHERE m.message_id IS NULL"
        ),
    ),
    (
        False,
        (
            "SELECT 'queued message ' || m.message_id || ' has ' || count(r.queue_id) || ' recipients, counted otherwise'"
            " FROM queue_message m LEFT JOIN queue_recipient r USING (message_id)"
            " GROUP BY m.message_id HAVING m.recipients != count(r.queue_id) OR m.recipients < 1"
        ),
    ),
    (
        False,
        (
            "SELECT 'queued recipient ' || r.queue_id || ' has another origin than its message' FROM queue_recipient r"
            " JOIN queue_message m USING (message_id) WHERE r.origin != m.origin_kind || ':' || m.origin_name"
        ),
    ),
    (
        True,
        (
            "SELECT 'queued message ' || m.message_id || ' is held by an incident that is not there' FROM queue_message m"
            " LEFT JOIN incident i USING (incident_id) WHERE m.incident_id IS NOT NULL AND i.incident_id IS NULL"
        ),
    ),
    (
        False,
        (
            "SELECT 'queued recipient ' || r.queue_id || ' waits although its incident is open' FROM queue_recipient r"
            " JOIN queue_message m USING (message_id) JOIN incident i USING (incident_id)"
            " WHERE i.state = 'open' AND r.state != 'held'"
        ),
    ),
    (
        False,
        (
            "SELECT 'incident ' || i.incident_id || ' has counters that differ from what it holds' FROM incident i"
            " LEFT JOIN queue_message m USING (incident_id) WHERE i.state = 'open' GROUP BY i.incident_id"
            " HAVING i.messages != count(m.message_id) OR i.recipients != coalesce(sum(m.recipients), 0)"
        ),
    ),
    (
        False,
        (
            "SELECT 'reports about domain ' || d.domain_id || ' are counted otherwise' FROM report_domain d"
            " LEFT JOIN (SELECT domain_id, count(*) AS found FROM report GROUP BY domain_id) r USING (domain_id)"
            " LEFT JOIN (SELECT domain_id, count(*) AS found FROM report_source GROUP BY domain_id) s USING (domain_id)"
            " WHERE d.reports != coalesce(r.found, 0) OR d.rows != coalesce(s.found, 0)"
        ),
    ),
    (
        False,
        (
            "SELECT 'reports of reporter ' || reporter_id || ' are counted otherwise' FROM reporter LEFT JOIN"
            " (SELECT reporter_id, count(*) AS found FROM report GROUP BY reporter_id) r USING (reporter_id)"
            " WHERE reports != coalesce(r.found, 0)"
        ),
    ),
    (
        False,
        (
            "SELECT 'DMARC results of day ' || d.day || ' are counted otherwise' FROM dmarc_day d LEFT JOIN"
            " (SELECT day, domain, count(*) AS found FROM dmarc_result GROUP BY day, domain"
            " UNION ALL SELECT day, '', count(*) FROM dmarc_result GROUP BY day) r USING (day, domain)"
            " WHERE d.rows != coalesce(r.found, 0)"
        ),
    ),
)


def check(
    connection: apsw.Connection, folder: SegmentFolder, progress: Callable[[int, int], None] | None = None
) -> list[Finding]:
    """Findings, at most _MOST_FINDINGS of each sort; [] is a sound store. Reads everything, in the calling thread.

    Works while the store is used: all rows are of one snapshot, and compaction waits.
    """
    with pinned(folder), snapshot(connection) as rows:
        findings = [
            Finding(True, f"database: {text}", _RESTORE)
            for (text,) in rows.all("PRAGMA integrity_check(100)")
            if text != "ok"
        ]
        for fatal, sql in _QUERIES:
            found = rows.all(f"{sql} LIMIT ?", (_MOST_FINDINGS,))
            findings += [
                Finding(fatal, f"account {account}: {what}", _RESTORE if fatal else _REPORT) for account, what in found
            ]
        for fatal, sql in _OTHER_QUERIES:
            found = rows.all(f"{sql} LIMIT ?", (_MOST_FINDINGS,))
            findings += [Finding(fatal, what, _RESTORE if fatal else _REPORT) for (what,) in found]
        findings += _blobs(rows, folder, progress)
    return findings


@contextlib.contextmanager
def snapshot(connection: apsw.Connection) -> Iterator[PlainRows]:
    """One state of the database for as long as it takes; the write-ahead log grows meanwhile."""
    rows = PlainRows(connection)
    rows.all("BEGIN")
    try:
        rows.all("SELECT 1 FROM meta LIMIT 1")
        yield rows
    finally:
        if connection.in_transaction:
            rows.all("ROLLBACK")


def _blobs(rows: PlainRows, folder: SegmentFolder, progress: Callable[[int, int], None] | None) -> list[Finding]:
    """What rows name must be there and sound; damage to what nobody names is told, but is not fatal."""
    findings: list[Finding] = []
    named = rows.all(" UNION ".join(f"SELECT segment FROM {table}" for table in NAMING))  # noqa: S608  # words of ours
    missing = {int(segment) for (segment,) in named}
    current, wanted = -1, dict[int, int]()
    for checked in verify(folder, progress):
        blob = checked.blob
        if blob.segment != current:
            findings += _missing(current, wanted)
            current = blob.segment
            wanted = live_blobs(rows, current)
            missing.discard(current)
        if checked.damage:
            fatal = blob.offset in wanted
            wanted.pop(blob.offset, None)
            remedy = _RESTORE if fatal else "nothing names these bytes; compaction will remove them"
            findings.append(Finding(fatal, f"{_place(blob)}: {checked.damage}", remedy))
        elif wanted.get(blob.offset) == blob.size:
            del wanted[blob.offset]
    findings += _missing(current, wanted)
    for segment in sorted(missing):
        findings += _missing(segment, live_blobs(rows, segment))
    return findings


def _missing(segment: int, wanted: dict[int, int]) -> list[Finding]:
    some = sorted(wanted.items())[:_MOST_FINDINGS]
    return [
        Finding(True, f"{_place(BlobId(segment, offset, size))}: a message is missing", _RESTORE)
        for offset, size in some
    ]


def _place(blob: BlobId) -> str:
    return f"segment {blob.segment} at {blob.offset}"
