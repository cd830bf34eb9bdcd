"""To mbox files (mboxrd), one for each folder; each is complete when it has its name. What can't be kept so is listed."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final, final
from urllib.parse import quote

from poterne.message import mbox
from poterne.message.line_ends import is_clean
from poterne.moving import places
from poterne.moving.exporting import Out, messages, pieces
from poterne.moving.told import MovingError, Summary, Teller
from poterne.store.interface import Store
from poterne.values.directory import Account
from poterne.values.mailbox import Mailbox

_SAFE: Final = " !$&'()+,;=@[]^_{}~éèêëàâäîïôöûüùçÉÈÊËÀÂÄÎÏÔÖÛÜÙÇ"
TOLD_EVERY: Final = 100
LARGEST_BYTES: Final = 512 * 1024 * 1024
"""A message is held in memory while its lines are quoted."""


def file_of(root: Path, name: str) -> Path:
    """`Work/2020.mbox` for Work/2020. What a file name can't have is written as %XX."""
    levels = [quote(level, safe=_SAFE).replace("%2E", ".") for level in name.split("/")]
    levels = [f"%2E{level[1:]}" if level.startswith(".") else level for level in levels]
    return root.joinpath(*levels[:-1]) / f"{levels[-1]}.mbox"


@final
class MboxExport:
    """One run for one account."""

    def __init__(
        self, store: Store, account: Account, root: Path, mailboxes: Sequence[Mailbox], teller: Teller
    ) -> None:
        self._store: Final = store
        self._account: Final = account
        self._root: Final = root
        self._mailboxes: Final = mailboxes
        self._teller: Final = teller
        self.summary: Final = Summary()

    async def run(self) -> Summary:
        """Raises MovingError, StoreError."""
        try:
            places.check_target(self._root)
            for mailbox in self._mailboxes:
                try:
                    await self._folder(mailbox)
                except OSError as error:
                    if error.errno not in places.UNFIT:
                        raise
                    self.summary.fail(mailbox.name, "", f"no file can have its name: {error.strerror}")
        except OSError as error:
            raise MovingError(
                f"{error.filename or self._root}: {error.strerror}. The export runs as the owner of the server's data:"
                " name a folder that this user may write"
            ) from None
        return self.summary

    async def _folder(self, mailbox: Mailbox) -> None:
        target = file_of(self._root, mailbox.name)
        places.made(target.parent)
        self._teller.folder(mailbox.name, str(target), mailbox.messages, mailbox.size_bytes)
        temporary = target.with_name(f"{target.name}.part")
        done = 0
        with places.fresh(temporary) as file:
            async for one in messages(self._store, self._account, mailbox):
                await self._message(file, one, mailbox.name)
                done += 1
                if done % TOLD_EVERY == 0:
                    self._teller.moved(TOLD_EVERY, 0)
                    await asyncio.sleep(0)
        temporary.replace(target)
        self._teller.moved(done % TOLD_EVERY, 0)
        self.summary.folders += 1

    async def _message(self, file: BinaryIO, one: Out, folder: str) -> None:
        if one.blob.size > LARGEST_BYTES:
            self.summary.fail(folder, f"UID {one.row.uid}", "it is too large for mbox: use --format maildir")
            return
        whole = b"".join([piece async for piece in pieces(self._store, one.blob)])
        if not _can_be_kept(whole):
            self.summary.fail(folder, f"UID {one.row.uid}", "mbox can't keep it exactly (use --format maildir)")
        clean = is_clean(whole)
        text = whole.replace(b"\r\n", b"\n") if clean else whole
        file.write(mbox.from_line("", one.row.internal_at, one.row.internal_offset))
        file.write(mbox.status_fields(one.flags, one.keywords, crlf=not clean))
        file.write(mbox.quote(text))
        file.write(b"\n" if text.endswith(b"\n") else b"\n\n")
        self.summary.messages += 1
        self.summary.size_bytes += one.blob.size


def _can_be_kept(whole: bytes) -> bool:
    """It ends with a line end and has no field of the file's; and with bare line ends, it is to be taken as it is."""
    end = whole.find(b"\n")
    as_crlf = is_clean(whole) or (end > 0 and whole[end - 1] == 13)
    return whole.endswith(b"\n") and as_crlf and not mbox.has_status(whole)
