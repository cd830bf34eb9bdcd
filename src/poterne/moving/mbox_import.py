"""From mbox files: of Dovecot, mutt, Thunderbird, Google Takeout, or our own export.

A message has no name in such a file: it is known by its octets, and, of several that are the same, by their number.
"""

import asyncio
import datetime as dt
import mmap
import os
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, final
from urllib.parse import unquote

from poterne.admin.people import Acting
from poterne.message import mbox
from poterne.message.line_ends import ToCrlf
from poterne.moving import folders, places
from poterne.moving.arrivals import Arrivals, digest
from poterne.moving.flags import FlagBits
from poterne.moving.folders import Choice, Folder, Placed
from poterne.moving.told import FolderError, MovingError, Summary, Teller
from poterne.store.interface import Store
from poterne.values.directory import Account

KEPT_BYTES: Final = 4 * 1024 * 1024
"""A message up to this size is read once; a larger one a second time when it is to be stored."""
MESSAGES_MOST: Final = 2_000_000
"""Of a file: where each is has to be held in memory."""
_INBOXES: Final = frozenset({"inbox", "mbox", ""})


class Found(NamedTuple):
    """A file, and the folder that it is by its name. What leads to it from `root` on is no link."""

    root: Path
    file: Path
    name: str


def files_of(named: Sequence[Path]) -> list[Found]:
    """`Work/2020.mbox` in a directory that was named is the folder Work/2020."""
    found: list[Found] = []
    for place in named:
        if place.is_dir():
            inside = sorted(place.rglob("*.mbox"))
            if not inside:
                raise MovingError(f"{place} is a directory without any file *.mbox: name the mbox files themselves")
            root = place.resolve()
            below = [file.relative_to(place) for file in inside]
            found.extend(Found(root, root / file, _folder_name(str(file.with_suffix("")))) for file in below)
        else:
            root = place.parent.resolve()
            found.append(Found(root, root / place.name, _folder_name(place.name.removesuffix(".mbox"))))
    return found


def _folder_name(name: str) -> str:
    """`export` writes what a file name cannot have as %XX."""
    name = unquote(name)
    return "INBOX" if name.lower() in _INBOXES else name


