"""Who is told that the mailbox is nearly full: once, and again only after it had sunk."""

import asyncio
import email
import email.policy
from pathlib import Path

import pytest

from poterne.admin import quota
from poterne.admin.people import Acting, AdminError
from poterne.admin.quota import QuotaNotices, threshold
from poterne.config.retention import Quota
from poterne.config.settings import Server, Settings
from poterne.observe import logger
from poterne.store.failing import FailurePlan, failing
from poterne.values.ids import TraceId
from tests.support.stores import ALL, AT, INBOX, Clock, World, event, only, sqlite

SETTINGS = Settings(server=Server(hostname="mx.example.org"))
ACTING = Acting("test", AT, TraceId("t"))


@pytest.mark.parametrize(
    ("percent", "told", "level"),
    [
        (0, 0, 0),
        (79, 0, 0),
        (80, 0, 80),
        (96, 0, 95),
        (94, 80, 80),
        (95, 80, 95),
        (93, 95, 95),
        (91, 95, 80),
        (78, 80, 80),
        (76, 80, 0),
        (500, 95, 95),
    ],
)
def test_threshold(percent: int, told: int, level: int) -> None:
    assert threshold(percent, told, (80, 95)) == level


def test_without_thresholds_nobody_is_told() -> None:
    assert threshold(500, 0, ()) == 0


async def test_told_once_until_it_sank(tmp_path: Path) -> None:
    clock = Clock()
    world = World(sqlite(tmp_path / "data", clock), tmp_path / "data", clock)
    await world.settle()
    store = world.store
    notices = QuotaNotices(store, SETTINGS, clock, logger())
    await store.set_account(world.alice, event(), quota_messages=10, language="fr")

    async def subjects() -> list[str]:
        found = []
        for row in store.contents(world.alice, INBOX, ALL):
            octets = store.blobs.read(row.blob)
            if b"postmaster" in octets:
                assert octets.startswith(b"Return-Path: <>\r\n")
                message = email.message_from_bytes(octets, policy=email.policy.default)
                found.append(str(message["Subject"]).replace("\u00a0", " "))
        return found

    for _ in range(8):
        await notices.once()
        assert await subjects() == []
        await world.deliver()
    for _ in range(3):
        await notices.once()
    assert await subjects() == ["Votre boîte est remplie à 80 %"]  # now there are 9
    await world.deliver()
    await notices.once()
    await notices.once()  # 11 of 10
    assert await subjects() == ["Votre boîte est remplie à 80 %", "Votre boîte est remplie à 100 %"]
    await store.remove(world.alice, INBOX, only(1, 2, 3, 4, 5))
    await notices.once()
    assert len(await subjects()) == 2
    for _ in range(2):
        await world.deliver()
    await notices.once()
    assert (await subjects())[2:] == ["Votre boîte est remplie à 80 %"]
    told = [one.detail for one in await store.events(kind="notice.quota")]
    assert [one["threshold"] for one in told] == [80, 95, 80]
    quiet = Settings(server=SETTINGS.server, quota=Quota(warn_percent=0, alarm_percent=0))
    await QuotaNotices(store, quiet, clock, logger()).once()
    assert len(await subjects()) == 3
    assert await store.check() == []
    await store.close()


async def test_set_by_an_administrator(tmp_path: Path) -> None:
    clock = Clock()
    world = World(sqlite(tmp_path / "data", clock), tmp_path / "data", clock)
    await world.settle()
    made = await quota.set_quota(world.store, "alice@example.org", ACTING, quota_messages=7)
    assert (made.quota_bytes, made.quota_messages) == (0, 7)
    made = await quota.set_quota(world.store, "alice@example.org", ACTING, quota_bytes=10**9)
    assert (made.quota_bytes, made.quota_messages) == (10**9, 7)
    with pytest.raises(AdminError, match="0 is none"):
        await quota.set_quota(world.store, "alice@example.org", ACTING, quota_bytes=-1)
    with pytest.raises(AdminError, match="there is no account"):
        await quota.set_quota(world.store, "none@example.org", ACTING, quota_bytes=1)
    assert [one.detail["messages"] for one in await world.store.events(kind="account.quota")] == [None, 7]
    await world.store.close()


async def test_a_failure_does_not_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quota, "EVERY_S", 0.01)
    clock = Clock()
    world = World(sqlite(tmp_path / "data", clock), tmp_path / "data", clock)
    await world.settle()
    await world.store.set_account(world.alice, event(), quota_messages=1)
    await world.deliver()
    task = asyncio.create_task(QuotaNotices(failing(world.store, FailurePlan(3)), SETTINGS, clock, logger()).run())
    for _ in range(500):
        if len(await world.uids()) == 2:
            break
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])
    assert len(await world.uids()) == 2
    await world.store.close()
