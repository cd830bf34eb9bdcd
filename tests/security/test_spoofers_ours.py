"""Catalogue §1.7, X31–X34, and S09, S10: our own names from outside, look-alikes, shown names, lists and forwarders."""

import base64
import re
import time
from email.header import Header

import pytest

from poterne.values.history import ListSeen
from tests.support.server import DOMAIN
from tests.support.spoofers import (
    ALICE,
    BANK,
    BOB,
    EVIL,
    OURS,
    PROTECTED,
    Seen,
    World,
    kept,
    letter,
    malformed,
    refused,
    signed,
)
from tests.support.spoofers_zones import FORGER, HONEST, LIST, LOOKALIKES, RELAY, SHARED

BOSS = f"boss@{DOMAIN}"
DAY_S = 86_400


# -- our own domain: Direct Send (S09), trust in an address (S10), X34 --------------------------------------------------


@pytest.mark.parametrize("author", [ALICE, f"nobody@{DOMAIN}", f"x@sub.{DOMAIN}", f"x@a.b.{DOMAIN}", ALICE.upper()])
@pytest.mark.parametrize("sender", [ALICE, "", EVIL, "x@quiet.test"])
def test_s09_nobody_outside_writes_in_our_name(spoofers: World, author: str, sender: str) -> None:
    """A real user's address, one that nobody has, a subdomain; as reverse path, as author, as both."""
    for helo in ("mail.evil.test", DOMAIN, OURS, "[127.0.0.1]"):
        seen = spoofers.judged(letter(author), sender, helo=helo)
        refused(seen, "own-domain", shown=False, dmarc="fail")


@pytest.mark.parametrize("sender", [ALICE, f"postmaster@{DOMAIN}", f"x@sub.{DOMAIN}"])
def test_x34_nobody_outside_sends_bounces_to_us(spoofers: World, sender: str) -> None:
    """Our name as the reverse path only, below a stranger's that is proven."""
    for author in (EVIL, BANK):
        message = signed(letter(author), author.partition("@")[2])
        refused(spoofers.judged(message, sender), "own-reverse-path", shown=False)


def test_s10_a_server_that_many_share_proves_nobody(spoofers: World) -> None:
    """It is in our SPF record, so SPF passes and DMARC too: for whoever is its customer. Our signature is what counts."""
    seen = spoofers.judged(letter(BOSS), BOSS, peer=SHARED, helo="mail.shared.test")
    refused(seen, "own-domain", shown=False, spf="pass", dmarc="pass", dkim="none")
    for domain in ("evil.test", "bank.test"):
        message = signed(letter(BOSS), domain)
        refused(spoofers.judged(message, BOSS, peer=SHARED), "own-domain", shown=False, spf="pass", dkim="pass")
    kept(spoofers.judged(signed(letter(BOSS), DOMAIN), BOSS, peer=SHARED), "INBOX", "proven", dkim="pass", dmarc="pass")
    kept(spoofers.judged(signed(letter(BOSS), DOMAIN), "", peer=FORGER), "INBOX", "proven", dkim="pass", dmarc="pass")


def test_s10_it_carries_strangers_as_their_domains_say(spoofers: World) -> None:
    """The bank lists it, so that is the bank's word; for others it is a stranger."""
    kept(spoofers.judged(letter(BANK), BANK, peer=SHARED), "INBOX", "proven", spf="pass", dmarc="pass")
    refused(spoofers.judged(letter("a@pct.test"), BOSS, peer=SHARED), "dmarc-reject", spf="pass", dmarc="fail")


@pytest.mark.parametrize("helo", ["bank.test", "mx.bank.test", OURS, DOMAIN, "[127.0.0.4]", "[127.0.0.1]", "localhost"])
def test_x34_a_name_said_at_the_beginning_proves_nothing(spoofers: World, helo: str) -> None:
    for sender in ("", EVIL):
        seen = spoofers.judged(letter(BANK), sender, helo=helo)
        refused(seen, "dmarc-reject", dmarc="fail")
        assert "smtp.helo=bank.test" not in seen.results or "spf=fail smtp.helo=bank.test" in seen.results


def test_x34_a_null_sender_to_many_is_judged_like_any(spoofers: World) -> None:
    refused(spoofers.judged(letter(BANK), "", to=[ALICE, BOB] * 10), "dmarc-reject", dmarc="fail")


