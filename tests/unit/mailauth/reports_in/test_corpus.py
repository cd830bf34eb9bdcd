"""Reports in the shapes of those who send them: each gives what stands in it."""

from pathlib import Path

import pytest

from poterne.mailauth.reports_in import read
from poterne.mailauth.reports_in.outcome import Limits, Reading
from poterne.values.dmarc import DkimAuth, DmarcReport, Override, PublishedPolicy, SpfAuth
from tests.unit.mailauth.reports_in.written import BEGIN, END, NOW

CORPUS = Path(__file__).parents[3] / "corpus" / "reports"


def reading(name: str) -> Reading:
    return read.file((CORPUS / name).read_bytes(), Limits(), NOW)


def dmarc(name: str) -> DmarcReport:
    found = reading(name)
    assert not found.faults
    (report,) = found.dmarc
    return report


SHAPES = {
    "google-zip.eml": ("google.com", "14012345678901234567", [120, 9, 3]),
    "microsoft-gz.eml": ("Outlook.com", "0123456789abcdef0123456789abcdef", [14, 6]),
    "yahoo-gz.eml": ("Yahoo", "1789955555.123456", [31, 2]),
    "mailru-gz.eml": ("Mail.Ru", "50123456789012345671789862400", [5]),
    "fastmail-gz.eml": ("Fastmail Pty Ltd", "123456789", [2]),
    "amazon-octet-stream.eml": ("AMAZON-SES", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", [1]),
    "gmx-prefix.eml": ("GMX", "gmx-1", [4]),
    "mimecast-zip-type.eml": ("Mimecast Inc", "fedcba98", [7]),
    "opendmarc-nested.eml": ("mx.example.net", "example.org-1789999999@mx.example.net", [3]),
    "raw-text-xml.eml": ("raw.example", "raw-1", [1]),
    "rfc9990.xml": ("new.example", "rfc9990-1", [12]),
    "utf16.xml": ("Université d'été", "latin-1", [1]),
    "bom-and-space.xml": ("Université d'été", "latin-1", [1]),
}


@pytest.mark.parametrize("name", SHAPES)
def test_shapes(name: str) -> None:
    report = dmarc(name)
    assert (report.organisation, report.report_id, [row.count for row in report.rows]) == SHAPES[name]
    assert (report.begin, report.end, report.policy.domain) == (BEGIN, END, "example.org")
    assert report.warnings == ()
    first = report.rows[0]
    assert first.dkim == "pass"
    assert first.header_from == "example.org"
    assert first.dkim_results == (DkimAuth("example.org", "s2026", "pass"),)


def test_every_file_is_tried() -> None:
    others = {"latin1-as-utf8.xml", "broken-values.xml", "failure-opendmarc.eml", "README.md"}
    tls = {one.name for one in CORPUS.glob("tls-*")}
    assert {one.name for one in CORPUS.iterdir()} == {*SHAPES, *others, *tls}


def test_details_of_a_forwarded_row() -> None:
    row = dmarc("google-zip.eml").rows[1]
    assert row.overrides == (Override("forwarded", "looks forwarded, downgraded to none with phishing warning"),)
    assert row.spf_results == (SpfAuth("lists.example.net", "mfrom", "pass"),)
    assert (row.dkim, row.spf, row.passes) == ("pass", "fail", True)


def test_rfc9990() -> None:
    report = dmarc("rfc9990.xml")
    assert report.policy == PublishedPolicy(
        "example.org", "quarantine", "none", "reject", testing=True, discovery="treewalk"
    )
    assert (report.generator, report.version) == ("example 1.2", "1.0")
    (row,) = report.rows
    assert (row.disposition, row.source_ip, row.overrides) == (
        "pass",
        "2001:db8::25",
        (Override("policy_test_mode", "t=y"),),
    )


def test_what_is_broken_is_mended_and_told() -> None:
    report = dmarc("broken-values.xml")
    first, second = report.rows
    assert (first.source_ip, first.count, first.disposition, first.dkim, first.spf) == (
        "192.0.2.25",
        2,
        "none",
        "pass",
        "pass",
    )
    assert first.dkim_results == (DkimAuth("example.org", "", "pass"),)
    assert first.spf_results == (SpfAuth("example.org", "mfrom", "fail"),)
    assert (second.source_ip, second.count, second.disposition, second.dkim) == ("192.0.2.26", 3, "quarantine", "fail")
    assert second.header_from == "example.org"
    assert (report.begin, report.end, report.report_id) == (BEGIN, END, f"{BEGIN}-{END}")
    assert (report.policy.p, report.policy.testing) == ("", True)
    assert len(report.warnings) == 8


def test_the_wrong_encoding_is_told() -> None:
    report = dmarc("latin1-as-utf8.xml")
    assert report.organisation == "Université d'été"
    assert report.warnings == ("not in the encoding that it claims; read as iso-8859-1",)


def test_tls() -> None:
    (report,) = reading("tls-google.eml").tls
    (row,) = report.rows
    assert (report.organisation, report.begin, report.end) == ("Google Inc.", BEGIN, END)
    assert (row.policy, row.policy_domain, row.succeeded, row.failed) == ("sts", "example.org", 40, 3)
    assert row.failures == (
        ("certificate-expired", "mx.example.org", 2),
        ("starttls-not-supported", "mx2.example.org", 1),
    )
    (microsoft,) = reading("tls-microsoft.json").tls
    assert [(one.policy_domain, one.succeeded) for one in microsoft.rows] == [("example.org", 7)]
    (empty,) = reading("tls-no-policies.json").tls
    assert (empty.rows, empty.warnings) == ((), ("it holds no policy",))


def test_of_a_failure_report_only_fields_are_read() -> None:
    found = reading("failure-opendmarc.eml")
    (one,) = found.failures
    assert (one.feedback_type, one.auth_failure, one.reported_domain) == ("auth-failure", "dmarc", "example.org")
    assert (one.source_ip, one.arrived_at) == ("198.51.100.99", 1_789_899_072)
    assert found.dmarc == ()
    assert "private" not in repr(found)
    assert "secret" not in repr(found)
