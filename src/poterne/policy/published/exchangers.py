"""Where mail comes in: MX (D02), null MX (D03), the host's addresses (D04), reverse names (D05), HELO (D06)."""

import re
from collections.abc import Iterator
from typing import Final

from poterne.mailauth.spf.check import Steps, check_host, helo
from poterne.mailauth.spf.outcome import Result
from poterne.policy.published.asking import NAMES_MOST, Check, Findings, Subject, ask, ask_all, records, why
from poterne.policy.published.finding import Finding, Outcome, Severity
from poterne.values.dns import AAAA, CNAME, MX, PTR, A, Answer, Found, Mx, TempFail, reverse_name
from poterne.values.networks import is_public, parse_address

_WARN, _FAIL, _UNKNOWN = Outcome.WARN, Outcome.FAIL, Outcome.UNKNOWN
_GENERIC: Final = re.compile(r"(?:^|[.-])(?:dyn|dynamic|dhcp|pool|dialup|dsl|adsl|ppp|cable|client|customer)[.0-9-]")


def _mx(subject: Subject) -> Steps[Findings]:
    domain, wanted = subject.domain, subject.records("mx")
    answer = yield from ask(domain, MX)
    if isinstance(answer, TempFail):
        return [MX_CHECK.found(_UNKNOWN, "dns", why(domain, answer))]
    found = records(answer)
    if not found:
        text = f"{domain} has no MX record: its mail goes to whatever server has the domain's own address"
        return [MX_CHECK.found(_FAIL, "none", text, fix=wanted)]
    if any(one.null for one in found):
        return []  # D03 tells
    out = list(_differences(subject, found))
    names = list(dict.fromkeys(one.exchange for one in found))[:NAMES_MOST]
    aliases = yield from ask_all(names, CNAME)
    for name, alias in zip(names, aliases, strict=True):
        if isinstance(alias, Found):
            text = f"{name} is an alias: an MX must name a host itself (RFC 2181 §10.3)"
            out.append(MX_CHECK.found(_FAIL, "alias", text, evidence=[f"{name} CNAME {alias.records[0]}."], fix=wanted))
    sixes = yield from ask_all(names, AAAA)
    fours = yield from ask_all(names, A)
    for name, six, four in zip(names, sixes, fours, strict=True):
        out += _of_target(subject, name, six, four)
    return out


def _differences(subject: Subject, found: tuple[Mx, ...]) -> Iterator[Finding]:
    domain, wanted = subject.domain, subject.records("mx")
    published = {(one.preference, one.exchange) for one in found}
    evidence = [f"{domain} MX {one.preference} {one.exchange}." for one in found]
    for preference, name in subject.facts.exchangers:
        if (preference, name) in published:
            continue
        fix = [one for one in wanted if one.data == f"{preference} {name}."]
        if any(exchange == name for _, exchange in published):
            text = f"{name} has another preference than the settings say"
            yield MX_CHECK.found(_WARN, "preference", text, evidence=evidence, fix=fix)
        else:
            text = f"{name} is not among the MX records: mail does not come here"
            yield MX_CHECK.found(_FAIL, "missing", text, evidence=evidence, fix=fix)
    ours = {name for _, name in subject.facts.exchangers}
    others = [one for one in found if one.exchange not in ours]
    if others:
        yield MX_CHECK.found(
            _WARN,
            "others",
            "mail may also go to servers that the settings do not know: " + ", ".join(one.exchange for one in others),
            evidence=evidence,
            remove=[f"{domain} MX {one.preference} {one.exchange}." for one in others],
            remedy="take these records out, or name all servers in [publish] exchangers",
        )
    if len({one.exchange for one in found}) < len(found):
        yield MX_CHECK.found(_WARN, "twice", "a server is named twice", evidence=evidence)


def _of_target(subject: Subject, name: str, six: Answer[str], four: Answer[str]) -> Iterator[Finding]:
    fix = subject.records("host", name=name)
    if parse_address(name) is not None:
        text = f"{name} is an address: an MX must name a host (RFC 1035 §3.3.9)"
        yield MX_CHECK.found(_FAIL, "address", text, fix=subject.records("mx"))
        return
    found = (*records(six), *records(four))
    failed = next((one for one in (six, four) if isinstance(one, TempFail)), None)
    if not found:
        if failed is not None:
            yield MX_CHECK.found(_UNKNOWN, "dns", why(name, failed))
            return
        text = f"{name} is an MX and has no address: mail for it fails; if its domain is free, whoever buys it gets the mail"
        yield MX_CHECK.found(_FAIL, "no-address", text, fix=fix, severity=Severity.CRITICAL)
    inner = [address for address in found if not is_public(address)]
    if not inner:
        return
    evidence = [f"{name} {'AAAA' if ':' in address else 'A'} {address}" for address in inner]
    if set(inner) <= set(subject.facts.addresses):
        text = f"{name} has addresses that the Internet does not reach, as the settings say: whether others see it so is unknown"
        yield MX_CHECK.found(_UNKNOWN, "laboratory", text, evidence=evidence)
    else:
        text = f"{name} has an address that the Internet does not reach"
        yield MX_CHECK.found(_FAIL, "inside", text, evidence=evidence, fix=fix)


def _null_mx(subject: Subject) -> Steps[Findings]:
    answer = yield from ask(subject.domain, MX)
    if isinstance(answer, TempFail):
        return [NULL_MX.found(_UNKNOWN, "dns", why(subject.domain, answer))]
    found = records(answer)
    if not any(one.null for one in found):
        return []
    remove = [f"{subject.domain} MX {one.preference} ." for one in found if one.null]
    if len(found) > 1:
        text = "a null MX must be alone (RFC 7505 §3): what others do with these records is anybody's guess"
    else:
        text = "the domain says that it takes no mail (null MX), and it is served here"
    return [NULL_MX.found(_FAIL, "null", text, remove=remove, fix=subject.records("mx"))]


