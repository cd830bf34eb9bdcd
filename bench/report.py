"""The table that people read, and the JSON that programs read."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence

from bench.figures import Row, Samples, Spread, rows
from bench.goals import EARLIER
from bench.scenarios.base import Scenario

_UNITS = {
    "cpu_ms": "CPU, ms",
    "per_s": "rate, /s",
    "visible_per_s": "visible, /s",
    "acknowledged_per_s": "acknowledged, /s",
    "generator_ms": "generator CPU, ms",
    "p50_ms": "p50, ms",
    "p99_ms": "p99, ms",
    "max_ms": "slowest, ms",
    "mib_per_session": "MiB a session",
    "before_mib": "memory before, MiB",
    "lost": "messages lost",
    "let_in": "attackers let in",
    "sent_away_per_s": "sent away, /s",
    "pss_mib": "memory (PSS), MiB",
    "extra_mib": "extra PSS, MiB",
    "extra_rss_mib": "extra RSS peaks, MiB",
    "kib_per_connection": "KiB a connection",
    "idle_cpu_ms_per_s": "CPU idle, ms/s",
    "open_cpu_ms": "CPU to open, ms",
    "arrived_per_s": "arrived, /s",
    "per_connection": "messages a connection out",
    "resumed": "TLS sessions resumed, %",
    "delay_s": "single mail's delay, s",
    "taken_s": "burst taken in, s",
    "burst_per_s": "burst out, recipients/s",
    "one_process_mib": "most of one process, MiB",
}


def number(value: float) -> str:
    """Three significant digits without an exponent."""
    magnitude = abs(value)
    if magnitude >= 100:
        return f"{value:,.0f}"
    if magnitude >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}" if magnitude >= 1 else f"{value:.3f}"


def spread_text(spread: Spread | None) -> str:
    """Median, with lowest and highest if they differ."""
    if spread is None:
        return ""
    if spread.lowest == spread.highest:
        return number(spread.median)
    return f"{number(spread.median)} ({number(spread.lowest)}–{number(spread.highest)})"


def _verdict(row: Row) -> str:
    if row.goal is None:
        return ""
    outcome = {True: ": reached", False: ": MISSED", None: ""}[row.reached]
    return row.goal.text() + outcome


def table(scenario: Scenario, samples: Samples, subject: str, *, has_goals: bool) -> str:
    """One scenario: a line per figure, a column per server, the ratio subject / best other, the goal."""
    names = list(samples)
    head = ["", *names]
    if len(names) > 1:
        head.append(f"{subject} / best other")
    head += ["goal"] if has_goals else []
    head.append("measured earlier, P+D")
    body = [head]
    for row in rows(scenario.name, samples, subject):
        line = [_UNITS.get(row.figure, row.figure), *(spread_text(row.spreads.get(name)) for name in names)]
        if len(names) > 1:
            line.append(spread_text(row.ratio))
        line += [_verdict(row)] if has_goals else []
        line.append(EARLIER.get((scenario.name, row.figure), ""))
        body.append(line)
    keep = [at for at in range(len(head)) if at == 0 or any(line[at] for line in body[1:])]
    widths = {at: max(len(line[at]) for line in body) for at in keep}
    text = [f"{scenario.name}: {scenario.summary}"]
    text += ["  " + "  ".join(line[at].ljust(widths[at]) for at in keep).rstrip() for line in body]
    return "\n".join(text)


def as_json(
    results: Mapping[str, Samples], subject: str, failures: Sequence[str], settings: Mapping[str, object]
) -> dict[str, object]:
    """Everything that was measured, with the ratios and the goals."""
    scenarios: dict[str, object] = {}
    for name, samples in results.items():
        scenarios[name] = {
            "samples": {sut: list(each) for sut, each in samples.items()},
            "ratios": {
                row.figure: [row.ratio.lowest, row.ratio.median, row.ratio.highest]
                for row in rows(name, samples, subject)
                if row.ratio is not None
            },
            "goals": [
                {"figure": row.figure, "goal": row.goal.text(), "reached": row.reached}
                for row in rows(name, samples, subject)
                if row.goal is not None
            ],
        }
    return {
        "machine": machine(),
        "settings": dict(settings),
        "subject": subject,
        "scenarios": scenarios,
        "failures": list(failures),
    }


def machine() -> dict[str, object]:
    """What a reader must know to compare two runs."""
    return {
        "kernel": platform.release(),
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "postfix": _first_line(["/usr/sbin/postconf", "-dh", "mail_version"]),
        "dovecot": _first_line(["/usr/sbin/dovecot", "--version"]),
    }


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "not installed"
    return (done.stdout.splitlines() or [""])[0]
