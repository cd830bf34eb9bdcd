"""A report: its JSON (RFC 8460 §4.4) and the message that carries it (§5.3). Pure: time and ids are given."""

import base64
import datetime as dt
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from poterne.message.date import format_date
from poterne.values.tls import TlsCount, TlsFailure

DAY_S: Final = 86_400
_LINE: Final = 76


@dataclass(frozen=True, slots=True)
class Report:
    """What one domain's servers did on one UTC day. `unique`: letters and digits."""

    submitter: str
    """Our domain, that of `contact`."""
    contact: str
    domain: str
    day: int
    counts: tuple[TlsCount, ...]
    unique: str

    @property
    def id(self) -> str:
        return f"{self.day}.{self.unique}@{self.submitter}"

    @property
    def filename(self) -> str:
        """RFC 8460 §5.1."""
        begin = self.day * DAY_S
        return f"{self.submitter}!{self.domain}!{begin}!{begin + DAY_S - 1}!{self.unique}.json.gz"


def as_json(report: Report) -> bytes:
    """RFC 8460 §4.4, as UTF-8."""
    begin = report.day * DAY_S
    whole = {
        "organization-name": report.submitter,
        "date-range": {"start-datetime": _moment(begin), "end-datetime": _moment(begin + DAY_S - 1)},
        "contact-info": report.contact,
        "report-id": report.id,
        "policies": [_policy(count) for count in report.counts],
    }
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _moment(unix_s: int) -> str:
    return dt.datetime.fromtimestamp(unix_s, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _policy(count: TlsCount) -> dict[str, object]:
    applied = count.policy
    policy: dict[str, object] = {"policy-type": applied.kind.value, "policy-domain": applied.domain}
    if applied.strings:
        policy["policy-string"] = list(applied.strings)
    if applied.mx:
        policy["mx-host"] = list(applied.mx)
    found: dict[str, object] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": count.succeeded,
            "total-failure-session-count": count.failed,
        },
    }
    if count.failures:
        found["failure-details"] = [_failure(failure, sessions) for failure, sessions in count.failures]
    return found


def _failure(failure: TlsFailure, sessions: int) -> dict[str, object]:
    texts = {
        "sending-mta-ip": failure.source,
        "receiving-mx-hostname": failure.mx,
        "receiving-ip": failure.address,
        "failure-reason-code": failure.reason,
    }
    known = {key: text for key, text in texts.items() if text}
    return {"result-type": failure.result.value, **known, "failed-session-count": sessions}


_TEXT: Final = """\
This is an aggregate TLS report from {submitter}
about the mail servers of {domain} on {day} (UTC).
Sessions that met their policy: {succeeded}. Sessions that did not: {failed}.
The attachment has the details (RFC 8460).
"""


def as_message(report: Report, to: Sequence[str], unix_s: int) -> bytes:
    """The message (RFC 8460 §5.3), 7-bit, CRLF. Addresses and domains are checked ones."""
    submitter, domain = report.submitter, report.domain
    boundary = f"=_{report.unique}_{report.day}"
    text = _TEXT.format(
        submitter=submitter,
        domain=domain,
        day=_moment(report.day * DAY_S)[:10],
        succeeded=sum(count.succeeded for count in report.counts),
        failed=sum(count.failed for count in report.counts),
    )
    packed = base64.b64encode(gzip.compress(as_json(report), mtime=0)).decode("ascii")
    lines = [
        f"From: <{report.contact}>",
        "To: " + ",\r\n ".join(f"<{one}>" for one in to),
        f"Subject: Report Domain: {domain}",
        f" Submitter: {submitter}",
        f" Report-ID: <{report.id}>",
        f"Date: {format_date(unix_s, 0)}",
        f"Message-ID: <tlsrpt.{report.id}>",
        f"TLS-Report-Domain: {domain}",
        f"TLS-Report-Submitter: {submitter}",
        "TLS-Required: No",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type="tlsrpt";',
        f' boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
        "",
        *text.splitlines(),
        f"--{boundary}",
        "Content-Type: application/tlsrpt+gzip",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;",
        f' filename="{report.filename}"',
        "",
        *(packed[at : at + _LINE] for at in range(0, len(packed), _LINE)),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii", "replace")
