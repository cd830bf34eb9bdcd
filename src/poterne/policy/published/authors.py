"""DMARC: there (D17), correct (D18), strong (D19), with signatures behind it (D20), found alike by all (D21), its reports wanted
(D22), and holding for the domains below (D23).
"""

from collections.abc import Iterator
from typing import Final

from poterne.mailauth.dkim.record import Key
from poterne.mailauth.dkim.record import read as read_key
from poterne.mailauth.dmarc import external, record
from poterne.mailauth.dmarc.discover import discover
from poterne.mailauth.dmarc.external import Consent
from poterne.mailauth.dmarc.outcome import Policy
from poterne.mailauth.dmarc.outcome import Reason as DmarcReason
from poterne.mailauth.dmarc.record import Problem, Psd, Record
from poterne.mailauth.spf.check import Steps
from poterne.policy.published.asking import Check, Findings, Subject, ask, ask_all, records, why
from poterne.policy.published.dmarc_kept import STRENGTH, at_least
from poterne.policy.published.finding import Finding, Outcome, Severity
from poterne.policy.published.wanted import dmarc_text
from poterne.values.dns import AAAA, MX, TXT, A, Found, TempFail
from poterne.values.zone import ZoneRecord, txt

_WARN, _FAIL, _UNKNOWN = Outcome.WARN, Outcome.FAIL, Outcome.UNKNOWN
_PRESENCE: Final = frozenset((Problem.NO_RECORD, Problem.SEVERAL_RECORDS, Problem.VERSION, Problem.LEADING_SPACE))
_WORDS: Final = {
    Problem.NO_RECORD: "there is no DMARC record: whoever forges the domain is not refused, and you do not hear of it",
    Problem.SEVERAL_RECORDS: "there are several DMARC records, which counts as none",
    Problem.VERSION: "the DMARC record does not begin with exactly `v=DMARC1;`, and counts as none",
    Problem.LEADING_SPACE: "the DMARC record begins with a space, and counts as none",
    Problem.TOO_LONG: "the record is too long",
    Problem.P_INVALID: "p= is none of none, quarantine, reject",
    Problem.SP_INVALID: "sp= is none of none, quarantine, reject",
    Problem.NP_INVALID: "np= is none of none, quarantine, reject",
    Problem.POLICY_NONE: "so that the policy is p=none, whatever else it says",
    Problem.UNUSABLE: "so that there is no DMARC at all",
    Problem.P_MISSING: "p= is missing",
    Problem.P_LATE: "p= is not the second tag, where older receivers want it",
    Problem.TAG_SYNTAX: "a tag can't be read",
    Problem.TAG_TWICE: "a tag stands twice",
    Problem.TAG_UNKNOWN: "it has a tag that nobody knows",
    Problem.TAG_REMOVED: "it has pct, rf or ri, which RFC 9989 took out",
    Problem.PCT_BELOW_100: "pct is below 100: older receivers apply the policy to some of the mail only",
    Problem.VALUE_INVALID: "a value can't be read, and the default counts",
    Problem.RUA_INVALID: "an address of rua= can't be read",
    Problem.RUF_INVALID: "an address of ruf= can't be read",
    Problem.URI_SIZE: "it has a size limit behind `!`, which is obsolete",
    Problem.URIS_MANY: "it has too many addresses for reports",
    Problem.OTHER_TEXT: "beside DMARC there stands a text that does not belong there",
}
_SERIOUS: Final = frozenset(
    (Problem.UNUSABLE, Problem.POLICY_NONE, Problem.TOO_LONG, Problem.P_INVALID, Problem.SP_INVALID, Problem.NP_INVALID)
)


def _where(domain: str) -> str:
    return f"_dmarc.{domain}"


def _live(check: Check, subject: Subject) -> Steps[tuple[bytes, ...] | Finding]:
    answer = yield from ask(_where(subject.domain), TXT)
    if isinstance(answer, TempFail):
        return check.found(_UNKNOWN, "dns", why(_where(subject.domain), answer))
    return records(answer)


def _record(check: Check, subject: Subject) -> Steps[Record | Finding | None]:
    """The domain's own record, when there is one."""
    texts = yield from _live(check, subject)
    if isinstance(texts, Finding):
        return texts
    found = record.select(texts)
    return record.read(found[0]) if len(found) == 1 else None


def _fix(subject: Subject, *live: bytes) -> tuple[ZoneRecord, ...]:
    """The records to paste, no weaker than what is there."""
    return tuple(at_least(one, live) for one in subject.records("dmarc"))


