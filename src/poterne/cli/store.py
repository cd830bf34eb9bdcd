"""`poterne store`."""

import click

from poterne.cli.common import fail, json_option, progress_bar, settings, show, with_store
from poterne.store.interface import Finding, Store


@click.group("store")
def command() -> None:
    """Integrity of what is stored."""


@command.command("check")
@json_option
@click.pass_context
def check(ctx: click.Context, as_json: bool) -> None:
    """Read everything and compare: database, counters, checksums of all messages. Works while the server runs."""

    async def work(store: Store) -> list[Finding]:
        if as_json:
            return await store.check()
        with progress_bar("Checking") as bar:

            def progress(done: int, total: int) -> None:
                bar.length = max(total, 1)
                bar.update(done - bar.pos)

            return await store.check(progress)

    findings = with_store(ctx, work)
    rows: list[dict[str, object]] = [
        {"severity": "damage" if f.fatal else "note", "what": f.what, "remedy": f.remedy} for f in findings
    ]
    show(rows, as_json=as_json, empty="The store is clean.")
    if any(f.fatal for f in findings):
        raise click.exceptions.Exit(1)


@command.command("compact")
@click.pass_context
def compact(ctx: click.Context) -> None:
    """Give the space of removed messages back now (the server does this by itself every hour)."""
    freed = with_store(ctx, lambda store: store.compact())
    click.echo(f"{freed:,} octets freed.")


@command.command("reindex")
@click.pass_context
def reindex(ctx: click.Context) -> None:
    """Make the index of texts for SEARCH anew, at full speed. Works while the server runs; searches are slow meanwhile."""

    async def work(store: Store) -> int:
        from poterne.app.searching import reindex as made_anew

        with progress_bar("Indexing") as bar:

            def progress(done: int, total: int) -> None:
                bar.length = max(total, 1)
                bar.update(done - bar.pos)

            return made_anew(store, progress)

    if not settings(ctx)[1].search.index:
        fail("the settings say that there is to be no index: [search] index = false")
    indexed = with_store(ctx, work)
    click.echo(f"{indexed:,} messages are in the index.")
