"""What our signatures are worth to who gets them: a message that was signed as all are is verified with the keys in DNS (D16)."""

from typing import Final

from poterne.mailauth.dkim.outcome import Outcome as Verified
from poterne.mailauth.dkim.outcome import Reason
from poterne.mailauth.dkim.verify import Verifier
from poterne.mailauth.spf.check import Steps
from poterne.message.header import index
from poterne.policy.published.asking import Check, Findings, Subject, ask_all
from poterne.policy.published.finding import Finding, Outcome, Severity
from poterne.values.dns import TXT

_ELSEWHERE: Final = frozenset({Reason.NO_KEY, Reason.KEY_REVOKED})
"""D14 and D15 tell, with the record to publish."""


def _verifies(subject: Subject) -> Steps[Findings]:
    canary = subject.facts.canary
    if not canary:
        return [SEEN.found(Outcome.UNKNOWN, "nothing-signs", "no key signs yet, so there is nothing to verify")]
    header = index(canary)
    verifier = Verifier(header, int(subject.now.timestamp()))
    verifier.feed(canary[header.end :])
    answers = yield from ask_all(verifier.names, TXT)
    found = verifier.finish(dict(zip(verifier.names, answers, strict=True)))
    return [finding for one in found if (finding := _of(subject, one)) is not None]


def _of(subject: Subject, one: Verified) -> Finding | None:
    name = f"{one.selector}._domainkey.{one.domain}"
    if one.reason is Reason.KEY_UNAVAILABLE:
        return SEEN.found(Outcome.UNKNOWN, "dns", f"DNS does not say now whether signatures with {name} verify")
    if one.reason in _ELSEWHERE:
        return None
    if not one.authenticates:
        text = f"what is signed with {name} does not verify with the key in DNS: {one.reason.value}"
        if one.testing:
            text = f"what is signed with {name} counts as unsigned: the key in DNS says t=y"
        return SEEN.found(Outcome.FAIL, "fails", text, fix=subject.records("dkim", name=name))
    if one.domain != subject.domain:
        text = f"signatures are of {one.domain}, which is not {subject.domain}"
        return SEEN.found(Outcome.FAIL, "other-domain", text)
    if one.unsigned_body_bytes or one.unsigned or one.extendable:
        loose = ", ".join(dict.fromkeys((*one.unsigned, *one.extendable))) or "the body"
        return SEEN.found(Outcome.WARN, "loose", f"signatures with {name} leave open to changes: {loose}")
    return None


SEEN: Final = Check("D16", "what we sign verifies with the keys in DNS, all of it covered", Severity.HIGH, _verifies)
CHECKS: Final = (SEEN,)
