"""`poterne dns`."""

import datetime as dt
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click

from poterne.admin.people import AdminError, parse_domain
from poterne.cli.common import data_folder, fail, json_option, run_with_store, settings, show_json
from poterne.config.settings import Settings
from poterne.policy.published.finding import Finding, Outcome
from poterne.policy.published.wanted import Facts
from poterne.store.interface import Store
from poterne.values.zone import ZoneRecord

EXIT_FAIL: Final = 1
EXIT_UNKNOWN: Final = 3
_COLOURS: Final = {Outcome.OK: "green", Outcome.WARN: "yellow", Outcome.FAIL: "red", Outcome.UNKNOWN: "cyan"}


@click.command("dns")
@click.argument("domain")
@click.option(
    "--zone", "form", flag_value="zone", default="zone", help="A commented zone file: what is shown without options."
)
@click.option("--lines", "form", flag_value="lines", help="One record a line: name, type, value.")
@click.option("--check", "form", flag_value="check", help="Compare with what is live, and say what to publish.")
@click.option(
    "--update", "form", flag_value="update", help="Write it to [publish] update_server; without --yes only show."
)
@click.option("--yes", "sure", is_flag=True, help="With --update: do it.")
@click.option("--ns", "name_servers", multiple=True, metavar="NAME", help="With --zone: name servers, for SOA and NS.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, domain: str, form: str, sure: bool, name_servers: tuple[str, ...], as_json: bool
) -> None:
    """What DNS is to say of DOMAIN, and whether it does.

    Status of --check: 0 when nothing fails; 1 when something does; 3 when nothing fails, and something could not be found out.
    Status of --update: 0 when all is written, or there is nothing to write; 1 otherwise.
    """
    if sure and form != "update":
        raise click.UsageError("--yes goes with --update")
    if name_servers and (form != "zone" or as_json):
        raise click.UsageError("--ns goes with --zone")
    path, values = settings(ctx)
    if form == "check":
        _check(path, values, domain, as_json=as_json)
    elif form == "update":
        from poterne.cli.dns_update import update

        update(path, values, _facts(path, values, domain), sure=sure, as_json=as_json)
    else:
        servers = tuple(_domain(name.removesuffix(".")) for name in name_servers)
        _show(_facts(path, values, domain), form, servers, as_json=as_json)


def _show(facts: Facts, form: str, name_servers: tuple[str, ...], *, as_json: bool) -> None:
    from poterne.policy.published.wanted import wanted
    from poterne.policy.published.zone_file import lines, zone_file

    records = wanted(facts)
    if as_json:
        show_json([_row(record, facts.domain) for record in records])
    elif form == "lines":
        click.echo(lines(records), nl=False)
    else:
        click.echo(zone_file(facts, records, name_servers, int(time.time())), nl=False)


def _facts(path: Path, values: Settings, domain: str) -> Facts:
    from poterne.admin import zone
    from poterne.app.certificates import public_chains

    name = _domain(domain)

    async def gather(store: Store) -> Facts:
        return await zone.facts(store, values, path.parent, public_chains(path, values), name)

    return run_with_store(data_folder(path, values), values, gather)


def _domain(text: str) -> str:
    try:
        return parse_domain(text)
    except AdminError as error:
        fail(str(error))


def _row(record: ZoneRecord, domain: str) -> dict[str, object]:
    return {
        "name": record.name,
        "type": record.type,
        "ttl": record.ttl_s,
        "data": record.data,
        "value": record.value,
        "purpose": record.purpose,
        "why": record.why,
        "inside": record.below(domain),
    }


# -- comparing ---------------------------------------------------------------------------------------------------------


def _check(path: Path, values: Settings, domain: str, *, as_json: bool) -> None:
    from poterne.app.dns_watch import look

    name = _domain(domain)
    data = data_folder(path, values)

    async def compare(store: Store) -> list[Finding]:
        return await look(store, values, path, data, name, dt.datetime.now(dt.UTC))

    found = run_with_store(data, values, compare)
    if as_json:
        show_json([_finding(one) for one in found])
    else:
        _tell(found)
    outcomes = {one.outcome for one in found}
    if Outcome.FAIL in outcomes:
        raise click.exceptions.Exit(EXIT_FAIL)
    if Outcome.UNKNOWN in outcomes:
        raise click.exceptions.Exit(EXIT_UNKNOWN)


def _finding(one: Finding) -> dict[str, object]:
    return {
        "check": one.check,
        "id": one.id,
        "outcome": one.outcome.value,
        "severity": one.severity.value,
        "text": one.text,
        "evidence": list(one.evidence),
        "publish": [record.line for record in one.fix],
        "remove": list(one.remove),
        "remedy": one.remedy,
    }


def _tell(found: Sequence[Finding]) -> None:
    for one in found:
        click.secho(f"{one.outcome.value:8}", fg=_COLOURS[one.outcome], nl=False)
        if one.outcome is Outcome.OK:
            click.echo(f"{one.check}  {one.text}")
            continue
        click.echo(f"{one.check}  {one.text}  [{one.id}, {one.severity.value}]")
        for what, lines in (
            ("DNS says", one.evidence),
            ("take out", one.remove),
            ("publish ", tuple(record.line for record in one.fix)),
            ("do      ", (one.remedy,) if one.remedy else ()),
        ):
            for line in lines:
                click.echo(f"             {what}: {line}")
