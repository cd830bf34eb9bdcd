"""Rounds, one after the other, on one server."""

import time
from collections.abc import Callable
from pathlib import Path

from poterne.admin.instance import DATA, SETTINGS
from poterne.app.stores import open_instance_store
from poterne.config.load import load
from tests.stress.ledger import DifferenceError
from tests.stress.rounds import LATE_S, Plan, Round
from tests.support.peer_server import serve

ENOUGH_DELAYS = 12


async def stress(folder: Path, seed: int, until: float, rounds: int | None, *, tell: Callable[[str], None]) -> int:
    """The exit status: 0, or 1 after the first difference. Seeds are counted up from `seed`."""
    with serve(folder / "instance", {"retention": {"undelete_days": 0}}) as server:
        store = open_instance_store(folder / "instance" / DATA, load(folder / "instance" / SETTINGS))
        try:
            number = commands = 0
            delays: list[float] = []
            while number < rounds if rounds is not None else time.monotonic() < until:
                plan = Plan.of(seed + number)
                one = Round(plan, server, store)
                began = time.monotonic()
                try:
                    done = await one.run()
                    delays += one.delays
                    _judge_delays(delays)
                except BaseException as error:  # noqa: BLE001
                    tell(one.report(_first(error)))
                    tell(f"again: make test-stress SEED={plan.seed}")
                    return 1
                number, commands = number + 1, commands + done
                tell(f"{plan}: {done} commands in {time.monotonic() - began:.1f} s")
            problems = await store.check()
            late = sum(delay > LATE_S for delay in delays)
            tell(f"{late} of {len(delays)} wake-ups of clients that idle came late")
            tell(f"{number} rounds, {commands} commands, no difference; problems of the store: {problems}")
            return 1 if problems else 0
        finally:
            await store.close()


def _judge_delays(delays: list[float]) -> None:
    late = sum(delay > LATE_S for delay in delays)
    if len(delays) >= ENOUGH_DELAYS and late * 4 > len(delays):
        raise DifferenceError(
            f"{late} of {len(delays)} wake-ups of clients that idle came late: {sorted(delays)[-late:]}"
        )


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
