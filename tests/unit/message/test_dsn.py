import email
import email.message
import email.policy
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.message.causes import CAUSES, cause
from poterne.message.compose import Mailbox
from poterne.message.dsn import (
    MAX_SHOWN,
    Action,
    Notification,
    Original,
    RecipientReport,
    Rendered,
    render,
    returns_whole,
)
from poterne.message.dsn_read import Read, read, status_part
from poterne.message.header import index
from poterne.message.scan import scan
from poterne.message.texts import TEXTS

NOW = 1_790_062_865
DAY = 86_400
HEADER = b"From: ann@example.org\r\nSubject: Tuesday\r\nMessage-ID: <abc@example.org>\r\n\r\n"
FAILED = RecipientReport(
    "paul@example.com", Action.FAILED, "5.1.1", "550 5.1.1 User unknown", "mx.example.com", attempted_at=NOW
)


ORIGINAL = Original(HEADER)


def notification(
    *reports: RecipientReport, original: Original = ORIGINAL, language: str = "en", **more: object
) -> Notification:
    facts: dict[str, object] = {
        "hostname": "mx.example.org",
        "sender": Mailbox("postmaster@example.org"),
        "to": "ann@example.org",
        "language": language,
        "message_id": "<n1@mx.example.org>",
        "unix_s": NOW,
        "arrived_at": NOW - 5 * DAY,
        "recipients": reports or (FAILED,),
        "original": original,
    }
    return Notification(**{**facts, **more})  # type: ignore[arg-type]


