"""What leaves is signed for its author's domain: by whose right, after which conversion, with which keys."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from poterne.admin import dkim
from poterne.admin.people import Acting, AdminError
from poterne.config.dkim import Dkim
from poterne.config.settings import Relay, Settings
from poterne.mailauth.dkim.record import KeyType
from poterne.mailauth.dkim.sign import Signer
from poterne.mailauth.tlsrpt.report import Report, as_message
from poterne.message.compose import Hop, received, with_protocol
from poterne.queue import signing
from poterne.queue.bounce import SYSTEM
from poterne.queue.security import REPORTS
from poterne.values.dkim import DkimKey, KeyState
from poterne.values.ids import TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewQueued, NewRecipient, QueueState
from poterne.values.secret import Secret
from tests.support.queue_world import ALICE, LETTER, Post, here, post, settings
from tests.support.signatures import outcomes, passed, selectors
from tests.support.sink import EXTENSIONS, Sink
from tests.support.stores import AT, blob, event

DOMAIN = "example.org"
FAR = "carol@far.test"
BOTH = [(DOMAIN, "rsa-sha256"), (DOMAIN, "ed25519-sha256")]
SEVEN_BIT = tuple(word for word in EXTENSIONS if word not in {"8BITMIME", "SMTPUTF8"})
KINDS = (KeyType.RSA, KeyType.ED25519)
LIST = Origin(OriginKind.FORWARD, "team@example.org")
FIRST = b"Return-Path: <a@b.test>\r\n"
LETTER_8BIT = (
    b"From: alice@example.org\r\nSubject: hello\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: 8bit\r\n\r\n" + "Œufs à la coque  \r\n".encode()
)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Post]:
    async with post(tmp_path) as made:
        yield made


def acting(at: int = AT) -> Acting:
    return Acting("test", at, TraceId("test"))


async def keys(office: Post, domain: str = DOMAIN, state: KeyState = KeyState.ACTIVE) -> list[DkimKey]:
    return await dkim.create(office.store, domain, acting(), KINDS, state=state)


def start(office: Post, sink: Sink, **tables: object) -> None:
    values: Settings = replace(settings({"all": here("*", port=sink.port)}), **tables)  # type: ignore[arg-type]
    office.start(values)


async def sent(office: Post, sink: Sink, letter: bytes = LETTER, to: Sequence[str] = (FAR,), **more: object) -> bytes:
    """What the other server got."""
    before = len(sink.taken)
    await office.queue(*to, letter=letter, **more)  # type: ignore[arg-type]
    assert await office.rest() == []
    assert len(sink.taken) > before, office.log.said
    return sink.taken[-1].text


def through(by: str = "mail.example.org", *, signed_in: bool = True, trace: str = "trace", utf8: bool = False) -> bytes:
    """The first lines of a message that came to us, as they are stored."""
    protocol = with_protocol(extended=True, tls=True, authenticated=signed_in, utf8=utf8)
    hop = Hop(
        helo="client.test", peer_ip="" if signed_in else "192.0.2.1", by=by, protocol=protocol, id=trace, unix_s=AT,
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
    )  # fmt: skip
    return FIRST + received(hop)


# -- what is signed, and how -------------------------------------------------------------------------------------------


async def test_two_signatures_rsa_first(office: Post) -> None:
    pair = await keys(office)
    with Sink() as sink:
        start(office, sink)
        text = await sent(office, sink)
        assert passed(text, pair, AT) == BOTH
        assert text.endswith(LETTER)
        assert f"SIZE={len(text)}" in sink.taken[0].mail
        for at in (text.index(b"hello"), len(text) - 4, text.index(b"1@example.org")):
            changed = text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]
            assert not any(one.authenticates for one in outcomes(changed, pair, AT))


async def test_rsa_only_where_the_settings_say_so_and_none(office: Post) -> None:
    pair = await keys(office)
    with Sink() as sink:
        start(office, sink, dkim=Dkim(algorithms="rsa"))
        assert passed(await sent(office, sink), pair, AT) == BOTH[:1]
        await office.stop()
        start(office, sink, dkim=Dkim(sign=False))
        assert await sent(office, sink) == LETTER


@pytest.mark.parametrize("lines", [1, 9_000], ids=["small", "large"])
async def test_what_was_converted_is_signed_as_it_is_sent(office: Post, lines: int) -> None:
    pair = await keys(office)
    letter = (
        LETTER_8BIT + "à peu près 80 octets de texte en français, écrit çà et là, sans y penser\r\n".encode() * lines
    )
    with Sink(extensions=SEVEN_BIT) as old, Sink() as new:
        office.start(settings({"old": here("old.test", port=old.port), "new": here("new.test", port=new.port)}))
        for _ in range(2):
            await office.queue("a@old.test", "b@new.test", letter=letter)
        assert await office.rest(30) == []
        for sink, eight_bit in ((old, False), (new, True)):
            for taken in sink.taken:
                assert passed(taken.text, pair, AT) == BOTH
                assert taken.text.isascii() is not eight_bit
                assert f"SIZE={len(taken.text)}" in taken.mail
        assert [len(old.taken), len(new.taken)] == [2, 2]
        assert new.taken[0].text.endswith(letter)


async def test_long_lines_are_re_encoded_before(office: Post) -> None:
    pair = await keys(office)
    letter = LETTER_8BIT.replace(b"charset=utf-8", b"charset=us-ascii") + b"x" * 1200 + b"\r\n"
    with Sink() as sink:
        start(office, sink)
        text = await sent(office, sink, letter)
        assert max(map(len, text.split(b"\r\n"))) <= 998
        assert passed(text, pair, AT) == BOTH


async def test_international_headers(office: Post) -> None:
    pair = await keys(office)
    letter = "From: Zoé <zoé@example.org>\r\nTo: renée@far.test\r\nSubject: à bientôt\r\n\r\nça va\r\n".encode()
    with Sink() as sink:
        start(office, sink)
        new = NewQueued(
            office.account(),
            TraceId("trace"),
            "zoé@example.org",
            await blob(office.store, letter),
            (NewRecipient("renée@far.test", "far.test"),),
            AT,
            eight_bit=True,
            smtputf8=True,
        )
        await office.store.deliver([], [new], [])
        office.wake()
        assert await office.rest() == []
        assert passed(sink.taken[0].text, pair, AT) == BOTH


async def test_a_large_message_is_read_in_pieces(office: Post) -> None:
    pair = await keys(office)
    letter = LETTER + b"a line of some text, with  two spaces and \t a tab \r\n" * 60_000 + b"\r\n\r\n"
    with Sink() as sink:
        start(office, sink)
        text = await sent(office, sink, letter)
        assert text.endswith(letter)
        assert passed(text, pair, AT) == BOTH
        broken = text[:-40] + b"X" + text[-39:]
        assert not any(one.authenticates for one in outcomes(broken, pair, AT))


@pytest.mark.parametrize("lines", [1, 10_000], ids=["small", "large"])
async def test_many_destinations_one_signature(office: Post, monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    made = []

    class Counting:
        def __new__(cls, *arguments: object) -> Signer:  # type: ignore[misc]
            made.append(1)
            return Signer(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(signing, "Signer", Counting)
    pair = await keys(office)
    with Sink() as sink:
        to = [f"u@d{number}.test" for number in range(12)]
        office.start(settings({str(at): here(f"d{at}.test", port=sink.port) for at in range(12)}))
        await sent(office, sink, LETTER + b"many lines of text in this one\r\n" * lines, to)
        assert len(sink.taken) == 12
        assert {taken.text for taken in sink.taken} == {sink.taken[0].text}
        assert passed(sink.taken[0].text, pair, AT) == BOTH
        assert len(made) == 1


async def test_strangers_signatures_stay_as_they_are(office: Post) -> None:
    pair = await keys(office)
    theirs = b"DKIM-Signature: v=1; a=rsa-sha256; d=brand.test; s=x; h=From;\r\n bh=AAAA; b=BBBB\r\n"
    with Sink() as sink:
        start(office, sink)
        text = await sent(office, sink, theirs + LETTER)
        assert text.endswith(theirs + LETTER)
        assert [one.domain for one in outcomes(text, pair, AT) if one.authenticates] == [DOMAIN, DOMAIN]


async def test_what_has_no_body_or_no_end_of_header(office: Post) -> None:
    pair = await keys(office)
    with Sink() as sink:
        start(office, sink)
        for letter in (
            b"From: alice@example.org\r\nSubject: x\r\n\r\n",
            b"From: alice@example.org\r\nSubject: x\r\n\r\n\r\n\r\n",
        ):
            assert passed(await sent(office, sink, letter), pair, AT) == BOTH


# -- by whose right ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin", [SYSTEM, REPORTS, Origin(OriginKind.SENDER, "shop")], ids=["notice", "report", "script"]
)
async def test_our_own_letters_and_scripts(office: Post, origin: Origin) -> None:
    pair = await keys(office)
    with Sink() as sink:
        start(office, sink)
        text = await sent(office, sink, origin=origin, reverse_path="")
        assert passed(text, pair, AT) == BOTH


SPOOFS = {
    "no-trace": FIRST,
    "came-in": through(signed_in=False),
    "trace-below": through(signed_in=False) + through().removeprefix(FIRST),
    "other-server": through(by="mail.evil.test"),
    "other-message": through(trace="another"),
    "in-a-comment": FIRST + b"Received: from x (by mail.example.org with ESMTPSA id trace; x) by evil.test with ESMTP id trace;\r\n d\r\n",
    "helo": FIRST
    + received(Hop("x by mail.example.org with ESMTPSA id trace;", "192.0.2.1", "mail.example.org", "ESMTPS", "trace", AT)),
    "name": FIRST
    + received(Hop("x", "192.0.2.1", "mail.example.org", "ESMTPS", "trace", AT, peer_name="a) by mail.example.org with ESMTPSA id trace; (")),
}  # fmt: skip


@pytest.mark.parametrize("first", SPOOFS.values(), ids=SPOOFS)
@pytest.mark.parametrize("kind", ["list", "own", "route", "srs"])
async def test_a_strangers_spoof_does_not_become_genuine(office: Post, first: bytes, kind: str) -> None:
    origins = {
        "list": LIST,
        "own": Origin(OriginKind.FORWARD, ALICE, office.world.alice),
        "route": Origin(OriginKind.ROUTE, "all"),
        "srs": Origin(OriginKind.FORWARD, "srs:example.org"),
    }
    await keys(office)
    with Sink() as sink:
        start(office, sink)
        letter = first + LETTER
        text = await sent(office, sink, letter, origin=origins[kind], reverse_path="", start=len(FIRST))
        assert b"DKIM-Signature" not in text
        assert text.endswith(LETTER)


@pytest.mark.parametrize("utf8", [False, True])
async def test_a_list_of_local_people_is_signed(office: Post, utf8: bool) -> None:
    pair = await keys(office)
    with Sink() as sink:
        start(office, sink)
        letter = through(utf8=utf8) + LETTER
        text = await sent(office, sink, letter, origin=LIST, start=len(FIRST))
        assert b"\r\nDelivered-To: team@example.org\r\n" in text
        assert passed(text, pair, AT) == BOTH


async def test_who_relays_for_a_domain_is_believed_for_that_domain(office: Post) -> None:
    await office.store.add_domain("other.test", event())
    pair, others = await keys(office), await keys(office, "other.test")
    rule = Relay(hosts=["192.0.2.7"], sender_domains=["Example.Org"], per_hour=10)
    with Sink() as sink:
        start(office, sink, relay={"erp": rule})
        erp = Origin(OriginKind.RELAY, "erp")
        assert passed(await sent(office, sink, origin=erp), pair, AT) == BOTH
        foreign = LETTER.replace(b"From: alice@example.org", b"From: x@other.test")
        assert b"DKIM-Signature" not in await sent(office, sink, foreign, origin=erp)
        gone = Origin(OriginKind.RELAY, "gone")
        assert b"DKIM-Signature" not in await sent(office, sink, origin=gone)
        assert passed(await sent(office, sink, foreign), others, AT) == [("other.test", name) for _, name in BOTH]


async def test_a_domain_behind_us_has_keys_here(office: Post) -> None:
    rule = Relay(hosts=["192.0.2.7"], sender_domains=["inside.test"], per_hour=10)
    values = replace(settings(), relay={"inside": rule})
    pair = await dkim.create(
        office.store, "inside.test", acting(), KINDS, state=KeyState.ACTIVE, relayed=dkim.relayed(values)
    )
    letter = LETTER.replace(b"alice@example.org", b"x@inside.test", 1)
    with Sink() as sink:
        start(office, sink, relay={"inside": rule})
        text = await sent(office, sink, letter, origin=Origin(OriginKind.RELAY, "inside"))
        assert passed(text, pair, AT) == [("inside.test", name) for _, name in BOTH]
        assert b"DKIM-Signature" not in await sent(office, sink, letter, origin=Origin(OriginKind.ROUTE, "inside"))
    with pytest.raises(AdminError, match="is not served here"):
        await dkim.create(office.store, "far.test", acting(), KINDS, relayed=dkim.relayed(values))


async def test_authors_elsewhere_are_never_signed_for(office: Post) -> None:
    """A script of ours may not write so; if it could, nobody's keys fit."""
    await keys(office)
    with Sink() as sink:
        start(office, sink)
        for author in (b"x@far.test", b"x@notexample.org", b"x@org", b"a@example.org, b@far.test", b""):
            letter = LETTER.replace(b"alice@example.org", author, 1)
            assert b"DKIM-Signature" not in await sent(office, sink, letter)


