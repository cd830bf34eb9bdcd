"""What the server says. Replies that move the core are objects; untagged data are bytes made by the functions here.

`Untagged` is whole response lines, or chunks of one that together are whole (a literal in pieces). The core copies none of
it. Text is ours, ASCII, without CR or LF: nothing of the client's goes into it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NewType

import msgspec

from poterne.proto.imap import mailbox_name
from poterne.proto.imap.items import StatusItem, Window
from poterne.proto.imap.sequence import render_set
from poterne.proto.imap.strings import astring, nstring, nstring8, string

Untagged = NewType("Untagged", bytes)
Code = NewType("Code", bytes)
"""The inside of a response code's brackets, e.g. b"READ-ONLY"."""


class Condition(bytes, Enum):
    OK = b"OK"
    NO = b"NO"
    BAD = b"BAD"


class Completed(msgspec.Struct, frozen=True):
    """The tagged status response that ends the command under way; the core knows the tag."""

    condition: Condition
    text: bytes
    code: Code | None = None


@dataclass(frozen=True, slots=True)
class Greeting:
    """The first thing said. `capabilities` go into its response code."""

    text: bytes
    capabilities: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Continue:
    """Go on: to AppendStart (send the message) and to Idle."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """A SASL challenge, not yet in base64; it may be empty."""

    data: bytes = b""


@dataclass(frozen=True, slots=True)
class Bye:
    """Untagged BYE. In answer to Logout a Completed follows; at any other time the connection closes after it."""

    text: bytes
    code: Code | None = None


Reply = Untagged | Completed | Greeting | Continue | Challenge | Bye


def ok(text: bytes, code: Code | None = None) -> Completed:
    return Completed(Condition.OK, text, code)


def no(text: bytes, code: Code | None = None) -> Completed:
    return Completed(Condition.NO, text, code)


def bad(text: bytes, code: Code | None = None) -> Completed:
    return Completed(Condition.BAD, text, code)


# Response codes (RFC 9051 §7.1, RFC 5530, RFC 4315, RFC 7162)

ALERT = Code(b"ALERT")
ALREADYEXISTS = Code(b"ALREADYEXISTS")
AUTHENTICATIONFAILED = Code(b"AUTHENTICATIONFAILED")
AUTHORIZATIONFAILED = Code(b"AUTHORIZATIONFAILED")
CANNOT = Code(b"CANNOT")
CLIENTBUG = Code(b"CLIENTBUG")
CLOSED = Code(b"CLOSED")
COMPRESSIONACTIVE = Code(b"COMPRESSIONACTIVE")
CONTACTADMIN = Code(b"CONTACTADMIN")
CORRUPTION = Code(b"CORRUPTION")
EXPIRED = Code(b"EXPIRED")
EXPUNGEISSUED = Code(b"EXPUNGEISSUED")
HASCHILDREN = Code(b"HASCHILDREN")
INUSE = Code(b"INUSE")
LIMIT = Code(b"LIMIT")
METADATA_TOOMANY = Code(b"METADATA TOOMANY")
NOMODSEQ = Code(b"NOMODSEQ")
NONEXISTENT = Code(b"NONEXISTENT")
NOPERM = Code(b"NOPERM")
NOTIFICATIONOVERFLOW = Code(b"NOTIFICATIONOVERFLOW")
NOTSAVED = Code(b"NOTSAVED")
OVERQUOTA = Code(b"OVERQUOTA")
PARSE = Code(b"PARSE")
PRIVACYREQUIRED = Code(b"PRIVACYREQUIRED")
READ_ONLY = Code(b"READ-ONLY")
READ_WRITE = Code(b"READ-WRITE")
SERVERBUG = Code(b"SERVERBUG")
TOOBIG = Code(b"TOOBIG")
TRYCREATE = Code(b"TRYCREATE")
UIDNOTSTICKY = Code(b"UIDNOTSTICKY")
UIDREQUIRED = Code(b"UIDREQUIRED")
UNAVAILABLE = Code(b"UNAVAILABLE")
UNKNOWN_CTE = Code(b"UNKNOWN-CTE")
USEATTR = Code(b"USEATTR")


def code_capability(names: Iterable[bytes]) -> Code:
    return Code(b"CAPABILITY " + b" ".join(names))


def code_badcharset(charsets: Iterable[bytes]) -> Code:
    return Code(b"BADCHARSET (" + b" ".join(charsets) + b")")


def code_badevent(supported: Iterable[bytes]) -> Code:
    """RFC 5465 §8, with every event that there is."""
    return Code(b"BADEVENT (" + b" ".join(supported) + b")")


def code_permanentflags(flags: bytes) -> Code:
    """`flags` with its parentheses, from `fetch.flag_list`."""
    return Code(b"PERMANENTFLAGS " + flags)


def code_uidnext(uid: int) -> Code:
    return Code(b"UIDNEXT %d" % uid)


def code_uidvalidity(value: int) -> Code:
    return Code(b"UIDVALIDITY %d" % value)


def code_unseen(number: int) -> Code:
    return Code(b"UNSEEN %d" % number)


def code_highestmodseq(modseq: int) -> Code:
    return Code(b"HIGHESTMODSEQ %d" % modseq)


def code_modified(numbers: Iterable[int]) -> Code:
    """UIDs or sequence numbers, ascending, as the command had them (RFC 7162 §3.1.3)."""
    return Code(b"MODIFIED " + render_set(numbers))


def code_appenduid(uid_validity: int, uids: Sequence[int]) -> Code:
    if len(uids) == 1:
        return Code(b"APPENDUID %d %d" % (uid_validity, uids[0]))
    return Code(b"APPENDUID %d %b" % (uid_validity, render_set(uids)))


def code_copyuid(uid_validity: int, source: Sequence[int], destination: Sequence[int]) -> Code:
    """Pairwise and ascending both, as `values.mailbox.Copied`."""
    return Code(b"COPYUID %d %b %b" % (uid_validity, render_set(source), render_set(destination)))


def code_inprogress(tag: bytes, done: int, goal: int) -> Code:
    """RFC 9585 §6; a goal that is not beyond what is done is not known. A tag has nothing that needs an escape."""
    return Code(b'INPROGRESS ("%b" %d %b)' % (tag, done, b"%d" % goal if goal > done else b"NIL"))


def code_mailboxid(mailbox_id: bytes) -> Code:
    """RFC 8474 §4.1."""
    return Code(b"MAILBOXID (" + mailbox_id + b")")


def code_metadata_longentries(size: int) -> Code:
    """RFC 5464 §4.2.1: the largest value that MAXSIZE left out."""
    return Code(b"METADATA LONGENTRIES %d" % size)


def code_metadata_maxsize(size: int) -> Code:
    """RFC 5464 §4.3: the largest value that is taken."""
    return Code(b"METADATA MAXSIZE %d" % size)


# Untagged responses


def condition_line(label: bytes, condition: bytes, text: bytes, code: Code | None) -> bytes:
    """`label condition [code] text`, whole; `label` is a tag or b"*"."""
    if code is None:
        return b"%b %b %b\r\n" % (label, condition, text)
    return b"%b %b [%b] %b\r\n" % (label, condition, code, text)


def status_line(condition: Condition, text: bytes, code: Code | None = None) -> Untagged:
    """`* OK [code] text`."""
    return Untagged(condition_line(b"*", condition, text, code))


def capability(names: Iterable[bytes]) -> Untagged:
    return Untagged(b"* CAPABILITY " + b" ".join(names) + b"\r\n")


def enabled(names: Iterable[bytes]) -> Untagged:
    return Untagged(b" ".join((b"* ENABLED", *names)) + b"\r\n")


def flags(flag_list: bytes) -> Untagged:
    """`* FLAGS (…)`; `flag_list` with its parentheses."""
    return Untagged(b"* FLAGS " + flag_list + b"\r\n")


def exists(count: int) -> Untagged:
    return Untagged(b"* %d EXISTS\r\n" % count)


def recent(count: int) -> Untagged:
    return Untagged(b"* %d RECENT\r\n" % count)


def expunge(number: int) -> Untagged:
    return Untagged(b"* %d EXPUNGE\r\n" % number)


def expunges(numbers: Iterable[int]) -> Untagged:
    """One line each, in the order given: numbers shift with each one, so give them descending or already shifted."""
    return Untagged(b"".join([b"* %d EXPUNGE\r\n" % number for number in numbers]))


def vanished(uids: Iterable[int], *, earlier: bool = False) -> Untagged:
    """RFC 7162 §3.2.10. `uids` ascending, at least one."""
    return Untagged((b"* VANISHED (EARLIER) %b\r\n" if earlier else b"* VANISHED %b\r\n") % render_set(uids))


def list_mailbox(
    name: str,
    attributes: Iterable[bytes],
    *,
    utf8: bool,
    child_info: Iterable[bytes] = (),
    old_name: str | None = None,
    word: bytes = b"LIST",
) -> Untagged:
    r"""`* LIST (\HasNoChildren) "/" name`. `utf8`: the client enabled IMAP4rev2 or UTF8=ACCEPT (`core.utf8`).

    `child_info` are the selection options of CHILDINFO; `old_name` is RFC 9051's OLDNAME; `word` b"LSUB" for LSUB.
    """
    extended = []
    info = b" ".join([b'"%b"' % option for option in child_info])
    if info:
        extended.append(b'"CHILDINFO" (%b)' % info)
    if old_name is not None:
        extended.append(b'"OLDNAME" (%b)' % mailbox_name.render(old_name, utf8=utf8))
    tail = b" (%b)\r\n" % b" ".join(extended) if extended else b"\r\n"
    return Untagged(b'* %b (%b) "/" %b%b' % (word, b" ".join(attributes), mailbox_name.render(name, utf8=utf8), tail))


def list_delimiter(word: bytes = b"LIST") -> Untagged:
    """The answer to LIST "" ""."""
    return Untagged(b'* %b (\\Noselect) "/" ""\r\n' % word)


def namespace() -> Untagged:
    """Personal mailboxes without prefix, and what other users share; "/" as delimiter (RFC 9051 §6.3.10)."""
    return Untagged(b'* NAMESPACE (("" "/")) (("Other Users/" "/")) NIL\r\n')


def status(name: str, values: Mapping[StatusItem, int | bytes], *, utf8: bool) -> Untagged:
    """Values that are bytes stand in parentheses: MAILBOXID (RFC 8474 §4.3)."""
    pairs = b" ".join(
        [
            b"%b (%b)" % (item.value, value) if isinstance(value, bytes) else b"%b %d" % (item.value, value)
            for item, value in values.items()
        ]
    )
    return Untagged(b"* STATUS %b (%b)\r\n" % (mailbox_name.render(name, utf8=utf8), pairs))


def quota_root(name: str, roots: Iterable[bytes], *, utf8: bool) -> Untagged:
    """RFC 9208 §4.2.2."""
    return Untagged(b" ".join((b"* QUOTAROOT", mailbox_name.render(name, utf8=utf8), *map(string, roots))) + b"\r\n")


def quota(root: bytes, resources: Iterable[tuple[bytes, int, int]]) -> Untagged:
    """RFC 9208 §4.2.1: names with usage and limit, at least one."""
    listed = b" ".join([b"%b %d %d" % resource for resource in resources])
    return Untagged(b"* QUOTA %b (%b)\r\n" % (string(root), listed))


def metadata(name: str, values: Iterable[tuple[str, bytes | None]], *, utf8: bool) -> Untagged:
    """RFC 5464 §4.4.1: entries with their values, at least one; `name` "" is the server."""
    pairs = b" ".join([b"%b %b" % (astring(entry.encode()), nstring8(value)) for entry, value in values])
    return Untagged(b"* METADATA %b (%b)\r\n" % (mailbox_name.render(name, utf8=utf8), pairs))


def metadata_changed(name: str, entries: Iterable[str], *, utf8: bool) -> Untagged:
    """RFC 5464 §4.4.2: entries that somebody else changed, at least one."""
    listed = b" ".join([astring(entry.encode()) for entry in entries])
    return Untagged(b"* METADATA %b %b\r\n" % (mailbox_name.render(name, utf8=utf8), listed))


def _spaced(numbers: Iterable[int]) -> bytes:
    """As a text with spaces, in half the time that joining takes."""
    return repr(list(numbers))[1:-1].replace(",", "").encode("ascii")


def search(numbers: Iterable[int], modseq: int | None = None) -> Untagged:
    """RFC 3501 §7.2.5, with the highest modseq of RFC 7162 §3.1.5 if the search had MODSEQ and found something."""
    found = _spaced(numbers)
    if not found:
        return Untagged(b"* SEARCH\r\n")
    tail = b"\r\n" if modseq is None else b" (MODSEQ %d)\r\n" % modseq
    return Untagged(b"* SEARCH " + found + tail)


def sort(numbers: Iterable[int], modseq: int | None = None) -> Untagged:
    """RFC 5256 §4, with the highest modseq of RFC 7162 §3.1.9 if the search had MODSEQ and found something."""
    found = _spaced(numbers)
    if not found:
        return Untagged(b"* SORT\r\n")
    tail = b"\r\n" if modseq is None else b" (MODSEQ %d)\r\n" % modseq
    return Untagged(b"* SORT " + found + tail)


def thread(threads: Sequence["Node"]) -> Untagged:
    """RFC 5256 §4. However deep a thread is, it is rendered without recursion."""
    out: list[bytes] = []
    waiting: list[Node | bytes] = list(reversed(threads))
    while waiting:
        node = waiting.pop()
        if isinstance(node, bytes):
            out.append(node)
            continue
        out.append(b"(")
        gap = b""
        while True:
            if node.number:
                out.append(b"%b%d" % (gap, node.number))
                gap = b" "
            if len(node.children) != 1:
                break
            node = node.children[0]
        waiting.append(b")")
        if node.children:
            out.append(gap)
            waiting.extend(reversed(node.children))
    return Untagged(b"* THREAD %b\r\n" % b"".join(out) if out else b"* THREAD\r\n")


class Node:
    """A message of a thread and its answers; `number` 0 stands for one that is not there, which only a root can be."""

    __slots__ = ("children", "number")

    def __init__(self, number: int, children: list["Node"] | None = None) -> None:
        self.number = number
        self.children: list[Node] = [] if children is None else children


def esearch(
    tag: bytes,
    *,
    uid: bool,
    lowest: int | None = None,
    highest: int | None = None,
    everything: Sequence[int] | None = None,
    count: int | None = None,
    modseq: int | None = None,
    partial: tuple[Window, Sequence[int]] | None = None,
    source: bytes = b"",
) -> Untagged:
    """RFC 4731 §3.2: MIN, MAX, ALL, COUNT as far as given; ALL is left out when nothing was found.

    The tag is sent as a quoted string, as all examples of the RFCs do; its grammar has nothing that needs an escape.
    `source` from `esearch_source`, where several mailboxes are searched.
    """
    line = [b'* ESEARCH (TAG "%b"%b)' % (tag, source)]
    if uid:
        line.append(b" UID")
    if lowest is not None:
        line.append(b" MIN %d" % lowest)
    if highest is not None:
        line.append(b" MAX %d" % highest)
    if everything:
        line.append(b" ALL " + render_set(everything))
    if partial is not None:  # RFC 9394 §3.1
        window, numbers = partial
        listed = render_set(numbers) if numbers else b"NIL"
        line.append(b" PARTIAL (%d:%d %b)" % (window.first, window.last, listed))
    if count is not None:
        line.append(b" COUNT %d" % count)
    if modseq is not None:
        line.append(b" MODSEQ %d" % modseq)
    line.append(b"\r\n")
    return Untagged(b"".join(line))


def esearch_source(name: str, uid_validity: int, *, utf8: bool) -> bytes:
    """The correlators of RFC 7377 §2.1, as `esearch` takes them."""
    return b" MAILBOX %b UIDVALIDITY %d" % (mailbox_name.render(name, utf8=utf8), uid_validity)


def server_id(params: Sequence[tuple[bytes, bytes | None]] | None) -> Untagged:
    """`* ID (…)`, RFC 2971; None gives NIL."""
    if not params:
        return Untagged(b"* ID NIL\r\n")
    pairs = b" ".join([b"%b %b" % (string(name), nstring(value)) for name, value in params])
    return Untagged(b"* ID (%b)\r\n" % pairs)


def bye(text: bytes, code: Code | None = None) -> Untagged:
    return Untagged(condition_line(b"*", b"BYE", text, code))
