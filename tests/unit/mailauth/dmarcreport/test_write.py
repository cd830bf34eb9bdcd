"""Reports as we write them: of the structure that the schemas demand, readable by us, and with nobody's markup in them."""

import email
import gzip
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.mailauth.dmarcreport.write import TEXT_MOST, Form, Report, as_message, as_xml
from poterne.mailauth.reports_in import read
from poterne.mailauth.reports_in.outcome import Limits
from poterne.values.dmarc import DkimAuth, DmarcRow, Override, PublishedPolicy, SpfAuth

DAY = 20_600
POLICY = PublishedPolicy(
    "example.org", p="reject", sp="quarantine", adkim="s", testing=True, fo="1:d", discovery="treewalk"
)
PASSED = DmarcRow(
    "192.0.2.1",
    7,
    "pass",
    "pass",
    "pass",
    "example.org",
    "bounce.example.org",
    dkim_results=(DkimAuth("example.org", "s1", "pass"), DkimAuth("list.example", "s2", "fail")),
    spf_results=(SpfAuth("bounce.example.org", "mfrom", "pass"), SpfAuth("mail.example.org", "helo", "none")),
)
LISTED = DmarcRow(
    "2001:db8::1",
    2,
    "none",
    "fail",
    "fail",
    "sub.example.org",
    "",
    "example.net",
    overrides=(Override("mailing_list", "list.example"), Override("policy_test_mode"), Override("arc", "trusted")),
)
REPORT = Report(
    "mx.example.net",
    "Mairie de Néris",
    "postmaster@example.net",
    "https://example.net/",
    DAY,
    POLICY,
    (PASSED, LISTED),
    "a1b2",
)
NAMESPACE = "{urn:ietf:params:xml:ns:dmarc-2.0}"


@dataclass
class Shape:
    """An element: its children with how often each may stand, in this order when it matters; or the texts it may hold."""

    children: Mapping[str, "tuple[int, int, Shape]"] = field(default_factory=dict)
    text: str = ""
    ordered: bool = True


MANY = 1 << 30
ANY = Shape(text=r"(?s).*")
SOME = Shape(text=r"(?s).+")
NUMBER = Shape(text="[0-9]+")
POLICIES = Shape(text="none|quarantine|reject")
ALIGNED = Shape(text="pass|fail")
ALIGNMENT = Shape(text="r|s")
DKIM_RESULT = Shape(text="none|pass|fail|policy|neutral|temperror|permerror")
SPF_RESULT = Shape(text="none|neutral|pass|fail|softfail|temperror|permerror")
ADDRESS = Shape(text=r"[0-9.]+|[0-9a-f:]+")


def one(shape: Shape) -> tuple[int, int, Shape]:
    return 1, 1, shape


def maybe(shape: Shape) -> tuple[int, int, Shape]:
    return 0, 1, shape


def feedback(form: Form) -> Shape:
    """RFC 9990 appendix A; RFC 7489 appendix C."""
    modern = form is Form.RFC9990
    metadata = {
        "org_name": one(SOME),
        "email": one(SOME),
        "extra_contact_info": maybe(ANY),
        "report_id": one(SOME),
        "date_range": one(Shape({"begin": one(NUMBER), "end": one(NUMBER)}, ordered=False)),
        "error": maybe(ANY) if modern else (0, MANY, ANY),
    }
    policy = {
        "domain": one(SOME),
        "adkim": maybe(ALIGNMENT),
        "aspf": maybe(ALIGNMENT),
        "p": one(POLICIES),
        "sp": one(POLICIES),
    }
    reasons = "local_policy|mailing_list|other|trusted_forwarder"
    if modern:
        metadata["generator"] = maybe(ANY)
        policy |= {
            "np": maybe(POLICIES),
            "testing": maybe(Shape(text="n|y")),
            "discovery_method": maybe(Shape(text="psl|treewalk")),
            "fo": maybe(SOME),
        }
        reasons += "|policy_test_mode"
    else:
        policy |= {"pct": one(NUMBER), "fo": one(SOME)}
        reasons += "|forwarded|sampled_out"
    evaluated = {
        "disposition": one(Shape(text="none|pass|quarantine|reject") if modern else POLICIES),
        "dkim": one(ALIGNED),
        "spf": one(ALIGNED),
        "reason": (0, MANY, Shape({"type": one(Shape(text=reasons)), "comment": maybe(ANY)}, ordered=False)),
    }
    dkim = Shape({"domain": one(SOME), "selector": one(ANY), "result": one(DKIM_RESULT)}, ordered=False)
    spf = Shape({"domain": one(SOME), "scope": one(Shape(text="helo|mfrom")), "result": one(SPF_RESULT)}, ordered=False)
    record = {
        "row": one(Shape({"source_ip": one(ADDRESS), "count": one(NUMBER), "policy_evaluated": one(Shape(evaluated))})),
        "identifiers": one(
            Shape({"envelope_to": maybe(SOME), "envelope_from": one(ANY), "header_from": one(SOME)}, ordered=False)
        ),
        "auth_results": one(Shape({"dkim": (0, MANY, dkim), "spf": (1, 1 if modern else MANY, spf)})),
    }
    return Shape(
        {
            "version": one(Shape(text=r"1\.0")),
            "report_metadata": one(Shape(metadata, ordered=not modern)),
            "policy_published": one(Shape(policy, ordered=False)),
            "record": (1, MANY, Shape(record)),
        }
    )


