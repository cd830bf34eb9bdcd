"""The signature that a message leaves with: of its author's domain, when the author is ours beyond doubt.

Theory of operation. A signature says "our domain answers for this", so the question is not what stands in From, but who wrote it.
Origins answer it: who submits, a person or a script, was only let in with an own address in From; what this server writes is
its own; a listed host answers for its `sender_domains`. Mail that an address of ours forwards is signed only when its author
submitted it here, which the first Received field tells: that one is always ours, and says how this very message came. All else
that passes through (strangers' mail to a forward, to a server behind us, notices that go back) leaves as it came: a spoof in our
name must not become genuine on its way.

The signer is the author's own domain, or the nearest domain above it that has keys here: both are aligned for DMARC
(RFC 9989 §4.4). The signature is of the octets that are about to be sent, after any conversion; a message for many destinations
is signed once. A domain without an active key sends unsigned, and the log says so once; a key that can't be read makes mail wait.
"""

import asyncio
import re
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, NamedTuple, final

from poterne.config.dkim import algorithms
from poterne.config.settings import Settings
from poterne.mailauth.dkim.keys import SigningKey, UnusableKeyError, load
from poterne.mailauth.dkim.sign import Signer
from poterne.message.author import Author, author
from poterne.message.header import HeaderIndex, header_end, index
from poterne.observe import Log
from poterne.store.interface_authors import DkimKeys
from poterne.values.address import domain_name
from poterne.values.dkim import DkimKey, KeyState
from poterne.values.ids import BlobId, QueueMessageId
from poterne.values.origin import OriginKind
from poterne.values.queue import QueuedMessage

FRESH_S: Final = 5.0
"""How long a domain's keys are not looked up again."""
LOUD_S: Final = 60.0
"""How often the log tells of a key that can't be used; all mail of its domain waits meanwhile."""
HEADER_MOST: Final = 1024 * 1024
"""Larger ones are never accepted."""
SIGNED_MOST: Final = 512
"""Messages whose signature is remembered, some 1.5 KiB each."""
DOMAINS_MOST: Final = 4096
_PARENTS_MOST: Final = 8
_SUBMITTED: Final = re.compile(
    rb"from [^ ()]+ (?:\([^()]*\) )?by ([^ ()]+) (?:\([^()]*\) )?with (?:ESMTP|UTF8SMTP)S?A id ([^ ();]+)(?: for <[^<>]*>)?;"
)
"""A Received field of somebody who had signed in (`message.compose.received`): by whom it was written, and its id."""


class _Place(NamedTuple):
    """Which octets were signed."""

    id: QueueMessageId
    blob: BlobId
    start: int
    form: str


class _Signers(NamedTuple):
    author_domain: str
    keys: tuple[SigningKey, ...]


@dataclass(frozen=True, slots=True)
class _Signed:
    author_domain: str
    keys: tuple[SigningKey, ...]
    fields: bytes


@dataclass(frozen=True, slots=True)
class _Domain:
    """The keys of a domain that sign, as they were at a time."""

    read_at: float
    rows: tuple[DkimKey, ...]
    keys: tuple[SigningKey, ...]


