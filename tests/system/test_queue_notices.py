"""Who hears of mail that failed, and who never does: notices through the runner, with a real store."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.config.route import Route
from poterne.store.interface import Store
from poterne.values.ids import AccountId
from poterne.values.origin import Origin, OriginKind
from poterne.values.secret import Secret
from tests.support.queue_world import ALICE, LETTER, Post, here, post, settings
from tests.support.sink import Sink
from tests.support.stores import ALL, event

REFUSING = {"RCPT": b"550 5.1.1 nobody here\r\n"}
STRANGER = "stranger@elsewhere.test"


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Post]:
    async with post(tmp_path) as made:
        yield made


def routes(port: int, inside: int | None = None) -> dict[str, Route]:
    found = {"all": here("*", port=port)}
    if inside is not None:
        found["inside"] = here("inside.test", port=inside)
    return found


async def everything(store: Store) -> list[bytes]:
    """Every message in every INBOX."""
    found: list[bytes] = []
    for account in await store.accounts():
        inbox = await store.mailbox(account.id, "INBOX")
        found += [store.blobs.read(row.blob) for row in store.contents(account.id, inbox.id, ALL)]
    return found


async def test_an_account_is_told(office: Post) -> None:
    with Sink(REFUSING) as sink:
        office.start(settings(routes(sink.port)))
        await office.queue("gone@far.test", letter=LETTER + b"secret text\r\n")
        assert await office.rest() == []
        (notice,) = await office.letters()
        assert notice.startswith(b"Return-Path: <>\r\n")
        assert b"multipart/report" in notice
        assert b"Subject: hello" in notice
        assert b"secret text" not in notice
        assert b"postmaster@example.org" in notice
        assert len(await office.events("message.delivered")) == 1


async def test_all_of_it_comes_back_when_that_was_asked_for(office: Post) -> None:
    with Sink(REFUSING) as sink:
        office.start(settings(routes(sink.port)))
        await office.queue("gone@far.test", letter=LETTER + b"secret text\r\n", ret="FULL")
        await office.rest()
        assert b"secret text" in (await office.letters())[0]


async def test_the_owner_of_a_script_is_told_whatever_it_wrote_in_the_envelope(office: Post) -> None:
    with Sink(REFUSING) as sink:
        office.start(settings(routes(sink.port)))
        script = Origin(OriginKind.SENDER, "shop", office.world.alice)
        await office.queue("gone@far.test", origin=script, reverse_path=STRANGER)
        assert await office.rest() == []
        assert len(await office.letters()) == 1
        assert not any(STRANGER in line for line in sink.lines if line.startswith("RCPT"))


@pytest.mark.parametrize(
    ("origin", "reverse_path"),
    [
        (Origin(OriginKind.ROUTE, "inside"), STRANGER),
        (Origin(OriginKind.ROUTE, "inside"), "boss@inside.test"),
        (Origin(OriginKind.RELAY, "exchange"), STRANGER),
        (Origin(OriginKind.RELAY, "exchange"), ""),
        (Origin(OriginKind.ACCOUNT, ALICE, AccountId(1)), STRANGER),
        (Origin(OriginKind.ACCOUNT, ALICE, AccountId(1)), ""),
        (Origin(OriginKind.SENDER, "shop", AccountId(1)), ""),
        (Origin(OriginKind.SENDER, "shop", AccountId(99)), STRANGER),
    ],
)
async def test_strangers_hear_nothing(office: Post, origin: Origin, reverse_path: str) -> None:
    """No notice at all: not to the reverse-path, not to a mailbox; an event and a line in the log instead."""
    with Sink(REFUSING) as sink, Sink() as inside:
        office.start(settings(routes(sink.port, inside.port)))
        await office.queue("gone@far.test", origin=origin, reverse_path=reverse_path)
        assert await office.rest() == []
        assert await everything(office.store) == []
        assert [line for line in sink.lines if line.startswith("RCPT")] == ["RCPT TO:<gone@far.test>"]
        assert inside.connections == 0
        (failed,) = await office.events("message.failed")
        assert failed.detail["told"] is False
        assert ("message.failed", False) in [(name, said.get("told")) for name, said in office.log.said]


async def test_a_relayed_host_is_told_through_its_route_only(office: Post) -> None:
    relayed = Origin(OriginKind.RELAY, "exchange")
    with (
        Sink({"RCPT": lambda line: b"550 5.1.1 no\r\n" if "gone" in line else b"250 ok\r\n"}) as sink,
        Sink() as inside,
    ):
        office.start(settings(routes(sink.port, inside.port)))
        await office.queue("gone@far.test", origin=relayed, reverse_path="ann@inside.test")
        assert await office.rest() == []
        (notice,) = inside.taken
        assert notice.mail.startswith("MAIL FROM:<>")
        assert notice.rcpts == ["RCPT TO:<ann@inside.test> NOTIFY=NEVER"]
        assert [line for line in sink.lines if line.startswith("RCPT")] == ["RCPT TO:<gone@far.test>"]


async def test_a_notice_that_fails_is_for_the_postmaster_and_ends_there(office: Post) -> None:
    boss = (await office.store.add_account("boss@example.org", "", "en", Secret("$argon2id$x"), 0, (), event())).id
    await office.store.add_alias("postmaster@example.org", ["boss@example.org"], event())
    relayed = Origin(OriginKind.RELAY, "exchange")
    with Sink(REFUSING) as sink, Sink(REFUSING) as inside:
        office.start(settings(routes(sink.port, inside.port)))
        await office.queue("gone@far.test", origin=relayed, reverse_path="ann@inside.test")
        assert await office.rest() == []
        (double,) = await office.letters(boss)
        assert b"ann@inside.test" in double
        assert len(await office.events("message.failed")) == 2


async def test_a_third_bounce_is_nobody_s(office: Post) -> None:
    """Mail of ours fails; the postmaster's mailbox is full for days; there it ends."""
    await office.store.set_account(office.world.alice, event(), quota_bytes=10)
    office.start(settings())
    await office.queue("nobody@example.org", origin=Origin(OriginKind.SYSTEM, ""), reverse_path="", notify="NEVER")
    (waiting,) = await office.rest()
    assert (waiting.forward_path, waiting.last_reply) == ("postmaster@example.org", "The mailbox is full")
    assert await office.later(3 * 86_400) == []
    failed = [(e.detail["to"], e.detail["told"]) for e in await office.events("message.failed")]
    assert sorted(failed) == [("nobody@example.org", True), ("postmaster@example.org", False)]
    assert await everything(office.store) == []


