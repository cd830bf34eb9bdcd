"""Making the index of texts, and keeping it: in small steps, by one process at a time, apart from all transactions of the store.

Contents are indexed in the order of their numbers, so that one number says how far an account is. A *slot* is `SLOT` numbers;
when it is full it is one block. What comes in is a block of its own as soon as there is enough of it, and is joined with the
blocks before it that are not larger: each message is written some five times, and an account has few blocks.

Contents that are gone stay in their block as bits that lead nowhere, until `tidy` writes the block anew without them.
"""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Final, final
from zlib import crc32

import apsw

from poterne.store.errors import UnavailableError
from poterne.store.interface_search import WAITING_LEAST, ReadWords
from poterne.store.sqlite.connection import Row, Rows
from poterne.store.sqlite.delivery import CONTENT_BITS
from poterne.store.sqlite.lock import FileLock
from poterne.store.sqlite.search_file import SEARCH_LOCK, SEARCH_NAME, Opened
from poterne.store.sqlite.search_grams import Gathering
from poterne.values.ids import AccountId, BlobId, ThreadId, Uid
from poterne.values.mailbox import ContentRow
from poterne.values.search import Words

SLOT: Final = 1024
_PAGE_DOCUMENTS: Final = 20
_PAGE_ROWS: Final = 1_000
_TIDY_AFTER_S: Final = 86_400
_TIDY_SHARE: Final = 8

_CONTENTS: Final = (
    "SELECT content_id, envelope, parsed, segment, blob_offset, blob_size, header_size, sent_at, thread_id"
    " FROM content WHERE content_id > ? AND content_id <= ? ORDER BY content_id LIMIT ?"
)
_SOME: Final = (
    "SELECT gram, documents FROM posting WHERE account_id = ? AND first = ? AND gram > ? ORDER BY gram LIMIT ?"
)
_CLEAR: Final = (
    "DELETE FROM posting WHERE account_id = ?1 AND first = ?2 AND gram IN"
    " (SELECT gram FROM posting WHERE account_id = ?1 AND first = ?2 LIMIT ?3)"
)


