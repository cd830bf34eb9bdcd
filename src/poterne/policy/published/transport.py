"""That mail comes encrypted and to the right server: MTA-STS (D24), TLS reports (D25), DANE (D26)."""

from collections.abc import Iterator, Sequence
from typing import Final

from poterne.mailauth.dane.records import PUBLIC_KEY, SHA256, presented, usable
from poterne.mailauth.dane.verify import Verdict, verify
from poterne.mailauth.mtasts.policy import MAX_AGE_MOST_S, Mode, Policy, PolicyError, parse
from poterne.mailauth.mtasts.record import PREFIX as STS_PREFIX
from poterne.mailauth.mtasts.record import policy_id
from poterne.mailauth.mtasts.text import version
from poterne.mailauth.spf.check import Steps
from poterne.mailauth.tlsrpt.record import PREFIX as TLSRPT_PREFIX
from poterne.mailauth.tlsrpt.record import addresses, mailboxes
from poterne.policy.published.asking import Check, Findings, PolicyFile, Subject, ask, records, why
from poterne.policy.published.finding import Finding, Outcome, Severity
from poterne.values.dns import MX, TLSA, TXT, Failure, Mx, TempFail, Tlsa

_WARN, _FAIL, _UNKNOWN = Outcome.WARN, Outcome.FAIL, Outcome.UNKNOWN
_MAX_AGE_LEAST_S: Final = 86_400
_DANE_EE: Final = 3


def _sts(subject: Subject) -> Steps[Findings]:
    name = STS_PREFIX + subject.domain
    answer = yield from ask(name, TXT)
    if isinstance(answer, TempFail):
        return [STS.found(_UNKNOWN, "dns", why(name, answer))]
    texts, wanted = records(answer), subject.facts.policy
    fix = subject.records("mta-sts", name=name)
    ours = [text for text in texts if text.lower().startswith(b"v=sts") or b"STSv1" in text]
    live_id = policy_id(texts)
    if live_id is None:
        return [_no_id(subject, ours)]
    out: Findings = []
    if wanted is not None and live_id != version(wanted):
        text = "the id is not that of the policy that is served: who knows an older policy does not fetch the new one"
        out.append(STS.found(_FAIL, "id", text, evidence=texts, fix=fix))
    exchangers = yield from ask(subject.domain, MX)
    if isinstance(exchangers, TempFail):
        out.append(STS.found(_UNKNOWN, "dns", why(subject.domain, exchangers)))
    out += _of_file(subject, records(exchangers))
    return out


def _no_id(subject: Subject, ours: Sequence[bytes]) -> Finding:
    name = STS_PREFIX + subject.domain
    fix = subject.records("mta-sts")
    if ours:
        word, text = ("several", "several") if len(ours) > 1 else ("syntax", "one that can't be read")
        text = f"of MTA-STS records at {name} there are {text}: it counts as none (RFC 8461 §3.1)"
        remove = [f"{name} TXT {one.decode('latin-1')}" for one in ours]
        return STS.found(_FAIL, word, text, evidence=ours, fix=fix, remove=remove)
    if subject.facts.policy is not None:
        text = "there is no MTA-STS record: the policy that is served here is not found"
        return STS.found(_FAIL, "missing", text, fix=fix)
    text = "there is no MTA-STS: whoever breaks the connection can have mail sent without encryption"
    remedy = 'write a [listener.NAME] with service = "https" and port = 443, and publish what `poterne dns` then shows'
    return STS.found(_WARN, "none", text, remedy=remedy, severity=Severity.MEDIUM)


def _of_file(subject: Subject, exchangers: tuple[Mx, ...]) -> Iterator[Finding]:
    file, fix = subject.policy_file, subject.records("mta-sts")
    host = f"mta-sts.{subject.domain}"
    if file is None:
        yield STS.found(_UNKNOWN, "not-fetched", f"the policy at {host} was not looked at")
        return
    wanted = subject.facts.policy
    if file.problem:
        yield _unfetched(subject, file)
        return
    try:
        live = parse(file.text)
    except PolicyError as error:
        text = f"the policy at {host} can't be read: {error}"
        yield STS.found(_FAIL, "policy-syntax", text, evidence=[file.text[:300]], fix=fix)
        return
    if wanted is not None and live != wanted:
        text = f"the policy at {host} is not the one that is served here: its name leads to another server"
        evidence = [f"mode: {live.mode.value}", f"mx: {' '.join(live.mx)}", f"max_age: {live.max_age_s}"]
        yield STS.found(_FAIL, "other-policy", text, evidence=evidence, fix=fix)
    yield from _of_policy(subject, live, exchangers)


def _unfetched(subject: Subject, file: PolicyFile) -> Finding:
    text = f"the policy at mta-sts.{subject.domain} can't be fetched: {file.problem}"
    if file.passing:
        return STS.found(_UNKNOWN, "fetch", text)
    alias = subject.records("mta-sts", name=f"mta-sts.{subject.domain}")
    remedy = f"the host needs an address that is reached on port 443, and a certificate for mta-sts.{subject.domain}"
    return STS.found(_FAIL, "fetch", text, fix=alias, remedy=remedy)