@pytest.mark.parametrize(
    ("notify", "late", "failed"),
    [
        ("", 1, 1),
        ("FAILURE", 0, 1),
        ("SUCCESS,DELAY", 1, 0),
        ("FAILURE,DELAY", 1, 1),
        ("NEVER", 0, 0),
        ("SUCCESS", 0, 0),
    ],
)
async def test_notify_is_obeyed(office: Post, notify: str, late: int, failed: int) -> None:
    """RFC 3461 §4.1, of delay and of failure."""
    with Sink({"RCPT": b"450 4.2.0 later\r\n"}) as sink:
        office.start(settings(routes(sink.port)))
        await office.queue("a@far.test", notify=notify)
        await office.rest()
        assert await office.letters() == []
        await office.later(5 * 3600)
        assert len(await office.letters()) == late
        await office.later(5 * 3600)
        assert len(await office.letters()) == late
        assert await office.later(5 * 86_400) == []
        assert len(await office.letters()) == late + failed


@pytest.mark.parametrize(("dsn", "notify", "told"), [(False, "SUCCESS", 1), (True, "SUCCESS", 0), (False, "", 0)])
async def test_success_is_told_where_nobody_else_will(office: Post, dsn: bool, notify: str, told: int) -> None:
    extensions = ("PIPELINING", "DSN", "ENHANCEDSTATUSCODES") if dsn else ("PIPELINING", "ENHANCEDSTATUSCODES")
    with Sink(extensions=extensions) as sink:
        office.start(settings(routes(sink.port)))
        await office.queue("a@far.test", notify=notify)
        assert await office.rest() == []
        assert len(await office.letters()) == told
        assert ("NOTIFY=SUCCESS" in "".join(sink.lines)) is dsn


async def test_notices_are_in_the_account_s_language(office: Post) -> None:
    await office.store.set_account(office.world.alice, event(), language="fr")
    with Sink(REFUSING) as sink:
        office.start(settings(routes(sink.port)))
        await office.queue("gone@far.test")
        await office.rest()
        (notice,) = await office.letters()
        assert b"Message_non_remis" in notice or b"Message non remis" in notice or b"=?utf-8?" in notice.lower()