def check(element: ET.Element, shape: Shape, prefix: str) -> None:
    assert not element.attrib
    if not shape.children:
        assert not len(element)
        assert re.fullmatch(shape.text, element.text or ""), (element.tag, element.text)
        return
    assert not (element.text or "").strip()
    tags = [child.tag.removeprefix(prefix) for child in element]
    assert all(child.tag.startswith(prefix) for child in element)
    assert set(tags) <= set(shape.children)
    for name, (least, most, _) in shape.children.items():
        assert least <= tags.count(name) <= most, (element.tag, name)
    if shape.ordered:
        places = list(shape.children)
        assert tags == sorted(tags, key=places.index)
    for child, name in zip(element, tags, strict=True):
        check(child, shape.children[name][2], prefix)


def parsed(report: Report) -> ET.Element:
    """The document, after it was checked against the schema of its form."""
    root = ET.fromstring(b"".join(as_xml(report)))
    prefix = NAMESPACE if report.form is Form.RFC9990 else ""
    assert root.tag == prefix + "feedback"
    check(root, feedback(report.form), prefix)
    return root


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize(
    "policy",
    [
        POLICY,
        PublishedPolicy("example.org"),
        PublishedPolicy("example.org", p="none", np="reject", pct="50", discovery="psl"),
        PublishedPolicy("example.org", p="what", sp="ever", np="!", adkim="x", aspf="s", pct="much", discovery="magic"),
    ],
)
def test_the_structure(form: Form, policy: PublishedPolicy) -> None:
    parsed(replace(REPORT, form=form, policy=policy))
    parsed(replace(REPORT, form=form, policy=policy, contact="", error="rows are left out"))


def test_the_words_of_rfc_9990() -> None:
    said = b"".join(as_xml(REPORT)).decode()
    assert "<org_name>Mairie de Néris</org_name>" in said
    assert f"<begin>{DAY * 86400}</begin><end>{DAY * 86400 + 86399}</end>" in said
    assert "<p>reject</p><sp>quarantine</sp><np>quarantine</np><testing>y</testing>" in said
    assert "<discovery_method>treewalk</discovery_method>" in said
    assert "<disposition>pass</disposition>" in said
    assert said.count("<spf><domain>") == 2
    assert "<type>policy_test_mode</type>" in said
    assert "<type>other</type><comment>arc: trusted</comment>" in said
    assert "pct" not in said


def test_the_words_of_rfc_7489() -> None:
    said = b"".join(as_xml(replace(REPORT, form=Form.RFC7489))).decode()
    assert "<pct>100</pct><fo>1:d</fo>" in said
    assert "<disposition>pass</disposition>" not in said
    assert said.count("<spf><domain>") == 3
    assert "<type>other</type><comment>policy_test_mode</comment>" in said
    for word in ("xmlns", "testing", "<np>", "discovery", "generator"):
        assert word not in said


def test_results_nobody_asked_for_are_none() -> None:
    said = b"".join(as_xml(replace(REPORT, rows=(replace(LISTED, spf_results=()),)))).decode()
    assert "<spf><domain>sub.example.org</domain><scope>mfrom</scope><result>none</result></spf>" in said


