"""Several processes on one store."""

import asyncio
import sys

import pytest

from tests.support.stores import ALL, INBOX, World


async def run_writers(world: World, count: int, turns: int) -> list[list[str]]:
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.store_process", str(world.folder), str(world.alice), str(seed), str(turns),
            stdout=asyncio.subprocess.PIPE,
        )
        for seed in range(count)
    ]  # fmt: skip
    outputs = await asyncio.gather(*[process.communicate() for process in processes])
    assert [process.returncode for process in processes] == [0] * count
    return [out.decode().splitlines() for out, _ in outputs]


@pytest.mark.timeout(60)
async def test_three_processes_write_one_mailbox(world: World) -> None:
    lines = [line.split() for output in await run_writers(world, 3, 20) for line in output]
    delivered = [line for line in lines if line[0] == "delivered"]
    assert len(delivered) == 3 * 4 * 20
    uids = sorted(int(line[1]) for line in delivered)
    assert uids == list(range(1, len(delivered) + 1))  # each UID once, without a gap: nothing failed
    by_uid = sorted(delivered, key=lambda line: int(line[1]))
    modseqs = [int(line[2]) for line in by_uid]
    assert modseqs == sorted(set(modseqs))
    wide = world.store.contents(world.alice, INBOX, ALL)
    assert [world.store.blobs.read(row.blob).decode() for row in wide] == [line[3] for line in by_uid]
    copied = [int(line[1]) for line in lines if line[0] == "copied"]
    assert len(copied) == len(set(copied))
    expunged = [int(line[1]) for line in lines if line[0] == "expunged"]
    assert len(expunged) == len(set(expunged))
    work = await world.named("Work")
    assert set(await world.uids(work.id)) == set(copied) - set(expunged)
    assert world.store.poll()
    await world.consistent()


async def test_a_writer_that_is_killed_leaves_a_sound_store(world: World) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.store_process", str(world.folder), str(world.alice), "7", "100000",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    acknowledged: dict[int, str] = {}
    while len(acknowledged) < 200:
        line = (await process.stdout.readline()).decode().split()
        if line[0] == "delivered":
            acknowledged[int(line[1])] = line[3]
    process.kill()
    rest = (await process.stdout.read()).decode()
    await process.wait()
    for text in rest.splitlines()[:-1]:
        kind, number, *more = text.split()
        if kind == "delivered":
            acknowledged[int(number)] = more[1]
    after = await world.deliver(b"after")  # the lock went with its holder
    assert after.uid > max(acknowledged)
    wide = {
        int(row.uid): world.store.blobs.read(row.blob).decode() for row in world.store.contents(world.alice, INBOX, ALL)
    }
    assert {uid: wide[uid] for uid in acknowledged} == acknowledged
    assert len(set(wide.values())) == len(wide)
    await world.consistent()
