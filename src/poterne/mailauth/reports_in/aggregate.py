"""Aggregate reports about DMARC, as XML: RFC 7489 appendix C, RFC 9990, and what is sent in their name.

Elements are known by their own name and that of the element around them; namespaces, order, and what else stands there do not
matter. What lacks is left empty, what makes no sense is left out, and `warnings` say so. Rows that are alike are added up.
"""

from collections.abc import Callable, Iterator
from typing import Final, final

from poterne.mailauth.reports_in import mend, xml
from poterne.mailauth.reports_in.outcome import Fault, Limits, ReportError
from poterne.values.dmarc import DkimAuth, DmarcReport, DmarcRow, Override, PublishedPolicy, SpfAuth

ELEMENTS_A_ROW: Final = 64
DKIM_MOST: Final = 8
SPF_MOST: Final = 2
OVERRIDES_MOST: Final = 4
KEPT_MOST: Final = 16 * 1024 * 1024
"""Weight of all rows, about their octets in memory."""
WARNINGS_MOST: Final = 20
_POLICIES: Final = frozenset({"none", "quarantine", "reject"})
_HEAD: Final = {
    ("report_metadata", "org_name"), ("report_metadata", "email"), ("report_metadata", "extra_contact_info"),
    ("report_metadata", "report_id"), ("report_metadata", "generator"), ("date_range", "begin"), ("date_range", "end"),
    ("feedback", "version"),
}  # fmt: skip
_POLICY: Final = frozenset(
    {"domain", "p", "sp", "np", "adkim", "aspf", "pct", "fo", "testing", "t", "discovery_method", "version_published"}
)
_ROW: Final = {
    ("row", "source_ip"), ("row", "count"), ("policy_evaluated", "disposition"), ("policy_evaluated", "dkim"),
    ("policy_evaluated", "spf"), ("identifiers", "header_from"), ("identifiers", "envelope_from"),
    ("identifiers", "envelope_to"), ("identities", "header_from"), ("identities", "envelope_from"),
}  # fmt: skip


@final
class _Report(xml.Listener):
    """What was heard so far."""

    def __init__(self, limits: Limits, warnings: list[str]) -> None:
        self._limits: Final = limits
        self.warnings: Final = warnings
        self._stack: list[str] = []
        self.head: Final[dict[str, str]] = {}
        self.policy: Final[dict[str, str]] = {}
        self.rows: Final[dict[DmarcRow, int]] = {}
        self.records = 0
        self._kept = 0
        self._record: dict[str, str] = {}
        self._part: dict[str, str] = {}
        self._dkim: list[DkimAuth] = []
        self._spf: list[SpfAuth] = []
        self._overrides: list[Override] = []

    def begins(self, name: str) -> None:
        if name == "record":
            if self.records >= self._limits.rows:
                self.warn(f"more than {self._limits.rows} records: the rest is left out")
                raise xml.Enough
            self.records += 1
            self._record, self._dkim, self._spf, self._overrides = {}, [], [], []
        elif name in {"dkim", "spf", "reason"}:
            self._part = {}
        self._stack.append(name)

    def ends(self, name: str, text: str) -> None:
        stack = self._stack
        stack.pop()
        around = stack[-1] if stack else ""
        if around in {"dkim", "spf", "reason"}:
            self._part.setdefault(name, text)
        elif (around, name) in _ROW:
            self._record.setdefault(name, text)
        elif around == "auth_results":
            self._authenticated(name)
        elif name == "reason":
            self._overridden()
        elif name == "record":
            self._row()
        elif (around, name) in _HEAD:
            self.head.setdefault(name, text)
        elif around == "policy_published" and name in _POLICY:
            self.policy.setdefault(name, text)

    def warn(self, text: str) -> None:
        if len(self.warnings) < WARNINGS_MOST and text not in self.warnings:
            self.warnings.append(text)

    def _authenticated(self, name: str) -> None:
        get = self._part.get
        if name == "dkim" and len(self._dkim) < DKIM_MOST and self._part:
            selector = mend.text(get("selector", ""))
            self._dkim.append(DkimAuth(mend.domain(get("domain", "")), selector, mend.result(get("result", ""))))
        elif name == "spf" and len(self._spf) < SPF_MOST and self._part:
            scope = mend.word(get("scope", ""))
            self._spf.append(
                SpfAuth(
                    mend.domain(get("domain", "")),
                    scope if scope in {"mfrom", "helo"} else "mfrom",
                    mend.result(get("result", "")),
                )
            )

    def _overridden(self) -> None:
        one = Override(mend.word(self._part.get("type", "")), mend.text(self._part.get("comment", "")))
        if (one.type or one.comment) and len(self._overrides) < OVERRIDES_MOST:
            self._overrides.append(one)

    def _row(self) -> None:
        get = self._record.get
        count = mend.number(get("count", ""))
        if not count or count > mend.COUNT_MOST:
            self.warn("a record without a count that makes sense is left out")
            return
        source = mend.ip(get("source_ip", ""))
        if not source:
            self.warn("a record without the address of a source is left out")
            return
        disposition = mend.word(get("disposition", ""))
        if disposition not in mend.DISPOSITIONS:
            self.warn("a disposition that does not exist counts as none")
            disposition = "none"
        row = DmarcRow(
            source_ip=source,
            count=0,
            disposition=disposition,
            dkim=self._aligned(get("dkim", "")),
            spf=self._aligned(get("spf", "")),
            header_from=mend.domain(get("header_from", "")),
            envelope_from=mend.domain(get("envelope_from", "")),
            envelope_to=mend.domain(get("envelope_to", "")),
            dkim_results=tuple(self._dkim),
            spf_results=tuple(self._spf),
            overrides=tuple(self._overrides),
        )
        had = self.rows.get(row, 0)
        if not had:
            self._kept += _size(row)
            if self._kept > KEPT_MOST:
                self.warn("too much text: the rest is left out")
                raise xml.Enough
        self.rows[row] = min(had + count, mend.COUNT_MOST)

    def _aligned(self, value: str) -> str:
        found = mend.word(value)
        if found not in {"pass", "fail"}:
            self.warn("a result that is neither pass nor fail counts as fail")
        return "pass" if found == "pass" else "fail"


