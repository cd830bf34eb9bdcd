"""APPEND over IMAP inside TLS, and login."""

from bench.corpus import plain_message
from bench.imap import ImapClient
from bench.scenarios.base import Group, Sample, Scenario, Stage, Watch, accounts, in_parallel, memory_mib, warm_logins
from bench.wire import RefusedError

USERS = accounts("app", 16)
_LOGIN_CLIENTS = 8
GROUP = Group("append")


def _append(name: str, size_bytes: int, clients: int, full: int, quick: int) -> Scenario:
    async def measure(stage: Stage) -> Sample:
        total = stage.scale.pick(full, quick)
        message = plain_message(size_bytes)
        users = USERS[:clients]
        opened = [await ImapClient.open(stage.endpoints.imaps, stage.tls, user) for user in users]
        before = [await client.select() for client in opened]
        watch = Watch(stage.root)
        share = total // clients

        async def work(number: int) -> None:
            for _ in range(share):
                await watch.timed(opened[number].append(b"INBOX", message))

        with watch.running():
            await in_parallel(clients, work)
        memory = memory_mib(stage)
        for client, existed in zip(opened, before, strict=True):
            if await client.select() != existed + share:
                raise RefusedError("APPEND lost messages")
            await client.logout()
        return watch.sample(share * clients) | {"pss_mib": memory}

    who = "1 client" if clients == 1 else f"{clients} clients"
    return Scenario(name, GROUP, f"APPEND {size_bytes // 1024} KiB, {who}; CPU per message", measure)


async def _login(stage: Stage) -> Sample:
    total = stage.scale.pick(800, 240)
    watch = Watch(stage.root)
    left = iter(range(total))

    async def once(number: int) -> None:
        client = await ImapClient.open(stage.endpoints.imaps, stage.tls, USERS[number % len(USERS)])
        await client.logout()

    async def work(_number: int) -> None:
        for number in left:
            await watch.timed(once(number))

    await warm_logins(stage, USERS)
    with watch.running():
        await in_parallel(_LOGIN_CLIENTS, work)
    return watch.sample(total) | {"pss_mib": memory_mib(stage)}


SCENARIOS = (
    Scenario("imap-login", GROUP, "connect, TLS handshake, LOGIN, LOGOUT, 8 clients; CPU per login", _login),
    _append("append-4k-1", 4096, 1, full=1000, quick=300),
    _append("append-4k-16", 4096, 16, full=3200, quick=960),
    _append("append-64k-1", 65536, 1, full=500, quick=150),
    _append("append-64k-16", 65536, 16, full=1600, quick=480),
)
