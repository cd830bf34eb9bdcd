"""`poterne backup`."""

import shutil
from pathlib import Path

import click

from poterne.cli.common import config_path, fail, with_store
from poterne.store.interface import Store


@click.command("backup")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.pass_context
def command(ctx: click.Context, folder: Path) -> None:
    """Copy the instance into the new FOLDER, consistently, while the server runs."""
    if folder.exists() and any(folder.iterdir()):
        fail(f"{folder} is not empty: name a new folder for each backup")

    async def work(store: Store) -> None:
        with click.progressbar(length=1, label="Copying", show_eta=True) as bar:

            def progress(done: int, total: int) -> None:
                bar.length = max(total, 1)
                bar.update(done - bar.pos)

            await store.backup(str(folder), progress)

    with_store(ctx, work)
    path = config_path(ctx)
    shutil.copy2(path, folder / path.name)
    tls = path.parent / "data" / "tls"
    if tls.is_dir():
        shutil.copytree(tls, folder / "tls", dirs_exist_ok=True)
    click.echo(f"The backup is in {folder}/. Get it back with: poterne restore {folder} NEW-FOLDER")
