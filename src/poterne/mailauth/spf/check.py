"""May this client send for that domain? `check_host()` of RFC 7208 §4, as a generator that asks and is answered.

Theory of operation. Each step yields the questions that can be asked at the same time, and is sent one answer for each, in
their order; the end of it is an Outcome. Includes and redirects are the same generator again, one level down. What ends the
whole evaluation, from whatever level (RFC 7208 §5.2: temperror, permerror), is raised inside as `_StopError` and caught at the
top. So the depth, the questions and the work are bounded by LOOKUPS_MOST, whatever loops the records make.

Choices where the RFC leaves one:
- A name that an expansion makes and DNS can't hold is not asked for: the mechanism does not match (§4.8), and it is no void
  lookup, for else a sender could choose a local part that turns a fail into a permerror.
- An mx counts as a void lookup when it has no hosts, not for each host without an address of the client's family (§4.6.4 speaks
  of terms): a domain with IPv4 only would be broken for each client with IPv6.
- The hosts of an mx are asked for at once: one that matches, matches, though DNS fails for another.
- The client's names are asked for once. Without any, that is one void lookup whatever the number of ptr terms: names are the
  client's, who must not choose a permerror. `%{p}` counts as one lookup, and not as a void one; in an explanation nothing
  counts, for nothing depends on it.
- Local parts that are not ASCII: a directive with `%{s}` or `%{l}` does not match (RFC 8616 §4).
"""

import re
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Final, NoReturn, TypeVar, cast, final

from poterne.mailauth.spf import macro, record
from poterne.mailauth.spf.macro import DomainSpec
from poterne.mailauth.spf.outcome import Identity, Outcome, Reason, Result
from poterne.mailauth.spf.record import Directive, Malformed, Mechanism, Record
from poterne.values.address import Address
from poterne.values.dns import (
    AAAA,
    MX,
    PTR,
    TXT,
    A,
    Answer,
    Found,
    Kind,
    NxDomain,
    Resolver,
    TempFail,
    reverse_name,
)
from poterne.values.networks import address_number

LOOKUPS_MOST: Final = 10
VOID_LOOKUPS_MOST: Final = 2
QUESTIONS_MOST: Final = 40
"""To DNS, for all terms together; without those (11 at most) that lead from the client's address to its names and back, for these
are the client's, who must not choose a permerror. Honest records need a third of it; the limits on terms and hosts alone allow
111, and RFC 7208 §4.6.4 leaves others to the receiver."""
MX_NAMES_MOST: Final = 10
PTR_NAMES_MOST: Final = 10
ADDRESSES_MOST: Final = 500
"""Of one name, that are compared with a prefix length. No host has as many."""
EXPLANATION_MOST: Final = 400
"""Characters: a reply line has 512 (RFC 5321 §4.5.3.1.5)."""
EXPLANATION_RECORD_MOST: Final = 2048
_HELO_MOST: Final = 255
_DETAIL_MOST: Final = 120
_KEPT: Final = 2048
"""Domains that were looked at lately."""
_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+\.?")

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Question:
    """What DNS is asked."""

    name: str
    kind: Kind[object]


Questions = tuple[Question, ...]
Answers = Sequence[Answer[object]]
T = TypeVar("T")
Steps = Generator[Questions, Answers, T]
"""Start it with `next`, then `send` it the answers to what it yields; StopIteration holds what it comes to."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Who connects, and for whom it speaks. Make it with `mail_from` or `helo`."""

    client: str
    """Its IP address; IPv4-mapped IPv6 is IPv4."""
    identity: Identity
    local_part: str
    domain: str
    """As it was given; it need not be a domain."""
    helo: str
    receiver: str
    """Our name, for the domain's explanation."""
    now_s: int


def mail_from(
    client: str, reverse_path: Address | None, helo: str, *, receiver: str = "unknown", now_s: int = 0
) -> Claim:
    """What MAIL FROM claims; the null reverse-path means postmaster of the HELO name (RFC 7208 §2.4)."""
    if reverse_path is None:
        return Claim(client, Identity.MAIL_FROM, "postmaster", helo, helo, receiver, now_s)
    local_part = reverse_path.local_part or "postmaster"
    return Claim(client, Identity.MAIL_FROM, local_part, reverse_path.domain, helo, receiver, now_s)


def helo(client: str, name: str, *, receiver: str = "unknown", now_s: int = 0) -> Claim:
    """What HELO claims (RFC 7208 §2.3)."""
    return Claim(client, Identity.HELO, "postmaster", name, name, receiver, now_s)


