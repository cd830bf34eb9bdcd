"""SELECT and leaving, IDLE, NOOP, connections lost, names that come and go, and commands one upon the other."""

from collections.abc import Callable

from tests.stress.client import NAMES, Cache, Client
from tests.stress.ledger import DifferenceError
from tests.stress.letters import NUMBER_FIELD
from tests.stress.oracle import Boxes, Effect, excuse, same
from tests.stress.picture import UNKNOWN, Doing, Picture, nothing
from tests.stress.sets import pick
from tests.stress.truth import Box


async def select(client: Client, before: Boxes | None) -> Effect:
    """With QRESYNC if the client was there before: what it is told then must make its picture the truth."""
    dice = client.dice
    name = dice.choice(client.names + NAMES[:2])
    box = None if before is None else next((each for each in before.values() if each.name == name), None)
    read_only = dice.random() < 0.15
    client.remember()
    caches = client.caches
    validity = box.uid_validity if box is not None else dice.choice(list(caches)) if caches else 0
    cache = caches.get(validity) if client.modes.qresync and dice.random() < 0.9 else None
    parameters = b""
    if cache is not None:
        parameters = b" (QRESYNC (%d %d%b))" % (validity, cache.highest, _known(client, cache))
    elif dice.random() < 0.2:
        parameters = b" (CONDSTORE)"

    def resume(doing: Doing) -> None:
        if cache is not None and client.picture is not None and client.picture.box == validity:
            _resynchronised(client.picture, cache, doing)

    doing = await client.select(client.path(name), read_only=read_only, parameters=parameters, then=resume)
    picture = client.picture
    if picture is None:
        if before is not None and box is not None:
            raise DifferenceError(f"{name} cannot be selected: {doing.status!r} {doing.codes}")
        return Effect()
    if box is not None:
        _judge_select(picture, doing, box, resynced=cache is not None)
    return Effect()


def _known(client: Client, cache: Cache) -> bytes:
    """The UIDs that the client knows (RFC 7162 §3.2.5.1), or nothing, which is 1:*; sometimes with sequence match data."""
    dice = client.dice
    uids = sorted(cache.flags)
    if not uids or dice.random() < 0.5:
        return b""
    known = b" 1:%d" % uids[-1] if dice.random() < 0.5 else b" " + b",".join(b"%d" % uid for uid in uids)
    if dice.random() < 0.5 and not client.modes.uid_only:
        number = dice.randint(1, len(uids))
        known += b" (%d %d)" % (number, uids[number - 1])
    return known


def _resynchronised(picture: Picture, cache: Cache, doing: Doing) -> None:
    """RFC 7162 §3.2.5: the picture is the one before, less what vanished, and with what was told since.

    What came and went while this was answered is counted, but nobody has to say its UID.
    """
    old = sorted(set(cache.flags) - set(doing.earlier))
    if picture.uid_only:
        old = sorted({*old, *picture.uids} - {UNKNOWN})
    if len(old) > len(picture.uids):
        raise DifferenceError(
            f"after QRESYNC there are {len(picture.uids)}, but nobody said that of {old} any vanished"
        )
    if not picture.uid_only and any(known not in {0, uid} for known, uid in zip(picture.uids, old, strict=False)):
        raise DifferenceError(f"after QRESYNC {picture.uids} do not fit {old}")
    picture.uids = old + picture.uids[len(old) :]
    for uid, flags in cache.flags.items():
        if uid not in doing.earlier:
            picture.flags.setdefault(uid, flags)
    picture.highest = max(picture.highest, int(doing.codes[b"HIGHESTMODSEQ"]))


def _judge_select(picture: Picture, doing: Doing, box: Box, *, resynced: bool) -> None:
    what = f"SELECT {box.name}: "
    same(
        what + "UIDVALIDITY, UIDNEXT, EXISTS",
        (picture.box, picture.uid_next, len(picture.uids)),
        (box.uid_validity, box.uid_next, len(box.messages)),
    )
    same(what + "HIGHESTMODSEQ", int(doing.codes[b"HIGHESTMODSEQ"]), box.highest)
    if picture.unseen:
        same(what + "UNSEEN", b"\\Seen" in box.messages[box.uids[picture.unseen - 1]].flags, False)
        same(
            what + "UNSEEN is the first",
            [uid for uid in box.uids[: picture.unseen - 1] if b"\\Seen" not in box.messages[uid].flags],
            [],
        )
    if resynced:
        agree(picture, box)


def agree(picture: Picture, box: Box) -> None:
    """What the client believes is the truth; where it knows nothing, it believes nothing."""
    what = f"the client's picture of {box.name}: "
    if picture.known:
        same(what + "UIDs", picture.uids, box.uids)
    else:
        same(what + "count", len(picture.uids), len(box.messages))
        places = {uid: place for place, uid in enumerate(box.uids)}
        wrong = [
            uid
            for place, uid in enumerate(picture.uids)
            if uid and (uid not in places if picture.uid_only else places.get(uid) != place)
        ]
        same(what + "UIDs", wrong, [])
    for uid, flags in picture.flags.items():
        same(what + f"flags of UID {uid}", flags, box.messages[uid].flags)
    for uid, modseq in picture.modseqs.items():
        if picture.condstore:
            same(what + f"modseq of UID {uid}", modseq <= box.messages[uid].modseq, True)
    if picture.highest > box.highest:
        raise DifferenceError(f"{what}highest modseq {picture.highest}, it is {box.highest}")


