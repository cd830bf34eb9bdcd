"""What `poterne check` says of mail that passes through: the role, inbound routes, servers that may send out."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from poterne.config.lists import recipients
from poterne.config.route import Route
from poterne.config.settings import Settings
from poterne.values.address import domain_name

Line = tuple[Literal["ok", "warn", "fail"], str]
_TLS = {
    "verified": "over verified TLS",
    "required": "over TLS with any certificate, so that whoever gets between reads it all",
    "opportunistic": "over TLS if it is offered",
}


def of_passage(values: Settings, folder: Path) -> Iterator[Line]:
    """The role, the routes, the relay rules. `folder`: where files that the settings name are relative to."""
    if values.server.role == "edge":
        inbound = [name for name, route in values.route.items() if route.inbound]
        yield "ok", f"role edge: no mailboxes here; mail comes in by route {', '.join(inbound)}" + _outward(values)
    elif values.server.role == "mailbox":
        yield "ok", "role mailbox: SMTP is opened by listed servers only"
    for name, route in values.route.items():
        yield from _inbound(name, route, folder) if route.inbound else _outbound(name, route)
        yield from _files(name, route, folder)
    for name, rule in values.relay.items():
        what = f"from {', '.join(rule.sender_domains)} to {', '.join(rule.recipient_domains) or 'any domain'}"
        rate = f"{rule.per_hour} recipients an hour for each worker"
        yield "warn", f"relay {name}: {', '.join(rule.hosts)} {what}, without signing in; {rate}"


def of_domains(values: Settings, ours: Iterable[str]) -> Iterator[Line]:
    """Domains in two places. `ours`: those of this server's accounts."""
    local = frozenset(ours)
    for name, route in values.route.items():
        for text in route.domains if route.inbound else ():
            if text[:1] not in {".", "*"} and (domain := domain_name(text)) in local:
                what = f"{domain} is a domain of route {name} and of this server too, so its mail stays here"
                yield "fail", f"{what}: poterne domain remove {domain}, or take it out of the route"


def _outward(values: Settings) -> str:
    if not values.relay:
        return "; nobody may send out through it without signing in"
    return f"; mail goes out for relay {', '.join(values.relay)}"


def _inbound(name: str, route: Route, folder: Path) -> Iterator[Line]:
    text = f"route {name}: mail from anybody for {', '.join(route.domains)} goes to {_where(route)}; "
    if route.verify == "none":
        what = "mail for whatever name is taken, and what the server refuses ends here without a notice"
        yield "warn", f'{text}RECIPIENTS ARE NOT CHECKED: {what}: write verify = "call-forward", or "list"'
        return
    outcome: Literal["ok", "warn"] = "warn" if route.tls == "required" else "ok"
    if route.verify == "call-forward":
        yield outcome, f"{text}recipients: it is asked, and its answers are kept for {_hours(route.known_s)}"
        return
    try:
        known = f"{len(recipients(folder / route.recipients_file))} entries"
    except OSError as error:
        known = error.strerror or "it can't be read"
    yield outcome, f"{text}recipients: those of {route.recipients_file} ({known})"


def _outbound(name: str, route: Route) -> Iterator[Line]:
    what = "all other mail" if "*" in route.domains else f"mail for {', '.join(route.domains)}"
    yield "warn" if route.tls == "required" else "ok", f"route {name}: {what} that may leave goes to {_where(route)}"


def _files(name: str, route: Route, folder: Path) -> Iterator[Line]:
    """Read when mail goes: without them all of it waits, and nobody hears of it before the queue is looked at."""
    for setting, file in (("ca", route.ca), ("password_file", route.password_file)):
        if file:
            try:
                (folder / file).read_bytes()
            except OSError as error:
                why = error.strerror or "it can't be read"
                yield (
                    "fail",
                    f"route {name}: {setting} {folder / file}: {why}; until it is there, mail on this route waits",
                )


def _where(route: Route) -> str:
    return f"{route.host} port {route.port}{' (LMTP)' if route.lmtp else ''}, {_TLS[route.tls]}"


def _hours(seconds: int) -> str:
    return f"{seconds // 3600} hours" if seconds % 3600 == 0 and seconds > 3600 else f"{seconds} seconds"
