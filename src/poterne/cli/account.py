"""`poterne account`."""

import sys

import click

from poterne.admin import people
from poterne.cli.common import acting, json_option, settings, show, with_store
from poterne.values.secret import Secret

stdin_option = click.option("--password-stdin", is_flag=True, help="Read the password from standard input (one line).")


@click.group("account")
def command() -> None:
    """People and roles with a mailbox."""


def _from_stdin(wanted: bool) -> Secret | None:
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
@click.option(
    "--quota", "quota_bytes", type=click.IntRange(0, 2**60), help="Octets, 0 is no limit; else [store] quota_bytes."
)
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
    password = _from_stdin(password_stdin)
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
    chosen = _from_stdin(password_stdin)
    generated = with_store(ctx, lambda store: people.set_password(store, address, acting(), password=chosen))
    _tell(address, generated, "has a new password", as_json=as_json)


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
