"""What commands share: finding the settings, opening the store, failing with a text, printing tables or JSON."""

import asyncio
import getpass
import json
import os
import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

import click

from poterne.admin.people import Acting, AdminError
from poterne.config.load import ConfigError, load
from poterne.config.settings import Settings
from poterne.observe import TraceIds
from poterne.store.errors import StoreError
from poterne.store.interface import Store
from poterne.values.ids import TraceId

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

T = TypeVar("T")
EXIT_CONFIG = 78
_UNSEEN = re.compile("[\x7f-\U0010ffff]")
PLACES = (Path("poterne.toml"), Path("/etc/poterne/poterne.toml"))


def fail(text: str) -> NoReturn:
    """End with status 1 and a text on standard error. Parts of it may be names and words of strangers."""
    shown = "".join(char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in text)
    click.secho(f"poterne: {shown}", fg="red", err=True)
    raise click.exceptions.Exit(1)


def config_path(ctx: click.Context) -> Path:
    """The settings file that was named, or the first that is there; links are followed, since paths in it are relative."""
    named = ctx.find_root().obj
    if isinstance(named, Path):
        return named.resolve()
    for place in PLACES:
        if place.exists():
            return place.resolve()
    fail("there is no settings file here: name it with -c FILE, or make an instance with `poterne setup DOMAIN`")


def settings(ctx: click.Context) -> tuple[Path, Settings]:
    """The settings file and what it says; all its problems are printed when it can't be used."""
    path = config_path(ctx)
    try:
        return path, load(path)
    except ConfigError as error:
        click.secho(str(error), fg="red", err=True)
        raise click.exceptions.Exit(EXIT_CONFIG) from None


def data_folder(path: Path, values: Settings) -> Path:
    return (path.parent / values.server.data).resolve()


def acting() -> Acting:
    """Who types this, and when."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return Acting(f"cli:{name}", int(time.time()), TraceId(TraceIds().next()))


def with_store(ctx: click.Context, work: Callable[[Store], Awaitable[T]]) -> T:
    """Do something with the store of the instance; errors become texts."""
    path, values = settings(ctx)
    return run_with_store(data_folder(path, values), values, work)


def run_with_store(folder: Path, values: Settings, work: Callable[[Store], Awaitable[T]]) -> T:
    """The same with settings at hand."""
    from poterne.app.stores import open_instance_store  # before the change of user: it may not see our home folder

    async def run() -> T:
        store = open_instance_store(folder, values)
        try:
            return await work(store)
        finally:
            await store.close()

    if not folder.is_dir():  # or an empty one would be made, and nobody would find the mail in it
        fail(
            f"the data folder {folder} does not exist, or you may not see it: check [server] data, or run `poterne setup`"
        )
    started_as = os.geteuid()
    same_user(folder)
    before = os.umask(0o077)  # what we make in the data folder is for the server only
    try:
        return asyncio.run(run())
    except AdminError as error:
        fail(str(error))
    except ImportError as error:
        if os.geteuid() == started_as:
            raise
        fail(
            f"the owner of {folder} may not read this program ({error.name}): install Poterne, and the Python that it runs "
            "on, where every user can read them (not in /root or a home folder)"
        )
    except StoreError as error:
        fail(f"the store says: {error}")
    except OSError as error:
        fail(f"{error.filename or folder}: {error.strerror}")
    finally:
        os.umask(before)


def same_user(folder: Path) -> None:
    """As root, become the owner of the data for good: files made as root would lock the server out."""
    if os.geteuid() != 0:
        return
    owner = folder.stat()
    if owner.st_uid:
        os.setgroups([owner.st_gid])
        os.setresgid(owner.st_gid, owner.st_gid, owner.st_gid)
        os.setresuid(owner.st_uid, owner.st_uid, owner.st_uid)


def show(rows: Sequence[dict[str, object]], *, as_json: bool, empty: str) -> None:
    """A table for people, or a JSON list for programs."""
    if as_json:
        show_json(list(rows))
        return
    if not rows:
        click.echo(empty)
        return
    columns = list(rows[0])
    texts = [[str(row[c]) for c in columns] for row in rows]
    widths = [max(len(c), *(len(t[i]) for t in texts)) for i, c in enumerate(columns)]
    click.secho("  ".join(c.upper().ljust(w) for c, w in zip(columns, widths, strict=True)).rstrip(), bold=True)
    for text in texts:
        click.echo("  ".join(t.ljust(w) for t, w in zip(text, widths, strict=True)).rstrip())


def show_json(value: object) -> None:
    """For programs; and for the terminals of people, whom strangers' text must not steer, hide or turn around."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo(text if text.isascii() and "\x7f" not in text else _UNSEEN.sub(_escaped, text))


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    return char if char.isprintable() else f"\\u{ord(char):04x}" if ord(char) < 0x10000 else json.dumps(char)[1:-1]


def progress_bar(label: str) -> "ProgressBar[int]":
    """Long work, shown to people only: on standard error, when that is a terminal."""
    return click.progressbar(length=1, label=label, show_eta=True, file=sys.stderr, hidden=not sys.stderr.isatty())


json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
