"""Arguments of the commands on mailboxes, APPEND's up to the message, and those of sign-in."""

import dataclasses
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from poterne.proto.imap import commands
from poterne.proto.imap.cursor import MAX_NUMBER64, CommandError, Cursor, syntax
from poterne.proto.imap.items import FlagSet, ListReturn, ListSelect, Metadata, QResync, StatusItem
from poterne.proto.imap.parse_message import flag_set
from poterne.proto.imap.parse_metadata import wanted
from poterne.proto.imap.parse_search import MONTHS
from poterne.proto.imap.responses import USEATTR, no
from poterne.proto.imap.sequence import MAX_NUMBER, STAR, SequenceSet
from poterne.values.mailbox import SpecialUse
from poterne.values.secret import Secret

_USES: Final = {use.value.upper().encode(): use for use in SpecialUse}
_ATTRIBUTE: Final = re.compile(rb"\\[A-Za-z]+").match
_DATE_TIME: Final = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-5][0-9])"'
).match
_MESSAGE: Final = re.compile(rb"(~?)\{([0-9]{1,20})(\+?)\}\r\n").match


def select(cursor: Cursor, tag: bytes, *, read_only: bool = False) -> commands.Select:
    """RFC 9051 §6.3.2; the parameters are RFC 7162's."""
    cursor.space()
    mailbox = cursor.mailbox()
    condstore = False
    qresync: QResync | None = None

    def parameter() -> None:
        nonlocal condstore, qresync
        word = cursor.word()
        if word == b"CONDSTORE":
            condstore = True
        elif word == b"QRESYNC" and qresync is None:
            cursor.space()
            qresync = _qresync(cursor)
        else:
            raise syntax(b"Unknown SELECT parameter")

    if cursor.take(b" "):
        cursor.listed(parameter)
    cursor.end()
    return commands.Select(tag, mailbox, read_only, condstore, qresync)


def examine(cursor: Cursor, tag: bytes) -> commands.Select:
    return select(cursor, tag, read_only=True)


def _qresync(cursor: Cursor) -> QResync:
    """`(uidvalidity modseq [known-uids] [(numbers uids)])`, RFC 7162 §3.2.5.2."""
    cursor.open()
    uid_validity = cursor.number(lowest=1)
    cursor.space()
    modseq = cursor.number(MAX_NUMBER64, 1)
    known: SequenceSet | None = None
    numbers: SequenceSet | None = None
    number_uids: SequenceSet | None = None
    if cursor.next_is(b" ") and not cursor.next_is(b" ("):
        cursor.space()
        known = _plain_set(cursor)
    if cursor.take(b" ("):
        numbers = _plain_set(cursor)
        cursor.space()
        number_uids = _plain_set(cursor)
        cursor.close()
    cursor.close()
    return QResync(uid_validity, modseq, known, numbers, number_uids)


def _plain_set(cursor: Cursor) -> SequenceSet:
    found = cursor.sequence_set()
    if found.saved or any(0 in part for part in found.parts):
        raise syntax(b"Only numbers are allowed in this set")
    return found


def create(cursor: Cursor, tag: bytes) -> commands.Create:
    """RFC 9051 §6.3.4, and CREATE-SPECIAL-USE of RFC 6154 §3."""
    cursor.space()
    mailbox = cursor.mailbox()
    uses: list[SpecialUse] = []

    def use() -> SpecialUse:
        found = _ATTRIBUTE(cursor.text, cursor.at)
        if found is None:
            raise syntax(b"Mailbox attribute expected")
        cursor.at = found.end()
        known = _USES.get(found[0].upper())
        if known is None:
            raise CommandError("use", no(b"Special use is not supported", USEATTR))
        return known

    if cursor.take(b" "):
        cursor.open()
        if cursor.word() != b"USE":
            raise syntax(b"Unknown CREATE parameter")
        cursor.space()
        uses = cursor.listed(use, empty=True)
        cursor.close()
    cursor.end()
    return commands.Create(tag, mailbox, tuple(dict.fromkeys(uses)))


