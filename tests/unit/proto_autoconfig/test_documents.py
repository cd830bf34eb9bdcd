"""What programs and people are told: complete, well-formed, and nothing that is not open."""

import html.parser
import json
import plistlib
from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from poterne.proto.autoconfig import apple, mobile, mozilla, outlook, page
from poterne.proto.autoconfig.offer import Door, Offer, Protocol, offer
from poterne.proto.autoconfig.texts import LANGUAGES, TEXTS

HOST = "mail.d.test"
ALL = {"imaps": 993, "pop3s": 995, "submissions": 465, "submission": 587}
WHOLE = offer(HOST, ALL, 443)
ANNE = "anne@d.test"
HOSTILE = "a&<'\"]]>%n{x}@d.test"
"""Such an address can't be parsed; what is made of it is well-formed all the same."""
NS = {"o": outlook.SCHEMA}


def test_the_better_door_comes_first() -> None:
    made = offer(HOST, {"submission": 587, "imap": 143, "imaps": 993, "submissions": 465}, 8443)
    assert made.web == f"https://{HOST}:8443"
    assert [(one.protocol, one.port, one.implicit) for one in made.doors] == [
        (Protocol.IMAP, 993, True),
        (Protocol.IMAP, 143, False),
        (Protocol.SMTP, 465, True),
        (Protocol.SMTP, 587, False),
    ]
    assert made.incoming == Door(Protocol.IMAP, HOST, 993, implicit=True)
    assert made.complete
    assert not offer(HOST, {"imaps": 993}, 443).complete
    assert not offer(HOST, {"submissions": 465}, 443).complete


def servers(document: bytes) -> list[tuple[str | None, ...]]:
    provider = ET.fromstring(document).find("emailProvider")
    assert provider is not None
    found = []
    for one in provider:
        if one.tag.endswith("Server"):
            texts = (one.findtext(tag) for tag in ("hostname", "port", "socketType", "authentication", "username"))
            found.append((one.tag, one.get("type"), *texts))
    return found


def test_mozilla() -> None:
    user = "%EMAILADDRESS%"
    plain = "password-cleartext"
    assert servers(mozilla.document(WHOLE, "d.test")) == [
        ("incomingServer", "imap", HOST, "993", "SSL", plain, user),
        ("incomingServer", "pop3", HOST, "995", "SSL", plain, user),
        ("outgoingServer", "smtp", HOST, "465", "SSL", plain, user),
        ("outgoingServer", "smtp", HOST, "587", "STARTTLS", plain, user),
    ]
    root = ET.fromstring(mozilla.document(WHOLE, "d.test"))
    assert root.get("version") == "1.1"
    assert root.findtext("emailProvider/domain") == "d.test"
    assert [one[3] for one in servers(mozilla.document(offer(HOST, {"pop3": 110}, 443), "d.test"))] == ["110"]
    assert ET.fromstring(mozilla.document(WHOLE, HOSTILE)).findtext("emailProvider/domain") == HOSTILE


def protocols(document: bytes) -> list[dict[str, str | None]]:
    account = ET.fromstring(document).find("o:Response/o:Account", NS)
    assert account is not None
    assert account.findtext("o:Action", "", NS) == "settings"
    assert account.findtext("o:AccountType", "", NS) == "email"
    return [{one.tag.rpartition("}")[2]: one.text for one in found} for found in account.findall("o:Protocol", NS)]


def test_outlook() -> None:
    imap, pop, smtp = protocols(outlook.settings(WHOLE, ANNE))
    assert (imap["Type"], imap["Server"], imap["Port"], imap["LoginName"]) == ("IMAP", HOST, "993", ANNE)
    assert (imap["SSL"], imap["SPA"], imap["AuthRequired"], imap["Encryption"]) == ("on", "off", "on", "SSL")
    assert (pop["Type"], pop["Port"]) == ("POP3", "995")
    assert (smtp["Type"], smtp["Port"], smtp["AuthRequired"]) == ("SMTP", "465", "on")
    (only, late) = protocols(outlook.settings(offer(HOST, {"imap": 143, "submission": 587}, 443), HOSTILE))
    assert (only["Port"], only["Encryption"], only["LoginName"]) == ("143", "TLS", HOSTILE)
    assert (late["Port"], late["Encryption"]) == ("587", "TLS")


