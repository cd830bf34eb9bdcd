"""`poterne import`."""

import datetime as dt
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import click

from poterne.admin.people import Acting, account_of
from poterne.cli.common import acting, fail, json_option, settings, with_store
from poterne.cli.moving_text import Shown, moved
from poterne.config.retention import Retention
from poterne.moving.folders import Choice
from poterne.moving.told import Silent, Summary, Teller
from poterne.store.interface import Store
from poterne.values.directory import Account
from poterne.values.secret import Secret

if TYPE_CHECKING:
    from poterne.moving.imap_link import Server

PASSWORD_VARIABLE: Final = "POTERNE_IMPORT_PASSWORD"  # noqa: S105  (its name)


@click.group("import")
def command() -> None:
    """Bring mail from another server or from files. The server may run meanwhile, and people may use the account.

    Each message comes once: a run that was stopped, at any time and in any way, is gone on with by the same command, and a
    later run brings what is new since. What was read, answered or flagged at the source meanwhile is so here too, unless it
    was changed here. Messages come as they are, octet by octet; nothing is checked, filtered or answered.

    Exit status: 0 everything is here, 1 refused or broken off, 2 wrong usage, 3 some messages could not be brought (they are
    listed), 78 the settings can't be used.
    """


account_argument = click.argument("account")
folder_option = click.option(
    "--folder",
    "only",
    multiple=True,
    metavar="NAME",
    help="Only this folder and what is below; may be repeated; * is any text.",
)
skip_option = click.option(
    "--skip", multiple=True, metavar="NAME,…", help="Not these: names, or junk, trash, drafts, sent, archive."
)
map_option = click.option(
    "--map",
    "maps",
    multiple=True,
    metavar="OLD=NEW",
    help="A folder of the source gets this name here; may be repeated.",
)
since_option = click.option(
    "--since", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="Not what arrived before this day."
)
deleted_option = click.option("--skip-deleted", is_flag=True, help="Not what is marked as deleted there.")
flags_option = click.option(
    "--flags/--no-flags", default=True, show_default=True, help="Bring flags of what came earlier up to date."
)
gone_option = click.option("--remove-gone", is_flag=True, help="Remove here what came from there and is there no more.")
dry_option = click.option("--dry-run", is_flag=True, help="Show what would come, and into which folders; nothing does.")


