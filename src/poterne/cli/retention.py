"""`poterne retention`."""

import time
from dataclasses import dataclass

import click

from poterne.admin import kept, retention
from poterne.admin.retention import Going
from poterne.cli.common import acting, json_option, settings, show, with_store
from poterne.cli.queue_pauses import moment
from poterne.config.retention import Retention
from poterne.store.interface import Store
from poterne.values.ids import AccountId
from poterne.values.retention import NEVER, Hold, Rule

who_argument = click.argument("who", metavar="ADDRESS|DOMAIN")
what_argument = click.argument("what", metavar="WHAT")


@click.group("retention", invoke_without_command=True)
@click.option("--dry-run", is_flag=True, help="What would be deleted now, and why; nothing is.")
@click.option("--now", "do_it", is_flag=True, help="Delete it now, and do not wait for the server.")
@json_option
@click.pass_context
def command(ctx: click.Context, dry_run: bool, do_it: bool, as_json: bool) -> None:
    """How long mail is kept. Without options or command: the rules and legal holds.

    Rules of the whole server are settings ([retention]); those of a domain or an account, set here, come before them. One rule
    decides about a folder, the most particular: folder:NAME, then trash or junk, then everything. Beside it, fetched is for
    what POP3 programs have fetched and left. The server deletes by itself, every [retention] every_s.

    Exit status: 0 done, 1 refused, 2 wrong usage, 78 the settings can't be used.
    """
    if ctx.invoked_subcommand is not None:
        if dry_run or do_it or as_json:
            raise click.UsageError("options go behind the command")
        return
    if dry_run and do_it:
        raise click.UsageError("say either --dry-run or --now")
    _, values = settings(ctx)
    if dry_run:
        _dry_run(ctx, values.retention, as_json=as_json)
    elif do_it:
        _do_it(ctx, values.retention, as_json=as_json)
    else:
        _show_rules(ctx, values.retention, as_json=as_json)


def _dry_run(ctx: click.Context, of: Retention, *, as_json: bool) -> None:
    now = int(time.time())

    async def work(store: Store) -> list[Going]:
        return [one async for one in retention.going(store, of, now)]

    found = with_store(ctx, work)
    rows: list[dict[str, object]] = [
        {
            "account": one.account.address,
            "folder": one.folder,
            "messages": one.found.messages,
            "bytes": one.found.size_bytes,
            "oldest": one.found.oldest_at if as_json else moment(one.found.oldest_at),
            "days": one.days,
            "why": one.why,
            "held": one.held,
        }
        for one in found
    ]
    show(rows, as_json=as_json, empty="Nothing is old enough to be deleted.")
    if rows and not as_json:
        messages = sum(one.found.messages for one in found if not one.held)
        click.echo(f"\n{_messages(messages)} would be deleted now, what is held stays.")
        if of.undelete_days:
            click.echo(f"They could be brought back for {of.undelete_days} days: poterne retention undelete")


def _do_it(ctx: click.Context, of: Retention, *, as_json: bool) -> None:
    now = int(time.time())

    async def work(store: Store) -> tuple[int, int]:
        done = await retention.carry_out(store, of, now)
        await retention.forget(store, of, now)
        return done

    messages, size_bytes = with_store(ctx, work)
    if as_json:
        show([{"messages": messages, "bytes": size_bytes}], as_json=True, empty="")
    else:
        click.echo(f"Deleted: {_messages(messages)}, {size_bytes:,} octets.")


@dataclass(frozen=True, slots=True)
class _Shown:
    rules: list[Rule]
    holds: list[Hold]
    names: dict[AccountId, str]


def _show_rules(ctx: click.Context, of: Retention, *, as_json: bool) -> None:
    async def work(store: Store) -> _Shown:
        names = {account.id: account.address for account in await store.accounts()}
        return _Shown([*retention.server_rules(of), *await store.retention_rules()], await store.legal_holds(), names)

    shown = with_store(ctx, work)

    def owner(domain: str, account_id: AccountId | None) -> str:
        return domain or ("(server)" if account_id is None else shown.names.get(account_id, "(removed)"))

    rows: list[dict[str, object]] = [
        {
            "who": owner(rule.domain, rule.account_id),
            "what": retention.words(rule),
            "days": _days(rule, as_json=as_json),
        }
        for rule in sorted(shown.rules, key=lambda one: (owner(one.domain, one.account_id), one.what.value, one.folder))
    ]
    rows += [
        {
            "who": owner(hold.domain, hold.account_id),
            "what": "legal hold",
            "days": None if as_json else f"since {moment(hold.since)}: {hold.reason}",
            **({"since": hold.since, "reason": hold.reason} if as_json else {}),
        }
        for hold in shown.holds
    ]
    show(rows, as_json=as_json, empty="No rule: all mail is kept.")


