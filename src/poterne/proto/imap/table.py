"""The commands: for each its parser, and the states in which it is allowed. An extension adds its line here."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final

from poterne.proto.imap import acl, commands, parse_filters, parse_mailbox, parse_message, parse_metadata, parse_search
from poterne.proto.imap.cursor import Cursor
from poterne.proto.imap.limits import Limits
from poterne.proto.imap.parse_sign_in import authenticate
from poterne.proto.imap.responses import Completed


class State(Enum):
    """RFC 9051 §3."""

    NOT_AUTHENTICATED = "not authenticated"
    AUTHENTICATED = "authenticated"
    SELECTED = "selected"
    LOGOUT = "logout"


_GUEST: Final = (State.NOT_AUTHENTICATED,)
_SELECTED: Final = (State.SELECTED,)
_KNOWN: Final = (State.SELECTED, State.AUTHENTICATED)
_ANY: Final = (*_KNOWN, *_GUEST)

Parse = Callable[[Cursor, bytes], commands.Command]


@dataclass(frozen=True, slots=True)
class Entry:
    """How a command is read (from behind its name; the parser also sees to its end), and when it is allowed."""

    parse: Parse
    states: tuple[State, ...]
    """A tuple: with members this few, finding one by identity is faster than hashing it."""
    announced: Callable[[Cursor], parse_mailbox.Announced] | None = None
    """It ends with a message, which is handed on as it comes: reads what stands before that. LiteralMissing: not there yet."""
    too_big: Callable[[Limits], Completed] | None = None
    """The answer to a literal that is too large, where it is another than for most."""


def _bare(kind: Callable[[bytes], commands.Command]) -> Parse:
    """A command without arguments."""

    def parse(cursor: Cursor, tag: bytes) -> commands.Command:
        cursor.end()
        return kind(tag)

    return parse


def _named(kind: Callable[[bytes, str], commands.Command]) -> Parse:
    """A command with one mailbox name."""

    def parse(cursor: Cursor, tag: bytes) -> commands.Command:
        return kind(tag, parse_mailbox.one_mailbox(cursor))

    return parse


COMMANDS: Final[dict[bytes, Entry]] = {
    b"CAPABILITY": Entry(_bare(commands.Capability), _ANY),
    b"NOOP": Entry(_bare(commands.Noop), _ANY),
    b"LOGOUT": Entry(_bare(commands.Logout), _ANY),
    b"ID": Entry(parse_mailbox.server_id, _ANY),
    b"STARTTLS": Entry(_bare(commands.StartTls), _GUEST),
    b"AUTHENTICATE": Entry(authenticate, _GUEST),
    b"LOGIN": Entry(parse_mailbox.login, _GUEST),
    b"ENABLE": Entry(parse_mailbox.enable, _KNOWN),  # RFC 9051 §6.3.1: also when selected, RFC 5161 disagreed
    b"COMPRESS": Entry(parse_mailbox.compress, _KNOWN),
    b"SELECT": Entry(parse_mailbox.select, _KNOWN),
    b"EXAMINE": Entry(parse_mailbox.examine, _KNOWN),
    b"CREATE": Entry(parse_mailbox.create, _KNOWN),
    b"DELETE": Entry(_named(commands.Delete), _KNOWN),
    b"RENAME": Entry(parse_mailbox.rename, _KNOWN),
    b"SUBSCRIBE": Entry(_named(commands.Subscribe), _KNOWN),
    b"UNSUBSCRIBE": Entry(_named(commands.Unsubscribe), _KNOWN),
    b"LIST": Entry(parse_mailbox.list_, _KNOWN),
    b"LSUB": Entry(parse_mailbox.lsub, _KNOWN),
    b"NAMESPACE": Entry(_bare(commands.Namespace), _KNOWN),
    b"STATUS": Entry(parse_mailbox.status, _KNOWN),
    b"GETQUOTA": Entry(parse_mailbox.get_quota, _KNOWN),
    b"GETQUOTAROOT": Entry(_named(commands.GetQuotaRoot), _KNOWN),
    b"NOTIFY": Entry(parse_filters.notify, _KNOWN),
    b"ESEARCH": Entry(parse_search.multi_search, _KNOWN),
    b"GETMETADATA": Entry(parse_metadata.get_metadata, _KNOWN),
    b"SETMETADATA": Entry(parse_metadata.set_metadata, _KNOWN, too_big=parse_metadata.too_big),
    b"SETACL": Entry(acl.set_acl, _KNOWN),
    b"DELETEACL": Entry(acl.delete_acl, _KNOWN),
    b"GETACL": Entry(_named(commands.GetAcl), _KNOWN),
    b"LISTRIGHTS": Entry(acl.list_rights, _KNOWN),
    b"MYRIGHTS": Entry(_named(commands.MyRights), _KNOWN),
    b"UNAUTHENTICATE": Entry(_bare(commands.Unauthenticate), _KNOWN),
    b"APPEND": Entry(parse_mailbox.append_without_message, _KNOWN, parse_mailbox.append),
    b"IDLE": Entry(_bare(commands.Idle), _KNOWN),
    b"CHECK": Entry(_bare(commands.Check), _SELECTED),
    b"CLOSE": Entry(_bare(commands.Close), _SELECTED),
    b"UNSELECT": Entry(_bare(commands.Unselect), _SELECTED),
    b"EXPUNGE": Entry(partial(parse_message.expunge, uid=False), _SELECTED),
    b"SEARCH": Entry(partial(parse_search.search, uid=False), _SELECTED),
    b"FETCH": Entry(partial(parse_message.fetch, uid=False), _SELECTED),
    b"STORE": Entry(partial(parse_message.store, uid=False), _SELECTED),
    b"COPY": Entry(partial(parse_message.copy, uid=False), _SELECTED),
    b"MOVE": Entry(partial(parse_message.move, uid=False), _SELECTED),
    b"SORT": Entry(partial(parse_search.sort, uid=False), _SELECTED),
    b"THREAD": Entry(partial(parse_search.thread, uid=False), _SELECTED),
    b"UID SORT": Entry(partial(parse_search.sort, uid=True), _SELECTED),
    b"UID THREAD": Entry(partial(parse_search.thread, uid=True), _SELECTED),
    b"REPLACE": Entry(parse_mailbox.replace_without_message, _SELECTED, partial(parse_mailbox.replace, uid=False)),
    b"UID REPLACE": Entry(parse_mailbox.replace_without_message, _SELECTED, partial(parse_mailbox.replace, uid=True)),
    b"UID EXPUNGE": Entry(partial(parse_message.expunge, uid=True), _SELECTED),
    b"UID SEARCH": Entry(partial(parse_search.search, uid=True), _SELECTED),
    b"UID FETCH": Entry(partial(parse_message.fetch, uid=True), _SELECTED),
    b"UID STORE": Entry(partial(parse_message.store, uid=True), _SELECTED),
    b"UID COPY": Entry(partial(parse_message.copy, uid=True), _SELECTED),
    b"UID MOVE": Entry(partial(parse_message.move, uid=True), _SELECTED),
}


def holds_expunges(command: commands.Event) -> bool:
    """While this command is answered no EXPUNGE may be sent: it would change what its numbers mean (RFC 9051 §7.5.1)."""
    held = commands.Fetch | commands.Store | commands.Search | commands.Sort | commands.Thread
    return isinstance(command, held) and not command.uid
