"""How an import or export shows itself: bars for people at a terminal, lines for a log, JSON lines for programs."""

import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, final

import click

from poterne.cli.common import fail, progress_bar, with_store
from poterne.moving.told import Summary
from poterne.store.interface import Store

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

EVERY_S: Final = 10.0
"""Between two lines where there is no terminal."""
SHOWN_MOST: Final = 20
"""Failures shown to people; programs get those that were kept."""
EXIT_INCOMPLETE: Final = 3


def moved(ctx: click.Context, work: Callable[[Store], Awaitable[Summary]]) -> Summary:
    """Do it with the store of the instance; who presses Ctrl-C is told that nothing is lost."""
    try:
        return with_store(ctx, work)
    except KeyboardInterrupt:
        fail("stopped. What came is kept; the same command goes on where it was")


def printable(text: str) -> str:
    """Names and words of strangers must not steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


@final
class Shown:
    """`told.Teller` for the command line."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._bar: ProgressBar[int] | None = None
        self._tty = sys.stderr.isatty() and not as_json
        self._name = ""
        self._messages = self._total = 0
        self._size_bytes = 0
        self._begun = self._said = time.monotonic()

    def folder(self, theirs: str, ours: str, messages: int, size_bytes: int) -> None:
        self.close()
        self._name, self._total, self._messages, self._size_bytes = theirs, messages, 0, 0
        self._said = time.monotonic()
        if self._json:
            self._event("folder", folder=theirs, here=ours, messages=messages, bytes=size_bytes)
            return
        where = printable(theirs if theirs == ours else f"{theirs} → {ours}")
        if self._tty and messages:
            self._bar = progress_bar(where)
            self._bar.length = messages
            self._bar.__enter__()
        else:
            click.echo(f"{where}: {messages:,} messages, {size_bytes:,} octets", err=True)

    def moved(self, messages: int, size_bytes: int) -> None:
        self._messages += messages
        self._size_bytes += size_bytes
        now = time.monotonic()
        if self._json:
            self._event("progress", folder=self._name, messages=self._messages, of=self._total, bytes=self._size_bytes)
        elif self._bar is not None:
            self._bar.update(messages)
        elif now - self._said >= EVERY_S:
            self._said = now
            click.echo(f"  {self._messages:,} of {self._total:,}", err=True)

    def note(self, text: str) -> None:
        if self._json:
            self._event("note", text=text)
        else:
            click.echo(("\n" if self._bar is not None else "") + printable(text), err=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None

    def _event(self, kind: str, **values: object) -> None:
        click.echo(json.dumps({"event": kind, **values}))

    def end(self, summary: Summary, *, verb: str, dry_run: bool = False) -> None:
        """The summary; ends with EXIT_INCOMPLETE when something could not be moved."""
        self.close()
        if self._json:
            self._event("done", **_values(summary), dry_run=dry_run, failures=_failures(summary), notes=summary.notes)
        else:
            self._words(summary, verb=verb, dry_run=dry_run)
        if summary.failed:
            raise click.exceptions.Exit(EXIT_INCOMPLETE)

    def _words(self, summary: Summary, *, verb: str, dry_run: bool) -> None:
        taken = max(time.monotonic() - self._begun, 0.001)
        what = f"{summary.messages:,} messages, {summary.size_bytes:,} octets, {summary.folders:,} folders"
        if dry_run:
            click.echo(f"Would be {verb}: {what}; {summary.known:,} messages are here already.")
        else:
            click.secho(f"{verb.capitalize()}: {what} in {taken:,.0f} s.", bold=True)
        counts = (
            (summary.known if not dry_run else 0, "had come earlier"),
            (summary.same, "had come from another source"),
            (summary.flagged, "have other flags now, as at the source"),
            (summary.removed, "were removed, as at the source"),
            (summary.skipped, "were left out as you asked"),
            (summary.vanished, "went away at the source meanwhile"),
        )
        for count, words in counts:
            if count:
                click.echo(f"  {count:,} {words}")
        for note in summary.notes:
            click.echo(f"  note: {printable(note)}")
        if summary.failed:
            click.secho(f"  {summary.failed:,} could not be {verb}:", fg="red")
            for failure in summary.failures[:SHOWN_MOST]:
                click.echo(printable(f"    {failure.folder} {failure.item}: {failure.why}"))
            if summary.failed > SHOWN_MOST:
                click.echo("    … (all of them: --json)")


def _values(summary: Summary) -> dict[str, int]:
    names = ("folders", "messages", "known", "same", "flagged", "removed", "skipped", "vanished", "failed")
    return {"bytes": summary.size_bytes, **{name: getattr(summary, name) for name in names}}


def _failures(summary: Summary) -> list[dict[str, str]]:
    return [{"folder": one.folder, "item": one.item, "why": one.why} for one in summary.failures]