# -- which keys --------------------------------------------------------------------------------------------------------


async def test_a_domain_signs_for_those_below_it_without_keys(office: Post) -> None:
    pair = await keys(office)
    letter = LETTER.replace(b"alice@example.org", b"alice@shop.eu.example.org", 1)
    with Sink() as sink:
        start(office, sink)
        assert passed(await sent(office, sink, letter), pair, AT) == BOTH
        await office.store.add_domain("shop.eu.example.org", event())
        own = await keys(office, "shop.eu.example.org", KeyState.NEXT)
        office.clock.now += 10
        assert passed(await sent(office, sink, letter), pair, AT + 10) == BOTH
        for key in own:
            await dkim.activate(office.store, key.domain, key.selector, acting())
        office.clock.now += 10
        assert passed(await sent(office, sink, letter), own, AT) == [("shop.eu.example.org", name) for _, name in BOTH]


async def test_without_an_active_key_it_leaves_unsigned_and_the_log_says_so_once(office: Post) -> None:
    pair = await keys(office, state=KeyState.NEXT)
    with Sink() as sink:
        start(office, sink)
        for _ in range(3):
            assert await sent(office, sink) == LETTER
        said = [fields for name, fields in office.log.said if name == "dkim.unsigned"]
        assert [fields["domain"] for fields in said] == [DOMAIN]
        await dkim.activate(office.store, DOMAIN, pair[0].selector, acting())
        office.clock.now += 10
        assert passed(await sent(office, sink), pair, AT) == BOTH[:1]


