"""Who may send in the domain's name: syntax (D07), limits (D08), strangers (D09), size (D10), names that are gone (D11), what
nobody should use (D12), and our own addresses (D13).
"""

import re
from collections.abc import Iterator
from typing import Final

from poterne.mailauth.spf import record
from poterne.mailauth.spf.check import LOOKUPS_MOST, Steps, check_host, mail_from
from poterne.mailauth.spf.outcome import Outcome as SpfOutcome
from poterne.mailauth.spf.outcome import Reason, Result
from poterne.mailauth.spf.record import Malformed
from poterne.policy.published.asking import Check, Findings, Subject, ask, records, why
from poterne.policy.published.finding import Finding, Outcome, Severity
from poterne.policy.published.spf_tree import reach
from poterne.values.address import Address
from poterne.values.dns import MX, TXT, Found, TempFail

_WARN, _FAIL, _UNKNOWN = Outcome.WARN, Outcome.FAIL, Outcome.UNKNOWN
_LOOKALIKE: Final = re.compile(rb"[^!-~]*[\"'\xe2\x80\x9c\x9d]*\s*v\s*=\s*spf\s*1", re.IGNORECASE)
_BEHIND_ALL: Final = re.compile(rb"(?i)(?:^| )[+?~-]?all +[^ ]")
_ENFORCED: Final = re.compile(rb"(?i);[ \t]*p[ \t]*=[ \t]*(?:quarantine|reject)")
_LIMITS: Final = {
    Reason.LOOKUPS: "it needs more than 10 lookups, and counts as broken",
    Reason.VOID_LOOKUPS: "more than 2 of its lookups lead to nothing, and it counts as broken",
    Reason.MX_NAMES: "an mx of it has more than 10 hosts, and it counts as broken",
    Reason.QUESTIONS: "it takes more questions to DNS than receivers ask, and may count as broken",
    Reason.TARGET_RECORD: "it refers to a domain without SPF record, and counts as broken",
    Reason.TARGET: "it refers to a name that is none, and counts as broken",
    Reason.SYNTAX: "a record that it refers to has an error, and it counts as broken",
    Reason.SEVERAL_RECORDS: "a domain that it refers to has several records, and it counts as broken",
    Reason.TOO_LONG: "a record that it refers to is too long, and it counts as broken",
}
_LONG_OCTETS: Final = 450
"""RFC 7208 §3.4."""
_MANY_ADDRESSES: Final = 65_536
_TOO_MANY_ADDRESSES: Final = 1 << 20
_STRANGERS_LEAST: Final = 2
_NOBODY: Final = "poterne-wildcard-test"


def _texts(check: Check, subject: Subject) -> Steps[tuple[bytes, ...] | Finding]:
    """The domain's TXT records."""
    answer = yield from ask(subject.domain, TXT)
    if isinstance(answer, TempFail):
        return check.found(_UNKNOWN, "dns", why(subject.domain, answer))
    return records(answer)


def _syntax(subject: Subject) -> Steps[Findings]:
    texts = yield from _texts(SYNTAX, subject)
    if isinstance(texts, Finding):
        return [texts]
    found, fix = record.select(texts), subject.records("spf")
    if not found:
        near = [text for text in texts if _LOOKALIKE.match(text)]
        if near:
            text = "the SPF record does not begin with `v=spf1` and a space: nobody takes it for one"
            return [SYNTAX.found(_FAIL, "unreadable", text, evidence=near, fix=fix, remove=_txt(subject, near))]
        return [SYNTAX.found(_FAIL, "none", "there is no SPF record: anybody may send in the domain's name", fix=fix)]
    if len(found) > 1:
        text = "there are several SPF records, which counts as none (RFC 7208 §4.5)"
        return [SYNTAX.found(_FAIL, "several", text, evidence=found, fix=fix, remove=_txt(subject, found))]
    read = record.read(found[0])
    if isinstance(read, Malformed):
        text = f"the SPF record has an error, and nothing of it counts: {read.term or read.reason.value}"
        return [SYNTAX.found(_FAIL, "syntax", text, evidence=found, fix=fix, remove=_txt(subject, found))]
    out: Findings = []
    if _BEHIND_ALL.search(found[0]):
        out.append(SYNTAX.found(_WARN, "behind-all", "what stands behind `all` never counts", evidence=found, fix=fix))
    if old := [text for text in texts if text[:7].lower() == b"spf2.0/"]:
        text = "a record of Sender ID is left over, which nobody reads any more"
        out.append(SYNTAX.found(_WARN, "spf2", text, evidence=old, remove=_txt(subject, old)))
    out += _differences(subject, found[0])
    return out


