"""Who is signed in on this process's connections, and may be no longer.

Theory of operation. A password proves who somebody is at one moment; a connection then lasts for days. Who disables an account
or gives it another password wants it to end, stolen phone and all. So connections stand here with the verifier that their
password matched, and `look` compares: what differs is *revoked*: it is poked, and its session says goodbye. A poke is heard when
a connection is read from; who has asked for much at once would get all of it before that. So sessions also ask `revoked` before
each command, and before each message of a long answer. SMTP needs none of this: it asks before each message.
While nothing has changed in the directory, a look is one read, however many are there.

A password may be changed, and `look` be over, between the moment at which a sign-in reads the verifier and the one at which it
enters: to compare takes a while. Who enters after another look than the one that its proof began with is *unsure*, and looked at
again soon.
"""

import asyncio
from typing import Final, final

from poterne.net.link import Link
from poterne.net.poke import Poke
from poterne.store.errors import NotFoundError, StoreError
from poterne.store.interface import Directory
from poterne.values.ids import AccountId
from poterne.values.secret import Secret

STEP: Final = 100
"""Accounts that are looked at before others get a turn; some microseconds each."""
_People = dict[AccountId, "set[Presence]"]


@final
class Presence:
    """That somebody is signed in on a connection, until `leave`."""

    __slots__ = ("_account_id", "_link", "_people", "_verifier", "revoked")

    def __init__(self, people: _People, account_id: AccountId, verifier: Secret, link: Link | None) -> None:
        self._people: Final = people
        self._account_id: Final = account_id
        self._verifier: Final = verifier
        self._link: Final = link
        self.revoked = False
        """May do nothing more."""

    def leave(self) -> None:
        """The connection ends, or nobody is signed in on it any more. More than once does no harm."""
        there = self._people.get(self._account_id, set())
        there.discard(self)
        if not there:
            self._people.pop(self._account_id, None)

    def compare(self, verifier: Secret | None) -> bool:
        """Revoke it if this is another one, or none; was it by this?"""
        if self.revoked or self._verifier == verifier:
            return False
        self.revoked = True
        if self._link is not None:
            self._link.poke(Poke.REVOKED)
        return True


NOBODY: Final = Presence({}, AccountId(0), Secret(b""), None)
"""Of who has not signed in."""


@final
class Present:
    """One for each process."""

    def __init__(self) -> None:
        self._people: Final[_People] = {}
        self._unsure: Final[set[AccountId]] = set()
        self._serial = -1
        """Of the directory, when everybody was looked at."""
        self.looks = 0
        """How many have begun."""

    def enter(self, account_id: AccountId, verifier: Secret, link: Link, looks: int) -> Presence:
        """Somebody has signed in with a password that matched this verifier. `looks`: how many there were when it was read."""
        presence = Presence(self._people, account_id, verifier, link)
        self._people.setdefault(account_id, set()).add(presence)
        if looks != self.looks:
            self._unsure.add(account_id)
        return presence

    async def look(self, directory: Directory, *, everybody: bool = True) -> int:
        """Revoke all who may not be there any more; how many. Not `everybody`: only the unsure. Raises StoreError.

        Costs one read where nothing has changed in the directory.
        """
        serial = directory.directory_serial() if everybody else self._serial
        everybody = serial != self._serial
        accounts = tuple(self._people) if everybody else tuple(self._unsure)
        self.looks += everybody
        self._unsure.difference_update(accounts)
        revoked = 0
        for number, account_id in enumerate(accounts, 1):
            try:
                verifier = (await directory.credential_of(account_id)).verifier
            except NotFoundError:
                verifier = None
            except StoreError:
                self._unsure.update(accounts)
                raise
            revoked += sum([presence.compare(verifier) for presence in self._people.get(account_id, ())])
            if number % STEP == 0:
                await asyncio.sleep(0)
        self._serial = serial
        return revoked

    def __len__(self) -> int:
        return len(self._people)
