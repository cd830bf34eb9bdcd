"""`poterne backup`."""

import asyncio
import shutil
from pathlib import Path

import click

from poterne.admin.instance import SETTINGS, TLS
from poterne.cli.common import data_folder, settings, with_store
from poterne.store.interface import Store


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_context
def command(ctx: click.Context, folder: Path) -> None:
    """Copy the instance into FOLDER, consistently, while the server runs. An earlier backup there is brought up to date."""

    async def work(store: Store) -> None:
        await asyncio.to_thread(folder.mkdir, 0o700, parents=True, exist_ok=True)
        with click.progressbar(length=1, label="Copying", show_eta=True) as bar:

            def progress(done: int, total: int) -> None:
                bar.length = max(total, 1)
                bar.update(done - bar.pos)

            await store.backup(str(folder), progress)

    with_store(ctx, work)
    path, values = settings(ctx)
    shutil.copy2(path, folder / SETTINGS)
    tls = data_folder(path, values) / TLS
    if tls.is_dir():
        shutil.copytree(tls, folder / TLS, dirs_exist_ok=True)
    click.echo(f"The backup is in {folder}/. Get it back with: poterne restore {folder} NEW-FOLDER")
