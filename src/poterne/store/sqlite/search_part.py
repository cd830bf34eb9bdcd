"""Which messages of a mailbox may hold a text, by the index. Without one, or with one that is of no use, all of them may."""

from array import array
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final, final

import apsw
import msgspec

from poterne.store.sqlite.connection import Row
from poterne.store.sqlite.delivery import CONTENT_BITS
from poterne.store.sqlite.reader import Reader
from poterne.store.sqlite.search_file import Opened
from poterne.store.sqlite.search_grams import ANY, Gram, Where, positions, unpacked, wanted
from poterne.store.sqlite.search_writer import SearchWriter, marked
from poterne.values.ids import AccountId, Uid
from poterne.values.mailbox import Mailbox

_HELD_MESSAGES: Final = 1_000_000
_NUMBER: Final = (1 << CONTENT_BITS) - 1
_decode = msgspec.json.Decoder(list[int]).decode
_GRAM: Final = "SELECT documents FROM posting WHERE account_id = ? AND first = ? AND gram = ?"


class SearchPart:
    _reader: Reader

    def _start_search(self, folder: Path, clock: Callable[[], float]) -> None:
        self._search = Opened(folder)
        self._contents_of = _ContentsOf(self._reader)
        self._search_folder = folder
        self._search_clock = clock

    def _end_search(self) -> None:
        self._search.close()

    def search_writer(self) -> SearchWriter:
        """See `interface.Search`."""
        return SearchWriter(self._search_folder, self._reader, self._search_clock)

    def may_hold(self, mailbox: Mailbox, text: bytes, *, header: bool, body: bool) -> list[Uid] | None:
        """See `interface.Search`."""
        asked = [wanted(text, where) for where, its in ((Where.HEADER, header), (Where.BODY, body)) if its]
        if not asked or not all(asked):
            return None
        account_id = mailbox.account_id
        try:
            with self._search.snapshot() as connection:
                if connection is None:
                    return None
                upto = self._upto(connection, account_id)
                found = _documents(connection, account_id, asked) if upto else set()
        except (apsw.Error, OSError, IndexError):
            self._search.close()  # damaged, or just being replaced: the steward will see to it
            return None
        if not upto:
            return None
        uids, numbers = self._contents_of(mailbox)
        return [Uid(uid) for uid, number in zip(uids, numbers, strict=True) if number > upto or number in found]

    def _upto(self, connection: apsw.Connection, account_id: AccountId) -> int:
        """How far the account is indexed; 0 when what is indexed are other messages (an older database was put in place)."""
        rows: list[Row] = connection.execute(
            "SELECT upto, mark_id, mark FROM indexed WHERE account_id = ?", (account_id,)
        ).fetchall()
        counter = self._reader.one("SELECT last_content FROM account_counter WHERE account_id = ?", (account_id,))
        if not rows or counter is None:
            return 0
        upto: int
        upto, mark_id, mark = rows[0]
        usable: bool = upto <= counter[0] and marked(self._reader, account_id, mark_id, mark)
        return upto if usable else 0


def _documents(connection: apsw.Connection, account_id: AccountId, asked: list[list[Gram]]) -> set[int]:
    """Content numbers that have all grams of one of the lists."""
    found: set[int] = set()
    execute = connection.execute
    blocks: list[Row] = execute("SELECT first FROM block WHERE account_id = ?", (account_id,)).fetchall()
    for (first,) in blocks:
        row: Row | None = execute(_GRAM, (account_id, first, ANY)).fetchone()
        here = unpacked(row[0]) if row is not None else 0
        for grams in asked:
            bits = -1
            for gram in grams:
                row = execute(_GRAM, (account_id, first, gram)).fetchone()
                bits = bits & unpacked(row[0]) if row is not None else 0
                if not bits:
                    break
            here |= bits
        if here:
            found.update([first + at for at in positions(here)])
    return found


@final
class _ContentsOf:
    """Content numbers of the messages of mailboxes that are searched. A UID's content never changes, so only new ones are read.

    12 bytes a message; what was used least recently goes first. UIDs of messages that are gone stay: nobody asks for them.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader: Final = reader
        self._known: OrderedDict[tuple[int, int, int], tuple[array[int], array[int]]] = OrderedDict()
        self._held = 0

    def __call__(self, mailbox: Mailbox) -> "tuple[array[int], array[int]]":
        """UIDs, ascending, and their contents."""
        key = (mailbox.account_id, mailbox.id, mailbox.uid_validity)
        uids, numbers = self._known.get(key, (array("I"), array("Q")))
        before = len(uids)
        rows = self._reader.all(
            "SELECT json_group_array(uid), json_group_array(content_id & ?) FROM message"
            " WHERE account_id = ? AND mailbox_id = ? AND uid > ?",
            (_NUMBER, mailbox.account_id, mailbox.id, uids[-1] if uids else 0),
        )
        uids.extend(_decode(rows[0][0]))
        numbers.extend(_decode(rows[0][1]))
        self._known[key] = (uids, numbers)
        self._known.move_to_end(key)
        self._held += len(uids) - before
        while self._held > _HELD_MESSAGES and len(self._known) > 1:
            _, (dropped, _) = self._known.popitem(last=False)
            self._held -= len(dropped)
        return uids, numbers
