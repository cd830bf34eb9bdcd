"""Reports that want to harm: each gives a fault, or what can be read of it, and never an exception."""

import base64
import struct
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.mailauth.reports_in import aggregate, mend, read, tls
from poterne.mailauth.reports_in.outcome import Fault, Limits, Reading
from tests.unit.mailauth.reports_in.written import (
    BEGIN,
    END,
    NOW,
    TAIL,
    blown,
    gz,
    head,
    many,
    of,
    one,
    record,
    report,
    zipped,
)

SMALL = Limits(expanded_bytes=200_000, rows=100)
LAUGHS = b'<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("octets", "fault"),
    [
        (b'<?xml version="1.0"?>' + LAUGHS + b"<feedback>&b;</feedback>", Fault.DTD),
        (LAUGHS + b"<feedback>&b;</feedback>", Fault.DTD),
        (b'<?xml version="1.0"?><!DOCTYPE f SYSTEM "file:///etc/passwd"><feedback/>', Fault.DTD),
        (b'<?xml version="1.0"?><!DOCTYPE f [<!ENTITY x SYSTEM "http://192.0.2.1/">]><f>&x;</f>', Fault.DTD),
        (b'<?xml version="1.0"?><!DOCTYPE f [<!ENTITY % x SYSTEM "http://192.0.2.1/"> %x;]><f/>', Fault.DTD),
        (('<?xml version="1.0" encoding="UTF-16"?>' + LAUGHS.decode() + "<f>&b;</f>").encode("utf-16"), Fault.DTD),
        (head() + b"<a>" * 10_000, Fault.DEPTH),
        (head() + b'<a b="' + b"x" * 5_000_000, Fault.TOKEN),
        (head() + b"<" + b"x" * 5_000_000, Fault.TOKEN),
        (head() + b"<!--" + b"x" * 5_000_000, Fault.TOKEN),
        (b"<feedback></feedback>", Fault.SYNTAX),
        (b"<?xml ", Fault.SYNTAX),
        (b"<feedback>\0</feedback>", Fault.SYNTAX),
        (b'<?xml version="1.0" encoding="UTF-7"?><feedback>+ADw-record+AD4-</feedback>', Fault.SYNTAX),
        (b'<?xml version="1.0" encoding="zlib"?><feedback/>', Fault.SYNTAX),
        (b'<?xml version="1.0" encoding="../../etc/passwd"?><feedback/>', Fault.SYNTAX),
        (report(begin=0, end=253_370_764_800), Fault.RANGE),
        (report(begin=NOW, end=NOW + 90 * 86_400), Fault.RANGE),
        (report(begin=NOW + 9 * 86_400, end=NOW + 10 * 86_400), Fault.RANGE),
        (report(begin="1" * 40, end="2" * 40), Fault.RANGE),
        (report(begin=-5, end="soon"), Fault.RANGE),
        (head() + b"\0" * 100, Fault.SYNTAX),
        (head(domain=b"") + TAIL, Fault.INCOMPLETE),
        (gz(gz(report())), Fault.NESTED),
        (zipped(("a.zip", zipped(("a.xml", report())))), Fault.NESTED),
        (gz(zipped(("a.xml", report()))), Fault.NESTED),
        (b"PK\x03\x04", Fault.ARCHIVE),
        (b"\x1f\x8b\x08" + b"\xff" * 50, Fault.ARCHIVE),
        (zipped(("a/", b""), ("b/", b"")), Fault.ARCHIVE),
        (zipped(("a.xml", report()), method=zipfile.ZIP_LZMA), Fault.ARCHIVE),
        (b'{"policies": "x"}', Fault.SYNTAX),
        (b'{"policies": ' + b"[" * 100_000, Fault.SYNTAX),
        (b'{"x": ' + b"[" * 100_000, Fault.DEPTH),
        (b'{"policies": [' + b"{}," * 100_000, Fault.TOO_LARGE),
        (b'{"policies": [], "report-id": "\0"}', Fault.SYNTAX),
        (b'{"date-range": {"start-datetime": 0, "end-datetime": "9999-12-30"}, "organization-name": "x"}', Fault.RANGE),
        (b"hello", Fault.NOTHING),
        (b"", Fault.NOTHING),
        (b"x" * (10 * 1024 * 1024 + 1), Fault.TOO_LARGE),
    ],
)  # fmt: skip
def test_refused(octets: bytes, fault: Fault) -> None:
    assert of(octets) == Reading(faults=(fault,))


