"""What stands behind the other records: DNSSEC (D27), who may issue certificates (D28), what mail programs find (D30)."""

from collections.abc import Sequence
from typing import Final

from poterne.mailauth.dane.verify import covers
from poterne.mailauth.spf.check import Steps
from poterne.policy.published.asking import Check, Findings, Subject, ask, ask_all, records, why
from poterne.policy.published.finding import Outcome, Severity
from poterne.values.dns import AAAA, CAA, MX, SRV, TXT, A, Answer, Caa, Failure, Found, NoData, NxDomain, TempFail

_WARN, _FAIL, _UNKNOWN = Outcome.WARN, Outcome.FAIL, Outcome.UNKNOWN
_CRITICAL: Final = 128
_KNOWN_TAGS: Final = frozenset(("issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"))
_ROOT: Final = ""


def _secure(answer: Answer[object]) -> bool:
    return isinstance(answer, Found | NoData | NxDomain) and answer.secure


def _dnssec(subject: Subject) -> Steps[Findings]:
    domain, host = subject.domain, subject.hostname
    answer = yield from ask(domain, MX)
    of_host = yield from ask(f"_25._tcp.{host}", TXT)
    for name, one in ((domain, answer), (host, of_host)):
        if isinstance(one, TempFail):
            if one.reason is Failure.BOGUS:
                text = f"{why(name, one)}: mail is lost"
                remedy = "the registrar's DS record and the zone's keys must fit; expired signatures must be made anew"
                return [DNSSEC.found(_FAIL, "bogus", text, remedy=remedy, severity=Severity.CRITICAL)]
            return [DNSSEC.found(_UNKNOWN, "dns", why(name, one))]
    unsigned = [name for name, one in ((domain, answer), (host, of_host)) if not _secure(one)]
    if not unsigned:
        return []
    root = yield from ask(_ROOT, TXT)  # it is signed: who validates says so
    if not _secure(root):
        text = "the name server that is asked does not validate DNSSEC, or is not on this machine: nothing can be said"
        remedy = "run a validating resolver on this machine, and name it in [dns] servers"
        return [DNSSEC.found(_UNKNOWN, "resolver", text, remedy=remedy)]
    text = f"{' and '.join(unsigned)}: not signed with DNSSEC, so that answers can be forged and DANE does not count"
    return [DNSSEC.found(_WARN, "unsigned", text, remedy="switch DNSSEC on where the domain's DNS is kept")]


def _caa(subject: Subject) -> Steps[Findings]:
    labels = subject.hostname.split(".")
    names = [".".join(labels[at:]) for at in range(len(labels) - 1)] or [subject.hostname]
    answers = yield from ask_all(names, CAA)
    fix = subject.records("caa")
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, TempFail):
            return [CAA_CHECK.found(_UNKNOWN, "dns", why(name, answer))]
        if found := records(answer):
            return _of_caa(subject, name, found)
    if not subject.facts.issuers:
        text = "who issues the certificates is not known: the one in use comes from no authority that we know"
        return [CAA_CHECK.found(_UNKNOWN, "issuer", text, remedy="name who issues them in [publish] caa")]
    return [CAA_CHECK.found(_WARN, "none", "every authority may issue certificates for the host", fix=fix)]


def _of_caa(subject: Subject, name: str, found: Sequence[Caa]) -> Findings:
    fix, out = subject.records("caa"), Findings()
    evidence = [f'{name} CAA {one.flags} {one.tag} "{one.value.decode("latin-1")}"' for one in found]
    strange = [one for one in found if one.flags & _CRITICAL and one.tag not in _KNOWN_TAGS]
    if strange:
        text = f"a property that nobody knows is marked as critical ({strange[0].tag}): no certificate is issued"
        out.append(CAA_CHECK.found(_FAIL, "critical", text, evidence=evidence, fix=fix))
    allowed = [one.value.partition(b";")[0].strip(b" \t").lower() for one in found if one.tag == "issue"]
    if not allowed:
        if not any(one.tag == "issuewild" for one in found):
            return out
        return [
            *out,
            CAA_CHECK.found(_WARN, "no-issue", "every authority may issue certificates", evidence=evidence, fix=fix),
        ]
    ours = [issuer.partition(";")[0].strip().lower().encode() for issuer in subject.facts.issuers]
    if missing := [issuer for issuer in ours if issuer not in allowed]:
        text = f"{missing[0].decode()} may not issue certificates for {subject.hostname}: the next one will not come"
        out.append(CAA_CHECK.found(_FAIL, "issuer", text, evidence=evidence, fix=fix, severity=Severity.HIGH))
    if not ours:
        text = "whether the issuer of the certificate is allowed is not known: it is no authority that we know"
        out.append(CAA_CHECK.found(_UNKNOWN, "issuer", text, remedy="name who issues it in [publish] caa"))
    return out