@final
class Signing:
    """One per runner."""

    def __init__(self, store: DkimKeys, settings: Settings, *, clock: Callable[[], float], log: Log) -> None:
        self._store: Final = store
        self._clock: Final = clock
        self._log: Final = log
        self._hostname: Final = settings.server.hostname.encode()
        self._algorithms: Final = algorithms(settings.dkim) if settings.dkim.sign else ()
        self._relayed: Final = {
            name: frozenset(map(domain_name, rule.sender_domains)) for name, rule in settings.relay.items()
        }
        self._keys: Final[OrderedDict[str, _Domain]] = OrderedDict()
        self._signed: Final[OrderedDict[_Place, _Signed]] = OrderedDict()
        self._busy: Final[dict[_Place, asyncio.Lock]] = {}
        self._noted: Final[set[str]] = set()
        self._unusable: Final[dict[str, float]] = {}
        """Keys that can't be used, and when the log said so."""

    async def fields(
        self,
        message: QueuedMessage,
        form: str,
        whole: bytes | None,
        pieces: Callable[[], AsyncGenerator[bytes, None]],
    ) -> bytes:
        """The DKIM-Signature fields to put before the message as it is sent; b"": none is due.

        `form` names the conversion that it went through. `whole`: all of it; None: it is large, and read from `pieces`, once.
        Raises StoreError, and UnusableKeyError after a line in the log: then the message waits.
        """
        if not self._algorithms or not _may_be_ours(message):
            return b""
        place = _Place(message.id, message.blob, message.start, form)
        if whole is not None:
            known = await self._known(place)
            return known if known is not None else await self._of_whole(message, place, whole)
        lock = self._busy.setdefault(place, asyncio.Lock())
        try:
            async with lock:  # a large one for many destinations is read once
                known = await self._known(place)
                return known if known is not None else await self._made(message, place, pieces)
        finally:
            if not lock.locked():
                self._busy.pop(place, None)

    async def _known(self, place: _Place) -> bytes | None:
        """What it was signed with before, while the same keys sign."""
        known = self._signed.get(place)
        if known is None or await self._keys_for(known.author_domain) != known.keys:
            return None
        return known.fields

    async def _made(
        self, message: QueuedMessage, place: _Place, pieces: Callable[[], AsyncGenerator[bytes, None]]
    ) -> bytes:
        async with aclosing(pieces()) as read:
            return await self._read(message, place, read)

    async def _read(self, message: QueuedMessage, place: _Place, pieces: AsyncGenerator[bytes, None]) -> bytes:
        head = await _head(pieces)
        if head is None:
            self._log.error("dkim.unsigned", trace=message.trace_id, why="the header is too large to be signed")
            return b""
        header = index(head)
        found = await self._signers(message, header)
        if found is None:
            return b""
        signer = Signer(found.keys, header, int(self._clock()))
        signer.feed(head[header.end :])
        async for piece in pieces:
            signer.feed(piece)
        return self._remembered(place, found, signer.finish())

    async def _of_whole(self, message: QueuedMessage, place: _Place, whole: bytes) -> bytes:
        header = index(whole)
        found = await self._signers(message, header)
        if found is None:
            return b""
        signer = Signer(found.keys, header, int(self._clock()))
        signer.feed(whole[header.end :])
        return self._remembered(place, found, signer.finish())

    async def _signers(self, message: QueuedMessage, header: HeaderIndex) -> _Signers | None:
        """None: it is not signed."""
        named = author(header, smtputf8=message.smtputf8)
        if not isinstance(named, Author) or not self._ours(message, header, named.domain):
            return None
        keys = await self._keys_for(named.domain)
        if not keys:
            self._note(named.domain)
            return None
        return _Signers(named.domain, keys)

    def _remembered(self, place: _Place, of: _Signers, fields: bytes) -> bytes:
        self._signed[place] = _Signed(of.author_domain, of.keys, fields)
        if len(self._signed) > SIGNED_MOST:
            self._signed.popitem(last=False)
        return fields

    def _ours(self, message: QueuedMessage, header: HeaderIndex, domain: str) -> bool:
        """Did somebody of that domain write it, or a host that may write for it?"""
        origin = message.origin
        match origin.kind:
            case OriginKind.ACCOUNT | OriginKind.SENDER | OriginKind.SYSTEM:
                return True
            case OriginKind.RELAY:
                return domain in self._relayed.get(origin.name, ())
            case OriginKind.FORWARD:
                return self._submitted_here(header, message)
            case OriginKind.ROUTE:
                return False

    def _submitted_here(self, header: HeaderIndex, message: QueuedMessage) -> bool:
        found = _SUBMITTED.match(b" ".join((header.value(b"received") or b"").split()))
        return found is not None and found[1] == self._hostname and found[2] == message.trace_id.encode()

    # -- keys ----------------------------------------------------------------------------------------------------------

    async def _keys_for(self, author_domain: str) -> tuple[SigningKey, ...]:
        """Those of the domain itself, or of the nearest one above it that has some."""
        domain = author_domain
        for _ in range(_PARENTS_MOST):
            if keys := await self._active(domain):
                return keys
            domain = domain.partition(".")[2]
            if "." not in domain:
                break
        return ()

    async def _active(self, domain: str) -> tuple[SigningKey, ...]:
        known = self._keys.get(domain)
        now = self._clock()
        if known is not None and abs(now - known.read_at) < FRESH_S:
            return known.keys
        rows = tuple(self._chosen(await self._store.dkim_keys(domain)))
        keys = known.keys if known is not None and known.rows == rows else tuple(map(self._loaded, rows))
        self._keys[domain] = _Domain(now, rows, keys)
        if len(self._keys) > DOMAINS_MOST:
            self._keys.popitem(last=False)
        if keys:
            self._noted.discard(domain)
        return keys

    def _chosen(self, rows: list[DkimKey]) -> list[DkimKey]:
        """One of each algorithm: of several active ones that which became so last."""
        chosen = []
        for algorithm in self._algorithms:
            active = [row for row in rows if row.state is KeyState.ACTIVE and row.algorithm == algorithm]
            chosen += sorted(active, key=lambda row: (row.changed_at, row.created_at, row.selector))[-1:]
        return chosen

    def _loaded(self, row: DkimKey) -> SigningKey:
        try:
            return load(row.private, row.domain, row.selector)
        except UnusableKeyError as error:
            name, now = f"{row.selector}.{row.domain}", self._clock()
            if now - self._unusable.get(name, now - LOUD_S) < LOUD_S:
                raise
            self._unusable[name] = now
            self._log.error(
                "dkim.key-unusable",
                domain=row.domain,
                selector=row.selector,
                problem=str(error),
                remedy=f"mail of {row.domain} waits: poterne dkim create {row.domain}, then activate the new key",
            )
            raise

    def _note(self, domain: str) -> None:
        """Once, until it has a key."""
        if domain not in self._noted and len(self._noted) < DOMAINS_MOST:
            self._noted.add(domain)
            self._log.warning(
                "dkim.unsigned", domain=domain, why="the domain has no active key", remedy="poterne dkim list"
            )


def _may_be_ours(message: QueuedMessage) -> bool:
    """What strangers sent is not even read."""
    origin = message.origin
    if origin.kind is OriginKind.FORWARD:
        return "@" in origin.name
    return origin.kind is not OriginKind.ROUTE


async def _head(pieces: AsyncGenerator[bytes, None]) -> bytes | None:
    """The first pieces, joined, up to one in which the header ends; None: it does not end within bounds."""
    head = b""
    async for piece in pieces:
        searched = len(head)
        head = head + piece if head else piece
        if header_end(head[max(0, searched - 3) :] if searched else head) >= 0:
            return head
        if len(head) > HEADER_MOST:
            return None
    return head
