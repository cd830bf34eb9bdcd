"""Reports to test with: XML from rows, and what archives of it look like."""

import gzip
import io
import zipfile
import zlib

from poterne.mailauth.reports_in import read
from poterne.mailauth.reports_in.outcome import Limits, Reading
from poterne.values.dmarc import DmarcReport

NOW = 1_790_000_000
BEGIN, END = 1_789_862_400, 1_789_948_799
HEAD = (
    b'<?xml version="1.0"?><feedback><report_metadata><org_name>org.example</org_name><email>a@org.example</email>'
    b"<report_id>%s</report_id><date_range><begin>%s</begin><end>%s</end></date_range></report_metadata>"
    b"<policy_published><domain>%s</domain><p>none</p></policy_published>"
)
RECORD = (
    b"<record><row><source_ip>%s</source_ip><count>%d</count><policy_evaluated><disposition>none</disposition><dkim>%s</dkim>"
    b"<spf>%s</spf></policy_evaluated></row><identifiers><header_from>example.org</header_from></identifiers><auth_results>"
    b"<dkim><domain>example.org</domain><selector>s1</selector><result>%s</result></dkim>"
    b"<spf><domain>example.org</domain><result>%s</result></spf></auth_results></record>\n"
)
TAIL = b"</feedback>"


def head(
    report_id: bytes = b"1",
    begin: object = BEGIN,
    end: object = END,
    domain: bytes = b"example.org",
) -> bytes:
    return HEAD % (report_id, str(begin).encode(), str(end).encode(), domain)


def record(ip: str = "192.0.2.25", count: int = 1, dkim: bytes = b"pass", spf: bytes = b"pass") -> bytes:
    return RECORD % (ip.encode(), count, dkim, spf, dkim, spf)


def report(*records: bytes, **given: object) -> bytes:
    return head(**given) + b"".join(records or (record(),)) + TAIL  # type: ignore[arg-type]


def many(count: int) -> bytes:
    """So many records, all different."""
    return report(*(record(f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}") for i in range(count)))


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, octets in members:
            archive.writestr(name, octets)
    return out.getvalue()


def gz(octets: bytes) -> bytes:
    return gzip.compress(octets, 6, mtime=0)


def blown(first: bytes, filler: bytes, times: int) -> bytes:
    """Gzip of `first` and `filler` so many times, made at once: blocks of deflate may be repeated after a full flush."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(filler) + packer.flush(zlib.Z_FULL_FLUSH)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + start + block * times + packer.flush()


def of(octets: bytes, limits: Limits | None = None) -> Reading:
    return read.file(octets, limits or Limits(), NOW)


def one(octets: bytes) -> DmarcReport:
    """The only report of it."""
    reading = of(octets)
    assert not reading.faults, reading.faults
    (found,) = reading.dmarc
    return found
