"""From another server by IMAP: the user's folders, read only, each message once.

Theory of operation. A folder is opened with EXAMINE, so that nothing changes there, and listed: UID, flags, date and size of all.
What did not come yet is fetched in batches, two of them asked for at any time, so that the server always has
work; each message goes into the store as its octets come. When the connection is lost, what is durable stays, and another
connection goes on with what is missing; five in a row without a message are too many. A batch that the server refuses is
asked for again in smaller ones, down to single messages, so that a broken message costs itself only.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, final

from poterne.admin.people import Acting
from poterne.moving import folders
from poterne.moving.arrivals import Arrivals, Incoming
from poterne.moving.flags import FlagBits
from poterne.moving.folders import Choice, Folder, Placed
from poterne.moving.imap_link import ImapLink, Server, SourceLostError
from poterne.moving.told import FolderError, MovingError, Summary, Teller
from poterne.proto.imap.client import Completed, Untagged
from poterne.proto.imap.client_commands import fetch, plain, with_strings
from poterne.proto.imap.client_data import Fetched, Listed, fetched, listed, namespaces
from poterne.proto.imap.client_reader import BodyData, BodyStart
from poterne.proto.imap.sequence import render_set
from poterne.store.interface import Store
from poterne.values.directory import Account
from poterne.values.mailbox import SpecialUse

BATCH_MESSAGES: Final = 2_000
BATCH_BYTES: Final = 64 * 1024 * 1024
"""Large, since servers look at the whole folder for each command: Dovecot for half a second at 10,000 messages in a Maildir."""
SET_BYTES: Final = 7_000
"""Of a set of UIDs; some servers take 8,192 octets a line."""
AHEAD: Final = 2
"""Batches that are asked for at any time."""
TRIES: Final = 5
TRIES_TO_BEGIN: Final = 2
"""While we were never signed in: a slip in the name of the host is more likely than a server that is away."""
LISTED_MOST: Final = 2_000_000
"""Messages of a folder: each is held in memory."""
MESSAGE_MOST: Final = 1024 * 1024 * 1024
"""Octets of a message. What is longer is read to its end and not kept, so that no server can fill the disk with one."""
PAUSE_S: Final = 2.0
"""Before another connection; twice as long each time."""
_VIEWS: Final = frozenset({"\\all", "\\allmail", "\\flagged", "\\starred", "\\important"})
"""Folders that show what is in others."""
_UNUSABLE: Final = frozenset({"\\noselect", "\\nonexistent"})


@dataclass(frozen=True, slots=True)
class _Item:
    """A message of the source, as it was listed."""

    uid: int
    flags: int
    at: int
    offset: int
    size: int


@final
class ImapImport:
    """One run for one account. `run` once."""

    def __init__(
        self, store: Store, account: Account, server: Server, choice: Choice, acting: Acting, teller: Teller
    ) -> None:
        self._store: Final = store
        self._account: Final = account
        self._server: Final = server
        self._choice: Final = choice
        self._acting: Final = acting
        self._teller: Final = teller
        self.summary: Final = Summary()
        self._bits: Final = FlagBits(store, account.id, self.summary)
        self._link: ImapLink | None = None
        self._began = False
        """We were signed in there once."""
        self._begun: set[bytes] = set()
        """Folders that were counted: a lost connection begins them again."""
        self._seen: set[str] = set()
        """Google's ids of messages in other folders than All Mail."""
        self._all_mail: bytes | None = None
        self._listed: list[int] = []
        """UIDs of the folder that is being read."""
        self._complete = True
        """It was listed to its end: what is not listed is not there."""

    async def run(self) -> Summary:
        """Raises MovingError, StoreError."""
        tries = 0
        done: set[bytes] = set()
        try:
            while True:
                before = self.summary.messages
                try:
                    await self._bring(done)
                except SourceLostError as lost:
                    tries = 1 if self.summary.messages > before else tries + 1
                    if tries >= (TRIES if self._began else TRIES_TO_BEGIN):
                        again = "run the same command again, it goes on where it was"
                        if not self._began:
                            again = "are host, port and --tls right, and does no firewall stop it? It may be run again"
                        raise MovingError(f"{lost}; {again}") from None
                    self._teller.note(f"{lost}: trying again")
                    self._drop()
                    await asyncio.sleep(PAUSE_S * 2 ** (tries - 1))
                else:
                    return self.summary
        finally:
            if self._link is not None:
                await self._link.goodbye()

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    async def _bring(self, done: set[bytes]) -> None:
        link = self._link = await ImapLink.open(self._server)
        self._began = True
        for placed in await self._folders(link):
            if placed.folder.key not in done:
                try:
                    await self._folder(link, placed)
                except FolderError as error:
                    self.summary.fail(placed.folder.name, "", str(error))
                done.add(placed.folder.key)

    # Folders

    async def _folders(self, link: ImapLink) -> list[Placed]:
        own, others = [""], list[str]()
        if "NAMESPACE" in link.capabilities:
            _, data = await link.run(plain("NAMESPACE"))
            for each in data:
                if each.kind == "NAMESPACE":
                    own, others = namespaces(each.values)
        special = b" RETURN (SPECIAL-USE)" if {"SPECIAL-USE", "LIST-EXTENDED"} <= link.capabilities else b""
        done, data = await link.run(plain("LIST", b'"" "*"' + special))
        if not done.status.ok:
            raise MovingError(f"the server does not list its folders: {done.status.text}")
        found = [one for each in data if each.kind == "LIST" and (one := listed(each.values)) is not None]
        _, data = await link.run(plain("LSUB", b'"" "*"'))
        names = [listed(each.values) for each in data if each.kind == "LSUB"]
        subscribed = {name.wire for name in names if name is not None}
        theirs = self._named(list({one.wire: one for one in found}.values()), own, others, subscribed)
        return folders.place(folders.select(theirs, self._choice, self.summary), self._choice)

    def _named(
        self, found: Sequence[Listed], own: Sequence[str], others: Sequence[str], subscribed: set[bytes]
    ) -> list[Folder]:
        prefix = next((one for one in own if one), "")
        tells_uses = any(one.attributes & set(folders.USES) for one in found)
        made: list[Folder] = []
        last: list[Folder] = []
        for one in found:
            if one.attributes & _UNUSABLE or any(other and one.name.startswith(other) for other in others):
                continue
            name = folders.without_prefix(folders.clean(one.name, one.separator), _as_prefix(prefix, one.separator))
            use = next((folders.USES[word] for word in sorted(one.attributes) if word in folders.USES), None)
            if use is None and not tells_uses:
                use = folders.guessed_use(name)
            folder = Folder(one.wire, name, use, one.wire in subscribed)
            if not one.attributes & _VIEWS or name == "INBOX":
                made.append(folder)
            elif one.attributes & {"\\all", "\\allmail"} and self._is_google:
                last.append(replace(folder, use=SpecialUse.ARCHIVE))
                self._all_mail = one.wire
            elif not any(name == chosen for chosen in self._choice.folders):
                self.summary.note(f"{name} is left out: it shows what is in other folders")
            else:
                made.append(folder)
        made.sort(key=lambda folder: (folder.name != "INBOX", folder.name))
        return made + last

    @property
    def _is_google(self) -> bool:
        return self._link is not None and "X-GM-EXT-1" in self._link.capabilities

    async def _folder(self, link: ImapLink, placed: Placed) -> None:
        theirs = placed.folder
        done, data = await link.run(with_strings("EXAMINE", theirs.key))
        if not done.status.ok:
            self.summary.fail(theirs.name, "", f"can't be opened: {done.status.text}")
            return
        codes = [each.status.code for each in data if each.status is not None]
        validity = next((code[12:] for code in codes if code[:12].upper() == "UIDVALIDITY "), "0")
        exists = next((one.number for one in reversed(data) if one.kind == "EXISTS"), 0)
        self._listed, self._complete = [], True
        items = await self._listing(link, placed) if exists else []
        if self._choice.dry_run:
            await self._dry(placed, items, validity)
            return
        mailbox_id = await folders.open_mailbox(self._store, self._account, placed, self._acting)
        if theirs.subscribed:
            name = (await self._store.mailbox_by_id(self._account.id, mailbox_id)).name
            await self._store.subscribe(self._account.id, name, True)
        arrivals = Arrivals(self._store, self._account.id, mailbox_id, self.summary, self._teller)
        await arrivals.open(self._source(theirs, validity))
        new = [item for item in items if not arrivals.known(str(item.uid))]
        if theirs.key not in self._begun:
            self._begun.add(theirs.key)
            self.summary.known += len(items) - len(new)
        self._teller.folder(theirs.name, placed.name, len(new), sum(item.size for item in new))
        if self._choice.flags:
            await arrivals.update_flags((str(item.uid), item.flags) for item in items)
        if self._choice.remove_gone and self._complete:
            await arrivals.remove_gone(set(map(str, self._listed)))
        try:
            await _Fetching(link, arrivals, theirs.name, new, self._listed, self.summary).run()
        except BaseException:
            await arrivals.drop()
            raise
        self.summary.folders += 1

    def _source(self, folder: Folder, validity: str) -> str:
        return f"imap:{self._server.host.lower()}:{self._server.user}:{folder.key.decode('latin-1')}:{validity}"

    async def _dry(self, placed: Placed, items: Sequence[_Item], validity: str) -> None:
        known: set[str] = set()
        source = await self._store.import_source(self._account.id, self._source(placed.folder, validity))
        after = ""
        while page := await self._store.brought(self._account.id, source, after):
            known.update(one.item for one in page)
            after = page[-1].item
        new = [item for item in items if str(item.uid) not in known]
        self.summary.known += len(items) - len(new)
        self.summary.messages += len(new)
        self.summary.size_bytes += sum(item.size for item in new)
        self.summary.folders += 1
        name = folders.ours(placed, await self._store.mailboxes(self._account.id))
        self._teller.folder(placed.folder.name, name, len(new), sum(item.size for item in new))

    async def _listing(self, link: ImapLink, placed: Placed) -> list[_Item]:
        google = self._is_google
        link.send(fetch(b"1:*", b"(UID FLAGS INTERNALDATE RFC822.SIZE%b)" % (b" X-GM-MSGID" if google else b"")))
        found: dict[int, _Item] = {}
        listed_uids: set[int] = set()
        while not isinstance(event := await link.event(), Completed):
            if not isinstance(event, Untagged) or event.kind != "FETCH":
                continue
            one = fetched(event.values)
            if one is None:
                continue
            listed_uids.add(one.uid)
            if len(listed_uids) > LISTED_MOST:
                raise MovingError(
                    f"{placed.folder.name} has more than {LISTED_MOST:,} messages: leave it out with --skip"
                )
            if not self._is_wanted(one, placed):
                continue
            at = self._acting.now if one.at is None else one.at
            bits = await self._bits.bits(one.flags or ())
            found[one.uid] = _Item(one.uid, bits, at, one.offset, one.size or 0)
        self._complete = event.status.ok
        if not event.status.ok:
            self.summary.fail(placed.folder.name, "", f"can't be listed: {event.status.text}")
        self._listed = sorted(listed_uids)
        return sorted(found.values(), key=lambda item: item.uid)

    def _is_wanted(self, one: Fetched, placed: Placed) -> bool:
        if one.google_id:
            if placed.folder.key != self._all_mail:
                self._seen.add(one.google_id)
            elif one.google_id in self._seen:
                return False
        too_old = self._choice.since and one.at is not None and one.at < self._choice.since
        deleted = self._choice.skip_deleted and any(flag.lower() == "\\deleted" for flag in one.flags or ())
        if (too_old or deleted) and placed.folder.key not in self._begun:
            self.summary.skipped += 1
        return not too_old and not deleted