# -- X32: look-alikes, and fields that answers go by ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", LOOKALIKES)
def test_x32_a_look_alike_of_ours(spoofers: World, kind: str) -> None:
    """Unproven it is refused; when its owner proves it, it is kept apart: it may be an honest neighbour."""
    domain = LOOKALIKES[kind]
    for sender in ("x@quiet.test", ""):
        refused(spoofers.judged(letter(f"boss@{domain}"), sender), "lookalike", spf="none")
    seen = spoofers.judged(letter(f"boss@{domain}"), f"boss@{domain}")
    kept(seen, "quarantine", "proven-lookalike", spf="pass")
    assert seen.event is not None
    assert seen.detail["verdict"] == "quarantine"


@pytest.mark.parametrize(
    "author", ["boss@example.co", "boss@example-support.test", "x@quiet.test", "boss@sample.test", "x@test"]
)
def test_x32_what_is_no_look_alike(spoofers: World, author: str) -> None:
    """Another suffix, one more word, another word: too many honest neighbours have such names."""
    seen = spoofers.judged(letter(author), EVIL)
    kept(seen, "INBOX", "no-policy", dmarc="none")


@pytest.mark.parametrize(
    "field",
    [f"Reply-To: {BOSS}", f"Sender: {BOSS}", f"Resent-From: {BOSS}", "Sender: admin@bank.test", "Reply-To: admin@bank.test",
     f"Return-Receipt-To: {BOSS}", f"List-Post: <mailto:{BOSS}>", f"X-Original-From: {BOSS}"],
)  # fmt: skip
def test_x32_other_fields_prove_and_forge_nothing(spoofers: World, field: str) -> None:
    kept(spoofers.judged(letter(EVIL, "", field)), "INBOX", "proven", dmarc="pass")
    refused(spoofers.judged(letter(BANK, "", field)), "dmarc-reject", dmarc="fail")


# -- X31: names that are shown ------------------------------------------------------------------------------------------


def encoded(name: str) -> str:
    """The forger under that name."""
    return f"{Header(name, 'utf-8', maxlinelen=10_000).encode()} <{EVIL}>"


SHOWN = [
    f'"{BOSS}" <{EVIL}>',
    f'"Boss <{BOSS}>" <{EVIL}>',
    f'"Boss ({BOSS})" <{EVIL}>',
    f'"{BOSS.upper()}" <{EVIL}>',
    encoded(f"Boss <{BOSS}>"),
    f"=?utf-8?b?{base64.b64encode(BOSS.encode()).decode()}?= <{EVIL}>",
    f"=?utf-8?q?boss=40example=2Etest?= <{EVIL}>",
    f"=?utf-8?q?boss=40exam?= =?utf-8?q?ple=2Etest?= <{EVIL}>",
    encoded("boss\uff20example.test"),
    encoded("boss@example\uff0etest"),
    encoded("boss@\u200bexample.test"),
    encoded("\u202etset.elpmaxe@ssob"),
    encoded("\u2067\u202etset.elpmaxe@ssob\u202c\u2069"),
    f'"{PROTECTED}" <{EVIL}>',
    f"{PROTECTED} <{EVIL}>",
    f"Dupont, Marie <{EVIL}>".replace(",", ""),
    f'"DUPONT Marie, Directrice" <{EVIL}>',
    encoded("Marie Dupônt"),
    encoded("M\u0430rie Dup\u043ent"),
    encoded("Marie\u200b Du\u00adpont"),
    encoded("\u202etnopuD eiraM"),
]


@pytest.mark.parametrize("author", SHOWN)
def test_x31_a_name_that_shows_one_of_ours(spoofers: World, author: str) -> None:
    seen = spoofers.judged(letter(author))
    kept(seen, "Junk", "display-name", spf="pass", dmarc="pass")
    assert seen.message is not None
    assert str(seen.message["X-Poterne-Reason"]).startswith("display-name; ")
    assert seen.raw.count(f"\r\nFrom: {author}\r\n".encode()) == 1, "as it came, nothing cut"


@pytest.mark.parametrize(
    "author",
    [f'"{BANK}" <{EVIL}>', f"Marie Curie <{EVIL}>", f"Dupont <{EVIL}>", f'"x" <{EVIL}>', encoded("שלום")],
)
def test_x31_a_name_that_shows_nobody_of_ours(spoofers: World, author: str) -> None:
    kept(spoofers.judged(letter(author)), "INBOX", "proven", dmarc="pass")


