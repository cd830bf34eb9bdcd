r"""To a Maildir++ that Dovecot, mutt and others read, and that `import maildir` brings back exactly as it was.

A message has LF line ends there where that loses nothing; one with a bare CR or LF is written as it is. A file's name has the
UIDVALIDITY and UID, so that a later run writes only what is new and gives those that are there the flags of now. Dates are the
files' times; their zone, keywords beyond 26 and which files are as they are stand in `poterne-index`.
"""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, final

from poterne.message.line_ends import is_clean
from poterne.moving import maildir, places
from poterne.moving.exporting import WHOLE_BYTES, Out, messages, pieces
from poterne.moving.told import MovingError, Summary, Teller
from poterne.store.interface import Store
from poterne.values.directory import Account
from poterne.values.mailbox import Mailbox

_LETTERS: Final = {flag: letter for letter, flag in maildir.LETTERS.items() if flag.startswith("\\")}
TOLD_EVERY: Final = 100


@final
class MaildirExport:
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
                    self.summary.fail(mailbox.name, "", f"no directory can have its name: {error.strerror}")
            names = await self._store.subscriptions(self._account.id)
            text = "V\t2\n\n" + "".join("\t".join(name.split("/")) + "\n" for name in names)
            _replace(self._root / maildir.SUBSCRIPTIONS, text.encode())
        except OSError as error:
            raise MovingError(
                f"{error.filename or self._root}: {error.strerror}. The export runs as the owner of the server's data:"
                " name a folder that this user may write"
            ) from None
        return self.summary

    async def _folder(self, mailbox: Mailbox) -> None:
        place = maildir.folder_path(self._root, mailbox.name)
        for part in ("cur", "new", "tmp"):
            places.made(place / part)
        if place != self._root:
            if place.is_symlink():
                raise MovingError(f"{place} is a link: name a new directory, which is made")
            places.longer(place / "maildirfolder").close()
        there = {one.base: Path(one.path) for one in await asyncio.to_thread(maildir.files, place)}
        before = maildir.beside(place)
        self._teller.folder(mailbox.name, place.name, mailbox.messages, mailbox.size_bytes)
        letters = _keyword_letters(self._account.keywords, before)
        index: list[str] = []
        done = size_bytes = 0
        async for one in messages(self._store, self._account, mailbox):
            base = f"{one.row.internal_at}.V{mailbox.uid_validity}U{one.row.uid}.poterne"
            name = f"{base}:2,{_flags(one, letters)}"
            found = there.get(base)
            known = before.index.get(base)
            if found is None:
                as_is = await self._write(place, name, one)
                self.summary.messages += 1
                self.summary.size_bytes += one.blob.size
                size_bytes += one.blob.size
            else:
                as_is = known is not None and known.as_is
                self.summary.known += 1
                if found.name != name:
                    found.rename(place / "cur" / name)
                    self.summary.flagged += 1
            more = " ".join(word for word in one.keywords if word not in letters)
            form = "as-is" if as_is else "lf"
            index.append(f"{base}\t{one.row.internal_at}\t{one.row.internal_offset}\t{form}\t{more}\n")
            done += 1
            if done % TOLD_EVERY == 0:
                self._teller.moved(TOLD_EVERY, size_bytes)
                size_bytes = 0
                await asyncio.sleep(0)
        self._teller.moved(done % TOLD_EVERY, size_bytes)
        words = "".join(f"{ord(letter) - ord('a')} {word}\n" for word, letter in letters.items())
        _replace(place / maildir.KEYWORDS, words.encode())
        _replace(place / maildir.INDEX, "".join(index).encode())
        self.summary.folders += 1

    async def _write(self, place: Path, name: str, one: Out) -> bool:
        """The message as a file; True: as it is."""
        if one.blob.size <= WHOLE_BYTES:
            whole = self._store.blobs.read(one.blob)
            as_is = not is_clean(whole)
            parts = [whole if as_is else whole.replace(b"\r\n", b"\n")]
        else:
            as_is, parts = True, []
        temporary = place / "tmp" / name
        with places.fresh(temporary) as file:
            for part in parts:
                file.write(part)
            if not parts:
                async for piece in pieces(self._store, one.blob):
                    file.write(piece)
        os.utime(temporary, (one.row.internal_at, one.row.internal_at))
        target = place / "cur" / name
        if as_is:  # known before the index is written: a killed run must not forget it
            with places.longer(place / maildir.INDEX) as index:
                base = name.partition(":")[0]
                index.write(f"{base}\t{one.row.internal_at}\t{one.row.internal_offset}\tas-is\t\n".encode())
        temporary.rename(target)
        return as_is


def _keyword_letters(keywords: Sequence[str], before: maildir.Beside) -> dict[str, str]:
    """A letter for each of up to 26; one that has a letter keeps it, since names of files have it."""
    letters = {word: letter for letter, word in before.keywords.items()}
    free = [letter for letter in map(chr, range(ord("a"), ord("z") + 1)) if letter not in letters.values()]
    for word in keywords:
        if word not in letters and free:
            letters[word] = free.pop(0)
    return letters


def _flags(one: Out, letters: dict[str, str]) -> str:
    found = [_LETTERS[flag] for flag in one.flags] + [letters[word] for word in one.keywords if word in letters]
    return "".join(sorted(found))


def _replace(file: Path, text: bytes) -> None:
    """All of it or nothing."""
    temporary = file.with_name(f"{file.name}.new")
    with places.fresh(temporary) as written:
        written.write(text)
    temporary.replace(file)
