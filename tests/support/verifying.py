"""What is kept about senders that are verified, to test with: quarantined messages, keys, results, reports."""

from dataclasses import replace

from poterne.store.interface import Store
from poterne.values.dkim import DkimKey, KeyState
from poterne.values.dmarc import DkimAuth, DmarcCount, DmarcReport, DmarcRow, Override, PublishedPolicy, SpfAuth
from poterne.values.ids import AccountId, TraceId
from poterne.values.quarantine import NewQuarantined
from poterne.values.reports import NewReportMail, ReportKind, TlsReport, TlsReportRow
from poterne.values.secret import Secret
from tests.support.stores import AT, blob, content

DAY = AT // 86_400
BODY = b"Subject: x\r\n\r\nsuspicious\r\n"
POLICY = PublishedPolicy("sender.example", "reject", adkim="r", aspf="r")
ROW = DmarcRow(
    "192.0.2.7",
    2,
    "none",
    "pass",
    "fail",
    "sender.example",
    "bounces.sender.example",
    "example.org",
    (DkimAuth("sender.example", "s1", "pass"),),
    (SpfAuth("bounces.sender.example", "mfrom", "fail"),),
    (Override("mailing_list", "known"),),
)
KEY = DkimKey("example.org", "s1", "ed25519-sha256", Secret(b"-----BEGIN PRIVATE KEY-----"), KeyState.NEXT, AT, AT)
TLS_REPORT = TlsReport(
    "Big Mail", "tls@big.example", "t-1", AT, AT + 86_399, (TlsReportRow("sts", "example.org", 9, 1),), ("odd",)
)


async def suspicious(
    store: Store, account_id: AccountId, body: bytes = BODY, *, expires_at: int = AT + 1000, trace: str = "q"
) -> NewQuarantined:
    return NewQuarantined(
        account_id,
        TraceId(trace),
        await content(store, body, (2**64 - 1, 5)),
        AT,
        expires_at,
        "dmarc-fail",
        "alice@example.org",
        "mallory@evil.example",
        "Alice <alice@example.org>",
        "Très urgent",
        "192.0.2.66",
    )


async def report_mail(store: Store, body: bytes = b"Subject: Report domain: example.org\r\n\r\n") -> NewReportMail:
    return NewReportMail(
        ReportKind.DMARC, "example.org", TraceId("r"), await blob(store, body), AT, "big.example", proven=True
    )


def counted(row: DmarcRow = ROW, day: int = 7, policy: PublishedPolicy = POLICY) -> DmarcCount:
    return DmarcCount(day, policy, row)


def report(
    *rows: DmarcRow, organisation: str = "Big Mail", report_id: str = "r-1", begin: int = AT, seconds: int = 86_399
) -> DmarcReport:
    policy = replace(POLICY, domain="example.org")
    return DmarcReport(organisation, "dmarc@big.example", report_id, begin, begin + seconds, policy, rows or (ROW,))
