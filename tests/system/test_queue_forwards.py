"""Forwards that fail for good: nobody outside hears of it, and nothing vanishes."""

import email
import email.policy
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin.giving_up import GivenUp, give_up, settler
from poterne.admin.people import Acting
from poterne.admin.queue import Wanted
from poterne.store.interface import Store
from poterne.values.ids import AccountId, TraceId
from poterne.values.origin import Origin, OriginKind
from poterne.values.queue import QueueState
from poterne.values.secret import Secret
from tests.support.queue_world import ALICE, LETTER, Post, here, post, settings
from tests.support.sink import Sink
from tests.support.stores import ALL, event

DAY = 86_400
FAR = "alice@home.test"
SRS = "SRS0=x=y=elsewhere.test=stranger@example.org"
FIRST = b"Return-Path: <stranger@elsewhere.test>\r\n"
REFUSING = {"RCPT": b"550 5.1.1 nobody here\r\n"}
OWN = Origin(OriginKind.FORWARD, ALICE, AccountId(1))
LIST = Origin(OriginKind.FORWARD, "team@example.org")


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Post]:
    async with post(tmp_path) as made:
        yield made


async def everything(store: Store) -> list[bytes]:
    """Every message in every INBOX."""
    found: list[bytes] = []
    for account in await store.accounts():
        inbox = await store.mailbox(account.id, "INBOX")
        found += [store.blobs.read(row.blob) for row in store.contents(account.id, inbox.id, ALL)]
    return found


async def forward(office: Post, origin: Origin = OWN, to: str = FAR) -> None:
    await office.queue(to, origin=origin, reverse_path=SRS, letter=FIRST + LETTER, start=len(FIRST))


def text(octets: bytes) -> str:
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return str(message.get_content())


async def test_without_a_copy_the_message_is_kept_and_its_owner_hears_of_it(office: Post) -> None:
    await office.store.set_forwards(office.world.alice, [FAR], keeps=False, event=event())
    with Sink(REFUSING) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await forward(office)
        assert await office.rest() == []
        kept, notice = await office.letters()
        assert kept == FIRST + LETTER
        assert notice.startswith(b"Return-Path: <>\r\n")
        assert "550 5.1.1 nobody here" in text(notice)
        assert "the message is in your mailbox" in text(notice)
        assert [line for line in sink.lines if line.startswith("RCPT")] == [f"RCPT TO:<{FAR}>"]
        (event_kept,) = await office.events("forward.kept")
        assert event_kept.account_id == office.world.alice
        (failed,) = await office.events("message.failed")
        assert failed.detail["told"] is False


async def test_with_a_copy_only_the_notice_comes_once_a_day(office: Post) -> None:
    await office.store.set_account(office.world.alice, event(), language="fr")
    await office.store.set_forwards(office.world.alice, [FAR], keeps=True, event=event())
    with Sink(REFUSING) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        for _ in range(3):
            await forward(office)
            assert await office.rest() == []
        (notice,) = await office.letters()
        assert "Rien n’est perdu" in text(notice)
        await office.later(DAY)
        await forward(office)
        await office.rest()
        assert len(await office.letters()) == 2
        await forward(office, to="other@home.test")
        await office.rest()
        assert len(await office.letters()) == 3


async def test_a_copy_is_kept_for_each_message_though_the_notice_comes_once(office: Post) -> None:
    await office.store.set_forwards(office.world.alice, [FAR], keeps=False, event=event())
    with Sink(REFUSING) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        for _ in range(3):
            await forward(office)
            await office.rest()
        assert [one == FIRST + LETTER for one in await office.letters()] == [True, False, True, True]


async def test_a_full_mailbox_makes_the_forward_wait_and_the_postmaster_hears_of_the_end(office: Post) -> None:
    boss = (await office.store.add_account("boss@example.org", "", "en", Secret("$argon2id$x"), 0, (), event())).id
    await office.store.add_alias("postmaster@example.org", ["boss@example.org"], event())
    await office.store.set_forwards(office.world.alice, [FAR], keeps=False, event=event())
    await office.store.set_account(office.world.alice, event(), quota_bytes=10)
    with Sink(REFUSING) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await forward(office)
        (waiting,) = await office.rest()
        assert waiting.last_reply == "550 5.1.1 nobody here"
        assert await everything(office.store) == []
        await office.store.set_account(office.world.alice, event(), quota_bytes=100_000)
        assert await office.later(400) == []
        assert (await office.letters())[0] == FIRST + LETTER
        await office.store.set_account(office.world.alice, event(), quota_bytes=10)
        await forward(office, to="other@home.test")
        assert len(await office.rest()) == 1
        assert await office.later(5 * DAY) == []
        (lost,) = await office.letters(boss)
        assert "The message is lost" in text(lost)


