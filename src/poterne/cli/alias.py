"""`poterne alias`."""

import click

from poterne.admin import people
from poterne.cli.common import acting, json_option, show, with_store
from poterne.values.directory import Alias, Posting

AWAY = (
    "Note: mail that leaves again is judged at {where} by what this server is worth there. Its envelope sender is "
    "rewritten (SRS) so that SPF holds; mail that failed authentication is not forwarded."
)


@click.group("alias")
def command() -> None:
    """Addresses whose mail goes to accounts, or elsewhere."""


def warn(text: str) -> None:
    """On standard error: what is possible, and why one may regret it."""
    click.secho(text, fg="yellow", err=True)


def warn_away(forwards: tuple[str, ...]) -> None:
    if forwards:
        warn(AWAY.format(where=", ".join(dict.fromkeys(f.rpartition("@")[2] for f in forwards))))


@command.command("add")
@click.argument("words", nargs=-1, required=True, metavar="ADDRESS TARGET...")
@click.option(
    "--catch-all",
    "domain",
    metavar="DOMAIN",
    help="Instead of ADDRESS: every address of DOMAIN that nobody has.",
)
@click.option(
    "--posting",
    type=click.Choice([p.value for p in Posting]),
    default=Posting.ANYONE.value,
    show_default=True,
    help="Who may write to it: anyone; local: who signs in here; members: the targets; listed: each --poster.",
)
@click.option("--poster", "posters", multiple=True, metavar="ADDRESS", help="Who may write, with --posting listed.")
@click.pass_context
def add(ctx: click.Context, words: tuple[str, ...], domain: str | None, posting: str, posters: tuple[str, ...]) -> None:
    """Mail for ADDRESS goes to each TARGET: accounts of this server, or addresses elsewhere."""
    address, targets = (words[0], words[1:]) if domain is None else (f"*@{domain}", words)
    if not targets:
        raise click.UsageError("name at least one TARGET")
    if posters and posting == Posting.ANYONE.value:
        posting = Posting.LISTED.value
    made = with_store(
        ctx,
        lambda store: people.add_alias(store, address, targets, acting(), posting=Posting(posting), posters=posters),
    )
    click.echo(f"{made.address} goes to {', '.join((*made.targets, *made.forwards))}.{_posting(made)}")
    if made.address.startswith("*@"):
        warn(
            "Note: a catch-all takes what is sent to guessed names: it attracts spam, and whoever tries out names finds that "
            "all exist. Single aliases are better."
        )
    warn_away(made.forwards)


def _posting(alias: Alias) -> str:
    match alias.posting:
        case Posting.ANYONE:
            return ""
        case Posting.LOCAL:
            return " Only those who sign in here may write to it."
        case Posting.MEMBERS:
            return " Only those who get it may write to it."
        case Posting.LISTED:
            return f" Only {', '.join(alias.posters)} may write to it."


@command.command("list")
@click.argument("domain", required=False)
@json_option
@click.pass_context
def list_(ctx: click.Context, domain: str | None, as_json: bool) -> None:
    """The aliases, of all domains or of DOMAIN."""
    found = with_store(ctx, lambda store: people.aliases(store, domain))
    rows: list[dict[str, object]] = [
        {
            "address": a.address,
            "targets": " ".join((*a.targets, *a.forwards)),
            "posting": a.posting.value if not a.posters else f"{a.posting.value}: {' '.join(a.posters)}",
        }
        for a in found
    ]
    show(rows, as_json=as_json, empty="No alias yet: poterne alias add info@example.org you@example.org")


@command.command("remove")
@click.argument("address")
@click.pass_context
def remove(ctx: click.Context, address: str) -> None:
    """Mail for ADDRESS is no longer taken (unless an account has the name)."""
    with_store(ctx, lambda store: people.remove_alias(store, address, acting()))
    click.echo(f"{address} is removed.")
