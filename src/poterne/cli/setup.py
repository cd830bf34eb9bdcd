"""`poterne setup`."""

import datetime as dt
import os
from pathlib import Path

import click

from poterne.admin import dkim, people
from poterne.admin.instance import InstanceError, Plan, certificate_names, give_to, make, standard_listeners
from poterne.app.privileges import Identity, PrivilegeError, identity
from poterne.cli.common import acting, data_folder, fail, run_with_store
from poterne.config.load import ConfigError, load
from poterne.store.interface import Store


@click.command("setup")
@click.argument("domain")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("poterne"), show_default=True,
              help="Where the instance will be.")  # fmt: skip
@click.option("--hostname", help="The server's own name; default mail.DOMAIN.")
@click.option("--account", "local_part", default="postmaster", show_default=True, help="The first account's name.")
@click.option("--language", type=click.Choice(people.LANGUAGES), default="en", show_default=True)
@click.option("--port-offset", type=click.IntRange(0, 60000), default=0, show_default=True,
              help="Added to every port, to run without root or beside another server.")  # fmt: skip
@click.option("--user", default="", help='System user of the server when started as root; else "poterne".')
def command(
    domain: str, folder: Path, hostname: str | None, local_part: str, language: str, port_offset: int, user: str
) -> None:
    """Make a new instance for DOMAIN: settings, keys, first domain, first account. It answers on loopback only."""
    try:
        name = people.parse_domain(domain)
        people.parse_address(f"{local_part}@{name}")  # before anything is made
        host = hostname or f"mail.{name}"
        chosen = {"server": {"language": language, **({"user": user} if user else {})}}
        who = _server_user(user)
        path = make(Plan(folder, host, standard_listeners(offset=port_offset), chosen), dt.datetime.now(dt.UTC))
        values = load(path)
    except (people.AdminError, InstanceError, ConfigError, PrivilegeError) as error:
        fail(str(error))
    if who is not None:
        give_to(folder, who.uid, who.gid)

    async def begin(store: Store) -> people.Made:
        await people.add_domain(store, name, acting())
        await dkim.for_new_domain(store, name, acting(), values.dkim)
        return await people.add_account(store, f"{local_part}@{name}", acting(), password=None, language=language)

    made = run_with_store(data_folder(path, values), values, begin)
    shown = made.password.reveal().decode() if made.password is not None else ""
    config = min(os.path.relpath(path), str(path.absolute()), key=len)
    click.secho(f"The instance for {name} is made in {folder}/", bold=True)
    click.echo(f"  settings   {config}")
    click.echo(f"  account    {made.account.address}")
    click.echo("  password   ", nl=False)
    click.secho(shown, bold=True, nl=False)
    click.echo("   (shown only now)")
    click.echo(
        f"  local CA   {folder}/data/tls/ca.pem (for {', '.join(certificate_names(host))}): trust it on test clients"
    )
    click.echo("\nIt answers on loopback only. Next:")
    click.echo(f"  poterne -c {config} check")
    click.echo(f"  poterne -c {config} serve")
    click.echo(f"  poterne -c {config} dns {name}")
    click.echo("      what to publish in DNS, before others can write to it and its own mail is signed")
    click.echo(f"  poterne -c {config} client {made.account.address}")
    click.echo("      what to type into a mail program, and where programs find it by themselves")


def _server_user(user: str) -> Identity | None:
    """Whom the data will belong to when root sets up; a user that was named has to be there."""
    try:
        return identity(user)
    except PrivilegeError as error:
        if user:
            raise
        click.secho(f"Note: {error}", fg="yellow", err=True)
        return None
