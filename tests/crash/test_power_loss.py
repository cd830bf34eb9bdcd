"""Power is lost at any call that changes the disk: what was not synced is gone, or some of it, in any order.

`ROUNDS` is how often (200); `SEED` repeats a run, as far as threads allow.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from poterne.store.sqlite.backup import restore
from tests.crash.ledger import Ledger
from tests.crash.lives import Outcome, Plan, live, ship
from tests.support.forgetful import lose_power

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]

ROUNDS = int(os.environ.get("ROUNDS", "200"))
LIVES = 12
"""Lives of one store, then a fresh one: so that accidents follow accidents, and each round stays short."""


def test_power_is_lost_at_any_moment(tmp_path: Path, tell: Callable[[str], None]) -> None:
    seed = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1 << 30)
    tell(f"SEED={seed} ROUNDS={ROUNDS}")
    chance = random.Random(seed)
    done = worlds = 0
    totals = dict.fromkeys(
        (
            "judged",
            "acknowledged",
            "unanswered",
            "quarantined",
            "released",
            "cut while opening",
            "backups restored",
            "octets freed",
        ),
        0,
    )
    while done < ROUNDS:
        worlds += 1
        home = tmp_path / f"world-{worlds}"
        (home / "data").mkdir(parents=True)
        (home / "shadow").mkdir()
        ledger = Ledger(chance.randrange(1 << 30))
        lost, migrations = False, 0
        for life in range(LIVES):
            plan = _plan(chance, life)
            plan.lost_power = lost
            if life and chance.random() < 0.2:
                migrations += 1
                plan.opening = chance.randint(1, 60)
            plan.migrations = migrations
            outcome = live(home, ledger, plan)
            ledger = outcome.ledger
            assert not outcome.wrong, _story(seed, worlds, life, plan, outcome)
            totals["judged"] += outcome.judged
            totals["cut while opening"] += not outcome.judged
            totals["octets freed"] += outcome.freed_bytes
            if plan.backup:
                totals["backups restored"] += _restores(home, migrations)
            lost = (lost and not outcome.judged) or chance.random() < 0.8
            if lost:
                lose_power(home / "data", home / "shadow", chance, chance.choice((0.0, 0.2, 0.5, 0.8, 1.0)))
            done += 1
        last = live(
            home, ledger, Plan(chance.randrange(1 << 30), days=400, working=1, lost_power=lost, migrations=migrations)
        )
        assert not last.wrong, _story(seed, worlds, LIVES, None, last)
        totals["judged"] += last.judged
        totals["acknowledged"] += last.ledger.acknowledged
        totals["unanswered"] += last.ledger.unanswered
        totals["quarantined"] += len(last.ledger.kept)
        totals["released"] += sum(last.ledger.letters[ident].arrived for ident in last.ledger.kept)
        assert last.ledger.refusals == []
        shutil.rmtree(home)
    tell(f"{done} rounds in {worlds} worlds: {totals}")
    assert totals["acknowledged"] > 3 * done
    assert totals["unanswered"] > done
    assert totals["released"] > 0 or done < 100
    assert totals["octets freed"] > 0 or done < 100


def test_power_is_lost_at_each_call_of_making_a_store(tmp_path: Path) -> None:
    chance = random.Random(1)
    for call in range(1, 1_000, max(1, 200 // ROUNDS)):
        home = tmp_path / f"{call}"
        (home / "data").mkdir(parents=True)
        (home / "shadow").mkdir()
        first = live(home, Ledger(1), Plan(call, days=0, opening=call, working=1))
        assert not first.wrong, first.wrong
        lose_power(home / "data", home / "shadow", chance, chance.choice((0.0, 0.5, 1.0)))
        second = live(home, Ledger(1), Plan(call, days=1, working=20, lost_power=True))
        assert not second.wrong, (call, second.wrong)
        shutil.rmtree(home)
        if first.judged:
            return
    raise AssertionError("the store was never made")


def test_what_was_seen_after_a_death_is_still_there_after_a_power_loss(tmp_path: Path) -> None:
    """A process dies between a write and its sync; others see what it wrote, so that must be made durable first."""
    for changes in range(2, 42, max(1, 200 // ROUNDS)):
        home = tmp_path / f"{changes}"
        (home / "data").mkdir(parents=True)
        (home / "shadow").mkdir()
        ledger = Ledger(changes)
        for plan in (
            Plan(changes, days=0, working=100),
            Plan(changes + 1, days=1, working=changes),
            Plan(changes + 2, days=2, working=1),
        ):
            outcome = live(home, ledger, plan)
            assert not outcome.wrong, (changes, outcome.wrong)
            ledger = outcome.ledger
        lose_power(home / "data", home / "shadow", random.Random(changes), 0.0)
        outcome = live(home, ledger, Plan(changes, days=3, working=1, lost_power=True))
        assert not outcome.wrong, (changes, outcome.wrong)
        shutil.rmtree(home)


def _plan(chance: random.Random, life: int) -> Plan:
    plan = Plan(chance.randrange(1 << 30), days=3 * life)
    if life and chance.random() < 0.25:
        plan.opening = round(2 ** chance.uniform(0, 5))
    plan.working = round(2 ** chance.uniform(2, 10.5))
    plan.compact = life > 1 and chance.random() < 0.4
    plan.backup = chance.random() < 0.25
    plan.alone = (plan.compact or plan.backup) and chance.random() < 0.5
    if plan.alone:
        plan.working = round(2 ** chance.uniform(0, 6))
    plan.close = chance.random() < 0.15
    if plan.close:
        plan.working = None
    return plan


def _restores(home: Path, migrations: int) -> bool:
    """The last backup that was finished can be restored, whatever happened to a later one in the same folder."""
    if not (home / "backup" / "backup.json").exists():
        return False
    target = home / "restored"
    ship(migrations)
    try:
        findings = restore(home / "backup", target)
    finally:
        ship(0)
    shutil.rmtree(target)
    assert findings == []
    return True


def _story(seed: int, world: int, life: int, plan: Plan | None, outcome: Outcome) -> str:
    wrong = "\n".join(outcome.wrong[:20])
    return f"SEED={seed}, world {world}, life {life}: {plan}\n{wrong}"
