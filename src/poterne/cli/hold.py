"""`poterne hold`."""

import click

from poterne.admin import queue as admin
from poterne.cli.common import acting, json_option, show, with_store
from poterne.cli.queue import ID, row
from poterne.cli.queue_pauses import moment
from poterne.values.sending import Incident, IncidentState


@click.group("hold")
def command() -> None:
    """Mail that is held because somebody sent too much: one incident each, released or purged as one.

    Exit status: 0 done, 1 refused, 2 wrong usage, 78 the settings can't be used.
    """


def _row(incident: Incident, *, as_json: bool) -> dict[str, object]:
    return {
        "id": incident.id,
        "state": incident.state.value,
        "origin": incident.origin.key,
        "reason": incident.reason.value,
        "opened_at" if as_json else "opened": incident.opened_at if as_json else moment(incident.opened_at),
        "messages": incident.messages,
        "recipients": incident.recipients,
    }


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Closed ones too.")
@json_option
@click.pass_context
def list_(ctx: click.Context, everything: bool, as_json: bool) -> None:
    """The incidents, newest first."""
    found = with_store(ctx, lambda store: admin.incidents(store, open_only=not everything))
    show([_row(one, as_json=as_json) for one in found], as_json=as_json, empty="Nothing is held.")


@command.command("show")
@click.argument("number", metavar="ID", type=ID)
@click.option(
    "--limit", type=click.IntRange(1, admin.LIST_MOST), default=50, show_default=True, help="At most so many."
)
@json_option
@click.pass_context
def show_(ctx: click.Context, number: int, limit: int, as_json: bool) -> None:
    """An incident, and what waits in it."""
    incident, found = with_store(ctx, lambda store: admin.held(store, number, limit))
    rows = [row(one, as_json=as_json) for one in found]
    if as_json:
        show([{**_row(incident, as_json=True), "held": rows}], as_json=True, empty="")
        return
    show([_row(incident, as_json=False)], as_json=False, empty="")
    click.echo("")
    show(rows, as_json=False, empty="Nothing waits in it.")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _close(number: int, state: IncidentState, ctx: click.Context, *, as_json: bool) -> None:
    done = with_store(ctx, lambda store: admin.close(store, number, state, acting()))
    if as_json:
        show([_row(done, as_json=True)], as_json=True, empty="")
    else:
        click.echo(
            f"Incident {number} of {done.origin.key} is {state.value}: {_count(done.messages, 'message')}, "
            f"{_count(done.recipients, 'recipient')}."
        )


@command.command("release")
@click.argument("number", metavar="ID", type=ID)
@json_option
@click.pass_context
def release(ctx: click.Context, number: int, as_json: bool) -> None:
    """Let all mail of an incident go its way; its sender's limits begin anew."""
    _close(number, IncidentState.RELEASED, ctx, as_json=as_json)


@command.command("purge")
@click.argument("number", metavar="ID", type=ID)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def purge(ctx: click.Context, number: int, yes: bool, as_json: bool) -> None:
    """Remove all mail of an incident for good; nobody is told."""
    if not yes:
        click.confirm("Remove all mail of this incident for good? Nobody is told.", abort=True)
    _close(number, IncidentState.PURGED, ctx, as_json=as_json)
