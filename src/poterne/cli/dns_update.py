"""`poterne dns DOMAIN --update`."""

from pathlib import Path
from typing import Final

import click

from poterne.admin import dns_update
from poterne.cli.common import data_folder, fail, run_with_store, show_json
from poterne.config.dns import name_server
from poterne.config.settings import Settings
from poterne.policy.published.wanted import Facts, wanted
from poterne.store.interface import Store
from poterne.values.event import Event

_COLOURS: Final = {"-": "red", "+": "green", "=": None, "!": "red", "?": "yellow"}
_MEANS: Final = {"=": "stays, not ours", "!": "can't be added beside what is there", "?": "in another zone"}


def update(path: Path, values: Settings, facts: Facts, *, sure: bool, as_json: bool) -> None:
    """Show what would be written; write it when `sure`."""
    where = name_server(values.publish.update_server) if values.publish.update_server else None
    if where is None:
        fail("no name server takes updates: write [publish] update_server and update_key")

    async def work(store: Store) -> dns_update.Plan:
        name, algorithm, secret = dns_update.key_of(path.parent / values.publish.update_key)
        server = dns_update.Server(*where, name, algorithm, secret)
        planned = await dns_update.plan(server, facts.domain, wanted(facts))
        if sure and not planned.empty:
            await dns_update.apply(server, planned)
            await store.record([_event(facts, planned)])
        return planned

    planned = run_with_store(data_folder(path, values), values, work)
    written = sure and not planned.empty
    if as_json:
        rows = [{"sign": sign, "record": text} for sign, text in dns_update.lines(planned)]
        show_json({"zone": planned.zone, "written": written, "changes": rows})
    else:
        _tell(planned, written=written)
    if planned.blocked or (not sure and not planned.empty):
        raise click.exceptions.Exit(1)


def _tell(planned: dns_update.Plan, *, written: bool) -> None:
    for sign, text in dns_update.lines(planned):
        click.secho(f"{sign} {text}", fg=_COLOURS[sign], nl=sign not in _MEANS)
        if sign in _MEANS:
            click.echo(f"   ({_MEANS[sign]})")
    if planned.empty:
        click.echo(f"The zone {planned.zone} has all of ours.")
    elif written:
        click.echo(f"Written to the zone {planned.zone}.")
    else:
        click.echo("Nothing was written yet: the same with --yes writes it.")


def _event(facts: Facts, planned: dns_update.Plan) -> Event:
    from poterne.cli.common import acting

    return acting().event(
        "dns.updated",
        domain=facts.domain,
        zone=planned.zone,
        added=len(planned.add),
        removed=len(planned.remove),
    )
