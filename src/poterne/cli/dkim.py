"""`poterne dkim`."""

import asyncio
import datetime as dt
import json
from collections.abc import Iterable, Sequence
from typing import Final

import click

from poterne.admin import dkim
from poterne.admin.dkim import Published
from poterne.cli.common import acting, fail, json_option, settings, show, with_store
from poterne.config.settings import Settings
from poterne.mailauth.dkim.parse import key_name
from poterne.mailauth.dkim.record import KeyType
from poterne.store.interface import Store
from poterne.values.dkim import DkimKey, KeyState

_REMEDIES: Final = {
    Published.MISSING: "it is not in DNS yet: publish it, wait, and try again",
    Published.OTHER: "DNS has another record there: replace it, wait, and try again",
    Published.UNKNOWN: "DNS does not say now: try again later",
}
_last = click.option(
    "--last",
    is_flag=True,
    help="Also the only key that signs, or the only RSA key: mail is unsigned then, for all or for many.",
)
_force = click.option("--force", is_flag=True, help="Without asking DNS.")
_early = click.option("--early", is_flag=True, help="Also while its record may still be needed.")


@click.group("dkim")
def command() -> None:
    """Keys that sign the mail of your domains.

    A key is NEXT until its record is in DNS; ACTIVE, it signs, one of each algorithm; RETIRED, its record stays until what it
    signed has arrived. The server does these steps by itself: what is written into DNS is for you (poterne dns).

    Exit status: 0 done, 1 refused, 2 wrong usage, 78 the settings can't be used.
    """


@command.command("list")
@click.argument("domain", required=False)
@json_option
@click.pass_context
def list_(ctx: click.Context, domain: str | None, as_json: bool) -> None:
    """Which keys there are, and what is to be done about them."""
    _, values = settings(ctx)

    async def work(store: Store) -> list[DkimKey]:
        if domain is not None:
            await dkim.require_domain(store, values, domain)
        return await dkim.keys_of(store, domain)

    keys = with_store(ctx, work)
    if as_json:
        show(_rows(keys), as_json=True, empty="")
        return
    now = acting().now
    table: list[dict[str, object]] = [
        {
            "domain": key.domain,
            "selector": key.selector,
            "algorithm": key.algorithm,
            "state": key.state.value,
            "since": _day(key.changed_at),
            "in dns": _day(key.seen_at) if key.seen_at else "not seen",
            "next": _next_step(key, values, now),
        }
        for key in keys
    ]
    show(table, as_json=False, empty=f"No key yet: poterne dkim create {domain or 'example.org'}")
    _tell([key for key in keys if key.state is KeyState.NEXT and not key.seen_at])


def _next_step(key: DkimKey, values: Settings, now: int) -> str:
    if key.state is KeyState.NEXT:
        return "it signs soon" if key.seen_at else "publish its record"
    if key.state is KeyState.ACTIVE:
        if not values.dkim.rotate_days:
            return "it signs"
        return f"a new key from {_day(key.changed_at + values.dkim.rotate_days * dkim.DAY_S)} on"
    if dkim.removable(key, values.dkim, now):
        return "take its record out of DNS"
    return f"leave its record until {_day(key.changed_at + values.dkim.keep_days * dkim.DAY_S)}"


@command.command("create")
@click.argument("domain")
@click.option("--algorithm", type=click.Choice([kind.value for kind in KeyType]), help="Only this one.")
@json_option
@click.pass_context
def create(ctx: click.Context, domain: str, algorithm: str | None, as_json: bool) -> None:
    """Make keys for DOMAIN. They sign once their records are in DNS."""
    _create(ctx, domain, algorithm, as_json=as_json)


@command.command("rotate")
@click.argument("domain")
@json_option
@click.pass_context
def rotate(ctx: click.Context, domain: str, as_json: bool) -> None:
    """Make successors of DOMAIN's keys. Those that sign now sign on until the new records are in DNS."""
    _create(ctx, domain, None, as_json=as_json)


