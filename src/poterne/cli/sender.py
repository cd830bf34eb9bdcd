"""`poterne sender`."""

import datetime as dt
import re

import click

from poterne.admin import senders
from poterne.admin.sender_scope import Wanted, describe
from poterne.cli.account import from_stdin, stdin_option
from poterne.cli.alias import warn
from poterne.cli.common import acting, json_option, show, show_json, with_store
from poterne.cli.queue_pauses import moment
from poterne.store.interface import Store
from poterne.values.event import Event
from poterne.values.secret import Secret
from poterne.values.sender import ANYONE, Sender, SenderState

_SIZE = re.compile(r"(\d{1,12})([kKmM]?)")
_DAYS = re.compile(r"(\d{1,5})d")


class _Expiry(click.ParamType[int]):
    name = "DATE|DAYSd|never"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value).strip()
        if text == "never":
            return 0
        now = dt.datetime.now(dt.UTC)
        try:
            if days := _DAYS.fullmatch(text):
                return int((now + dt.timedelta(days=int(days[1]))).timestamp())
            day = dt.date.fromisoformat(text)
            return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()) + 86_400
        except (ValueError, OverflowError):
            self.fail(f'"{text}" is no day: write 2027-01-31, 90d, or never', param, ctx)


class _Size(click.ParamType[int]):
    name = "OCTETS|K|M"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = _SIZE.fullmatch(str(value).strip())
        if not found:
            self.fail(f'"{value}" is no size: write for example 500k or 10M', param, ctx)
        return int(found[1]) * {"": 1, "k": 1024, "m": 1024 * 1024}[found[2].lower()]


def _scope_options(function: "click.decorators.FC") -> "click.decorators.FC":
    """The options that say what a sender may do; given none of a kind, it stays, or is the usual."""
    for option in reversed(
        (
            click.option("--from", "from_addresses", multiple=True, metavar="ADDRESS", help="It writes as; repeat."),
            click.option(
                "--to",
                "recipients",
                multiple=True,
                metavar="WHO",
                help="It writes to: an address, @domain, or anyone; repeat. Usual: the domains served here now.",
            ),
            click.option(
                "--network",
                "networks",
                multiple=True,
                metavar="NETWORK",
                help="Only from there, with its password; repeat.",
            ),
            click.option(
                "--uid",
                "uids",
                multiple=True,
                type=int,
                metavar="N",
                help="Local user (id -u NAME), without password; repeat.",
            ),
            click.option("--per-hour", type=int, help="Recipients in an hour; more is held."),
            click.option("--per-day", type=int, help="Recipients in 24 hours; more is held."),
            click.option(
                "--same-per-hour", type=int, help="The same text to the same recipient in an hour: then it loops."
            ),
            click.option("--answers-per-hour", type=int, help="Answers to the same recipient in an hour."),
            click.option("--size", "max_bytes", type=_Size(), help="Largest message, for example 10M."),
            click.option("--expires", "expires_at", type=_Expiry(), help="Last day, a number of days (90d), or never."),
            click.option("--anywhere", is_flag=True, help="It may be so: with its password, to anyone, from anywhere."),
        )
    ):
        function = option(function)
    return function


def _wanted(chosen: dict[str, object]) -> Wanted:
    """From the options; an option that was not given leaves things as they are."""
    return Wanted(**{key: value for key, value in chosen.items() if value is not None and value != ()})  # type: ignore[arg-type]  # click has checked each


@click.group("sender")
def command() -> None:
    """Scripts, printers, web shops: they send what they were approved for, and have no mailbox."""


@command.command("add")
@click.argument("name")
@click.option("--owner", required=True, metavar="ADDRESS", help="The account that answers for it and gets its bounces.")
@_scope_options
@click.option("--password/--no-password", "with_password", default=None, help="Usual: none for local users (--uid).")
@stdin_option
@click.option("--approve", is_flag=True, help="Approve it at once.")
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    /,
    name: str,
    owner: str,
    with_password: bool | None,
    password_stdin: bool,
    approve: bool,
    as_json: bool,
    expires_at: int | None,
    **chosen: object,
) -> None:
    """Make the sender NAME. It may send nothing until it is approved."""
    password = from_stdin(password_stdin)
    wanted = _wanted(chosen)

    async def work(store: Store) -> senders.Made:
        by = acting()
        made = await senders.add_sender(
            store, name, owner, wanted, by, expires_at=expires_at or 0, with_password=with_password, password=password
        )
        if not approve:
            return made
        return senders.Made(await senders.approve_sender(store, made.sender.name, by), made.password)

    made = with_store(ctx, work)
    _tell(made.sender, made.password, as_json=as_json)


def _tell(sender: Sender, generated: Secret | None, *, as_json: bool) -> None:
    shown = generated.reveal().decode() if generated is not None else None
    if as_json:
        show_json({**_row(sender), "password": shown})
        return
    click.echo(_summary(sender))
    if shown is not None:
        click.echo(f"It signs in as {sender.name}. Password, shown only now: ", nl=False)
        click.secho(shown, bold=True)
    if sender.state is SenderState.PENDING:
        warn(f"It may send nothing yet: poterne sender approve {sender.name}")


def _summary(sender: Sender) -> str:
    scope = describe(sender.scope)
    places = []
    if sender.has_password:
        places.append(f"with its password from {scope['networks'] or 'anywhere'}")
    if sender.scope.uids:
        places.append(f"on this machine as uid {scope['uids']}")
    return (
        f"{sender.name} ({sender.state.value}) writes as {scope['from']} to {scope['to']}, {' and '.join(places)}; "
        f"{scope['per_hour']} an hour, {scope['per_day']} a day; {sender.owner_address} answers for it."
    )


