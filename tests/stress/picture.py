"""What a client may believe about its selected mailbox, made of nothing but what it was told.

It is as strict as a client may be: what RFC 9051 and RFC 7162 forbid is a `DifferenceError`, and what is told is compared with
what this client, and any other (`Ledger`), was told before.
"""

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.stress.ledger import DifferenceError, Ledger
from tests.stress.letters import number_of
from tests.support.imap_reader import read_fetches

UNKNOWN = 0
_CODE = re.compile(rb"\[([A-Z]+)(?: ([^\]]*))?\]")
_NUMBER_LABEL = b"BODY[HEADER.FIELDS (MESSAGE-ID)]"
Items = dict[bytes, Any]


def numbers(text: bytes) -> list[int]:
    """Of a set without "*": 1:3,7."""
    found: list[int] = []
    for part in text.split(b","):
        first, _, last = part.partition(b":")
        low, high = sorted((int(first), int(last or first)))
        if low < 1:
            raise DifferenceError(f"a set with a zero: {text!r}")
        found += range(low, high + 1)
    return found


def nothing(_: "Doing") -> None:
    """For commands that change nothing that is believed."""


@dataclass(slots=True)
class Doing:
    """A command under way, and what was said while it was."""

    tag: bytes
    text: bytes
    holds: bool
    """It has message numbers, which nothing may move until it is done."""
    asks_flags: bool = False
    """It is a FETCH: what comes may be what it asked for."""
    then: "Callable[[Doing], None]" = nothing
    """Called with its OK."""
    fetched: list[tuple[int, int, Items]] = field(default_factory=list)
    """Number, UID as far as known, items."""
    others: list[bytes] = field(default_factory=list)
    counted: int = 0
    """Messages that there were when the result of a search was told."""
    earlier: list[int] = field(default_factory=list)
    """VANISHED (EARLIER)."""
    removed: list[int] = field(default_factory=list)
    codes: dict[bytes, bytes] = field(default_factory=dict)
    """Of untagged OK and of the tagged response."""
    status: bytes = b""
    modseq: int = 0
    """The highest that a FETCH told."""

    def other(self, word: bytes) -> list[bytes]:
        """Responses that begin with this word, without it."""
        start = b"* " + word
        return [line[len(start) :].strip() for line in self.others if line.startswith(start)]


