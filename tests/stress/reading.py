"""FETCH, SEARCH, SORT, THREAD, STATUS: what they answer is compared with the truth."""

import datetime as dt
import re

from tests.stress.client import Client
from tests.stress.keys import key
from tests.stress.letters import NUMBER_FIELD, body, number_of
from tests.stress.oracle import Boxes, Effect, among, excuse, same
from tests.stress.picture import UNKNOWN, Doing, Items, Picture, numbers
from tests.stress.sets import pick
from tests.stress.truth import Box, Message

_FIELD = b"BODY[HEADER.FIELDS (MESSAGE-ID)]"
_ITEMS = [
    b"(UID FLAGS)",
    b"FLAGS",
    b"(UID %b)" % NUMBER_FIELD,
    b"(UID FLAGS MODSEQ)",
    b"(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)",
    b"(UID RFC822.SIZE BODY.PEEK[])",
    b"(BODY[TEXT])",
    b"(UID FLAGS BODY[TEXT])",
    b"(UID BODYSTRUCTURE %b)" % NUMBER_FIELD,
    b"MODSEQ",
]


async def learn(client: Client, before: Boxes | None) -> Effect:
    """Ask for the UIDs and flags of what is new, as clients do."""
    picture = client.picture
    if picture is not None and UNKNOWN in picture.uids:
        known = [uid for uid in picture.uids[: picture.uids.index(UNKNOWN)] if uid]
        first = known[-1] + 1 if known and not picture.uid_only else 1
        excuse(await client.run(b"UID FETCH %d:* (UID FLAGS %b)" % (first, NUMBER_FIELD), asks_flags=True))
    return Effect()


async def fetch(client: Client, before: Boxes | None) -> Effect:
    picture, dice = client.picture, client.dice
    if picture is None or (chosen := pick(client, picture)) is None:
        return Effect()
    items = dice.choice(_ITEMS)
    since = 0
    modifier = b""
    if dice.random() < 0.15 and picture.highest:
        since = max(1, picture.highest - dice.randint(0, 15))
        vanished = b" VANISHED" if chosen.uid and client.modes.qresync and dice.random() < 0.5 else b""
        modifier = b" (CHANGEDSINCE %d%b)" % (since, vanished)
    if b"MODSEQ" in items or since:
        client.enable_condstore()
    text = b"%bFETCH %b %b%b" % (chosen.verb, chosen.text, items, modifier)
    doing = await client.run(text, holds=not chosen.uid, asks_flags=True)
    effect = Effect()
    if before is None:
        excuse(doing)
        return effect
    box = before[picture.box]
    there = [uid for uid in among(chosen.meant, box) if box.messages[uid].modseq > since]
    _judge_status(doing, chosen.meant, box)
    if b"BODY[TEXT]" in items and not picture.read_only:
        for uid in there:
            effect.on(box.uid_validity).flags[uid] = box.messages[uid].flags | {b"\\Seen"}
        if picture.condstore:  # RFC 7162 §3.2.4
            fresh = [uid for uid in there if b"\\Seen" not in box.messages[uid].flags]
            told = {uid for _, uid, items in doing.fetched if {b"UID", b"MODSEQ", b"FLAGS"} <= items.keys()}
            same(f"\\Seen by {text!r} without UID, FLAGS, MODSEQ", [uid for uid in fresh if uid not in told], [])
    if b"VANISHED" in modifier and chosen.text != b"$":
        _judge_vanished(doing, picture, box)
    wanted = _labels(items, uid=chosen.uid, modseq=bool(since))
    effect.then.append(lambda after: _judge_fetch(doing, there, wanted, after[box.uid_validity], chosen.meant))
    return effect


def _labels(items: bytes, *, uid: bool, modseq: bool) -> set[bytes]:
    found = set(re.findall(rb"BODY(?:\.PEEK)?\[[^\]]*\]|[A-Z0-9.]+", items))
    return (
        {label.replace(b".PEEK", b"") for label in found}
        | ({b"UID"} if uid else set())
        | ({b"MODSEQ"} if modseq else set())
    )


