"""What a client asks for, one frozen struct per command, as `server.ServerCore.next_event` gives them.

Text is decoded: mailbox names are NFC with "/" between levels and INBOX in capitals (also as first level: "INBOX/x");
a "/" at the end is kept, as CREATE may have one (RFC 9051 §6.3.4). Passwords are `Secret` from the moment they are parsed.
Each event of the union `Command` must be answered, in the end, by one `responses.Completed`; until then no further event
comes. Exceptions to that are described with AppendStart, Authenticate and Idle. UID variants have `uid` True.
"""

from datetime import datetime
from enum import Enum

import msgspec

from poterne.proto.imap.filters import EventGroup, Filter
from poterne.proto.imap.items import (
    Binary,
    BodySection,
    FetchItem,
    FlagSet,
    ListReturn,
    ListSelect,
    Metadata,
    QResync,
    StatusItem,
    Window,
)
from poterne.proto.imap.responses import Completed
from poterne.proto.imap.search import SearchKey, SearchReturn, SortBy, Threading
from poterne.proto.imap.sequence import SequenceSet
from poterne.values.mailbox import FlagChange, SpecialUse
from poterne.values.secret import Secret
from poterne.values.sharing import Right


class Tagged(msgspec.Struct, frozen=True):
    """What every command has. The core puts the tag before the Completed itself; ESEARCH needs it too."""

    tag: bytes


# Any state


class Capability(Tagged, frozen=True):
    pass


class Noop(Tagged, frozen=True):
    pass


class Logout(Tagged, frozen=True):
    """Answer with `Bye`, then Completed; the core is CLOSED after that."""


class Id(Tagged, frozen=True):
    """RFC 2971; None for NIL. Names in lower case. For the log only: never act on it."""

    params: tuple[tuple[str, str | None], ...] | None


# Not authenticated


class StartTls(Tagged, frozen=True):
    """Answered OK, the core goes for START_TLS; answered NO or BAD, all stays as it is."""


class Authenticate(Tagged, frozen=True):
    """AUTHENTICATE. `mechanism` in capitals; `initial` None if no initial response was given (RFC 4959), else decoded.

    Answer with `Challenge` to get a SaslResponse or SaslCancelled, or with Completed. After an OK call `authenticated()`.
    """

    mechanism: str
    initial: Secret | None


class SaslResponse(msgspec.Struct, frozen=True):
    """What the client answered to a Challenge, decoded from base64."""

    data: Secret


class SaslCancelled(msgspec.Struct, frozen=True):
    """The client sent "*": answer Completed BAD (RFC 9051 §6.2.2)."""


class Login(Tagged, frozen=True):
    user: str
    password: Secret


# Authenticated or selected


class Enable(Tagged, frozen=True):
    """Names in capitals, unknown ones included. After telling it, call `enabled(names)`."""

    capabilities: tuple[str, ...]


class Compress(Tagged, frozen=True):
    """RFC 4978; the mechanism in capitals. Compression begins behind the Completed, if that is OK."""

    mechanism: str


class Select(Tagged, frozen=True):
    """SELECT, or EXAMINE (`read_only`). Whatever the outcome, call `selected(bool)`: a failed SELECT deselects."""

    mailbox: str
    read_only: bool
    condstore: bool = False
    qresync: QResync | None = None


class Create(Tagged, frozen=True):
    """`special_use` from RFC 6154 §3; attributes we do not know are a Bad event."""

    mailbox: str
    special_use: tuple[SpecialUse, ...] = ()


class Delete(Tagged, frozen=True):
    mailbox: str


class Rename(Tagged, frozen=True):
    mailbox: str
    destination: str


class Subscribe(Tagged, frozen=True):
    mailbox: str


class Unsubscribe(Tagged, frozen=True):
    mailbox: str


