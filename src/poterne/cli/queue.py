"""`poterne queue`."""

import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from poterne.admin import queue as admin
from poterne.cli import queue_pauses
from poterne.cli.common import acting, fail, json_option, settings, show, with_store
from poterne.cli.queue_pauses import moment
from poterne.values.queue import Pause, QueueChange, QueuedRecipient

if TYPE_CHECKING:
    from poterne.config.settings import Settings
    from poterne.queue.outcome import Hop
    from poterne.queue.route import Router
    from poterne.store.interface import Store
    from poterne.values.dns import Resolver

EXIT_NEVER, EXIT_LATER = 69, 75
"""sysexits.h: EX_UNAVAILABLE, EX_TEMPFAIL."""
STATES = ("waiting", "leased", "held")
F = TypeVar("F", bound=Callable[..., None])


class _Id(click.ParamType[int]):
    name = "ID"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if not (
            text.isascii() and text.isdecimal() and len(text) < 19 and int(text)
        ):  # 18 digits: the store holds them
            self.fail(f'"{text}" is no id: write a number as the list shows it', param, ctx)
        return int(text)


ID = _Id()


@click.group("queue")
def command() -> None:
    """Mail that waits to go out.

    Exit status: 0 done, 1 refused or nothing fits, 2 wrong usage, 78 the settings can't be used.
    """


def _filters(function: F) -> F:
    for option in reversed(
        (
            click.option("--id", "number", type=ID, default=None, help="One recipient, by its id."),
            click.option("--to", default="", metavar="ADDRESS", help="For this address, or @domain."),
            click.option("--from", "sender", default="", metavar="ADDRESS", help='From this address; "<>": notices.'),
            click.option("--domain", default="", help="For this domain."),
            click.option(
                "--origin", default="", help="Of this origin, such as account:you@example.org, or sender:shop."
            ),
            click.option("--state", default=None, type=click.Choice(STATES), help="In this state."),
        )
    ):
        function = option(function)
    return function


def _wanted(given: Mapping[str, object]) -> admin.Wanted:
    number = given["number"]
    to, sender, domain, origin, state = (
        str(given[name] or "") for name in ("to", "sender", "domain", "origin", "state")
    )
    return admin.Wanted(number if isinstance(number, int) else 0, to, sender, domain, origin, state)


def row(one: QueuedRecipient, *, as_json: bool) -> dict[str, object]:
    """A line of a list."""
    message = one.message
    if not as_json:
        return {
            "id": one.id,
            "state": one.state.value,
            "due": moment(one.due_at) if one.state.value != "held" else "-",
            "tries": one.attempts,
            "from": message.reverse_path or "<>",
            "to": one.forward_path,
            "origin": message.origin.key,
            "last reply": one.last_reply[:80],
        }
    return {
        "id": one.id,
        "message": message.id,
        "trace": message.trace_id,
        "state": one.state.value,
        "origin": message.origin.key,
        "from": message.reverse_path,
        "to": one.forward_path,
        "domain": one.domain,
        "size": message.blob.size - message.start,
        "queued_at": message.queued_at,
        "due_at": one.due_at,
        "attempts": one.attempts,
        "last_reply": one.last_reply,
        "notify": one.notify,
        "requiretls": message.requiretls,
        "incident": message.incident_id,
    }


@command.command("list")
@_filters
@click.option(
    "--limit", type=click.IntRange(1, admin.LIST_MOST), default=200, show_default=True, help="At most so many."
)
@json_option
@click.pass_context
def list_(ctx: click.Context, /, limit: int, as_json: bool, **wanted: object) -> None:
    """What waits, oldest first."""

    async def work(store: "Store") -> tuple[list[QueuedRecipient], list[Pause]]:
        return await admin.listed(store, _wanted(wanted), limit), await store.pauses(int(time.time()))

    found, paused = with_store(ctx, work)
    show([row(one, as_json=as_json) for one in found], as_json=as_json, empty="Nothing waits.")
    if len(found) == limit and not as_json:
        click.echo(f"These are the first {limit}: narrow it down, or take a higher --limit.", err=True)
    if paused and not as_json:
        click.echo(
            f"{len(paused)} {'pause is' if len(paused) == 1 else 'pauses are'} in force: poterne queue pauses", err=True
        )


@command.command("show")
@click.argument("number", metavar="ID", type=ID)
@json_option
@click.pass_context
def show_(ctx: click.Context, number: int, as_json: bool) -> None:
    """Everything about one recipient that waits."""
    one = with_store(ctx, lambda store: admin.shown(store, number))
    found = row(one, as_json=True)
    if as_json:
        show([found], as_json=True, empty="")
        return
    for at in ("queued_at", "due_at"):
        found[at] = moment(int(str(found[at])))
    for name, value in found.items():
        click.echo(f"{name.replace('_', ' ') + ':':12} {'-' if value in {None, ''} else value}")


def _change(what: QueueChange, done: str, doc: str, *, confirm: bool = False) -> None:
    @_filters
    @click.option("--all", "everything", is_flag=True, help="All of the queue.")
    @click.option("--yes", is_flag=True, help="Do not ask.")
    @json_option
    @click.pass_context
    def run(ctx: click.Context, /, everything: bool, yes: bool, as_json: bool, **given: object) -> None:
        wanted = _wanted(given)
        if wanted.everything and not everything:
            fail(f"name what to {what.value} (--to, --from, --domain, --origin, --state, --id), or say --all")
        if confirm and not yes:
            click.confirm("Remove it for good? Nobody is told.", abort=True)
        count = with_store(ctx, lambda store: admin.change(store, wanted, what, acting()))
        if as_json:
            show([{"recipients": count}], as_json=True, empty="")
        elif count:
            click.echo(f"{count} {'recipient' if count == 1 else 'recipients'} {done}.")
        if not count:
            fail("nothing in the queue fits (poterne queue list)")

    run.__doc__ = doc
    command.command(what.value)(run)


