"""An event in plain words, one line each. Pure; always gives words, also for kinds that it does not know.

Strangers wrote names, replies and ids: every text passes `printable`, which leaves nothing that a terminal obeys.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final

from poterne.message.texts import printable
from poterne.values.event import Event
from poterne.values.sending import HoldReason

NAME_MOST: Final = 254
REPLY_MOST: Final = 300
_GENERIC_MOST: Final = 12
"""Details of an event that has no words of its own."""

_SERVICES: Final = {"mx": "from outside", "submission": "from somebody who signed in", "lmtp": "over LMTP"}
_VERDICTS: Final = {
    "accept": "to the inbox of",
    "junk": "to Junk of",
    "quarantine": "in quarantine, kept from",
}
REASONS: Final = {
    "trusted-peer": "a server that the settings trust brought it",
    "proven": "the author's domain answers for it",
    "no-policy": "the author is not proven, and the domain asks for nothing then",
    "dmarc-reject": "the author is not proven, and the domain asks to reject such mail",
    "dmarc-quarantine": "the author is not proven, and the domain asks to set such mail apart",
    "own-domain": "the author is of a domain served here, which does not answer for it",
    "own-reverse-path": "its reverse path is of a domain served here, which does not answer for it",
    "lookalike": "the author's domain looks like one served here",
    "proven-lookalike": "the author's domain looks like one served here",
    "display-name": "the author's name shows somebody who is served here",
    "spf-fail": "SPF says that this server may not send for the domain",
    "unauthenticated": "nothing proves who sent it",
    "no-such-domain": "the author's domain does not exist in DNS",
    "author-domain": "the author's domain is no name that DNS can hold",
    "dns": "DNS could not say now what the decision depends on",
}
HELD: Final = {
    HoldReason.DAY: "more recipients in a day than allowed",
    HoldReason.EXTERNAL: "more recipients elsewhere in an hour than allowed",
    HoldReason.NEW: "more new recipients in a day than allowed",
    HoldReason.BURST: "more recipients in a minute than allowed",
    HoldReason.REPEATED: "the same to the same recipient again and again",
    HoldReason.PING_PONG: "answer after answer to the same recipient",
    HoldReason.OPEN_INCIDENT: "mail of the same origin is held already",
}
_HELD: Final = {reason.value: text for reason, text in HELD.items()}


def words(event: Event) -> str:
    """What happened, in one line without its time."""
    made = _BY_KIND.get(event.kind)
    return _generic(event) if made is None else made(event)


def moment(at: int) -> str:
    """For people, in the zone of this machine."""
    try:
        return dt.datetime.fromtimestamp(at, dt.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return str(at)


# -- parts -------------------------------------------------------------------------------------------------------------


def _text(event: Event, key: str, most: int = NAME_MOST) -> str:
    value = event.detail.get(key)
    return "" if value is None else printable(str(value), most)


def _number(event: Event, key: str) -> int:
    value = event.detail.get(key)
    return value if isinstance(value, int) else 0


def _count(number: int, what: str, plural: str = "") -> str:
    return f"{number} {what if number == 1 else plural or what + 's'}"


def _path(text: str) -> str:
    return f"<{text}>"


def _recipients(event: Event) -> str:
    """Those that the event names, and how many more there were."""
    value = event.detail.get("to")
    found = [printable(one, NAME_MOST) for one in value.split(" ")] if isinstance(value, str) and value else []
    total = _number(event, "recipients") or len(found)
    more = f" and {total - len(found)} more" if found and total > len(found) else ""
    if not found:
        return f" for {_count(total, 'recipient')}" if total else ""
    return " for " + ", ".join(map(_path, found)) + more


def _came(event: Event) -> str:
    """From whom, by which service, for whom."""
    service = _text(event, "service")
    by = f" {_SERVICES.get(service, 'by ' + service)}" if service else ""
    peer = f" ({printable(event.peer, NAME_MOST)})" if event.peer else ""
    size = f", {_count(_number(event, 'size'), 'octet')}" if event.detail.get("size") is not None else ""
    return f"{by}{peer}: from {_path(_text(event, 'from'))}{_recipients(event)}{size}"


def _checks(event: Event) -> str:
    """What SPF, DKIM, DMARC said of whom, and the verdict with its reason; "" when nobody looked."""
    said = [f"{name.upper()} {_text(event, name)}" for name in ("spf", "dkim", "dmarc", "arc") if _text(event, name)]
    author = _text(event, "author")
    parts = [f"author {author}"] if author else []
    parts += said
    if notes := _text(event, "notes"):
        parts.append(f"noted: {notes}")
    return f". Checks: {', '.join(parts)}" if parts else ""


def _why(word: str) -> str:
    """`lookalike+known-list` is a reason with what spoke for the sender."""
    first, plus, sign = printable(word, NAME_MOST).partition("+")
    return REASONS.get(first, first) + (f" (but: {sign})" if plus else "")


def _actor(event: Event) -> str:
    return f", by {printable(event.reason, NAME_MOST)}" if event.reason else ""


def _generic(event: Event) -> str:
    """For kinds without a sentence of their own: what it was, about what, by whom."""
    what = printable(event.kind, NAME_MOST).replace(".", " ", 1).replace("-", " ") or "something without a name"
    said = [
        f"{printable(key, 40)} {printable(str(value), NAME_MOST)}"
        for key, value in list(event.detail.items())[:_GENERIC_MOST]
        if value not in {None, ""}
    ]
    return f"{what}{': ' + ', '.join(said) if said else ''}{_actor(event)}"


# -- a message comes ---------------------------------------------------------------------------------------------------


def _accepted(event: Event) -> str:
    local, queued = _number(event, "local"), _number(event, "queued")
    verdict, why = _text(event, "verdict"), _text(event, "why")
    went = []
    if local:
        went.append(f"{_VERDICTS.get(verdict, 'delivered to')} {_count(local, 'mailbox', 'mailboxes')}")
    if queued:
        went.append(f"queued for {_count(queued, 'recipient')} elsewhere")
    said = f". So: {' and '.join(went)}" if went else ""
    return f"accepted{_came(event)}{_checks(event)}{said}{', since ' + _why(why) if why else ''}"


def _refused(event: Event) -> str:
    code = f" with {_text(event, 'code')}" if event.detail.get("code") else ""
    return f"refused{code}{_came(event)}{_checks(event)}. Reason: {_why(event.reason)}"


def _deferred(event: Event) -> str:
    if "service" in event.detail:  # it has not been taken yet
        code = f" with {_text(event, 'code')}" if event.detail.get("code") else ""
        return f"put off{code}, the sender tries again{_came(event)}{_checks(event)}. Reason: {_why(event.reason)}"
    due = _number(event, "due_at")
    later = f"; next attempt {moment(due)}" if due else ""
    return f"attempt {_text(event, 'attempt')} for {_path(_text(event, 'to'))}{_at(event)} has to wait: {_reply(event)}{later}"


def _held(event: Event) -> str:
    number = _text(event, "incident")
    why = _HELD.get(event.reason, printable(event.reason, NAME_MOST))
    return f"held{_came(event)}: {why}. Decide: poterne hold show {number}, release or purge"


# -- it goes on --------------------------------------------------------------------------------------------------------


def _at(event: Event) -> str:
    host = _text(event, "host")
    address = printable(event.peer, NAME_MOST)
    if not host:
        return ""
    return f" at {host}" + (f" [{address}]" if address and address not in host else "")


def _reply(event: Event) -> str:
    return f'"{_text(event, "reply", REPLY_MOST)}"'


def _tls(event: Event) -> str:
    version = _text(event, "tls")
    if not version:
        return ""
    return f", {version}{', its name verified' if event.detail.get('tls_verified') is True else ''}"


def _sent(event: Event) -> str:
    return f"sent to {_path(_text(event, 'to'))}{_at(event)}{_tls(event)}, attempt {_text(event, 'attempt')}: {_reply(event)}"


def _delivered(event: Event) -> str:
    return f"delivered to the mailbox of {_path(_text(event, 'to'))}, attempt {_text(event, 'attempt')}"


def _failed(event: Event) -> str:
    told = "the sender is told" if event.detail.get("told") is True else "nobody may be told"
    return f"given up for {_path(_text(event, 'to'))}{_at(event)}, attempt {_text(event, 'attempt')}: {_reply(event)}; {told}"


def _kept(event: Event) -> str:
    return f"a forward failed: the mail is put into the mailbox of {_path(_text(event, 'to'))} instead"


# -- somebody decides --------------------------------------------------------------------------------------------------


def _quarantine(done: str) -> Callable[[Event], str]:
    def said(event: Event) -> str:
        why = _text(event, "reason")
        kept = f" (kept since {_why(why)})" if why else ""
        return f"number {_text(event, 'number')} of the quarantine {done} {_path(_text(event, 'address'))}{kept}{_actor(event)}"

    return said


def _hold(done: str) -> Callable[[Event], str]:
    def said(event: Event) -> str:
        count = _count(_number(event, "recipients"), "recipient")
        return f"incident {_text(event, 'incident')} of {_text(event, 'origin')} {done}: {count}{_actor(event)}"

    return said


def _queue(done: str) -> Callable[[Event], str]:
    def said(event: Event) -> str:
        which = [
            f"{key} {_text(event, key)}"
            for key in ("id", "to", "sender", "domain", "origin", "state")
            if event.detail.get(key)
        ]
        count = _count(_number(event, "recipients"), "recipient")
        return f"in the queue {count} {done}{' (' + ', '.join(which) + ')' if which else ''}{_actor(event)}"

    return said


def _removed_from_queue(event: Event) -> str:
    return f"removed from the queue for {_path(_text(event, 'to'))}, and nobody was told{_actor(event)}"


def _pause(done: str) -> Callable[[Event], str]:
    def said(event: Event) -> str:
        which = " ".join(filter(None, (_text(event, "pause"), _text(event, "name"))))
        return f"sending {done}: {which}{_actor(event)}"

    return said


# -- in a mailbox ------------------------------------------------------------------------------------------------------


def _moved(where: str) -> Callable[[Event], str]:
    def said(event: Event) -> str:
        return f"{_count(_number(event, 'messages'), 'message')} moved {where} by the user"

    return said


def _removed(event: Event) -> str:
    by = f" over {printable(event.reason, 20).upper()}" if event.reason else ""
    peer = f" ({printable(event.peer, NAME_MOST)})" if event.peer else ""
    return f"{_count(_number(event, 'count'), 'message')} removed by the user{by}{peer}"


def _expired(event: Event) -> str:
    gone = f"{_count(_number(event, 'messages'), 'message')} deleted in {_text(event, 'folder')}"
    return f"{gone} after {_count(_number(event, 'days'), 'day')}: {printable(event.reason, NAME_MOST)}"


def _undeleted(event: Event) -> str:
    count = _count(_number(event, "messages"), "message")
    return f"{count} brought back into {_text(event, 'folder')} of {_path(_text(event, 'address'))}{_actor(event)}"


def _shared(event: Event) -> str:
    rights, by = _text(event, "rights"), _text(event, "by")
    may = f"may use it ({rights})" if rights else "may not use it any more"
    of = f" of {_path(_text(event, 'owner'))}" if event.detail.get("owner") else ""
    who = _text(event, "address")
    whom = "all of the domain" if who == "anyone" else _path(who)
    return f"mailbox {_text(event, 'name')}{of}: {whom} {may}{f', by {_path(by)}' if by else _actor(event)}"


def _notice_held(event: Event) -> str:
    return f"the sender and postmaster are told by mail that incident {_text(event, 'incident')} holds mail"


def _notice_quota(event: Event) -> str:
    return f"the user is told by mail that the mailbox is {_text(event, 'percent')} % full"


_BY_KIND: Final[Mapping[str, Callable[[Event], str]]] = {
    "message.accepted": _accepted,
    "message.refused": _refused,
    "message.deferred": _deferred,
    "message.held": _held,
    "message.sent": _sent,
    "message.delivered": _delivered,
    "message.failed": _failed,
    "message.junk": _moved("to Junk"),
    "message.not-junk": _moved("out of Junk"),
    "message.removed": _removed,
    "message.expired": _expired,
    "message.undeleted": _undeleted,
    "forward.kept": _kept,
    "quarantine.released": _quarantine("is released to the inbox of"),
    "quarantine.deleted": _quarantine("is deleted; it was for"),
    "hold.released": _hold("is released and goes its way"),
    "hold.purged": _hold("is deleted"),
    "queue.retry": _queue("to be tried now"),
    "queue.hold": _queue("put on hold"),
    "queue.release": _queue("released"),
    "queue.remove": _queue("removed for good"),
    "queue.removed": _removed_from_queue,
    "queue.fail": _queue("given up"),
    "queue.pause": _pause("is paused"),
    "queue.resume": _pause("goes on"),
    "mailbox.shared": _shared,
    "notice.held": _notice_held,
    "notice.quota": _notice_quota,
}
KINDS: Final = frozenset(_BY_KIND)
"""Kinds with a sentence of their own."""