class List(Tagged, frozen=True):
    """LIST with the options of RFC 5258. `extended` False and patterns ("",): the client asks for the delimiter.

    In `patterns` "*" matches anything and "%" anything but "/". `status` is RETURN (STATUS (…)), RFC 5819.
    """

    reference: str
    patterns: tuple[str, ...]
    select: frozenset[ListSelect] = frozenset()
    returns: frozenset[ListReturn] = frozenset()
    status: tuple[StatusItem, ...] = ()
    extended: bool = False
    metadata: Metadata | None = None
    """RETURN (METADATA (…)), RFC 9590."""


class Lsub(Tagged, frozen=True):
    reference: str
    pattern: str


class Namespace(Tagged, frozen=True):
    pass


class Status(Tagged, frozen=True):
    mailbox: str
    items: tuple[StatusItem, ...]


class GetQuota(Tagged, frozen=True):
    """RFC 9208 §4.1.1."""

    root: str


class GetQuotaRoot(Tagged, frozen=True):
    mailbox: str


class AclChange(Enum):
    """What SETACL does with the rights that it names (RFC 4314 §3.1)."""

    REPLACE = ""
    ADD = "+"
    REMOVE = "-"


class SetAcl(Tagged, frozen=True):
    """`identifier` is normalised text, never empty; what it stands for is not judged yet."""

    mailbox: str
    identifier: str
    how: AclChange
    rights: Right


class DeleteAcl(Tagged, frozen=True):
    mailbox: str
    identifier: str


class GetAcl(Tagged, frozen=True):
    mailbox: str


class ListRights(Tagged, frozen=True):
    mailbox: str
    identifier: str


class MyRights(Tagged, frozen=True):
    mailbox: str


class Notify(Tagged, frozen=True):
    """RFC 5465. `groups` None: NOTIFY NONE."""

    groups: tuple[EventGroup, ...] | None
    status: bool = False


class MultiSearch(Tagged, frozen=True):
    """ESEARCH (RFC 7377) in these mailboxes, the selected one if none are named. `returns` is never empty."""

    sources: tuple[Filter, ...]
    key: SearchKey
    returns: frozenset[SearchReturn]
    window: Window | None = None


class GetMetadata(Tagged, frozen=True):
    """RFC 5464 §4.2. `mailbox` "" is the server."""

    mailbox: str
    wanted: Metadata


class SetMetadata(Tagged, frozen=True):
    """RFC 5464 §4.3. Entries in lower case, with None for what is to be removed; the last value of each counts."""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...]


class Unauthenticate(Tagged, frozen=True):
    """RFC 8437. Forget who signed in, call `unauthenticated()`, then send Completed OK: another answer is not allowed."""


class Replaced(msgspec.Struct, frozen=True):
    """The message that REPLACE (RFC 8508) takes away: a message number, or a UID; `sequence.STAR` for "*"."""

    number: int
    uid: bool


class AppendStart(Tagged, frozen=True):
    """A message is announced. Answer `Continue` to have it (as AppendData pieces, then AppendEnd), or Completed to refuse.

    After a refusal no further event of this command comes; what the client sends anyway is thrown away. With MULTIAPPEND
    (RFC 3502) another AppendStart (`index` 1, 2, …) follows an AppendEnd whose `last` is False; then a later refusal, or a
    Bad event, is the answer to the whole command and nothing may be kept of it. `size` is exact and within the limits.
    """

    mailbox: str
    flags: FlagSet
    internal_date: datetime | None
    """With its zone."""
    size: int
    binary: bool
    """Sent as literal8: may hold NUL (RFC 3516). Without it a NUL in the message is yours to refuse."""
    index: int = 0
    replaces: Replaced | None = None
    """The command is REPLACE: a mailbox is selected, and there is no second message."""


class AppendData(msgspec.Struct, frozen=True):
    """The next octets of the message. Never empty; no larger than what was received at once."""

    data: bytes


class AppendEnd(msgspec.Struct, frozen=True):
    """The message is complete. `last` True: the command too, answer it; False: nothing to answer yet."""

    last: bool