def parts(rendered: Rendered) -> list[email.message.MIMEPart]:
    message = email.message_from_bytes(rendered.octets, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    found = list(message.iter_parts())
    assert len(found) == 3
    assert not message.defects
    return found


def text(rendered: Rendered) -> str:
    found = parts(rendered)[0].get_content()
    assert isinstance(found, str)
    return found.replace("\r\n", "\n")


def words(rendered: Rendered) -> str:
    """The text without its line ends."""
    return re.sub(r"[ \n]+", " ", text(rendered))


def told(rendered: Rendered) -> Read:
    part = status_part(scan(rendered.octets).root)
    assert part is not None
    return read(rendered.octets[part.body_start : part.body_end], part)


def report_lines(rendered: Rendered) -> list[str]:
    return parts(rendered)[1].as_string().splitlines()


def test_a_failure() -> None:
    rendered = render(notification(envid="QQ 314", offset_minutes=120))
    header = email.message_from_bytes(rendered.octets, policy=email.policy.default)
    assert header["Subject"] == "Not delivered: Tuesday"
    assert header["From"] == '"Mail server mx.example.org" <postmaster@example.org>'
    assert header["To"] == "ann@example.org"
    assert header["Auto-Submitted"] == "auto-replied"
    assert header["Message-ID"] == "<n1@mx.example.org>"
    assert header["In-Reply-To"] == header["References"] == "<abc@example.org>"
    assert header["Date"] == "Tue, 22 Sep 2026 09:41:05 +0200"
    assert not rendered.eight_bit
    assert not rendered.smtputf8
    _, status, returned = parts(rendered)
    assert status.get_content_type() == "message/delivery-status"
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload() == HEADER[:-2].decode()
    assert [line for line in report_lines(rendered) if line] == [
        "Content-Type: message/delivery-status",
        "Original-Envelope-Id: QQ 314",
        "Reporting-MTA: dns; mx.example.org",
        "Arrival-Date: Thu, 17 Sep 2026 09:41:05 +0200",
        "Final-Recipient: rfc822; paul@example.com",
        "Action: failed",
        "Status: 5.1.1",
        "Remote-MTA: dns; mx.example.com",
        "Diagnostic-Code: smtp; 550 5.1.1 User unknown",
        "Last-Attempt-Date: Tue, 22 Sep 2026 09:41:05 +0200",
    ]
    assert text(rendered) == (
        "This is the mail server mx.example.org, about your message “Tuesday” of\n"
        "17 September 2026, 09:41 (+0200).\n\n"
        "It could not be delivered to:\n\n"
        "  paul@example.com\n"
        "    There is no such address. Check its spelling, or ask for the right\n"
        "    address by another way.\n"
        "    The server mx.example.com said:\n"
        "    > 550 5.1.1 User unknown\n\n"
        "The server has stopped trying. Once the cause is gone, send the message\n"
        "again.\n\n"
        "The header of your message is attached.\n"
    )


def test_a_failure_in_french() -> None:
    rendered = render(notification(language="fr", original=Original(b"Subject: =?utf-8?q?R=C3=A9union?=\r\n\r\n")))
    header = email.message_from_bytes(rendered.octets, policy=email.policy.default)
    assert header["Subject"] == "Message non remis : Réunion"
    said = text(rendered)
    assert "votre message\n«\u00a0Réunion\u00a0» du 17 septembre 2026" in said
    assert "Il n’a pas pu être remis à\u00a0:" in said
    assert "Cette adresse n’existe pas." in said
    assert "a répondu\u00a0:\n    > 550 5.1.1 User unknown" in said
    assert "L’en-tête de votre message est joint." in said


def test_an_unknown_language_is_english() -> None:
    assert "could not be delivered" in text(render(notification(language="de")))


def test_a_delay() -> None:
    late = RecipientReport(
        "paul@example.com", Action.DELAYED, "4.4.1", "451 4.4.1 timeout", "mx.example.com", local=True, retry_until=NOW + DAY
    )  # fmt: skip
    rendered = render(notification(late))
    assert b"Subject: Delayed: Tuesday\r\n" in rendered.octets
    lines = report_lines(rendered)
    assert "Action: delayed" in lines
    assert "Will-Retry-Until: Wed, 23 Sep 2026 07:41:05 +0000" in lines
    assert "Diagnostic-Code: x-poterne; 451 4.4.1 timeout" in lines
    said = text(rendered)
    assert "keeps trying until 23 September 2026, 07:41 (UTC)" in said
    assert "In detail:\n    > 451 4.4.1 timeout" in said
    assert "Check" not in said  # nothing is to be done
    assert "Will-Retry" not in render(notification(FAILED)).octets.decode()


def test_success_says_no_more_than_it_knows() -> None:
    delivered = RecipientReport("a@example.com", Action.DELIVERED, "2.1.5")
    relayed = RecipientReport("b@example.com", Action.RELAYED, "2.0.0", "250 ok", "mx.example.com")
    expanded = RecipientReport("list@example.com", Action.EXPANDED)
    rendered = render(notification(delivered, relayed, expanded))
    assert b"Subject: Delivered: Tuesday\r\n" in rendered.octets
    said = words(rendered)
    for part in ("has read it", "will not confirm", "several people", "a@example.com", "b@example.com"):
        assert part in said
    assert "250 ok" not in said
    assert [(one.action, one.status) for one in told(rendered).told] == [
        (Action.DELIVERED, "2.1.5"),
        (Action.RELAYED, "2.0.0"),
        (Action.EXPANDED, "2.0.0"),
    ]
    assert b"Subject: Passed on: " in render(notification(relayed)).octets
    assert b"Subject: Delivered: " in render(notification(expanded)).octets


def test_different_fates_in_one() -> None:
    late = RecipientReport("late@example.com", Action.DELAYED, "4.2.2")
    rendered = render(notification(late, FAILED, RecipientReport("ok@example.com", Action.DELIVERED)))
    assert b"Subject: Not delivered: Tuesday\r\n" in rendered.octets
    said = text(rendered)
    assert said.index("paul@") < said.index("late@") < said.index("ok@")
    assert [one.recipient for one in told(rendered).told] == ["late@example.com", "paul@example.com", "ok@example.com"]


def test_who_met_the_same_is_told_together() -> None:
    reports = [RecipientReport(f"{name}@nowhere.example", Action.FAILED, "5.1.2", "no domain") for name in "abc"]
    said = text(render(notification(*reports)))
    assert "  a@nowhere.example\n  b@nowhere.example\n  c@nowhere.example\n    The domain" in said
    assert said.count("no domain") == 1


def test_many_recipients_are_not_all_in_the_text() -> None:
    reports = [RecipientReport(f"r{n}@example.com", Action.FAILED, "5.1.1", f"550 {n}") for n in range(MAX_SHOWN + 7)]
    rendered = render(notification(*reports))
    said = text(rendered)
    assert f"r{MAX_SHOWN - 1}@" in said
    assert f"r{MAX_SHOWN}@" not in said
    assert f"({MAX_SHOWN} of {MAX_SHOWN + 7})" in said
    assert len(told(rendered).told) == MAX_SHOWN + 7


def test_given_up_after_days_says_so() -> None:
    gone = RecipientReport("paul@example.com", Action.FAILED, "4.4.1")
    assert "The server tried for 5 days." in words(render(notification(gone)))
    assert "essayé pendant 5\u00a0jours" in " ".join(
        re.split(r"[ \n]+", text(render(notification(gone, language="fr"))))
    )
    assert "tried for" not in words(render(notification(FAILED)))
    assert told(render(notification(gone))).told[0].status == "4.4.1"


@pytest.mark.parametrize(
    ("action", "status", "shown"),
    [
        (Action.FAILED, "", "5.0.0"),
        (Action.FAILED, "2.0.0", "5.0.0"),
        (Action.FAILED, "5.1.1 x", "5.0.0"),
        (Action.FAILED, "5.01.1", "5.0.0"),
        (Action.FAILED, "4.4.7", "4.4.7"),
        (Action.DELAYED, "5.1.1", "4.0.0"),
        (Action.DELIVERED, "5.1.1", "2.0.0"),
        (Action.RELAYED, "2.6.4", "2.6.4"),
    ],
)
def test_status_fits_the_action(action: Action, status: str, shown: str) -> None:
    assert told(render(notification(RecipientReport("a@b.example", action, status)))).told[0].status == shown


@pytest.mark.parametrize(
    ("orcpt", "shown"),
    [
        ("rfc822;paul+2Btag@example.com", "rfc822; paul+tag@example.com"),
        ("RFC822;a+3Db@example.com", "RFC822; a=b@example.com"),
        ("rfc822;a+0D+0ABcc:x", "rfc822; a Bcc:x"),
        ("rfc822;a+C3+A9", "rfc822; a??"),
        ("x400;/CN=x", "x400; /CN=x"),
        ("no type", "unknown; no type"),
        ("utf-8;\\x{E9}@example.com", "utf-8; \\x{E9}@example.com"),
    ],
)
def test_original_recipient(orcpt: str, shown: str) -> None:
    report = RecipientReport("paul@example.com", Action.FAILED, orcpt=orcpt)
    assert f"Original-Recipient: {shown}" in report_lines(render(notification(report)))


def test_without_orcpt_or_envid_there_is_no_such_field() -> None:
    octets = render(notification()).octets
    assert b"Original-" not in octets


def test_international_addresses() -> None:
    report = RecipientReport(
        "é@example.com", Action.FAILED, "5.1.1", "550 inconnu à cette adresse", "mx.example.com", orcpt="utf-8;\\x{E9}@example.com"
    )  # fmt: skip
    rendered = render(notification(report, FAILED))
    assert rendered.octets.isascii()
    assert not rendered.smtputf8
    status = parts(rendered)[1]
    assert status.get_content_type() == "message/global-delivery-status"
    found = told(rendered)
    assert found.told[0].recipient == found.told[0].original == "é@example.com"
    assert found.told[0].diagnostic == "550 inconnu à cette adresse"
    assert b"Final-Recipient: utf-8; =C3=A9@example.com" in rendered.octets
    assert b"Final-Recipient: rfc822; paul@example.com" in rendered.octets


def test_a_sender_with_an_international_address_needs_smtputf8() -> None:
    rendered = render(notification(to="é@example.org"))
    assert rendered.smtputf8
    assert "To: <é@example.org>\r\n".encode() in rendered.octets


def test_eight_bit_answers_stay_readable_for_people() -> None:
    report = RecipientReport("a@example.com", Action.FAILED, "5.7.1", "550 refusé", "mx.example.com")
    rendered = render(notification(report))
    assert "> 550 refusé" in text(rendered)
    assert "Diagnostic-Code: smtp; 550 refus?" in report_lines(rendered)
    assert rendered.octets.isascii()


# What is returned


def whole(octets: bytes) -> tuple[Rendered, email.message.MIMEPart]:
    rendered = render(notification(original=Original(octets, whole=True)))
    return rendered, parts(rendered)[2]


def test_a_whole_message() -> None:
    rendered, returned = whole(HEADER + b"--=_x\r\nbody\r\n")
    assert returned.get_content_type() == "message/rfc822"
    assert (HEADER + b"--=_x\r\nbody\r\n") in rendered.octets
    assert "Your message is attached." in text(rendered)
    assert rendered.octets.isascii()


def test_a_whole_message_with_eight_bit_text() -> None:
    rendered, returned = whole(HEADER + "déjà\r\n".encode())
    assert rendered.eight_bit
    assert not rendered.smtputf8
    assert returned["Content-Transfer-Encoding"] == "8bit"
    assert index(rendered.octets).value(b"content-transfer-encoding") == b"8bit"


def test_a_whole_message_with_utf8_in_its_header_is_encoded() -> None:
    octets = b"Subject: d\xc3\xa9j\xc3\xa0\r\n\r\nx\xc3\xa9\r\n"
    rendered, returned = whole(octets)
    assert rendered.octets.isascii()
    assert returned.get_content_type() == "message/global"
    assert b"U3ViamVjdDog" in rendered.octets
    assert "déjà" in text(rendered)


@pytest.mark.parametrize("body", [b"a\rb\r\n", b"a\nb\r\n", b"a\0b\r\n", b"x" * 999 + b"\r\n"])
def test_a_message_that_mail_cannot_carry_comes_back_as_its_header(body: bytes) -> None:
    rendered, returned = whole(HEADER + body)
    assert returned.get_content_type() == "text/rfc822-headers"
    assert body.strip() not in rendered.octets
    assert "The header of your message is attached." in text(rendered)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (b"Subject: \xc3\xa9\r\n", "message/global-headers"),
        (b"Subject: \xe9\r\n", "text/rfc822-headers"),
        (b"Subject: a\rb \r\nX: " + b"y" * 1200 + b"\r\n", "text/rfc822-headers"),
        (b"Subject: a\0\n.\r\n", "text/rfc822-headers"),
    ],
)
def test_headers_that_need_encoding_come_back_exactly(header: bytes, kind: str) -> None:
    rendered = render(notification(original=Original(header + b"\r\n")))
    assert rendered.octets.isascii()
    part = scan(rendered.octets).root.children[2]
    assert f"{part.type.decode()}/{part.subtype.decode()}" == kind
    encoded = rendered.octets[part.body_start : part.body_end]
    decoded = encoded.replace(b"=\r\n", b"")
    decoded = re.sub(rb"=([0-9A-F]{2})", lambda code: bytes.fromhex(code[1].decode()), decoded)
    assert decoded == header
    assert max(map(len, encoded.split(b"\r\n"))) <= 76


