"""`poterne quarantine`."""

import click

from poterne.admin import quarantine as admin
from poterne.cli.common import acting, json_option, show, with_store
from poterne.cli.queue import ID
from poterne.cli.queue_pauses import moment
from poterne.message.encoded import decode_words
from poterne.message.header import index
from poterne.values.quarantine import Quarantined

numbers = click.argument("numbers", metavar="ID...", type=ID, nargs=-1, required=True)


@click.group("quarantine")
def command() -> None:
    """Mail that was taken and is kept from its mailbox, since its author is not proven.

    What nobody releases is deleted after [inbound] quarantine_days.

    Exit status: 0 done, 1 refused, 2 wrong usage, 78 the settings can't be used.
    """


def _row(kept: Quarantined, *, as_json: bool) -> dict[str, object]:
    row: dict[str, object] = {
        "id": kept.id,
        "at": kept.at if as_json else moment(kept.at),
        "for": kept.account,
        "from": kept.header_from,
        "subject": kept.subject,
        "reason": kept.reason,
    }
    if as_json:
        row |= {
            "recipient": kept.recipient,
            "reverse_path": kept.reverse_path,
            "peer": kept.peer,
            "trace_id": kept.trace_id,
            "size": kept.content.blob.size,
            "expires_at": kept.expires_at,
        }
    return row


@command.command("list")
@click.argument("who", default="", metavar="[ADDRESS|DOMAIN]")
@click.option(
    "--limit", type=click.IntRange(1, admin.LIST_MOST), default=200, show_default=True, help="At most so many."
)
@json_option
@click.pass_context
def list_(ctx: click.Context, who: str, limit: int, as_json: bool) -> None:
    """What is in quarantine, oldest first: all, or of one account or domain."""
    found = with_store(ctx, lambda store: admin.listed(store, who, limit))
    show([_row(one, as_json=as_json) for one in found], as_json=as_json, empty="Nothing is in quarantine.")


@command.command("show")
@click.argument("number", metavar="ID", type=ID)
@click.option("--whole", is_flag=True, help="The message with its text, and not only its header.")
@json_option
@click.pass_context
def show_(ctx: click.Context, number: int, whole: bool, as_json: bool) -> None:
    """One message: what is known of it, and its header."""
    found, octets = with_store(ctx, lambda store: admin.message(store, number))
    text = octets if whole else octets[: found.content.header_size]
    if as_json:
        row = {**_row(found, as_json=True), "why": _why(octets), "message": text.decode("utf-8", "replace")}
        show([row], as_json=True, empty="")
        return
    show([_row(found, as_json=False)], as_json=False, empty="")
    click.echo(f"Why: {_why(octets) or found.reason}")
    click.echo(f"Envelope: from <{found.reverse_path}> to <{found.recipient}>, brought by {found.peer or 'unknown'}.")
    click.echo(f"It is deleted on {moment(found.expires_at)}, if nobody releases it. Trace: {found.trace_id}\n")
    click.echo(_safe(text.decode("utf-8", "replace")))


def _why(octets: bytes) -> str:
    """The sentence of X-Poterne-Reason, as it is for the reader: in the language of the account."""
    value = index(octets).value(b"x-poterne-reason") or b""
    return _safe(decode_words(value).partition(";")[2].strip())


def _safe(text: str) -> str:
    """Strangers wrote it: nothing that a terminal obeys is left."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join(
        "".join(c if c.isprintable() or c == "\t" else "\N{REPLACEMENT CHARACTER}" for c in one) for one in lines
    )


@command.command("release")
@numbers
@json_option
@click.pass_context
def release(ctx: click.Context, numbers: tuple[int, ...], as_json: bool) -> None:
    """Deliver it to the inbox of whose it is."""
    done = with_store(ctx, lambda store: admin.release(store, numbers, acting()))
    _told(done, "is delivered to", as_json=as_json)


@command.command("delete")
@numbers
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def delete(ctx: click.Context, numbers: tuple[int, ...], yes: bool, as_json: bool) -> None:
    """Delete it for good; nobody is told."""
    if not yes:
        click.confirm("Delete this mail for good? Nobody is told.", abort=True)
    done = with_store(ctx, lambda store: admin.delete(store, numbers, acting()))
    _told(done, "is deleted; it was for", as_json=as_json)


def _told(done: list[Quarantined], what: str, *, as_json: bool) -> None:
    if as_json:
        show([_row(one, as_json=True) for one in done], as_json=True, empty="")
        return
    for one in done:
        click.echo(f"{one.id} {what} {one.account}: {one.subject or 'no subject'}")
