"""The commands once UIDONLY is enabled (RFC 9586): what has message numbers in it is refused, the rest is as it was."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Final, NoReturn

from poterne.proto.imap import commands, parse_message
from poterne.proto.imap.cursor import CommandError, Cursor
from poterne.proto.imap.responses import UIDREQUIRED, bad
from poterne.proto.imap.search import has_numbers
from poterne.proto.imap.table import Entry, Parse

_NUMBERED: Final = (b"FETCH", b"STORE", b"SEARCH", b"COPY", b"MOVE", b"SORT", b"THREAD", b"REPLACE")
"""The UID forms of these are what is left."""
_SEARCHES: Final = (b"UID SEARCH", b"UID SORT", b"UID THREAD", b"ESEARCH")
_SELECTS: Final = (b"SELECT", b"EXAMINE")


def uid_only(table: Mapping[bytes, Entry]) -> dict[bytes, Entry]:
    """A table of commands, as it is with UIDONLY."""
    changed = dict(table)
    for name, entry in table.items():
        if name in _NUMBERED:
            changed[name] = replace(
                entry, parse=_refuse_command, announced=None if entry.announced is None else _refuse_announced
            )
        elif name in _SEARCHES:
            changed[name] = replace(entry, parse=partial(_search, entry.parse))
        elif name in _SELECTS:
            changed[name] = replace(entry, parse=partial(_select, entry.parse))
        elif name == b"UID FETCH":
            changed[name] = replace(entry, parse=partial(parse_message.fetch, uid=True, shows_uid=False))
    return changed


def _refuse() -> NoReturn:
    raise CommandError("uid-required", bad(b"Message numbers have no meaning with UIDONLY", UIDREQUIRED))


def _refuse_command(_cursor: Cursor, _tag: bytes) -> NoReturn:
    _refuse()


def _refuse_announced(_cursor: Cursor) -> NoReturn:
    _refuse()


def _search(parse: Parse, cursor: Cursor, tag: bytes) -> commands.Command:
    """RFC 9586 §3.5: no sequence set among the keys; "$" and UID are."""
    command = parse(cursor, tag)
    if isinstance(command, _WITH_KEY) and has_numbers(command.key):
        _refuse()
    return command


_WITH_KEY: Final = (commands.Search, commands.Sort, commands.Thread, commands.MultiSearch)


def _select(parse: Parse, cursor: Cursor, tag: bytes) -> commands.Command:
    """RFC 9586 §3.7: no message sequence match data for QRESYNC."""
    command = parse(cursor, tag)
    if (
        isinstance(command, commands.Select)
        and command.qresync is not None
        and command.qresync.known_numbers is not None
    ):
        _refuse()
    return command