def test_bombs() -> None:
    for filler, fault in ((b" ", Fault.BOMB), (b"\0", Fault.SYNTAX)):
        bomb = blown(b"<feedback>", filler * (1 << 20), 1024)
        assert len(bomb) < 1_100_000
        assert of(bomb).faults == (fault,)
    assert of(gz(report()[: -len(b"</feedback>")] + b" " * 3_000_000 + b"</feedback>")).faults == (
        Fault.BOMB,
    )  # by its ratio
    assert of(gz(b"<feedback>" + b"x" * 300_000), SMALL).faults == (Fault.BOMB,)
    assert of(zipped(("a.xml", b"<feedback>" + b"x" * 300_000)), SMALL).faults == (Fault.BOMB,)
    assert of(b"<feedback>" + b"x" * 300_000, SMALL).faults == (Fault.TOO_LARGE,)


def test_a_bomb_in_many_members() -> None:
    member = gz(b" " * 30_000)
    assert of(gz(b"<feedback>") + member * 15, SMALL).faults == (Fault.BOMB,)
    assert of(gz(b"<feedback>") + gz(b"") * 1000, SMALL).faults == (Fault.ARCHIVE,)


def test_several_members_are_one_document() -> None:
    whole = report()
    assert one(gz(whole[:200]) + gz(whole[200:])).rows
    assert one(gz(whole) + b"what follows is not looked at").rows


@pytest.mark.parametrize("size", [0, 1, 0xFFFFFFFF])
def test_sizes_of_a_zip_are_not_believed(size: int) -> None:
    packed = bytearray(zipped(("a.xml", report())))
    packed[18:26] = struct.pack("<II", size, size)
    directory = packed.index(b"PK\x01\x02")
    packed[directory + 20 : directory + 28] = struct.pack("<II", size, size)
    assert len(one(bytes(packed)).rows) == 1


def test_a_zip_with_sizes_behind_the_data_and_what_systems_add() -> None:
    found = one(zipped(("__MACOSX/._a.xml", bytes(100)), ("dir/", b""), ("a.xml", report())))
    assert len(found.rows) == 1
    flagged = bytearray(zipped(("empty", b""), ("a.xml", report())))
    flagged[6] |= 8
    assert of(bytes(flagged)).faults in {(Fault.ARCHIVE,), ()}
    encrypted = bytearray(zipped(("a.xml", report())))
    encrypted[6] |= 1
    assert of(bytes(encrypted)).faults == (Fault.ARCHIVE,)
    stored = zipped(("a.xml", report()), method=zipfile.ZIP_STORED)
    assert len(one(stored).rows) == 1


def test_rows_are_bounded() -> None:
    found = of(many(150), SMALL).dmarc[0]
    assert len(found.rows) == 100
    assert found.warnings == ("more than 100 records: the rest is left out",)
    alike = of(report(*[record()] * 100), SMALL).dmarc[0]
    assert [row.count for row in alike.rows] == [100]
    assert of(head() + b"<a/>" * 20_000, SMALL).faults == (Fault.TOO_LARGE,)


def test_texts_of_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "KEPT_MOST", 5000)
    found = one(many(100))
    assert 5 < len(found.rows) < 20
    assert found.warnings == ("too much text: the rest is left out",)