class Idle(Tagged, frozen=True):
    """RFC 2177. Answer `Continue`, send untagged responses at any time; the Done event asks for the Completed.

    If the client sends anything else a Bad event comes in place of Done; its reply ends the IDLE as well.
    """


class Done(msgspec.Struct, frozen=True):
    """The client ended its IDLE: send the Completed."""


# Selected


class Check(Tagged, frozen=True):
    """RFC 3501 §6.4.1."""


class Close(Tagged, frozen=True):
    """Call `selected(False)` before the Completed."""


class Unselect(Tagged, frozen=True):
    """Call `selected(False)` before the Completed."""


class Expunge(Tagged, frozen=True):
    """EXPUNGE, or UID EXPUNGE (RFC 4315) with `uids`."""

    uids: SequenceSet | None = None


class Search(Tagged, frozen=True):
    """`returns` None: no RETURN was given (answer SEARCH, or ESEARCH ALL under IMAP4rev2); RETURN () is {ALL}."""

    uid: bool
    key: SearchKey
    returns: frozenset[SearchReturn] | None = None
    window: Window | None = None
    """With SearchReturn.PARTIAL, RFC 9394 §3.1."""


class Sort(Tagged, frozen=True):
    """RFC 5256. `order` has each key once: a second time it could decide nothing."""

    uid: bool
    order: tuple[SortBy, ...]
    key: SearchKey


class Thread(Tagged, frozen=True):
    """RFC 5256."""

    uid: bool
    algorithm: Threading
    key: SearchKey


class Fetch(Tagged, frozen=True):
    """Macros are written out; items are without doubles and in the order asked. With `uid`, UID is always in `items`."""

    uid: bool
    messages: SequenceSet
    items: tuple[FetchItem, ...]
    changed_since: int | None = None
    vanished: bool = False
    window: Window | None = None
    """PARTIAL, RFC 9394 §3.3."""

    @property
    def sets_seen(self) -> bool:
        r"""Does fetching these items set \Seen?"""
        return any(isinstance(item, BodySection | Binary) and not item.peek for item in self.items)


class Store(Tagged, frozen=True):
    uid: bool
    messages: SequenceSet
    change: FlagChange
    flags: FlagSet
    silent: bool
    unchanged_since: int | None = None


class Copy(Tagged, frozen=True):
    uid: bool
    messages: SequenceSet
    mailbox: str


class Move(Tagged, frozen=True):
    uid: bool
    messages: SequenceSet
    mailbox: str


class Bad(msgspec.Struct, frozen=True):
    """A command that was refused by the core: unknown, malformed, too large, or not in this state.

    Count it by `code`, then `send(bad.reply)`: it is the right answer (BAD, or NO with a response code). `tag` is None
    where none could be read. If `in_append` the message being received is to be dropped.
    """

    tag: bytes | None
    code: str
    """A short stable word: "tag", "unknown", "state", "syntax", "line-too-long", "literal-too-big", "charset", …"""
    reply: Completed
    in_append: bool = False


Command = (
    Capability
    | Noop
    | Logout
    | Id
    | StartTls
    | Authenticate
    | Login
    | Enable
    | Compress
    | Select
    | Create
    | Delete
    | Rename
    | Subscribe
    | Unsubscribe
    | List
    | Lsub
    | Namespace
    | Status
    | GetQuota
    | GetQuotaRoot
    | SetAcl
    | DeleteAcl
    | GetAcl
    | ListRights
    | MyRights
    | Notify
    | MultiSearch
    | GetMetadata
    | SetMetadata
    | Unauthenticate
    | AppendStart
    | Idle
    | Check
    | Close
    | Unselect
    | Expunge
    | Search
    | Sort
    | Thread
    | Fetch
    | Store
    | Copy
    | Move
)
Event = Command | AppendData | AppendEnd | SaslResponse | SaslCancelled | Done | Bad
