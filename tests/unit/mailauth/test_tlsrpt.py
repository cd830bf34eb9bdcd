import email
import email.policy
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.mailauth.tlsrpt.record import addresses, mailboxes
from poterne.mailauth.tlsrpt.report import Report, as_json, as_message
from poterne.mailauth.tlsrpt.results import result_of
from poterne.values.tls import AppliedPolicy, PolicyKind, TlsCount, TlsFailure, TlsResult


@pytest.mark.parametrize(
    ("records", "wanted"),
    [
        ([b"v=TLSRPTv1; rua=mailto:r@example.com"], ("mailto:r@example.com",)),
        ([b"v=TLSRPTv1;rua=mailto:a@example.com , https://example.com/x;"], ("mailto:a@example.com", "https://example.com/x")),
        ([b"v=TLSRPTv1; x=y; rua=MAILTO:r@example.com; z=1"], ("MAILTO:r@example.com",)),
        ([b"v=TLSRPTv1; rua=ftp://x, mailto:r@example.com"], ("mailto:r@example.com",)),
        ([b"v=TLSRPTv1; rua=ftp://x"], None),
        ([b"v=TLSRPTv1"], None),
        ([b"v=TLSRPTv1; x=y"], None),
        ([b"v=TLSRPTv2; rua=mailto:r@example.com"], None),
        ([b"v=TLSRPTv1; rua=mailto:r@example.com", b"other"], ("mailto:r@example.com",)),
        ([b"v=TLSRPTv1; rua=mailto:r@example.com"] * 2, None),
        ([b"v=TLSRPTv1; rua=mailto:r@ex\xffmple.com"], None),
        ([], None),
    ],
)  # fmt: skip
def test_record(records: list[bytes], wanted: tuple[str, ...] | None) -> None:
    assert addresses(records) == wanted


@given(st.binary(max_size=80).map(lambda tail: b"v=TLSRPTv1; rua=mailto:" + tail))
def test_record_never_raises(record: bytes) -> None:
    found = addresses([record])
    for address in mailboxes(found or ()):
        assert not set(str(address)) & set("\r\n<>\0")


def test_mailboxes() -> None:
    uris = (
        "mailto:r%40x@example.com",
        "mailto:R@example.com?subject=x",
        "mailto:R@example.com",
        "mailto:a%0d%0aBcc%3Ab@example.com",
        "https://example.com",
        "mailto:",
        "mailto:%ff@example.com",
        "mailto:a@example.com,b@example.com",
    )
    assert [str(one) for one in mailboxes(uris)] == ["R@example.com"]


@pytest.mark.parametrize(
    ("problem", "detail", "result", "reason"),
    [
        ("not-offered", "", TlsResult.STARTTLS_NOT_SUPPORTED, ""),
        ("refused", "454 not now", TlsResult.STARTTLS_NOT_SUPPORTED, ""),
        ("certificate", "certificate has expired", TlsResult.EXPIRED, ""),
        (
            "certificate",
            "Hostname mismatch, certificate is not valid for 'a'.",
            TlsResult.HOST_MISMATCH,
            "",
        ),
        ("certificate", "self-signed certificate", TlsResult.NOT_TRUSTED, "self-signed certificate"),
        ("name", "", TlsResult.HOST_MISMATCH, ""),
        ("expired", "", TlsResult.EXPIRED, ""),
        ("tlsa-mismatch", "", TlsResult.VALIDATION_FAILURE, "tlsa-mismatch"),
        ("handshake", "NO_SHARED_CIPHER", TlsResult.VALIDATION_FAILURE, "NO_SHARED_CIPHER"),
    ],
)
def test_results(problem: str, detail: str, result: TlsResult, reason: str) -> None:
    assert result_of(problem, detail) == (result, reason)


STS = AppliedPolicy(PolicyKind.STS, "example.net", ("version: STSv1", "mx: a.example.net"), ("a.example.net",))
FAILURE = TlsFailure(TlsResult.EXPIRED, "", "a.example.net", "192.0.2.9", "192.0.2.1")
REPORT = Report(
    "example.org",
    "postmaster@example.org",
    "example.net",
    20_000,
    (
        TlsCount(20_000, "example.net", STS, 5, 2, ((FAILURE, 2),)),
        TlsCount(20_000, "example.net", AppliedPolicy(PolicyKind.NONE, "example.net"), 1),
    ),
    "001",
)


def test_json() -> None:
    found = json.loads(as_json(REPORT))
    assert found == {
        "organization-name": "example.org",
        "date-range": {"start-datetime": "2024-10-04T00:00:00Z", "end-datetime": "2024-10-04T23:59:59Z"},
        "contact-info": "postmaster@example.org",
        "report-id": "20000.001@example.org",
        "policies": [
            {
                "policy": {
                    "policy-type": "sts",
                    "policy-domain": "example.net",
                    "policy-string": ["version: STSv1", "mx: a.example.net"],
                    "mx-host": ["a.example.net"],
                },
                "summary": {"total-successful-session-count": 5, "total-failure-session-count": 2},
                "failure-details": [
                    {
                        "result-type": "certificate-expired",
                        "sending-mta-ip": "192.0.2.1",
                        "receiving-mx-hostname": "a.example.net",
                        "receiving-ip": "192.0.2.9",
                        "failed-session-count": 2,
                    }
                ],
            },
            {
                "policy": {"policy-type": "no-policy-found", "policy-domain": "example.net"},
                "summary": {"total-successful-session-count": 1, "total-failure-session-count": 0},
            },
        ],
    }


def test_message() -> None:
    octets = as_message(REPORT, ("r@example.net", "s@example.net"), 1_790_000_000)
    assert b"\n" not in octets.replace(b"\r\n", b"")
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert found["Subject"] == "Report Domain: example.net Submitter: example.org Report-ID: <20000.001@example.org>"
    assert found["TLS-Report-Domain"] == "example.net"
    assert found["TLS-Report-Submitter"] == "example.org"
    assert found["TLS-Required"] == "No"
    assert found.get_content_type() == "multipart/report"
    assert found.get_param("report-type") == "tlsrpt"
    text, attached = found.iter_parts()
    assert text.get_content_type() == "text/plain"
    assert attached.get_content_type() == "application/tlsrpt+gzip"
    assert attached.get_filename() == "example.org!example.net!1728000000!1728086399!001.json.gz"
    assert gzip.decompress(attached.get_content()) == as_json(REPORT)