def agree_but_for_expunged(picture: Picture, box: Box) -> None:
    """With SELECTED-DELAYED: what is new and all flags are known, and nobody has to say what is gone."""
    if picture.known:
        there = [uid for uid in picture.uids if uid in box.messages]
        same(f"the client's picture of {box.name}, but for what is gone: UIDs", there, box.uids)
    elif len(picture.uids) < len(box.messages):
        raise DifferenceError(f"the client counts {len(picture.uids)} in {box.name}, there are {len(box.messages)}")
    for uid in picture.flags.keys() & box.messages.keys():
        same(f"the client's picture of {box.name}: flags of UID {uid}", picture.flags[uid], box.messages[uid].flags)


async def leave(client: Client, before: Boxes | None) -> Effect:
    r"""UNSELECT, or CLOSE, which removes what is \Deleted."""
    effect = Effect()
    picture = client.picture
    if picture is None:
        return effect
    closes = client.dice.random() < 0.4
    client.remember()
    if closes and not picture.read_only:
        client.caches.pop(picture.box, None)
        if before is not None:
            effect.on(picture.box).removed = set(before[picture.box].having(b"\\Deleted"))
    doing = await client.run(b"CLOSE" if closes else b"UNSELECT")
    client.picture = None
    excuse(doing)
    if before is not None:
        same("outcome of leaving", doing.status, b"OK")
    return effect


async def noop(client: Client, before: Boxes | None) -> Effect:
    """Afterwards the client knows everything."""
    await client.ok(client.dice.choice([b"NOOP", b"NOOP", b"CHECK"]) if client.picture is not None else b"NOOP")
    if before is not None and client.picture is not None:
        agree(client.picture, before[client.picture.box])
    return Effect()


async def idle(client: Client, before: Boxes | None) -> Effect:
    await client.idle()
    return Effect()


async def reconnect(client: Client, before: Boxes | None) -> Effect:
    """Lost, in the middle of whatever it was."""
    await client.close()
    await client.connect()
    return Effect()


async def names(client: Client, before: Boxes | None) -> Effect:
    """CREATE, DELETE, RENAME of mailboxes that others may have selected."""
    if client.owner is not None:
        return await noop(client, before)
    dice = client.dice
    name, other = dice.sample(NAMES[2:], 2)
    kind = dice.choice([b"CREATE", b"CREATE", b"RENAME", b"DELETE"])
    text = b'%b "%b"' % (kind, name.encode()) + (b' "%b"' % other.encode() if kind == b"RENAME" else b"")
    picture = client.picture
    believe: Callable[[Doing], None] = nothing
    if (notices := client.notices) is not None:
        believe = {
            b"CREATE": lambda _: notices.names.add(name),
            b"RENAME": lambda _: notices.renamed(name, other),
            b"DELETE": lambda _: notices.gone(name),
        }[kind]
    doing = await client.run(text, then=believe)
    effect = Effect()
    if doing.status == b"OK" and kind == b"DELETE" and b"CLOSED" in doing.codes:
        client.picture = None
        client.saved = []
    if doing.status == b"OK" and kind == b"CREATE" and client.guest is not None:
        excuse(await client.run(share(name, client.guest)))
    if before is None:
        return effect
    boxes = {box.name: box for box in before.values()}
    box = boxes.get(name)
    expected = box is None if kind == b"CREATE" else box is not None and (kind == b"DELETE" or other not in boxes)
    same(f"outcome of {text!r}", doing.status, b"OK" if expected else b"NO")
    if not expected:
        return effect
    if kind == b"CREATE":
        effect.made.add(name)
    elif box is not None:
        effect.names[box.uid_validity] = other if kind == b"RENAME" else None
        if kind == b"DELETE" and picture is not None and picture.box == box.uid_validity:
            same("our own mailbox was deleted", b"CLOSED" in doing.codes, True)
    return effect


def share(name: str, guest: str) -> bytes:
    """All rights."""
    return b'SETACL "%b" "%b" lrswipkxtea' % (name.encode(), guest.encode())


async def pipeline(client: Client, before: Boxes | None) -> Effect:
    """Commands sent at once, as far as they are not ambiguous (RFC 9051 §5.5): by number all of them, or none."""
    picture = client.picture
    if picture is None or not picture.uids:
        return Effect()
    by_uid = client.by_uid()
    commands = []
    for _ in range(client.dice.randint(2, 4)):
        if (chosen := pick(client, picture, uid=by_uid)) is None:
            break
        items = client.dice.choice([b"(UID FLAGS)", b"(UID %b)" % NUMBER_FIELD])
        commands.append((b"%bFETCH %b %b" % (chosen.verb, chosen.text, items), True))
    if by_uid:
        commands.insert(0, (b"NOOP", False))
    under_way = [client.start(text, holds=not by_uid, asks_flags=fetches) for text, fetches in commands]
    for doing in under_way:
        await client.end(doing)
    return Effect()


async def come_back(client: Client, box: Box, cache: Cache) -> None:
    doing = await client.select(
        client.path(box.name),
        parameters=b" (QRESYNC (%d %d%b))" % (box.uid_validity, cache.highest, _known(client, cache)),
    )
    if client.picture is None:
        raise DifferenceError(f"{box.name} cannot be selected")
    _resynchronised(client.picture, cache, doing)
    _judge_select(client.picture, doing, box, resynced=True)
