"""`poterne alias`."""

import click

from poterne.admin import people
from poterne.cli.common import acting, json_option, show, with_store


@click.group("alias")
def command() -> None:
    """Addresses whose mail goes to accounts."""


@command.command("add")
@click.argument("address")
@click.argument("targets", nargs=-1, required=True)
@click.pass_context
def add(ctx: click.Context, address: str, targets: tuple[str, ...]) -> None:
    """Mail for ADDRESS goes to the accounts TARGETS."""
    made = with_store(ctx, lambda store: people.add_alias(store, address, targets, acting()))
    click.echo(f"{made.address} goes to {', '.join(made.targets)}.")


@command.command("list")
@click.argument("domain", required=False)
@json_option
@click.pass_context
def list_(ctx: click.Context, domain: str | None, as_json: bool) -> None:
    """The aliases, of all domains or of DOMAIN."""
    found = with_store(ctx, lambda store: people.aliases(store, domain))
    rows: list[dict[str, object]] = [{"address": a.address, "targets": " ".join(a.targets)} for a in found]
    show(rows, as_json=as_json, empty="No alias yet: poterne alias add info@example.org you@example.org")


@command.command("remove")
@click.argument("address")
@click.pass_context
def remove(ctx: click.Context, address: str) -> None:
    """Mail for ADDRESS is no longer taken (unless an account has the name)."""
    with_store(ctx, lambda store: people.remove_alias(store, address, acting()))
    click.echo(f"{address} is removed.")