TEXTS = st.one_of(
    st.text(max_size=30),
    st.text("<>&\"'/!]-[CDATA \r\n\0", max_size=30),
    st.sampled_from(["]]>", "<!--", "&#0;", "\ud800"]),
)


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from(Form))
def test_nobodys_markup(text: str, form: Form) -> None:
    said = text or "x"
    row = DmarcRow(
        "192.0.2.1", 1, text, text, text, said, text, said, (DkimAuth(said, text, text),), (SpfAuth(said, text, text),),
        (Override(text, text),),
    )  # fmt: skip
    policy = PublishedPolicy(said, text, text, text, text, text, fo=said, pct=text, discovery=text)
    report = Report(said, said, said, text, DAY, policy, (row,), said, form, text)
    root = parsed(report)
    header_from = root.iter(f"{NAMESPACE if form is Form.RFC9990 else ''}header_from")
    assert [len(one.text or "") for one in header_from] == [len(said)]


def test_texts_are_bounded() -> None:
    row = replace(PASSED, header_from="<" * 10_000, envelope_from="x" * 10_000)
    root = parsed(replace(REPORT, rows=(row,)))
    assert {len(one.text or "") for tag in ("header_from", "envelope_from") for one in root.iter(NAMESPACE + tag)} == {
        TEXT_MOST
    }


def attached(message: bytes) -> tuple[str, bytes]:
    found = [part for part in email.message_from_bytes(message).walk() if part.get_content_type() == "application/gzip"]
    assert len(found) == 1
    payload = found[0].get_payload(decode=True)
    assert isinstance(payload, bytes)
    return str(found[0].get_filename()), payload


def message(report: Report, to: Sequence[str] = ("a@example.org", "b@reports.example")) -> bytes:
    return as_message(
        report, "dmarc-reports@mx.example.net", to, gzip.compress(b"".join(as_xml(report))), DAY * 86400 + 90_000
    )


def test_the_message() -> None:
    text = message(REPORT)
    found = email.message_from_bytes(text)
    name, packed = attached(text)
    assert name == f"mx.example.net!example.org!{DAY * 86400}!{DAY * 86400 + 86399}!a1b2.xml.gz"
    assert gzip.decompress(packed) == b"".join(as_xml(REPORT))
    subject = re.sub(r"\s+", " ", found["Subject"])
    assert subject == "Report Domain: example.org Submitter: mx.example.net Report-ID: <a1b2>"
    assert found["From"] == "<dmarc-reports@mx.example.net>"
    assert re.sub(r"\s+", " ", found["To"]) == "<a@example.org>, <b@reports.example>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert found["Message-ID"] == "<a1b2@mx.example.net>"
    assert b"on 2026-05-27 (UTC)" in text
    assert b"Messages that passed: 7. Messages that failed: 2." in text
    assert text.isascii()
    assert text.count(b"\n") == text.count(b"\r\n") == text.count(b"\r")
    assert max(map(len, text.split(b"\r\n"))) <= 120


@pytest.mark.parametrize("form", Form)
def test_we_read_what_we_write(form: Form) -> None:
    policy = replace(POLICY, np="none", aspf="r", testing=form is Form.RFC9990, discovery="treewalk")
    rows = (PASSED, replace(LISTED, overrides=LISTED.overrides[:1]))
    reading = read.mail(message(replace(REPORT, form=form, policy=policy, rows=rows)), Limits(), DAY * 86400 + 90_000)
    assert not reading.faults
    (report,) = reading.dmarc
    assert (report.organisation, report.email, report.report_id) == (
        "Mairie de Néris",
        "postmaster@example.net",
        "a1b2",
    )
    assert (report.begin, report.end) == (DAY * 86400, DAY * 86400 + 86399)
    assert report.policy.domain == "example.org"
    assert (report.policy.p, report.policy.sp, report.policy.adkim) == ("reject", "quarantine", "s")
    assert report.warnings == ()
    by_source = {row.source_ip: row for row in report.rows}
    passed = by_source["192.0.2.1"]
    assert passed.dkim_results == PASSED.dkim_results
    assert (passed.count, passed.dkim, passed.spf, passed.header_from) == (7, "pass", "pass", "example.org")
    assert passed.envelope_from == "bounce.example.org"
    assert by_source["2001:db8::1"].overrides == LISTED.overrides[:1]
    assert by_source["2001:db8::1"].envelope_to == "example.net"
    if form is Form.RFC9990:
        assert report.policy == policy
        assert passed.disposition == "pass"
