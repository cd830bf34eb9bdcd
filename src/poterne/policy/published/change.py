"""What changed between two looks at a domain's DNS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from poterne.policy.published.checks import by_check, worst
from poterne.policy.published.finding import Finding, Outcome
from poterne.values.watch import DnsFinding

_TEXT_MOST: Final = 500
_OUTCOMES: Final = {outcome.value: outcome for outcome in Outcome}


@dataclass(frozen=True, slots=True)
class Change:
    """The outcome of one check is another one."""

    check: str
    before: Outcome
    now: Outcome
    text: str

    @property
    def worse(self) -> bool:
        return self.now in {Outcome.WARN, Outcome.FAIL} and self.now.rank > self.before.rank


def looked(
    domain: str, known: Sequence[DnsFinding], found: Sequence[Finding], now_s: int
) -> tuple[list[DnsFinding], list[Change]]:
    """What to keep, and what changed since then; at the first look nothing did.

    What can't be found out now changes nothing: what was known stays.
    """
    earlier: Mapping[str, DnsFinding] = {one.check: one for one in known}
    kept: list[DnsFinding] = []
    changes: list[Change] = []
    for check, findings in by_check(found).items():
        head = worst(findings)
        before = earlier.get(check)
        if head is None:
            continue
        outcome = head.outcome
        if outcome is Outcome.UNKNOWN and before is not None:
            kept.append(before)
            continue
        text = "; ".join(one.text for one in findings if one.outcome is outcome)[:_TEXT_MOST]
        same = before is not None and before.outcome == outcome.value
        since = before.since if before is not None and same else now_s
        kept.append(DnsFinding(domain, check, outcome.value, text, since))
        if before is not None and not same:
            changes.append(Change(check, _OUTCOMES.get(before.outcome, Outcome.UNKNOWN), outcome, text))
    return kept, changes
