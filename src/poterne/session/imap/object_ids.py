"""MAILBOXID, EMAILID and THREADID (RFC 8474): what the store's numbers look like outside, and back.

A mailbox's is made of its UIDVALIDITY too: a name that was deleted while it had children keeps its number when it is made again,
but is another mailbox. Threads are numbered by account; the account's number makes them unique in the server.
"""

import re
from typing import Final

from poterne.values.ids import AccountId, ThreadId
from poterne.values.mailbox import Mailbox

_ACCOUNT_SHIFT: Final = 36
"""As the store numbers contents: room for so many messages of an account, and so many threads."""
_NONE: Final = -1
_HEX: Final = re.compile(r"0|[1-9a-f][0-9a-f]{0,15}").fullmatch


def mailbox(box: Mailbox) -> bytes:
    return b"F%x-%x-%x" % (box.account_id, box.id, box.uid_validity)


def thread(account_id: AccountId, thread_id: ThreadId) -> bytes:
    return b"T%x" % (account_id << _ACCOUNT_SHIFT | thread_id)


def content_of(object_id: str) -> int:
    """The content's id behind an EMAILID; -1, which none has, for what cannot be one."""
    return _number("M", object_id)


def thread_of(account_id: AccountId, object_id: str) -> int:
    """The account's thread behind a THREADID; -1 for what cannot be one."""
    number = _number("T", object_id)
    return number & ((1 << _ACCOUNT_SHIFT) - 1) if number >> _ACCOUNT_SHIFT == account_id else _NONE


def _number(letter: str, object_id: str) -> int:
    digits = object_id[1:]
    return int(digits, 16) if object_id[:1] == letter and _HEX(digits) else _NONE