def one_mailbox(cursor: Cursor) -> str:
    """The argument of DELETE, SUBSCRIBE, UNSUBSCRIBE."""
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.end()
    return mailbox


def rename(cursor: Cursor, tag: bytes) -> commands.Rename:
    cursor.space()
    mailbox = cursor.mailbox()
    return commands.Rename(tag, mailbox, one_mailbox(cursor))


def list_(cursor: Cursor, tag: bytes) -> commands.List:
    """RFC 9051 §6.3.9."""
    cursor.space()
    select_options: list[ListSelect] = []
    extended = cursor.next_is(b"(")
    if extended:
        select_options = cursor.listed(lambda: _list_select(cursor), empty=True)
        cursor.space()
    reference = cursor.mailbox()
    cursor.space()
    if cursor.next_is(b"("):
        extended = True
        patterns = cursor.listed(cursor.pattern)
    else:
        patterns = [cursor.pattern()]
    returns: set[ListReturn] = set()
    status_items: tuple[StatusItem, ...] = ()
    metadata: Metadata | None = None

    def option() -> None:
        nonlocal status_items, metadata
        word = cursor.word()
        if word == b"METADATA":
            cursor.space()
            metadata = wanted(cursor)
            return
        if word == b"STATUS":
            cursor.space()
            status_items = _status_items(cursor)
            return
        try:
            returns.add(ListReturn(word))
        except ValueError:
            raise syntax(b"Unknown LIST return option") from None

    if cursor.take(b" "):
        extended = True
        if cursor.word() != b"RETURN":
            raise syntax(b"RETURN expected")
        cursor.space()
        cursor.listed(option, empty=True)
    cursor.end()
    chosen = frozenset(select_options)
    if ListSelect.RECURSIVEMATCH in chosen and not chosen & {ListSelect.SUBSCRIBED, ListSelect.SPECIAL_USE}:
        raise syntax(b"RECURSIVEMATCH needs another selection option")  # RFC 5258 §3.1
    return commands.List(tag, reference, tuple(patterns), chosen, frozenset(returns), status_items, extended, metadata)


def _list_select(cursor: Cursor) -> ListSelect:
    try:
        return ListSelect(cursor.word())
    except ValueError:
        raise syntax(b"Unknown LIST selection option") from None


def lsub(cursor: Cursor, tag: bytes) -> commands.Lsub:
    cursor.space()
    reference = cursor.mailbox()
    cursor.space()
    pattern = cursor.pattern()
    cursor.end()
    return commands.Lsub(tag, reference, pattern)


def status(cursor: Cursor, tag: bytes) -> commands.Status:
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    items = _status_items(cursor)
    cursor.end()
    return commands.Status(tag, mailbox, items)


def get_quota(cursor: Cursor, tag: bytes) -> commands.GetQuota:
    cursor.space()
    root = cursor.text_string()
    cursor.end()
    return commands.GetQuota(tag, root)


def _status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    def item() -> StatusItem:
        try:
            return StatusItem(cursor.word())
        except ValueError:
            raise syntax(b"Unknown STATUS item") from None

    return tuple(dict.fromkeys(cursor.listed(item)))


@dataclass(frozen=True, slots=True)
class Announced:
    """What comes before a message in APPEND, up to and with its literal's size."""

    mailbox: str
    flags: FlagSet
    internal_date: datetime | None
    size: int
    binary: bool
    synchronizing: bool
    wrapped: bool
    """In `UTF8 (…)`, RFC 6855 §4: a parenthesis follows the message."""
    replaces: commands.Replaced | None = None


