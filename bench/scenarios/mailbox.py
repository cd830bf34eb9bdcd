"""One large mixed mailbox over IMAP inside TLS: what a client reads, changes and moves.

Every command is run once before it is measured, so that caches of both sides are warm; answers are counted, not believed.
"""

import random
from collections.abc import Callable, Coroutine

from bench.corpus import mixed_corpus
from bench.imap import ImapClient
from bench.scenarios.base import Group, Sample, Scenario, Stage, Watch, memory_mib, repeat
from bench.wire import RefusedError

USER = "big"
_FILL_BATCH = 32
_RANGE = 1000  # of COPY and MOVE
_SINGLE_STORES = 400
_SELECTS = 300
_THUNDERBIRD = (
    b"UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References "
    b"Newsgroups In-Reply-To Content-Type Reply-To)]"
)


async def fill(client: ImapClient, mailbox: bytes, count: int, *, mean_bytes: int, seed: int = 1) -> None:
    """Append the mixed corpus."""
    batch: list[bytes] = []
    for message in mixed_corpus(count, seed=seed, mean_bytes=mean_bytes):
        batch.append(message)
        if len(batch) == _FILL_BATCH:
            await client.append_batch(mailbox, batch)
            batch.clear()
    await client.append_batch(mailbox, batch)


async def _prepare(stage: Stage) -> None:
    client = await ImapClient.open(stage.endpoints.imaps, stage.tls, USER)
    await fill(client, b"INBOX", stage.scale.mailbox_messages, mean_bytes=stage.scale.mean_bytes)
    await client.logout()


GROUP = Group("mailbox", _prepare)


async def opened(stage: Stage, user: str = USER) -> ImapClient:
    """A client with the mailbox selected, all of it there."""
    client = await ImapClient.open(stage.endpoints.imaps, stage.tls, user)
    found = await client.select()
    if found != stage.scale.mailbox_messages:
        raise RefusedError(f"{found} messages instead of {stage.scale.mailbox_messages}")
    return client


async def _measured(stage: Stage, client: ImapClient, watch: Watch, operations: int) -> Sample:
    memory = memory_mib(stage)
    await client.logout()
    return watch.sample(operations) | {"pss_mib": memory}


def _whole(name: str, items: bytes, what: str, at_least_bytes: int) -> Scenario:
    """FETCH of one item over all messages."""

    async def measure(stage: Stage) -> Sample:
        client = await opened(stage)
        count = stage.scale.mailbox_messages

        async def fetch() -> None:
            seen = await client.skim(b"FETCH 1:* (" + items + b")")
            if seen.matches != count or seen.size_bytes < count * at_least_bytes:
                raise RefusedError(f"{seen.matches} answers, {seen.size_bytes} bytes")

        await fetch()
        watch = Watch(stage.root)
        done = await repeat(watch, fetch, at_least=2, at_most=100, for_s=stage.scale.pick(3, 1))
        return await _measured(stage, client, watch, done)

    return Scenario(name, GROUP, f"FETCH 1:* {what}; CPU per command over the whole mailbox", measure)


def _store_all(name: str, silent: bool) -> Scenario:
    suffix = b".SILENT" if silent else b""

    async def measure(stage: Stage) -> Sample:
        client = await opened(stage)
        signs = [b"+", b"-"]
        expected = 0 if silent else stage.scale.mailbox_messages

        async def store() -> None:
            sign = signs[0]
            signs.reverse()
            seen = await client.skim(b"STORE 1:* " + sign + b"FLAGS" + suffix + b" (\\Flagged)")
            if seen.matches < expected:
                raise RefusedError(f"{seen.matches} answers")

        await store()
        await store()
        watch = Watch(stage.root)
        done = await repeat(watch, store, at_least=4, at_most=200, for_s=stage.scale.pick(3, 1))
        if done % 2:
            await store()
        return await _measured(stage, client, watch, done)

    text = "STORE 1:* ±FLAGS" + (".SILENT" if silent else "")
    return Scenario(name, GROUP, f"{text} (\\Flagged); CPU per command over the whole mailbox", measure)


