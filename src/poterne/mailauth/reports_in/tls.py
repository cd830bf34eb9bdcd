"""Reports about TLS, as JSON (RFC 8460 §4.4).

JSON is read whole, into structures with the fields that are wanted; what else stands there is passed over. Each structure needs
a brace, so their number is bounded before they are made.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from poterne.mailauth.reports_in import mend
from poterne.mailauth.reports_in.outcome import Fault, Limits, ReportError
from poterne.values.reports import TlsReport, TlsReportRow

JSON_MOST: Final = 8 * 1024 * 1024
POLICIES_MOST: Final = 1000
FAILURES_MOST: Final = 50
"""Kept of one policy; those with most sessions."""
_KINDS: Final = frozenset({"sts", "tlsa", "no-policy-found"})
_BOM: Final = b"\xef\xbb\xbf"

_Text = str | int | float | None
_Number = int | float | str | None


class _Fields(msgspec.Struct, rename=lambda name: name.replace("_", "-")):
    """RFC 8460 writes its names with hyphens."""


class _Range(_Fields):
    start_datetime: _Text = None
    end_datetime: _Text = None


class _PolicyOf(_Fields):
    policy_type: _Text = None
    policy_domain: _Text = None


class _Summary(_Fields):
    total_successful_session_count: _Number = None
    total_failure_session_count: _Number = None


class _Failure(_Fields):
    result_type: _Text = None
    receiving_mx_hostname: _Text = None
    failed_session_count: _Number = None


class _Policy(_Fields):
    policy: _PolicyOf | None = None
    summary: _Summary | None = None
    failure_details: list[_Failure] | _Failure | None = None


class _Report(_Fields):
    organization_name: _Text = None
    contact_info: _Text = None
    report_id: _Text = None
    date_range: _Range | None = None
    policies: list[_Policy] | None = None


_decoder: Final = msgspec.json.Decoder(_Report)


def read(document: Iterator[bytes], limits: Limits, now: int) -> TlsReport:
    """The report. Raises ReportError."""
    found = _decoded(_whole(document), limits)
    warnings: list[str] = []
    when = found.date_range or _Range()
    begin, end = mend.moment(_text(when.start_datetime)), mend.moment(_text(when.end_datetime))
    if begin is None and end is None:
        raise ReportError(Fault.INCOMPLETE)
    span = mend.span(begin, end, now, warnings)
    if span is None:
        raise ReportError(Fault.RANGE)
    contact = mend.text(_text(found.contact_info))
    organisation = mend.text(_text(found.organization_name)) or mend.domain(contact)
    policies = found.policies or []
    if not organisation:
        raise ReportError(Fault.INCOMPLETE)
    if not policies:
        warnings.append("it holds no policy")
    if len(policies) > POLICIES_MOST:
        warnings.append(f"more than {POLICIES_MOST} policies: the rest is left out")
    rows = tuple(_row(one, warnings) for one in policies[:POLICIES_MOST])
    report_id = mend.text(_text(found.report_id))
    if not report_id:
        warnings.append("it has no id; its times stand for one")
        report_id = f"{span[0]}-{span[1]}"
    return TlsReport(organisation, contact, report_id, span[0], span[1], rows, tuple(dict.fromkeys(warnings)))


def _whole(document: Iterator[bytes]) -> bytes:
    pieces, size = [], 0
    for piece in document:
        size += len(piece)
        if size > JSON_MOST:
            raise ReportError(Fault.TOO_LARGE)
        pieces.append(piece)
    return b"".join(pieces)


def _decoded(octets: bytes, limits: Limits) -> _Report:
    if octets[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        octets = octets.decode("utf-16", "replace").encode()
    octets = octets.removeprefix(_BOM).strip()
    if octets.count(b"{") > limits.rows * 2:
        raise ReportError(Fault.TOO_LARGE)
    for attempt in (octets, None):
        try:
            return _decoder.decode(octets.decode("latin-1").encode() if attempt is None else attempt)
        except RecursionError:
            raise ReportError(Fault.DEPTH) from None
        except UnicodeDecodeError:
            continue
        except (msgspec.MsgspecError, ValueError):
            break
    raise ReportError(Fault.SYNTAX)


def _text(value: _Text) -> str:
    return "" if value is None else str(value)[:1000]


def _count(value: _Number, warnings: list[str]) -> int:
    found = mend.number(str(value)[:40]) if value is not None else 0
    if found is None or found > mend.COUNT_MOST:
        warnings.append("a number of sessions that makes no sense counts as 0")
        return 0
    return found


def _row(one: _Policy, warnings: list[str]) -> TlsReportRow:
    policy, summary = one.policy or _PolicyOf(), one.summary or _Summary()
    details = one.failure_details or []
    kind = mend.word(_text(policy.policy_type))
    if kind not in _KINDS:
        warnings.append("a kind of policy that does not exist")
    counted: dict[tuple[str, str], int] = {}
    for failure in details if isinstance(details, list) else [details]:
        key = mend.word(_text(failure.result_type)) or "unknown", mend.domain(_text(failure.receiving_mx_hostname))
        counted[key] = counted.get(key, 0) + _count(failure.failed_session_count, warnings)
    failures = sorted(((word, mx, sessions) for (word, mx), sessions in counted.items()), key=lambda found: -found[2])
    return TlsReportRow(
        policy=kind or "unknown",
        policy_domain=mend.domain(_text(policy.policy_domain)),
        succeeded=_count(summary.total_successful_session_count, warnings),
        failed=_count(summary.total_failure_session_count, warnings),
        failures=tuple(failures[:FAILURES_MOST]),
    )