@pytest.mark.parametrize(
    ("author", "code"),
    [
        (f'"{"x" * 10_000}" <{EVIL}>', "too-long"),
        (encoded(f"x\0{BOSS}"), "hidden-character"),
        (f"=?utf-8?q?{BOSS.replace('@', '=40')}=0A?= <{EVIL}>", "hidden-character"),
        (f"=?utf-8?b?{base64.b64encode(b'boss@example.test' + bytes([0])).decode()}?= <{EVIL}>", "hidden-character"),
        (f"Boss: {EVIL};", "group"),
        (f"{BOSS} <{EVIL}>", "syntax"),
        (f"<{BOSS}> <{EVIL}>", "syntax"),
        (f"=?utf-8?q?boss@example.test?= <{EVIL}>", "syntax"),
    ],
)
def test_x31_a_name_that_hides_something(spoofers: World, author: str, code: str) -> None:
    malformed(spoofers.judged(letter(author)), code)


@pytest.mark.parametrize(
    "author",
    [
        ", ".join(f"<u{number}@evil.test>" for number in range(20)) + f', "{PROTECTED}" <{EVIL}>',
        '"' + " ".join(f"u{number}@evil.test" for number in range(60)) + f' {BOSS}" <{EVIL}>',
        '"' + "x " * 1_000 + f'{BOSS}" <{EVIL}>',
    ],
)
def test_x31_behind_much_else(spoofers: World, author: str) -> None:
    folded = re.sub(r"(.{60}[^ ]*) ", "\\1\r\n ", author)
    kept(spoofers.judged(letter(folded)), "Junk", "display-name", dmarc="pass")


def test_x31_a_long_name_is_not_cut(spoofers: World) -> None:
    name = "x" * 900 + f" {BOSS}"
    seen = spoofers.judged(letter(f'"{name}" <{EVIL}>'))
    kept(seen, "Junk", "display-name", dmarc="pass")
    assert name.encode() in seen.raw


# -- lists --------------------------------------------------------------------------------------------------------------


def from_list(
    world: World, name: str, *, author: str = BANK, sender: str = "bounce@lists.test", peer: str = LIST
) -> Seen:
    """As mailing lists send: changed, in the author's name, from a server of their own."""
    message = signed(letter(author)).replace(b"Some text.", b"Some text. -- a footer")
    return world.judged(f"List-Id: News <{name}>\r\n".encode() + message, sender, peer=peer, helo="mx.lists.test")


def known(world: World, name: str, domain: str, *, days: int, messages: int) -> None:
    """The server has seen this list, so long and so often."""
    now = int(time.time())
    seen = ListSeen(name, domain, now - days * DAY_S, now, messages)
    for one in (world.server, world.mild):
        world.wait(one.store.note_lists([seen]))


def test_a_list_without_history_is_anybodys_text(spoofers: World) -> None:
    refused(from_list(spoofers, "new.lists.test"), "dmarc-reject", spf="pass", dmarc="fail", dkim="fail")
    for number, (days, messages) in enumerate(((30, 2), (1, 100))):
        name = f"young{number}.lists.test"
        known(spoofers, name, "lists.test", days=days, messages=messages)
        refused(from_list(spoofers, name), "dmarc-reject", dmarc="fail")


def test_a_list_with_history_is_kept_apart(spoofers: World) -> None:
    known(spoofers, "old.lists.test", "lists.test", days=30, messages=40)
    seen = from_list(spoofers, "old.lists.test")
    kept(seen, "quarantine", "dmarc-reject+known-list", spf="pass", dmarc="fail", dkim="fail")
    # Its name alone, or with a domain that has nothing to do with it, is worth nothing.
    refused(from_list(spoofers, "old.lists.test", sender=EVIL, peer=FORGER), "dmarc-reject", dmarc="fail")
    refused(from_list(spoofers, "old.lists.test", peer=FORGER), "dmarc-reject", spf="fail", dmarc="fail")
    refused(from_list(spoofers, "old.lists.test", sender="x@lists2.test"), "dmarc-reject", spf="pass", dmarc="fail")
    refused(from_list(spoofers, "lists.test.evil.test", sender=EVIL, peer=FORGER), "dmarc-reject", dmarc="fail")
    # It makes nobody one of ours: that is kept apart at the best.
    kept(from_list(spoofers, "old.lists.test", author=BOSS), "quarantine", "own-domain+known-list", dmarc="fail")