async def _store_one(stage: Stage) -> Sample:
    client = await opened(stage)
    numbers = random.Random(stage.round + 1).choices(range(1, stage.scale.mailbox_messages + 1), k=_SINGLE_STORES)
    commands = iter([b"STORE %d %bFLAGS (\\Answered)" % (n, b"+" if i % 2 else b"-") for i, n in enumerate(numbers)])
    watch = Watch(stage.root)
    done = await repeat(watch, lambda: client.ask(next(commands)), at_least=20, at_most=_SINGLE_STORES, for_s=5)
    return await _measured(stage, client, watch, done)


async def _select(stage: Stage) -> Sample:
    client = await opened(stage)
    watch = Watch(stage.root)
    done = await repeat(watch, client.select, at_least=20, at_most=_SELECTS, for_s=5)
    return await _measured(stage, client, watch, done)


async def _copy(stage: Stage) -> Sample:
    client = await opened(stage)
    target = b"copies-%d" % stage.round
    await client.ask(b"CREATE " + target)
    copied = min(_RANGE, stage.scale.mailbox_messages)
    watch = Watch(stage.root)
    done = await repeat(watch, lambda: client.ask(b"COPY 1:%d %b" % (copied, target)), at_least=3, at_most=10, for_s=3)
    if await client.count(target) != done * copied:
        raise RefusedError("COPY lost messages")
    await client.ask(b"DELETE " + target)
    return await _measured(stage, client, watch, done)


async def _move(stage: Stage) -> Sample:
    client = await opened(stage)
    target = b"moved-%d" % stage.round
    await client.ask(b"CREATE " + target)
    moved = min(_RANGE, stage.scale.mailbox_messages)
    watch = Watch(stage.root)
    pairs = stage.scale.pick(4, 2)
    for _ in range(pairs):
        with watch.running():
            await watch.timed(client.ask(b"MOVE 1:%d %b" % (moved, target)))
        if await client.select(target) != moved:
            raise RefusedError("MOVE lost messages")
        with watch.running():
            await watch.timed(client.ask(b"MOVE 1:%d INBOX" % moved))
        await client.select()
    await client.ask(b"DELETE " + target)
    return await _measured(stage, client, watch, pairs * 2)


def _plain(name: str, summary: str, measure: Callable[[Stage], Coroutine[object, object, Sample]]) -> Scenario:
    return Scenario(name, GROUP, summary, measure)


READING = (
    _whole("fetch-flags", b"FLAGS", "FLAGS", 10),
    _whole("fetch-uid-flags", b"UID FLAGS", "(UID FLAGS)", 15),
    _whole("fetch-thunderbird", _THUNDERBIRD, "(UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (14 fields)])", 200),
    _whole(
        "fetch-phone",
        b"UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE",
        "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
        300,
    ),
    _whole("fetch-preview", b"UID PREVIEW", "(UID PREVIEW)", 50),
    _whole("fetch-envelope", b"ENVELOPE", "ENVELOPE", 100),
    _whole("fetch-bodystructure", b"BODYSTRUCTURE", "BODYSTRUCTURE", 50),
    _whole("fetch-header", b"BODY.PEEK[HEADER]", "BODY.PEEK[HEADER]", 500),
    _whole("fetch-body", b"BODY.PEEK[]", "BODY.PEEK[]", 1000),
)
CHANGING = (
    _store_all("store-all", silent=False),
    _store_all("store-all-silent", silent=True),
    _plain("store-one", "STORE n ±FLAGS (\\Answered), one message each; CPU per command", _store_one),
    _plain("select", "SELECT of the same mailbox again; CPU per command", _select),
    _plain("copy-1000", "COPY 1:1000; CPU per command", _copy),
    # Last: it changes the order of the mailbox.
    _plain("move-1000", "MOVE 1:1000; CPU per command", _move),
)