def _as_prefix(prefix: str, separator: str) -> str:
    cleaned = folders.clean(prefix, separator)
    return f"{cleaned}/" if cleaned else ""


@final
class _Fetching:
    """The messages of one folder. `listed`: all that are there, also what is not wanted."""

    def __init__(
        self,
        link: ImapLink,
        arrivals: Arrivals,
        folder: str,
        items: Sequence[_Item],
        listed: Sequence[int],
        summary: Summary,
    ) -> None:
        self._link: Final = link
        self._arrivals: Final = arrivals
        self._folder: Final = folder
        self._items: Final = {item.uid: item for item in items}
        self._summary: Final = summary
        self._batches: Final = deque(batches([(item.uid, item.size) for item in items], listed))
        self._asked: Final[deque[Batch]] = deque()
        self._came: Final[set[int]] = set()
        self._incoming: Incoming | None = None
        self._announced = 0
        """Octets of the message that comes, as the server says; it is not kept if they are too many."""

    async def run(self) -> None:
        """Raises SourceLostError, StoreError, MovingError."""
        try:
            self._ask()
            while self._asked:
                await self._take()
        except BaseException:
            if self._incoming is not None:
                self._incoming.abort()
            raise
        await self._arrivals.flush()

    def _ask(self) -> None:
        while self._batches and len(self._asked) < AHEAD:
            batch = self._batches.popleft()
            self._asked.append(batch)
            self._link.send(fetch(batch.set, b"(UID BODY.PEEK[])"))

    async def _take(self) -> None:
        event = await self._link.event()
        if isinstance(event, BodyData):
            if self._incoming is not None:
                await self._incoming.feed(event.data)
        elif isinstance(event, BodyStart):
            self._announced = event.size
            self._incoming = self._arrivals.begin() if event.size <= MESSAGE_MOST else None
        elif isinstance(event, Untagged) and event.kind == "FETCH":
            await self._message(event)
        elif isinstance(event, Completed):
            self._ended(event)
            self._ask()

    async def _message(self, event: Untagged) -> None:
        incoming, self._incoming = self._incoming, None
        announced, self._announced = self._announced, 0
        one = fetched(event.values)
        item = None if one is None else self._items.get(one.uid)
        if one is None or item is None or one.uid in self._came or (one.body is None and one.flags is not None):
            if incoming is not None:  # not asked for, or a second time
                incoming.abort()
            return
        if isinstance(one.body, bytes):
            incoming = self._arrivals.begin()
            await incoming.feed(one.body)
        self._came.add(one.uid)
        if announced > MESSAGE_MOST:
            self._summary.fail(self._folder, f"UID {one.uid}", f"it has more than {MESSAGE_MOST:,} octets")
        elif incoming is None or one.body is None:
            self._summary.fail(self._folder, f"UID {one.uid}", "the server has no content for it")
        elif not incoming.size:
            incoming.abort()
            self._summary.fail(self._folder, f"UID {one.uid}", "it is empty: not even a header")
        else:
            await self._arrivals.add(incoming, str(one.uid), item.flags, item.at, item.offset)

    def _ended(self, event: Completed) -> None:
        batch = self._asked.popleft()
        missing = [uid for uid in batch.uids if uid not in self._came]
        if not missing:
            return
        if event.status.ok:
            self._summary.vanished += len(missing)
        elif len(batch.uids) == 1:
            self._summary.fail(self._folder, f"UID {missing[0]}", f"the server does not give it: {event.status.text}")
        else:
            step = -(-len(missing) // 10)
            pieces = [missing[start : start + step] for start in range(0, len(missing), step)]
            self._batches.extendleft(Batch(piece, render_set(piece)) for piece in reversed(pieces))


@dataclass(frozen=True, slots=True)
class Batch:
    """UIDs to ask for in one command, and how."""

    uids: Sequence[int]
    set: bytes


def batches(wanted: Sequence[tuple[int, int]], listed: Sequence[int]) -> Iterator[Batch]:
    """(UID, size) of wanted messages, ascending, in portions. `listed`: all UIDs of the folder, ascending.

    Ranges go over UIDs that nothing has, so that the sets are short.
    """
    place = {uid: at for at, uid in enumerate(listed)}
    uids: list[int] = []
    ranges: list[tuple[int, int]] = []
    size_bytes = 0
    for uid, size in wanted:
        adjoins = bool(uids) and place[uid] == place[uids[-1]] + 1
        full = len(uids) >= BATCH_MESSAGES or size_bytes >= BATCH_BYTES
        if uids and (full or (not adjoins and len(ranges) * 22 > SET_BYTES)):
            yield Batch(uids, _set(ranges))
            uids, ranges, size_bytes, adjoins = [], [], 0, False
        if adjoins:
            ranges[-1] = (ranges[-1][0], uid)
        else:
            ranges.append((uid, uid))
        uids.append(uid)
        size_bytes += size
    if uids:
        yield Batch(uids, _set(ranges))


def _set(ranges: Sequence[tuple[int, int]]) -> bytes:
    return b",".join(b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in ranges)