@pytest.mark.parametrize("origin", [LIST, Origin(OriginKind.FORWARD, ALICE, AccountId(99))])
async def test_of_a_list_s_forward_the_postmaster_hears_once_a_day(office: Post, origin: Origin) -> None:
    boss = (await office.store.add_account("boss@example.org", "", "en", Secret("$argon2id$x"), 0, (), event())).id
    await office.store.add_alias("postmaster@example.org", ["boss@example.org"], event())
    with Sink(REFUSING) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        for _ in range(3):
            await forward(office, origin)
            assert await office.rest() == []
        (notice,) = await office.letters(boss)
        assert notice.startswith(b"Return-Path: <>\r\n")
        assert f"take it off {origin.name}" in text(notice).replace("\r\n", " ").replace("\n", " ")
        assert await everything(office.store) == [notice]
        assert len(await office.events("message.failed")) == 3


async def test_the_postmaster_s_own_broken_list_makes_no_circle(office: Post) -> None:
    await office.store.add_alias("postmaster@example.org", [], event(), forwards=["boss@home.test"])
    with Sink(REFUSING) as sink:
        office.start(settings({"all": here("*", port=sink.port)}))
        await forward(office, LIST)
        assert await office.rest() == []
        assert len(await office.events("message.failed")) == 2  # the list's, and the notice's way to boss@home.test
        assert await everything(office.store) == []


async def test_a_sender_of_ours_needs_no_rewriting(office: Post) -> None:
    await office.store.set_forwards(office.world.alice, [FAR], keeps=True, event=event())
    told: list[bool] = []

    def rewrite(reverse_path: str, via: str, now: int, /, *, local: bool = False) -> str:
        told.append(local)
        return reverse_path if local else "rewritten@example.org"

    with Sink() as sink:
        office.start(settings({"all": here("*", port=sink.port)}), rewrite=rewrite)
        await office.queue(ALICE, reverse_path="bob@example.org")
        await office.queue(ALICE, reverse_path="bob@elsewhere.test")
        assert await office.rest() == []
        assert told == [True, False]
        assert sorted(taken.mail.partition(" SIZE")[0] for taken in sink.taken) == [
            "MAIL FROM:<bob@example.org>",
            "MAIL FROM:<rewritten@example.org>",
        ]


async def test_given_up_by_hand_it_is_kept_or_stays_on_hold(office: Post) -> None:
    await office.store.set_forwards(office.world.alice, [FAR], keeps=False, event=event())
    await office.store.set_account(office.world.alice, event(), quota_bytes=10)
    settling = settler(settings(), office.folder, office.store, office.clock)
    acting = Acting("cli:test", int(office.clock.now), TraceId("t"))
    await forward(office)
    assert await give_up(office.store, settling, Wanted(to=FAR), acting) == GivenUp(0, 0, 1)
    (held,) = await office.store.queued()
    assert held.state is QueueState.HELD
    await office.store.set_account(office.world.alice, event(), quota_bytes=0)
    assert await give_up(office.store, settling, Wanted(state="waiting"), acting) == GivenUp(0, 0, 0)
    assert await give_up(office.store, settling, Wanted(to=FAR), acting) == GivenUp(1, 0, 0)
    kept, notice = await office.letters()
    assert kept == FIRST + LETTER
    assert "The administrator of this server has given it up." in " ".join(text(notice).split())
    assert await office.store.queued() == []


async def test_what_is_being_tried_is_left_alone(office: Post) -> None:
    settling = settler(settings(), office.folder, office.store, office.clock)
    acting = Acting("cli:test", int(office.clock.now), TraceId("t"))
    await office.queue("a@one.test", "b@one.test")
    now = int(office.clock.now)
    (leased,) = await office.store.lease(now, now + 100, 1, 1)
    assert await give_up(office.store, settling, Wanted(domain="one.test"), acting) == GivenUp(1, 1, 0)
    (left, notice) = await office.store.queued()
    assert (left.id, left.state) == (leased.id, QueueState.LEASED)
    assert notice.forward_path == ALICE
