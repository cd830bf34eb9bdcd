"""`poterne restore`."""

import shutil
from pathlib import Path

import click

from poterne.admin import srs_key
from poterne.admin.instance import DATA, SETTINGS, TLS, give_to
from poterne.app.privileges import PrivilegeError, identity
from poterne.cli.common import fail
from poterne.config.load import ConfigError, load
from poterne.store.errors import StoreError


@click.command("restore")
@click.argument("backup", type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def command(backup: Path, folder: Path) -> None:
    """Make the new instance FOLDER from BACKUP, and verify it. Start it with `poterne -c FOLDER/poterne.toml serve`."""
    from poterne.app.stores import restore_instance_store

    if not (backup / SETTINGS).exists():
        fail(f"{backup} is not a backup made by `poterne backup`: it has no {SETTINGS}")
    try:
        if folder.exists() and any(folder.iterdir()):
            fail(f"{folder} is not empty: name a new folder, so that nothing is overwritten")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        findings = restore_instance_store(backup, folder / DATA)
        if (backup / TLS).is_dir():
            shutil.copytree(backup / TLS, folder / DATA / TLS)
        if (backup / srs_key.FILE).exists():
            shutil.copy2(backup / srs_key.FILE, folder / DATA / srs_key.FILE)
        shutil.copy2(backup / SETTINGS, folder / SETTINGS)
        _give_to_server(folder)
    except StoreError as error:
        fail(f"the backup can't be used: {error}")
    except OSError as error:
        fail(f"{error.filename or folder}: {error.strerror or error}")
    for finding in findings:
        click.secho(f"{finding.what}\n    → {finding.remedy}", fg="red" if finding.fatal else "yellow", err=True)
    if any(finding.fatal for finding in findings):
        fail("the backup is damaged: what is listed above is missing from it")
    click.echo(f"The instance is in {folder}/. Check it: poterne -c {folder}/{SETTINGS} check")
    _note_moved_data(folder)


def _give_to_server(folder: Path) -> None:
    """As root: to the user that the settings name, as `setup` does."""
    try:
        who = identity(load(folder / SETTINGS).server.user)
    except (ConfigError, PrivilegeError) as error:
        click.secho(f"Note: {error}", fg="yellow", err=True)
        return
    if who is not None:
        give_to(folder, who.uid, who.gid)


def _note_moved_data(folder: Path) -> None:
    try:
        named = (folder / load(folder / SETTINGS).server.data).resolve()
    except ConfigError:
        return  # told above, or by the check
    if named != (folder / DATA).resolve():
        click.secho(
            f"Note: the settings name the data folder {named}; what was restored is in {folder / DATA}: "
            f'write data = "{DATA}" under [server], or move it',
            fg="yellow",
            err=True,
        )