async def test_a_key_that_cannot_be_read_makes_mail_wait(office: Post) -> None:
    broken = DkimKey(DOMAIN, "bad", "rsa-sha256", Secret(b"-----BEGIN NOTHING"), KeyState.ACTIVE, AT, AT)
    await office.store.add_dkim_key(broken, event())
    with Sink() as sink:
        start(office, sink)
        await office.queue(FAR, letter=LETTER)
        (waiting,) = await office.rest()
        assert (waiting.state, waiting.attempts) == (QueueState.WAITING, 1)
        assert "can't be signed" in waiting.last_reply
        assert sink.taken == []
        (said,) = [fields for name, fields in office.log.said if name == "dkim.key-unusable"]
        assert said["selector"] == "bad"
        assert "NOTHING" not in str(office.log.said)
        await office.queue("dan@far.test", letter=LETTER)
        assert len(await office.rest()) == 2
        assert office.log.names().count("dkim.key-unusable") == 1, "not for each message"

        pair = await dkim.create(office.store, DOMAIN, acting(AT + 1), KINDS)
        for key in pair:
            await dkim.activate(office.store, DOMAIN, key.selector, acting(AT + 1))
        assert await office.later(3600) == []
        assert [passed(taken.text, pair, AT + 3600) for taken in sink.taken] == [BOTH, BOTH]