def test_a_header_without_an_end() -> None:
    assert b"\r\n\r\nSubject: x\r\n--=_" in render(notification(original=Original(b"Subject: x"))).octets
    render(notification(original=Original(b"")))


def test_what_is_returned_whole() -> None:
    failed = frozenset({Action.FAILED, Action.DELAYED})
    assert returns_whole("FULL", failed, 1000, 1000)
    assert not returns_whole("FULL", failed, 1001, 1000)
    assert not returns_whole("FULL", frozenset({Action.DELIVERED, Action.DELAYED}), 10, 1000)
    assert not returns_whole("HDRS", failed, 10, 1000)
    assert not returns_whole("", failed, 10, 1000)


# Hostile


hostile = st.text(max_size=300) | st.text(alphabet='a\r\n;()<>"\\\0 \t:é\u202e=?-{}', max_size=60)
reports = st.lists(
    st.builds(
        RecipientReport,
        hostile,
        st.sampled_from(Action),
        st.sampled_from(["", "5.1.1", "4.4.7", "2.0.0"]) | hostile,
        hostile,
        hostile,
        st.booleans(),
        hostile,
        st.integers(0, 2**32),
        st.integers(0, 2**32),
    ),
    min_size=1,
    max_size=4,
)
originals = st.builds(Original, st.binary(max_size=300) | hostile.map(lambda t: f"Subject: {t}\r\nMessage-ID: {t}\r\n\r\n{t}".encode("utf-8", "replace")), st.booleans())  # fmt: skip


