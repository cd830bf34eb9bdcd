"""The next step of a policy: offered when reports prove it safe, and never else."""

import pytest

from poterne.policy.dmarc_advice import Stage, Step, next_step, record_for, stage_of
from poterne.policy.dmarc_sources import Known
from poterne.values.dmarc import PublishedPolicy, SourceDay, SpfAuth
from tests.unit.policy.test_dmarc_sources import DAY, OURS, row, seen

NONE = PublishedPolicy("example.org", "none")
RUA = "dmarc-reports@example.org"


def good(days: int = 20, count: int = 20) -> list[SourceDay]:
    return [row(count=count, day=DAY - i, signatures=(OURS,)) for i in range(days)]


def step(*rows: SourceDay, policy: PublishedPolicy | None = NONE, today: int = DAY, known: Known | None = None) -> Step:
    published = "" if policy is None else f"v=DMARC1; p={policy.p}; rua=mailto:{RUA}"
    return next_step(seen(*rows, known=known), policy, published, RUA, today=today)


LADDER = [
    (None, Stage.ABSENT, Stage.NONE, f"v=DMARC1; p=none; rua=mailto:{RUA}"),
    (NONE, Stage.NONE, Stage.TESTING, f"v=DMARC1; p=quarantine; t=y; rua=mailto:{RUA}"),
    (PublishedPolicy("example.org", "quarantine", testing=True), Stage.TESTING, Stage.QUARANTINE,
     f"v=DMARC1; p=quarantine; rua=mailto:{RUA}"),
    (PublishedPolicy("example.org", "quarantine"), Stage.QUARANTINE, Stage.REJECT, f"v=DMARC1; p=reject; rua=mailto:{RUA}"),
    (PublishedPolicy("example.org", "reject", testing=True), Stage.QUARANTINE, Stage.REJECT,
     f"v=DMARC1; p=reject; rua=mailto:{RUA}"),
    (PublishedPolicy("example.org", "reject"), Stage.REJECT, None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("policy", "now", "following", "record"), LADDER)
def test_ladder(policy: PublishedPolicy | None, now: Stage, following: Stage | None, record: str) -> None:
    found = step(*good(), policy=policy)
    assert (found.now, found.next, found.record) == (now, following, record)
    assert found.blockers == ()
    assert found.safe == (following is not None)
    assert found.proof


def words(found: Step) -> list[str]:
    assert found.safe == (not found.blockers)
    return [one.word for one in found.blockers]


def test_too_little_is_known() -> None:
    assert words(step()) == ["too-few-days", "too-few-messages", "silent"]
    assert words(step(*good(13))) == ["too-few-days"]
    assert words(step(*good(14))) == []
    assert words(step(*good(20, 2))) == ["too-few-messages"]
    assert words(step(*good(), today=DAY + 5)) == ["silent"]
    assert words(step(*good(), today=DAY + 4)) == []


def test_an_unknown_source_that_fails() -> None:
    forgotten = [row("198.51.100.9", 4, "fail", "fail", day=DAY - i, reporter=f"r{i % 2}") for i in range(3)]
    found = step(*good(40, 50), *forgotten)
    assert words(found) == ["unknown-fails"]
    assert "--not-ours 198.51.100.0/24" in found.blockers[0].text
    assert found.blockers[0].messages == 12
    known = Known(ours={"192.0.2.25"}.__contains__, not_ours=lambda ip: ip.startswith("198.51.100."))
    assert words(step(*good(40, 50), *forgotten, known=known)) == []


def test_abuse_and_forwarders_block_nothing() -> None:
    abuse = row("203.0.113.5", 5000, "fail", "fail")
    forwarder = row(
        "198.51.100.9", 5000, "pass", "fail", signatures=(OURS,), paths=(SpfAuth("example.org", "mfrom", "fail"),)
    )
    found = step(*good(), abuse, forwarder)
    assert words(found) == []
    assert "5000 messages of abuse would be stopped." in found.proof
    assert "5000 messages were passed on by others; they are left out." in found.proof


def test_own_mail_that_fails() -> None:
    assert words(step(*good(), row(count=30, dkim="fail", spf="fail"))) == ["compliance", "ours-fails"]
    service = row("198.51.100.9", 30, "fail", "fail", paths=(SpfAuth("x.sendgrid.net", "mfrom", "pass"),))
    assert words(step(*good(), service)) == ["compliance", "service-fails"]
    few = row(count=5, dkim="fail", spf="fail")
    assert words(step(*good(), few)) == []


def test_a_bad_day_among_many_good_ones() -> None:
    bad = [row(count=8, dkim="fail", spf="fail", day=DAY - 1)]
    assert words(step(*good(30, 100), *bad)) == ["bad-days", "ours-fails"]


def test_reject_wants_signatures() -> None:
    unsigned = [row("198.51.100.9", 5, "fail", "pass", day=DAY - i) for i in range(5)]
    quarantine = PublishedPolicy("example.org", "quarantine")
    assert words(step(*good(), *unsigned, policy=quarantine)) == ["not-signed"]
    assert words(step(*good(), *unsigned, policy=NONE)) == []


def test_records_keep_what_they_say() -> None:
    published = "v=DMARC1;p=none; pct=50; ri=86400; rf=afrf;sp=reject ; rua=mailto:a@example.net; adkim=s; fo=1;x=1"
    gives = "v=DMARC1; p=quarantine; t=y; sp=reject; rua=mailto:a@example.net; adkim=s; fo=1; x=1"
    assert record_for(Stage.TESTING, published, RUA) == gives
    assert record_for(Stage.REJECT, gives, RUA) == gives.replace("quarantine; t=y", "reject")


def test_stages() -> None:
    assert stage_of(None) is Stage.ABSENT
    assert stage_of(PublishedPolicy("example.org")) is Stage.NONE
