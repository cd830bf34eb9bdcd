"""From a Maildir: of Dovecot, Courier, a mail program, or our own export. Each message is known by its file's base name."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

from poterne.admin.people import Acting
from poterne.message.line_ends import ToCrlf
from poterne.moving import folders, maildir, places
from poterne.moving.arrivals import Arrivals
from poterne.moving.flags import FlagBits
from poterne.moving.folders import Choice, Folder, Placed
from poterne.moving.mbox_import import READABLE
from poterne.moving.told import FolderError, MovingError, Summary, Teller
from poterne.store.interface import Store
from poterne.values.directory import Account

PIECE_BYTES: Final = 1024 * 1024


@final
class MaildirImport:
    """One run for one account."""

    def __init__(
        self, store: Store, account: Account, root: Path, choice: Choice, acting: Acting, teller: Teller
    ) -> None:
        self._store: Final = store
        self._account: Final = account
        self._root: Final = root
        self._choice: Final = choice
        self._acting: Final = acting
        self._teller: Final = teller
        self.summary: Final = Summary()
        self._bits: Final = FlagBits(store, account.id, self.summary)

    async def run(self) -> Summary:
        """Raises MovingError, StoreError."""
        try:
            found = await asyncio.to_thread(lambda: list(maildir.folders_of(self._root)))
            if not found:
                raise MovingError(
                    f"{self._root} is no Maildir: neither it nor what is in it has a folder cur. {READABLE}"
                )
            subscribed = {folders.clean(name, "/") for name in maildir.subscriptions(self._root)}
            listed = []
            for path, name in found:
                cleaned = folders.clean(name, "/")
                folder = Folder(os.fsencode(path), cleaned, folders.guessed_use(cleaned), cleaned in subscribed)
                listed.append(folder)
            chosen = folders.select(listed, self._choice, self.summary)
            for placed in folders.place(chosen, self._choice):
                try:
                    await self._folder(Path(os.fsdecode(placed.folder.key)), placed)
                except FolderError as error:
                    self.summary.fail(placed.folder.name, "", str(error))
        except OSError as error:
            raise MovingError(f"{error.filename or self._root}: {error.strerror}. {READABLE}") from None
        return self.summary

    async def _folder(self, path: Path, placed: Placed) -> None:
        about = await asyncio.to_thread(maildir.beside, path)
        found = maildir.ordered(await asyncio.to_thread(maildir.files, path), about)
        if self._choice.skip_deleted:
            kept = [one for one in found if "T" not in one.letters]
            self.summary.skipped += len(found) - len(kept)
            found = kept
        self.summary.folders += 1
        name = placed.folder.name
        if self._choice.dry_run:
            size_bytes = sum(maildir.size_of(one) for one in found)
            self._teller.folder(name, placed.name, len(found), size_bytes)
            self.summary.messages += len(found)
            self.summary.size_bytes += size_bytes
            return
        mailbox_id = await folders.open_mailbox(self._store, self._account, placed, self._acting)
        own = (await self._store.mailbox_by_id(self._account.id, mailbox_id)).name
        if placed.folder.subscribed:
            await self._store.subscribe(self._account.id, own, True)
        arrivals = Arrivals(self._store, self._account.id, mailbox_id, self.summary, self._teller)
        await arrivals.open(f"maildir:{places.text(self._root)}:{name}")
        new = [one for one in found if not arrivals.known(one.item)]
        self.summary.known += len(found) - len(new)
        self._teller.folder(name, own, len(new), 0)
        if self._choice.flags:
            await self._flags(arrivals, found, about)
        try:
            for one in new:
                await self._file(arrivals, one, about, name)
            await arrivals.flush()
        except BaseException:
            await arrivals.drop()
            raise
        if self._choice.remove_gone:
            await arrivals.remove_gone({one.item for one in found})

    async def _flags(self, arrivals: Arrivals, found: Sequence[maildir.File], about: maildir.Beside) -> None:
        now = [
            (one.item, await self._bits.bits(maildir.flags_of(one, about))) for one in found if arrivals.known(one.item)
        ]
        await arrivals.update_flags(now)

    async def _file(self, arrivals: Arrivals, one: maildir.File, about: maildir.Beside, folder: str) -> None:
        try:
            descriptor = places.opened(self._root, Path(one.path))
        except FileNotFoundError:  # read, moved or removed by a program meanwhile: the next run sees
            self.summary.vanished += 1
            return
        except OSError as error:
            self.summary.fail(folder, one.item, f"can't be read: {error.strerror}")
            return
        except places.NotAFileError as error:
            self.summary.fail(folder, one.item, str(error))
            return
        incoming = arrivals.begin()
        try:
            status = os.fstat(descriptor)
            known = about.index.get(one.base)
            at, offset = (int(status.st_mtime), 0) if known is None else (known.at, known.offset)
            if self._choice.since and at < self._choice.since:
                self.summary.skipped += 1
                incoming.abort()
                return
            crlf = ToCrlf(as_is=True if known is not None and known.as_is else None)
            while piece := os.read(descriptor, PIECE_BYTES):
                await incoming.feed(crlf.feed(piece))
        except OSError as error:
            incoming.abort()
            self.summary.fail(folder, one.item, f"can't be read: {error.strerror}")
            return
        except BaseException:
            incoming.abort()
            raise
        finally:
            os.close(descriptor)
        if not incoming.size:
            incoming.abort()
            self.summary.fail(folder, one.item, "it is empty: not even a header")
            return
        bits = await self._bits.bits(maildir.flags_of(one, about))
        await arrivals.add(incoming, one.item, bits, at, offset)
