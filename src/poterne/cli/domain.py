"""`poterne domain`."""

import datetime as dt

import click

from poterne.admin import dkim, people
from poterne.cli.common import acting, json_option, settings, show, with_store
from poterne.store.interface import Store


@click.group("domain")
def command() -> None:
    """Domains whose mail is delivered here."""


@command.command("add")
@click.argument("name")
@click.pass_context
def add(ctx: click.Context, name: str) -> None:
    """Serve the domain NAME, and make the keys that sign its mail."""
    _, values = settings(ctx)
    by = acting()

    async def work(store: Store) -> tuple[str, bool]:
        domain = await people.add_domain(store, name, by)
        return domain, bool(await dkim.for_new_domain(store, domain, by, values.dkim))

    domain, keys = with_store(ctx, work)
    click.echo(f"{domain} is served now. Next: poterne account add you@{domain}")
    if keys:
        click.echo(f"Its mail is signed once DNS has its keys: poterne dns {domain} says what to publish.")


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
