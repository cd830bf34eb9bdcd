"""`poterne dns`."""

import json
import time
from pathlib import Path

import click

from poterne.admin.people import AdminError, parse_domain
from poterne.cli.common import data_folder, fail, json_option, run_with_store, settings
from poterne.config.settings import Settings
from poterne.policy.published.wanted import Facts
from poterne.store.interface import Store
from poterne.values.zone import ZoneRecord


@click.command("dns")
@click.argument("domain")
@click.option(
    "--zone", "form", flag_value="zone", default="zone", help="A commented zone file (what is shown without options)."
)
@click.option("--lines", "form", flag_value="lines", help="One record a line: name, type, value.")
@click.option(
    "--ns", "name_servers", multiple=True, metavar="NAME", help="With --zone: a name server; the zone gets SOA and NS."
)
@json_option
@click.pass_context
def command(ctx: click.Context, domain: str, form: str, name_servers: tuple[str, ...], as_json: bool) -> None:
    """What DNS is to say of DOMAIN, and whether it does."""
    from poterne.policy.published.wanted import wanted
    from poterne.policy.published.zone_file import lines, zone_file

    path, values = settings(ctx)
    facts = _with_facts(path, values, domain)
    records = wanted(facts)
    if as_json:
        click.echo(json.dumps([_row(record, facts.domain) for record in records], ensure_ascii=False, indent=2))
    elif form == "lines":
        click.echo(lines(records), nl=False)
    else:
        click.echo(zone_file(facts, records, name_servers, int(time.time())), nl=False)


def _with_facts(path: Path, values: Settings, domain: str) -> Facts:
    from poterne.admin import zone
    from poterne.app.certificates import public_chains

    try:
        name = parse_domain(domain)
    except AdminError as error:
        fail(str(error))
    data = data_folder(path, values)

    async def gather(store: Store) -> Facts:
        return await zone.facts(store, values, path.parent, public_chains(path, values), name)

    return run_with_store(data, values, gather)


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
