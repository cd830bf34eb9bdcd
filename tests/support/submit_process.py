"""One process that submits: `python -m tests.support.submit_process FOLDER ACCOUNT COUNT LIMIT`. Prints how many went their way."""

import asyncio
import sys
from pathlib import Path

from poterne.store.sqlite.engine import open_store
from poterne.values.ids import AccountId
from poterne.values.sending import SendingLimits
from tests.support.queueing import submission
from tests.support.stores import Clock, World


async def work(folder: Path, account: AccountId, count: int, limit: int) -> None:
    clock = Clock()
    world = World(open_store(folder, clock=clock), folder, clock, account)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)

    async def one() -> bool:
        submitted = await world.store.submit(
            await submission(world, "a@remote.example", limits=SendingLimits(limit, 0, 0, 0))
        )
        return submitted.incident is None

    sys.stdout.write(f"{sum(await asyncio.gather(*[one() for _ in range(count)]))}\n")
    await world.store.close()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), AccountId(int(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])))
