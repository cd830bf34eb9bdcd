"""`poterne trace`."""

import json
import time
from typing import TYPE_CHECKING

import click

from poterne.admin import trace as admin
from poterne.admin.trace_words import NAME_MOST, REPLY_MOST, moment, words
from poterne.cli.common import fail, json_option, with_store
from poterne.message.texts import printable

if TYPE_CHECKING:
    from poterne.store.interface import Store
    from poterne.values.event import Event
    from poterne.values.queue import QueuedRecipient


@click.command("trace")
@click.argument("about", default="", metavar="[ID|ADDRESS|DOMAIN]")
@click.option("--since", default="", metavar="WHEN", help='Not older than 2h, 3d, 2026-11-23, or "2026-11-23 14:30".')
@click.option(
    "--limit",
    type=click.IntRange(1, admin.LIST_MOST),
    default=None,
    help="At most so many events; else 50, of an ID 1000.",
)
@click.option(
    "--kind", default="", metavar="PREFIX", help="Only these: message.refused, message., quarantine., account. …"
)
@json_option
@click.pass_context
def command(ctx: click.Context, about: str, since: str, limit: int | None, kind: str, as_json: bool) -> None:
    """Who sent what to whom, where it is, and why it was refused.

    ID: the story of one message, in order. It ends the answer that its sender got ("Accepted as ID"), and is `trace` in the log.
    ADDRESS, DOMAIN: what was sent by it, to it, or refused, newest first. Without any: the newest of all.

    What was refused before its text came (at MAIL or RCPT: an unknown recipient, a relay attempt) is in the log only, as
    smtp.refused with its reason: strangers could fill the disk otherwise (journalctl -u poterne | grep smtp.refused).

    Exit status: 0 found, 1 nothing is known or refused, 2 wrong usage, 78 the settings can't be used.
    """

    async def work(store: "Store") -> admin.Story:
        from_ = admin.since_when(since, int(time.time())) if since else 0
        most = limit or (50 if "@" in about or "." in about or not about else 1_000)
        return await admin.told(store, about, kind.strip(), from_, most)

    story = with_store(ctx, work)
    if as_json:
        rows = {"events": [_event(one) for one in story.events], "waits": [_wait(one) for one in story.waits]}
        click.echo(json.dumps(rows, ensure_ascii=True, indent=2))
    else:
        for one in story.events:
            of = "" if story.trace or not one.trace_id else f"  [{printable(one.trace_id, 64)}]"
            click.echo(f"{moment(one.at)}  {words(one)}{of}")
        for waiting in story.waits:
            click.echo(f"now: {_waiting(waiting)}")
        if story.more:
            click.echo("There is more: take a higher --limit, or narrow it down with --since or --kind.", err=True)
    if not story.events and not story.waits:
        where = f" of {printable(about, NAME_MOST)}" if about else ""
        fail(f"nothing is known{where}: what was refused at MAIL or RCPT is in the log only (smtp.refused)")


def _event(one: "Event") -> dict[str, object]:
    return {
        "at": one.at,
        "kind": one.kind,
        "trace": one.trace_id,
        "account": one.account_id,
        "peer": one.peer,
        "reason": one.reason,
        "detail": one.detail,
        "words": words(one),
    }


def _wait(one: "QueuedRecipient") -> dict[str, object]:
    return {
        "id": one.id,
        "to": one.forward_path,
        "state": one.state.value,
        "due_at": one.due_at,
        "attempts": one.attempts,
        "last_reply": one.last_reply,
        "incident": one.message.incident_id,
    }


def _waiting(one: "QueuedRecipient") -> str:
    to = f"<{printable(one.forward_path, NAME_MOST)}>"
    said = f'; last answer: "{printable(one.last_reply, REPLY_MOST)}"' if one.last_reply else ""
    tries = (
        f"after {one.attempts} {'attempt' if one.attempts == 1 else 'attempts'}" if one.attempts else "not tried yet"
    )
    if one.state.value == "held":
        by = f" by incident {one.message.incident_id}" if one.message.incident_id else ""
        return f"held for {to}{by}, {tries}{said}"
    if one.state.value == "leased":
        return f"being sent to {to}{said}"
    return f"waits for {to}, {tries}, next at {moment(one.due_at)}{said}"