def test_broken_off() -> None:
    whole = many(10)
    found = one(whole[: whole.rindex(b"<record>") + 40])
    assert len(found.rows) == 9
    assert found.warnings == ("broken off: it is not well-formed",)
    packed = gz(many(1000))
    assert 0 < len(one(packed[: len(packed) // 2]).rows) < 1000


def test_texts_are_one_printable_line() -> None:
    name = b"evil\r\n\x1b[31mX-Header: 1 \xe2\x80\xae=cmd()" + b"y" * 9000
    found = of(report().replace(b"org.example</org", name.replace(b"\x1b", b"") + b"</org")).dmarc[0]
    assert found.organisation.isprintable()
    assert len(found.organisation) <= mend.TEXT_MOST


@pytest.mark.parametrize(
    ("begin", "end", "gives"),
    [
        (BEGIN * 1000, END * 1000, (BEGIN, END)),
        (BEGIN * 10**6, END * 10**6, (BEGIN, END)),
        (END, BEGIN, (BEGIN, END)),
        (f" {BEGIN}.0\n", f"{END}.9", (BEGIN, END)),
        ("2026-09-20T00:00:00Z", "2026-09-20T23:59:59+00:00", (BEGIN, END)),
        (BEGIN, "", (BEGIN, BEGIN)),
        ("", END, (END, END)),
        (BEGIN - 6 * 86_400, END, (BEGIN - 6 * 86_400, END)),
    ],
)
def test_times(begin: object, end: object, gives: tuple[int, int]) -> None:
    found = one(report(begin=begin, end=end))
    assert (found.begin, found.end) == gives


@pytest.mark.parametrize("count", ["-1", "0", "1e9", "1" * 30, "", "x", "٣", "0x10"])
def test_counts_without_sense(count: str) -> None:
    found = of(report(record().replace(b"<count>1<", f"<count>{count}<".encode()))).dmarc[0]
    assert found.rows == ()
    assert found.warnings == ("a record without a count that makes sense is left out",)


def mail(*parts: bytes, kind: bytes = b"multipart/mixed") -> bytes:
    body = b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"
    return b"From: a@org.example\r\nMIME-Version: 1.0\r\nContent-Type: " + kind + b'; boundary="x"\r\n\r\n' + body


def attached(octets: bytes, kind: bytes = b"application/gzip", encoding: bytes = b"base64") -> bytes:
    text = base64.encodebytes(octets).replace(b"\n", b"\r\n") if encoding == b"base64" else octets
    return b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + text


def test_attachments() -> None:
    both = read.mail(mail(attached(gz(report(report_id=b"1"))), attached(gz(report(report_id=b"2")))), Limits(), NOW)
    assert [found.report_id for found in both.dmarc] == ["1", "2"]
    deep = mail(mail(mail(attached(gz(report())))).partition(b"MIME-Version: 1.0\r\n")[2].join((b"", b"")))
    assert len(read.mail(deep.replace(b"From: a@org.example\r\n", b"", 0), Limits(), NOW).dmarc) <= 1
    forwarded = mail(
        b"Content-Type: message/rfc822\r\n\r\n"
        + mail(attached(gz(report()))).replace(b"--x", b"--y").replace(b'"x"', b'"y"')
    )
    assert len(read.mail(forwarded, Limits(), NOW).dmarc) == 1
    for kind in (b"text/plain", b"text/xml", b"application/octet-stream", b"application/x-zip", b"x", b"", b"audio"):
        assert len(read.mail(mail(attached(gz(report()), kind)), Limits(), NOW).dmarc) == 1, kind


def test_base64_with_junk() -> None:
    text = base64.encodebytes(gz(report())).replace(b"\n", b" !\r\n*")
    part = b"Content-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + text
    assert len(read.mail(mail(part), Limits(), NOW).dmarc) == 1
    hidden = b"Content-Type: application/gzip\r\n\r\n" + base64.encodebytes(gz(report())).replace(b"\n", b"\r\n")
    assert len(read.mail(mail(hidden), Limits(), NOW).dmarc) == 1


def test_documents_are_bounded() -> None:
    many_documents = read.mail(mail(*[attached(gz(report()))] * 50), Limits(), NOW)
    assert len(many_documents.dmarc) == read.DOCUMENTS_MOST
    assert read.mail(mail(b"Content-Type: text/html\r\n\r\n<!DOCTYPE html><html></html>"), Limits(), NOW).faults == (
        Fault.NOTHING,
    )


def test_a_mail_with_room_at_its_head() -> None:
    assert len(read.mail(b" " * 500 + mail(attached(gz(report()))), Limits(), NOW).dmarc) == 1


def test_tls_numbers_and_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "FAILURES_MOST", 2)
    failures = ",".join(f'{{"result-type":"r{chr(97 + i)}","failed-session-count":{i}}}' for i in range(5))
    text = (
        '{"organization-name":7,"report-id":null,"date-range":{"start-datetime":"2026-09-20T00:00:00Z"},"policies":[{"policy":'
        '{"policy-type":"STS","policy-domain":"x.example"},"summary":{"total-successful-session-count":1e99,'
        f'"total-failure-session-count":"-3"}},"failure-details":[{failures}]}}]}}'
    )
    for octets in (text.encode(), b"\xef\xbb\xbf" + text.encode(), text.encode("utf-16"), gz(text.encode())):
        (found,) = of(octets).tls
        (row,) = found.rows
        assert (found.organisation, row.policy, row.succeeded, row.failed) == ("7", "sts", 0, 0)
        assert row.failures == (("re", "", 4), ("rd", "", 3))
    latin = text.replace("x.example", "é.example").encode("latin-1")
    assert of(latin).tls[0].rows[0].policy_domain == "xn--9ca.example"


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_is_read_or_refused(data: st.DataObject) -> None:
    start = data.draw(
        st.sampled_from([report(), gz(report()), zipped(("a.xml", report())), mail(attached(gz(report())))])
    )
    octets = bytearray(start)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(octets) - 1))
        octets[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    found = of(bytes(octets), SMALL)
    assert found.faults or not found.empty


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300), st.sampled_from([b"", b"<feedback>", b"{", b"\x1f\x8b\x08\0\0\0\0\0\0\0", b"PK\x03\x04"])
)
def test_any_octets(octets: bytes, first: bytes) -> None:
    found = of(first + octets, SMALL)
    assert found.faults or not found.empty