_change(QueueChange.RETRY, "tried now", "Try now what waits for later.")
_change(QueueChange.HOLD, "held until you release it", "Hold: not tried until somebody releases it.")
_change(
    QueueChange.RELEASE,
    "released",
    "Release what is held. What an incident holds is released with it: poterne hold release.",
)
_change(QueueChange.REMOVE, "removed", "Remove for good; nobody is told.", confirm=True)


@command.command("fail")
@_filters
@click.option("--all", "everything", is_flag=True, help="All of the queue.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_context
def fail_(ctx: click.Context, /, everything: bool, yes: bool, as_json: bool, **given: object) -> None:
    """Give up now what waits or is held, as if its time were over: who sent it is told, as far as anybody may be."""
    from poterne.admin import giving_up

    wanted = _wanted(given)
    if wanted.everything and not everything:
        fail("name what to give up (--to, --from, --domain, --origin, --state, --id), or say --all")
    if not yes:
        click.confirm("Give it up? Who sent it is told that it failed.", abort=True)
    path, values = settings(ctx)

    async def work(store: "Store") -> giving_up.GivenUp:
        settling = giving_up.settler(values, path.parent, store, time.time)
        return await giving_up.give_up(store, settling, wanted, acting())

    done = with_store(ctx, work)
    if as_json:
        show([{"recipients": done.count, "busy": done.busy, "stay": done.stay}], as_json=True, empty="")
    elif done.count:
        click.echo(f"{done.count} {'recipient' if done.count == 1 else 'recipients'} given up.")
    if done.busy:
        click.echo(f"{done.busy} are being tried just now: say it again in a moment.", err=True)
    if done.stay:
        click.echo(f"{done.stay} stay on hold: forwarded mail that its account's mailbox has no room for.", err=True)
    if not done.count:
        fail("nothing that waits or is held fits (poterne queue list)")


queue_pauses.add_to(command)


@command.command("route-test")
@click.argument("address")
@json_option
@click.pass_context
def route_test(ctx: click.Context, address: str, as_json: bool) -> None:
    """Where mail for ADDRESS would go, step by step. DNS is asked; nothing is sent, no mail server connected to.

    Exit status: 0 there is a way, 69 there will never be one, 75 not now.
    """
    path, values = settings(ctx)

    async def work(store: "Store") -> admin.Routed:
        from poterne.admin.silent import Silent
        from poterne.net.dns.resolver import StubResolver

        resolver = StubResolver(values.dns, Silent())
        try:
            router = _router(values, path.parent, resolver, store)
            return await admin.route_test(store, router, address, int(time.time()))
        finally:
            resolver.close()

    found = with_store(ctx, work)
    _tell_route(found, as_json=as_json)
    if found.refusal is not None:
        ctx.exit(EXIT_NEVER if found.refusal.code >= 500 else EXIT_LATER)


def _router(values: "Settings", folder: Path, resolver: "Resolver", store: "Store") -> "Router":
    from poterne.admin.silent import Silent
    from poterne.queue.outcome import HopTimeouts
    from poterne.queue.route import Router
    from poterne.queue.routes import Routes
    from poterne.queue.runner import ourselves
    from poterne.queue.security import Security

    security = Security(store, resolver, values, folder, clock=time.time, log=Silent())
    us, shuffled = ourselves(values, HopTimeouts()), random.SystemRandom().shuffle
    return Router(Routes(values.route, folder), resolver, us, shuffled, security)


def _tls(hop: "Hop") -> str:
    """What the way to that server must be."""
    names = f" for {' or '.join(hop.names)}" if hop.names else ""
    records = f" by {len(hop.tlsa)} TLSA {'record' if len(hop.tlsa) == 1 else 'records'}" if hop.tlsa else ""
    otherwise = f", else {hop.fallback.value}" if hop.fallback is not None else ""
    return f"{hop.tls.value}{names}{records}{otherwise}"


def _tell_route(found: admin.Routed, *, as_json: bool) -> None:
    refusal = found.refusal
    if as_json:
        hops = [
            {
                "name": hop.name,
                "address": hop.address,
                "port": hop.port,
                "lmtp": hop.lmtp,
                "tls": hop.tls.value,
                "tls_names": list(hop.names),
                "tlsa": len(hop.tlsa),
                "tls_else": None if hop.fallback is None else hop.fallback.value,
                "source": hop.source,
                "user": None if hop.login is None else hop.login.user,
            }
            for hop in found.hops
        ]
        steps = [{"step": what, "found": said} for what, said in found.steps]
        said = None if refusal is None else {"code": refusal.code, "enhanced": refusal.enhanced, "text": refusal.reply}
        show(
            [{"destination": found.destination, "steps": steps, "hops": hops, "refusal": said}], as_json=True, empty=""
        )
        return
    for what, text in found.steps:
        click.echo(f"{what + ':':14} {text}")
    for number, hop in enumerate(found.hops, 1):
        how = "LMTP" if hop.lmtp else "SMTP"
        login = f", as {hop.login.user}" if hop.login is not None else ""
        click.echo(f"{f'{number}. try:':14} {hop}, {how}, TLS {_tls(hop)}{login}")
    if refusal is not None:
        click.secho(f"{'so:':14} {refusal.code} {refusal.enhanced} {refusal.reply}", fg="red")
    elif not found.hops:
        click.secho(f"{'so:':14} delivered here", fg="green")
