"""`poterne account`."""

import sys

import click

from poterne.admin import folders, people, quota
from poterne.cli import account_imap, account_share
from poterne.cli.alias import warn_away
from poterne.cli.common import acting, json_option, settings, show, with_store
from poterne.cli.size import size
from poterne.config.limits import Limits
from poterne.store.interface import Store
from poterne.values.directory import Account
from poterne.values.mailbox import Mailbox
from poterne.values.secret import Secret
from poterne.values.sending import SendingLimits

stdin_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input (one line).")


@click.group("account")
def command() -> None:
    """People and roles with a mailbox."""


command.add_command(account_imap.command)
command.add_command(account_share.share)
command.add_command(account_share.shares)


def from_stdin(wanted: bool) -> Secret | None:
    """A password is never an argument: other users of the machine could read it in the process list."""
    if not wanted:
        return None
    if sys.stdin.isatty():
        return Secret(str(click.prompt("Password", hide_input=True, confirmation_prompt=True)))
    return Secret(sys.stdin.buffer.readline(people.MAX_PASSWORD + 2).rstrip(b"\r\n"))


@command.command("add")
@click.argument("address")
@stdin_option
@click.option("--name", default="", help="Whose it is, for lists.")
@click.option("--language", type=click.Choice(people.LANGUAGES), help="Names of folders; else [server] language.")
@click.option("--quota", "quota_bytes", type=size, help="Like 10G or 500M, 0 is no limit; else [store] quota_bytes.")
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    address: str,
    password_stdin: bool,
    name: str,
    language: str | None,
    quota_bytes: int | None,
    as_json: bool,
) -> None:
    """Make the account ADDRESS. Without --password-stdin a password is generated and shown once."""
    _, values = settings(ctx)
    password = from_stdin(password_stdin)
    made = with_store(
        ctx,
        lambda store: people.add_account(
            store,
            address,
            acting(),
            password=password,
            name=name,
            language=language or values.server.language,
            quota_bytes=values.store.quota_bytes if quota_bytes is None else quota_bytes,
            quota_messages=values.quota.messages,
        ),
    )
    _tell(made.account.address, made.password, "is made", as_json=as_json)


def _tell(address: str, generated: Secret | None, what: str, *, as_json: bool) -> None:
    shown = generated.reveal().decode() if generated is not None else None
    if as_json:
        show([{"address": address, "password": shown}], as_json=True, empty="")
    elif shown is None:
        click.echo(f"{address} {what}.")
    else:
        click.echo(f"{address} {what}. Password, shown only now: ", nl=False)
        click.secho(shown, bold=True)


@command.command("list")
@click.argument("domain", required=False)
@json_option
@click.pass_context
def list_(ctx: click.Context, domain: str | None, as_json: bool) -> None:
    """The accounts, of all domains or of DOMAIN."""
    found = with_store(ctx, lambda store: people.accounts(store, domain))
    rows: list[dict[str, object]] = [
        {
            "address": a.address,
            "name": a.name,
            "language": a.language,
            "used_bytes": a.used_bytes,
            "quota_bytes": a.quota_bytes,
            "disabled": a.disabled,
            "forwards": " ".join(a.forwards) + ("" if a.keeps else " (not kept here)"),
            **({"forwarded_by": list(a.forwarders)} if as_json else {}),
        }
        for a in found
    ]
    show(rows, as_json=as_json, empty="No account yet: poterne account add you@example.org")


@command.command("password")
@click.argument("address")
@stdin_option
@json_option
@click.pass_context
def password(ctx: click.Context, address: str, password_stdin: bool, as_json: bool) -> None:
    """Give the account ADDRESS a new password; without --password-stdin one is generated and shown once."""
    chosen = from_stdin(password_stdin)
    generated = with_store(ctx, lambda store: people.set_password(store, address, acting(), password=chosen))
    _tell(address, generated, "has a new password", as_json=as_json)


@command.command("disable")
@click.argument("address")
@click.pass_context
def disable(ctx: click.Context, address: str) -> None:
    """Let nobody in with the account ADDRESS, on any protocol, until it is enabled again; its scripts neither.

    Whoever is signed in is signed out within some seconds. Mail for it still comes in, and all that is there stays.
    """
    account = with_store(ctx, lambda store: people.set_disabled(store, address, True, acting()))
    click.echo(
        f"{account.address} is disabled; mail for it still comes in. To undo it: poterne account enable {address}"
    )


