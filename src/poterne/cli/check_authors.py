"""What `poterne check` says of who mail is from: is it verified, signed, reported on, and what DNS says of our domains."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from poterne.admin import dns_update, zone
from poterne.admin.people import AdminError
from poterne.cli.check_routes import Line
from poterne.config import offered
from poterne.config.settings import Settings
from poterne.mailauth.dkim.record import KeyType
from poterne.store.interface import Store
from poterne.values.directory import RouteKind
from poterne.values.dkim import KeyState
from poterne.values.networks import is_public
from poterne.values.watch import DnsFinding

_SHOWN: Final = 3
"""Findings of one domain; `poterne dns --check` has them all."""
_REPORTS: Final = frozenset({"D17", "D22"})
"""Checks without which no DMARC report comes: the record, and its rua."""


def of_settings(values: Settings, folder: Path) -> Iterator[Line]:
    """What needs no store. `folder`: where files that the settings name are relative to."""
    if any(one.service == "mx" for one in values.listener.values()) and values.server.role != "mailbox":
        yield _verified(values)
    if not values.dkim.sign:
        yield (
            "warn",
            "[dkim] sign = false: mail leaves WITHOUT A SIGNATURE, and is taken for forged when it is forwarded",
        )
    if not values.reports.dmarc_address:
        yield "warn", '[reports] dmarc_address = "": nobody hears who forges your domains'
    inside = [one for one in values.publish.addresses if not is_public(one)]
    if inside:
        yield (
            "warn",
            f"[publish] addresses: {', '.join(inside)}: the Internet does not reach that; it would stand in DNS",
        )
    for name in values.publish.next_keys:
        if not (folder / name).is_file():
            yield "fail", f"[publish] next_keys: {folder / name} is not there: its TLSA record can't be made"
    served = any(one.service == offered.HTTPS for one in values.listener.values())
    for name, one in values.zone.items():
        if one.mta_sts == "enforce" and not served:
            what = 'nobody serves the policy: write a [listener.NAME] with service = "https" and port = 443'
            yield "warn", f'[zone."{name}"] mta_sts = "enforce": {what}'


def _verified(values: Settings) -> Line:
    if values.inbound.verify:
        return "ok", "mail from strangers is verified (SPF, DKIM, DMARC), and what is forged is refused or set aside"
    what = "anybody can write to your people in anybody's name, yours included"
    return "warn", f"[inbound] verify = false: mail from strangers is NOT VERIFIED: {what}"


async def of_store(store: Store, values: Settings, folder: Path) -> list[Line]:
    """What is known of each domain. As the server's user. Raises StoreError."""
    ours = await zone.our_domains(store, values)
    lines: list[Line] = [
        ("warn", f'[zone."{name}"] has no effect: {name} is not served here')
        for name in values.zone
        if name not in ours
    ]
    if values.publish.update_server:
        try:
            dns_update.key_of(folder / values.publish.update_key)
        except AdminError as error:
            lines.append(("fail", f"[publish] update_key: {error}"))
    local = {one.name for one in await store.domains()}
    for domain in ours:
        if values.dkim.sign and domain in local:
            lines.append(await _signed(store, domain))
        lines += _dns(domain, await store.dns_findings(domain), watched=values.publish.watch)
        if domain in local:
            lines += await _report_addresses(store, values, domain)
    return lines


async def _signed(store: Store, domain: str) -> Line:
    keys = await store.dkim_keys(domain)
    active = [key for key in keys if key.state is KeyState.ACTIVE]
    if active and not any(key.algorithm == KeyType.RSA.algorithm for key in active):
        what = f"only {', '.join(key.selector for key in active)} signs, and many servers verify RSA keys alone"
        return "warn", f"{domain}: {what}: poterne dkim list {domain}"
    if active:
        return "ok", f"{domain}: its mail is signed with {', '.join(key.selector for key in active)}"
    if any(key.state is KeyState.NEXT for key in keys):
        return "warn", f"{domain}: NO DKIM KEY SIGNS YET: publish the records that `poterne dkim list {domain}` shows"
    return "warn", f"{domain}: NO DKIM KEY: its mail leaves unsigned: poterne dkim create {domain}"


def _dns(domain: str, found: Sequence[DnsFinding], *, watched: bool) -> Iterator[Line]:
    look = f"poterne dns {domain} --check"
    if not watched:
        yield "warn", f"{domain}: [publish] watch = false: nobody looks after its DNS: {look}"
        return
    if not found:
        when = "the server does some minutes after its start, then daily"
        yield "warn", f"{domain}: its DNS was NEVER CHECKED ({when}): {look}"
        return
    for one in found:
        if one.check in _REPORTS and one.outcome in {"warn", "fail"}:
            yield "warn", f"{domain}: DMARC reports do not come as they should: {one.text}"
    wrong = [one for one in found if one.outcome == "fail"]
    if not wrong:
        yield "ok", f"{domain}: nothing was wrong in its DNS when the server last looked"
        return
    some = "; ".join(one.text for one in wrong[:_SHOWN])
    more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    yield "warn", f"{domain}: when the server last looked at DNS, this was wrong: {some}{more}: {look}"


async def _report_addresses(store: Store, values: Settings, domain: str) -> list[Line]:
    lines: list[Line] = []
    for key, local_part in (
        ("dmarc_address", values.reports.dmarc_address),
        ("tls_address", values.reports.tls_address),
    ):
        if not local_part:
            continue
        route = await store.route(local_part, domain)
        if route.kind is RouteKind.ACCOUNTS and route.accounts and route.personal:
            what = f"{local_part}@{domain} is somebody's address: reports that come there are not read by the server"
            lines.append(("warn", f"{what}: name another one in [reports] {key}"))
    return lines