@final
class SearchWriter:
    """See `interface.SearchWriter`."""

    def __init__(self, folder: Path, rows: Rows, clock: Callable[[], float]) -> None:
        self._rows: Final = rows
        self._clock: Final = clock
        self._file: Final = Opened(folder, write=True)
        self._lock: Final = FileLock(folder / SEARCH_LOCK)
        self._tidied = (0, 0)
        self._saved = 0

    # Who may write

    def begin(self, *, wait: bool = False) -> bool:
        return self._lock.acquire(wait=wait)

    def end(self) -> None:
        self._lock.release()

    def close(self) -> None:
        self._file.close()
        self._lock.close()

    def forget_all(self) -> None:
        self._file.remove()

    def save(self) -> bool:
        try:
            connection = self._file.connection()
            if connection is not None and connection.in_transaction:
                return False
            if connection is not None and connection.total_changes() != self._saved:
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._saved = connection.total_changes()
        except (apsw.Error, OSError) as error:
            raise UnavailableError(f"{SEARCH_NAME}: {type(error).__name__}: {error}") from error
        return True

    # What is to do

    def waiting(self) -> dict[AccountId, int]:
        try:
            upto = {row[0]: row[1] for row in self._file.all("SELECT account_id, upto FROM indexed")}
        except (apsw.Error, OSError):
            upto = {}  # who writes next puts it right
        counters = self._rows.all("SELECT account_id, last_content FROM account_counter ORDER BY account_id")
        return {
            AccountId(account_id): last - upto.get(account_id, 0)
            for account_id, last in counters
            if last != upto.get(account_id, 0)
        }

    def index(self, read: ReadWords, least: int = WAITING_LEAST) -> Generator[int, None, None]:
        return self._guarded(self._index(read, least))

    def _index(self, read: ReadWords, least: int) -> Iterator[int]:
        waiting = self.waiting()
        yield from self._forget_accounts()
        for account_id, count in waiting.items():
            if count >= least or count < 0:
                yield from self._account(account_id, read)

    def _account(self, account_id: AccountId, read: ReadWords) -> Iterator[int]:
        row = self._rows.one("SELECT last_content FROM account_counter WHERE account_id = ?", (account_id,))
        last = row[0] if row else 0
        upto = self._upto(account_id)
        if upto is None or upto > last:  # the store was replaced by an older one
            yield from self._forget(account_id)
            upto = 0
        while upto < last:
            end = min(last, (upto // SLOT + 1) * SLOT)
            yield from self._block(account_id, upto + 1, end, read)
            upto = end

    def _upto(self, account_id: AccountId) -> int | None:
        """How far the account is indexed; None: what is there is of other messages."""
        found = self._file.all("SELECT upto, mark_id, mark FROM indexed WHERE account_id = ?", (account_id,))
        if not found:
            return 0
        upto: int = found[0][0]
        return upto if marked(self._rows, account_id, found[0][1], found[0][2]) else None

    # Writing

    def _block(self, account_id: AccountId, first: int, last: int, read: ReadWords) -> Iterator[int]:
        """Index these contents, as one block with the blocks before it that it is joined with."""
        joined, start = self._joined(account_id, first, last)
        gathering = Gathering()
        documents = 0
        for block_first, block_documents in joined:
            documents += block_documents
            yield from self._load(gathering, account_id, block_first, block_first - start)
        base = account_id << CONTENT_BITS
        at, mark = first - 1, None
        while page := self._rows.all(_CONTENTS, (base + at, base + last, _PAGE_DOCUMENTS)):
            for found in page:
                at = found[0] - base
                words = Words()
                yield from _read(read, found, words)
                for _ in gathering.add(at - start, words):
                    yield 0
                yield 1
            documents += len(page)
            mark = (at, _mark(page[-1][1], page[-1][6], page[-1][5]))
        with self._file.change() as connection:
            for block_first, _ in joined:
                yield from self._clear(connection, account_id, block_first)
            yield from self._write(connection, account_id, start, last, documents, gathering)
            self._set_upto(connection, account_id, last, mark)

    def _joined(self, account_id: AccountId, first: int, last: int) -> tuple[list[tuple[int, int]], int]:
        """Blocks of the same slot to join with a new one (first content, documents), and where the joined one begins."""
        slot = (first - 1) // SLOT * SLOT + 1
        before = self._file.all(
            "SELECT first, last, documents FROM block WHERE account_id = ? AND first >= ? ORDER BY first DESC",
            (account_id, slot),
        )
        joined: list[tuple[int, int]] = []
        start = first
        for block_first, block_last, documents in before:
            if last != slot + SLOT - 1 and block_last - block_first + 1 > last - start + 1:
                break
            joined.append((block_first, documents))
            start = block_first
        return joined, start

    def _load(
        self, gathering: Gathering, account_id: AccountId, first: int, shift: int, kept: int = -1
    ) -> Iterator[int]:
        gram = -(1 << 25)
        while rows := self._file.all(_SOME, (account_id, first, gram, _PAGE_ROWS)):
            gathering.load([(row[0], row[1]) for row in rows], shift, kept)
            gram = rows[-1][0]
            yield 0

    def _clear(self, connection: apsw.Connection, account_id: int, first: int) -> Iterator[int]:
        connection.execute("DELETE FROM block WHERE account_id = ? AND first = ?", (account_id, first))
        while True:
            connection.execute(_CLEAR, (account_id, first, _PAGE_ROWS))
            if not connection.changes():
                return
            yield 0

    def _write(
        self, connection: apsw.Connection, account_id: int, first: int, last: int, documents: int, gathering: Gathering
    ) -> Iterator[int]:
        if not documents:
            return
        connection.execute(
            "INSERT INTO block VALUES (?, ?, ?, ?, ?)", (account_id, first, last, documents, int(self._clock()))
        )
        for rows in gathering.rows():
            connection.executemany(
                "INSERT INTO posting VALUES (?, ?, ?, ?)", [(account_id, first, gram, stored) for gram, stored in rows]
            )
            yield 0

    @staticmethod
    def _set_upto(connection: apsw.Connection, account_id: int, upto: int, mark: tuple[int, int] | None) -> None:
        if mark is None:  # all of them are gone already
            connection.execute(
                "INSERT INTO indexed VALUES (?1, ?2, 0, 0) ON CONFLICT DO UPDATE SET upto = ?2", (account_id, upto)
            )
        else:
            connection.execute("INSERT OR REPLACE INTO indexed VALUES (?, ?, ?, ?)", (account_id, upto, *mark))

    # Forgetting

    def tidy(self, blocks: int) -> Generator[int, None, None]:
        return self._guarded(self._tidy(blocks))

    def _tidy(self, blocks: int) -> Iterator[int]:
        for _ in range(blocks):
            found = self._file.all(
                "SELECT account_id, first, last, documents, written_at FROM block WHERE (account_id, first) > (?, ?)"
                " ORDER BY account_id, first LIMIT 1",
                self._tidied,
            )
            if not found:
                self._tidied = (0, 0)
                return
            account_id, first, last, documents, written_at = found[0]
            self._tidied = (account_id, first)
            base = account_id << CONTENT_BITS
            live = 0
            for (content_id,) in self._rows.all(
                "SELECT content_id FROM content WHERE content_id >= ? AND content_id <= ?", (base + first, base + last)
            ):
                live |= 1 << (content_id - base - first)
            left = live.bit_count()
            old = written_at <= self._clock() - _TIDY_AFTER_S
            if left < documents and (old or (documents - left) * _TIDY_SHARE >= documents):
                yield from self._rewrite(account_id, first, last, live)
            yield 0

    def _rewrite(self, account_id: AccountId, first: int, last: int, live: int) -> Iterator[int]:
        gathering = Gathering()
        if live:
            yield from self._load(gathering, account_id, first, 0, live)
        with self._file.change() as connection:
            yield from self._clear(connection, account_id, first)
            yield from self._write(connection, account_id, first, last, live.bit_count(), gathering)

    def _forget_accounts(self) -> Iterator[int]:
        there = {row[0] for row in self._rows.all("SELECT account_id FROM account")}
        for (account_id,) in self._file.all("SELECT account_id FROM indexed"):
            if account_id not in there:
                yield from self._forget(account_id)

    def _forget(self, account_id: AccountId) -> Iterator[int]:
        """No reader believes the blocks from now on; then they go."""
        with self._file.change() as connection:
            blocks = self._file.all("SELECT first FROM block WHERE account_id = ?", (account_id,))
            for (first,) in blocks:
                yield from self._clear(connection, account_id, first)
            connection.execute("DELETE FROM indexed WHERE account_id = ?", (account_id,))

    def _guarded(self, steps: Iterator[int]) -> Generator[int, None, None]:
        """The same steps; errors by meaning. A damaged file goes: the next call begins a new one."""
        try:
            yield from steps
        except (apsw.CorruptError, apsw.NotADBError) as error:
            self._file.remove()
            raise UnavailableError(f"{SEARCH_NAME} was damaged ({error}) and is made anew") from error
        except (apsw.Error, OSError) as error:
            self._file.close()
            raise UnavailableError(f"{SEARCH_NAME}: {type(error).__name__}: {error}") from error


def _read(read: ReadWords, found: Row, words: Words) -> Iterator[int]:
    row = ContentRow(
        Uid(0), found[1], b"", found[2], BlobId(found[3], found[4], found[5]), found[6], found[7], ThreadId(found[8]), 0
    )
    try:
        for _ in read(row, words):
            yield 0
    except UnavailableError:
        words.incomplete = True  # who searches for it hears of it in the log


def marked(rows: Rows, account_id: AccountId, mark_id: int, mark: int) -> bool:
    """Whether the content that was indexed last is what it was then. (One that is gone says nothing.)"""
    row = rows.one(
        "SELECT envelope, header_size, blob_size FROM content WHERE content_id = ?",
        ((account_id << CONTENT_BITS) + mark_id,),
    )
    return row is None or _mark(*row) == mark


def _mark(envelope: bytes, header_size: int, size: int) -> int:
    return crc32(b"%d %d" % (header_size, size), crc32(envelope))