@command.command("enable")
@click.argument("address")
@click.pass_context
def enable(ctx: click.Context, address: str) -> None:
    """Let the account ADDRESS sign in again, with its password and its scripts as they were."""
    account = with_store(ctx, lambda store: people.set_disabled(store, address, False, acting()))
    click.echo(f"{account.address} is enabled.")


@command.command("forward")
@click.argument("address")
@click.option("--to", "targets", multiple=True, metavar="ADDRESS", help="Where its mail goes as well; may be repeated.")
@click.option("--no-keep", is_flag=True, help="Keep nothing here.")
@click.option("--off", is_flag=True, help="No longer forward.")
@click.pass_context
def forward(ctx: click.Context, address: str, targets: tuple[str, ...], no_keep: bool, off: bool) -> None:
    """Send the mail of the account ADDRESS to addresses elsewhere as well; those named before are forgotten."""
    if off == bool(targets) or (off and no_keep):
        raise click.UsageError("say either --to ADDRESS (perhaps with --no-keep) or --off")
    made = with_store(ctx, lambda store: people.set_forwards(store, address, targets, acting(), keeps=not no_keep))
    if off:
        click.echo(f"{made.address} is no longer forwarded.")
        return
    kept = "kept here" if made.keeps else "not kept here"
    click.echo(f"{made.address} is forwarded to {', '.join(made.forwards)}, and {kept}.")
    warn_away(made.forwards)


@command.command("forwarded-by")
@click.argument("address")
@click.option("--from", "domains", multiple=True, metavar="DOMAIN", help="Whose servers forward mail; may be repeated.")
@click.option("--off", is_flag=True, help="Nobody's any more.")
@click.pass_context
def forwarded_by(ctx: click.Context, address: str, domains: tuple[str, ...], off: bool) -> None:
    """Name the servers that forward mail to the account ADDRESS; those named before are forgotten.

    Forwarding breaks SPF, and often signatures. What such a server brings, by its proven name or envelope, is then not taken for
    forged: see [inbound] forwarded.

    Without options: shows them.
    """
    if off and domains:
        raise click.UsageError("say either --from DOMAIN or --off")

    async def work(store: Store) -> Account:
        if not (off or domains):
            return await people.account_of(store, address)
        return await people.set_forwarders(store, address, domains, acting())

    made = with_store(ctx, work)
    if not made.forwarders:
        click.echo(f"Nobody forwards mail to {made.address} as far as we know.")
    else:
        click.echo(f"Mail to {made.address} may come by way of {', '.join(made.forwarders)}.")


_NUMBER = click.IntRange(0, 10_000_000)


@command.command("limit")
@click.argument("address")
@click.option("--per-day", type=_NUMBER, help="Recipients in 24 hours; 0: no limit.")
@click.option("--external-per-hour", type=_NUMBER, help="Recipients elsewhere in an hour.")
@click.option("--new-per-day", type=_NUMBER, help="Recipients in 24 hours that it never wrote to.")
@click.option("--burst", type=_NUMBER, help="Recipients in a minute.")
@click.option("--bulk", type=click.IntRange(1, 10_000_000), help="A newsletter's identity: so many a day, at any pace.")
@click.option("--default", "usual", is_flag=True, help="What [limits] says, again.")
@click.pass_context
def limit(
    ctx: click.Context,
    address: str,
    per_day: int | None,
    external_per_hour: int | None,
    new_per_day: int | None,
    burst: int | None,
    bulk: int | None,
    usual: bool,
) -> None:
    """How much the account ADDRESS may send before its mail is held; what is not named stays as it is.

    Without options: shows it.
    """
    single = (per_day, external_per_hour, new_per_day, burst)
    ways = (any(n is not None for n in single), bulk is not None, usual).count(True)
    if ways > 1:
        raise click.UsageError("say either some of the limits, or --bulk N, or --default")
    _, values = settings(ctx)

    async def work(store: Store) -> Account:
        if not ways:
            return await people.account_of(store, address)
        limits = None if usual else people.bulk_limits(bulk) if bulk is not None else None
        if bulk is None and not usual:
            before = (await people.account_of(store, address)).limits or _of_settings(values.limits)
            limits = SendingLimits(
                before.per_day if per_day is None else per_day,
                before.external_per_hour if external_per_hour is None else external_per_hour,
                before.new_per_day if new_per_day is None else new_per_day,
                before.burst if burst is None else burst,
            )
        return await people.set_limits(store, address, limits, acting())

    made = with_store(ctx, work)
    usually = "" if made.limits is not None else ", as [limits] says"
    click.echo(f"{made.address}: {_in_words(made.limits or _of_settings(values.limits))}{usually}.")