@command.command("imap")
@account_argument
@click.option("--from", "source", required=True, metavar="HOST[:PORT]", help="The server.")
@click.option("--user", required=True, help="Who is signed in there.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Its first line is the password; else ${PASSWORD_VARIABLE}, else it is asked for.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="An OAuth 2.0 access token instead of a password (XOAUTH2).",
)
@click.option(
    "--master-user", default="", metavar="ADMIN", help="Who signs in for the user, with a password of their own."
)
@click.option(
    "--tls",
    type=click.Choice(["implicit", "starttls"]),
    help="TLS from the start (993) or by STARTTLS (143); never none.",
)
@click.option(
    "--ca", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Trust certificates of this CA."
)
@click.option("--fingerprint", default="", metavar="SHA256", help="Trust exactly this certificate.")
@folder_option
@skip_option
@map_option
@since_option
@deleted_option
@flags_option
@gone_option
@dry_option
@json_option
@click.pass_context
def imap(
    ctx: click.Context,
    account: str,
    source: str,
    user: str,
    password_file: Path | None,
    token_file: Path | None,
    master_user: str,
    tls: str | None,
    ca: Path | None,
    fingerprint: str,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    maps: tuple[str, ...],
    since: dt.datetime | None,
    skip_deleted: bool,
    flags: bool,
    remove_gone: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring the mail of ACCOUNT from another server by IMAP: Dovecot, Exchange, Gmail and any other.

    Folders for sent mail, drafts, junk, trash and archive become ours, whatever their names. Nothing is changed at the source.
    """
    from poterne.moving import imap_import, runs  # noqa: F401  (now: the owner of the data may not see this program)
    from poterne.moving.imap_link import Server

    host, port = _host(source, tls)
    choice = chosen(only, skip, maps, since, skip_deleted, flags, remove_gone, dry_run)
    server = Server(
        host,
        port,
        (tls or ("starttls" if port == 143 else "implicit")) == "starttls",
        user,
        _secret(password_file, token_file, f"Password of {master_user or user} on {host}"),
        master_user,
        token_file is not None,
        ca,
        _pem(ca),
        _fingerprint(fingerprint),
    )
    shown = Shown(as_json=as_json)
    keeping = settings(ctx)[1].retention
    summary = moved(ctx, lambda store: _imap(store, keeping, account, server, choice, shown))
    shown.end(summary, verb="brought", dry_run=dry_run)


async def _imap(store: Store, keeping: Retention, who: str, server: "Server", choice: Choice, shown: Shown) -> Summary:
    from poterne.moving import expiring
    from poterne.moving.imap_import import ImapImport
    from poterne.moving.runs import check_room, recorded

    account = await account_of(store, who)
    await expiring.warn(store, keeping, account, shown)
    by = acting()
    if choice.dry_run:
        return await ImapImport(store, account, server, choice, by, shown).run()
    if account.quota_bytes or account.quota_messages:
        wanted = await ImapImport(store, account, server, replace(choice, dry_run=True), by, Silent()).run()
        check_room(account, wanted.messages, wanted.size_bytes)
    run = ImapImport(store, account, server, choice, by, shown)
    source = f"imap {server.host} {server.user}"
    return await recorded(store, account, "account.imported", source, run.summary, by, run.run)


@command.command("mbox")
@account_argument
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option(
    "--into", default="", metavar="NAME", help="All of it into this folder; else each into one of its file's name."
)
@folder_option
@skip_option
@map_option
@since_option
@deleted_option
@flags_option
@gone_option
@dry_option
@json_option
@click.pass_context
def mbox(
    ctx: click.Context,
    account: str,
    files: tuple[Path, ...],
    into: str,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    maps: tuple[str, ...],
    since: dt.datetime | None,
    skip_deleted: bool,
    flags: bool,
    remove_gone: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring the messages of mbox FILES into ACCOUNT: of Dovecot, Unix mail, Thunderbird, Google Takeout. A directory: its *.mbox.

    Line ends become CRLF; the fields in which programs keep flags there (Status, X-Keywords, X-Mozilla-Status) become flags.
    """
    from poterne.moving.mbox_import import MboxImport, files_of
    from poterne.moving.places import text

    choice = chosen(only, skip, maps, since, skip_deleted, flags, remove_gone, dry_run)
    shown = Shown(as_json=as_json)

    def run(store: Store, of: Account, what: Choice, by: Acting, teller: Teller) -> MboxImport:
        found = [one._replace(name=into or one.name) for one in files_of(files)]
        return MboxImport(store, of, found, what, by, teller)

    keeping = settings(ctx)[1].retention
    summary = moved(ctx, lambda store: _local(store, keeping, account, f"mbox {text(files[0])}", run, choice, shown))
    shown.end(summary, verb="brought", dry_run=dry_run)


@command.command("maildir")
@account_argument
@click.argument("directory", type=click.Path(path_type=Path, exists=True, file_okay=False))
@folder_option
@skip_option
@map_option
@since_option
@deleted_option
@flags_option
@gone_option
@dry_option
@json_option
@click.pass_context
def maildir(
    ctx: click.Context,
    account: str,
    directory: Path,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    maps: tuple[str, ...],
    since: dt.datetime | None,
    skip_deleted: bool,
    flags: bool,
    remove_gone: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Bring the messages of a Maildir DIRECTORY and its folders into ACCOUNT: of Dovecot, Courier, or `poterne export`.

    Line ends become CRLF; dates are those of the files. Keywords, order and subscriptions are read where Dovecot keeps them.
    """
    from poterne.moving.maildir_import import MaildirImport
    from poterne.moving.places import text

    choice = chosen(only, skip, maps, since, skip_deleted, flags, remove_gone, dry_run)
    shown = Shown(as_json=as_json)
    root = directory.resolve()

    def run(store: Store, of: Account, what: Choice, by: Acting, teller: Teller) -> MaildirImport:
        return MaildirImport(store, of, root, what, by, teller)

    keeping = settings(ctx)[1].retention
    summary = moved(ctx, lambda store: _local(store, keeping, account, f"maildir {text(root)}", run, choice, shown))
    shown.end(summary, verb="brought", dry_run=dry_run)


class _Run(Protocol):
    @property
    def summary(self) -> Summary: ...

    async def run(self) -> Summary: ...


async def _local(
    store: Store,
    keeping: Retention,
    who: str,
    source: str,
    make: Callable[[Store, Account, Choice, Acting, Teller], _Run],
    choice: Choice,
    shown: Shown,
) -> Summary:
    """From files: is there room, then do it."""
    from poterne.moving import expiring
    from poterne.moving.runs import check_room, recorded

    account = await account_of(store, who)
    await expiring.warn(store, keeping, account, shown)
    by = acting()
    if choice.dry_run:
        return await make(store, account, choice, by, shown).run()
    if account.quota_bytes or account.quota_messages:
        wanted = await make(store, account, replace(choice, dry_run=True), by, Silent()).run()
        check_room(account, wanted.messages, wanted.size_bytes)
    run = make(store, account, choice, by, shown)
    return await recorded(store, account, "account.imported", source, run.summary, by, run.run)


@command.command("forget")
@account_argument
@click.pass_context
def forget(ctx: click.Context, account: str) -> None:
    """Forget what was imported into ACCOUNT: the next import brings everything again. The messages stay."""

    async def work(store: Store) -> int:
        found = await account_of(store, account)
        return await store.forget_imports(found.id)

    click.echo(
        f"Forgotten: {with_store(ctx, work):,} messages that had come from elsewhere. The messages are still here."
    )


def _host(source: str, tls: str | None) -> tuple[str, int]:
    host, colon, port = source.rpartition(":")
    if not colon or "]" in port or (":" in host and not host.startswith("[")):  # no port; or a bare IPv6 address
        return source.strip("[]"), 143 if tls == "starttls" else 993
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.BadParameter(f'"{port}" is no port', param_hint="--from")
    return host.strip("[]"), int(port)


def _fingerprint(text: str) -> str:
    cleaned = text.removeprefix("SHA256:").replace(":", "").replace(" ", "").lower()
    if cleaned and (len(cleaned) != 64 or not all(char in "0123456789abcdef" for char in cleaned)):
        raise click.BadParameter("a SHA-256 fingerprint has 64 hexadecimal digits", param_hint="--fingerprint")
    return cleaned


def _pem(ca: Path | None) -> str:
    """Read now, like the password."""
    if ca is None:
        return ""
    try:
        text = ca.read_bytes().decode("latin-1")
    except OSError as error:
        fail(f"{ca}: {error.strerror}")
    if "-----BEGIN CERTIFICATE-----" not in text or not text.isascii():
        fail(f"{ca} holds no certificate in PEM form (BEGIN CERTIFICATE)")
    return text


def _secret(password_file: Path | None, token_file: Path | None, prompt: str) -> Secret:
    """Read before anything else happens: as root we may see files that the data's owner may not."""
    if password_file is not None and token_file is not None:
        raise click.UsageError("give either --password-file or --token-file")
    file = password_file or token_file
    if file is not None:
        try:
            lines = file.read_bytes().splitlines()
        except OSError as error:
            fail(f"{file}: {error.strerror}")
        if not lines or not lines[0]:
            fail(f"{file} is empty: its first line must be the password or token")
        return Secret(lines[0])
    if PASSWORD_VARIABLE in os.environ:
        return Secret(os.environ[PASSWORD_VARIABLE])
    if not sys.stdin.isatty():
        fail(f"no password: use --password-file or ${PASSWORD_VARIABLE}")
    return Secret(str(click.prompt(prompt, hide_input=True, err=True)))


def chosen(
    only: tuple[str, ...],
    skip: tuple[str, ...],
    maps: tuple[str, ...],
    since: dt.datetime | None,
    skip_deleted: bool,
    flags: bool,
    remove_gone: bool,
    dry_run: bool,
) -> Choice:
    """What the options say."""
    if remove_gone and (since is not None or skip_deleted):
        raise click.UsageError("--remove-gone goes by all that is there: not together with --since or --skip-deleted")
    pairs = dict[str, str]()
    for one in maps:
        old, equals, new = one.partition("=")
        if not equals or not old.strip("/") or not new.strip("/"):
            raise click.BadParameter(f'"{one}" is not OLD=NEW', param_hint="--map")
        pairs[old.strip("/")] = new.strip("/")
    return Choice(
        folders=tuple(name.strip("/") for name in only),
        skip=tuple(name.strip().strip("/") for names in skip for name in names.split(",") if name.strip()),
        maps=pairs,
        since=0 if since is None else int(since.replace(tzinfo=dt.UTC).timestamp()),
        skip_deleted=skip_deleted,
        flags=flags,
        remove_gone=remove_gone,
        dry_run=dry_run,
    )
