"""`poterne domain`."""

import datetime as dt

import click

from poterne.admin import people
from poterne.cli.common import acting, json_option, show, with_store


@click.group("domain")
def command() -> None:
    """Domains whose mail is delivered here."""


@command.command("add")
@click.argument("name")
@click.pass_context
def add(ctx: click.Context, name: str) -> None:
    """Serve the domain NAME."""
    domain = with_store(ctx, lambda store: people.add_domain(store, name, acting()))
    click.echo(f"{domain} is served now. Next: poterne account add you@{domain}")


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Which domains are served."""
    found = with_store(ctx, people.domains)
    rows: list[dict[str, object]] = [
        {"domain": d.name, "since": dt.datetime.fromtimestamp(d.created_at, dt.UTC).date().isoformat()} for d in found
    ]
    show(rows, as_json=as_json, empty="No domain yet: poterne domain add example.org")


@command.command("remove")
@click.argument("name")
@click.pass_context
def remove(ctx: click.Context, name: str) -> None:
    """No longer serve the domain NAME. It must have no accounts and aliases any more."""
    with_store(ctx, lambda store: people.remove_domain(store, name, acting()))
    click.echo(f"{name} is no longer served.")
