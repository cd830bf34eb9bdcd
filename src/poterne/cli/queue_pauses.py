"""`poterne queue pause`, `resume` and `pauses`."""

import datetime as dt
from collections.abc import Callable
from typing import TypeVar

import click

from poterne.admin import pauses as admin
from poterne.admin.people import AdminError
from poterne.cli.common import acting, fail, json_option, show, with_store
from poterne.values.queue import Pause, PauseKind

F = TypeVar("F", bound=Callable[..., None])


def moment(at: int) -> str:
    """A time for people, in the zone of this machine."""
    return dt.datetime.fromtimestamp(at, dt.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _which(function: F) -> F:
    for option in reversed(
        (
            click.option("--domain", default="", help="Mail for this domain."),
            click.option(
                "--origin", default="", help="Mail of this origin, such as account:you@example.org, or sender:shop."
            ),
            click.option("--all", "everything", is_flag=True, help="All of it."),
        )
    ):
        function = option(function)
    return function


def _named(domain: str, origin: str, *, everything: bool) -> tuple[PauseKind, str]:
    try:
        return admin.named(domain, origin, everything=everything)
    except AdminError as error:
        fail(str(error))


def _words(pause: Pause) -> str:
    return "everything" if pause.kind is PauseKind.ALL else str(pause)


def _row(pause: Pause, *, as_json: bool) -> dict[str, object]:
    if as_json:
        return {"kind": pause.kind.value, "name": pause.name, "since": pause.since, "until": pause.until or None}
    until = moment(pause.until) if pause.until else "somebody ends it"
    return {"paused": _words(pause), "since": moment(pause.since), "until": until}


@click.command("pause")
@_which
@click.option("--until", default="", metavar="TIME", help='2h, 3d, 18:00, or "2027-01-31 18:00"; without it: resume.')
@json_option
@click.pass_context
def pause(ctx: click.Context, domain: str, origin: str, everything: bool, until: str, as_json: bool) -> None:
    """Leave mail for a domain, of an origin, or all of it where it is, and what comes too; it counts within seconds.

    What is being sent just now goes to its end. Mail that waits grows old meanwhile, and nobody hears of it.
    """
    kind, name = _named(domain, origin, everything=everything)
    try:
        end = admin.parse_until(until, dt.datetime.now().astimezone())
    except AdminError as error:
        fail(str(error))
    made = with_store(ctx, lambda store: admin.pause(store, kind, name, end, acting()))
    if as_json:
        show([_row(made, as_json=True)], as_json=True, empty="")
        return
    click.echo(f"Paused: {_words(made)}, until {moment(end) if end else 'somebody ends it (poterne queue resume)'}.")


@click.command("resume")
@_which
@json_option
@click.pass_context
def resume(ctx: click.Context, domain: str, origin: str, everything: bool, as_json: bool) -> None:
    """End a pause: what is due is tried within seconds."""
    kind, name = _named(domain, origin, everything=everything)
    with_store(ctx, lambda store: admin.resume(store, kind, name, acting()))
    ended = Pause(kind, name, 0)
    if as_json:
        show([{"kind": kind.value, "name": name}], as_json=True, empty="")
    else:
        click.echo(f"No longer paused: {_words(ended)}.")


@click.command("pauses")
@json_option
@click.pass_context
def pauses(ctx: click.Context, as_json: bool) -> None:
    """What is paused."""
    found = with_store(ctx, lambda store: admin.pauses(store, acting().now))
    show([_row(one, as_json=as_json) for one in found], as_json=as_json, empty="Nothing is paused.")


def add_to(group: click.Group) -> None:
    for one in (pause, resume, pauses):
        group.add_command(one)
