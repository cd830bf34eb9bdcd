"""All checks, in the order of the catalogue, and what the worst of them says."""

from collections.abc import Iterable, Sequence
from typing import Final

from poterne.mailauth.spf.check import Steps
from poterne.policy.published import authors, exchangers, names, senders, signed, signing, transport
from poterne.policy.published.asking import Check, Findings, Subject
from poterne.policy.published.finding import Finding, Outcome

CHECKS: Final[tuple[Check, ...]] = (
    *exchangers.CHECKS,
    *senders.CHECKS,
    *signing.CHECKS,
    *signed.CHECKS,
    *authors.CHECKS,
    *transport.CHECKS,
    *names.CHECKS,
)


def run(check: Check, subject: Subject) -> Steps[Findings]:
    """What it found; one finding that all is well when there is nothing."""
    found = yield from check.run(subject)
    return found or [check.found(Outcome.OK, "ok", check.title)]


def worst(findings: Iterable[Finding]) -> Finding | None:
    """The one that wants most to be seen, the first of its kind."""
    return max(findings, key=lambda finding: finding.outcome.rank, default=None)


def by_check(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """The same by the id of the check."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.check, []).append(finding)
    return found
