"""The keys that signatures are verified with: all there (D14), and each of them good (D15)."""

from typing import Final

from poterne.mailauth.dkim import record
from poterne.mailauth.dkim.outcome import Reason
from poterne.mailauth.dkim.record import Key, KeyType, Unusable
from poterne.mailauth.spf.check import Steps
from poterne.policy.published.asking import Check, Findings, Subject, ask, ask_all, records, why
from poterne.policy.published.finding import Finding, Outcome, Severity, shown
from poterne.policy.published.wanted import Selector
from poterne.values.dkim import KeyState
from poterne.values.dns import TXT, Answer, NxDomain, TempFail

_WARN, _FAIL, _UNKNOWN = Outcome.WARN, Outcome.FAIL, Outcome.UNKNOWN
_RSA_BITS_GOOD: Final = 2048
_MISSING: Final = {
    KeyState.ACTIVE: (_FAIL, "signs, and is not in DNS: nobody can verify the domain's mail"),
    KeyState.NEXT: (_WARN, "is not in DNS yet: it signs once it is there"),
    KeyState.RETIRED: (_WARN, "is gone from DNS, and mail that it signed may still be on its way"),
}


def _present(subject: Subject) -> Steps[Findings]:
    keys = subject.facts.dkim
    if not keys:
        text = "the domain has no DKIM key: its mail goes out unsigned"
        return [PRESENT.found(_FAIL, "no-key", text, remedy=f"poterne dkim create {subject.domain}")]
    out: Findings = []
    answers = yield from ask_all([key.name for key in keys], TXT)
    for key, answer in zip(keys, answers, strict=True):
        if isinstance(answer, TempFail):
            out.append(PRESENT.found(_UNKNOWN, "dns", why(key.name, answer)))
        elif not records(answer):
            outcome, text = _MISSING[key.state]
            fix = subject.records("dkim", name=key.name)
            out.append(PRESENT.found(outcome, f"missing-{key.state.value}", f"the key {key.name} {text}", fix=fix))
    above = f"_domainkey.{subject.domain}"
    parent = yield from ask(above, TXT)
    if isinstance(parent, NxDomain) and any(records(answer) for answer in answers):
        text = f"{above} does not exist, says DNS, though names below it do: some receivers then find no key (RFC 8020)"
        out.append(PRESENT.found(_WARN, "nxdomain", text, remedy="tell whoever runs the name servers"))
    return out


def _good(subject: Subject) -> Steps[Findings]:
    keys = subject.facts.dkim
    answers = yield from ask_all([key.name for key in keys], TXT)
    out = [finding for key, answer in zip(keys, answers, strict=True) for finding in _of_key(subject, key, answer)]
    active = [record.read(key.text.encode()) for key in keys if key.state is KeyState.ACTIVE]
    if active and all(isinstance(one, Key) and one.type is KeyType.ED25519 for one in active):
        text = "only an Ed25519 key signs, which many do not verify (RFC 8463 §3)"
        out.append(GOOD.found(_WARN, "ed25519-alone", text, remedy=f"poterne dkim create {subject.domain}"))
    return out


def _of_key(subject: Subject, key: Selector, answer: Answer[bytes]) -> Findings:
    if isinstance(answer, TempFail):
        return [GOOD.found(_UNKNOWN, "dns", why(key.name, answer))]
    found, fix = records(answer), subject.records("dkim", name=key.name)
    if not found:
        return []  # D14 tells
    remove = [f"{key.name} TXT {shown(text, 600)}" for text in found if text != key.text.encode()]
    if len(found) > 1:
        text = f"{key.name} has several records: verifiers may take any of them (RFC 6376 §3.6.2.2)"
        return [GOOD.found(_FAIL, "several", text, evidence=found, fix=fix, remove=remove)]
    live, ours = record.read(found[0]), record.read(key.text.encode())
    if isinstance(live, Unusable):
        return [_unusable(key, live, found[0], subject)]
    return _usable(subject, key, live, ours, found[0])


def _usable(subject: Subject, key: Selector, live: Key, ours: Key | Unusable, text_: bytes) -> Findings:
    fix, out = subject.records("dkim", name=key.name), Findings()
    if not isinstance(ours, Key) or live.type is not ours.type or live.public != ours.public:
        text = f"the key at {key.name} is not ours: whoever has its other half signs in the domain's name, and we can't"
        out.append(GOOD.found(_FAIL, "other-key", text, evidence=[text_], fix=fix))
    if live.testing:
        text = f"{key.name} says t=y: its signatures are treated as none"
        out.append(GOOD.found(_WARN, "testing", text, evidence=[text_], fix=fix))
    if live.type is KeyType.RSA and live.bits < _RSA_BITS_GOOD:
        text = f"{key.name} has {live.bits} bits: 2048 are wanted (RFC 8301 §3.2)"
        out.append(GOOD.found(_WARN, "weak", text, evidence=[text_], fix=fix))
    return out


def _unusable(key: Selector, live: Unusable, text_: bytes, subject: Subject) -> Finding:
    fix = subject.records("dkim", name=key.name)
    if live.reason is Reason.KEY_REVOKED:
        outcome = _WARN if key.state is KeyState.RETIRED else _FAIL
        return GOOD.found(outcome, "revoked", f"{key.name} is revoked in DNS (p= is empty)", evidence=[text_], fix=fix)
    if live.reason is Reason.KEY_SMALL:
        text = f"{key.name} has {live.bits} bits: nobody accepts its signatures (RFC 8301 §3.2)"
        return GOOD.found(_FAIL, "too-small", text, evidence=[text_], fix=fix)
    text = f"the record at {key.name} can't be used: {live.reason.value}"
    return GOOD.found(_FAIL, "unusable", text, evidence=[text_], fix=fix)


PRESENT: Final = Check("D14", "every DKIM key is in DNS", Severity.HIGH, _present)
GOOD: Final = Check("D15", "every DKIM key in DNS is ours, and strong", Severity.HIGH, _good)
CHECKS: Final = (PRESENT, GOOD)