def append(cursor: Cursor, mailbox: str | None = None) -> Announced:
    """`SP mailbox SP [flag-list SP] [date-time SP] literal`, RFC 9051 §6.3.12; a later message (`mailbox` given) has no name.

    Raises LiteralMissing when the literal at the end is the mailbox's name.
    """
    cursor.space()
    if mailbox is None:
        mailbox = cursor.mailbox()
        cursor.space()
    flags = FlagSet(0, ())
    internal_date: datetime | None = None
    if cursor.next_is(b"("):
        flags = flag_set(cursor)
        cursor.space()
    if cursor.next_is(b'"'):
        internal_date = date_time(cursor)
        cursor.space()
    wrapped = cursor.text[cursor.at : cursor.at + 6].upper() == b"UTF8 ("
    if wrapped:
        cursor.at += 6
    found = _MESSAGE(cursor.text, cursor.at)
    if found is None or found.end() != len(cursor.text) or (wrapped and not found[1]):
        raise syntax(b"Message literal expected")
    return Announced(mailbox, flags, internal_date, int(found[2]), bool(found[1]), not found[3], wrapped)


def append_without_message(cursor: Cursor, _tag: bytes) -> commands.Create:
    """What is wrong with an APPEND that ended before its message. Always raises."""
    append(cursor, None)
    raise syntax(b"Message literal expected")


def replace(cursor: Cursor, *, uid: bool) -> Announced:
    """`SP seq-number`, then as APPEND (RFC 8508 §5)."""
    cursor.space()
    number = STAR if cursor.take(b"*") else cursor.number(MAX_NUMBER, 1)
    announced = append(cursor)
    return dataclasses.replace(announced, replaces=commands.Replaced(number, uid))


def replace_without_message(cursor: Cursor, _tag: bytes) -> commands.Create:
    """What is wrong with a REPLACE that ended before its message. Always raises."""
    replace(cursor, uid=False)
    raise syntax(b"Message literal expected")


def date_time(cursor: Cursor) -> datetime:
    """`"17-Jul-1996 02:44:25 -0700"`. A leap second counts as the one before it."""
    found = _DATE_TIME(cursor.text, cursor.at)
    month = MONTHS.get(found[2].upper()) if found else None
    if found is None or month is None:
        raise syntax(b"Invalid date and time")
    zone = timedelta(hours=int(found[8]), minutes=int(found[9]))
    try:
        value = datetime(
            int(found[3]),
            month,
            int(found[1]),
            int(found[4]),
            int(found[5]),
            min(int(found[6]), 59) if found[6] == b"60" else int(found[6]),
            tzinfo=timezone(-zone if found[7] == b"-" else zone),
        )
        value.timestamp()
    except (ValueError, OverflowError):
        raise syntax(b"No such date and time") from None
    cursor.at = found.end()
    return value


def login(cursor: Cursor, tag: bytes) -> commands.Login:
    cursor.space()
    user = cursor.text_string()
    cursor.space()
    password = Secret(cursor.astring())
    cursor.end()
    return commands.Login(tag, user, password)


def server_id(cursor: Cursor, tag: bytes) -> commands.Id:
    """RFC 2971 §3.1: at most 30 pairs, which nobody needs more of."""
    cursor.space()
    if not cursor.next_is(b"("):
        if cursor.nstring() is not None:
            raise syntax(b"List or NIL expected")
        cursor.end()
        return commands.Id(tag, None)

    def pair() -> tuple[str, str | None]:
        name = cursor.string()
        cursor.space()
        value = cursor.nstring()
        return name.decode("utf-8", "replace").lower(), None if value is None else value.decode("utf-8", "replace")

    pairs = cursor.listed(pair, empty=True)
    cursor.end()
    if len(pairs) > 30:
        raise syntax(b"Too many ID fields")
    return commands.Id(tag, tuple(pairs))


def compress(cursor: Cursor, tag: bytes) -> commands.Compress:
    """RFC 4978 §5."""
    cursor.space()
    mechanism = cursor.word().decode("ascii")
    cursor.end()
    return commands.Compress(tag, mechanism)


def enable(cursor: Cursor, tag: bytes) -> commands.Enable:
    cursor.space()
    names = [cursor.word().decode("ascii")]
    while cursor.take(b" "):
        names.append(cursor.word().decode("ascii"))
    cursor.end()
    return commands.Enable(tag, tuple(dict.fromkeys(names)))