def test_apple() -> None:
    text = apple.profile(WHOLE, ANNE, "fr")
    assert text is not None
    assert text == apple.profile(WHOLE, ANNE, "fr")  # installed again, it replaces itself
    whole = plistlib.loads(text)
    (account,) = whole["PayloadContent"]
    assert whole["PayloadType"] == "Configuration"
    assert whole["PayloadDisplayName"] == "Messagerie de d.test"
    assert account["PayloadType"] == "com.apple.mail.managed"
    assert account["EmailAccountType"] == "EmailTypeIMAP"
    for side, port in (("Incoming", 993), ("Outgoing", 465)):
        assert account[f"{side}MailServerHostName"] == HOST
        assert account[f"{side}MailServerPortNumber"] == port
        assert account[f"{side}MailServerUseSSL"] is True
        assert account[f"{side}MailServerUsername"] == ANNE
        assert account[f"{side}MailServerAuthentication"] == "EmailAuthPassword"
    assert not [
        key for key in (*whole, *account) if "Password" in key and key != "OutgoingPasswordSameAsIncomingPassword"
    ]
    other = plistlib.loads(apple.profile(WHOLE, "bob@d.test", "en") or b"")
    assert other["PayloadIdentifier"] != whole["PayloadIdentifier"]
    assert len({account["PayloadUUID"], whole["PayloadUUID"], other["PayloadUUID"]}) == 3
    assert plistlib.loads(apple.profile(WHOLE, HOSTILE, "en") or b"")["PayloadContent"][0]["EmailAddress"] == HOSTILE
    assert apple.profile(offer(HOST, {"imaps": 993}, 443), ANNE, "en") is None
    by_pop = plistlib.loads(apple.profile(offer(HOST, {"pop3s": 995, "submission": 587}, 443), ANNE, "en") or b"")
    assert by_pop["PayloadContent"][0]["EmailAccountType"] == "EmailTypePOP"


def test_the_profile_is_found_again() -> None:
    assert apple.url(WHOLE, "a+b&c@d.test") == f"https://{HOST}/apple/mail.mobileconfig?emailaddress=a%2Bb%26c%40d.test"


def test_thunderbird_on_a_phone() -> None:
    assert json.loads(mobile.payload(WHOLE, ANNE, "Anne É") or "") == [
        1,
        [1, 1],
        [0, HOST, 993, 3, 1, ANNE],
        [[[0, HOST, 465, 3, 1, ANNE], [ANNE, "Anne É"]]],
    ]
    late = json.loads(mobile.payload(offer(HOST, {"pop3": 110, "submission": 587}, 443), ANNE) or "")
    assert late[2][:4] == [1, HOST, 110, 2]
    assert mobile.payload(WHOLE, "é@d.test") is None
    assert mobile.payload(offer(HOST, {}, 443), ANNE) is None


class Tags(html.parser.HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert tag not in {"script", "img", "link", "iframe"}
        self.links += [value or "" for name, value in attributes if name in {"href", "src", "action"}]
        if tag not in {"meta", "input", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("language", LANGUAGES)
def test_page(language: str) -> None:
    empty = Tags(page.page(WHOLE, language).decode())
    assert empty.links == ["/"]
    for text in (HOST, "993", "995", "465", "587"):
        assert text in empty.texts
    named = Tags(page.page(WHOLE, language, ANNE).decode())
    assert named.links == ["/apple/mail.mobileconfig?emailaddress=anne%40d.test"]
    assert ANNE in named.texts
    hostile = Tags(page.page(WHOLE, language, HOSTILE).decode())
    assert HOSTILE in hostile.texts
    assert HOSTILE not in page.page(WHOLE, language, HOSTILE).decode()
    none = Tags(page.page(Offer(WHOLE.doors[:2], WHOLE.web), language, ANNE).decode())
    assert none.links == []
    assert "465" not in none.texts
    assert "unknown" in TEXTS
    assert getattr(TEXTS["unknown"], language) in page.page(WHOLE, language, refused=True).decode()


def test_the_texts_of_two_languages() -> None:
    assert page.page(WHOLE, "fr") != page.page(WHOLE, "en")
    for key, text in TEXTS.items():
        assert all(text), key
        assert Counter(text.en)["{"] == Counter(text.fr)["{"], key
