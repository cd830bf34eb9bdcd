"""One mailbox of 100,000 messages: SELECT by a client that is new, QRESYNC after ten changes, memory of each session.

What is in the messages does not matter here: some are appended, the rest are copies.
"""

import re

from bench import accounting
from bench.corpus import plain_message
from bench.imap import ImapClient
from bench.scenarios.base import Group, Sample, Scenario, Stage, Watch, memory_mib, repeat, warm_logins
from bench.wire import RefusedError

USER = "many"
_APPENDED = 1000
_MESSAGE_BYTES = 2048
_BATCH = 100
_SESSIONS = 40
_FLAG_CHANGES = 8  # and one message new, one gone: ten changes
_STATE = re.compile(rb"\[UIDVALIDITY (\d+)\].*\[HIGHESTMODSEQ (\d+)\]", re.DOTALL)
_FETCHED = re.compile(rb"^\* \d+ FETCH \(", re.MULTILINE)


def _size(stage: Stage) -> int:
    return stage.scale.pick(100_000, 20_000)


async def _prepare(stage: Stage) -> None:
    await warm_logins(stage, [USER])
    client = await ImapClient.open(stage.endpoints.imaps, stage.tls, USER)
    for start in range(0, _APPENDED, _BATCH):
        await client.append_batch(b"INBOX", [plain_message(_MESSAGE_BYTES, start + at) for at in range(_BATCH)])
    count = await client.select()
    while count < _size(stage):
        copied = min(count, _size(stage) - count, 10_000)
        await client.ask(b"COPY 1:%d INBOX" % copied)
        count = await client.select()
    await client.logout()


async def _opened(stage: Stage) -> ImapClient:
    return await ImapClient.open(stage.endpoints.imaps, stage.tls, USER)


async def _select(stage: Stage) -> Sample:
    """The first SELECT of each of several connections."""
    clients = [await _opened(stage) for _ in range(_SESSIONS)]
    expected = await clients[0].select()
    waiting = iter(clients)

    async def select() -> None:
        if await next(waiting).select() != expected:
            raise RefusedError("messages are missing")

    watch = Watch(stage.root)
    done = await repeat(watch, select, at_least=_SESSIONS, at_most=_SESSIONS, for_s=0)
    for client in clients:
        await client.logout()
    return watch.sample(done) | {"max_ms": max(watch.latencies_s) * 1000}


async def _resync(stage: Stage) -> Sample:
    client, other = await _opened(stage), await _opened(stage)
    await client.ask(b"ENABLE QRESYNC")
    state = _STATE.search(await client.ask(b"SELECT INBOX"))
    if state is None:
        raise RefusedError("no UIDVALIDITY and HIGHESTMODSEQ")
    await client.ask(b"UNSELECT")
    count = await other.select()
    for at in range(1, _FLAG_CHANGES + 1):
        sign = b"-" if stage.round % 2 else b"+"
        await other.ask(b"STORE %d %bFLAGS (\\Flagged)" % (count * at // 10, sign))
    await other.ask(b"STORE %d +FLAGS (\\Deleted)" % (count - 3))
    await other.ask(b"EXPUNGE")
    await other.append(b"INBOX", plain_message(_MESSAGE_BYTES))
    command = b"SELECT INBOX (QRESYNC (%b %b))" % state.groups()

    async def resync() -> None:
        answer = await client.ask(command)
        if len(_FETCHED.findall(answer)) < _FLAG_CHANGES + 1 or b"VANISHED (EARLIER)" not in answer:
            raise RefusedError(answer[:300].decode("ascii", "replace"))

    await resync()
    watch = Watch(stage.root)
    done = await repeat(watch, resync, at_least=20, at_most=200, for_s=stage.scale.pick(3, 1))
    await client.logout()
    await other.logout()
    return watch.sample(done)


async def _sessions(stage: Stage) -> Sample:
    """Memory of sessions that have read the flags of all, held against the server before."""
    warm = await _opened(stage)
    expected = await warm.select()
    await warm.skim(b"FETCH 1:* (UID FLAGS)")
    before_kib = accounting.tree_pss_kib(stage.root)
    clients = [await _opened(stage) for _ in range(_SESSIONS)]
    for client in clients:
        await client.select()
        seen = await client.skim(b"FETCH 1:* (UID FLAGS)")
        if seen.matches != expected:
            raise RefusedError(f"{seen.matches} answers")
    after_kib = accounting.tree_pss_kib(stage.root)
    memory = memory_mib(stage)
    for client in (warm, *clients):
        await client.logout()
    return {"mib_per_session": (after_kib - before_kib) / 1024 / _SESSIONS, "pss_mib": memory}


GROUP = Group("many", _prepare)
SCENARIOS = (
    Scenario("select-100k", GROUP, "first SELECT of a connection, 100,000 messages; CPU and wall per command", _select),
    Scenario("qresync-100k", GROUP, "SELECT with QRESYNC after 10 changes, 100,000 messages; CPU per command", _resync),
    Scenario("sessions-100k", GROUP, f"{_SESSIONS} sessions with 100,000 messages: memory each", _sessions),
)
