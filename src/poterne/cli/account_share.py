"""`poterne account share` and `poterne account shares`."""

import click

from poterne.admin import sharing
from poterne.admin.sharing import Entry
from poterne.cli.common import acting, json_option, settings, show, with_store
from poterne.store.interface import Store
from poterne.values.sharing import Right, letters


@click.command("share")
@click.argument("address")
@click.argument("mailbox")
@click.argument("who")
@click.argument("rights")
@click.option("--below", is_flag=True, help="In the mailboxes below it too.")
@click.pass_context
def share(ctx: click.Context, address: str, mailbox: str, who: str, rights: str, below: bool) -> None:
    """Let WHO into a MAILBOX of the account ADDRESS: another account, or "anyone" of the same domain.

    RIGHTS: read; write (all that is done with messages); all (mailboxes too, and sharing them further); none. Or the letters of
    RFC 4314. They take the place of what WHO had there, and count at once; mailboxes that are made below inherit them.
    """
    _, values = settings(ctx)

    async def work(store: Store) -> tuple[Right, list[str]]:
        wanted = sharing.parse_words(rights)
        across = values.imap.share_across_domains
        names = await sharing.share(store, address, mailbox, who, wanted, acting(), below=below, across_domains=across)
        return wanted, list(names)

    wanted, names = with_store(ctx, work)
    for name in names:
        click.echo(
            f"{name} of {address}: {who} {f'may {sharing.in_words(wanted)}' if wanted else 'may do nothing'} now."
        )
    if Right.LOOKUP & wanted:
        click.echo(
            f"Mail programs show it as Other Users/{address.lower()}/{names[0]}; some want to be told to subscribe to it."
        )


@click.command("shares")
@click.argument("address")
@json_option
@click.pass_context
def shares(ctx: click.Context, address: str, as_json: bool) -> None:
    """Whom the account ADDRESS lets into its mailboxes, and who lets it into theirs."""

    async def work(store: Store) -> tuple[str, list[Entry], list[tuple[str, str, Right]]]:
        owner, given = await sharing.shares(store, address)
        return owner.address, given, await sharing.shared_with(store, address)

    own, given, got = with_store(ctx, work)
    lines = [(own, one.mailbox, one.granted.identifier, one.granted.rights) for one in given]
    lines += [(owner, name, own, rights) for owner, name, rights in got]
    rows: list[dict[str, object]] = [
        {
            "owner": owner,
            "mailbox": name,
            "who": who,
            "rights": letters(rights) if as_json else sharing.in_words(rights),
        }
        for owner, name, who, rights in lines
    ]
    show(rows, as_json=as_json, empty=f"{own} shares nothing, and nobody shares anything with it.")