def _judge_status(doing: Doing, meant: list[int], box: Box) -> None:
    """NO [EXPUNGEISSUED] only where a number stands for a message that is gone."""
    if doing.status == b"OK":
        return
    gone = [uid for uid in meant if uid not in box.messages]
    same(f"{doing.text!r} fails", (b"EXPUNGEISSUED" in doing.codes, bool(gone), doing.holds), (True, True, True))


def _judge_vanished(doing: Doing, picture: Picture, box: Box) -> None:
    same("VANISHED (EARLIER) of what is there", [uid for uid in doing.earlier if uid in box.messages], [])


def _judge_fetch(doing: Doing, there: list[int], wanted: set[bytes], after: Box, meant: list[int]) -> None:
    answered = {uid: items for _, uid, items in doing.fetched if wanted <= items.keys() and uid in after.messages}
    missing = [uid for uid in there if uid not in answered]
    same(f"messages that {doing.text!r} did not answer", missing, [])
    for uid, items in answered.items():
        if uid in there:
            _judge_items(after.messages[uid], items)
    strange = [
        uid for _, uid, items in doing.fetched if uid not in meant and items.keys() - {b"UID", b"FLAGS", b"MODSEQ"}
    ]
    same(f"messages that {doing.text!r} did not ask for", strange, [])


def _judge_items(message: Message, items: Items) -> None:
    what = f"FETCH of {message}: "
    number = message.number
    for label, value in items.items():
        match label:
            case b"UID":
                same(what + "UID", value, message.uid)
            case b"FLAGS":
                same(what + "FLAGS", frozenset(map(bytes, value)) - {b"\\Recent"}, message.flags)
            case b"MODSEQ":
                same(what + "MODSEQ", value, [message.modseq])
            case b"RFC822.SIZE":
                same(what + "SIZE", value, message.size)
            case b"INTERNALDATE":
                told = dt.datetime.strptime(value.decode().strip(), "%d-%b-%Y %H:%M:%S %z")
                same(what + "INTERNALDATE", int(told.timestamp()), message.at)
            case b"ENVELOPE":
                same(what + "subject", value[1], message.facts.subject.encode())
            case b"BODY[TEXT]":
                same(what + "text", value, body(number))
            case b"BODY[]":
                same(
                    what + "octets",
                    (len(value), number_of(value), value.endswith(body(number))),
                    (message.size, number, True),
                )
            case _ if label == _FIELD:
                same(what + "Message-ID", number_of(value), number)
            case _:
                pass


