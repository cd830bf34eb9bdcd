"""Is this the account's password? Slow for guessers, quick for phones, the same for accounts that do not exist.

Theory of operation. `Authenticator.check` goes through these steps, in this order, for every protocol:

1. `Slowing` says how long this origin and account have to wait; the wait comes *before* the password is looked at, so a right
   guess is answered no sooner than a wrong one.
2. The stored verifier is read, every time. An account that does not exist gets a dummy verifier and then takes the same way.
3. A proven password is remembered for some minutes under a BLAKE2b of address and password, keyed with a random key of this
   process, *together with the verifier that it matched*: a changed password, a disabled account end at once. Refuted passwords
   are remembered the same way; a phone with an old password counts once and costs nothing.
4. Everything else is Argon2id in a small thread pool. Threads × 19 MiB and the length of the queue are bounded; beyond them the
   answer is "not now", never "wrong".

Nothing here keeps or tells a password. `on_failure` is called for each *new* failure; the app passes it on to other processes,
which call `heard`.
"""

import asyncio
import hashlib
import os
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from typing import Final, Generic, TypeVar, final

from poterne.admin import passwords
from poterne.config.settings import SignIn
from poterne.net.limits import network_of
from poterne.session.present import Present
from poterne.session.slowing import Slowing
from poterne.store.errors import NotFoundError, StoreError
from poterne.store.interface import Directory
from poterne.values.directory import Account
from poterne.values.ids import AccountId
from poterne.values.secret import Secret
from poterne.values.sender import Sender, SenderState

T = TypeVar("T")
_Subject = Callable[[], Awaitable[T | None]]
"""Who it is, asked once the password was proven; None: may not sign in."""
_Find = Callable[[str], Awaitable[tuple[_Subject[T], Secret]]]

MAX_ADDRESS_CHARS: Final = 320
"""64 + 1 + 255 (RFC 5321 §4.5.3.1). A longer user name is nobody's."""
MAX_REMEMBERED: Final = 20_000
"""Proven, and refuted, passwords remembered at the same time: some 5 MiB."""


class Why(Enum):
    """Why somebody may not come in."""

    INVALID = "invalid credentials"
    """No such account, disabled, or the wrong password: nobody is told which."""
    UNAVAILABLE = "temporarily unavailable"
    """The store, or too many checks at the same time. The password was not looked at."""


@dataclass(frozen=True, slots=True)
class Denied:
    why: Why


