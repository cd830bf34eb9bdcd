"""`poterne backup`."""

import asyncio
import shutil
from pathlib import Path

import click

from poterne.admin import srs_key
from poterne.admin.instance import SETTINGS, TLS
from poterne.cli.common import data_folder, fail, progress_bar, settings, with_store
from poterne.store.interface import Store


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_context
def command(ctx: click.Context, folder: Path) -> None:
    """Copy the instance into FOLDER, consistently, while the server runs. An earlier backup there is brought up to date."""

    async def work(store: Store) -> None:
        await asyncio.to_thread(folder.mkdir, 0o700, parents=True, exist_ok=True)
        with progress_bar("Copying") as bar:

            def progress(done: int, total: int) -> None:
                bar.length = max(total, 1)
                bar.update(done - bar.pos)

            await store.backup(str(folder), progress)

    path, values = settings(ctx)
    data = data_folder(path, values)
    if folder.resolve() == data or data in folder.resolve().parents:
        fail(f"{folder} is inside the data folder: name a folder elsewhere, best on another disk")
    with_store(ctx, work)
    try:
        shutil.copy2(path, folder / SETTINGS)
        if (data / TLS).is_dir():
            shutil.copytree(data / TLS, folder / TLS, dirs_exist_ok=True)
        if (data / srs_key.FILE).exists():
            shutil.copy2(data / srs_key.FILE, folder / srs_key.FILE)
    except OSError as error:  # shutil.Error is one too, with a list of what failed
        fail(f"the mail is copied to {folder}, the settings and the local CA are not: {error.strerror or error}")
    click.echo(f"The backup is in {folder}/. Get it back with: poterne restore {folder} NEW-FOLDER")
    if values.certificate:
        click.echo("Certificates named in [certificate.NAME] are not in it: back those files up yourself.")