@settings(max_examples=300)
@given(reports, originals, st.sampled_from(["en", "fr"]), hostile, hostile)
def test_whatever_strangers_write_it_is_one_sound_message(
    recipients: list[RecipientReport], original: Original, language: str, envid: str, hostname: str
) -> None:
    made = notification(*recipients, original=original, language=language, envid=envid, hostname=hostname)
    rendered = render(made)
    octets = rendered.octets
    assert octets.count(b"\r\n") == octets.count(b"\r") == octets.count(b"\n")
    assert b"\0" not in octets
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    if not rendered.eight_bit:
        assert octets.isascii()
    header = index(octets)
    assert not header.facts
    assert {field.name for field in header.fields} <= {
        b"from", b"to", b"subject", b"date", b"message-id", b"auto-submitted", b"in-reply-to", b"references",
        b"mime-version", b"content-type", b"content-transfer-encoding",
    }  # fmt: skip
    assert not header.duplicates
    root = scan(octets).root
    assert len(root.children) == 3
    part = status_part(root)
    assert part is root.children[1]
    found = read(octets[part.body_start : part.body_end], part)
    assert len(found.told) == sum(1 for one in recipients if one.recipient.strip())
    shown = octets[root.children[0].body_start : root.children[0].body_end]
    assert "\u202e".encode() not in shown
    assert b"=E2=80=AE" not in shown