async def test_a_new_key_signs_from_the_next_attempt_on(office: Post) -> None:
    old = await keys(office)
    with Sink(rules={"RCPT": [b"451 4.7.1 greylisted\r\n", b"250 2.1.5 ok\r\n"]}) as sink:
        start(office, sink)
        await office.queue(FAR, letter=LETTER)
        assert len(await office.rest()) == 1
        new = await keys(office, state=KeyState.NEXT)
        for key in new:
            await dkim.activate(office.store, DOMAIN, key.selector, acting(AT + 5))
        assert await office.later(3600) == []
        assert passed(sink.taken[-1].text, new, AT + 3600) == BOTH
        assert selectors(sink.taken[-1].text) == [key.selector for key in new]
        states = {key.selector: key.state for key in await dkim.keys_of(office.store, DOMAIN)}
        assert {states[key.selector] for key in old} == {KeyState.RETIRED}


async def test_of_two_active_keys_the_newer_signs(office: Post) -> None:
    await dkim.create(office.store, DOMAIN, acting(), [KeyType.ED25519], state=KeyState.ACTIVE)
    (key,) = await dkim.create(office.store, DOMAIN, acting(AT + 1), [KeyType.ED25519])
    await office.store.set_dkim_key(DOMAIN, key.selector, None, state=KeyState.ACTIVE, now=AT + 1)
    with Sink() as sink:
        start(office, sink)
        assert selectors(await sent(office, sink)) == [key.selector]


