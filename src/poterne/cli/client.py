"""`poterne client`."""

import os
import sys
from pathlib import Path
from typing import BinaryIO, Final

import click

from poterne.admin.clients import offer
from poterne.app.certificates import profile_signer
from poterne.cli.common import data_folder, fail, json_option, run_with_store, settings, show, show_json
from poterne.config import offered
from poterne.config.settings import Settings
from poterne.proto.autoconfig import apple, mobile, mozilla, outlook
from poterne.proto.autoconfig.offer import Offer
from poterne.store.interface import Store
from poterne.values.address import Address, AddressError

_WORDS: Final = {"imap": "IMAP", "pop3": "POP3", "smtp": "SMTP"}


@click.command("client")
@click.argument("address")
@click.option("--profile", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write the profile for iPhone, iPad and Mac (.mobileconfig).")  # fmt: skip
@click.option("--qr", "code", type=click.Choice(["apple", "thunderbird"]),
              help="A QR code for a phone: where the profile is, or the account for Thunderbird on Android.")  # fmt: skip
@json_option
@click.pass_context
def command(ctx: click.Context, address: str, file: Path | None, code: str | None, as_json: bool) -> None:
    """What the person of ADDRESS types into a mail program, and where programs find it by themselves.

    There is no password in anything that this shows or writes: the person types it.
    """
    if code is not None:
        if as_json:
            raise click.UsageError("--qr is for people, --json for programs")
        import segno  # noqa: F401  (now: the owner of the data may not see it)
    path, values = settings(ctx)
    parsed = _parsed(address)
    signer = profile_signer(path, values)
    signs, out = signer.signs, None if file is None else _opened(file)  # as who typed this, not as the server's user
    name = run_with_store(data_folder(path, values), values, lambda store: _name(store, parsed))
    if values.server.role == "edge":
        fail("an edge has no mailboxes: ask the server behind it")
    made = offer(values)
    if not made.complete:
        fail("mail can't be read or not be sent here: poterne check shows what is open")
    if file is not None and out is not None:
        profile = apple.profile(made, str(parsed), values.server.language) or b""
        with out:
            out.write(signer(profile))
            out.truncate()
        how = "signed" if signs else "not signed: no [certificate.NAME] is for the server's name"
        click.echo(f"{file}: written, {how}", err=True)
    if code is not None:
        _show_code(made, values, parsed, name, code)
    elif as_json:
        show_json(_as_json(made, values, parsed))
    elif file is None:
        _show(made, values, parsed)


def _parsed(text: str) -> Address:
    try:
        return Address.parse(text)
    except AddressError as error:
        fail(f'"{text}" is not a mail address ({error.code}): write it as name@example.org')


async def _name(store: Store, address: Address) -> str:
    """Of the person."""
    from poterne.admin.people import AdminError, accounts, domains

    if address.domain not in {domain.name for domain in await domains(store)}:
        raise AdminError(f"{address.domain} is not served here: poterne domain add {address.domain}")
    found = [account.name for account in await accounts(store) if account.address == address.key]
    if not found:
        raise AdminError(f"nobody signs in as {address}: poterne account list shows who does")
    return found[0]


def _urls(made: Offer, values: Settings, address: Address) -> dict[str, str]:
    """Where programs and people find it; nothing where nobody serves it."""
    port = offered.web_port(values)
    if not port:
        return {}
    found = {"page": f"{made.web}/", "apple": apple.url(made, str(address))}
    if port == 443:
        found["mozilla"] = f"https://autoconfig.{address.domain}{mozilla.PATH}"
        found["outlook"] = f"https://autodiscover.{address.domain}{outlook.PATH}"
    return found


def _rows(made: Offer) -> list[dict[str, object]]:
    return [
        {
            "protocol": _WORDS[door.protocol.value],
            "server": door.host,
            "port": door.port,
            "encryption": "SSL/TLS" if door.implicit else "STARTTLS",
        }
        for door in made.doors
    ]


def _as_json(made: Offer, values: Settings, address: Address) -> dict[str, object]:
    return {
        "address": str(address),
        "user_name": str(address),
        "authentication": "normal password",
        "servers": _rows(made),
        "urls": _urls(made, values, address),
    }


def _show(made: Offer, values: Settings, address: Address) -> None:
    click.secho(str(address), bold=True)
    show(_rows(made), as_json=False, empty="")
    click.echo(f'\nUser name: {address}\nPassword:  the person\'s own, as "normal password", for sending too')
    urls = _urls(made, values, address)
    if not urls:
        click.echo('\nPrograms can\'t find this by themselves: there is no [listener.NAME] with service = "https".')
        return
    click.echo(f"\nPage for people:  {urls['page']}\nApple profile:    {urls['apple']}")
    if "mozilla" in urls:
        click.echo(f"Thunderbird asks: {urls['mozilla']}\nOutlook asks:     {urls['outlook']}")
    else:
        click.echo(f"Thunderbird and Outlook ask on port 443, and it is served on {offered.web_port(values)}.")
    click.echo(f"\nWhether they find it: poterne dns {address.domain} --check")


def _opened(file: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o644), "wb")
    except OSError as error:
        fail(f"{file}: {error.strerror}")


def _show_code(made: Offer, values: Settings, address: Address, name: str, code: str) -> None:
    import segno

    if code == "apple":
        text = _urls(made, values, address).get("apple")
        if text is None:
            fail('nobody serves the profile: write a [listener.NAME] with service = "https", or use --profile')
        hint = f"Scan it with the camera of an iPhone or iPad: {text}"
    else:
        text = mobile.payload(made, str(address), name)
        if text is None:
            fail("such a code has ASCII addresses only")
        hint = "Scan it in Thunderbird for Android, where accounts are imported from Thunderbird on a computer."
    try:
        "\N{FULL BLOCK}".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        fail(f"a terminal in {sys.stdout.encoding} can't show it: take one in UTF-8, or --profile FILE")
    segno.make(text, error="m", micro=False).terminal(compact=True)
    click.echo(f"{hint}\nIt holds no password.")