def _differences(subject: Subject, text: bytes) -> Iterator[Finding]:
    """What the settings want and is not there, and the other way round. How it is put is nobody's concern."""
    live = _terms(text)
    fix = subject.records("spf")
    ours = _terms(fix[0].value.encode()) if fix else set()
    allowing = {term for term in live if term[:1] not in b"-~?"} - {b"all", b"+all"}
    if missing := ours - live - {b"-all", b"mx"}:
        what = b" ".join(sorted(missing))
        yield SYNTAX.found(
            _WARN, "missing-terms", "the SPF record lacks what the settings name", evidence=[what], fix=fix
        )
    if extra := allowing - ours - {b"mx", b"a"}:
        what = b" ".join(sorted(extra))
        text_ = "the SPF record lets others send that the settings do not know"
        remedy = "take them out, or name them in [publish] spf"
        yield SYNTAX.found(_WARN, "other-terms", text_, evidence=[what], fix=fix, remedy=remedy)


def _terms(text: bytes) -> set[bytes]:
    return {term.removeprefix(b"+").lower() for term in text.split(b" ")[1:] if term}


def _txt(subject: Subject, texts: list[bytes]) -> list[str]:
    return [f"{subject.domain} TXT {text.decode('latin-1')}" for text in texts]


def _as_stranger(subject: Subject, address: str) -> Steps[SpfOutcome]:
    return check_host(mail_from(address, Address("postmaster", subject.domain), subject.domain), explain=False)


def _limits(subject: Subject) -> Steps[Findings]:
    out: Findings = []
    texts = yield from _texts(LIMITS, subject)
    if isinstance(texts, Finding):
        return [texts]
    found = record.select(texts)
    if len(found) == 1 and len(found[0]) > _LONG_OCTETS:
        text = (
            f"the SPF record has {len(found[0])} octets: beyond {_LONG_OCTETS} some DNS answers are cut (RFC 7208 §3.4)"
        )
        out.append(LIMITS.found(_WARN, "long", text))
    for address in subject.strangers[:1]:
        outcome = yield from _as_stranger(subject, address)
        if outcome.result is Result.TEMPERROR:
            out.append(LIMITS.found(_UNKNOWN, "dns", f"SPF of {subject.domain}: DNS does not say now: {outcome.where}"))
        elif (
            outcome.result is Result.PERMERROR
            and outcome.where
            and (
                outcome.reason
                in {
                    Reason.LOOKUPS,
                    Reason.VOID_LOOKUPS,
                    Reason.MX_NAMES,
                    Reason.QUESTIONS,
                    Reason.TARGET_RECORD,
                    Reason.TARGET,
                }
                or outcome.where != subject.domain
            )
        ):
            text = f"the SPF record can't be used: {_LIMITS.get(outcome.reason, outcome.problem)}"
            found_ = LIMITS.found(
                _FAIL, outcome.reason.value, text, evidence=[outcome.problem], fix=subject.records("spf")
            )
            out.append(found_)
        elif outcome.lookups > LOOKUPS_MOST - 2:
            text = f"the SPF record needs {outcome.lookups} of 10 lookups: one more service may break it"
            out.append(LIMITS.found(_WARN, "near-limit", text))
    return out


def _strangers(subject: Subject) -> Steps[Findings]:
    fix = subject.records("spf")
    passed = 0
    for address in subject.strangers:
        outcome = yield from _as_stranger(subject, address)
        if outcome.result is Result.TEMPERROR:
            return [STRANGERS.found(_UNKNOWN, "dns", f"SPF of {subject.domain}: DNS does not say now: {outcome.where}")]
        evidence = [" ".join(outcome.matched)]
        if outcome.result is Result.PASS:
            passed += 1  # one alone may be among a service's many addresses: D10 counts those
            if passed < _STRANGERS_LEAST:
                continue
            text = f"SPF passes for {address}, which is nobody's: anybody may send in the domain's name"
            return [STRANGERS.found(_FAIL, "open", text, evidence=evidence, fix=fix)]
        if outcome.result in {Result.NEUTRAL, Result.NONE}:
            text = "SPF says nothing about strangers"
            return [STRANGERS.found(_FAIL, "neutral", text, evidence=evidence, fix=fix, severity=Severity.HIGH)]
        if outcome.result is Result.SOFTFAIL:
            dmarc = yield from ask(f"_dmarc.{subject.domain}", TXT)
            if isinstance(dmarc, TempFail):
                return [STRANGERS.found(_UNKNOWN, "dns", why(f"_dmarc.{subject.domain}", dmarc))]
            if not any(_ENFORCED.search(text) for text in records(dmarc)):
                text = "SPF only doubts strangers (~all), and DMARC does not refuse them either"
                return [STRANGERS.found(_WARN, "softfail", text, evidence=evidence, fix=fix, severity=Severity.MEDIUM)]
    return []


