"""Many clients at once: a mixed load, the notice of new mail, and connections that only wait."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial

from bench import accounting, smtp
from bench.corpus import plain_message
from bench.imap import ImapClient
from bench.scenarios.base import (
    Baseline,
    Group,
    Sample,
    Scenario,
    Stage,
    Watch,
    accounts,
    in_parallel,
    memory_mib,
    percentiles_ms,
    warm_logins,
)
from bench.scenarios.mailbox import fill
from bench.wire import RefusedError

CLIENTS = 64
USERS = accounts("mix", CLIENTS)
NOTICE_USERS = accounts("note", 8)
IDLE_USERS = accounts("idle", 32)
_MESSAGES = 50
_MEAN_BYTES = 10_000
_IDLE_MESSAGES = 10
_NOTICE_LIMIT_S = 15.0
_OPENING_AT_ONCE = 16
_SETTLE_S = 5.0

Operation = Callable[[ImapClient, random.Random], Awaitable[object]]


async def _prepare(stage: Stage) -> None:
    async def one(number: int) -> None:
        client = await ImapClient.open(stage.endpoints.imaps, stage.tls, USERS[number])
        await fill(client, b"INBOX", _MESSAGES, mean_bytes=_MEAN_BYTES, seed=number)
        await client.ask(b"CREATE Kept")
        await client.logout()

    for start in range(0, CLIENTS, 8):  # a few at a time
        async with asyncio.TaskGroup() as group:
            for number in range(start, start + 8):
                group.create_task(one(number))


def _number(choice: random.Random) -> int:
    return choice.randint(1, _MESSAGES)


_SENT = plain_message(4096)

# The mixed load: how often each operation comes, out of 100. What a desktop client and two phones do in a day.
MIX: tuple[tuple[int, Operation], ...] = (
    (15, lambda client, _: client.ask(b"NOOP")),
    (8, lambda client, _: client.count()),
    (6, lambda client, _: client.select()),
    (16, lambda client, _: client.ask(b"FETCH 1:%d (UID FLAGS)" % _MESSAGES)),
    (14, lambda client, choice: client.skim(b"FETCH %d:* (UID FLAGS ENVELOPE)" % (_MESSAGES - choice.randint(5, 15)))),
    (6, lambda client, choice: client.skim(b"FETCH %d (BODYSTRUCTURE)" % _number(choice))),
    (15, lambda client, choice: client.skim(b"FETCH %d (BODY.PEEK[])" % _number(choice))),
    (12, lambda client, choice: client.ask(b"STORE %d +FLAGS (\\Seen)" % _number(choice))),
    (3, lambda client, _: client.ask(b"SEARCH UNSEEN")),
    (3, lambda client, choice: client.ask(b"COPY %d Kept" % _number(choice))),
    (2, lambda client, _: client.append(b"Kept", _SENT)),
)


async def _mixed(stage: Stage) -> Sample:
    per_client = stage.scale.pick(300, 80)
    weights = [weight for weight, _ in MIX]
    operations = [operation for _, operation in MIX]
    opened = [await ImapClient.open(stage.endpoints.imaps, stage.tls, user) for user in USERS]
    for client in opened:
        await client.select()
    watch = Watch(stage.root)

    async def work(number: int) -> None:
        choice = random.Random(number * 1000 + stage.round)
        for operation in choice.choices(operations, weights, k=per_client):
            await watch.timed(operation(opened[number], choice))

    with watch.running():
        await in_parallel(CLIENTS, work)
    memory = memory_mib(stage)
    for client in opened:
        await client.logout()
    return watch.sample(per_client * CLIENTS) | {"pss_mib": memory}


class _Notice:
    """Notes when an idling connection is told of new mail."""

    def __init__(self) -> None:
        self._told = asyncio.Event()
        self._at_s = 0.0
        self._rest = b""

    def data(self, data: bytes) -> None:
        self._rest = self._rest[-16:] + data
        if b" EXISTS\r\n" in self._rest:
            self._rest = b""
            self._at_s = time.perf_counter()
            self._told.set()

    def arm(self) -> None:
        self._told.clear()

    async def told_s(self) -> float:
        """When it was told."""
        async with asyncio.timeout(_NOTICE_LIMIT_S):
            await self._told.wait()
        return self._at_s


async def _notices(stage: Stage) -> Sample:
    each = stage.scale.pick(25, 8)
    latencies_s: list[float] = []
    message = smtp.data(plain_message(4096))

    async def stream(number: int) -> None:
        user = NOTICE_USERS[number]
        choice = random.Random(number)
        reader = await ImapClient.open(stage.endpoints.imaps, stage.tls, user)
        await reader.select()
        await reader.idle()
        notice = _Notice()
        reader.wire.on_data = notice.data
        sender = await smtp.SmtpClient.open(stage.endpoints.smtp)
        opening = smtp.envelope([user])
        for _ in range(each):
            await asyncio.sleep(choice.uniform(0.05, 0.25))
            notice.arm()
            await sender.send(opening, 1, message)
            acknowledged_s = time.perf_counter()
            latencies_s.append(max(0.0, await notice.told_s() - acknowledged_s))
        await sender.quit()
        reader.close()

    await in_parallel(len(NOTICE_USERS), stream)
    return percentiles_ms(latencies_s)


async def _notices_loaded(stage: Stage) -> Sample:
    """The mixed load goes on without a pause meanwhile: the server has more to do than it can."""
    weights = [weight for weight, _ in MIX]
    operations = [operation for _, operation in MIX]

    async def work(number: int) -> None:
        choice = random.Random(number)
        client = await ImapClient.open(stage.endpoints.imaps, stage.tls, USERS[number])
        await client.select()
        try:
            while True:
                await choice.choices(operations, weights)[0](client, choice)
        finally:
            client.close()

    load = [asyncio.create_task(work(number)) for number in range(CLIENTS)]
    try:
        await asyncio.sleep(2.0)
        return await _notices(stage)
    finally:
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)


async def _prepare_idle(stage: Stage) -> None:
    await warm_logins(stage, IDLE_USERS)
    for user in IDLE_USERS:
        client = await ImapClient.open(stage.endpoints.imaps, stage.tls, user)
        await fill(client, b"INBOX", _IDLE_MESSAGES, mean_bytes=_MEAN_BYTES)
        await client.select()
        await client.logout()
    await asyncio.sleep(1.0)
    stage.memory = Baseline.of(stage.root)


_NOTIFY = (
    b"NOTIFY SET (selected (MessageNew MessageExpunge FlagChange)) (personal (MessageNew MessageExpunge MailboxName))"
)


async def _idle_connections(stage: Stage, *, notify: bool = False) -> Sample:
    wanted = stage.scale.connections
    assert stage.memory is not None, "not prepared"
    opened: list[ImapClient] = []
    left = iter(range(wanted))

    async def work(_number: int) -> None:
        for number in left:
            client = await ImapClient.open(stage.endpoints.imaps, stage.tls, IDLE_USERS[number % len(IDLE_USERS)])
            opened.append(client)
            await client.select()
            if notify:
                await client.ask(_NOTIFY)
            await client.idle()

    watch = Watch(stage.root)
    try:
        with watch.running():
            await in_parallel(_OPENING_AT_ONCE, work)
        await asyncio.sleep(_SETTLE_S)
        if len(opened) != wanted:
            raise RefusedError(f"{len(opened)} connections instead of {wanted}")
        after_kib = accounting.tree_pss_kib(stage.root)
        observed_s = stage.scale.pick(10, 4)
        used_s = accounting.tree_cpu_s(stage.root)
        await asyncio.sleep(observed_s)
        used_s = accounting.tree_cpu_s(stage.root) - used_s
    finally:
        for client in opened:
            client.close()
    await asyncio.sleep(1.0)
    return {
        "kib_per_connection": (after_kib - stage.memory.pss_kib) / wanted,
        "idle_cpu_ms_per_s": used_s / observed_s * 1000,
        "open_cpu_ms": watch.server_s / wanted * 1000,
        "pss_mib": after_kib / 1024,
    }


MIX_GROUP = Group("mixed", _prepare)
NOTICE_GROUP = Group("notice")
LOADED_GROUP = Group("notice-loaded", _prepare)
IDLE_GROUP = Group("idle", _prepare_idle)
SCENARIOS = (
    Scenario("mixed-64", MIX_GROUP, "mixed IMAP load, 64 clients; CPU per operation", _mixed),
    Scenario("idle-notice", NOTICE_GROUP, "from SMTP 250 to the untagged EXISTS in IDLE, 8 mailboxes", _notices),
    Scenario("idle-notice-loaded", LOADED_GROUP, "the same while 64 clients keep the server busy", _notices_loaded),
    Scenario(
        "idle-connections", IDLE_GROUP, "connections in IDLE: memory each, CPU while nothing happens", _idle_connections
    ),
    Scenario(
        "idle-notify",
        IDLE_GROUP,
        "the same with NOTIFY for all mailboxes",
        partial(_idle_connections, notify=True),
    ),
)