def check_host(claim: Claim, *, explain: bool = True) -> Steps[Outcome]:
    """The outcome, after the DNS it needs. Raises nothing, whatever the answers hold.

    QUESTIONS_MOST questions, 11 for the client's names, and one for the explanation of a fail, when `explain`.
    Time is the caller's: RFC 7208 §4.6.4 asks for 20 s at least, and then `out_of_time`.
    """
    found = address_number(claim.client)
    if found is None:
        return Outcome(Result.NONE, Reason.CLIENT, claim.identity)
    domain = _domain(claim.domain)
    if domain is None:
        return Outcome(Result.NONE, Reason.DOMAIN, claim.identity, detail=_shown(claim.domain))
    return (yield from _Check(claim, found[0], found[1], domain).outcome(explain=explain))


def out_of_time(claim: Claim) -> Outcome:
    """For who had no more time to wait for the answers."""
    return Outcome(Result.TEMPERROR, Reason.TIME, claim.identity, _domain(claim.domain) or "")


async def answered(steps: Steps[T], resolver: Resolver) -> T:
    """What the steps come to, with this resolver, one question after the other.

    Who has a loop asks the questions of a step at the same time; here is none.
    """
    try:
        questions = next(steps)
        while True:
            answers = [await resolver.query(question.name, question.kind) for question in questions]
            questions = steps.send(answers)
    except StopIteration as end:
        return cast("T", end.value)


def _domain(text: str) -> str | None:
    """The name to ask, when it can have a record (RFC 7208 §4.3): two labels or more, and no address."""
    return _read_domain(text) if len(text) <= macro.NAME_MOST + 1 else None


@lru_cache(maxsize=_KEPT)
def _read_domain(text: str) -> str | None:
    name = macro.name(text) if _HOST.fullmatch(text) else None
    return None if name is None or name.rpartition(".")[2].isdigit() else name


def _shown(text: str) -> str:
    return macro.one_line(text[:_DETAIL_MOST])


