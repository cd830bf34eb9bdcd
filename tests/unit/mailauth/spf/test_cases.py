"""RFC 7208 topic by topic: the cases of tests/corpus/spf."""

import pytest

from tests.unit.mailauth.spf.world import WORLD, Case, cases, claim

CASES = dict(cases())
KEYS = {"reason", "matched", "where", "exp", "lookups", "void", "mechanism", "asked", "not-asked", "problem", "detail"}


def test_there_are_cases_for_each_topic() -> None:
    assert len(CASES) >= 150
    assert all(set(case.expected) <= KEYS for case in CASES.values())


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_case(case: Case) -> None:
    said = claim(case.sender, case.client, case.helo)
    world = WORLD if case.records is None else WORLD.with_txt(said.domain.lower().rstrip("."), *case.records)
    outcome = world.evaluate(said)
    assert outcome.result.value == case.result, outcome
    found = {
        "reason": outcome.reason.value,
        "matched": " ".join(outcome.matched),
        "where": outcome.where,
        "exp": outcome.explanation,
        "lookups": str(outcome.lookups),
        "void": str(outcome.void_lookups),
        "mechanism": outcome.mechanism,
        "problem": outcome.problem,
        "detail": outcome.detail,
    }
    asked = {f"{question.name} {question.kind.word}" for question in world.asked}
    for key, value in case.expected.items():
        if key == "asked":
            assert value in asked
        elif key == "not-asked":
            assert value not in asked
        else:
            assert found[key] == value
