"""What a source is, by what reports say of it."""

import pytest

from poterne.policy.dmarc_sources import Kind, Known, Picture, below, network_of, picture
from poterne.policy.mail_services import SERVICES, service_of
from poterne.values.dmarc import DkimAuth, Override, SourceDay, SpfAuth

DAY = 20_700
OURS = DkimAuth("example.org", "s1", "pass")


def row(
    ip: str = "192.0.2.25",
    count: int = 10,
    dkim: str = "pass",
    spf: str = "pass",
    *,
    day: int = DAY,
    reporter: str = "big.example",
    author: str = "example.org",
    signatures: tuple[DkimAuth, ...] = (),
    paths: tuple[SpfAuth, ...] = (),
    overrides: tuple[Override, ...] = (),
    disposition: str = "none",
) -> SourceDay:
    return SourceDay(day, reporter, ip, author, count, disposition, dkim, spf, signatures, paths, overrides)


def seen(*rows: SourceDay, known: Known | None = None, days: int = 30) -> Picture:
    return picture("example.org", rows, known or Known(ours={"192.0.2.25"}.__contains__), DAY - days + 1, DAY)


@pytest.mark.parametrize(
    ("one", "kind", "name"),
    [
        (row(dkim="fail", spf="fail"), Kind.OURS, "our servers"),
        (row("198.51.100.1", signatures=(OURS,), paths=(SpfAuth("mail.sendgrid.net", "mfrom", "pass"),)), Kind.SERVICE,
         "SendGrid"),
        (row("198.51.100.1", spf="fail", signatures=(OURS, DkimAuth("amazonses.com", "x", "pass"))), Kind.SERVICE, "Amazon SES"),
        (row("198.51.100.1", 1, "fail", "fail", signatures=(DkimAuth("u1.mcsv.net", "k1", "pass"),)), Kind.SERVICE, "Mailchimp"),
        (row("198.51.100.1", spf="fail", signatures=(OURS,), paths=(SpfAuth("example.org", "mfrom", "fail"),)), Kind.FORWARDER,
         "198.51.100.0/24"),
        (row("198.51.100.1", dkim="fail", spf="fail", overrides=(Override("mailing_list"),)), Kind.FORWARDER, "198.51.100.0/24"),
        (row("198.51.100.1", dkim="fail", spf="fail", overrides=(Override("local_policy", "arc=pass as.1=x"),)), Kind.FORWARDER,
         "198.51.100.0/24"),
        (row("2001:db8:1:2::9", signatures=(OURS,)), Kind.UNKNOWN, "2001:db8:1::/48"),
        (row("198.51.100.1", spf="fail", signatures=(OURS,), paths=(SpfAuth("esp.example", "mfrom", "pass"),)), Kind.UNKNOWN,
         "198.51.100.0/24"),
        (row("198.51.100.1", dkim="fail"), Kind.UNKNOWN, "198.51.100.0/24"),
        (row("198.51.100.1", dkim="fail", spf="fail", signatures=(DkimAuth("example.org", "s1", "fail"),)), Kind.ABUSE,
         "198.51.100.0/24"),
        (row("198.51.100.1", dkim="fail", spf="fail"), Kind.ABUSE, "198.51.100.0/24"),
        (row("198.51.100.1", dkim="fail", spf="fail", paths=(SpfAuth("spam.example", "mfrom", "pass"),)), Kind.ABUSE,
         "198.51.100.0/24"),
    ],
)  # fmt: skip
def test_kinds(one: SourceDay, kind: Kind, name: str) -> None:
    (source,) = seen(one).sources
    assert (source.kind, source.name) == (kind, name)


