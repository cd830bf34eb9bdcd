"""Standing pauses: mail for a domain, of a sender, or all of it waits until somebody says otherwise."""

import datetime as dt
import re
from typing import Final

from poterne.admin.people import Acting, AdminError, parse_domain
from poterne.store.errors import LimitError
from poterne.store.interface import Store
from poterne.values.origin import OriginKind
from poterne.values.queue import Pause, PauseKind

_SPAN: Final = re.compile(r"(\d{1,5})([mhd])")
_SECONDS: Final = {"m": 60, "h": 3600, "d": 86_400}
_KINDS: Final = tuple(kind.value for kind in OriginKind)


def named(domain: str, origin: str, *, everything: bool) -> tuple[PauseKind, str]:
    """What is meant, as one kind and name; exactly one of the three must be given."""
    if (bool(domain), bool(origin), everything).count(True) != 1:
        raise AdminError("say one of --domain, --origin and --all")
    if domain:
        return PauseKind.DOMAIN, domain.lower() if domain[:1] == "[" else parse_domain(domain)
    if origin:
        kind, colon, name = origin.partition(":")
        if not colon or kind not in _KINDS or bool(name) is (kind == OriginKind.SYSTEM.value):
            raise AdminError(
                f'"{origin}" is no origin: write account:ann@example.org or sender:webshop (poterne queue list shows them; '
                f"the kinds are {', '.join(_KINDS)})"
            )
        return PauseKind.ORIGIN, origin
    return PauseKind.ALL, ""


def parse_until(text: str, now: dt.datetime) -> int:
    """When a pause ends: `90m`, `2h`, `3d`, `18:00` (the next one), `2027-01-31` or `2027-01-31 18:00`; 0 for "".

    `now` has the zone in which times are meant.
    """
    text = text.strip()
    if not text:
        return 0
    try:
        if span := _SPAN.fullmatch(text):
            end = now + dt.timedelta(seconds=int(span[1]) * _SECONDS[span[2]])
        elif ":" in text and "-" not in text:
            end = dt.datetime.combine(now.date(), dt.time.fromisoformat(text), now.tzinfo)
            end += dt.timedelta(days=1) if end <= now else dt.timedelta()
        else:
            end = dt.datetime.fromisoformat(text)
            end = end if end.tzinfo is not None else end.replace(tzinfo=now.tzinfo)
        over = end <= now
    except (TypeError, ValueError, OverflowError):
        raise AdminError(f'"{text}" is no time: write 2h, 3d, 18:00, or "2027-01-31 18:00"') from None
    if over:
        raise AdminError(f'"{text}" is over already')
    return int(end.timestamp())


async def pause(store: Store, kind: PauseKind, name: str, until: int, acting: Acting) -> Pause:
    """Begin it, or give it another end."""
    made = Pause(kind, name, acting.now, until)
    event = acting.event("queue.pause", pause=kind.value, name=name, until=until)
    try:
        await store.set_pause(made, event)
    except LimitError as error:
        raise AdminError(f"{error}: end some of them (poterne queue pauses)") from None
    return made


async def resume(store: Store, kind: PauseKind, name: str, acting: Acting) -> None:
    """End it: what waited is tried at once, as far as it is due."""
    if not await store.end_pause(kind, name, acting.event("queue.resume", pause=kind.value, name=name)):
        raise AdminError("there is no such pause (poterne queue pauses)")


async def pauses(store: Store, now: int) -> list[Pause]:
    return await store.pauses(now)
