"""What DNS tells about a peer, brought to its dialogue: noted, or the answer to MAIL waits, or is a refusal."""

import asyncio
from typing import Final, final

from poterne.net.link import Link
from poterne.net.reputation import Reputation
from poterne.observe import Log
from poterne.policy.reputation import Action, Verdict
from poterne.proto.smtp.replies import Reply
from poterne.session.smtp.refused import Refused

STEP_S: Final = 0.25
"""How often somebody who waits is looked at: whether the connection is still there."""


@final
class Standing:
    """One connection's: asked at its first MAIL, for lookups take a moment; what it waited for once, it need not again."""

    __slots__ = ("_link", "_log", "_reputation", "_waited", "reverse_name", "verdict")

    def __init__(self, reputation: Reputation | None, link: Link, log: Log) -> None:
        self._reputation = reputation
        self._link: Final = link
        self._log: Final = log
        self._waited = False
        self.verdict: Verdict | None = None
        self.reverse_name = ""
        """Of the peer's address, when it leads back to it."""

    def begin(self) -> None:
        """It has connected: look it up meanwhile."""
        if self._reputation is not None:
            self._reputation.begin(self._link.peer)

    async def judge(self, helo: str) -> Refused | None:
        """Before a transaction. Waits where that is what the peer gets."""
        reputation, link = self._reputation, self._link
        if reputation is None:
            return None
        if not reputation.applies(link.peer):
            self._reputation = None  # nor is there at the next MAIL
            return None
        evidence = await reputation.gather(link.peer, helo)
        self.reverse_name = evidence.reverse_name
        verdict = reputation.verdict(evidence)
        if self.verdict is None or verdict.reasons != self.verdict.reasons:
            self.verdict = verdict
            if verdict.reasons:
                reasons = ",".join(reason.value for reason in verdict.reasons)
                self._log.info(
                    "peer.standing", peer=link.peer, trace=link.trace, action=verdict.action.value, reasons=reasons
                )
        if verdict.refusal is not None:
            refusal = verdict.refusal
            return Refused(verdict.reasons[0].value, Reply(550, refusal.enhanced, refusal.text))
        if verdict.action is Action.SLOW and not self._waited:
            self._waited = True
            await self._wait(verdict.slow_s)
        return None

    async def _wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while (left_s := until - loop.time()) > 0 and self._link.connected:  # noqa: ASYNC110
            await asyncio.sleep(min(left_s, STEP_S))
