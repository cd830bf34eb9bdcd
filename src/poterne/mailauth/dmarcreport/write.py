"""An aggregate report: its XML and the message that carries it. Pure: time and ids are given.

Two forms. RFC 9990: the namespace of version 2, what the domain published with defaults filled in, one result of SPF. RFC 7489:
no namespace, as nearly everybody sent it, its required elements all there, and no word that it did not know. Texts of strangers
(domains, selectors) are escaped, characters that XML can't hold become `?`, and each is bounded.
"""

import base64
import datetime as dt
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.message.date import format_date
from poterne.values.dmarc import DmarcRow, PublishedPolicy, SpfAuth

DAY_S: Final = 86_400
GENERATOR: Final = "Poterne"
TEXT_MOST: Final = 300
ROWS_AT_ONCE: Final = 200
_NAMESPACE: Final = "urn:ietf:params:xml:ns:dmarc-2.0"
_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKUP: Final = re.compile("[&<>\"'\r\n\t]")
_ESCAPES: Final = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
    "'": "&apos;",
    "\r": " ",
    "\n": " ",
    "\t": " ",
}
_PLAIN: Final = re.compile(r"[A-Za-z0-9._:@/ +-]*")
_POLICIES: Final = frozenset({"none", "quarantine", "reject"})
_DKIM: Final = frozenset({"none", "pass", "fail", "policy", "neutral", "temperror", "permerror"})
_SPF: Final = frozenset({"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"})
_OVERRIDES: Final = frozenset({"local_policy", "mailing_list", "other", "trusted_forwarder"})
_LINE: Final = 76


class Form(Enum):
    """The value is the word of the setting."""

    RFC9990 = "rfc9990"
    RFC7489 = "rfc7489"


@dataclass(frozen=True, slots=True)
class Report:
    """What came in the name of one domain on one UTC day. `id`: letters and digits, of this report only."""

    submitter: str
    """Our domain."""
    organisation: str
    email: str
    """Where a person answers."""
    contact: str
    day: int
    policy: PublishedPolicy
    rows: tuple[DmarcRow, ...]
    id: str
    form: Form = Form.RFC9990
    error: str = ""

    @property
    def filename(self) -> str:
        """RFC 9990 §3.5.2."""
        begin = self.day * DAY_S
        return f"{self.submitter}!{self.policy.domain}!{begin}!{begin + DAY_S - 1}!{self.id}.xml.gz"


def as_xml(report: Report) -> Iterator[bytes]:
    """The document, as UTF-8, in pieces of some 100 KB."""
    yield _head(report).encode()
    for at in range(0, len(report.rows), ROWS_AT_ONCE):
        yield "".join([_record(row, report.form) for row in report.rows[at : at + ROWS_AT_ONCE]]).encode()
    yield b"</feedback>\n"


def text(value: str) -> str:
    """Character data that says the value, on one line, shortened to TEXT_MOST."""
    value = value[:TEXT_MOST]
    if _PLAIN.fullmatch(value):
        return value
    return _MARKUP.sub(lambda found: _ESCAPES[found[0]], _ILLEGAL.sub("?", value))


def _element(name: str, value: str) -> str:
    return f"<{name}>{text(value)}</{name}>"


def _head(report: Report) -> str:
    modern = report.form is Form.RFC9990
    begin = report.day * DAY_S
    root = f'<feedback xmlns="{_NAMESPACE}">' if modern else "<feedback>"
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        root,
        "<version>1.0</version>",
        "<report_metadata>",
        _element("org_name", report.organisation),
        _element("email", report.email),
    ]
    if report.contact:
        lines.append(_element("extra_contact_info", report.contact))
    lines.append(_element("report_id", report.id))
    lines.append(f"<date_range><begin>{begin}</begin><end>{begin + DAY_S - 1}</end></date_range>")
    if report.error:
        lines.append(_element("error", report.error))
    if modern:
        lines.append(_element("generator", GENERATOR))
    lines += ["</report_metadata>", _policy(report.policy, modern=modern), ""]
    return "\n".join(lines)


def _policy(policy: PublishedPolicy, *, modern: bool) -> str:
    """As published, with the defaults of what is not there (RFC 9989 §4.7)."""
    p = policy.p if policy.p in _POLICIES else "none"
    sp = policy.sp if policy.sp in _POLICIES else p
    said = [
        ("domain", policy.domain),
        ("adkim", "s" if policy.adkim == "s" else "r"),
        ("aspf", "s" if policy.aspf == "s" else "r"),
        ("p", p),
        ("sp", sp),
    ]
    if modern:
        said.append(("np", policy.np if policy.np in _POLICIES else sp))
        said.append(("testing", "y" if policy.testing else "n"))
        if policy.discovery in {"psl", "treewalk"}:
            said.append(("discovery_method", policy.discovery))
        if policy.fo:
            said.append(("fo", policy.fo))
    else:
        said.append(("pct", policy.pct if policy.pct.isdecimal() and policy.pct.isascii() else "100"))
        said.append(("fo", policy.fo or "0"))
    return f"<policy_published>{''.join([_element(*one) for one in said])}</policy_published>"


