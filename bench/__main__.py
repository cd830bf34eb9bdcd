"""Command line: `python -m bench run|list|hold`."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import accounting, report
from bench.runner import Outcome, Plan, run, say, scratch_folder, started
from bench.scenarios import SCENARIOS
from bench.scenarios.base import Sample, Scale, Scenario
from bench.sut import PASSWORD, UnavailableError
from bench.suts import SUBJECT, SUTS

_DEFAULT_SUTS = "poterne,postfix-dovecot-maildir,postfix-dovecot-mdbox"
_QUICK_MESSAGES, _FULL_MESSAGES = 2_000, 10_000
_QUICK_CONNECTIONS, _FULL_CONNECTIONS = 500, 2_000


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Load generator and comparison of mail servers."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run", help="play scenarios to servers in turns")
    running.add_argument("--scenario", default="all", help="names or groups, with commas; all is the default")
    running.add_argument("--sut", default=_DEFAULT_SUTS, help=f"servers, with commas; the default is {_DEFAULT_SUTS}")
    running.add_argument("--rounds", type=int, default=3)
    running.add_argument("--quick", action="store_true", help="smaller counts: a look, not a measurement")
    running.add_argument(
        "--messages", type=int, help=f"size of the large mailbox ({_FULL_MESSAGES}, quick {_QUICK_MESSAGES})"
    )
    running.add_argument("--mean-bytes", type=int, default=41_000, help="mean size of a message in it")
    running.add_argument(
        "--connections", type=int, help=f"idle connections ({_FULL_CONNECTIONS}, quick {_QUICK_CONNECTIONS})"
    )
    running.add_argument("--limit", type=float, default=300.0, help="seconds that one measurement may take")
    running.add_argument("--json", type=Path, help="write everything that was measured to this file")
    running.add_argument("--scratch", type=Path, help="folder for the servers' data; /var/tmp is the default")
    running.add_argument("--keep", action="store_true", help="keep the scratch folder with configurations and logs")
    running.add_argument(
        "--profile", metavar="COMMAND", help="run this beside each measurement for each {pid}; {name} names it"
    )
    commands.add_parser("list", help="scenarios and servers")
    holding = commands.add_parser("hold", help="start one server and keep it until Ctrl-C, for a profiler or by hand")
    holding.add_argument("--sut", default=SUBJECT)
    holding.add_argument("--scratch", type=Path)
    return parser


def chosen_scenarios(names: str) -> list[Scenario]:
    """The scenarios that a list of names and groups means, in their own order. Raises `SystemExit` on an unknown name."""
    wanted = {name.strip() for name in names.split(",")}
    known = {each.name for each in SCENARIOS} | {each.group.name for each in SCENARIOS} | {"all"}
    if unknown := wanted - known:
        raise SystemExit(f"unknown scenario: {', '.join(sorted(unknown))} (see: python -m bench list)")
    return [each for each in SCENARIOS if wanted & {each.name, each.group.name, "all"}]


def _chosen_suts(names: str) -> list[str]:
    wanted = [name.strip() for name in names.split(",")]
    if unknown := [name for name in wanted if name not in SUTS]:
        raise SystemExit(f"unknown server: {', '.join(unknown)} (see: python -m bench list)")
    return wanted


def _list() -> int:
    for each in SCENARIOS:
        print(f"{each.name:22} {each.group.name:10} {each.summary}")
    print("\nservers:", ", ".join(SUTS))
    return 0


def _write_json(path: Path, outcome: Outcome, subject: str, settings: dict[str, object]) -> None:
    path.write_text(json.dumps(report.as_json(outcome.results, subject, outcome.failures, settings), indent=1) + "\n")


def _run(options: argparse.Namespace) -> int:
    names = _chosen_suts(options.sut)
    scale = Scale(
        quick=options.quick,
        mailbox_messages=options.messages or (_QUICK_MESSAGES if options.quick else _FULL_MESSAGES),
        mean_bytes=options.mean_bytes,
        connections=options.connections or (_QUICK_CONNECTIONS if options.quick else _FULL_CONNECTIONS),
        limit_s=options.limit,
    )
    plan = Plan(
        scenarios=chosen_scenarios(options.scenario),
        factories=[SUTS[name] for name in names],
        rounds=options.rounds,
        scale=scale,
        scratch=options.scratch,
        keep=options.keep,
        profile=options.profile,
    )
    subject = names[0]

    def show(scenario: Scenario, samples: dict[str, list[Sample]]) -> None:
        print(report.table(scenario, samples, subject, has_goals=subject == SUBJECT) + "\n", flush=True)

    print("  ".join(f"{key} {value}" for key, value in report.machine().items()) + "\n")
    outcome = run(plan, show)
    if options.json is not None:
        settings = {"rounds": options.rounds, "quick": options.quick, "messages": scale.mailbox_messages}
        _write_json(options.json, outcome, subject, settings)
    for failure in outcome.failures:
        print(f"failed: {failure}")
    return 1 if outcome.failures else 0


def _hold(options: argparse.Namespace) -> int:
    sut = SUTS[_chosen_suts(options.sut)[0]]()
    with scratch_folder(options.scratch, keep=False) as folder, started(sut, folder / sut.name, Scale()) as stage:
        print(f"{stage.endpoints}\npassword of all accounts: {PASSWORD}\nfolder: {folder}")
        for process in accounting.descendants(stage.root):
            print(f"pid {process.pid} (parent {process.ppid})")
        print("Ctrl-C ends it.", flush=True)
        while True:
            time.sleep(3600)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        match options.command:
            case "run":
                return _run(options)
            case "hold":
                return _hold(options)
            case _:
                return _list()
    except UnavailableError as error:
        say(f"cannot run: {error}")
        return 2
    except KeyboardInterrupt:
        say("stopped")
        return 130


if __name__ == "__main__":
    sys.exit(main())