def _addresses(subject: Subject) -> Steps[Findings]:
    name, ours = subject.hostname, set(subject.facts.addresses)
    if not ours:
        text = "the settings do not say which public addresses this server has"
        return [ADDRESSES.found(_UNKNOWN, "settings", text, remedy="write [publish] addresses")]
    six = yield from ask(name, AAAA)
    four = yield from ask(name, A)
    out: Findings = []
    for kind, answer in (("AAAA", six), ("A", four)):
        mine = {address for address in ours if (":" in address) == (kind == "AAAA")}
        if isinstance(answer, TempFail):
            out.append(ADDRESSES.found(_UNKNOWN, "dns", why(f"{name} {kind}", answer)))
            continue
        published = set(records(answer))
        evidence = [f"{name} {kind} {address}" for address in sorted(published)]
        if missing := mine - published:
            fix = [one for one in subject.records("host", name=name) if one.type == kind and one.data in missing]
            text = f"{name} lacks {'an IPv6' if kind == 'AAAA' else 'an IPv4'} address that it has"
            out.append(ADDRESSES.found(_FAIL, "missing", text, evidence=evidence, fix=fix))
        if extra := published - mine:
            text = f"{name} has addresses that the settings do not know: mail and sign-ins may go to another machine"
            remove = [f"{name} {kind} {address}" for address in sorted(extra)]
            remedy = "take them out, or name them in [publish] addresses"
            found = ADDRESSES.found(_FAIL, "others", text, evidence=evidence, remove=remove, remedy=remedy)
            out.append(found)
    return out


def _reverse(subject: Subject) -> Steps[Findings]:
    if not subject.facts.addresses:
        text = "the settings do not say which public addresses this server sends from"
        return [REVERSE.found(_UNKNOWN, "settings", text, remedy="write [publish] addresses")]
    out: Findings = []
    for address in subject.facts.addresses:
        out += yield from _reverse_of(subject, address)
    return out


def _reverse_of(subject: Subject, address: str) -> Steps[Findings]:
    name = reverse_name(address) or ""
    fix = subject.records("ptr", name=name)
    answer = yield from ask(name, PTR)
    if isinstance(answer, TempFail):
        return [REVERSE.found(_UNKNOWN, "dns", why(name, answer))]
    names = list(records(answer))[:NAMES_MOST]
    if not names:
        text = f"{address} has no name: many servers take no mail from it"
        return [REVERSE.found(_FAIL, "none", text, fix=fix, remedy="whoever rents the address out to you sets it")]
    evidence = [f"{name} PTR {one}." for one in names]
    answers = yield from ask_all(names, AAAA if ":" in address else A)
    confirmed = [one for one, found in zip(names, answers, strict=True) if address in records(found)]
    if not confirmed:
        failed = next((one for one in answers if isinstance(one, TempFail)), None)
        if failed is not None:
            return [REVERSE.found(_UNKNOWN, "dns", why(names[0], failed))]
        text = f"the name of {address} does not lead back to it: many servers take no mail from it"
        return [REVERSE.found(_FAIL, "unconfirmed", text, evidence=evidence, fix=fix)]
    if subject.hostname not in confirmed:
        text = f"the name of {address} is not {subject.hostname}, which the server says of itself"
        return [REVERSE.found(_WARN, "other-name", text, evidence=evidence, fix=fix)]
    if all(_GENERIC.search(one) for one in confirmed):
        text = f"the name of {address} looks like that of a household's line"
        return [REVERSE.found(_WARN, "generic", text, evidence=evidence, fix=fix)]
    return []


def _helo(subject: Subject) -> Steps[Findings]:
    name, out = subject.hostname, Findings()
    six = yield from ask(name, AAAA)
    four = yield from ask(name, A)
    for answer in (six, four):
        if isinstance(answer, TempFail):
            return [HELO.found(_UNKNOWN, "dns", why(name, answer))]
    if not records(six) and not records(four):
        text = f"{name}, which the server says of itself, has no address"
        out.append(HELO.found(_WARN, "no-address", text, fix=subject.records("host", name=name)))
    for address in subject.facts.addresses:
        outcome = yield from check_host(helo(address, name), explain=False)
        if outcome.result is Result.TEMPERROR:
            out.append(HELO.found(_UNKNOWN, "dns", f"SPF of {name}: DNS does not say now"))
        elif outcome.result is not Result.PASS:
            text = (
                f"SPF at {name}, which the server says of itself, does not pass for {address}: {outcome.result.value}"
            )
            fix = subject.records("helo") or subject.records("spf")
            evidence = [outcome.problem] if outcome.problem else []
            out.append(HELO.found(_WARN, "spf", text, evidence=evidence, fix=fix))
            break
    return out


MX_CHECK: Final = Check("D02", "MX records lead here, and nowhere else", Severity.HIGH, _mx)
NULL_MX: Final = Check("D03", "no null MX", Severity.HIGH, _null_mx)
ADDRESSES: Final = Check("D04", "the host has the server's addresses, IPv4 and IPv6", Severity.HIGH, _addresses)
REVERSE: Final = Check("D05", "addresses have the host's name, and it leads back", Severity.HIGH, _reverse)
HELO: Final = Check("D06", "the HELO name has an address, and its SPF passes", Severity.LOW, _helo)
CHECKS: Final = (MX_CHECK, NULL_MX, ADDRESSES, REVERSE, HELO)
