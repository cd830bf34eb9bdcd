"""Who is signed in on this process's connections, and may be no longer.

Theory of operation. A password proves who somebody is at one moment; a connection then lasts for days. Who disables an account
or gives it another password wants it to end, stolen phone and all. So connections stand here with the verifier that their
password matched, and `look` compares: what differs is poked, and its session says goodbye. SMTP needs none of this: it asks
before each message.
"""

import asyncio
from collections.abc import Callable
from typing import Final, final

from poterne.net.link import Link
from poterne.net.poke import Poke
from poterne.store.errors import NotFoundError
from poterne.store.interface import Directory
from poterne.values.ids import AccountId
from poterne.values.secret import Secret

STEP: Final = 100
"""Accounts that are looked at before others get a turn; some microseconds each."""


Leave = Callable[[], None]
"""To be called when the connection ends, or nobody is signed in on it any more. More than once does no harm."""


def nowhere() -> None:
    """The `Leave` of who has not signed in."""


@final
class Present:
    """One for each process."""

    def __init__(self) -> None:
        self._links: Final[dict[AccountId, dict[Link, Secret]]] = {}

    def enter(self, account_id: AccountId, verifier: Secret, link: Link) -> Leave:
        """Somebody has signed in with a password that matched this verifier."""
        self._links.setdefault(account_id, {})[link] = verifier

        def leave() -> None:
            there = self._links.get(account_id, {})
            there.pop(link, None)
            if not there:
                self._links.pop(account_id, None)

        return leave

    async def look(self, directory: Directory) -> int:
        """Poke the connections of all who may not be there any more; how many. Raises StoreError."""
        poked = 0
        for number, account_id in enumerate(tuple(self._links), 1):
            try:
                verifier = (await directory.credential_of(account_id)).verifier
            except NotFoundError:
                verifier = None
            for link, matched in tuple(self._links.get(account_id, {}).items()):
                if matched != verifier:
                    link.poke(Poke.REVOKED)
                    poked += 1
            if number % STEP == 0:
                await asyncio.sleep(0)
        return poked

    def __len__(self) -> int:
        return len(self._links)