# Advice


def test_every_cause_has_its_texts_and_is_used() -> None:
    assert {f"cause.{one}" for one in CAUSES} == {key for key in TEXTS if key.startswith("cause.")}
    assert {f"todo.{one}" for one in CAUSES} == {key for key in TEXTS if key.startswith("todo.")}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("5.1.1", "address"),
        ("5.1.2", "domain"),
        ("5.1.10", "null-mx"),
        ("4.2.2", "full"),
        ("5.2.3", "too-big"),
        ("5.3.4", "too-big"),
        ("4.3.2", "system"),
        ("4.4.1", "unreachable"),
        ("4.4.3", "dns"),
        ("5.4.6", "loop"),
        ("4.4.7", "expired"),
        ("5.5.3", "too-many"),
        ("5.5.1", "protocol"),
        ("5.6.3", "eight-bit"),
        ("5.6.7", "international"),
        ("5.6.0", "content"),
        ("5.7.1", "policy"),
        ("5.7.26", "authentication"),
        ("4.7.5", "encryption"),
        ("5.7.30", "requiretls"),
        ("5.0.0", "other"),
        ("5.9.9", "other"),
        ("", "other"),
        ("nonsense", "other"),
    ],
)
def test_causes(status: str, expected: str) -> None:
    assert cause(status) == expected


@given(st.from_regex(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True) | st.text(max_size=20))
def test_every_status_has_a_cause(status: str) -> None:
    assert cause(status) in CAUSES
