"""`poterne export`."""

import os
from pathlib import Path

import click

from poterne.admin.people import account_of
from poterne.cli.common import acting, data_folder, fail, json_option, settings
from poterne.cli.moving_text import Shown, moved
from poterne.moving.folders import Choice, Folder, wanted
from poterne.moving.told import MovingError, Summary
from poterne.store.interface import Store


@click.command("export")
@click.argument("account")
@click.option(
    "--to", required=True, type=click.Path(path_type=Path, file_okay=False), help="A directory; made if needed."
)
@click.option("--format", "form", type=click.Choice(["maildir", "mbox"]), default="maildir", show_default=True)
@click.option(
    "--folder", "only", multiple=True, metavar="NAME", help="Only this folder and what is below; may be repeated."
)
@json_option
@click.pass_context
def command(ctx: click.Context, account: str, to: Path, form: str, only: tuple[str, ...], as_json: bool) -> None:
    """Write the mail of ACCOUNT into files, while the server runs: a Maildir++ that Dovecot and others read, or mbox files.

    As a Maildir a second run writes what is new and the flags of now; nothing is removed there. `poterne import maildir`
    brings back exactly what was exported: octets, flags, keywords, dates, subscriptions. mbox keeps nearly all; messages that
    it can't keep exactly are listed.

    Exit status: 0 done, 1 refused or broken off, 2 wrong usage, 3 some messages are not exactly as they were, 78 the settings
    can't be used.
    """
    from poterne.moving import maildir_export, mbox_export, runs  # noqa: F401  (now: the data's owner may not see them)

    path, values = settings(ctx)
    data = data_folder(path, values)
    root = to.resolve()
    if root == data or data in root.parents:
        fail(f"{to} is inside the data folder: name a directory elsewhere")
    _make(root, data)
    shown = Shown(as_json=as_json)
    summary = moved(ctx, lambda store: _export(store, account, root, form, only, shown))
    shown.end(summary, verb="exported")


def _make(root: Path, data: Path) -> None:
    """As root, a new directory is given to the owner of the data, who writes it."""
    if root.exists():
        return
    try:
        root.parent.mkdir(parents=True, exist_ok=True)
        above = os.open(root.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.mkdir(root.name, 0o700, dir_fd=above)
            if os.geteuid() == 0 and data.is_dir():
                _give(root.name, above, data.stat())
        finally:
            os.close(above)
    except OSError as error:
        fail(f"{root} can't be made: {error.strerror}")


def _give(name: str, above: int, owner: os.stat_result) -> None:
    """What we made, and nothing that somebody put there in its place meanwhile. Raises OSError."""
    made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        os.fchown(made, owner.st_uid, owner.st_gid)
    finally:
        os.close(made)


async def _export(store: Store, who: str, root: Path, form: str, only: tuple[str, ...], shown: Shown) -> Summary:
    from poterne.moving.maildir_export import MaildirExport
    from poterne.moving.mbox_export import MboxExport
    from poterne.moving.places import text
    from poterne.moving.runs import recorded

    account = await account_of(store, who)
    choice = Choice(folders=tuple(name.strip("/") for name in only))
    boxes = [
        box
        for box in await store.mailboxes(account.id)
        if box.selectable and wanted(Folder(b"", box.name, box.special_use), choice)
    ]
    if not boxes:
        raise MovingError(f"{account.address} has no such folder (poterne account folders {account.address})")
    if form == "maildir":
        kept = MaildirExport(store, account, root, boxes, shown)
        return await recorded(
            store, account, "account.exported", f"maildir {text(root)}", kept.summary, acting(), kept.run
        )
    run = MboxExport(store, account, root, boxes, shown)
    return await recorded(store, account, "account.exported", f"mbox {text(root)}", run.summary, acting(), run.run)
