"""From samples to statements: the spread of a figure, the ratio pair by pair, and whether a goal is reached."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bench.goals import GOALS, Goal, Kind
from bench.scenarios.base import Sample

HIGHER_IS_BETTER = frozenset({"per_s", "visible_per_s", "acknowledged_per_s", "arrived_per_s", "burst_per_s"})
Samples = Mapping[str, Sequence[Sample]]
"""Name of the server → its samples, one a round, in the order of the rounds."""


@dataclass(frozen=True, slots=True)
class Spread:
    lowest: float
    median: float
    highest: float


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of one scenario for all servers."""

    figure: str
    spreads: dict[str, Spread]
    ratio: Spread | None
    goal: Goal | None
    reached: bool | None


def spread(values: Sequence[float]) -> Spread:
    return Spread(min(values), median(values), max(values))


def pair_ratios(subject: Sequence[Sample], peers: Sequence[Sequence[Sample]], figure: str) -> list[float]:
    """The subject's figure over that of the best peer of the same round."""
    best = max if figure in HIGHER_IS_BETTER else min
    ratios: list[float] = []
    for number, sample in enumerate(subject):
        others = [peer[number][figure] for peer in peers if number < len(peer) and figure in peer[number]]
        if figure in sample and others and (divisor := best(others)) > 0:
            ratios.append(sample[figure] / divisor)
    return ratios


def _value(goal: Goal, spreads: Mapping[str, Spread], subject: str, ratio: Spread | None) -> float | None:
    if goal.kind is Kind.AT_MOST:
        return spreads[subject].median if subject in spreads else None
    return None if ratio is None else ratio.median


def rows(scenario: str, samples: Samples, subject: str) -> list[Row]:
    """All figures of a scenario. Goals are held against the subject only."""
    names = list(dict.fromkeys(figure for each in samples.values() for sample in each for figure in sample))
    made: list[Row] = []
    for figure in names:
        spreads = {
            name: spread([sample[figure] for sample in each if figure in sample])
            for name, each in samples.items()
            if any(figure in sample for sample in each)
        }
        peers = [each for name, each in samples.items() if name != subject]
        ratios = pair_ratios(samples.get(subject, ()), peers, figure)
        ratio = spread(ratios) if ratios else None
        goal = next((each for each in GOALS if (each.scenario, each.figure) == (scenario, figure)), None)
        value = None if goal is None else _value(goal, spreads, subject, ratio)
        made.append(Row(figure, spreads, ratio, goal, None if goal is None or value is None else goal.reached(value)))
    return made