# -- letters as we really write them -----------------------------------------------------------------------------------


async def test_a_notice_of_failure_is_signed(office: Post) -> None:
    """To a server behind us: notices go to nobody else who is not here."""
    pair = await keys(office)
    rule = Relay(hosts=["192.0.2.7"], sender_domains=["inside.test"], per_hour=10)
    with Sink({"RCPT": b"550 5.1.1 nobody here\r\n"}) as far, Sink() as inner:
        routes = {"inside": here("inside.test", port=inner.port, inbound=True), "far": here("*", port=far.port)}
        office.start(replace(settings(routes), relay={"inside": rule}))
        letter = LETTER.replace(b"alice@example.org", b"bob@inside.test", 1)
        origin = Origin(OriginKind.RELAY, "inside")
        await office.queue(FAR, origin=origin, reverse_path="bob@inside.test", letter=letter)
        assert await office.rest() == []
        (notice,) = inner.taken
        assert b"report-type=delivery-status" in notice.text
        assert passed(notice.text, pair, AT) == BOTH


async def test_a_report_about_tls_is_signed(office: Post) -> None:
    """RFC 8460 §3 wants it so."""
    pair = await keys(office)
    report = Report(DOMAIN, f"postmaster@{DOMAIN}", "far.test", AT // 86_400, (), "1")
    with Sink() as sink:
        start(office, sink)
        text = await sent(office, sink, as_message(report, ["tls@far.test"], AT), origin=REPORTS, reverse_path="")
        assert b"\r\nTLS-Report-Domain: far.test\r\n" in text
        assert passed(text, pair, AT) == BOTH