class Picture:
    """Of one session's selected mailbox. `uids[n - 1]` is the UID of message n, UNKNOWN until it was told.

    With UIDONLY (RFC 9586) there are no numbers: `uids` are those known, ascending, and then UNKNOWN for each of the others.
    """

    def __init__(
        self,
        ledger: Ledger,
        session: int,
        *,
        condstore: bool,
        qresync: bool,
        rev2: bool,
        uid_only: bool = False,
        at_once: bool = False,
    ) -> None:
        """`at_once`: NOTIFY with SELECTED was said; messages may go at any moment."""
        self._ledger, self._session = ledger, session
        self.condstore, self.qresync, self.rev2, self.uid_only = condstore, qresync, rev2, uid_only
        self.at_once = at_once
        self.read_only = False
        self.box = 0
        """UIDVALIDITY."""
        self.mailbox_id = b""
        self.uid_next = 0
        self.uids: list[int] = []
        self.flags: dict[int, frozenset[bytes]] = {}
        self.modseqs: dict[int, int] = {}
        self.recent: set[int] = set()
        self.highest = 0
        """What this client may name when it resynchronises."""
        self.unseen = 0

    @property
    def known(self) -> bool:
        return UNKNOWN not in self.uids

    def hear(self, line: bytes, running: list[Doing]) -> bool:
        """Take an untagged response about the mailbox; False: it is not."""
        words = line.split(b" ", 3)
        doing = running[0] if running else None
        if len(words) >= 3 and words[1].isdigit():
            number = int(words[1])
            match words[2]:
                case b"EXISTS":
                    self._exists(number)
                case b"RECENT":
                    if self.rev2 or number > len(self.uids):
                        raise DifferenceError(line.decode())
                case b"EXPUNGE":
                    self._expunge(number, running)
                case b"FETCH":
                    if self.uid_only:
                        raise DifferenceError("FETCH where UIDFETCH is due (RFC 9586 §3.3)")
                    ((number, items),) = read_fetches(line + b"\r\n")
                    self._fetch(number, items, doing)
                case b"UIDFETCH":
                    if not self.uid_only:
                        raise DifferenceError("UIDFETCH, but UIDONLY is not enabled")
                    ((uid, items),) = read_fetches(line.replace(b" UIDFETCH ", b" FETCH ", 1) + b"\r\n")
                    self._fetch(self._count(uid), items | {b"UID": uid}, doing)
                case _:
                    return False
            return True
        if words[1] == b"VANISHED":
            self._vanished(line[len(b"* VANISHED ") :], running)
            return True
        if words[1] == b"OK" and (code := _CODE.match(line[5:])) is not None:
            self._code(code[1], code[2] or b"")
        return False

    def _exists(self, count: int) -> None:
        if count < len(self.uids):
            raise DifferenceError(f"EXISTS {count}, but there are {len(self.uids)} (only EXPUNGE makes them fewer)")
        self.uids += [UNKNOWN] * (count - len(self.uids))

    def _may_expunge(self, running: list[Doing]) -> Doing:
        if not running and self.at_once:
            return Doing(b"", b"", holds=False)
        if not running:
            raise DifferenceError("expunged while no command is in progress (RFC 9051 §7.5.1)")
        for doing in running:
            if doing.holds:
                raise DifferenceError(f"expunged during {doing.text!r} (RFC 9051 §7.5.1)")
        return running[0]

    def _expunge(self, number: int, running: list[Doing]) -> None:
        doing = self._may_expunge(running)
        if self.qresync or self.uid_only:
            raise DifferenceError("EXPUNGE where VANISHED is due (RFC 7162 §3.2.10, RFC 9586 §3.4)")
        if not 1 <= number <= len(self.uids):
            raise DifferenceError(f"EXPUNGE {number} of {len(self.uids)}")
        uid = self.uids.pop(number - 1)
        doing.removed.append(uid)
        self._forget(uid)

    def _forget(self, uid: int) -> None:
        if uid != UNKNOWN:
            self._ledger.expunged.add((self.box, uid))
        self.flags.pop(uid, None)
        self.modseqs.pop(uid, None)
        self.recent.discard(uid)

    def _vanished(self, text: bytes, running: list[Doing]) -> None:
        if not (self.qresync or self.uid_only):
            raise DifferenceError("VANISHED, but neither QRESYNC nor UIDONLY is enabled")
        if text.startswith(b"(EARLIER) "):
            uids = numbers(text[len(b"(EARLIER) ") :])
            if not running:
                raise DifferenceError("VANISHED (EARLIER) without a command")
            running[0].earlier += uids
            self._ledger.expunged.update((self.box, uid) for uid in uids if uid < self.uid_next)
            return
        doing = self._may_expunge(running)
        for uid in numbers(text):
            index = self._place(uid)
            if index is None:
                raise DifferenceError(f"VANISHED {uid}, which this client does not count: {self.uids}")
            del self.uids[index]
            doing.removed.append(uid)
            self._forget(uid)

    def _place(self, uid: int) -> int | None:
        """Where this UID is, or, among those unknown, may be."""
        if uid in self.flags or uid in self.uids:
            return self.uids.index(uid)
        if self.uid_only:
            return self.uids.index(UNKNOWN) if UNKNOWN in self.uids else None
        index = next((i for i in range(len(self.uids) - 1, -1, -1) if UNKNOWN < self.uids[i] < uid), -1) + 1
        return index if index < len(self.uids) and self.uids[index] == UNKNOWN else None

    def _count(self, uid: int) -> int:
        """With UIDONLY: where this UID is from now on, counted from 1."""
        place = self._place(uid)
        if place is None:
            raise DifferenceError(f"UIDFETCH of {uid}, which is none of {self.uids}")
        if self.uids[place] == UNKNOWN:
            del self.uids[place]
            place = next((at for at, each in enumerate(self.uids) if each == UNKNOWN or each > uid), len(self.uids))
            self.uids.insert(place, uid)
        return place + 1

    def _fetch(self, number: int, items: Items, doing: Doing | None) -> None:
        if not 1 <= number <= len(self.uids):
            raise DifferenceError(f"FETCH of {number}, but there are {len(self.uids)}")
        uid = self._name(number, items[b"UID"]) if b"UID" in items else self.uids[number - 1]
        if doing is not None:
            doing.fetched.append((number, uid, items))
        modseq = items[b"MODSEQ"][0] if b"MODSEQ" in items else 0
        if b"FLAGS" in items:
            asked = doing is not None and doing.asks_flags
            if self.condstore and not asked and not (modseq and b"UID" in items):
                raise DifferenceError(
                    "FETCH FLAGS without MODSEQ or UID for who has enabled CONDSTORE (RFC 7162 §3.2.4)"
                )
            self._has_flags(uid, items[b"FLAGS"], modseq)
        if modseq:
            if uid != UNKNOWN and modseq < self.modseqs.get(uid, 0):
                raise DifferenceError(f"UID {uid} had modseq {self.modseqs[uid]} and now has {modseq}")
            if uid != UNKNOWN:
                self.modseqs[uid] = modseq
            if doing is not None:
                doing.modseq = max(doing.modseq, modseq)
        if _NUMBER_LABEL in items and uid != UNKNOWN:
            self._ledger.is_letter(self.box, uid, number_of(items[_NUMBER_LABEL]))

    def _name(self, number: int, uid: int) -> int:
        """Message `number` has this UID; they ascend."""
        known = self.uids[number - 1]
        if known not in {UNKNOWN, uid}:
            raise DifferenceError(f"message {number} is UID {uid}, and was UID {known}")
        if known == UNKNOWN:
            before = next((each for each in reversed(self.uids[: number - 1]) if each), 0)
            after = next((each for each in self.uids[number:] if each), 1 << 32)
            if not before < uid < after:
                raise DifferenceError(f"message {number} is UID {uid}, between {before} and {after}")
            self.uids[number - 1] = uid
        self._ledger.arrived.add((self.box, uid))
        return uid

    def _has_flags(self, uid: int, told: list[bytes], modseq: int) -> None:
        flags = frozenset(map(bytes, told))
        if len(flags) != len(told):
            raise DifferenceError(f"a flag twice: {told}")
        if b"\\Recent" in flags:
            if self.rev2:
                raise DifferenceError("\\Recent for who has enabled IMAP4rev2")
            if uid != UNKNOWN:
                self.recent.add(uid)
                if not self.read_only:
                    self._ledger.is_recent(self.box, uid, self._session)
        elif uid in self.recent:
            raise DifferenceError(f"UID {uid} is not \\Recent any more, within one session")
        if uid == UNKNOWN:
            return
        self.flags[uid] = flags - {b"\\Recent"}
        if b"\\Deleted" in flags:
            self._ledger.condemned.add((self.box, uid))
        if modseq:
            self._ledger.has_flags(self.box, uid, modseq, self.flags[uid])

    def _code(self, word: bytes, value: bytes) -> None:
        match word:
            case b"UIDVALIDITY":
                self.box = int(value)
            case b"UIDNEXT":
                self.uid_next = int(value)
            case b"MAILBOXID":
                self.mailbox_id = value
            case b"UNSEEN":
                if self.uid_only:
                    raise DifferenceError("[UNSEEN], a message number, for who has enabled UIDONLY (RFC 9586 §3.6)")
                self.unseen = int(value)
            case _:
                pass

    def complete(self, doing: Doing) -> None:
        """The command is over: how far this client may say it has come (RFC 7162 §3.2.5, §6)."""
        if b"HIGHESTMODSEQ" in doing.codes:
            self.highest = int(doing.codes[b"HIGHESTMODSEQ"])
        else:
            self.highest = max(self.highest, doing.modseq)

    def positions(self, uids: list[int]) -> list[int]:
        """Message numbers of those of these UIDs that the client counts."""
        found = []
        for uid in uids:
            index = bisect_left(self.uids, uid) if self.known else self.uids.index(uid) if uid in self.uids else -1
            if 0 <= index < len(self.uids) and self.uids[index] == uid:
                found.append(index + 1)
        return found