def _of_policy(subject: Subject, live: Policy, exchangers: tuple[Mx, ...]) -> Iterator[Finding]:
    names = [one.exchange for one in exchangers if one.exchange]
    remedy = f'[zone."{subject.domain}"] mta_sts in the settings'
    if live.mode is Mode.NONE:
        yield STS.found(_WARN, "mode-none", "the policy says that there is none (mode: none)", remedy=remedy)
    elif live.mode is Mode.TESTING:
        text = "the policy is in testing: what fails is reported, and delivered all the same"
        yield STS.found(_WARN, "testing", text, remedy=remedy, severity=Severity.LOW)
    if live.mode is not Mode.NONE:
        enforced = live.mode is Mode.ENFORCE
        if strangers := [name for name in names if not live.allows(name)]:
            outcome = _FAIL if enforced else _WARN
            effect = "no mail is brought there" if enforced else "no mail would be brought there"
            text = f"the policy does not name {', '.join(strangers)}: {effect}"
            severity = Severity.CRITICAL if enforced else Severity.MEDIUM
            remedy_mx = "name all MX hosts in [publish] exchangers"
            yield STS.found(outcome, "mx", text, evidence=live.mx, remedy=remedy_mx, severity=severity)
        idle = [one for one in live.mx if not any(Policy(live.mode, 0, (one,)).allows(name) for name in names)]
        if idle and names:
            text = f"the policy names servers that are no MX: {', '.join(idle)}"
            yield STS.found(_WARN, "idle-mx", text, evidence=live.mx, severity=Severity.LOW)
    if not _MAX_AGE_LEAST_S <= live.max_age_s <= MAX_AGE_MOST_S:
        text = f"max_age is {live.max_age_s}: below a day it protects little"
        yield STS.found(_WARN, "max-age", text, severity=Severity.LOW)


def _tlsrpt(subject: Subject) -> Steps[Findings]:
    name = TLSRPT_PREFIX + subject.domain
    answer = yield from ask(name, TXT)
    if isinstance(answer, TempFail):
        return [TLSRPT.found(_UNKNOWN, "dns", why(name, answer))]
    texts, fix = records(answer), subject.records("tlsrpt")
    uris = addresses(texts)
    if uris is None:
        if not texts:
            text = "nobody hears of failed encryption: there is no TLSRPT record"
            return [TLSRPT.found(_WARN, "none", text, fix=fix)]
        word = "several" if sum(text[:8] == b"v=TLSRPT" for text in texts) > 1 else "syntax"
        text = (
            "the TLSRPT record can't be used"
            if word == "syntax"
            else "there are several TLSRPT records, which counts as none"
        )
        remove = [f"{name} TXT {one.decode('latin-1')}" for one in texts]
        return [TLSRPT.found(_FAIL, word, text, evidence=texts, fix=fix, remove=remove)]
    ours = subject.facts.tls_rua
    if ours and ours not in {str(one) for one in mailboxes(uris)}:
        text = f"reports about TLS do not go to {ours}, where they are read"
        return [TLSRPT.found(_WARN, "not-here", text, evidence=texts, fix=fix)]
    return []


def _dane(subject: Subject) -> Steps[Findings]:
    if not subject.facts.is_exchanger:
        return []
    name, wanted = f"_25._tcp.{subject.hostname}", subject.records("dane")
    answer = yield from ask(name, TLSA)
    if isinstance(answer, TempFail):
        if answer.reason is Failure.BOGUS:
            text = f"{why(name, answer)}: servers that follow DANE bring no mail"
            return [DANE.found(_FAIL, "bogus", text, severity=Severity.CRITICAL)]
        return [DANE.found(_UNKNOWN, "dns", why(name, answer))]
    found = records(answer)
    if not found:
        if not wanted:
            return []  # with the local CA there is nothing to publish
        text = "there is no TLSA record for the certificate"
        return [DANE.found(_WARN, "none", text, fix=wanted, severity=Severity.MEDIUM)]
    return list(_of_tlsa(subject, name, found))


def _of_tlsa(subject: Subject, name: str, found: tuple[Tlsa, ...]) -> Iterator[Finding]:
    wanted, evidence = subject.records("dane"), [f"{name} TLSA {presented(one)}" for one in found]
    good = usable(found)
    if not good:
        text = "none of the TLSA records is one that mail servers follow (RFC 7672 §3.1)"
        yield DANE.found(_FAIL, "unusable", text, evidence=evidence, fix=wanted, remove=evidence)
        return
    names = (subject.hostname, subject.domain)
    unmatched = [chain for chain in subject.chains if verify(good, chain, names, subject.now) is not Verdict.MATCH]
    if unmatched:
        text = "the TLSA records do not fit the certificate in use: servers that follow DANE bring no mail"
        yield DANE.found(_FAIL, "mismatch", text, evidence=evidence, fix=wanted, severity=Severity.CRITICAL)
    keys = set(subject.facts.keys)
    live = {one.data for one in found if (one.usage, one.selector, one.matching) == (_DANE_EE, PUBLIC_KEY, SHA256)}
    if not unmatched and (missing := keys - live):
        fix = [record for record in wanted if bytes.fromhex(record.data.split()[3]) in missing]
        text = "a key that is in use, or will be, has no TLSA record"
        yield DANE.found(_WARN, "missing", text, evidence=evidence, fix=fix, severity=Severity.MEDIUM)
    if keys and (
        stale := [one for one in found if one.usage == _DANE_EE and one.data not in keys and one.data in live]
    ):
        text = "there are TLSA records of keys that the settings do not know"
        remove = [f"{name} TLSA {presented(one)}" for one in stale]
        remedy = "take them out, or name the next key in [publish] next_keys"
        yield DANE.found(_WARN, "stale", text, remove=remove, remedy=remedy, severity=Severity.LOW)


STS: Final = Check("D24", "MTA-STS has mail brought encrypted, to the right server", Severity.HIGH, _sts)
TLSRPT: Final = Check("D25", "failed encryption is reported here", Severity.MEDIUM, _tlsrpt)
DANE: Final = Check("D26", "TLSA records fit the certificate", Severity.CRITICAL, _dane)
CHECKS: Final = (STS, TLSRPT, DANE)
