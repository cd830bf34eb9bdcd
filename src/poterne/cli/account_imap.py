"""`poterne account imap`."""

import click

from poterne.admin import imap_clients
from poterne.admin.people import account_of
from poterne.cli.common import acting, json_option, settings, show, with_store
from poterne.store.interface import Store
from poterne.values.capabilities import SIGNED_IN, switched_off
from poterne.values.directory import Account


@click.command("imap")
@click.argument("address")
@click.option("--without", "off", metavar="NAME,…", default="", help="Capabilities that its clients are not offered.")
@click.option("--with", "on", metavar="NAME,…", default="", help="Those that they are offered again.")
@json_option
@click.pass_context
def command(ctx: click.Context, address: str, off: str, on: str, as_json: bool) -> None:
    """What the mail programs of the account ADDRESS may use of IMAP. Without options: shows it.

    For a program that is broken in one of its capabilities: it is no longer announced, and its commands are unknown.
    Sessions that are open keep what they had, until the program connects again.
    """
    _, values = settings(ctx)

    async def work(store: Store) -> Account:
        if not (off or on):
            return await account_of(store, address)
        return await imap_clients.switch(store, address, _words(off), _words(on), acting())

    account = with_store(ctx, work)
    gone = switched_off((*values.imap.without, *account.imap_without))
    if as_json:
        row: dict[str, object] = {
            "address": account.address,
            "without": list(account.imap_without),
            "offered": [name for name in SIGNED_IN if name not in gone],
            "not_offered": [name for name in SIGNED_IN if name in gone],
        }
        show([row], as_json=True, empty="")
        return
    if not gone:
        click.echo(f"{account.address}: everything is offered.")
        return
    click.echo(f"{account.address}: all but {', '.join(name for name in SIGNED_IN if name in gone)}.")
    if values.imap.without:
        click.echo(f"[imap] without, for all accounts: {', '.join(values.imap.without)}.")
    also = gone - set(account.imap_without) - set(values.imap.without)
    if also:
        click.echo("What was not named goes with what was: it needs it, or contains it.")
    if off or on:
        click.echo("This counts from the next sign-in on; sessions that are open keep what they had.")


def _words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]
