import email
import email.policy
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.compose import Mailbox
from poterne.message.header import index
from poterne.message.notice import HeldNotice, limit_of, to_administrator, to_owner, to_person
from poterne.values.ids import AccountId, IncidentId
from poterne.values.origin import Origin, OriginKind
from poterne.values.sending import HoldReason, Incident, IncidentState, SendingLimits

NOW = 1_790_062_865
ALL = (to_person, to_owner, to_administrator)
every = pytest.mark.parametrize("write", ALL)


def notice(
    language: str = "en",
    kind: OriginKind = OriginKind.ACCOUNT,
    reason: HoldReason = HoldReason.DAY,
    name: str = "ann@example.org",
    limit: int = 1000,
) -> HeldNotice:
    incident = Incident(
        IncidentId(17), Origin(kind, name, AccountId(1)), reason, NOW - 60, IncidentState.OPEN, 0, 3, 412
    )
    return HeldNotice(
        "mx.example.org",
        Mailbox("postmaster@example.org"),
        Mailbox("ben@example.org", "Ben"),
        language,
        "<n2@mx.example.org>",
        NOW,
        incident,
        limit,
        120,
    )


def text(octets: bytes) -> str:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    found = message.get_content()
    assert isinstance(found, str)
    return found.replace("\r\n", "\n")


def subject(octets: bytes) -> str:
    return str(email.message_from_bytes(octets, policy=email.policy.default)["Subject"])


@every
@pytest.mark.parametrize("language", ["en", "fr"])
def test_each_says_what_is_held_and_that_no_person_wrote_it(
    write: Callable[[HeldNotice], bytes], language: str
) -> None:
    octets = write(notice(language))
    header = index(octets)
    assert header.value(b"auto-submitted") == b"auto-generated"
    assert header.value(b"to") == b"Ben <ben@example.org>"
    assert header.value(b"message-id") == b"<n2@mx.example.org>"
    assert b"postmaster@example.org" in (header.value(b"from") or b"")
    assert octets.isascii()
    said = text(octets)
    for fact in ("1000", "412", "17", "mx.example.org", "2026", "ann@example.org"):
        assert fact in said
    assert max(map(len, said.splitlines())) <= 72


def test_to_a_person() -> None:
    octets = to_person(notice())
    assert subject(octets) == "Your outgoing mail is held"
    said = text(octets)
    assert "Reason:      too many recipients in 24 hours (the limit is 1000)\n" in said
    assert "Since:       22 September 2026, 09:40 (+0200)\nMessages:    3\nRecipients:  412\nIncident:    17\n" in said
    assert "tell your administrator" in said
    assert "somebody may know your password" in said
    assert "poterne " not in said  # commands are not theirs
    assert "Votre courrier sortant est retenu" in subject(to_person(notice("fr")))


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("kind", OriginKind)
def test_to_the_administrator(language: str, kind: OriginKind) -> None:
    octets = to_administrator(notice(language, kind, name="webshop"))
    said = text(octets)
    for command in ("show", "release", "purge"):
        assert f"\n    poterne hold {command} 17\n" in said
    assert "incident 17" in subject(octets)
    assert ("poterne account password" in said.replace("\n", " ")) == (kind is OriginKind.ACCOUNT)
    assert ("poterne sender revoke" in said.replace("\n", " ")) == (kind is OriginKind.SENDER)
    if kind is not OriginKind.SYSTEM:
        assert "webshop" in subject(octets)


def test_to_an_owner_by_reason() -> None:
    loop = text(to_owner(notice(kind=OriginKind.SENDER, reason=HoldReason.REPEATED, name="webshop")))
    assert "again and again" in loop
    assert "in a loop" in loop
    answers = text(to_owner(notice("fr", OriginKind.SENDER, HoldReason.PING_PONG, "webshop")))
    assert "semble boucler" in answers
    limit = text(to_owner(notice(kind=OriginKind.SENDER, name="webshop")))
    assert "in a loop" not in limit
    assert "should send so much" in limit


@every
@pytest.mark.parametrize("reason", HoldReason)
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_reason(write: Callable[[HeldNotice], bytes], reason: HoldReason, language: str) -> None:
    said = text(write(notice(language, reason=reason)))
    assert ("1000" in said) == (reason is not HoldReason.OPEN_INCIDENT)
    assert "{" not in said
    assert "0)" not in text(write(notice(language, reason=reason, limit=0))).replace("+0200)", "")


def test_limits() -> None:
    limits = SendingLimits(1, 2, 3, 4, 5, 6)
    found = {reason: limit_of(limits, reason) for reason in HoldReason}
    assert found == {
        HoldReason.DAY: 1,
        HoldReason.EXTERNAL: 2,
        HoldReason.NEW: 3,
        HoldReason.BURST: 4,
        HoldReason.REPEATED: 5,
        HoldReason.PING_PONG: 6,
        HoldReason.OPEN_INCIDENT: 0,
    }


@given(st.sampled_from(ALL), st.sampled_from(OriginKind), st.text(max_size=100))
def test_a_name_of_any_characters_stays_in_its_place(
    write: Callable[[HeldNotice], bytes], kind: OriginKind, name: str
) -> None:
    octets = write(notice(kind=kind, name=name))
    header = index(octets)
    assert not header.facts
    assert len(header.fields) == 9
    assert octets.isascii()
    assert octets.count(b"\n") == octets.count(b"\r\n")
