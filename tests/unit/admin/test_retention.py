"""Rules as an administrator types them, what would go by them, and its going."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from poterne.admin import kept, people, retention
from poterne.admin.people import Acting, AdminError
from poterne.admin.retention import Going, RetentionUpkeep
from poterne.config.retention import Retention
from poterne.observe import logger
from poterne.queue import content as queue_content
from poterne.store.errors import StoreError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.store.interface import Delivery
from poterne.store.sqlite.engine import open_store
from poterne.store.sqlite.transaction import Limits
from poterne.values.ids import MailboxId, TraceId, Uid
from poterne.values.mailbox import SpecialUse
from poterne.values.retention import NEVER, AgeFrom, Rule, What
from poterne.values.secret import Secret
from tests.support.stores import ALL, AT, INBOX, Clock, World, content, event

ALICE = "alice@example.org"
DAY = 86_400
NOTHING = Retention(trash_days=0, junk_days=0, undelete_days=7)


def acting(now: int = AT) -> Acting:
    return Acting("test", now, TraceId("t"))


@pytest.fixture
async def world(tmp_path: Path) -> World:
    clock = Clock()
    store = open_store(
        tmp_path / "data", clock=clock, segment_bytes=1_048_576, grace_s=100, limits=Limits(undelete_s=7 * DAY)
    )
    made = World(store, tmp_path / "data", clock)
    await made.settle()
    return made


async def going(world: World, settings: Retention, now: int) -> list[Going]:
    return [one async for one in retention.going(world.store, settings, now)]


async def test_what_a_person_types(world: World) -> None:
    store = world.store
    assert await retention.set_rule(store, ALICE, "folder:Work/Old/", "90", acting()) == Rule(
        What.FOLDER, 90, "Work/Old", account_id=world.alice
    )
    assert (await retention.set_rule(store, "Example.ORG", "folder:inbox", "never", acting())).folder == "INBOX"
    assert (await retention.set_rule(store, "example.org", "trash", "7", acting())).domain == "example.org"
    assert len(await store.retention_rules()) == 3
    await retention.end_rule(store, ALICE, "folder:Work/Old", acting())
    with pytest.raises(AdminError, match="no rule of its own for folder:Work/Old"):
        await retention.end_rule(store, ALICE, "folder:Work/Old", acting())
    assert [one.kind for one in await store.events(limit=4)] == ["retention.rule-ended"] + ["retention.rule"] * 3


@pytest.mark.parametrize(
    ("who", "what", "days", "says"),
    [
        ("none@example.org", "trash", "1", "there is no account"),
        ("other.example", "trash", "1", "is not served here"),
        ("nonsense", "trash", "1", "is not a full domain"),
        (ALICE, "all", "1", "none of trash, junk"),
        (ALICE, "folder", "1", "none of trash, junk"),
        (ALICE, "folder:", "1", "name the folder"),
        (ALICE, "folder:a//b", "1", "name the folder"),
        (ALICE, "trash", "0", "a number of days"),
        (ALICE, "trash", "-1", "a number of days"),
        (ALICE, "trash", "99999", "a number of days"),
        (ALICE, "trash", "x", "a number of days"),
        (ALICE, "trash", "²", "a number of days"),
        (ALICE, "folder:" + "x" * 600, "3", "too long"),
    ],
)
async def test_what_can_t_be_a_rule(world: World, who: str, what: str, days: str, says: str) -> None:
    with pytest.raises(AdminError, match=says):
        await retention.set_rule(world.store, who, what, days, acting())
    assert await world.store.retention_rules() == []


async def test_forecast_and_what_really_goes_are_the_same(world: World) -> None:
    store = world.store
    ben = (await store.add_account(
        "ben@example.org", "", "fr", Secret("x"), 0, [("Corbeille", SpecialUse.TRASH)], event()
    )).id  # fmt: skip
    trash = (await store.mailbox(ben, "Corbeille")).id
    for account, mailbox in ((world.alice, None), (ben, None), (ben, trash), (ben, trash)):
        delivery = Delivery(account, mailbox, await content(store), 0, AT, 0)
        await store.deliver([delivery], [], [])
    await store.note_fetched(world.alice, INBOX, [Uid(1)], AT)
    settings = Retention(trash_days=10, junk_days=10, fetched_days=20)
    assert await going(world, settings, AT + 10 * DAY) == []
    (one,) = await going(world, settings, AT + 10 * DAY + 1)
    assert (one.account.address, one.folder, one.why, one.days) == (
        "ben@example.org",
        "Corbeille",
        "trash of the server",
        10,
    )
    assert (one.found.messages, one.held, one.aged.age_from) == (2, "", AgeFrom.SAVED)
    await retention.hold(store, "ben@example.org", "case 7", acting())
    now = AT + 30 * DAY
    found = {one.account.address: one for one in await going(world, settings, now)}
    assert found["ben@example.org"].held == "case 7"
    assert (found[ALICE].why, found[ALICE].folder) == ("fetched of the server", "INBOX")
    assert await retention.carry_out(store, settings, now) == (1, 20)
    assert await world.uids() == []
    assert await retention.lift(store, "ben@example.org", acting()) == "ben@example.org"
    with pytest.raises(AdminError, match="under no legal hold"):
        await retention.lift(store, "ben@example.org", acting())
    assert await retention.carry_out(store, settings, now) == (2, 40)
    assert await going(world, settings, now) == []
    expired = await store.events(kind="message.expired")
    assert [(one.account_id, one.reason, one.detail["messages"]) for one in expired] == [
        (ben, "trash of the server", 2),
        (world.alice, "fetched of the server", 1),
    ]
    assert len(await store.kept_messages(ben)) == 2
    await store.close()


async def test_an_account_under_a_hold_can_t_be_removed(world: World) -> None:
    assert await retention.hold(world.store, "example.org", "audit", acting()) == "example.org"
    with pytest.raises(AdminError, match="under a legal hold"):
        await people.remove_account(world.store, ALICE, acting())
    assert (await world.store.account(ALICE)).id == world.alice
    await world.store.close()


async def test_one_run_of_the_steward(world: World) -> None:
    store = world.store
    await retention.set_rule(store, ALICE, "everything", "5", acting())
    await world.deliver()
    world.clock.now = AT + 5 * DAY + 1.0
    upkeep = RetentionUpkeep(store, NOTHING, world.clock, logger())
    await upkeep.once()
    assert await world.uids() == []
    assert len(await store.kept_messages(world.alice)) == 1
    world.clock.now += 8 * DAY
    await upkeep.once()
    assert await store.kept_messages(world.alice) == []
    assert await store.events(kind="message.expired")
    world.clock.now += 400 * DAY
    await upkeep.once()
    assert await store.events(kind="message.expired") == []
    assert len(await store.events(kind="retention.rule")) == 1  # kept for three years
    assert await store.check() == []
    await store.close()


async def written(world: World, mailbox: MailboxId, octets: bytes) -> None:
    new = await queue_content.written(world.store.blobs, octets)
    await world.store.deliver([Delivery(world.alice, mailbox, new, 0, AT, 0)], [], [])


async def test_what_comes_back(world: World) -> None:
    store, work = world.store, await world.named("Work")
    await written(
        world, INBOX, b"From: =?utf-8?q?Zo=C3=A9?= <zoe@far.example>\r\nSubject: caf\xc3\xa9\x1b[2J\r\n\r\nx\r\n"
    )
    await written(world, work.id, b"Subject: plain\r\n\r\nx\r\n")
    await written(world, INBOX, b"Subject: third\r\n\r\nx\r\n")
    await store.remove(world.alice, INBOX, ALL)
    await store.remove(world.alice, work.id, ALL)
    shown = await kept.listed(store, ALICE, 0, 10)
    assert sorted(one.subject for one in shown) == ["café?[2J", "plain", "third"]
    assert {one.kept.mailbox for one in shown} == {"INBOX", "Work"}
    first = next(one for one in shown if one.sender)
    assert first.sender == "Zoé <zoe@far.example>"
    assert await kept.bring_back(store, ALICE, acting(), numbers=[first.number]) == {"INBOX": 1}
    with pytest.raises(AdminError, match="can't come back"):
        await kept.bring_back(store, ALICE, acting(), numbers=[first.number])
    assert await kept.bring_back(store, ALICE, acting(), folder="Nowhere") == {}
    assert await kept.bring_back(store, ALICE, acting(), folder="INBOX", to="Sent") == {"Sent": 1}
    with pytest.raises(AdminError, match="has no folder Gone"):
        await kept.bring_back(store, ALICE, acting(), to="Gone")
    await store.delete_mailbox(world.alice, work.id, event())
    assert await kept.bring_back(store, ALICE, acting()) == {"INBOX": 1}
    assert await kept.listed(store, ALICE, 0, 10) == []
    await world.consistent()
    await store.close()


async def test_a_full_account_has_no_room_for_what_comes_back(world: World) -> None:
    await world.deliver()
    await world.store.remove(world.alice, INBOX, ALL)
    await world.store.set_account(world.alice, event(), quota_bytes=1)
    with pytest.raises(AdminError, match="poterne account quota"):
        await kept.bring_back(world.store, ALICE, acting())


def test_the_rules_of_the_server_are_those_of_the_settings() -> None:
    assert retention.server_rules(Retention()) == [Rule(What.TRASH, 30), Rule(What.JUNK, 30)]
    assert retention.server_rules(NOTHING) == []
    assert retention.words(Rule(What.FOLDER, NEVER, "A/B")) == "folder:A/B"


async def test_a_failure_does_not_end_it(world: World) -> None:
    """Nor does a bug: the next run tries again."""
    await world.deliver()
    await retention.set_rule(world.store, ALICE, "everything", "5", acting())
    world.clock.now = AT + 6.0 * DAY
    store = failing(world.store, FailurePlan(2))
    upkeep = RetentionUpkeep(store, Retention(every_s=0), world.clock, logger())
    task = asyncio.create_task(upkeep.run(0.0))
    for _ in range(500):
        if not await world.uids():
            break
        await asyncio.sleep(0.01)
    assert await world.uids() == []
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    await world.store.close()


@pytest.mark.parametrize("number", range(1, 8))
async def test_each_call_that_fails_loses_nothing(world: World, number: int) -> None:
    await world.deliver()
    await world.deliver()
    await retention.set_rule(world.store, ALICE, "everything", "5", acting())
    plan = FailurePlan(number, Fails.AFTER)
    with contextlib.suppress(StoreError):
        await RetentionUpkeep(failing(world.store, plan), NOTHING, lambda: AT + 6 * DAY, logger()).once()
    assert plan.calls >= min(number, 6)
    kept_now, there = await world.store.kept_messages(world.alice), await world.uids()
    assert len(kept_now) + len(there) == 2
    told = sum(int(one.detail["messages"] or 0) for one in await world.store.events(kind="message.expired"))
    assert told == len(kept_now)
    assert await world.store.check() == []
    await world.store.close()
