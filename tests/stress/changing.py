"""STORE, COPY, MOVE, EXPUNGE, APPEND, REPLACE: what they did is compared with what they had to do."""

from itertools import count

from tests.stress.client import Client
from tests.stress.ledger import DifferenceError
from tests.stress.letters import letter
from tests.stress.oracle import Boxes, Effect, Flags, among, excuse, same
from tests.stress.picture import UNKNOWN, Doing, Picture, numbers
from tests.stress.reading import learn
from tests.stress.sets import Pick, pick
from tests.stress.truth import Box

_SYSTEM = (b"\\Seen", b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Deleted", b"\\Draft")
_NEXT = count(1)


def next_letter() -> int:
    return next(_NEXT)


def _applied(sign: bytes, old: Flags, flags: Flags) -> Flags:
    return old | flags if sign == b"+" else old - flags if sign == b"-" else flags


async def store(client: Client, before: Boxes | None) -> Effect:
    picture, dice = client.picture, client.dice
    if picture is None or (chosen := pick(client, picture)) is None:
        return Effect()
    if UNKNOWN in chosen.meant:  # what it did to those would not be known afterwards
        return await learn(client, before)
    flags = frozenset({*dice.sample(_SYSTEM, dice.randint(0, 2)), *([client.keyword] if dice.random() < 0.4 else [])})
    flags = flags or frozenset({b"\\Flagged"})
    sign = dice.choice([b"+", b"-", b""] if before is not None else [b"+", b"-"])
    silent = dice.random() < 0.4
    since = None
    if dice.random() < 0.25 and picture.highest:
        since = max(1, picture.highest - dice.choice([0, 0, 0, 3, 10]))
        client.enable_condstore()
    if b"\\Deleted" in flags:
        client.ledger.condemn(picture.box, chosen.meant)
    text = b"%bSTORE %b %b%bFLAGS%b (%b)" % (
        chosen.verb,
        chosen.text,
        b"" if since is None else b"(UNCHANGEDSINCE %d) " % since,
        sign,
        b".SILENT" if silent else b"",
        b" ".join(sorted(flags)),
    )
    box = before[picture.box] if before is not None else None
    doing = await client.run(text, holds=not chosen.uid)
    if picture.read_only:
        same("STORE in EXAMINE", doing.status, b"NO")
        return Effect()
    refused = _modified(doing, picture, uid=chosen.uid)
    _believe(client, picture, doing, chosen, sign, flags, refused, silent=silent)
    if box is None:
        excuse(doing)
        return Effect()
    return _judge_store(doing, chosen, sign, flags, since, box, picture, refused)


def _modified(doing: Doing, picture: Picture, *, uid: bool) -> list[int]:
    told = numbers(doing.codes[b"MODIFIED"]) if b"MODIFIED" in doing.codes else []
    return told if uid else [picture.uids[number - 1] for number in told]


def _believe(
    client: Client,
    picture: Picture,
    doing: Doing,
    chosen: Pick,
    sign: bytes,
    flags: Flags,
    refused: list[int],
    *,
    silent: bool,
) -> None:
    """What the client takes for done, without being told."""
    if doing.status != b"OK" and b"EXPUNGEISSUED" not in doing.codes:
        return
    told = {uid for _, uid, items in doing.fetched if b"FLAGS" in items}
    for uid in chosen.meant:
        if uid == UNKNOWN or uid in refused:
            continue
        if client.keyword in flags or not sign:
            client.mine[picture.box, uid] = sign != b"-" and client.keyword in flags
        if silent and uid not in told and uid in picture.flags:
            picture.flags[uid] = _applied(sign, picture.flags[uid], flags)


def _judge_store(
    doing: Doing,
    chosen: Pick,
    sign: bytes,
    flags: Flags,
    since: int | None,
    box: Box,
    picture: Picture,
    refused: list[int],
) -> Effect:
    there = among(chosen.meant, box)
    late = [uid for uid in there if since is not None and box.messages[uid].modseq > since]
    if doing.status != b"OK" or b"EXPUNGEISSUED" in doing.codes:
        gone = len(there) < len(chosen.meant)
        same(f"{doing.text!r} fails", (b"EXPUNGEISSUED" in doing.codes, gone, chosen.uid), (True, True, False))
    same(f"MODIFIED of {doing.text!r}", sorted(refused), late)
    effect = Effect()
    change = effect.on(box.uid_validity)
    for uid in there:
        if uid not in late:
            change.flags[uid] = _applied(sign, box.messages[uid].flags, flags)

    def known(after: Boxes) -> None:
        """Who changes a message knows all of its flags afterwards (and told or not, nobody else's change is overlooked)."""
        for uid in there:
            if uid in picture.flags and uid in picture.uids:
                same(f"UID {uid} after {doing.text!r}", picture.flags[uid], after[box.uid_validity].messages[uid].flags)

    effect.then.append(known)
    return effect


async def copy_or_move(client: Client, before: Boxes | None) -> Effect:
    picture, dice = client.picture, client.dice
    if picture is None or (chosen := pick(client, picture)) is None:
        return Effect()
    moving = dice.random() < 0.45
    if len(chosen.meant) > 8 and not moving and dice.random() < 0.9:
        return Effect()  # mailboxes are to stay small
    name = dice.choice(client.names)
    if moving:
        if UNKNOWN in chosen.meant:
            return await learn(client, before)
        client.ledger.condemn(picture.box, chosen.meant)
    box = before[picture.box] if before is not None else None
    text = b'%b%b %b "%b"' % (chosen.verb, b"MOVE" if moving else b"COPY", chosen.text, client.path(name))
    doing = await client.run(text)
    client.changed(name)
    if moving and picture.read_only:
        same("MOVE in EXAMINE", doing.status, b"NO")
        return Effect()
    source, placed, validity = _copyuid(doing)
    if moving and b"*" in chosen.text:
        client.ledger.condemn(picture.box, source)  # what it was told of while the command was on its way
    client.ledger.copied(picture.box, source, validity, placed)
    if box is None or before is None:
        excuse(doing)
        return Effect()
    target = next((each for each in before.values() if each.name == name), None)
    if target is None:
        _judge_nowhere(client, doing)
        return Effect()
    there = among(chosen.meant, box)
    same(f"COPYUID of {text!r}", (source, placed), (there, [target.uid_next + i for i in range(len(there))]))
    if there:
        same(f"outcome of {text!r}", (doing.status, validity), (b"OK", target.uid_validity))
    effect = Effect()
    effect.on(target.uid_validity).added = [(box.messages[uid].number, box.messages[uid].flags) for uid in there]
    if moving:
        effect.on(box.uid_validity).removed |= set(there)
        same(f"still counted after {text!r}", [uid for uid in there if uid in picture.uids], [])
    return effect


def _judge_nowhere(client: Client, doing: Doing) -> None:
    same(f"outcome of {doing.text!r}", doing.status, b"NO")
    if client.owner is None:
        same(f"{doing.text!r} names no mailbox", b"TRYCREATE" in doing.codes, True)


def _copyuid(doing: Doing) -> tuple[list[int], list[int], int]:
    if b"COPYUID" not in doing.codes:
        return [], [], 0
    validity, source, placed = doing.codes[b"COPYUID"].split()
    return numbers(source), numbers(placed), int(validity)


async def expunge(client: Client, before: Boxes | None) -> Effect:
    picture = client.picture
    if picture is None:
        return Effect()
    chosen = pick(client, picture, uid=True) if client.dice.random() < 0.4 else None
    box = before[picture.box] if before is not None else None
    meant = list(picture.uids) if chosen is None else chosen.meant
    doing = await client.run(b"EXPUNGE" if chosen is None else b"UID EXPUNGE " + chosen.text)
    if picture.read_only:
        same("EXPUNGE in EXAMINE", doing.status, b"NO")
        return Effect()
    if box is None:
        excuse(doing)
        return Effect()
    same(f"outcome of {doing.text!r}", doing.status, b"OK")
    gone = [uid for uid in among(meant, box) if b"\\Deleted" in box.messages[uid].flags]
    same("expunged and still counted", [uid for uid in gone if uid in picture.uids], [])
    effect = Effect()
    effect.on(box.uid_validity).removed = set(gone)
    return effect


def _literal(data: bytes) -> bytes:
    return b"{%d+}\r\n%b" % (len(data), data)


async def append(client: Client, before: Boxes | None) -> Effect:
    """One message, or several at once."""
    dice, picture = client.dice, client.picture
    name = dice.choice(client.names)
    given = [
        (next_letter(), frozenset(dice.sample(_SYSTEM[:3], dice.randint(0, 2))))
        for _ in range(dice.choice([1, 1, 1, 3]))
    ]
    old = dice.random() < 0.15
    if old:  # retention may remove it, and each copy of it
        client.ledger.condemned_letters.update(number for number, _ in given)
    date = b'"01-Jan-2020 00:00:00 +0000" ' if old else b""
    parts = [b"(%b) %b%b" % (b" ".join(sorted(flags)), date, _literal(letter(number))) for number, flags in given]
    doing = await client.run(b'APPEND "%b" %b' % (client.path(name), b" ".join(parts)))
    client.changed(name)
    uids, validity = _appenduid(doing)
    client.ledger.arrive(validity, uids, [number for number, _ in given][: len(uids)])
    if before is None:
        excuse(doing)
        return Effect()
    target = next((each for each in before.values() if each.name == name), None)
    if target is None:
        _judge_nowhere(client, doing)
        return Effect()
    same("outcome of APPEND", doing.status, b"OK")
    same("APPENDUID", (validity, uids), (target.uid_validity, [target.uid_next + i for i in range(len(given))]))
    shown = client.owner is not None and client.modes.notify  # NOTIFY may show it: it was put into what is another's
    if picture is not None and picture.box == target.uid_validity and picture.known and not shown:
        raise DifferenceError("the client's own APPEND was not told to it (RFC 9051 §6.3.12)")
    effect = Effect()
    effect.on(target.uid_validity).added = given
    return effect


def _appenduid(doing: Doing) -> tuple[list[int], int]:
    if b"APPENDUID" not in doing.codes:
        return [], 0
    validity, uids = doing.codes[b"APPENDUID"].split()
    return numbers(uids), int(validity)


async def replace(client: Client, before: Boxes | None) -> Effect:
    picture, dice = client.picture, client.dice
    if picture is None or picture.read_only or not picture.known or not picture.uids:
        return Effect()
    uid = dice.choice(picture.uids)
    by_uid = client.by_uid()
    name = dice.choice(client.names)
    number = next_letter()
    client.ledger.condemn(picture.box, [uid])
    text = b'%bREPLACE %d "%b" (\\Flagged) %b' % (
        b"UID " if by_uid else b"",
        uid if by_uid else picture.uids.index(uid) + 1,
        client.path(name),
        _literal(letter(number)),
    )
    doing = await client.run(text)
    client.changed(name)
    uids, validity = _appenduid(doing)
    client.ledger.arrive(validity, uids, [number] if uids else [])
    if before is None:
        return Effect()
    box = before[picture.box]
    target = next((each for each in before.values() if each.name == name), None)
    effect = Effect()
    if target is None or uid not in box.messages:
        same("REPLACE of what is gone, or to nowhere", (doing.status, uids), (b"NO", []))
        return effect
    same("REPLACE", (doing.status, validity, uids), (b"OK", target.uid_validity, [target.uid_next]))
    same("replaced and still counted", uid in picture.uids, False)
    effect.on(target.uid_validity).added = [(number, frozenset({b"\\Flagged"}))]
    effect.on(box.uid_validity).removed.add(uid)
    return effect
