"""The next safe step of a domain's DMARC policy, with its proof or what blocks it. Pure.

The ladder is: no record, `p=none`, `p=quarantine; t=y` (receivers that know RFC 9989 act as with none, but report as with
quarantine), `p=quarantine`, `p=reject`. A step is safe when reports of enough days and messages say that what is honest
passes; for reject, also that each honest flow is signed: a signature survives forwarding, and SPF does not (RFC 9989 §7.4).
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from poterne.policy.dmarc_sources import LEGITIMATE, Kind, Picture, Source
from poterne.values.dmarc import PublishedPolicy

GOOD_PERCENT: Final = 98.0
DAYS_NEEDED: Final = 14
"""With reports, of the period."""
MESSAGES_NEEDED: Final = 50
"""Honest ones."""
SILENT_DAYS: Final = 4
"""Without any report: what is known is too old."""
FAILING_MOST: Final = 5
"""Failing messages of a source that nobody needs to look at; or so many percent of all honest ones:"""
FAILING_PERCENT: Final = 0.2
SHOWN_MOST: Final = 10
_REMOVED: Final = frozenset({"pct", "rf", "ri"})
_TAG: Final = re.compile(r"\s*([A-Za-z]+)\s*=\s*([^;]*?)\s*")


class Stage(Enum):
    """Where on the ladder a domain is."""

    ABSENT = 0
    NONE = 1
    TESTING = 2
    QUARANTINE = 3
    REJECT = 4


@dataclass(frozen=True, slots=True)
class Blocker:
    """Why the step is not safe yet. `word` is stable; `text` says what to do."""

    word: str
    text: str
    messages: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """`record`: what to publish at `_dmarc.DOMAIN` once nothing blocks; "" at the end of the ladder. `proof`: facts."""

    now: Stage
    next: Stage | None
    record: str
    proof: tuple[str, ...]
    blockers: tuple[Blocker, ...]

    @property
    def safe(self) -> bool:
        return self.next is not None and not self.blockers


def stage_of(policy: PublishedPolicy | None) -> Stage:
    """`policy`: as published; None: no record that can be used."""
    if policy is None:
        return Stage.ABSENT
    if policy.p == "reject":
        return Stage.QUARANTINE if policy.testing else Stage.REJECT
    if policy.p == "quarantine":
        return Stage.TESTING if policy.testing else Stage.QUARANTINE
    return Stage.NONE


_WORDS: Final = {
    Stage.NONE: ("none", False),
    Stage.TESTING: ("quarantine", True),
    Stage.QUARANTINE: ("quarantine", False),
    Stage.REJECT: ("reject", False),
}


def record_for(stage: Stage, published: str, report_address: str) -> str:
    """The record of that stage: the published one with what must change, without tags that RFC 9989 took out.

    `report_address` is added when no reports are asked for.
    """
    tags: dict[str, str] = {}
    for part in published.split(";"):
        found = _TAG.fullmatch(part)
        if found is not None:
            tags.setdefault(found[1].lower(), found[2])
    word, testing = _WORDS[stage]
    rest = {name: value for name, value in tags.items() if name not in {"v", "p", "t"} | _REMOVED and value}
    if "rua" not in rest and report_address:
        rest["rua"] = f"mailto:{report_address}"
    shown = {"v": "DMARC1", "p": word, **({"t": "y"} if testing else {}), **rest}
    return "; ".join(f"{name}={value}" for name, value in shown.items())


def next_step(
    seen: Picture, policy: PublishedPolicy | None, published: str, report_address: str, *, today: int
) -> Step:
    """`policy` and `published`: the domain's own record, read and as text. `today` in days since 1970."""
    now = stage_of(policy)
    if now is Stage.ABSENT:
        proof = ("There is no DMARC record: a policy of none changes nothing, and reports begin to come.",)
        return Step(now, Stage.NONE, record_for(Stage.NONE, "", report_address), proof, ())
    if now is Stage.REJECT:
        return Step(now, None, "", ("The policy is the strictest one.", *_proof(seen)), ())
    following = Stage(now.value + 1)
    blockers = [*_data(seen, today), *_compliance(seen), *_sources(seen)]
    if following is Stage.REJECT:
        blockers += _unsigned(seen)
    return Step(
        now,
        following,
        record_for(following, published, report_address),
        _proof(seen),
        tuple(blockers[: 3 * SHOWN_MOST]),
    )


