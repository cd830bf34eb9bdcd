"""Plays the scenarios: servers are started once per group, rounds alternate between them (A B A B), all is stopped at the end."""

import asyncio
import contextlib
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import uvloop

from bench import accounting, names
from bench.certificate import client_context
from bench.scenarios import ACCOUNTS
from bench.scenarios.base import Group, Sample, Scale, Scenario, Stage
from bench.senders import Senders
from bench.sut import Factory, Resolver, SystemUnderTest
from bench.wire import DisconnectedError, RefusedError

_T = TypeVar("_T")
_PREPARE_LIMIT_S = 600.0
_SCRATCH = "/var/tmp"  # on a disk everywhere, where /tmp may be memory
Results = dict[str, dict[str, list[Sample]]]
"""Scenario → server → samples in the order of the rounds."""


@dataclass(frozen=True, slots=True)
class Plan:
    scenarios: Sequence[Scenario]
    factories: Sequence[Factory]
    rounds: int
    scale: Scale
    scratch: Path | None = None
    keep: bool = False
    profile: str | None = None  # a command with {pid} and {name}, run beside each measurement for each process


@dataclass(slots=True)
class Outcome:
    results: Results = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def say(text: str) -> None:
    """Progress, apart from the results."""
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def scratch_folder(parent: Path | None, *, keep: bool) -> Iterator[Path]:
    """A new folder on a real disk that other users can enter; removed at the end."""
    made = Path(tempfile.mkdtemp(prefix="poterne-bench-", dir=parent or _SCRATCH))
    made.chmod(0o755)
    try:
        yield made
    finally:
        if keep:
            say(f"kept: {made}")
        else:
            shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def started(
    sut: SystemUnderTest,
    folder: Path,
    scale: Scale,
    senders: Senders | None = None,
    resolver: Resolver | None = None,
    *,
    indexed: bool = False,
) -> Iterator[Stage]:
    """A running server; stopped when the block ends, however it ends."""
    folder.mkdir(parents=True)
    try:
        endpoints = sut.start(folder, ACCOUNTS, resolver, indexed=indexed)
        context = client_context()
        tls = context if endpoints.tls else None
        yield Stage(sut.name, endpoints, root=sut.root, scale=scale, tls=tls, starttls=context, senders=senders)
    finally:
        sut.stop()


def _in_loop(work: Coroutine[object, object, _T], limit_s: float) -> _T:
    async def limited() -> _T:
        async with asyncio.timeout(limit_s):
            return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(limited())


@contextlib.contextmanager
def _profiled(plan: Plan, stage: Stage, scenario: Scenario) -> Iterator[None]:
    running: list[subprocess.Popen[bytes]] = []
    if plan.profile is not None:
        for process in accounting.descendants(stage.root):
            command = plan.profile.format(pid=process.pid, name=f"{scenario.name}-{stage.name}")
            running.append(subprocess.Popen(shlex.split(command)))
    try:
        yield
    finally:
        for each in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                each.wait(timeout=60)
            each.kill()


def _attempt(outcome: Outcome, what: str, work: Callable[[], _T]) -> _T | None:
    """The result, or None and a line in the failures. A failing server must not end the run of the others."""
    try:
        return work()
    except (RefusedError, DisconnectedError, OSError, TimeoutError, ExceptionGroup) as error:
        reason = repr(error.exceptions[0]) if isinstance(error, ExceptionGroup) else repr(error)
        outcome.failures.append(f"{what}: {reason}")
        say(f"  {what} failed: {reason}")
        return None


def _measure(plan: Plan, stage: Stage, scenario: Scenario, number: int, outcome: Outcome) -> None:
    current = replace(stage, round=number)

    def work() -> Sample:
        with _profiled(plan, current, scenario):
            return _in_loop(scenario.measure(current), plan.scale.limit_s)

    sample = _attempt(outcome, f"{scenario.name} on {stage.name}, round {number + 1}", work)
    if sample is not None:
        outcome.results.setdefault(scenario.name, {}).setdefault(stage.name, []).append(sample)
        say(f"  {stage.name}, round {number + 1}: {sample.get('cpu_ms', sample.get('p50_ms', 0.0)):.3f} ms")


def _prepared(group: Group, stage: Stage, outcome: Outcome) -> bool:
    prepare = group.prepare
    if prepare is None:
        return True

    def work() -> bool:
        _in_loop(prepare(stage), _PREPARE_LIMIT_S)
        return True

    return _attempt(outcome, f"preparing {group.name} on {stage.name}", work) is not None


def _run_group(plan: Plan, group: Group, scenarios: Sequence[Scenario], folder: Path, outcome: Outcome) -> None:
    with contextlib.ExitStack() as stack:
        stages: list[Stage] = []
        senders = Senders() if group.verified else None
        resolver = stack.enter_context(names.served(senders.zones(), folder / group.name)) if senders else None
        for place, factory in enumerate(plan.factories):
            sut = factory()
            say(f"[{group.name}] start {sut.name} in {group.name}/{place}")  # short: a Unix socket's path has 107 bytes
            place_of = folder / group.name / str(place)
            stage = stack.enter_context(started(sut, place_of, plan.scale, senders, resolver, indexed=group.indexed))
            if _prepared(group, stage, outcome):
                stages.append(stage)
        for scenario in scenarios:
            say(f"[{group.name}] {scenario.name}")
            for number in range(plan.rounds):
                for stage in stages:
                    _measure(plan, stage, scenario, number, outcome)


def run(plan: Plan, report: Callable[[Scenario, dict[str, list[Sample]]], None]) -> Outcome:
    """Everything in the plan; `report` is called for each scenario when its group is done. Raises `UnavailableError`."""
    outcome = Outcome()
    with scratch_folder(plan.scratch, keep=plan.keep) as folder:
        for group, members in groupby(plan.scenarios, key=lambda scenario: scenario.group):
            scenarios = list(members)
            try:
                _run_group(plan, group, scenarios, folder, outcome)
            finally:
                for scenario in scenarios:
                    if scenario.name in outcome.results:
                        report(scenario, outcome.results[scenario.name])
            if not plan.keep:
                shutil.rmtree(folder / group.name, ignore_errors=True)
    return outcome