def _size(row: DmarcRow) -> int:
    return (
        200
        + len(row.header_from)
        + len(row.envelope_from)
        + len(row.envelope_to)
        + sum(100 + len(one.domain) + len(one.selector) for one in row.dkim_results)
        + sum(100 + len(one.domain) for one in row.spf_results)
        + sum(100 + len(one.comment) for one in row.overrides)
    )


def read(document: Callable[[], Iterator[bytes]], limits: Limits, now: int) -> DmarcReport:
    """The report; rows about other domains than that of its policy are left out. Raises ReportError."""
    warnings: list[str] = []
    heard, whole = xml.read(document, lambda: _Report(limits, warnings), limits.rows * ELEMENTS_A_ROW, warnings)
    if not isinstance(heard, _Report):
        raise TypeError
    if not heard.rows and (not whole or not heard.head):
        raise ReportError(Fault.SYNTAX)
    about = mend.domain(heard.policy.get("domain", ""))
    if not about and len(froms := {row.header_from for row in heard.rows}) == 1:
        about = froms.pop()
        heard.warn("the policy's domain is missing; the authors' one is taken")
    get = heard.head.get
    email = mend.text(get("email", ""))
    organisation = mend.text(get("org_name", "")) or mend.domain(email)
    if not about or not organisation:
        raise ReportError(Fault.INCOMPLETE)
    span = mend.span(mend.moment(get("begin", "")), mend.moment(get("end", "")), now, warnings)
    if span is None:
        raise ReportError(Fault.RANGE)
    report_id = mend.text(get("report_id", ""))
    if not report_id:
        heard.warn("it has no id; its times stand for one")
        report_id = f"{span[0]}-{span[1]}"
    return DmarcReport(
        organisation=organisation,
        email=email,
        report_id=report_id,
        begin=span[0],
        end=span[1],
        policy=_policy(about, heard.policy),
        rows=_rows(heard, about),
        version=mend.text(get("version", ""), 16),
        extra_contact=mend.text(get("extra_contact_info", "")),
        generator=mend.text(get("generator", "")),
        warnings=tuple(warnings[:WARNINGS_MOST]),
    )


def _policy(about: str, said: dict[str, str]) -> PublishedPolicy:
    def of(name: str, words: frozenset[str]) -> str:
        value = mend.word(said.get(name, ""))
        return value if value in words else ""

    discovery = of("discovery_method", frozenset({"psl", "treewalk"}))
    return PublishedPolicy(
        domain=about,
        p=of("p", _POLICIES),
        sp=of("sp", _POLICIES),
        np=of("np", _POLICIES),
        adkim=of("adkim", frozenset("rs")),
        aspf=of("aspf", frozenset("rs")),
        testing=(said.get("testing") or said.get("t", "")).lower() == "y",
        fo=mend.text(said.get("fo", ""), 16),
        pct=mend.text(said.get("pct", ""), 8),
        discovery=discovery,
    )


def _rows(heard: _Report, about: str) -> tuple[DmarcRow, ...]:
    found = []
    for row, count in heard.rows.items():
        author = row.header_from
        if not author:
            heard.warn("a record without an author's domain counts for the policy's domain")
            author = about
        elif author != about and not author.endswith("." + about):
            heard.warn("a record about another domain is left out")
            continue
        found.append(
            DmarcRow(
                row.source_ip, count, row.disposition, row.dkim, row.spf, author, row.envelope_from, row.envelope_to,
                row.dkim_results, row.spf_results, row.overrides,
            )
        )  # fmt: skip
    return tuple(found)