def _of_settings(limits: Limits) -> SendingLimits:
    return SendingLimits(limits.recipients_per_day, limits.external_per_hour, limits.new_per_day, limits.burst)


def _in_words(limits: SendingLimits) -> str:
    numbers = (
        (limits.per_day, "a day"),
        (limits.external_per_hour, "elsewhere an hour"),
        (limits.new_per_day, "new a day"),
        (limits.burst, "a minute"),
    )
    return "recipients: " + ", ".join(f"{number or 'any number'} {what}" for number, what in numbers)


@command.command("quota")
@click.argument("address")
@click.option("--bytes", "quota_bytes", type=size, help="How much it may have, like 10G or 500M; 0: any number.")
@click.option("--messages", "quota_messages", type=click.IntRange(0, 2**60), help="Messages that it may have; 0: any.")
@json_option
@click.pass_context
def quota_(
    ctx: click.Context, address: str, quota_bytes: int | None, quota_messages: int | None, as_json: bool
) -> None:
    """How much mail the account ADDRESS may have; what is not named stays as it is. Without options: shows it.

    What happens when it is full, and when its user is told before: [quota].
    """

    async def work(store: Store) -> Account:
        if quota_bytes is None and quota_messages is None:
            return await people.account_of(store, address)
        return await quota.set_quota(store, address, acting(), quota_bytes=quota_bytes, quota_messages=quota_messages)

    a = with_store(ctx, work)
    if as_json:
        row: dict[str, object] = {
            "address": a.address,
            "used_bytes": a.used_bytes,
            "quota_bytes": a.quota_bytes,
            "used_messages": a.used_messages,
            "quota_messages": a.quota_messages,
        }
        show([row], as_json=True, empty="")
        return
    octets = f"{a.used_bytes:,} of {f'{a.quota_bytes:,}' if a.quota_bytes else 'any number of'} octets"
    messages = f"{a.used_messages:,} of {f'{a.quota_messages:,}' if a.quota_messages else 'any number of'} messages"
    click.echo(f"{a.address}: {octets}, {messages}.")


@command.command("folders")
@click.argument("address")
@click.option("--repair", is_flag=True, help="Make those that are missing, give them their use, subscribe to them.")
@click.option("--use", "uses", nargs=2, multiple=True, metavar="USE FOLDER", help="FOLDER is the one for junk, trash …")
@json_option
@click.pass_context
def folders_(ctx: click.Context, address: str, repair: bool, uses: tuple[tuple[str, str], ...], as_json: bool) -> None:
    """The folders of the account ADDRESS, with what they are for: programs find Trash and the like by that, not by their name."""

    async def work(store: Store) -> list[Mailbox]:
        for use, folder in uses:
            await folders.set_use(store, address, folder, use, acting())
        if repair:
            await folders.repair(store, address, acting())
        return (await folders.listed(store, address))[1]

    rows: list[dict[str, object]] = [
        {
            "folder": box.name,
            "use": box.special_use.value.removeprefix("\\").lower() if box.special_use else "",
            "messages": box.messages,
            "bytes": box.size_bytes,
            "subscribed": box.subscribed,
        }
        for box in with_store(ctx, work)
    ]
    show(rows, as_json=as_json, empty="")


@command.command("language")
@click.argument("address")
@click.argument("language", type=click.Choice(people.LANGUAGES))
@click.option("--rename-folders", is_flag=True, help="Those that still have the name they began with.")
@click.pass_context
def language_(ctx: click.Context, address: str, language: str, rename_folders: bool) -> None:
    """In which LANGUAGE the server writes to the account ADDRESS."""
    account, renamed = with_store(
        ctx, lambda store: folders.set_language(store, address, language, acting(), rename=rename_folders)
    )
    click.echo(f"{account.address}: notices come in {language} now.")
    for before, after in renamed.items():
        click.echo(f"{before} is {after} now.")


@command.command("remove")
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def remove(ctx: click.Context, address: str, yes: bool) -> None:
    """Remove the account ADDRESS and all its mail."""
    if not yes:
        click.confirm(f"Remove {address} and all its mail?", abort=True)
    with_store(ctx, lambda store: people.remove_account(store, address, acting()))
    click.echo(f"{address} is removed, with its mail.")
