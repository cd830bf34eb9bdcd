"""Power is lost while a process writes: what it acknowledged is there, what it did not is there at most once.

The process is killed, and then everything it had not synced is taken from its disk, or some of it, in any order.
"""

import asyncio
import random
import shutil
import sys
from pathlib import Path

import pytest

from poterne.store.sqlite.engine import open_store
from tests.support.forgetful import _begin_again, lose_power
from tests.support.stores import ALL, INBOX, Clock, World


class Acknowledged:
    """What the process printed before it died."""

    def __init__(self) -> None:
        self.delivered: dict[int, str] = {}
        self.copied: set[int] = set()
        self.expunged: set[int] = set()
        self.expunging = 0

    def note(self, line: str) -> None:
        match line.split():
            case ["delivered", uid, _, body]:
                assert int(uid) not in self.delivered, "a UID was used again"
                self.delivered[int(uid)] = body
            case ["copied", uid]:
                assert int(uid) not in self.copied, "a UID was used again"
                self.copied.add(int(uid))
            case ["expunged", uid]:
                self.expunged.add(int(uid))
            case ["expunging"]:
                self.expunging += 1
            case ["done"]:
                self.expunging -= 1


async def write_until_killed(world: World, shadow: Path, seed: int, acknowledged: Acknowledged, lines: int) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.store_process",
        str(world.folder), str(world.alice), str(seed), "100000", str(shadow),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    for _ in range(lines):
        line = await process.stdout.readline()
        assert line, "the process ended by itself"
        acknowledged.note(line.decode())
    process.kill()
    rest = await process.stdout.read()
    await process.wait()
    for text in rest.decode().splitlines(keepends=True):
        if text.endswith("\n"):
            acknowledged.note(text)


async def look(world: World, acknowledged: Acknowledged) -> None:
    findings = await world.store.check()
    assert findings == []
    await world.consistent()
    wide = {
        int(row.uid): world.store.blobs.read(row.blob).decode() for row in world.store.contents(world.alice, INBOX, ALL)
    }
    assert {uid: wide.get(uid) for uid in acknowledged.delivered} == acknowledged.delivered
    assert len(set(wide.values())) == len(wide), "a message is there twice"
    work = await world.named("Work")
    there = set(await world.uids(work.id))
    assert not there & acknowledged.expunged
    missing = acknowledged.copied - there - acknowledged.expunged
    assert not missing or acknowledged.expunging  # an expunge that was under way may have been durable
    assert work.uid_next > max(acknowledged.copied, default=0)


async def rounds(folder: Path, count: int, seed: int) -> None:
    chance = random.Random(seed)
    data, shadow = folder / "data", folder / "shadow"
    world = World(open_store(data), data, Clock())
    await world.settle()
    await world.store.close()
    begin(data, shadow)
    acknowledged = Acknowledged()
    for number in range(count):
        lines = chance.choice([1, 5, 30, 80])
        await write_until_killed(world, shadow, seed * 1000 + number, acknowledged, lines)
        lose_power(data, shadow, chance, keep=chance.choice([0.0, 0.0, 0.5, 0.9]))
        world.store = open_store(data)
        await look(world, acknowledged)
        await world.store.close()
        begin(data, shadow)


def begin(data: Path, shadow: Path) -> None:
    """What is there now is on the disk."""
    shutil.rmtree(shadow, ignore_errors=True)
    shadow.mkdir()
    _begin_again(data, shadow, [data, *(path for path in data.rglob("*") if path.is_dir())])


@pytest.mark.timeout(60)
async def test_power_loss(tmp_path: Path) -> None:
    await rounds(tmp_path, 5, seed=1)


@pytest.mark.crash
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(10, 20))
async def test_power_loss_many_times(tmp_path: Path, seed: int) -> None:
    await rounds(tmp_path, 20, seed)
