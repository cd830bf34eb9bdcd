"""`poterne check`."""

import datetime as dt
import ipaddress
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
from cryptography import x509

from poterne.app.certificates import files
from poterne.cli.check_authors import of_settings, of_store
from poterne.cli.check_clients import of_clients
from poterne.cli.check_routes import Line, of_domains, of_passage
from poterne.cli.common import EXIT_CONFIG, config_path, data_folder, json_option, run_with_store, same_user, show
from poterne.config import offered
from poterne.config.load import ConfigError, load
from poterne.config.settings import Listener, Settings
from poterne.net.tls import CertificateError, CertificateFiles, Certificates
from poterne.store.errors import StoreError
from poterne.store.interface import Store
from poterne.store.sqlite.connection import DATABASE_NAME

_WEB_NAMES = ("mta-sts.", "autoconfig.", "autodiscover.")
"""What HTTPS is served under beside the host name (RFC 8461 §3.3)."""
COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


@click.command("check")
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Are the settings sound, the files there, and what would the server expose?

    Status 0: it can be started. 1: something must be mended. 78: the settings themselves are wrong.
    """
    path = config_path(ctx)
    try:
        values = load(path)
    except ConfigError as error:
        _tell_problems(error, as_json=as_json)
        raise click.exceptions.Exit(EXIT_CONFIG) from None
    found: list[Line] = []
    for outcome, text in _all(path, values):
        found.append((outcome, text))
        if not as_json:
            click.secho(f"{outcome:5}", fg=COLOURS[outcome], nl=False)
            click.echo(text)
    if as_json:
        show([{"outcome": outcome, "text": text} for outcome, text in found], as_json=True, empty="")
    if any(outcome == "fail" for outcome, _ in found):
        raise click.exceptions.Exit(1)


def _all(path: Path, values: Settings) -> Iterator[Line]:
    yield "ok", f"{path}: every setting is understood"
    yield from _listeners(values)
    yield from of_passage(values, path.parent)
    yield from of_settings(values, path.parent)
    yield from _certificates(path, values)
    yield from _data(path, values)
    yield from _stored(path, values)  # last: as root it becomes the server's user


def _tell_problems(error: ConfigError, *, as_json: bool) -> None:
    if not as_json:
        click.secho(str(error), fg="red", err=True)
        return
    rows: list[dict[str, object]] = [
        {
            "outcome": "fail",
            "text": f"{problem.key}: {problem.what}",
            "file": str(problem.path),
            "line": problem.line,
            "key": problem.key,
            "remedy": problem.remedy,
        }
        for problem in error.problems
    ]
    show(rows, as_json=True, empty="")


def _listeners(values: Settings) -> Iterator[Line]:
    if not values.listener:
        yield "fail", "no [listener.NAME]: nobody could reach this server"
    for name, listener in values.listener.items():
        yield _exposure(name, listener, values)


def _exposure(name: str, listener: Listener, values: Settings) -> Line:
    tls = "TLS from the first byte" if listener.tls == "implicit" else "STARTTLS"
    if listener.service == "mx":
        who = f"{'listed servers' if listener.allow else 'any server'} may bring mail for the domains served here" + (
            ", over TLS only" if listener.require_tls else ""
        )
    elif listener.service == "lmtp":
        who = f"{', '.join(listener.allow)} may deliver to mailboxes here, without further checks"
    elif listener.service == "https":
        whom = "ONLY LISTED NETWORKS (allow)" if listener.allow else "anybody"
        what = " and what mail programs connect to" if offered.web_port(values) else ""
        who = f"{whom} may read the MTA-STS policies of the domains served here{what}, and nothing else"
    else:
        who = f"{listener.service} for those who sign in, inside TLS" + (
            ", from listed networks" if listener.allow else ""
        )
    if listener.proxies:
        who += f"; {', '.join(listener.proxies)} may say who connects"
    public = [a for a in listener.addresses if not ipaddress.ip_address(a).is_loopback]
    where = f"{', '.join(listener.addresses)} port {listener.port}"
    if public:
        return "warn", f"listener {name}: REACHABLE FROM OUTSIDE on {where}, {tls}; {who}"
    return "ok", f"listener {name}: loopback only, {where}, {tls}; {who}"


def _certificates(path: Path, values: Settings) -> Iterator[Line]:
    data = data_folder(path, values)
    try:
        pairs = files(path, data, values)
    except CertificateError as error:
        yield "fail", f"certificate: {error}"
        return
    for pair in pairs:
        yield from _certificate(pair, values.server.hostname, local=not values.certificate)


def _certificate(pair: CertificateFiles, hostname: str, *, local: bool) -> Iterator[Line]:
    yield _validity(pair, hostname, local=local)
    with suppress(OSError):
        if pair.key.stat().st_mode & 0o027:
            yield "warn", f"the key {pair.key} can be read or changed by other users: chmod 600 {pair.key}"


def _validity(pair: CertificateFiles, hostname: str, *, local: bool) -> Line:
    try:
        Certificates([pair], ["check"])
        leaf = x509.load_pem_x509_certificate(pair.chain.read_bytes())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName
        )
    except (CertificateError, OSError, ValueError, x509.ExtensionNotFound) as error:
        return "fail", f"certificate: {error}"
    now = dt.datetime.now(dt.UTC)
    days = (leaf.not_valid_after_utc - now).days
    text = f"certificate {pair.chain.name} for {', '.join(names)}, valid {days} more days"
    if days < 0:
        return "fail", f"{text}: it has expired, put a new one in place"
    if leaf.not_valid_before_utc > now:
        return "fail", f"{text}: it is not valid yet, check the clock and the file"
    wildcard = "*." + hostname.partition(".")[2]
    of_web = bool(names) and all(name.startswith(_WEB_NAMES) for name in names)  # chosen by SNI
    if hostname not in names and wildcard not in names and not of_web:
        return "fail", f"{text}: it is not for {hostname}; clients will refuse it"
    if local:
        return "warn", f"{text}, from the instance's own CA: only those who trust data/tls/ca.pem will accept it"
    return ("warn" if days < 14 else "ok"), text


def _data(path: Path, values: Settings) -> Iterator[Line]:
    data = data_folder(path, values)
    if not data.is_dir():
        yield "fail", f"the data folder {data} does not exist: make the instance with `poterne setup`"
        return
    mode = data.stat().st_mode & 0o077
    if mode:
        yield "warn", f"the data folder {data} can be read by other users: chmod 700 {data}"
    else:
        yield "ok", f"the data folder {data} is readable by its owner only"


def _stored(path: Path, values: Settings) -> Iterator[Line]:
    """What only the store knows. A check makes no database, and brings none up to date under a server that runs."""
    from poterne.app.stores import needs_no_migration

    data = data_folder(path, values)
    try:
        if not (data / DATABASE_NAME).exists():
            return
    except PermissionError:
        yield "warn", f"you may not look into {data}: run this as root or as the server's user to hear of the domains"
        return
    same_user(data)
    try:
        current = needs_no_migration(data)
    except StoreError as error:
        yield "fail", f"the store can't be read: {error}"
        return
    if not current:
        yield (
            "warn",
            "the database is of an earlier version: the next start brings it up to date; domains are not looked at",
        )
        return

    try:
        pairs = files(path, data, values)
    except CertificateError:
        pairs = []  # told before

    async def look(store: Store) -> list[Line]:
        names = [domain.name for domain in await store.domains()]
        rest = await of_store(store, values, path.parent)
        return [*of_domains(values, names), *of_clients(values, names, pairs), *rest]

    yield from run_with_store(data, values, look)
