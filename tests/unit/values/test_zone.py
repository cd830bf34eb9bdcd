"""Texts as zone files have them, and back."""

import dns.rdata
import dns.rdataclass
import dns.rdatatype
from hypothesis import given
from hypothesis import strategies as st

from poterne.values.zone import ZoneRecord, text_of, txt, txt_data


@given(st.binary(max_size=700))
def test_any_text_comes_back(text: bytes) -> None:
    data = txt_data(text)
    assert data.isascii()
    assert data.isprintable()
    assert text_of(data) == text
    read = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.TXT, data)
    assert b"".join(read.strings) == text  # type: ignore[attr-defined]  # of a TXT record
    assert all(len(one) <= 255 for one in read.strings)  # type: ignore[attr-defined]


def test_what_web_forms_want() -> None:
    record = txt("a.test", 'v=1; "x"' + "a" * 300, "spf")
    assert record.value == 'v=1; "x"' + "a" * 300
    assert record.line.startswith('a.test. 3600 IN TXT "v=1; \\"x\\"aaa')
    assert ZoneRecord("a.test", "MX", "10 b.test.", "mx").value == "10 b.test."


def test_whose_tree() -> None:
    record = txt("_dmarc.a.test", "x", "dmarc")
    assert record.below("a.test")
    assert record.below("test")
    assert not record.below("mc.a.test")
    assert not txt("b-a.test", "x", "spf").below("a.test")
