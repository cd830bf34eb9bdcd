"""One message as a row of the report."""

from poterne.mailauth.dkim import outcome as dkim
from poterne.mailauth.dmarc import outcome as dmarc
from poterne.mailauth.dmarcreport.row import DKIM_MOST, row, signatures
from poterne.mailauth.spf import outcome as spf
from poterne.values.dmarc import DkimAuth, Override, PublishedPolicy, SpfAuth

REJECT = PublishedPolicy("example.org", p="reject")
MAIL_FROM = spf.Outcome(spf.Result.PASS, spf.Reason.MATCHED, spf.Identity.MAIL_FROM, "bounce.example.org")
HELO = spf.Outcome(spf.Result.NONE, spf.Reason.NO_RECORD, spf.Identity.HELO, "mail.example.org")
NO_DOMAIN = spf.Outcome(spf.Result.NONE, spf.Reason.DOMAIN, spf.Identity.HELO)


def signature(domain: str, reason: dkim.Reason = dkim.Reason.VERIFIED) -> dkim.Outcome:
    return dkim.Outcome(reason, domain, "s", f"@{domain}")


def outcome(reason: dmarc.Reason, **more: object) -> dmarc.Outcome:
    base = {"policy": REJECT, "rua": ("mailto:r@example.org",)}
    return dmarc.Outcome(reason.result, reason, "example.org", **(base | more))  # type: ignore[arg-type]


def test_a_message_that_passes() -> None:
    found = row(
        "192.0.2.1", "bounce.example.org", (MAIL_FROM, HELO, NO_DOMAIN), (signature("example.org"),),
        outcome(dmarc.Reason.ALIGNED, aligned_dkim=("example.org",), aligned_spf="bounce.example.org"), "none",
    )  # fmt: skip
    assert found is not None
    assert (found.count, found.disposition, found.dkim, found.spf) == (1, "pass", "pass", "pass")
    assert (found.source_ip, found.header_from, found.envelope_from) == (
        "192.0.2.1",
        "example.org",
        "bounce.example.org",
    )
    assert found.dkim_results == (DkimAuth("example.org", "s", "pass"),)
    assert found.spf_results == (
        SpfAuth("bounce.example.org", "mfrom", "pass"),
        SpfAuth("mail.example.org", "helo", "none"),
    )


def test_pass_is_no_disposition_where_nothing_is_asked_for() -> None:
    lax = PublishedPolicy("example.org", p="none")
    found = row("192.0.2.1", "", (), (), outcome(dmarc.Reason.ALIGNED, aligned_spf="example.org", policy=lax), "none")
    assert found is not None
    assert (found.disposition, found.dkim, found.spf) == ("none", "fail", "pass")


def test_a_message_that_fails() -> None:
    overrides = (Override("mailing_list"),)
    found = row("192.0.2.1", "", (MAIL_FROM,), (), outcome(dmarc.Reason.UNALIGNED), "none", overrides)
    assert found is not None
    assert (found.disposition, found.dkim, found.spf, found.overrides) == ("none", "fail", "fail", overrides)
    refused = row("192.0.2.1", "", (MAIL_FROM,), (), outcome(dmarc.Reason.UNALIGNED), "reject")
    assert refused is not None
    assert refused.disposition == "reject"


def test_the_null_path_is_asked_by_the_name_in_helo() -> None:
    claimed = spf.Outcome(spf.Result.PASS, spf.Reason.MATCHED, spf.Identity.MAIL_FROM, "mail.example.org")
    called = spf.Outcome(spf.Result.PASS, spf.Reason.MATCHED, spf.Identity.HELO, "mail.example.org")
    found = row(
        "192.0.2.1", "", (claimed, called), (), outcome(dmarc.Reason.ALIGNED, aligned_spf="mail.example.org"), "none"
    )
    assert found is not None
    assert found.spf_results == (SpfAuth("mail.example.org", "helo", "pass"),)


def test_nobody_asks() -> None:
    assert row("192.0.2.1", "", (), (), outcome(dmarc.Reason.UNALIGNED, rua=()), "none") is None
    assert row("192.0.2.1", "", (), (), outcome(dmarc.Reason.NO_RECORD, policy=None), "none") is None


def test_the_signatures_that_tell_most_come_first() -> None:
    several = [
        signature("", dkim.Reason.SYNTAX),
        signature("bad.example", dkim.Reason.SIGNATURE),
        signature("other.example"),
        signature("example.org"),
    ]
    assert [one.domain for one in signatures(several, ("example.org",))] == [
        "example.org",
        "other.example",
        "bad.example",
    ]
    many = [signature(f"d{n}.example", dkim.Reason.SIGNATURE) for n in range(20)] + [signature("example.org")]
    found = signatures(many, ())
    assert len(found) == DKIM_MOST
    assert found[0].domain == "example.org"