@command.command("approve")
@click.argument("name")
@click.pass_context
def approve(ctx: click.Context, name: str) -> None:
    """Let the sender NAME send what its scope says."""
    click.echo(_summary(with_store(ctx, lambda store: senders.approve_sender(store, name, acting()))))


@command.command("list")
@json_option
@click.pass_context
def list_(ctx: click.Context, as_json: bool) -> None:
    """All senders, and when each was last used."""
    found = with_store(ctx, senders.senders)
    if as_json:
        show_json([_row(sender) for sender in found])
        return
    rows: list[dict[str, object]] = [
        {
            "name": s.name,
            "state": _state(s),
            "from": " ".join(s.scope.from_addresses),
            "to": describe(s.scope)["to"],
            "owner": s.owner_address,
            "last used": _time(s.last_used_at),
            "by": s.last_peer,
        }
        for s in found
    ]
    show(
        rows,
        as_json=False,
        empty="No sender yet: poterne sender add webshop --owner you@example.org --from shop@example.org",
    )


def _state(sender: Sender) -> str:
    ended = sender.expires_at and sender.expires_at <= dt.datetime.now(dt.UTC).timestamp()
    return "expired" if ended and sender.state is SenderState.ACTIVE else sender.state.value


def _time(at: int) -> str:
    return moment(at) if at else "never"


def _row(sender: Sender) -> dict[str, object]:
    """For programs: lists as lists, times as Unix seconds."""
    scope = sender.scope
    return {
        "name": sender.name,
        "state": _state(sender),
        "owner": sender.owner_address,
        "from": list(scope.from_addresses),
        "to": list(scope.recipients),
        "networks": list(scope.networks),
        "uids": list(scope.uids),
        "per_hour": scope.per_hour,
        "per_day": scope.per_day,
        "same_per_hour": scope.same_per_hour,
        "answers_per_hour": scope.answers_per_hour,
        "max_bytes": scope.max_bytes,
        "has_password": sender.has_password,
        "created_at": sender.created_at,
        "expires_at": sender.expires_at,
        "last_used_at": sender.last_used_at,
        "last_peer": sender.last_peer,
    }


def _shown(key: str, value: object) -> str:
    """For people."""
    if key.endswith("_at") and isinstance(value, int):
        return _time(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key == "to" and value == [ANYONE]:
        return "anyone"
    return (" ".join(map(str, value)) if isinstance(value, list) else str(value)) or "-"


@command.command("show")
@click.argument("name")
@json_option
@click.pass_context
def show_(ctx: click.Context, name: str, as_json: bool) -> None:
    """What the sender NAME may do, and who did what to it."""

    async def work(store: Store) -> tuple[Sender, list[Event]]:
        found = await senders.sender(store, name)
        return found, await senders.history(store, found.name)

    sender, events = with_store(ctx, work)
    history: list[dict[str, object]] = [
        {"at": e.at, "what": e.kind, "who": e.reason, "widened": e.detail.get("widened", "")} for e in events
    ]
    if as_json:
        show_json({**_row(sender), "history": history})
        return
    for key, value in _row(sender).items():
        click.echo(f"{key.replace('_', ' ') + ':':18}{_shown(key, value)}")
    click.echo()
    show([{**row, "at": _time(event.at)} for row, event in zip(history, events, strict=True)], as_json=False, empty="")


@command.command("limit")
@click.argument("name")
@_scope_options
@click.option("--any-network", is_flag=True, help="No longer only from its networks.")
@click.option("--no-uid", is_flag=True, help="No longer for local users.")
@click.option("--approve", is_flag=True, help="Approve what is wider at once.")
@json_option
@click.pass_context
def limit(
    ctx: click.Context,
    /,
    name: str,
    any_network: bool,
    no_uid: bool,
    approve: bool,
    as_json: bool,
    expires_at: int | None,
    **chosen: object,
) -> None:
    """Change what the sender NAME may do; what is not named stays. What is wider has to be approved again."""
    lists: dict[str, object] = {"networks": []} if any_network else {}
    lists |= {"uids": []} if no_uid else {}
    wanted = _wanted({**chosen, **lists})
    changed = with_store(
        ctx,
        lambda store: senders.limit_sender(store, name, wanted, acting(), expires_at=expires_at, approve=approve),
    )
    if as_json:
        show_json({**_row(changed.sender), "widened": changed.widened})
        return
    click.echo(_summary(changed.sender))
    if changed.sender.state is SenderState.PENDING:
        why = f" ({', '.join(changed.widened)})" if changed.widened else ""
        warn(f"It has to be approved{why}: poterne sender approve {changed.sender.name}")


@command.command("revoke")
@click.argument("name")
@click.pass_context
def revoke(ctx: click.Context, name: str) -> None:
    """The sender NAME may send nothing any more; its password is worth nothing from now on."""
    sender = with_store(ctx, lambda store: senders.revoke_sender(store, name, acting()))
    click.echo(f"{sender.name} is revoked.")


@command.command("password")
@click.argument("name")
@stdin_option
@click.option("--anywhere", is_flag=True, help="It may be so: with this password, to anyone, from anywhere.")
@json_option
@click.pass_context
def password(ctx: click.Context, name: str, password_stdin: bool, anywhere: bool, as_json: bool) -> None:
    """Give the sender NAME a new password; without --password-stdin one is generated and shown once."""
    chosen = from_stdin(password_stdin)
    made = with_store(
        ctx,
        lambda store: senders.set_sender_password(store, name, acting(), password=chosen, anywhere=anywhere),
    )
    _tell(made.sender, made.password, as_json=as_json)