@final
class MboxImport:
    """One run for one account."""

    def __init__(
        self,
        store: Store,
        account: Account,
        files: Sequence[Found],
        choice: Choice,
        acting: Acting,
        teller: Teller,
    ) -> None:
        self._store: Final = store
        self._account: Final = account
        self._files: Final = files
        self._choice: Final = choice
        self._acting: Final = acting
        self._teller: Final = teller
        self.summary: Final = Summary()
        self._bits: Final = FlagBits(store, account.id, self.summary)

    async def run(self) -> Summary:
        """Raises MovingError, StoreError."""
        found = []
        for each in self._files:
            cleaned = folders.clean(each.name, "/")
            found.append((each, Folder(cleaned.encode(), cleaned, folders.guessed_use(cleaned))))
        placed = folders.place([folder for _, folder in found], self._choice)
        chosen = folders.select([folder for _, folder in found], self._choice, self.summary)
        for (file, folder), one in zip(found, placed, strict=True):
            if folder in chosen:
                try:
                    await self._file(file, one)
                except (FolderError, places.NotAFileError) as error:
                    self.summary.fail(one.folder.name, "", str(error))
        return self.summary

    async def _file(self, found: Found, placed: Placed) -> None:
        file = found.file
        try:
            with os.fdopen(places.opened(found.root, file), "rb") as opened:
                size = os.fstat(opened.fileno()).st_size
                if not size:
                    self.summary.folders += 1
                    return
                with mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    await self._mapped(file, data, lambda: _check(file, opened, size), placed)
        except OSError as error:
            raise MovingError(f"{file}: {error.strerror or error}. {READABLE}") from None
        except mbox.NoMboxError as error:
            raise MovingError(f"{file} is no mbox file: {error}") from None

    async def _mapped(self, file: Path, data: mmap.mmap, check: Callable[[], None], placed: Placed) -> None:
        size = len(data)
        listed = await asyncio.to_thread(lambda: list(islice(mbox.entries(data), MESSAGES_MOST + 1)))
        if len(listed) > MESSAGES_MOST:
            raise MovingError(f"{file} has more than {MESSAGES_MOST:,} messages: cut it into several files")
        shown = folders.ours(placed, await self._store.mailboxes(self._account.id))
        self._teller.folder(str(file), shown, len(listed), size)
        self.summary.folders += 1
        if self._choice.dry_run:
            self.summary.messages += len(listed)
            self.summary.size_bytes += size
            return
        mailbox_id = await folders.open_mailbox(self._store, self._account, placed, self._acting)
        arrivals = Arrivals(self._store, self._account.id, mailbox_id, self.summary, self._teller)
        await arrivals.open(f"mbox:{places.text(file)}")
        seen: Counter[bytes] = Counter()
        flags: list[tuple[str, int]] = []
        try:
            for entry in listed:
                check()
                await self._entry(data, entry, placed.folder.name, arrivals, seen, flags)
            await arrivals.flush()
        except BaseException:
            await arrivals.drop()
            raise
        if self._choice.flags:
            await arrivals.update_flags(flags)
        if self._choice.remove_gone:
            await arrivals.remove_gone({item for item, _ in flags})

    async def _entry(
        self,
        data: mmap.mmap,
        entry: mbox.Entry,
        folder: str,
        arrivals: Arrivals,
        seen: "Counter[bytes]",
        flags: list[tuple[str, int]],
    ) -> None:
        head, start = mbox.head(data, entry)
        at, offset = _moment(entry.date, self._acting.now)
        too_old = self._choice.since and entry.date is not None and at < self._choice.since
        if head.gone or too_old or (self._choice.skip_deleted and "\\Deleted" in head.flags):
            self.summary.skipped += 1
            return
        crlf = ToCrlf()
        pieces = [crlf.feed(head.text)] if head.text else []
        hashed = digest()
        kept = entry.end - entry.start <= KEPT_BYTES
        for piece in mbox.rest(data, entry, start):
            converted = crlf.feed(piece)
            if kept:
                pieces.append(converted)
            else:
                hashed.update(b"".join(pieces) + converted)
                pieces.clear()
        whole = b"".join(pieces)
        hashed.update(whole)
        if kept and not whole:
            self.summary.fail(folder, f"at octet {entry.at}", "it is empty: not even a header")
            return
        hash_ = hashed.digest()
        seen[hash_] += 1
        item = f"{hash_.hex()}-{seen[hash_]}"
        bits = await self._bits.bits(head.flags)
        flags.append((item, bits))
        if arrivals.known(item):
            self.summary.known += 1
            return
        incoming = arrivals.begin()
        try:
            if kept:
                await incoming.feed(whole)
            else:
                crlf = ToCrlf()
                await incoming.feed(crlf.feed(head.text))
                for piece in mbox.rest(data, entry, start):
                    await incoming.feed(crlf.feed(piece))
        except BaseException:
            incoming.abort()
            raise
        await arrivals.add(incoming, item, bits, at, offset)


def _check(file: Path, opened: BinaryIO, size: int) -> None:
    """Raises MovingError when it became shorter: for reading what is mapped and not there any more the kernel would end us."""
    if os.fstat(opened.fileno()).st_size < size:
        raise MovingError(f"{file} was cut while it was read: copy it, and import the copy")


READABLE: Final = (
    "The import runs as the owner of the server's data: copy the mail to where that user may read it,"
    " or give it the right to (setfacl)"
)


def _moment(date: dt.datetime | None, now: int) -> tuple[int, int]:
    """As Unix seconds and minutes east of UTC; without a zone it is this machine's."""
    if date is None:
        return now, 0
    try:
        zoned = date if date.tzinfo is not None else date.astimezone()
    except (ValueError, OverflowError):  # in the year 1 or 9999
        zoned = date.replace(tzinfo=dt.UTC)
    offset = zoned.utcoffset() or dt.timedelta()
    return int(zoned.timestamp()), int(offset.total_seconds()) // 60