def _services(subject: Subject) -> Steps[Findings]:
    wanted = subject.records("srv")
    answers = yield from ask_all([record.name for record in wanted], SRV)
    out: Findings = []
    for record, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, TempFail):
            out.append(SERVICES.found(_UNKNOWN, "dns", why(record.name, answer)))
            continue
        found = records(answer)
        live = [f"{one.priority} {one.weight} {one.port} {one.target}." for one in found]
        evidence = [f"{record.name} SRV {data}" for data in live]
        offered = not record.data.endswith(" .")
        if not found:
            text = f"mail programs do not find what is offered: {record.name} is missing"
            if not offered:
                text = f"nothing says that {record.name} is not offered"
            out.append(SERVICES.found(_WARN, "missing", text, fix=[record]))
        elif not offered and any(one.target for one in found):
            text = f"{record.name} leads mail programs to what is not offered"
            out.append(SERVICES.found(_FAIL, "closed", text, evidence=evidence, fix=[record], remove=evidence))
        elif offered and not any(_same(data, record.data) for data in live):
            text = f"{record.name} leads elsewhere than the settings say"
            out.append(SERVICES.found(_WARN, "elsewhere", text, evidence=evidence, fix=[record], remove=evidence))
    return out + (yield from _client_names(subject))


def _client_names(subject: Subject) -> Steps[Findings]:
    """The names under which mail programs look for their settings over HTTPS."""
    wanted, host = subject.records("client"), subject.facts.client_host or subject.hostname
    names = [*(record.name for record in wanted), host]
    fours = yield from ask_all(names if wanted else (), A)
    sixes = yield from ask_all(names if wanted else (), AAAA)
    addresses = [{*records(four), *records(six)} for four, six in zip(fours, sixes, strict=True)]
    ours = {*subject.facts.addresses, *(addresses[-1] if addresses else ())}
    out: Findings = []
    for record, four, six, live in zip(wanted, fours, sixes, addresses, strict=False):
        failed = next((one for one in (four, six) if isinstance(one, TempFail)), None)
        evidence = [f"{record.name} {'AAAA' if ':' in one else 'A'} {one}" for one in sorted(live)]
        if failed is not None:
            out.append(SERVICES.found(_UNKNOWN, "dns", why(record.name, failed)))
        elif not live:
            text = f"mail programs do not find their settings: {record.name} is missing"
            out.append(SERVICES.found(_WARN, "client-name", text, fix=[record]))
        elif ours and not live & ours:
            text = f"{record.name} leads to another server, which tells mail programs what to connect to"
            out.append(
                SERVICES.found(_FAIL, "client-elsewhere", text, evidence=evidence, fix=[record], remove=evidence)
            )
        elif not covers(subject.certified, record.name):
            text = f"no certificate is for {record.name}: mail programs do not take their settings from there"
            remedy = f"have the certificate issued for {record.name} too, and name its files in a [certificate.NAME]"
            out.append(SERVICES.found(_WARN, "client-certificate", text, remedy=remedy))
    return out


def _same(live: str, wanted: str) -> bool:
    """Priority and weight are the administrator's."""
    return live.split()[2:] == wanted.split()[2:]


DNSSEC: Final = Check("D27", "the domain is signed with DNSSEC, and validates", Severity.HIGH, _dnssec)
CAA_CHECK: Final = Check("D28", "CAA allows the certificate's issuer, and no other", Severity.MEDIUM, _caa)
SERVICES: Final = Check("D30", "DNS leads mail programs to what is offered", Severity.MEDIUM, _services)
CHECKS: Final = (DNSSEC, CAA_CHECK, SERVICES)
