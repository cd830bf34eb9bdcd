"""What checks share: their subject, how they ask, and how a missing answer is told."""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, cast

from poterne.mailauth.spf.check import Question, Steps
from poterne.policy.published.finding import Finding, Outcome, Severity, shown
from poterne.policy.published.wanted import Facts
from poterne.values.dns import Answer, Failure, Found, Kind, TempFail
from poterne.values.zone import ZoneRecord

R = TypeVar("R")

NAMES_MOST: Final = 20
"""Of one answer that are asked for in turn."""


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The MTA-STS policy as it is fetched from outside: its text, or why there is none."""

    text: bytes = b""
    problem: str = ""
    passing: bool = False
    """The problem may be ours, or over in a moment: it says nothing of the file."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at. `wanted`: what should be in DNS."""

    facts: Facts
    wanted: tuple[ZoneRecord, ...]
    now: dt.datetime
    strangers: tuple[str, ...] = ()
    """Addresses of nobody in particular, that may send nothing in the domain's name."""
    chains: tuple[tuple[bytes, ...], ...] = ()
    """Of the certificates in use for the host name (DER, the server's own first)."""
    policy_file: PolicyFile | None = None
    """None: it was not fetched."""
    relatives: tuple[str, ...] = ()
    """Other domains that are served here."""
    certified: tuple[str, ...] = ()
    """DNS names that the certificates in use are for."""

    @property
    def domain(self) -> str:
        return self.facts.domain

    @property
    def hostname(self) -> str:
        return self.facts.hostname

    def records(self, purpose: str, *, name: str | None = None) -> tuple[ZoneRecord, ...]:
        """Those of `wanted` that serve this purpose."""
        return tuple(r for r in self.wanted if r.purpose == purpose and (name is None or r.name == name))


Findings = list[Finding]
Run = Callable[[Subject], Steps[Findings]]


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the catalogue. `run` gives what is not as it should be; nothing: all is well."""

    id: str
    title: str
    """What holds when all is well."""
    severity: Severity
    run: Run

    def found(
        self,
        outcome: Outcome,
        word: str,
        text: str,
        *,
        evidence: Iterable[str | bytes] = (),
        fix: Sequence[ZoneRecord] = (),
        remove: Iterable[str] = (),
        remedy: str = "",
        severity: Severity | None = None,
    ) -> Finding:
        return Finding(
            self.id,
            word,
            outcome,
            severity or self.severity,
            text,
            tuple(shown(one) for one in evidence),
            tuple(fix),
            tuple(shown(one, 600) for one in remove),
            remedy,
        )


def ask(name: str, kind: Kind[R]) -> Steps[Answer[R]]:
    """The answer to one question."""
    (answer,) = yield (Question(name, kind),)
    return cast("Answer[R]", answer)


def ask_all(names: Sequence[str], kind: Kind[R]) -> Steps[list[Answer[R]]]:
    """The answers to questions that are asked at the same time, in their order."""
    if not names:
        return []
    answers = yield tuple(Question(name, kind) for name in names)
    return [cast("Answer[R]", answer) for answer in answers]


def records(answer: Answer[R]) -> tuple[R, ...]:
    """What was found; nothing else is told apart."""
    return answer.records if isinstance(answer, Found) else ()


def why(name: str, failure: TempFail) -> str:
    """In words, for people."""
    if failure.reason is Failure.BOGUS:
        return f"{name}: DNSSEC validation fails, so that nobody who validates gets an answer"
    return f"{name}: DNS does not say now ({failure.reason.value})"