def test_two_names_of_a_list_are_none(spoofers: World) -> None:
    known(spoofers, "old.lists.test", "lists.test", days=30, messages=40)
    message = b"List-Id: <old.lists.test>\r\nList-Id: <x.evil.test>\r\n" + letter(BANK)
    refused(spoofers.judged(message, "x@lists.test", peer=LIST), "dmarc-reject", dmarc="fail")


def test_a_list_that_the_settings_name(spoofers: World) -> None:
    kept(
        from_list(spoofers, "named.lists2.test", sender="x@lists2.test"),
        "quarantine",
        "dmarc-reject+named-list",
        dmarc="fail",
    )
    refused(from_list(spoofers, "named.lists2.test", sender=EVIL, peer=FORGER), "dmarc-reject", dmarc="fail")
    refused(from_list(spoofers, "named.lists2.test", sender="x@lists.test"), "dmarc-reject", dmarc="fail")


def test_a_spoof_teaches_no_history(spoofers: World) -> None:
    """Only what is proven counts, so a forger can't make his list known by sending in the bank's name."""
    for _ in range(5):
        refused(from_list(spoofers, "patient.evil.test", sender=EVIL, peer=FORGER), "dmarc-reject", dmarc="fail")
    assert spoofers.server.store.list_seen("patient.evil.test", "evil.test") is None


# -- forwarders, and what we forward ourselves (X33) ------------------------------------------------------------------------


@pytest.mark.parametrize("helo", ["mx.relay.test", "relay.test", "mail.evil.test"])
def test_a_forwarder_is_one_persons(spoofers: World, helo: str) -> None:
    message = letter(BANK)
    seen = spoofers.judged(message, "bounce@relay.test", peer=RELAY, helo=helo, to=[BOB])
    kept(seen, "quarantine", "dmarc-reject+forwarder", spf="pass", dmarc="fail")
    refused(spoofers.judged(message, "bounce@relay.test", peer=RELAY, helo=helo), "dmarc-reject", dmarc="fail")
    both = spoofers.judged(message, "bounce@relay.test", peer=RELAY, helo=helo, to=[ALICE, BOB])
    assert both.folder == "quarantine", "alice would have refused it"


def test_a_forwarder_has_to_be_proven(spoofers: World) -> None:
    for sender, peer, helo in (
        ("bounce@relay.test", FORGER, "relay.test"),
        (EVIL, FORGER, "relay.test"),
        (EVIL, RELAY, "mail.evil.test"),
        ("", FORGER, "relay.test"),
        ("x@relay.test.evil.test", FORGER, "mx.relay.test.evil.test"),
    ):
        refused(spoofers.judged(letter(BANK), sender, peer=peer, helo=helo, to=[BOB]), "dmarc-reject", dmarc="fail")


def test_a_forwarder_makes_nobody_one_of_ours(spoofers: World) -> None:
    seen = spoofers.judged(letter(BOSS), "bounce@relay.test", peer=RELAY, to=[BOB])
    kept(seen, "quarantine", "own-domain+forwarder", dmarc="fail")


def test_x33_what_is_forged_is_not_forwarded_and_so_never_signed(spoofers: World) -> None:
    """To an address that sends everything on: refused, so nothing waits to leave; the same when it would go to Junk here."""
    forward = f"forward@{DOMAIN}"
    for author, why in ((BANK, "dmarc-reject"), (BOSS, "own-domain")):
        refused(spoofers.judged(letter(author), to=[forward]), why, shown=False, dmarc="fail")
    for author, sender in (("a@plain.test", "a@plain.test"), (f'"{BOSS}" <{EVIL}>', EVIL)):
        seen = spoofers.server.judged(letter(author), sender, to=[forward])
        assert seen.reply.startswith("550 5.7.1 This address forwards"), seen
        assert seen.reason == "forward-unauthenticated"
    # Control: what is proven is forwarded.
    reply = spoofers.server.send(signed(letter(BANK)), BANK, peer=HONEST, to=[forward])
    assert reply.startswith("250"), reply
    (event,) = spoofers.wait(spoofers.server.store.events(kind="message.accepted", limit=1))
    assert (event.trace_id, event.detail["queued"], event.detail["local"]) == (reply.split()[-1], 1, 0)
