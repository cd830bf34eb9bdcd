"""`poterne lab`."""

import asyncio
import shutil
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from poterne.admin.instance import InstanceError
from poterne.admin.people import AdminError
from poterne.cli.common import fail
from poterne.config.load import ConfigError

if TYPE_CHECKING:
    from poterne.lab.world import World


@click.command("lab")
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=Path("lab"), show_default=True,
              help="Where the lab's instances are kept; a second run goes on with them.")  # fmt: skip
@click.option("--port-offset", type=click.IntRange(1024, 45000), default=10_000, show_default=True,
              help="Added to the usual ports.")  # fmt: skip
@click.option("--fresh", is_flag=True, help="Begin anew: remove what an earlier run left.")
def command(folder: Path, port_offset: int, fresh: bool) -> None:
    """A whole mail world on this machine: our server, a neighbour, strangers good and bad. Loopback, no root; Ctrl-C ends it."""
    from poterne.lab.internet import FOLDER, TAKEN
    from poterne.lab.world import LabError, World, alone_in
    from poterne.store.errors import StoreError

    began = time.monotonic()
    folder = folder.resolve()
    try:
        with alone_in(folder):
            if fresh and (folder / "ours").is_dir():
                shutil.rmtree(folder / "ours")
                for name in ("neighbour", "maildir-alice", FOLDER, TAKEN):
                    shutil.rmtree(folder / name, ignore_errors=True)
            world = World(folder, port_offset, click.echo)
            world.prepare()
            asyncio.run(_run(world, folder, began))
    except (LabError, InstanceError, AdminError, StoreError) as error:
        fail(str(error))
    except ConfigError as error:
        fail(f"{error}\nor begin anew with --fresh")


async def _run(world: "World", folder: Path, began: float) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)

    def ready() -> None:
        _print(world, folder)
        click.secho(
            f"\nThe lab is ready after {time.monotonic() - began:.1f} s. Ctrl-C ends it.", fg="green", bold=True
        )

    await world.run(ready, stopped)
    click.echo("The lab is closed; `poterne lab` goes on with the same mail, `poterne lab --fresh` begins anew.")


def _print(world: "World", folder: Path) -> None:
    from poterne.lab.instances import PASSWORD
    from poterne.lab.lines import lines, table, thunderbird, write_mbsyncrc

    click.echo()
    click.secho(f"{world.ours.domain}: {', '.join(world.ours.accounts)}, password {PASSWORD}", bold=True)
    click.echo(f"  the neighbour {world.neighbour.domain}: {', '.join(world.neighbour.accounts)}, the same password")
    click.echo(f"  logs: {folder}/ours/server.log, settings: {world.ours.settings}\n")
    click.secho("Strangers: write to anyone@…", bold=True)
    for line in table(world):
        click.echo(line)
    click.echo(f"  what they took: {world.internet.taken}/\n")
    click.secho(f"A spoofer wrote to {world.ours.accounts[0]} as", bold=True)
    click.echo(f"{world.forged}\n")
    for what, line in lines(world, write_mbsyncrc(world, folder)):
        click.secho(f"# {what}", fg="cyan")
        click.echo(line)
    click.echo()
    click.echo(thunderbird(world))