def _create(ctx: click.Context, domain: str, algorithm: str | None, *, as_json: bool) -> None:
    _, values = settings(ctx)
    kinds = dkim.kinds(values.dkim) if algorithm is None else (KeyType(algorithm),)
    made = with_store(ctx, lambda store: dkim.create(store, domain, acting(), kinds, relayed=dkim.relayed(values)))
    if as_json:
        show(_rows(made), as_json=True, empty="")
    elif made:
        _tell(made)
    else:
        click.echo(f"{domain} has new keys already that wait for their records: poterne dkim list {domain}")


@command.command("activate")
@click.argument("domain")
@click.argument("selector")
@_force
@json_option
@click.pass_context
def activate(ctx: click.Context, domain: str, selector: str, force: bool, as_json: bool) -> None:
    """Let a key sign now. Its record must be in DNS; the server does this by itself once it sees it."""
    _, values = settings(ctx)
    by = acting()

    async def work(store: Store) -> list[DkimKey]:
        for key in [] if force else await dkim.keys_of(store, domain):
            if key.selector == selector and key.state is KeyState.NEXT:
                remedy = _REMEDIES.get(await _published(values, key))
                if remedy is not None:
                    fail(f"{key_name(key.selector, key.domain)}: {remedy} (--force: without asking DNS)")
                await store.set_dkim_key(key.domain, key.selector, None, seen_at=by.now, now=by.now)
        return await dkim.activate(store, domain, selector, by)

    changed = with_store(ctx, work)
    if as_json:
        show(_rows(changed), as_json=True, empty="")
        return
    for key in changed:
        signs = "signs now" if key.state is KeyState.ACTIVE else "is retired: leave its record in DNS for now"
        click.echo(f"{key.selector} of {key.domain} {signs}.")


async def _published(values: Settings, key: DkimKey) -> Published:
    from poterne.app.outbound import resolver
    from poterne.observe import logger

    names = resolver(values, logger())
    try:
        async with asyncio.timeout(values.dns.deadline_s + 1):
            answer = await names.txt(key_name(key.selector, key.domain))
    except TimeoutError:
        return Published.UNKNOWN
    finally:
        names.close()
    return dkim.published(key, answer)


@command.command("retire")
@click.argument("domain")
@click.argument("selector")
@_last
@json_option
@click.pass_context
def retire(ctx: click.Context, domain: str, selector: str, last: bool, as_json: bool) -> None:
    """Let a key sign no more. Leave its record in DNS until what it signed has arrived."""
    _, values = settings(ctx)
    key = with_store(ctx, lambda store: dkim.retire(store, domain, selector, acting(), last=last))
    if as_json:
        show(_rows([key]), as_json=True, empty="")
    else:
        click.echo(f"{key.selector} of {key.domain} signs no more: {_next_step(key, values, acting().now)}.")


@command.command("remove")
@click.argument("domain")
@click.argument("selector")
@_early
@json_option
@click.pass_context
def remove(ctx: click.Context, domain: str, selector: str, early: bool, as_json: bool) -> None:
    """Forget a key for good. Take its record out of DNS too."""
    _, values = settings(ctx)
    key = with_store(ctx, lambda store: dkim.remove(store, domain, selector, acting(), values.dkim, early=early))
    if as_json:
        show(_rows([key]), as_json=True, empty="")
    else:
        click.echo(
            f"{key.selector} of {key.domain} is gone. Take {key_name(key.selector, key.domain)} out of DNS if it is there."
        )


def _rows(keys: Sequence[DkimKey]) -> list[dict[str, object]]:
    return [
        {
            "domain": key.domain,
            "selector": key.selector,
            "algorithm": key.algorithm,
            "state": key.state.value,
            "created_at": key.created_at,
            "changed_at": key.changed_at,
            "seen_at": key.seen_at or None,
            "name": record.name,
            "value": record.value,
        }
        for key, record in zip(keys, dkim.records(keys), strict=True)
    ]


def _tell(keys: Iterable[DkimKey]) -> None:
    """What to publish."""
    keys = list(keys)
    if not keys:
        return
    click.echo("\nPublish (the server asks DNS every ten minutes, and signs with a key once its record is there):")
    for record in dkim.records(keys):
        if record.value:
            click.echo(f"  {record.name}. TXT {' '.join(json.dumps(text) for text in record.strings)}")
        else:
            click.secho(f"  {record.name}: {record.comment}", fg="red")


def _day(at: int) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).date().isoformat()