def _presence(subject: Subject) -> Steps[Findings]:
    texts = yield from _live(PRESENCE, subject)
    if isinstance(texts, Finding):
        return [texts]
    fix, name = _fix(subject, *texts), _where(subject.domain)
    problems = record.examine(texts)
    worst = [problem for problem in problems if problem in _PRESENCE]
    if len(worst) > 1 and Problem.NO_RECORD in worst:  # one is there, and counts as none: that says more
        worst.remove(Problem.NO_RECORD)
    remove = [f"{name} TXT {text.decode('latin-1')}" for text in texts]
    out = [
        PRESENCE.found(_FAIL, problem.value, _WORDS[problem], evidence=texts, fix=fix, remove=remove)
        for problem in worst
    ]
    if Problem.OTHER_TEXT in problems:
        strange = [text for text in texts if record.read(text) is None]
        remove = [f"{name} TXT {text.decode('latin-1')}" for text in strange]
        out.append(PRESENCE.found(_WARN, "other-text", _WORDS[Problem.OTHER_TEXT], evidence=strange, remove=remove))
    apex = yield from ask(subject.domain, TXT)
    if isinstance(apex, TempFail):
        out.append(PRESENCE.found(_UNKNOWN, "dns", why(subject.domain, apex)))
    if misplaced := record.select(records(apex)):
        text = f"a DMARC record stands at {subject.domain} itself, where nobody looks for it"
        remove = [f"{subject.domain} TXT {one.decode('latin-1')}" for one in misplaced]
        out.append(PRESENCE.found(_WARN, "misplaced", text, evidence=misplaced, fix=fix, remove=remove))
    return out


def _syntax(subject: Subject) -> Steps[Findings]:
    found = yield from _record(SYNTAX, subject)
    if isinstance(found, Finding):
        return [found]
    if found is None or not found.problems:
        return []
    outcome = _FAIL if _SERIOUS.intersection(found.problems) else _WARN
    text = "the DMARC record is not as it should be: " + "; ".join(_WORDS[problem] for problem in found.problems)
    word = found.problems[0].value
    return [SYNTAX.found(outcome, word, text, evidence=[found.text], fix=_fix(subject, found.text.encode()))]


def _effective(subject: Subject) -> Steps[Findings]:
    found = yield from _record(EFFECTIVE, subject)
    if isinstance(found, Finding):
        return [found]
    if found is None or found.p is None:
        return []  # D17 and D18 tell
    return list(_weaknesses(subject, found))


def _weaknesses(subject: Subject, found: Record) -> Iterator[Finding]:
    fix, evidence = _fix(subject, found.text.encode()), [found.text]
    wanted, live = Policy(subject.facts.dmarc), found.p or Policy.NONE
    if STRENGTH.index(live) < STRENGTH.index(wanted):
        text = f"the policy in DNS is p={live.value}; the settings say {wanted.value}"
        yield EFFECTIVE.found(_FAIL, "weaker", text, evidence=evidence, fix=fix)
    elif live is Policy.NONE:
        text = "p=none: forgeries are reported, and not refused"
        remedy = f"poterne report dmarc {subject.domain} says when the next step is safe"
        yield EFFECTIVE.found(_WARN, "none", text, evidence=evidence, remedy=remedy, severity=Severity.MEDIUM)
    if found.testing:
        text = "t=y: the policy counts one level less than it says"
        yield EFFECTIVE.found(_WARN, "testing", text, evidence=evidence, fix=fix)
    existing, _ = found.subdomains(existing=True)
    if STRENGTH.index(existing) < STRENGTH.index(live):
        text = f"sp={existing.value}: names below the domain are easier to forge than itself"
        yield EFFECTIVE.found(_WARN, "subdomains", text, evidence=evidence, fix=fix)
    missing, tag = found.subdomains(existing=False)
    if missing is not Policy.REJECT:
        text = f"mail from names below the domain that do not exist is not refused ({tag}={missing.value})"
        better = dmarc_text(subject.facts, live.value)
        stronger = txt(_where(subject.domain), better, "dmarc")
        yield EFFECTIVE.found(_WARN, "no-np", text, evidence=evidence, fix=[stronger], severity=Severity.LOW)


def _preconditions(subject: Subject) -> Steps[Findings]:
    found = yield from _record(PRECONDITIONS, subject)
    if isinstance(found, Finding):
        return [found]
    if found is None or found.p is not Policy.REJECT:
        return []
    keys = yield from ask_all([key.name for key in subject.facts.dkim], TXT)
    if any(isinstance(read_key(text), Key) for answer in keys for text in records(answer)):
        return []
    if any(isinstance(answer, TempFail) for answer in keys):
        return [PRECONDITIONS.found(_UNKNOWN, "dns", "DKIM keys: DNS does not say now")]
    text = "p=reject with SPF alone: forwarded mail is refused (RFC 9989 §7.4 forbids it)"
    fix = subject.records("dkim") or (txt(_where(subject.domain), dmarc_text(subject.facts, "none"), "dmarc"),)
    return [PRECONDITIONS.found(_FAIL, "spf-only", text, evidence=[found.text], fix=fix)]