def _record(row: DmarcRow, form: Form) -> str:
    modern = form is Form.RFC9990
    done = row.disposition
    if done not in _POLICIES:
        done = "pass" if modern and done == "pass" else "none"
    reasons = "".join([_reason(one.type, one.comment, modern=modern) for one in row.overrides])
    envelope_to = _element("envelope_to", row.envelope_to) if row.envelope_to else ""
    dkim = "".join(
        [
            f"<dkim><domain>{text(one.domain)}</domain><selector>{text(one.selector)}</selector>"
            f"<result>{one.result if one.result in _DKIM else 'neutral'}</result></dkim>"
            for one in row.dkim_results
        ]
    )
    return (
        f"<record><row><source_ip>{text(row.source_ip)}</source_ip><count>{row.count}</count>"
        f"<policy_evaluated><disposition>{done}</disposition><dkim>{_aligned(row.dkim)}</dkim>"
        f"<spf>{_aligned(row.spf)}</spf>{reasons}</policy_evaluated></row>"
        f"<identifiers>{envelope_to}<envelope_from>{text(row.envelope_from)}</envelope_from>"
        f"<header_from>{text(row.header_from)}</header_from></identifiers>"
        f"<auth_results>{dkim}{_spf(row, modern=modern)}</auth_results></record>\n"
    )


def _aligned(word: str) -> str:
    return "pass" if word == "pass" else "fail"


def _reason(kind: str, comment: str, *, modern: bool) -> str:
    """A type that the form does not know is told in words."""
    if kind not in _OVERRIDES and not (modern and kind == "policy_test_mode"):
        kind, comment = "other", f"{kind}: {comment}" if comment else kind
    said = _element("comment", comment) if comment else ""
    return f"<reason><type>{kind}</type>{said}</reason>"


def _spf(row: DmarcRow, *, modern: bool) -> str:
    """Both forms want one at least; RFC 9990 wants no more: that of MAIL FROM, if it was asked."""
    results: Iterable[SpfAuth] = row.spf_results
    if not row.spf_results:
        results = (SpfAuth(row.envelope_from or row.header_from, "mfrom", "none"),)
    elif modern:
        results = (next((one for one in row.spf_results if one.scope == "mfrom"), row.spf_results[0]),)
    return "".join(
        [
            f"<spf><domain>{text(one.domain)}</domain><scope>{'helo' if one.scope == 'helo' else 'mfrom'}</scope>"
            f"<result>{one.result if one.result in _SPF else 'none'}</result></spf>"
            for one in results
        ]
    )


_TEXT: Final = """\
This is a DMARC aggregate report from {submitter}
about mail in the name of {domain} on {date} (UTC).
Messages that passed: {passed}. Messages that failed: {failed}.
The attachment has the details (RFC 9990).
"""


def as_message(report: Report, author: str, to: Sequence[str], packed: bytes, unix_s: int) -> bytes:
    """The message (RFC 9990 §3.5.2), 7-bit, CRLF. Addresses and domains are checked ones; `packed`: the XML, compressed."""
    submitter, domain = report.submitter, report.policy.domain
    boundary = f"=_{report.id}"
    note = _TEXT.format(
        submitter=submitter,
        domain=domain,
        date=f"{dt.datetime.fromtimestamp(report.day * DAY_S, dt.UTC):%Y-%m-%d}",
        passed=sum(row.count for row in report.rows if row.passes),
        failed=sum(row.count for row in report.rows if not row.passes),
    )
    attached = base64.b64encode(packed).decode("ascii")
    lines = [
        f"From: <{author}>",
        "To: " + ",\r\n ".join(f"<{one}>" for one in to),
        f"Subject: Report Domain: {domain}",
        f" Submitter: {submitter}",
        f" Report-ID: <{report.id}>",
        f"Date: {format_date(unix_s, 0)}",
        f"Message-ID: <{report.id}@{submitter}>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        "Content-Type: multipart/mixed;",
        f' boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
        "",
        *note.splitlines(),
        f"--{boundary}",
        "Content-Type: application/gzip",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;",
        f' filename="{report.filename}"',
        "",
        *(attached[at : at + _LINE] for at in range(0, len(attached), _LINE)),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode("ascii", "replace")