def _days(rule: Rule, *, as_json: bool) -> int | str:
    return "never" if rule.days == NEVER and not as_json else rule.days


@command.command("set")
@who_argument
@what_argument
@click.argument("days", metavar="DAYS|never")
@click.pass_context
def set_(ctx: click.Context, who: str, what: str, days: str) -> None:
    """Delete WHAT after DAYS, for an account or for all accounts of a domain.

    WHAT is trash, junk, everything, fetched, or folder:NAME (with what is below it). "never" keeps it, whatever a more general
    rule says.
    """
    rule = with_store(ctx, lambda store: retention.set_rule(store, who, what, days, acting()))
    when = "is never deleted" if rule.days == NEVER else f"is deleted after {rule.days} days"
    click.echo(f"{who}: {retention.words(rule)} {when}. What that means now: poterne retention --dry-run")


@command.command("unset")
@who_argument
@what_argument
@click.pass_context
def unset(ctx: click.Context, who: str, what: str) -> None:
    """No rule of its own any more."""
    with_store(ctx, lambda store: retention.end_rule(store, who, what, acting()))
    click.echo(f"{who} has no rule of its own for {what} any more.")


@command.command("hold")
@who_argument
@click.option("--reason", required=True, help="Why, for whoever asks later.")
@click.pass_context
def hold(ctx: click.Context, who: str, reason: str) -> None:
    """Legal hold: from now on nothing of it is lost, whatever rules say and whatever its users delete."""
    name = with_store(ctx, lambda store: retention.hold(store, who, reason, acting()))
    click.echo(f"{name} is under a legal hold. What its users delete is kept: poterne retention deleted ADDRESS")


@command.command("lift")
@who_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def lift(ctx: click.Context, who: str, yes: bool) -> None:
    """End a legal hold: the rules hold again, also for what is old already."""
    if not yes:
        click.confirm(f"End the legal hold of {who}? What was deleted meanwhile goes for good.", abort=True)
    name = with_store(ctx, lambda store: retention.lift(store, who, acting()))
    click.echo(f"{name} is under no legal hold of its own any more.")


def _messages(count: int) -> str:
    return f"{count:,} message{'' if count == 1 else 's'}"


def _since(days: int) -> int:
    return int(time.time()) - days * 86_400 if days else 0


days_option = click.option(
    "--days", type=click.IntRange(0, 36_500), default=0, help="Deleted in the last DAYS; 0: all."
)


@command.command("deleted")
@click.argument("address")
@days_option
@click.option(
    "--limit", type=click.IntRange(1, kept.LIST_MOST), default=200, show_default=True, help="At most so many."
)
@json_option
@click.pass_context
def deleted(ctx: click.Context, address: str, days: int, limit: int, as_json: bool) -> None:
    """Deleted mail of the account ADDRESS that can still come back, newest first."""
    found = with_store(ctx, lambda store: kept.listed(store, address, _since(days), limit))
    rows: list[dict[str, object]] = [
        {
            "id": one.number,
            "deleted": one.kept.gone_at if as_json else moment(one.kept.gone_at),
            "folder": one.kept.mailbox or ("" if as_json else "(deleted too)"),
            "from": one.sender,
            "subject": one.subject,
            "bytes": one.kept.size,
        }
        for one in found
    ]
    show(rows, as_json=as_json, empty="Nothing that could come back.")


@command.command("undelete")
@click.argument("address")
@click.argument("numbers", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All, or all that --days and --folder leave.")
@days_option
@click.option("--folder", default="", help="Only what was in this folder.")
@click.option("--to", default="", help="Into this folder; else where it was, or INBOX if that is gone.")
@click.pass_context
def undelete(
    ctx: click.Context, address: str, numbers: tuple[str, ...], everything: bool, days: int, folder: str, to: str
) -> None:
    """Bring deleted mail of the account ADDRESS back: by ID (see deleted), or --all."""
    if everything == bool(numbers) or (numbers and (days or folder)):
        raise click.UsageError(
            "say either which (ID, see `poterne retention deleted`) or --all (with --days, --folder)"
        )
    done = with_store(
        ctx,
        lambda store: kept.bring_back(
            store, address, acting(), numbers=numbers, since=_since(days), folder=folder, to=to
        ),
    )
    if not any(done.values()):
        click.echo("Nothing came back: there is no such mail.")
    for name, count in done.items():
        click.echo(f"Back in {name}: {_messages(count)}.")
