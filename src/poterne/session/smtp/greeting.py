"""The pause before the greeting, in which a client that does not listen gives itself away.

Theory of operation. A mail server waits for 220 (RFC 5321 §3.1); much of what sends spam or looks for holes writes its whole
dialogue at once. So a stranger's greeting comes a moment late, and whatever arrives before it is answered by 554. Who passed
once is remembered and greeted at once from then on: a server that sends much mail waits once in some hours.

The pause is a deadline of the link's own timer: it takes no more memory than any connection that is waiting for a command.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, final

from poterne.net.limits import Key, network_of
from poterne.net.link import Link, Poke
from poterne.proto.smtp.replies import SHUTTING_DOWN
from poterne.proto.smtp.server import Server

MAX_REMEMBERED: Final = 50_000
"""Addresses (IPv6: /64) that passed; some 10 MiB when full, the oldest are forgotten."""
_WAIT: Final = "greeting"


@final
class Greeting:
    """Shared by the connections of a listener. `exempt`: these are greeted at once, always."""

    __slots__ = ("_clock", "_delay_s", "_exempt", "_passed", "_remember_s")

    def __init__(
        self,
        delay_s: float,
        remember_s: float,
        exempt: Callable[[str], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._delay_s: Final = delay_s
        self._remember_s: Final = remember_s
        self._exempt: Final = exempt
        self._clock: Final = clock
        self._passed: OrderedDict[Key, float] = OrderedDict()

    def delay_s(self, peer: str) -> float:
        """How long this peer waits for its greeting."""
        if not self._delay_s or self._exempt(peer):
            return 0.0
        until = self._passed.get(network_of(peer))
        return 0.0 if until is not None and until > self._clock() else self._delay_s

    def passed(self, peer: str) -> None:
        """It waited, and is remembered."""
        key = network_of(peer)
        self._passed[key] = self._clock() + self._remember_s
        self._passed.move_to_end(key)
        if len(self._passed) > MAX_REMEMBERED:
            self._passed.popitem(last=False)

    def failed(self, peer: str) -> None:
        """It spoke early."""
        self._passed.pop(network_of(peer), None)

    async def pause(self, core: Server, link: Link) -> None:
        """Before the greeting of a connection. What came too early is in the core afterwards (`core.buffered`)."""
        delay_s = self.delay_s(link.peer)
        if not delay_s:
            return
        link.set_deadline(delay_s, _WAIT)
        got = await link.read()
        link.set_deadline(None, "")
        if not isinstance(got, Poke):
            core.receive(got)
            if got:
                self.failed(link.peer)
        elif Poke.SHUTDOWN in got:
            core.send(SHUTTING_DOWN)
        else:
            link.expired = ""
            self.passed(link.peer)