def test_a_name_in_dns_tells_a_service_or_that_it_is_ours() -> None:
    fails = row("198.51.100.1", dkim="fail", spf="fail")
    named = Known(names={"198.51.100.1": "web.example.org"})
    assert seen(fails, known=named).sources[0].kind is Kind.UNKNOWN
    assert seen(fails, known=Known(names={"198.51.100.1": "web.notexample.org"})).sources[0].kind is Kind.ABUSE
    passes = row("198.51.100.1", dkim="fail")
    (source,) = seen(passes, known=Known(names={"198.51.100.1": "o1.mail.ovh.net"})).sources
    assert (source.kind, source.name, source.host_names) == (Kind.SERVICE, "OVHcloud", {"o1.mail.ovh.net"})


def test_steady_failing_is_somebody_forgotten_unless_one_reporter_alone_says_so() -> None:
    def days(*reporters: str) -> list[SourceDay]:
        return [row(f"198.51.100.{i}", 2, "fail", "fail", day=DAY - i, reporter=who) for i, who in enumerate(reporters)]

    assert seen(*days("a", "b", "a")).sources[0].kind is Kind.UNKNOWN
    assert seen(*days("a", "a", "a")).sources[0].kind is Kind.ABUSE
    assert seen(*days("a", "b")).sources[0].kind is Kind.ABUSE


def test_a_signature_that_fails_counts_when_its_selector_is_right_elsewhere() -> None:
    """Anybody can write a signature in our name that is wrong."""
    ours, broken = row(signatures=(OURS,)), DkimAuth("example.org", "s1", "fail")
    kinds = [one.kind for one in seen(ours, row("198.51.100.1", 9, "fail", "fail", signatures=(broken,))).sources]
    assert kinds == [Kind.OURS, Kind.UNKNOWN]
    invented = DkimAuth("example.org", "s2", "fail")
    kinds = [one.kind for one in seen(ours, row("198.51.100.1", 9, "fail", "fail", signatures=(invented,))).sources]
    assert kinds == [Kind.OURS, Kind.ABUSE]


def test_who_is_said_not_to_be_ours_is_abuse() -> None:
    known = Known(not_ours=lambda ip: ip == "198.51.100.1")
    assert seen(row("198.51.100.1"), known=known).sources[0].kind is Kind.ABUSE


def test_sums() -> None:
    found = seen(
        row(count=90),
        row("198.51.100.1", 10, "fail", "fail", disposition="reject", author="x.example.org"),
        row(count=5, day=DAY - 1, spf="fail"),
        row(count=1000, day=DAY - 40),
        row(count=1000, day=DAY + 1),
    )
    total = found.total
    assert (total.messages, total.passed, total.failed, total.dkim, total.spf, total.rejected) == (
        105,
        95,
        10,
        95,
        90,
        10,
    )
    assert {day: one.messages for day, one in found.days.items()} == {DAY: 100, DAY - 1: 5}
    assert {day: one.messages for day, one in found.legitimate_days.items()} == {DAY: 90, DAY - 1: 5}
    assert found.authors["x.example.org"].failed == 10
    assert [one.name for one in found.sources] == ["our servers", "198.51.100.0/24"]
    assert found.of(Kind.OURS).messages == 95
    ours = found.sources[0]
    assert (ours.first_day, ours.last_day, ours.days, ours.reporters) == (DAY - 1, DAY, {DAY, DAY - 1}, {"big.example"})


def test_one_network_may_be_two_sources() -> None:
    found = seen(row("198.51.100.1", dkim="fail"), row("198.51.100.2", 3, "fail", "fail"))
    assert [(one.name, one.kind) for one in found.sources] == [
        ("198.51.100.0/24", Kind.UNKNOWN),
        ("198.51.100.0/24", Kind.ABUSE),
    ]


def test_services() -> None:
    assert service_of("mail-sor-f41.google.com") == "Google"
    assert service_of("evilgoogle.com") == ""
    assert service_of("") == ""
    assert all(domain == domain.lower() and "." in domain for domains in SERVICES.values() for domain in domains)
    everything = [domain for domains in SERVICES.values() for domain in domains]
    assert len(everything) == len(set(everything))


def test_names() -> None:
    assert network_of("nonsense") == "nonsense"
    assert below("a.example.org", "example.org")
    assert not below("aexample.org", "example.org")
    assert not below("", "example.org")
