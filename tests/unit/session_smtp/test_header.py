"""The header on its way in, with a real store: held in any pieces, judged once, cleaned, and stored to the octet."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.config.limits import Limits
from poterne.config.settings import Settings, SignIn, Smtp
from poterne.message.author import HEADER_CODES, TEXTS
from poterne.message.compose import Hop
from poterne.message.srs import Srs
from poterne.proto.smtp.events import MailFrom
from poterne.proto.smtp.path import Path as MailPath
from poterne.session.authenticate import Authenticator
from poterne.session.ingest import Ingested
from poterne.session.smtp import header
from poterne.session.smtp.accept import accept
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.header import Held
from poterne.session.smtp.incoming import Incoming
from poterne.session.smtp.principal import Person
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.services import Service, Services
from poterne.session.smtp.tells import Teller
from poterne.store.failing import FailurePlan, failing
from poterne.store.interface import Store
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.values.address import Address
from poterne.values.directory import Account, Forward, Posting
from poterne.values.event import Event
from poterne.values.ids import TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import NewRecipient
from poterne.values.secret import Secret
from tests.support.lines import Lines

EVENT = Event(0, "test", TraceId("t"))
DOMAIN = "example.org"
BODY = b"\r\n.\r\nFrom: not@a.header\r\nBcc: neither\r\n\r\nbody\r\n"


class NoCounters:
    def message(self, service: str, outcome: str, size_bytes: int) -> None: ...
    def refused(self, service: str, stage: str, reason: str) -> None: ...


class World:
    def __init__(self, store: SqliteStore, ada: Account) -> None:
        self.store = store
        self.ada = ada
        self.log = Lines()

    def services(
        self, store: Store | None = None, *, submission: bool = False, settings: Smtp | None = None
    ) -> Services:
        return Services(
            service=Service.SUBMISSION if submission else Service.MX,
            hostname="MX.Example.org",
            store=store or self.store,
            authenticator=Authenticator(self.store, SignIn()),
            settings=settings or Smtp(),
            require_tls=False,
            log=self.log,
            counters=NoCounters(),
            new_trace=lambda: TraceId("t1"),
            clock=lambda: 1_700_000_000.0,
            draining=lambda: False,
            limits=Limits(),
            srs=Srs([Secret(bytes(range(32)))]),
            tells=Teller(self.store, Settings(), lambda: 1_700_000_000.0, self.log),
        )

    def incoming(
        self, *, submission: bool = False, utf8: bool = False, store: Store | None = None, settings: Smtp | None = None
    ) -> Incoming:
        envelope = Envelope(MailFrom(MailPath("s@elsewhere.example", None), smtputf8=utf8), TraceId("trace7"))
        envelope.accounts[self.ada.id] = self.ada.address
        hop = Hop("peer", "192.0.2.1", "mx.example.org", "ESMTP", "trace7", 0)
        services = self.services(store, submission=submission, settings=settings)
        return Incoming(services, envelope, Person(self.ada, Secret(b"v")) if submission else None, hop, None)

    async def send(self, *pieces: bytes, submission: bool = False, utf8: bool = False) -> bytes | Refused:
        """What is stored, without our trace fields; or the refusal."""
        incoming = self.incoming(submission=submission, utf8=utf8)
        for piece in pieces:
            await incoming.feed(piece)
        found = await incoming.finish()
        if isinstance(found, Refused):
            return found
        return await self.stored(incoming, found)

    async def stored(self, incoming: Incoming, found: Ingested) -> bytes:
        await accept(self.services(), incoming, found, None, "192.0.2.1", 0)
        raw = self.store.blobs.read(found.content.blob)
        trace, _, sent = raw.partition(b"1 Jan 1970 00:00:00 +0000\r\n")
        assert trace.startswith(b"Return-Path: <s@elsewhere.example>\r\nReceived: from peer ")
        return sent


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = open_store(tmp_path)
    await store.add_domain(DOMAIN, EVENT)
    for name in ("ada", "eve"):
        await store.add_account(f"{name}@{DOMAIN}", "", "en", Secret("x"), 0, (), EVENT)
    await store.add_alias(f"sales@{DOMAIN}", [f"ada@{DOMAIN}", f"eve@{DOMAIN}"], EVENT)
    await store.add_alias(f"boss@{DOMAIN}", [f"eve@{DOMAIN}"], EVENT)
    yield World(store, await store.account(f"ada@{DOMAIN}"))
    await store.close()


async def test_mail_from_elsewhere_is_stored_as_it_came(world: World) -> None:
    message = b"FROM:  Zo <z@b.example>\r\nX: y\r\n\tz\r\nAuthentication-Results: other; spf=pass\r\n" + BODY
    assert await world.send(message) == message
    assert await world.send(*[message[at : at + 1] for at in range(len(message))]) == message


async def test_what_we_write_is_taken_out(world: World) -> None:
    message = (
        b"Return-Path: <x@y>\r\nAuthentication-Results: mx.example.ORG;\r\n spf=pass\r\nFrom: z@b.example\r\nX-Poterne-A: b\r\n"
        b"Bcc: stays@b.example\r\n"
    )
    assert await world.send(message + BODY) == b"From: z@b.example\r\nBcc: stays@b.example\r\n" + BODY


async def test_a_submission_is_completed(world: World) -> None:
    fields = b"From: ada@example.org\r\nBCC: secret@b.example,\r\n more@b.example\r\nTo: z@b.example\r\n"
    done = (
        b"From: ada@example.org\r\nTo: z@b.example\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
        b"Message-ID: <trace7@MX.Example.org>\r\n"
    )
    assert await world.send(fields + BODY, submission=True) == done + BODY
    assert await world.send(fields, submission=True) == done, "no body at all"
    whole = b"Date: x\r\nMessage-ID: <y@z>\r\nFrom: ada@example.org\r\n" + BODY
    assert await world.send(whole, submission=True) == whole


async def test_a_large_body_passes(world: World) -> None:
    body = b"x" * 76 + b"\r\n"
    pieces = [b"From: z@b.example\r\n\r", b"\n" + body, *[body * 1000] * 20]
    assert await world.send(*pieces) == b"".join(pieces)
    one = b"From: z@b.example\r\n\r\n" + body * 20_000
    assert await world.send(one) == one


async def test_a_refusal_holds_whatever_follows(world: World) -> None:
    for message in (b"Subject: x\r\n" + BODY, b"", b"\r\n", b"\r\nFrom: z@b.example\r\n\r\n", b"no header"):
        found = await world.send(message, b"From: z@b.example\r\n\r\n" * bool(message), b"x" * 300_000)
        assert isinstance(found, Refused), message
        assert found.reply.code in {550, 552, 554}


@pytest.mark.parametrize("requiretls", [False, True])
@pytest.mark.parametrize("submission", [False, True])
@pytest.mark.parametrize(
    ("fields", "optional"),
    [
        (b"TLS-Required: No\r\n", True),
        (b"tls-required:no \r\n", True),
        (b"TLS-Required:\r\n NO\r\n", True),
        (b"", False),
        (b"TLS-Required: Yes\r\n", False),
        (b"TLS-Required: No (really)\r\n", False),
        (b"TLS-Required:\r\n", False),
        (b"X-TLS-Required: No\r\n", False),
        (b"TLS-Required: No\r\nTLS-Required: No\r\n", False),
    ],
)
async def test_tls_may_be_given_up(
    world: World, requiretls: bool, submission: bool, fields: bytes, optional: bool
) -> None:
    """RFC 8689 §3, §4.1: the field is kept, and REQUIRETLS in MAIL FROM goes before it."""
    message = b"Date: x\r\nMessage-ID: <y@z>\r\n" + fields + b"From: ada@example.org\r\n" + BODY
    incoming = world.incoming(submission=submission)
    envelope = incoming.envelope
    envelope.mail = MailFrom(envelope.mail.path, requiretls=requiretls)
    envelope.forwards["f@b.example"] = Forward("f@b.example", f"sales@{DOMAIN}", None)
    envelope.elsewhere[Origin(OriginKind.ACCOUNT, "x")] = [NewRecipient("e@b.example", "b.example")]
    await incoming.feed(message)
    found = await incoming.finish()
    assert isinstance(found, Ingested)
    assert await world.stored(incoming, found) == message
    queued = {one.forward_path: one.message for one in await world.store.queued()}
    assert set(queued) == {"e@b.example", "f@b.example"}
    for each in queued.values():
        assert (each.requiretls, each.tls_optional) == (requiretls, optional and not requiretls)


async def test_loops_and_sizes(world: World) -> None:
    field, author = b"Received: x\r\n", b"From: z@b.example\r\n"
    assert await world.send(field * 49 + author + BODY) == field * 49 + author + BODY
    found = await world.send(field * 50 + author + BODY)
    assert isinstance(found, Refused)
    assert found.reason == "loop"
    big = author + b"X: " + b"y" * 131_072 + b"\r\n"
    for pieces in ([big + BODY], [big[:100_000], big[100_000:], BODY], [big[:140_000], b"z" * 500_000]):
        found = await world.send(*pieces)
        assert isinstance(found, Refused)
        assert found.reply.code == 552
    exact = author + b"X: " + b"y" * (131_072 - len(author) - 7) + b"\r\n\r\n"
    assert len(exact) == 131_072 + 0
    assert await world.send(exact + b"body\r\n") == exact + b"body\r\n"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (b"From: ada@example.org", ""),
        (b"From: Ada <ADA@Example.ORG>", ""),
        (b"From: ada+tag@example.org", ""),
        (b"From: sales@example.org", ""),
        (b"From: sales+tag@example.org", ""),
        (b"From: ada@example.org, sales@example.org\r\nSender: ada@example.org", ""),
        (b"From: ada@example.org\r\nResent-From: sales@example.org\r\nResent-Sender: ada@example.org", ""),
        (b"From: eve@example.org", "from-not-yours"),
        (b"From: boss@example.org", "from-not-yours"),
        (b"From: nobody@example.org", "from-not-yours"),
        (b"From: ada@elsewhere.example", "from-not-yours"),
        (b"From: ada@sub.example.org", "from-not-yours"),
        (b"From: ada@example.org, eve@example.org", "from-not-yours"),
        (b"From: eve@example.org, ada@example.org", "from-not-yours"),
        (b"From: ada@example.org\r\nSender: eve@example.org", "sender-not-yours"),
        (b"From: ada@example.org\r\nResent-From: eve@example.org", "resent-from-not-yours"),
        (b"From: ada@example.org\r\nResent-From: ada@example.org\r\nResent-From: eve@example.org", "resent-from-not-yours"),
        (b"From: ada@example.org\r\nResent-Sender: eve@example.org", "resent-sender-not-yours"),
        (b"From: eve@example.org\r\nSender: ada@example.org", "from-not-yours"),
        (b"Sender: ada@example.org", "missing"),
        (b"From: ada@example.org\r\nSender: ada@example.org, eve@example.org", "several"),
        (b"From: ada@example.org\r\nResent-From: <@x:ada@example.org>", "route"),
        (b"From: ada@example.org, x@elsewhere.example", "several-domains"),
    ],
)  # fmt: skip
async def test_names_of_who_signed_in(world: World, fields: bytes, reason: str) -> None:
    found = await world.send(fields + b"\r\n" + BODY, submission=True)
    assert (found.reason if isinstance(found, Refused) else "") == reason
    if isinstance(found, Refused) and reason.endswith("not-yours"):
        assert reason.removesuffix("-not-yours") in found.reply.text.lower(), "the text names the field"


async def test_from_elsewhere_any_name_is_for_others_to_judge(world: World) -> None:
    assert isinstance(await world.send(b"From: ada@example.org\r\nSender: eve@example.org\r\n" + BODY), bytes)


async def test_utf8_names_need_smtputf8(world: World) -> None:
    message = "From: Zoë <zoë@école.example>\r\n".encode() + BODY
    assert await world.send(message, utf8=True) == message
    assert isinstance(await world.send(message), Refused)


async def test_a_store_that_fails_is_a_451(world: World) -> None:
    """Whichever call it is: mail is answered 4xx, or kept."""
    message = b"From: sales@example.org\r\n" + BODY
    plan = FailurePlan(at=1)
    incoming = world.incoming(submission=True, store=failing(world.store, plan))
    await incoming.feed(message)
    await incoming.feed(b"more\r\n")
    found = await incoming.finish()
    assert plan.log[0] == "route"
    assert isinstance(found, Refused)
    assert found.reply.code == 451
    assert "made to fail" not in found.reply.text
    assert [line[1] for line in world.log.lines] == ["header.unavailable"]


async def test_owns(world: World) -> None:
    ada = Person(world.ada, Secret(b"v"))
    assert not await ada.owns(world.store, None)
    assert await ada.owns(world.store, Address("ADA", DOMAIN))
    assert await ada.owns(world.store, Address("sales", DOMAIN))
    assert not await ada.owns(world.store, Address("boss", DOMAIN))
    assert not await ada.owns(world.store, Address("", DOMAIN))


async def test_a_list_and_a_catch_all_are_nobodys_own_and_what_is_only_forwarded_is(world: World) -> None:
    ada = Person(world.ada, Secret(b"v"))
    await world.store.add_alias(f"club@{DOMAIN}", [f"ada@{DOMAIN}"], EVENT, posting=Posting.MEMBERS)
    await world.store.add_alias(f"all@{DOMAIN}", [f"ada@{DOMAIN}"], EVENT, forwards=["x@else.example"])
    await world.store.add_alias(f"*@{DOMAIN}", [f"ada@{DOMAIN}"], EVENT)
    await world.store.set_forwards(world.ada.id, ["ada@else.example"], False, EVENT)
    for name in ("club", "all", "anything"):
        assert not await ada.owns(world.store, Address(name, DOMAIN)), name
    for name in ("ada", "ada+x", "sales"):
        assert await ada.owns(world.store, Address(name, DOMAIN)), name


async def test_abort_at_any_time(world: World) -> None:
    for pieces in ((), (b"From: a@b",), (b"From: a@b.example\r\n" + BODY,), (b"x\r\n\r\n",)):
        incoming = world.incoming()
        for piece in pieces:
            await incoming.feed(piece)
        incoming.abort()
        incoming.abort()


def test_every_refusal_has_its_reply() -> None:
    replies = header._REPLIES
    assert len(replies) == len(HEADER_CODES) + 4 * (len(TEXTS) - len(HEADER_CODES))
    for refusal, reply in replies.items():
        assert (reply.code, reply.enhanced) == ((554, "5.6.0") if refusal.code in HEADER_CODES else (550, "5.7.1"))


@given(st.binary(max_size=60).map(lambda data: data.replace(b"\0", b"\r\n")), st.data())
def test_held_in_any_pieces(message: bytes, data: st.DataObject) -> None:
    """What comes out is what went in, and it comes at the same octet."""
    end = 2 if message[:2] == b"\r\n" else message.find(b"\r\n\r\n") + 4
    whole = message.startswith(b"\r\n") or b"\r\n\r\n" in message
    held = Held(1000)
    at = 0
    while at < len(message):
        size = data.draw(st.integers(1, 10))
        found = held.feed(message[at : at + size])
        at = min(at + size, len(message))
        if found is not None:
            assert whole
            assert found == message[:at]
            assert at - size < end <= at
            return
    assert not whole
    assert held.finish() == message


def test_held_is_bounded_and_linear() -> None:
    held = Held(131_072)
    begun = time.process_time()
    for _ in range(13_000):
        assert held.feed(b"A: bcdef\r\n") is None
    assert time.process_time() - begun < 0.5
    assert held.feed(b"x" * 2000) == header._TOO_BIG
    assert held.finish() == b""