def _divergence(subject: Subject) -> Steps[Findings]:
    found = yield from discover(subject.domain)
    fix = subject.records("dmarc")
    if found.reason is DmarcReason.DNS:
        return [DIVERGENCE.found(_UNKNOWN, "dns", f"{_where(subject.domain)}: DNS does not say now")]
    if found.record is not None:
        fix = _fix(subject, found.record.text.encode())
    if found.record is not None and found.policy_domain != subject.domain:
        text = f"the policy comes from {found.policy_domain}: receivers of RFC 7489 and RFC 9989 may disagree"
        return [DIVERGENCE.found(_WARN, "inherited", text, evidence=[found.record.text], fix=fix)]
    if found.record is not None and found.record.psd is Psd.YES:
        text = "psd=y says that the domain is a public suffix, under which others register names"
        return [DIVERGENCE.found(_WARN, "psd", text, evidence=[found.record.text], fix=fix)]
    return []


def _reports(subject: Subject) -> Steps[Findings]:
    found = yield from _record(REPORTS, subject)
    if isinstance(found, Finding):
        return [found]
    if found is None:
        return []
    fix, out = _fix(subject, found.text.encode()), Findings()
    evidence = [found.text]
    if not found.rua:
        text = "nobody gets the reports (no rua=): you do not hear who forges the domain"
        return [REPORTS.found(_WARN, "no-rua", text, evidence=evidence, fix=fix)]
    live = {str(address) for uri in found.rua if (address := record.mailbox(uri)) is not None}
    if missing := set(subject.facts.rua) - live:
        text = f"the reports do not go to {', '.join(sorted(missing))}, where they are read"
        out.append(REPORTS.found(_WARN, "not-here", text, evidence=evidence, fix=fix))
    if found.ruf:
        text = "ruf= asks for failure reports, which hold personal data"
        out.append(REPORTS.found(_WARN, "ruf", text, evidence=evidence, fix=fix, severity=Severity.LOW))
    destinations = yield from external.consents(subject.domain, found.rua)
    for one in destinations:
        if one.consent is Consent.UNKNOWN:
            out.append(REPORTS.found(_UNKNOWN, "dns", f"{one.host}: DNS does not say now whether it takes the reports"))
        elif one.consent is Consent.REFUSED:
            text = f"{one.host} does not say that it takes the reports: they are not sent (RFC 9990 §4)"
            name = external.name(subject.domain, one.host)
            authorisation = subject.records("dmarc-report", name=name) or (txt(name, "v=DMARC1;", "dmarc-report"),)
            out.append(REPORTS.found(_FAIL, "unauthorised", text, evidence=evidence, fix=authorisation))
    for host in dict.fromkeys(one.host for one in destinations if one.host and one.consent.sends):
        out += yield from _takes_mail(subject, host)
    return out


def _takes_mail(subject: Subject, host: str) -> Steps[Findings]:
    answer = yield from ask(host, MX)
    if isinstance(answer, Found) and not any(one.null for one in answer.records):
        return []
    six = yield from ask(host, AAAA)
    four = yield from ask(host, A)
    null = isinstance(answer, Found)
    if not null and (records(six) or records(four)):
        return []
    if any(isinstance(one, TempFail) for one in (answer, six, four)):
        return [REPORTS.found(_UNKNOWN, "dns", f"{host}: DNS does not say now whether it takes mail")]
    text = f"{host} takes no mail: reports do not arrive there"
    fix: tuple[ZoneRecord, ...] = subject.records("mx") if host == subject.domain else subject.records("dmarc")
    return [REPORTS.found(_FAIL, "no-mx", text, fix=fix)]


def _below(subject: Subject) -> Steps[Findings]:
    out: Findings = []
    for name in subject.relatives:
        if not name.endswith("." + subject.domain):
            continue
        found = yield from discover(name)
        if found.reason is DmarcReason.DNS:
            out.append(BELOW.found(_UNKNOWN, "dns", f"_dmarc.{name}: DNS does not say now"))
        elif found.record is None or STRENGTH.index(found.requested) < STRENGTH.index(Policy(subject.facts.dmarc)):
            text = f"{name}, which is served here too, is easier to forge than {subject.domain}"
            fix = [txt(_where(name), dmarc_text(subject.facts), "dmarc")]
            out.append(BELOW.found(_WARN, "weaker", text, fix=fix))
    return out


PRESENCE: Final = Check("D17", "one DMARC record, where it belongs", Severity.HIGH, _presence)
SYNTAX: Final = Check("D18", "the DMARC record is correct", Severity.HIGH, _syntax)
EFFECTIVE: Final = Check("D19", "DMARC has forgeries refused", Severity.HIGH, _effective)
PRECONDITIONS: Final = Check("D20", "DMARC does not rely on SPF alone", Severity.HIGH, _preconditions)
DIVERGENCE: Final = Check("D21", "all receivers find the same DMARC record", Severity.MEDIUM, _divergence)
REPORTS: Final = Check("D22", "DMARC reports arrive", Severity.MEDIUM, _reports)
BELOW: Final = Check("D23", "DMARC holds for the domains below that are served here", Severity.MEDIUM, _below)
CHECKS: Final = (PRESENCE, SYNTAX, EFFECTIVE, PRECONDITIONS, DIVERGENCE, REPORTS, BELOW)