def _proof(seen: Picture) -> tuple[str, ...]:
    honest = seen.of(*LEGITIMATE)
    days = seen.legitimate_days
    if not honest.messages:
        return ("No report tells of honest mail in this time.",)
    good = sum(1 for one in days.values() if one.share(one.passed) >= GOOD_PERCENT)
    how = f"({honest.share(honest.dkim):.1f} % signed, {honest.share(honest.spf):.1f} % by SPF)"
    facts = [
        f"{honest.share(honest.passed):.1f} % of {honest.messages} honest messages pass {how}.",
        f"{good} of {len(days)} days have {GOOD_PERCENT:.0f} % or more.",
    ]
    if forwarded := seen.of(Kind.FORWARDER).messages:
        facts.append(f"{forwarded} messages were passed on by others; they are left out.")
    if abuse := seen.of(Kind.ABUSE).messages:
        facts.append(f"{abuse} messages of abuse would be stopped.")
    return tuple(facts)


def _data(seen: Picture, today: int) -> list[Blocker]:
    found = []
    honest = seen.of(*LEGITIMATE).messages
    if len(seen.days) < DAYS_NEEDED:
        found.append(
            Blocker("too-few-days", f"reports tell of {len(seen.days)} days, {DAYS_NEEDED} are needed: wait for more")
        )
    if honest < MESSAGES_NEEDED:
        found.append(
            Blocker(
                "too-few-messages", f"{honest} honest messages are known, {MESSAGES_NEEDED} are needed: wait for more"
            )
        )
    last = max(seen.days, default=seen.from_day)
    if today - last > SILENT_DAYS:
        found.append(
            Blocker(
                "silent",
                f"the newest report is about {today - last} days ago: see whether the record still asks for reports",
            )
        )
    return found


def _compliance(seen: Picture) -> list[Blocker]:
    honest = seen.of(*LEGITIMATE)
    share = honest.share(honest.passed)
    if honest.messages and share < GOOD_PERCENT:
        return [
            Blocker(
                "compliance",
                f"{share:.1f} % of honest messages pass, {GOOD_PERCENT:.0f} % are needed: see the sources that fail",
                honest.failed,
            )
        ]
    recent = sorted(seen.legitimate_days)[-7:]
    bad = [
        day
        for day in recent
        if (one := seen.legitimate_days[day]).share(one.passed) < GOOD_PERCENT and one.failed > FAILING_MOST
    ]
    if bad:
        failed = sum(seen.legitimate_days[day].failed for day in bad)
        return [
            Blocker("bad-days", f"{len(bad)} of the last {len(recent)} days are below {GOOD_PERCENT:.0f} %", failed)
        ]
    return []


def _needs_a_look(seen: Picture, part: int) -> bool:
    return part > max(FAILING_MOST, seen.of(*LEGITIMATE).messages * FAILING_PERCENT / 100)


def _sources(seen: Picture) -> list[Blocker]:
    """Honest sources, or such that may be, with mail that fails."""
    found = []
    for source in seen.sources:
        failed = source.volume.failed
        if source.kind not in LEGITIMATE or not _needs_a_look(seen, failed):
            continue
        found.append(Blocker(f"{source.kind.value}-fails", _remedy(source, failed), failed))
    return found[:SHOWN_MOST]


def _remedy(source: Source, failed: int) -> str:
    what = f"{source.name}: {failed} of {source.volume.messages} messages fail"
    match source.kind:
        case Kind.OURS:
            return f"{what}: see that this server signs for the domain, and that SPF names its addresses (poterne dns)"
        case Kind.SERVICE:
            return f"{what}: if you use this service, let it sign with your domain; if not, say --not-ours with its network"
        case _:
            return f"{what}: find out whose it is; sign or stop what is yours, say --not-ours {source.name} for what is not"


def _unsigned(seen: Picture) -> list[Blocker]:
    found = []
    for source in seen.sources:
        unsigned = source.volume.passed - source.volume.dkim
        if source.kind in LEGITIMATE and _needs_a_look(seen, unsigned):
            what = f"{source.name}: {unsigned} of {source.volume.messages} messages pass by SPF alone"
            found.append(Blocker("not-signed", f"{what}: forwarded, they would be lost; sign them", unsigned))
    return found[:SHOWN_MOST]