@dataclass(frozen=True, slots=True)
class Proven(Generic[T]):
    """Who it is, the verifier that the password matched, and `Present.looks` as it was when that was read."""

    subject: T
    verifier: Secret
    looks: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A wrong password that was not known to be wrong. `origin` is an IPv4 address, or an IPv6 /64 in hexadecimal."""

    origin: str
    address: str


INVALID: Final = Denied(Why.INVALID)
UNAVAILABLE: Final = Denied(Why.UNAVAILABLE)


@dataclass(slots=True)
class _Remembered:
    verifier: Secret
    until: float


@final
class _Memory:
    """Which password matched (or did not match) which verifier, until when."""

    def __init__(self, lifetime_s: float, *, refresh: bool) -> None:
        self._entries: Final[OrderedDict[bytes, _Remembered]] = OrderedDict()
        self._lifetime_s: Final = lifetime_s
        self._refresh: Final = refresh

    def holds(self, key: bytes, verifier: Secret, now: float) -> bool:
        entry = self._entries.get(key)
        if entry is None:
            return False
        if entry.until <= now or entry.verifier != verifier:
            del self._entries[key]
            return False
        if self._refresh:
            entry.until = now + self._lifetime_s
            self._entries.move_to_end(key)
        return True

    def add(self, key: bytes, verifier: Secret, now: float) -> None:
        if self._lifetime_s <= 0:
            return
        self._entries[key] = _Remembered(verifier, now + self._lifetime_s)
        self._entries.move_to_end(key)
        while len(self._entries) > MAX_REMEMBERED:
            self._entries.popitem(last=False)


def _nothing(_: object) -> None:
    return


@final
class Authenticator:
    """One for each process. `close` at the end. `clock`: monotonic seconds; `sleep` waits that long."""

    def __init__(
        self,
        directory: Directory,
        settings: SignIn,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_failure: Callable[[Failure], None] = _nothing,
        on_success: Callable[[AccountId], None] = _nothing,
    ) -> None:
        self._directory: Final = directory
        self._clock: Final = clock
        self._on_failure: Final = on_failure
        self._on_success: Final = on_success
        self._slowing: Final = Slowing(
            free_failures=settings.free_failures, max_delay_s=settings.max_delay_s, forget_s=settings.forget_s
        )
        self._proven: Final = _Memory(settings.cache_s, refresh=False)
        self._refuted: Final = _Memory(settings.forget_s, refresh=True)
        self._key: Final = os.urandom(32)
        self._pool: Final = ThreadPoolExecutor(settings.hashing_threads, thread_name_prefix="argon2")
        self._max_hashing: Final = settings.hashing_threads + settings.max_waiting
        self._hashing = 0
        self._dummy: Secret | None = None
        self.present: Final = Present()
        """Connections that last longer than the proof of who is there."""

    async def start(self) -> Secret:
        """Make the dummy verifier now rather than at the first sign-in; gives it."""
        if self._dummy is None:
            noise = Secret(os.urandom(32))
            self._dummy = await asyncio.get_running_loop().run_in_executor(self._pool, passwords.hash_password, noise)
        return self._dummy

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def check(self, username: str, password: Secret, peer: str) -> Account | Denied:
        """The account whose address and password these are. `peer` is the client's IP address.

        Takes as long as `Slowing` says. Never raises on hostile input.
        """
        found = await self.prove(username, password, peer)
        return found if isinstance(found, Denied) else found.subject

    async def prove(self, username: str, password: Secret, peer: str) -> Proven[Account] | Denied:
        """As `check`, for whoever asks later whether it is the same password still."""
        name = username.strip().lower()[: MAX_ADDRESS_CHARS + 1]
        return await self._check(name, password, peer, self._account_of)

    async def prove_sender(self, username: str, password: Secret, peer: str) -> Proven[Sender] | Denied:
        """The script's credential of this name and password, in whatever state it is but revoked; else as `check`."""
        name = username.strip().lower()[: MAX_ADDRESS_CHARS + 1]
        return await self._check(name, password, peer, self._sender_of)

    async def _check(self, name: str, password: Secret, peer: str, find: "_Find[T]") -> Proven[T] | Denied:
        origin = origin_of(peer)
        wait = self._slowing.reserve(origin, name, self._clock())
        if wait == float("inf"):
            return UNAVAILABLE
        if wait > 0:
            await asyncio.sleep(wait)
        await self.start()
        looks = self.present.looks
        try:
            found, verifier = await self._known(name, find)
            why = await self._prove(name, password, verifier, origin, known=found is not None)
            if why is not None or found is None:
                return why or INVALID
            subject = await found()
        except NotFoundError:
            return INVALID
        except StoreError:
            return UNAVAILABLE
        if subject is None:
            return INVALID
        self._slowing.succeeded(origin, name, self._clock())
        return Proven(subject, verifier, looks)

    async def _known(self, name: str, find: "_Find[T]") -> "tuple[_Subject[T] | None, Secret]":
        """Who it is, if anybody, and the verifier to compare with: for nobody the dummy."""
        if len(name) > MAX_ADDRESS_CHARS or "\0" in name:
            return None, await self.start()
        try:
            return await find(name)
        except NotFoundError:
            return None, await self.start()

    async def _account_of(self, name: str) -> "tuple[_Subject[Account], Secret]":
        credential = await self._directory.credential(name)

        async def account() -> Account | None:
            found = await self._directory.account_by_id(credential.account_id)
            if found.disabled:
                return None
            self._on_success(found.id)
            return found

        return account, credential.verifier

    async def _sender_of(self, name: str) -> "tuple[_Subject[Sender], Secret]":
        credential = await self._directory.sender_credential(name)
        sender = credential.sender

        async def subject() -> Sender | None:
            return None if sender.state is SenderState.REVOKED else sender

        return subject, credential.verifier

    async def _prove(self, name: str, password: Secret, verifier: Secret, origin: str, *, known: bool) -> Denied | None:
        """Why not; None when the password is right and belongs to somebody."""
        key = self._key_of(name, password)
        now = self._clock()
        if self._refuted.holds(key, verifier, now):
            return INVALID
        if known and self._proven.holds(key, verifier, now):
            return None
        matches = await self._matches(password, verifier)
        if matches is None:
            return UNAVAILABLE
        now = self._clock()
        if not known or not matches:
            self._refuted.add(key, verifier, now)
            self._slowing.failed(origin, name, now)
            self._on_failure(Failure(origin, name))
            return INVALID
        self._proven.add(key, verifier, now)
        return None

    async def _matches(self, password: Secret, verifier: Secret) -> bool | None:
        """None when too many wait for the same."""
        if self._hashing >= self._max_hashing:
            return None
        self._hashing += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, passwords.verify, password, verifier)
        finally:
            self._hashing -= 1

    def _key_of(self, address: str, password: Secret) -> bytes:
        digest = hashlib.blake2b(key=self._key, digest_size=32)
        name = address.encode("utf-8", "surrogatepass")
        digest.update(len(name).to_bytes(4, "big") + name)
        digest.update(password.reveal())
        return digest.digest()

    def heard(self, failure: Failure) -> None:
        """Another process saw this failure."""
        self._slowing.failed(failure.origin, failure.address, self._clock())


def origin_of(peer: str) -> str:
    """An IPv4 address as it is, an IPv6 address by its /64."""
    network = network_of(peer)
    return network if isinstance(network, str) else network.hex()
