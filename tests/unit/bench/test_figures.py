import json
from itertools import pairwise

import pytest

from bench import report
from bench.__main__ import chosen_scenarios, main
from bench.figures import pair_ratios, rows, spread
from bench.goals import EARLIER, GOALS, Goal, Kind
from bench.scenarios import ACCOUNTS, SCENARIOS
from bench.scenarios.base import Watch, in_parallel, percentile, percentiles_ms

SAMPLES = {
    "poterne": [{"cpu_ms": 1.0, "visible_per_s": 2000.0}, {"cpu_ms": 2.0, "visible_per_s": 900.0}],
    "a": [{"cpu_ms": 5.0, "visible_per_s": 300.0}, {"cpu_ms": 5.0, "visible_per_s": 300.0}],
    "b": [{"cpu_ms": 10.0, "visible_per_s": 400.0}, {"cpu_ms": 4.0, "visible_per_s": 250.0}],
}


def test_pairs_are_of_one_round_and_with_the_best_peer() -> None:
    peers = [SAMPLES["a"], SAMPLES["b"]]
    assert pair_ratios(SAMPLES["poterne"], peers, "cpu_ms") == [0.2, 0.5]
    assert pair_ratios(SAMPLES["poterne"], peers, "visible_per_s") == [5.0, 3.0]


def test_a_missing_round_is_left_out() -> None:
    assert pair_ratios(SAMPLES["poterne"], [SAMPLES["a"][:1]], "cpu_ms") == [0.2]
    assert pair_ratios(SAMPLES["poterne"], [], "cpu_ms") == []


def test_goals_are_held_against_the_median() -> None:
    found = {row.figure: row for row in rows("smtp-in-4k", SAMPLES, "poterne")}
    assert found["cpu_ms"].ratio == spread([0.2, 0.5])
    assert found["cpu_ms"].reached is False  # 0.35 is more than 0.25
    assert found["visible_per_s"].reached is True  # 4.0 is just enough


def test_an_absolute_goal_needs_no_peer() -> None:
    found = rows("idle-connections", {"poterne": [{"kib_per_connection": 48.5}]}, "poterne")
    assert [row.reached for row in found] == [False]
    assert found[0].ratio is None


def test_without_a_peer_a_ratio_goal_is_open() -> None:
    assert [row.reached for row in rows("fetch-body", {"poterne": [{"cpu_ms": 1.0}]}, "poterne")] == [None]


@pytest.mark.parametrize(
    ("kind", "limit", "value", "reached"),
    [
        (Kind.RATIO_AT_MOST, 0.25, 0.25, True),
        (Kind.RATIO_AT_MOST, 0.25, 0.26, False),
        (Kind.RATIO_AT_LEAST, 4.0, 3.9, False),
        (Kind.AT_MOST, 48.0, 47.0, True),
    ],
)
def test_goal(kind: Kind, limit: float, value: float, reached: bool) -> None:
    assert Goal("s", "f", kind, limit).reached(value) is reached


def test_the_table_names_the_goal_and_its_outcome() -> None:
    text = report.table(SCENARIOS[0], SAMPLES, "poterne", has_goals=True)
    assert "≤ 0.25× the best peer: MISSED" in text
    assert "≥ 4× the best peer: reached" in text
    assert "1.50 (1.00–2.00)" in text
    assert "0.350 (0.200–0.500)" in text
    assert text.count("\n") == 3


def test_json_holds_the_samples() -> None:
    made = report.as_json({"smtp-in-4k": SAMPLES}, "poterne", ["x failed"], {"rounds": 2})
    again = json.loads(json.dumps(made))
    assert again["scenarios"]["smtp-in-4k"]["samples"]["a"][1]["cpu_ms"] == 5.0
    assert again["scenarios"]["smtp-in-4k"]["ratios"]["cpu_ms"] == [0.2, 0.35, 0.5]
    assert {goal["reached"] for goal in again["scenarios"]["smtp-in-4k"]["goals"]} == {True, False}
    assert again["failures"] == ["x failed"]


@pytest.mark.parametrize(("value", "text"), [(0.0213, "0.021"), (1.234, "1.23"), (12.34, "12.3"), (12345.6, "12,346")])
def test_numbers(value: float, text: str) -> None:
    assert report.number(value) == text


def test_percentiles_are_measured_values() -> None:
    values = [float(n) for n in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99)) == (50.0, 99.0)
    assert percentile([3.0], 0.99) == 3.0
    assert percentiles_ms([0.002, 0.001, 0.004]) == {"p50_ms": 2.0, "p99_ms": 4.0}


def test_a_watch_counts_per_operation() -> None:
    watch = Watch(root=0, server_s=0.5, wall_s=2.0, generator_s=0.1)
    assert watch.sample(100) == {"cpu_ms": 5.0, "per_s": 50.0, "generator_ms": 1.0}


async def test_one_failing_worker_ends_all() -> None:
    async def work(number: int) -> None:
        if number == 1:
            raise OSError("gone")

    with pytest.raises(ExceptionGroup) as caught:
        await in_parallel(3, work)
    assert isinstance(caught.value.exceptions[0], OSError)


def test_names_agree() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)
    assert len(set(ACCOUNTS)) == len(ACCOUNTS)
    assert {goal.scenario for goal in GOALS} <= set(names)
    assert {scenario for scenario, _ in EARLIER} <= set(names)


def test_scenarios_of_one_group_stand_together() -> None:
    groups = [scenario.group.name for scenario in SCENARIOS]
    assert len(set(groups)) == 1 + sum(a != b for a, b in pairwise(groups))


def test_choosing() -> None:
    assert chosen_scenarios("all") == list(SCENARIOS)
    assert [each.name for each in chosen_scenarios("pop3,smtp-in-64k")] == ["smtp-in-64k", "pop3-1000"]
    with pytest.raises(SystemExit, match="no-such"):
        chosen_scenarios("no-such")


def test_list_names_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(scenario.name in printed for scenario in SCENARIOS)
    assert "postfix-dovecot-mdbox" in printed


def test_an_unknown_server_is_named() -> None:
    with pytest.raises(SystemExit, match="sendmail"):
        main(["run", "--sut", "sendmail"])