def _size(subject: Subject) -> Steps[Findings]:
    found = yield from reach(subject.domain)
    if found.failed:
        return [SIZE.found(_UNKNOWN, "dns", f"DNS does not say now: {', '.join(found.failed[:3])}")]
    count = found.addresses_4
    if count <= _MANY_ADDRESSES:
        return []
    text = f"{count:,} IPv4 addresses may send in the domain's name: whoever rents one of them can"
    networks = sorted(found.networks_4, key=lambda network: network.prefixlen)[:5]
    evidence = [" ".join(str(network) for network in networks)]
    outcome = _FAIL if count > _TOO_MANY_ADDRESSES else _WARN
    return [SIZE.found(outcome, "many", text, evidence=evidence, fix=subject.records("spf"))]


def _dangling(subject: Subject) -> Steps[Findings]:
    found = yield from reach(subject.domain)
    out: Findings = []
    if found.failed:
        out.append(DANGLING.found(_UNKNOWN, "dns", f"DNS does not say now: {', '.join(found.failed[:3])}"))
    if found.dangling:
        text = "SPF refers to names that do not exist: whoever registers one may send in the domain's name"
        evidence = [f"{term}: {name} does not exist" for term, name in found.dangling]
        out.append(DANGLING.found(_FAIL, "gone", text, evidence=evidence, fix=subject.records("spf")))
    return out


def _smells(subject: Subject) -> Steps[Findings]:
    found, fix, out = (yield from reach(subject.domain)), subject.records("spf"), Findings()
    if found.ptr:
        text = "ptr is slow, and must not be used (RFC 7208 §5.5)"
        out.append(SMELLS.found(_WARN, "ptr", text, evidence=found.ptr, fix=fix))
    if found.helo:
        text = "a term depends on what the client says of itself (%{h}): it chooses whether it matches"
        out.append(SMELLS.found(_WARN, "helo", text, evidence=found.helo, fix=fix))
    for kind in (TXT, MX):
        answer = yield from ask(f"{_NOBODY}.{subject.domain}", kind)
        if isinstance(answer, TempFail):
            found.failed.append(f"*.{subject.domain}")
        elif isinstance(answer, Found):
            text = f"a wildcard gives every name below the domain {kind.word} records"
            out.append(
                SMELLS.found(_WARN, f"wildcard-{kind.word.lower()}", text, remove=[f"*.{subject.domain} {kind.word}"])
            )
    if found.failed:
        out.append(SMELLS.found(_UNKNOWN, "dns", f"DNS does not say now: {', '.join(found.failed[:3])}"))
    return out


def _reality(subject: Subject) -> Steps[Findings]:
    if not subject.facts.addresses:
        text = "the settings do not say which public addresses this server sends from"
        return [REALITY.found(_UNKNOWN, "settings", text, remedy="write [publish] addresses")]
    for address in subject.facts.addresses:
        outcome = yield from _as_stranger(subject, address)
        if outcome.result is Result.TEMPERROR:
            return [REALITY.found(_UNKNOWN, "dns", f"SPF of {subject.domain}: DNS does not say now: {outcome.where}")]
        if outcome.result is not Result.PASS:
            text = f"SPF does not let this server send from {address}: {outcome.result.value}"
            evidence = [outcome.problem] if outcome.problem else []
            return [REALITY.found(_FAIL, "not-allowed", text, evidence=evidence, fix=subject.records("spf"))]
    return []


SYNTAX: Final = Check("D07", "one SPF record, correct, as the settings say", Severity.HIGH, _syntax)
LIMITS: Final = Check("D08", "SPF stays within its limits", Severity.HIGH, _limits)
STRANGERS: Final = Check("D09", "SPF refuses strangers", Severity.CRITICAL, _strangers)
SIZE: Final = Check("D10", "SPF lets few addresses send", Severity.HIGH, _size)
DANGLING: Final = Check("D11", "SPF refers to names that exist", Severity.CRITICAL, _dangling)
SMELLS: Final = Check("D12", "SPF has nothing that nobody should use", Severity.LOW, _smells)
REALITY: Final = Check("D13", "SPF lets this server send", Severity.HIGH, _reality)
CHECKS: Final = (SYNTAX, LIMITS, STRANGERS, SIZE, DANGLING, SMELLS, REALITY)
