"""How `poterne report` shows what it found: for people, and as values for programs."""

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from poterne.cli.common import show, show_json
from poterne.message.texts import printable

if TYPE_CHECKING:
    from poterne.admin.reports import DmarcView, TlsView
    from poterne.policy.dmarc_sources import Picture, Source, Volume

DAY_S = 86_400
SOURCES_SHOWN = 15
REPORTERS_SHOWN = 8
RECORD_SHOWN = 1000
_SETTING = {"NONE": "none", "QUARANTINE": "quarantine", "REJECT": "reject"}
"""What the settings call a step; a test of a stricter policy they don't know."""
_BARS = "▁▂▃▄▅▆▇█"
BARS_MOST = 60
_REFUSED = {
    "no-report": "holds no report",
    "not-ours": "is about a domain that is not served here",
    "too-large": "is larger than [reports] max_report_mib",
    "bomb": "expands to more than [reports] max_expanded_mib, or 250 times",
    "nested": "is an archive in an archive",
    "archive": "is an archive that is broken, encrypted, or of an unknown kind",
    "dtd": "has a document type, which reports have not",
    "depth": "is nested deeper than a report",
    "token": "has a name, tag or attribute that is longer than any report's",
    "syntax": "can't be read: it is cut off, or not what its name says",
    "incomplete": "does not say who reports, about which domain, or when",
    "range": "is about a time that can't be",
    "resources": "would take too much time or memory to read",
}
"""What becomes of a file, by its word; a word of the operating system stays as it is."""


def date(unix_s: int) -> str:
    return dt.datetime.fromtimestamp(unix_s, dt.UTC).strftime("%Y-%m-%d")


def _day(day: int) -> str:
    return date(day * DAY_S)


def _percent(volume: "Volume", part: int) -> str:
    return f"{volume.share(part):.1f} %" if volume.messages else "-"


