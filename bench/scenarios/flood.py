"""A flood from one network, and one honest sender from elsewhere: how long its mail takes meanwhile, and what the flood takes.

Each attacker of the network connects; when it is let in it greets, tries out a name and stays; when it is sent away it is back
in a second, until the end. The honest sender makes a new connection for each message, as a server with little mail does; a
message that is not through after some seconds is lost and counts with these. (Postfix counts no connections from loopback.)
"""

import asyncio
import random
import time

from bench import accounting, smtp
from bench.corpus import plain_message
from bench.scenarios.base import Baseline, Group, PssSampler, Sample, Scenario, Stage, Watch, percentiles_ms
from bench.sut import DOMAIN
from bench.wire import DisconnectedError, RefusedError, connect, line_stop

USER = "flooded"
ATTACKERS = 2000
_NETWORK = "127.0.66"
_HONEST = "127.0.99.7"
_BACK_AFTER_S = 1.0
_MESSAGE_BYTES = 4096
_BETWEEN_S = 0.05
_LOST_AFTER_S = 10.0
_GIVE_UP = 3
_GUESS = b"EHLO bot.example.net\r\nMAIL FROM:<x@example.net>\r\nRCPT TO:<guess%d@%b>\r\n"


class _Attack:
    """The network's attackers, and what became of them."""

    def __init__(self, port: int) -> None:
        self.let_in = 0
        self.sent_away = 0
        self._port = port

    async def run(self, number: int) -> None:
        """One attacker, until it is cancelled."""
        await asyncio.sleep(random.random() * _BACK_AFTER_S)  # not all in one tick
        while True:
            await self._try(number)
            await asyncio.sleep(_BACK_AFTER_S)

    async def _try(self, number: int) -> None:
        wire, inside = None, False
        try:
            wire = await connect(self._port, source=f"{_NETWORK}.{number % 250 + 1}")
            inside = (await wire.keep(line_stop)).startswith(b"220")
            if inside:
                self.let_in += 1
                wire.write(_GUESS % (number, DOMAIN.encode()))
            while inside:  # it stays, and hears whatever there is
                await wire.keep(line_stop)
        except (OSError, DisconnectedError):
            pass
        finally:
            self.sent_away += not inside
            if wire is not None:
                wire.close()


async def _measure(stage: Stage) -> Sample:
    port = stage.endpoints.guarded or stage.endpoints.smtp
    opening = smtp.envelope([USER])
    message = smtp.data(plain_message(_MESSAGE_BYTES, 1))

    lost = 0

    async def send() -> None:
        nonlocal lost
        try:
            async with asyncio.timeout(_LOST_AFTER_S):
                client = await smtp.SmtpClient.open(port, source=_HONEST)
                await client.send(opening, 1, message)
                await client.quit()
        except (OSError, TimeoutError, DisconnectedError, RefusedError):
            lost += 1

    for _ in range(10):
        await send()
    baseline = Baseline.of(stage.root)
    attack = _Attack(port)
    attackers = [asyncio.create_task(attack.run(number)) for number in range(ATTACKERS)]
    sampler, watch = PssSampler(stage.root, baseline), Watch(stage.root)
    try:
        with sampler.running():
            await asyncio.sleep(2 * _BACK_AFTER_S)  # all of them came once
            attack.sent_away, began = 0, time.perf_counter()
            with watch.running():
                for _ in range(stage.scale.pick(150, 40)):
                    await watch.timed(send())
                    if lost >= _GIVE_UP:
                        break
                    await asyncio.sleep(_BETWEEN_S)
            sent_away_per_s = attack.sent_away / (time.perf_counter() - began)
    finally:
        for attacker in attackers:
            attacker.cancel()
        await asyncio.gather(*attackers, return_exceptions=True)
    return {
        **percentiles_ms(watch.latencies_s),
        "max_ms": max(watch.latencies_s) * 1000,
        "lost": float(lost),
        "let_in": float(attack.let_in),
        "sent_away_per_s": sent_away_per_s,
        "before_mib": baseline.pss_kib / 1024,
        "extra_mib": sampler.sample()["extra_mib"],
        "pss_mib": accounting.tree_pss_kib(stage.root) / 1024,
    }


GROUP = Group("flood")
SCENARIOS = (
    Scenario(
        "flood",
        GROUP,
        f"{ATTACKERS} connections from one /24 and one honest sender, 4 KiB; its time for each message",
        _measure,
    ),
)