async def search(client: Client, before: Boxes | None) -> Effect:
    picture, dice = client.picture, client.dice
    if picture is None or not picture.known:
        return await learn(client, before)
    asked = key(dice, picture.uids, picture.highest or 1, client.saved, numbers=client.numbers)
    returns = b""
    if dice.random() < 0.6 or client.modes.rev2:
        options = dice.sample([b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE"], dice.randint(0, 4))
        returns = b" RETURN (%b)" % b" ".join(options)
    uid = client.by_uid()
    if asked.modseq:
        client.enable_condstore()
    counted = list(picture.uids)
    saves = b"SAVE" in returns
    text = b"%bSEARCH%b %b" % (b"UID " if uid else b"", returns, asked.text)
    doing = await client.run(text, holds=not uid or asked.numbered)
    if before is None:
        excuse(doing)
        if saves:
            client.saved = []
            await client.run(b"UID SEARCH RETURN (SAVE) UID 1")
            client.saved = []
        return Effect()
    same(f"outcome of {text!r}", doing.status, b"OK")
    box = before[picture.box]
    if doing.counted:
        counted += _fresh(counted, box)[: doing.counted - len(counted)]
    found = [each for each in counted if each in box.messages and asked.matches(box.messages[each])]
    shown = found if uid else [counted.index(each) + 1 for each in found]
    gone = {each if uid else place for place, each in enumerate(counted, 1) if each not in box.messages}
    if gone:  # and not told so: whether they match is the server's affair
        _judge_the_rest(doing, shown, gone)
        if saves:  # what "$" is, is not known either
            await _save_nothing(client)
        await client.ok(b"NOOP")
        return Effect()
    if returns or client.modes.rev2:
        _judge_esearch(doing, returns, shown, found, box, modseq=asked.modseq)
    else:
        (line,) = doing.other(b"SEARCH")
        words, _, modseq = line.partition(b"(MODSEQ ")
        same(f"result of {text!r}", sorted(map(int, words.split())), shown)
        if asked.modseq and found:
            same("MODSEQ of SEARCH", int(modseq.rstrip(b")")), max(box.messages[each].modseq for each in found))
    if saves and not doing.counted and len(picture.uids) > len(counted):
        await _save_nothing(client)  # nothing was shown: whether what is new was told before the search is not known
    elif saves:
        client.saved = _saved(returns, found)
    return Effect()


async def _save_nothing(client: Client) -> None:
    await client.ok(b"UID SEARCH RETURN (SAVE) KEYWORD $Nobody")
    client.saved = []


def _judge_the_rest(doing: Doing, shown: list[int], gone: set[int]) -> None:
    told = None
    for line in doing.other(b"SEARCH"):
        told = list(map(int, line.partition(b"(")[0].split()))
    for line in doing.other(b"ESEARCH"):
        if (found := re.search(rb" ALL ([0-9:,]+)", line)) is not None:
            told = numbers(found[1])
    if told is not None:
        same(f"result of {doing.text!r}", sorted(set(told) - gone), sorted(shown))


def _saved(returns: bytes, found: list[int]) -> list[int]:
    """RFC 5182 §2.1: with MIN and MAX alone, those."""
    if b"ALL" in returns or b"COUNT" in returns or not (b"MIN" in returns or b"MAX" in returns):
        return found
    kept = found[:1] if b"MIN" in returns else []
    return sorted({*kept, *(found[-1:] if b"MAX" in returns else [])})


def _judge_esearch(doing: Doing, returns: bytes, shown: list[int], found: list[int], box: Box, *, modseq: bool) -> None:
    options = set(re.findall(rb"[A-Z]+", returns.partition(b"(")[2])) or {b"ALL"}
    told = doing.other(b"ESEARCH")
    if options == {b"SAVE"}:
        same("ESEARCH where only SAVE was asked", told, [])
        return
    (line,) = told
    line = (
        line.replace(b'(TAG "%b")' % doing.tag, b"").replace(b" UID", b"", 1)
        if b" UID" in line
        else line.replace(b'(TAG "%b")' % doing.tag, b"")
    )
    words = line.split()
    values = dict(zip(words[::2], words[1::2], strict=True))
    what = f"{doing.text!r}: "
    same(what + "MIN", int(values.get(b"MIN", 0)), shown[0] if shown and b"MIN" in options else 0)
    same(what + "MAX", int(values.get(b"MAX", 0)), shown[-1] if shown and b"MAX" in options else 0)
    same(what + "COUNT", values.get(b"COUNT"), b"%d" % len(shown) if b"COUNT" in options else None)
    if b"ALL" in options:
        same(what + "ALL", numbers(values[b"ALL"]) if b"ALL" in values else [], shown)
    if modseq and found:
        subject = found if options & {b"ALL", b"COUNT"} or not options & {b"MIN", b"MAX"} else _saved(returns, found)
        same(what + "MODSEQ", int(values[b"MODSEQ"]), max(box.messages[each].modseq for each in subject))


async def sort(client: Client, before: Boxes | None) -> Effect:
    """SORT and THREAD=ORDEREDSUBJECT."""
    picture, dice = client.picture, client.dice
    if picture is None or not picture.known:
        return await learn(client, before)
    uid = client.by_uid()
    threads = dice.random() < 0.3
    asked = key(dice, picture.uids, picture.highest or 1, client.saved, 1, numbers=client.numbers)
    if asked.modseq:
        client.enable_condstore()
    orders = {
        b"DATE": lambda m: m.facts.sent,
        b"SIZE": lambda m: m.size,
        b"FROM": lambda m: m.facts.author,
        b"SUBJECT": lambda m: m.facts.base_subject,
        b"ARRIVAL": lambda m: m.at,
    }
    chosen = dice.sample(sorted(orders), dice.randint(1, 2))
    backwards = [dice.random() < 0.4 for _ in chosen]
    by = b" ".join((b"REVERSE " if back else b"") + name for name, back in zip(chosen, backwards, strict=True))
    verb = b"THREAD ORDEREDSUBJECT" if threads else b"SORT (%b)" % by
    counted = list(picture.uids)
    text = b"%b%b UTF-8 %b" % (b"UID " if uid else b"", verb, asked.text)
    doing = await client.run(text, holds=not uid or asked.numbered)
    if before is None:
        excuse(doing)
        return Effect()
    same(f"outcome of {text!r}", doing.status, b"OK")
    box = before[picture.box]
    counted += _fresh(counted, box)[: doing.counted - len(counted)]
    found = [box.messages[each] for each in counted if each in box.messages and asked.matches(box.messages[each])]
    number = {each: each if uid else position for position, each in enumerate(counted, 1)}
    gone = {number[each] for each in counted if each not in box.messages}
    if threads and gone:
        return Effect()
    if threads:
        same(f"result of {text!r}", doing.other(b"THREAD"), [_threads(found, number)])
        return Effect()
    for name, back in reversed(list(zip(chosen, backwards, strict=True))):
        found.sort(key=orders[name], reverse=back)
    (line,) = doing.other(b"SORT")
    if asked.modseq and found and not gone:
        same(f"MODSEQ of {text!r}", line.partition(b"(")[2], b"MODSEQ %d)" % max(each.modseq for each in found))
    told = [int(word) for word in line.partition(b"(")[0].split() if int(word) not in gone]
    same(f"result of {text!r}", told, [number[each.uid] for each in found])
    return Effect()


def _fresh(counted: list[int], box: Box) -> list[int]:
    """UIDs of messages that came after those counted. They are told first, and are in the answer."""
    return [uid for uid in box.messages if not counted or uid > counted[-1]]


def _threads(found: list[Message], number: dict[int, int]) -> bytes:
    """RFC 5256 §3: by base subject, each by date of sending; the first one is the parent of all others."""
    groups: dict[str, list[Message]] = {}
    for message in sorted(found, key=lambda m: (m.facts.sent, m.uid)):
        groups.setdefault(message.facts.base_subject, []).append(message)
    shown = []
    for first, *rest in groups.values():
        below = [b"%d" % number[each.uid] for each in rest]
        inner = (
            b" " + b"".join(b"(%b)" % each for each in below)
            if len(below) > 1
            else b"".join(b" " + each for each in below)
        )
        shown.append(b"(%d%b)" % (number[first.uid], inner))
    return b"".join(shown)


async def status(client: Client, before: Boxes | None) -> Effect:
    items = b"MESSAGES UIDNEXT UIDVALIDITY UNSEEN SIZE DELETED"
    dice = client.dice
    if dice.random() < 0.5:
        items += b" HIGHESTMODSEQ"
        client.enable_condstore()
    if before is None:
        excuse(await client.run(b'STATUS "%b" (%b)' % (client.path("INBOX"), items)))
        return Effect()
    box = dice.choice([box for box in before.values() if box.name in client.names])
    doing = await client.ok(b'STATUS "%b" (%b)' % (client.path(box.name), items))
    (line,) = [line for line in doing.other(b"STATUS") if b" SIZE " in line]  # the others are notices
    words = line[line.index(b"(") + 1 : -1].split()
    values = {name: int(value) for name, value in zip(words[::2], words[1::2], strict=True)}
    expected = {
        b"MESSAGES": len(box.messages),
        b"UIDNEXT": box.uid_next,
        b"UIDVALIDITY": box.uid_validity,
        b"UNSEEN": len(box.messages) - len(box.having(b"\\Seen")),
        b"SIZE": box.size,
        b"DELETED": len(box.having(b"\\Deleted")),
    }
    if b"HIGHESTMODSEQ" in items:
        expected[b"HIGHESTMODSEQ"] = box.highest
    same("STATUS", values, expected)
    return Effect()
