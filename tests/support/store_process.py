"""One process that writes into a store: `python -m tests.support.store_process FOLDER ACCOUNT SEED COUNT [SHADOW]`.

Prints one line per acknowledged operation, after it was acknowledged. With SHADOW, on files that forget.
"""

import asyncio
import random
import sys
from pathlib import Path

from poterne.store.blobs.segments import SegmentBlobs
from poterne.store.interface import Delivery
from poterne.store.sqlite.engine import SqliteStore, open_store
from poterne.values.ids import AccountId, MailboxId
from poterne.values.mailbox import FlagChange, UidRange
from tests.support.forgetful import ForgetfulFiles
from tests.support.forgetful_vfs import ForgetfulVFS
from tests.support.stores import ALL, AT, INBOX, content, event

keep: list[ForgetfulVFS] = []


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def opened(folder: Path, shadow: Path | None) -> SqliteStore:
    if shadow is None:
        return open_store(folder)
    files = ForgetfulFiles(folder, shadow)
    keep.append(ForgetfulVFS("forgetful", files))
    return open_store(folder, vfs="forgetful", blobs=SegmentBlobs(str(folder / "messages"), files=files))


async def work(folder: Path, account: AccountId, seed: int, count: int, shadow: Path | None) -> None:
    store = opened(folder, shadow)
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
                    tell("expunging")
                    for uid in await store.expunge(account, MailboxId(work_id), ALL):
                        tell("expunged", uid)
                    tell("done")

    await asyncio.gather(*[client(number) for number in range(4)])
    await store.close()


if __name__ == "__main__":
    asyncio.run(
        work(
            Path(sys.argv[1]),
            AccountId(int(sys.argv[2])),
            int(sys.argv[3]),
            int(sys.argv[4]),
            Path(sys.argv[5]) if len(sys.argv) > 5 else None,
        )
    )
