"""`poterne report`."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from poterne.cli import report_files
from poterne.cli.common import acting, fail, json_option, progress_bar, settings, show, show_json, with_store
from poterne.cli.report_text import as_value, date, tell_dmarc, tell_import, tell_tls

if TYPE_CHECKING:
    from poterne.admin import reports as admin
    from poterne.store.interface import Store

EXIT_BLOCKED = 3


@click.group("report")
def command() -> None:
    """What others report about mail in the name of our domains (DMARC), and about their ways to us (TLS).

    Exit status: 0 done, 1 refused, 2 wrong usage, 78 the settings can't be used; 3 with dmarc --next, see there.
    """


_days = click.option(
    "--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="The last so many days."
)


@command.command("dmarc")
@click.argument("domain")
@_days
@click.option("--names", is_flag=True, help="Ask DNS for the names of the sources.")
@click.option(
    "--not-ours", multiple=True, metavar="NETWORK", help="This source has nothing to do with us; may be said again."
)
@click.option("--all", "everything", is_flag=True, help="All sources, not only the largest.")
@click.option("--next", "ask", is_flag=True, help="End with status 3 when the next step of the policy is not safe yet.")
@json_option
@click.pass_context
def dmarc_(
    ctx: click.Context,
    domain: str,
    days: int,
    names: bool,
    not_ours: tuple[str, ...],
    everything: bool,
    ask: bool,
    as_json: bool,
) -> None:
    """Who sends in the name of DOMAIN, how much of it passes DMARC, and the next safe step of its policy."""
    _, values = settings(ctx)

    async def work(store: "Store") -> "admin.DmarcView":
        from poterne.admin import reports
        from poterne.admin.silent import Silent
        from poterne.net.dns.resolver import StubResolver

        resolver = StubResolver(values.dns, Silent())
        try:
            now = int(time.time())
            return await reports.of_domain(
                store, values, resolver, domain, now, days=days, names=names, not_ours=not_ours
            )
        finally:
            resolver.close()

    view = with_store(ctx, work)
    if as_json:
        show_json(as_value(view))
    else:
        tell_dmarc(view, everything=everything)
    if ask and (view.step is None or (view.step.next is not None and not view.step.safe)):
        ctx.exit(EXIT_BLOCKED)


@command.command("tls")
@click.argument("domain")
@_days
@json_option
@click.pass_context
def tls_(ctx: click.Context, domain: str, days: int, as_json: bool) -> None:
    """What others report about encrypted connections to the servers of DOMAIN."""

    async def work(store: "Store") -> "admin.TlsView":
        from poterne.admin import reports

        return await reports.of_tls(store, domain, int(time.time()), days=days)

    tell_tls(with_store(ctx, work), days, as_json=as_json)


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """Who reports about which domain, and when the last report came."""

    async def work(store: "Store") -> "list[dict[str, object]]":
        from poterne.admin import reports

        found = await reports.all_reporters(store)
        return [
            {
                "domain": domain,
                "kind": one.kind.value,
                "reporter": one.organisation,
                "reports": one.reports,
                "last": one.last_at if as_json else date(one.last_at),
            }
            for domain, one in found
        ]

    show(with_store(ctx, work), as_json=as_json, empty="No report has come yet.")


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="FILE…")
@json_option
@click.pass_context
def import_(ctx: click.Context, files: tuple[Path, ...], as_json: bool) -> None:
    """Read reports from files: mails, mbox files, reports as they are (.xml, .json, .gz, .zip), and folders of all these.

    What is there already is counted once. Exit status: 0 at least one was a report, 1 none was.
    """
    _, values = settings(ctx)
    who = acting()
    given = report_files.Files(
        files
    )  # before the change of user: an administrator's files may be closed to the server's
    problems: list[tuple[str, str]] = []

    async def work(store: "Store") -> dict[str, int]:
        from poterne.admin import reports
        from poterne.admin.silent import Silent

        counts = {"documents": 0, "new": 0, "duplicates": 0, "failures": 0, "refused": 0}
        taking = reports.Import(store, values, who, Silent())
        try:
            with progress_bar("reading") as bar:
                bar.length = max(1, given.size)
                for name, octets, passed in given.documents(taking.most_bytes):
                    kept = await taking.take(octets)
                    counts["documents"] += 1
                    counts["new"] += kept.new
                    counts["duplicates"] += kept.duplicates
                    counts["failures"] += kept.failures
                    counts["refused"] += len(kept.refused)
                    problems.extend((name, word) for word in kept.refused)
                    bar.update(passed)
        finally:
            await taking.close()
        return counts

    counts = with_store(ctx, work)
    problems += given.problems
    if as_json:
        told = {**counts, "problems": [{"file": name, "why": why} for name, why in problems]}
        show_json([told])
    else:
        tell_import(counts, problems)
    if not counts["new"] + counts["duplicates"] + counts["failures"]:
        fail("no report about a domain of ours was found")
