"""MTA-STS policies that were fetched, and how TLS went: bounded, for whoever can name domains to us must not fill the disk."""

from collections.abc import Sequence
from typing import Final

import msgspec

from poterne.store.sqlite import delivery
from poterne.store.sqlite.connection import Rows
from poterne.store.sqlite.transaction import Tx
from poterne.values.event import Event
from poterne.values.queue import NewQueued
from poterne.values.tls import AppliedPolicy, KeptPolicy, TlsCount, TlsFailure

POLICIES_MOST: Final = 100_000
_SPARE: Final = 1_000
DOMAINS_MOST: Final = 100_000
"""Rows of sessions that one day has; beyond, only those that are there are counted on."""
FAILURES_MOST: Final = 100
"""Different failures that are kept of a domain's policy and day."""
_COLUMNS: Final = "domain, policy_id, text, fetched_at, expires_at, checked_at"
_policy: Final = msgspec.json.Decoder(AppliedPolicy)
_failure: Final = msgspec.json.Decoder(TlsFailure)


def policy(rows: Rows, domain: str) -> KeptPolicy | None:
    row = rows.one(f"SELECT {_COLUMNS} FROM tls_policy WHERE domain = ?", (domain,))  # noqa: S608  (constant columns)
    return None if row is None else KeptPolicy(*row)


def policies_to_refresh(rows: Rows, checked_before: int, now: int, limit: int) -> list[KeptPolicy]:
    found = rows.all(
        f"SELECT {_COLUMNS} FROM tls_policy WHERE checked_at < ? AND expires_at > ? ORDER BY checked_at LIMIT ?",  # noqa: S608
        (checked_before, now, limit),
    )
    return [KeptPolicy(*row) for row in found]


def keep_policy(tx: Tx, kept: KeptPolicy, *, most: int = POLICIES_MOST, spare: int = _SPARE) -> None:
    """The newest one of its domain. Beyond `most` those go that expire first."""
    row = (kept.id, kept.text, kept.fetched_at, kept.expires_at, kept.checked_at, kept.domain)
    if tx.count(
        "UPDATE tls_policy SET policy_id = ?, text = ?, fetched_at = ?, expires_at = ?, checked_at = ? WHERE domain = ?",
        row,
    ):
        return
    tx.run(
        "INSERT INTO tls_policy VALUES (?, ?, ?, ?, ?, ?)",
        (kept.domain, kept.id, kept.text, kept.fetched_at, kept.expires_at, kept.checked_at),
    )
    ((count,),) = tx.all(
        "INSERT INTO meta VALUES ('tls_policies', 1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value"
    )
    if count > most:
        tx.run(
            "DELETE FROM tls_policy WHERE domain IN (SELECT domain FROM tls_policy ORDER BY expires_at LIMIT ?)",
            (count - most + spare,),
        )
        tx.run("UPDATE meta SET value = (SELECT count(*) FROM tls_policy) WHERE key = 'tls_policies'")


def count(tx: Tx, counts: Sequence[TlsCount], *, most: int = DOMAINS_MOST) -> None:
    """Add to what is there."""
    for one in counts:
        text = msgspec.json.encode(one.policy).decode()
        key = (one.day, one.domain, text)
        added = tx.count(
            "UPDATE tls_session SET succeeded = succeeded + ?, failed = failed + ?"
            " WHERE day = ? AND domain = ? AND policy = ?",
            (one.succeeded, one.failed, *key),
        )
        if not added:
            ((rows,),) = tx.all(
                "SELECT count(*) FROM (SELECT 1 FROM tls_session WHERE day = ? LIMIT ?)", (one.day, most)
            )
            if rows >= most:
                continue
            tx.run("INSERT INTO tls_session VALUES (?, ?, ?, ?, ?)", (*key, one.succeeded, one.failed))
        _count_failures(tx, key, one.failures)


def _count_failures(tx: Tx, key: tuple[int, str, str], failures: Sequence[tuple[TlsFailure, int]]) -> None:
    for failure, sessions in failures:
        text = msgspec.json.encode(failure).decode()
        if tx.count(
            "UPDATE tls_failure SET sessions = sessions + ? WHERE day = ? AND domain = ? AND policy = ? AND failure = ?",
            (sessions, *key, text),
        ):
            continue
        ((rows,),) = tx.all("SELECT count(*) FROM tls_failure WHERE day = ? AND domain = ? AND policy = ?", key)
        if rows < FAILURES_MOST:
            tx.run("INSERT INTO tls_failure VALUES (?, ?, ?, ?, ?)", (*key, text, sessions))


def days_to_report(rows: Rows, before_day: int, limit: int) -> list[tuple[int, str]]:
    found = rows.all(
        "SELECT DISTINCT day, domain FROM tls_session WHERE day < ? ORDER BY day, domain LIMIT ?", (before_day, limit)
    )
    return [(day, domain) for day, domain in found]


def counts(rows: Rows, day: int, domain: str) -> list[TlsCount]:
    failures: dict[str, list[tuple[TlsFailure, int]]] = {}
    for text, failure, sessions in rows.all(
        "SELECT policy, failure, sessions FROM tls_failure WHERE day = ? AND domain = ?", (day, domain)
    ):
        failures.setdefault(text, []).append((_failure.decode(failure), sessions))
    return [
        TlsCount(day, domain, _policy.decode(text), succeeded, failed, tuple(failures.get(text, ())))
        for text, succeeded, failed in rows.all(
            "SELECT policy, succeeded, failed FROM tls_session WHERE day = ? AND domain = ?", (day, domain)
        )
    ]


def reported(tx: Tx, day: int, domain: str, reports: Sequence[NewQueued], happened: Sequence[Event]) -> bool:
    """The counts go and the report is queued, unless somebody else was faster."""
    gone = tx.count("DELETE FROM tls_session WHERE day = ? AND domain = ?", (day, domain))
    tx.run("DELETE FROM tls_failure WHERE day = ? AND domain = ?", (day, domain))
    if gone:
        delivery.deliver(tx, (), reports, happened)
    return bool(gone)
