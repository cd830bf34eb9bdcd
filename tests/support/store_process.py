"""One process that writes into a store others write into too: `python -m tests.support.store_process FOLDER ACCOUNT SEED COUNT`.

Prints one line per acknowledged operation, after it was acknowledged.
"""

import asyncio
import random
import sys
from pathlib import Path

from poterne.store.interface import Delivery
from poterne.store.sqlite.engine import open_store
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import FlagChange, UidRange
from tests.support.stores import ALL, AT, INBOX, content, event


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def work(folder: Path, account: AccountId, seed: int, count: int) -> None:
    store = open_store(folder)
    chance = random.Random(seed)
    work_id = (await store.mailbox(account, "Work")).id

    async def client(number: int) -> None:
        for turn in range(count):
            body = f"{seed}-{number}-{turn}".encode()
            new = await content(store, body, (turn,))
            (appended,) = await store.deliver(
                [Delivery(account, None, new, 0, AT, 0)], [], [event("message.delivered")]
            )
            tell("delivered", appended.uid, appended.modseq, body.decode())
            first = chance.randrange(1, appended.uid + 1)
            some = (UidRange(first, first + chance.randrange(10)),)
            match chance.randrange(4):
                case 0:
                    change = chance.choice(list(FlagChange))
                    await store.store_flags(account, INBOX, some, change, chance.choice([1, 8, 9, 4]))
                case 1:
                    copied = await store.copy(account, INBOX, some, work_id, AT)
                    for uid in copied.destination:
                        tell("copied", uid)
                case 2:
                    for uid in await store.expunge(account, MailboxId(work_id), ALL):
                        tell("expunged", uid)

    await asyncio.gather(*[client(number) for number in range(4)])
    await store.close()


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), AccountId(int(sys.argv[2])), int(sys.argv[3]), int(sys.argv[4])))