def sparkline(values: Sequence[float]) -> str:
    """One character for each, or for some days together where there are more than BARS_MOST; the highest is full."""
    step = -(-len(values) // BARS_MOST)
    values = [sum(values[at : at + step]) for at in range(0, len(values), step)] if step > 1 else values
    most = max(values, default=0)
    if most <= 0:
        return ""
    return "".join(_BARS[min(7, int(8 * value / most))] if value else " " for value in values)


def tell_dmarc(view: "DmarcView", *, everything: bool) -> None:
    seen, total = view.seen, view.seen.total
    click.secho(f"{seen.domain}, {_day(seen.from_day)} to {_day(seen.to_day)} (UTC)", bold=True)
    if not total.messages:
        click.echo("No report tells of any message in this time.")
    else:
        _tell_volumes(view)
        _tell_sources(seen, everything=everything)
    _tell_reporters(view)
    if view.cut:
        click.echo("There is more than can be shown at once: take fewer --days.", err=True)
    _tell_step(view)


def _tell_volumes(view: "DmarcView") -> None:
    seen, total, before = view.seen, view.seen.total, view.before.total
    click.echo(f"messages      {total.messages}" + (f"   (before: {before.messages})" if before.messages else ""))
    for label, part, had in (
        ("pass DMARC", total.passed, before.passed),
        ("signed", total.dkim, before.dkim),
        ("by SPF", total.spf, before.spf),
    ):
        click.echo(
            f"{label:13} {_percent(total, part)}" + (f"   (before: {_percent(before, had)})" if before.messages else "")
        )
    click.echo(f"{'quarantined':13} {total.quarantined}, rejected {total.rejected}")
    days = range(seen.from_day, seen.to_day + 1)
    click.echo(f"{'by day':13} {sparkline([seen.days[day].messages if day in seen.days else 0 for day in days])}")
    failed = [seen.days[day].failed if day in seen.days else 0 for day in days]
    if any(failed):
        click.echo(f"{'failing':13} {sparkline(failed)}")
    if seen.overrides:
        reasons = ", ".join(
            f"{name} {count}" for name, count in sorted(seen.overrides.items(), key=lambda one: -one[1])[:6]
        )
        click.echo(f"{'overrides':13} {reasons}")
    others = {name: volume for name, volume in seen.authors.items() if name != seen.domain}
    for name, volume in sorted(others.items(), key=lambda one: -one[1].messages)[:5]:
        click.echo(f"{'subdomain':13} {name}: {volume.messages}, of which {volume.failed} fail")


def _tell_sources(seen: "Picture", *, everything: bool) -> None:
    click.echo()
    sources = seen.sources if everything else seen.sources[:SOURCES_SHOWN]
    rows: list[dict[str, object]] = [
        {
            "source": _named(one),
            "is": one.kind.value,
            "messages": one.volume.messages,
            "pass": _percent(one.volume, one.volume.passed),
            "signed": _percent(one.volume, one.volume.dkim),
            "spf": _percent(one.volume, one.volume.spf),
            "since": _day(one.first_day),
            "authenticates as": _identities(one, seen.domain),
        }
        for one in sources
    ]
    show(rows, as_json=False, empty="")
    if len(sources) < len(seen.sources):
        click.echo(f"… and {len(seen.sources) - len(sources)} smaller ones: --all")


def _named(source: "Source") -> str:
    names = sorted(source.host_names)
    return f"{source.name} ({names[0]})" if names else source.name


def _identities(source: "Source", domain: str) -> str:
    """Domains that its mail proves and that are not the author's: what would have to be aligned."""
    found = [f"d={name}" for name, _ in source.dkim_domains.most_common(2) if name]
    found += [f"mfrom={name}" for name, _ in source.spf_domains.most_common(2) if name and name != domain]
    return ", ".join(found)


def _tell_reporters(view: "DmarcView") -> None:
    click.echo()
    if not view.reporters:
        click.echo("Nobody has reported yet.")
        return
    for one in view.reporters[:REPORTERS_SHOWN]:
        click.echo(f"{'reporter':13} {one.organisation}: {one.reports}, last {date(one.last_at)}")
    if len(view.reporters) > REPORTERS_SHOWN:
        click.echo(f"{'':13} … and {len(view.reporters) - REPORTERS_SHOWN} more (poterne report list)")


def _tell_step(view: "DmarcView") -> None:
    click.echo()
    step = view.step
    if step is None or view.published is None:
        click.secho("DNS does not answer now: the policy in force is not known.", fg="yellow")
        return
    published = view.published
    above = f"nothing of its own: the policy of {published.inherited} applies" if published.inherited else ""
    own = printable(published.text, RECORD_SHOWN)
    click.echo(f"{'published':13} {own or above or 'no DMARC record that can be used'}")
    if published.problems:
        click.secho(f"{'problems':13} {', '.join(published.problems)}", fg="yellow")
    for one in step.proof:
        click.echo(f"{'proof':13} {one}")
    if step.next is None:
        return
    if step.safe:
        click.secho(f"{'next step':13} safe now. Publish at _dmarc.{view.seen.domain}:", fg="green")
    else:
        for blocker in step.blockers:
            click.secho(f"{'blocked by':13} {blocker.text}", fg="yellow")
        click.echo(f"{'next step':13} not safe yet. Then it is, at _dmarc.{view.seen.domain}:")
    click.echo(f"{'':13} TXT {json.dumps(printable(step.record, RECORD_SHOWN))}")
    if word := _SETTING.get(step.next.name):
        click.echo(f'{"":13} and for poterne dns: [zone."{view.seen.domain}"] dmarc = "{word}"')


def _volume(one: "Volume") -> dict[str, int]:
    return {
        "messages": one.messages,
        "pass": one.passed,
        "fail": one.failed,
        "dkim": one.dkim,
        "spf": one.spf,
        "quarantined": one.quarantined,
        "rejected": one.rejected,
    }


def _source(one: "Source") -> dict[str, object]:
    return {
        "source": one.name,
        "kind": one.kind.value,
        **_volume(one.volume),
        "addresses": sorted(one.addresses),
        "names": sorted(one.host_names),
        "first_day": _day(one.first_day),
        "last_day": _day(one.last_day),
        "reporters": sorted(one.reporters),
        "dkim_domains": dict(one.dkim_domains),
        "spf_domains": dict(one.spf_domains),
        "authors": dict(one.authors),
        "overrides": dict(one.overrides),
    }


def as_value(view: "DmarcView") -> dict[str, object]:
    """All of it, for JSON."""
    seen, step = view.seen, view.step
    return {
        "domain": seen.domain,
        "from": _day(seen.from_day),
        "to": _day(seen.to_day),
        "total": _volume(seen.total),
        "before": _volume(view.before.total),
        "days": {_day(day): _volume(one) for day, one in sorted(seen.days.items())},
        "subdomains": {name: _volume(one) for name, one in seen.authors.items()},
        "overrides": dict(seen.overrides),
        "sources": [_source(one) for one in seen.sources],
        "reporters": [
            {"reporter": one.organisation, "reports": one.reports, "last": one.last_at} for one in view.reporters
        ],
        "published": None if view.published is None else view.published.text,
        "inherited_from": None if view.published is None else view.published.inherited,
        "problems": [] if view.published is None else list(view.published.problems),
        "cut": view.cut,
        "next": None
        if step is None
        else {
            "now": step.now.name.lower(),
            "next": None if step.next is None else step.next.name.lower(),
            "safe": step.safe,
            "record": step.record,
            "proof": list(step.proof),
            "blockers": [{"word": one.word, "text": one.text, "messages": one.messages} for one in step.blockers],
        },
    }


def tell_tls(view: "TlsView", days: int, *, as_json: bool) -> None:
    failures = [
        {"failure": word, "server": mx or "-", "sessions": sessions, "reported by": whom}
        for word, mx, sessions, whom in view.failures()
    ]
    if as_json:
        reporters = [
            {"reporter": one.organisation, "reports": one.reports, "last": one.last_at} for one in view.reporters
        ]
        found = {
            "domain": view.domain,
            "days": days,
            "reports": len(view.reports),
            "succeeded": view.succeeded,
            "failed": view.failed,
            "failures": failures,
            "reporters": reporters,
        }
        show_json(found)
        return
    click.secho(f"{view.domain}, the last {days} days", bold=True)
    if not view.reports:
        click.echo("No report about TLS has come (poterne dns shows the record that asks for them).")
        return
    click.echo(f"{len(view.reports)} reports: {view.succeeded} sessions met the policy, {view.failed} did not.")
    show(failures[:30], as_json=False, empty="No kind of failure is named.")
    for one in view.reporters[:REPORTERS_SHOWN]:
        click.echo(f"{'reporter':13} {one.organisation}: {one.reports}, last {date(one.last_at)}")


def tell_import(counts: Mapping[str, int], problems: Sequence[tuple[str, str]]) -> None:
    for name, why in problems[:20]:
        click.echo(f"{name}: {_REFUSED.get(why, why)}", err=True)
    if len(problems) > 20:
        click.echo(f"… and {len(problems) - 20} more", err=True)
    click.echo(
        f"{counts['new']} new, {counts['duplicates']} known already, {counts['failures']} about single messages, "
        f"{counts['refused']} not kept."
    )