class _StopError(Exception):
    """Ends the evaluation from any level; never leaves this module."""

    def __init__(self, result: Result, reason: Reason, where: str, detail: str = "") -> None:
        self.result: Final = result
        self.reason: Final = reason
        self.where: Final = where
        self.detail: Final = detail


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Of one record. `where` and `explanation`: whose record decided, and what it says of a fail."""

    result: Result
    matched: tuple[str, ...]
    where: str
    explanation: DomainSpec | None


@final
class _Check:
    """One evaluation and what it has used up."""

    __slots__ = (
        "_claim",
        "_constant",
        "_domain",
        "_kind",
        "_lookups",
        "_names",
        "_number",
        "_questions",
        "_version",
        "_voids",
    )

    def __init__(self, claim: Claim, version: int, number: int, domain: str) -> None:
        self._claim: Final = claim
        self._version: Final = version
        self._number: Final = number
        self._kind: Final = A if version == 4 else AAAA
        self._domain: Final = domain
        self._lookups = 0
        self._voids = 0
        self._questions = 0
        self._names: tuple[str, ...] | None = None
        """Of the client, validated; None: not asked for yet."""
        self._constant: dict[str, str] | None = None
        """Values of the macros that are the same in all records."""

    @property
    def _client(self) -> str:
        """Its address, as `values.dns` writes them; seldom needed."""
        return str(IPv4Address(self._number) if self._version == 4 else IPv6Address(self._number))

    def outcome(self, *, explain: bool) -> Steps[Outcome]:
        identity, domain = self._claim.identity, self._domain
        try:
            verdict = yield from self._host(domain)
        except _StopError as stop:
            return Outcome(
                stop.result, stop.reason, identity, domain, (), stop.where, stop.detail, "", self._lookups, self._voids
            )
        explanation = ""
        if explain and verdict.result is Result.FAIL and verdict.explanation is not None:
            explanation = yield from self._explain(verdict.explanation, verdict.where)
        reason = Reason.MATCHED if verdict.matched and not _is_redirect(verdict.matched[-1]) else Reason.DEFAULT
        return Outcome(
            verdict.result,
            reason,
            identity,
            domain,
            verdict.matched,
            verdict.where,
            "",
            explanation,
            self._lookups,
            self._voids,
        )

    # -- records -------------------------------------------------------------------------------------------------------

    def _host(self, domain: str) -> Steps[_Verdict]:
        """`check_host()` of one domain, without the limits on time and the explanation."""
        found = yield from self._record(domain)
        for directive in found.directives:
            version = directive.version
            if version:
                bits = directive.host_bits_4 if version == 4 else directive.host_bits_6
                if version != self._version or (directive.network ^ self._number) >> bits:
                    continue
                matched: tuple[str, ...] | None = ()
            else:
                matched = yield from self._matches(directive, domain)
            if matched is not None:
                return _Verdict(directive.result, (directive.text, *matched), domain, found.explanation)
        if found.redirect is None:
            return _Verdict(Result.NEUTRAL, (), domain, None)
        self._count(domain, found.redirect_text)
        target = yield from self._target(found.redirect, domain)
        if target is None or "." not in target:
            self._stop(Reason.TARGET, domain, found.redirect_text)
        verdict = yield from self._host(target)
        return _Verdict(verdict.result, (found.redirect_text, *verdict.matched), verdict.where, verdict.explanation)

    def _record(self, domain: str) -> Steps[Record]:
        self._count_questions(1, domain)
        answer = cast("Answer[bytes]", (yield (Question(domain, TXT),))[0])  # TXT was asked for
        if isinstance(answer, TempFail):
            self._stop_dns(domain, domain)
        # RFC 7208 §5.2, §6.1: nothing where another record leads is an error of that record
        nothing = Result.NONE if self._lookups == 0 else Result.PERMERROR
        texts = record.select(answer.records) if isinstance(answer, Found) else ()
        if len(texts) > 1:
            self._stop(Reason.SEVERAL_RECORDS, domain)
        if not texts:
            if nothing is Result.PERMERROR:
                self._stop(Reason.TARGET_RECORD, domain)
            missing = Reason.NO_DOMAIN if isinstance(answer, NxDomain) else Reason.NO_RECORD
            raise _StopError(nothing, missing, domain)
        found = record.read(texts[0])
        if isinstance(found, Malformed):
            self._stop(found.reason, domain, found.term)
        return found

    # -- mechanisms ----------------------------------------------------------------------------------------------------

    def _matches(self, directive: Directive, domain: str) -> Steps[tuple[str, ...] | None]:
        """What matched below it, mostly nothing more; None: it does not match."""
        mechanism = directive.mechanism
        if mechanism is Mechanism.ALL:
            return ()
        self._count(domain, directive.text)
        target: str | None = domain
        if directive.domain is not None:
            if self._unanswerable(directive.domain):
                return None
            target = yield from self._target(directive.domain, domain)
        if mechanism is Mechanism.INCLUDE:
            if target is None or "." not in target:
                self._stop(Reason.TARGET, domain, directive.text)
            verdict = yield from self._host(target)
            return verdict.matched if verdict.result is Result.PASS else None
        if target is None:
            return None
        match mechanism:
            case Mechanism.A:
                matched = yield from self._is_address_of(directive, domain, target)
            case Mechanism.MX:
                matched = yield from self._is_mx_of(directive, domain, target)
            case Mechanism.PTR:
                matched = yield from self._is_named_in(directive, domain, target)
            case _:  # exists: the others were dealt with
                matched = bool((yield from self._found(target, A, domain, directive.text)))
        return () if matched else None

    def _is_address_of(self, directive: Directive, domain: str, target: str) -> Steps[bool]:
        addresses = yield from self._found(target, self._kind, domain, directive.text)
        return self._is_among(directive, addresses)

    def _is_mx_of(self, directive: Directive, domain: str, target: str) -> Steps[bool]:
        exchangers = yield from self._found(target, MX, domain, directive.text)
        if len(exchangers) > MX_NAMES_MOST:
            self._stop(Reason.MX_NAMES, domain, directive.text)
        hosts = _names(found.exchange for found in exchangers)
        if not hosts:
            return False
        self._count_questions(len(hosts), domain, directive.text)
        answers = yield from _ask_all(hosts, self._kind)
        if any(isinstance(answer, Found) and self._is_among(directive, answer.records) for answer in answers):
            return True
        for host, answer in zip(hosts, answers, strict=True):
            if isinstance(answer, TempFail):
                self._stop_dns(domain, host)
        return False

    def _is_named_in(self, directive: Directive, domain: str, target: str) -> Steps[bool]:
        names, void = yield from self._validated()
        if void:
            self._count_void(domain, directive.text)
        return any(name == target or name.endswith("." + target) for name in names)

    def _is_among(self, directive: Directive, addresses: Sequence[str]) -> bool:
        bits = directive.host_bits_4 if self._version == 4 else directive.host_bits_6
        if not bits:
            return bool(addresses) and self._client in addresses
        for address in addresses[:ADDRESSES_MOST]:
            found = address_number(address)
            if found is not None and found[0] == self._version and not (found[1] ^ self._number) >> bits:
                return True
        return False

    def _found(self, name: str, kind: Kind[R], domain: str, term: str) -> Steps[tuple[R, ...]]:
        """The records that a term asks for; none counts as a void lookup."""
        self._count_questions(1, domain, term)
        answer = yield from _ask(name, kind)
        if isinstance(answer, TempFail):
            self._stop_dns(domain, name)
        if isinstance(answer, Found) and answer.records:
            return answer.records
        self._count_void(domain, term)
        return ()

    def _validated(self) -> Steps[tuple[tuple[str, ...], bool]]:
        """Names of the client that lead back to it (RFC 7208 §5.5), and whether DNS has none at all. Asked for once."""
        if self._names is not None:
            return self._names, False
        self._names = ()
        client = self._client
        answer = yield from _ask(reverse_name(client) or "", PTR)
        if not isinstance(answer, Found):
            return (), not isinstance(answer, TempFail)
        names = _names(answer.records[:PTR_NAMES_MOST])
        addresses = yield from _ask_all(names, self._kind)
        self._names = tuple(
            name
            for name, those in zip(names, addresses, strict=True)
            if isinstance(those, Found) and client in those.records
        )
        return self._names, False

    # -- macros --------------------------------------------------------------------------------------------------------

    def _unanswerable(self, spec: DomainSpec) -> bool:
        return not self._claim.local_part.isascii() and not spec.letters.isdisjoint("sl")

    def _target(self, spec: DomainSpec, domain: str, *, counts: bool = True) -> Steps[str | None]:
        """The name that a domain-spec means here; None when it can't be one."""
        if not spec.letters or self._unanswerable(spec):
            return spec.fixed
        values = yield from self._values(spec.letters, domain, counts=counts)
        return spec.target(values)

    def _values(self, letters: frozenset[str], domain: str, *, counts: bool) -> Steps[dict[str, str]]:
        if self._constant is None:
            self._constant = self._constants()
        values = {**self._constant, "d": domain}
        if "p" in letters:
            if counts and self._names is None:
                self._count(domain, "%{p}")
            names, _ = yield from self._validated()
            values["p"] = _preferred(names, domain)
        return values

    def _constants(self) -> dict[str, str]:
        claim = self._claim
        return {
            "s": f"{claim.local_part}@{self._domain}",
            "l": claim.local_part,
            "o": self._domain,
            "i": self._client if self._version == 4 else ".".join(f"{self._number:032x}"),
            "v": "in-addr" if self._version == 4 else "ip6",
            "h": claim.helo[:_HELO_MOST],
            "c": self._client,
            "r": claim.receiver,
            "t": str(claim.now_s),
        }

    def _explain(self, spec: DomainSpec, domain: str) -> Steps[str]:
        """What the domain says of its fail (RFC 7208 §6.2); empty when there is any doubt about it."""
        target = yield from self._target(spec, domain, counts=False)
        if target is None:
            return ""
        answer = yield from _ask(target, TXT)
        if (
            not isinstance(answer, Found)
            or len(answer.records) != 1
            or len(answer.records[0]) > EXPLANATION_RECORD_MOST
        ):
            return ""
        text = macro.read_explanation(answer.records[0].decode("latin-1"))
        if text is None:
            return ""
        values = yield from self._values(text.letters, domain, counts=False)
        return macro.one_line(text.value(values, EXPLANATION_MOST))

    # -- limits --------------------------------------------------------------------------------------------------------

    def _count(self, domain: str, term: str) -> None:
        if self._lookups == LOOKUPS_MOST:
            self._stop(Reason.LOOKUPS, domain, term)
        self._lookups += 1

    def _count_void(self, domain: str, term: str) -> None:
        self._voids += 1
        if self._voids > VOID_LOOKUPS_MOST:
            self._stop(Reason.VOID_LOOKUPS, domain, term)

    def _count_questions(self, count: int, domain: str, term: str = "") -> None:
        self._questions += count
        if self._questions > QUESTIONS_MOST:
            self._stop(Reason.QUESTIONS, domain, term)

    def _stop(self, reason: Reason, domain: str, term: str = "") -> NoReturn:
        raise _StopError(Result.PERMERROR, reason, domain, _shown(term))

    def _stop_dns(self, domain: str, name: str) -> NoReturn:
        raise _StopError(Result.TEMPERROR, Reason.DNS, domain, _shown(name))


def _ask(name: str, kind: Kind[R]) -> Steps[Answer[R]]:
    answers = yield (Question(name, kind),)
    return cast("Answer[R]", answers[0])  # the question holds the kind


def _ask_all(names: Sequence[str], kind: Kind[R]) -> Steps[Sequence[Answer[R]]]:
    if not names:
        return ()
    answers = yield tuple(Question(name, kind) for name in names)
    return cast("Sequence[Answer[R]]", answers)


def _names(texts: Iterable[str]) -> tuple[str, ...]:
    """Each once, and without what DNS gave that can't be asked for again: the root of a null MX, escapes (`values.dns`)."""
    return tuple(dict.fromkeys(text for text in texts if macro.name(text) == text))


def _preferred(names: Sequence[str], domain: str) -> str:
    """Which of the validated names `%{p}` means (RFC 7208 §7.3)."""
    if domain in names:
        return domain
    return next((name for name in names if name.endswith("." + domain)), names[0] if names else "unknown")


def _is_redirect(term: str) -> bool:
    return term[:9].lower() == "redirect="
