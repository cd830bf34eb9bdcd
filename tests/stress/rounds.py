"""A round: some clients of one account, many random commands, and in the end every picture must be the truth.

See `tests/stress/__main__.py` for how all of it works.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from random import Random

from poterne.store.interface import Store
from tests.stress import changing, living, reading
from tests.stress.client import GUEST, Client, ClosedError, Modes
from tests.stress.ledger import DifferenceError, Ledger
from tests.stress.letters import letter
from tests.stress.oracle import Boxes, Effect, by_validity, verify
from tests.stress.others import Others
from tests.stress.truth import Truth
from tests.support.peer_server import PeerServer

WORKERS = 2
KEPT_LINES = 1500
APART_S = 1_000_000
"""UIDVALIDITY begins with the time: so far apart, two accounts have no value in common."""
IDLE_WAIT_S = 15.0
"""A client that idles knows everything by then, even what a command wrote that tells no worker (`app.fallback`)."""
LATE_S = 0.45
"""A wake-up that came is faster; one that was lost is replaced by the poll of each second."""
_MODES = [
    Modes(),
    Modes(),
    Modes(condstore=True),
    Modes(qresync=True),
    Modes(qresync=True),
    Modes(rev2=True),
    Modes(rev2=True, qresync=True),
    Modes(uid_only=True),
    Modes(uid_only=True, condstore=True),
    Modes(uid_only=True, rev2=True, qresync=True),
]
_NOTIFY = [b"", b"", b"", b"SELECTED", b"SELECTED-DELAYED"]
Move = Callable[[Client, Boxes | None], Awaitable[Effect]]
_MOVES: list[tuple[Move, int]] = [
    (reading.fetch, 14),
    (changing.store, 16),
    (reading.search, 7),
    (reading.sort, 3),
    (reading.status, 2),
    (reading.learn, 5),
    (changing.copy_or_move, 8),
    (changing.expunge, 6),
    (changing.append, 9),
    (changing.replace, 2),
    (living.select, 6),
    (living.leave, 2),
    (living.noop, 8),
    (living.idle, 5),
    (living.reconnect, 1),
    (living.names, 2),
    (living.pipeline, 4),
]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a round follows from."""

    seed: int
    clients: int
    steps: int
    lockstep: bool
    """One command at a time, each compared with the truth before and after; otherwise all at once."""
    shared: bool
    """Some clients are of a second account, and work in the mailboxes of the first."""

    @classmethod
    def of(cls, seed: int) -> "Plan":
        dice = Random(seed)
        lockstep = dice.random() < 0.5
        clients = dice.choice([3, 3, 4, 5, 8, 16]) if lockstep else dice.choice([3, 4, 6, 8, 12, 16])
        steps = 40 * dice.randint(2, 8) if lockstep else dice.randint(30, 90)
        return cls(seed, clients, steps, lockstep, shared=dice.random() < 0.4)


class Round:
    def __init__(self, plan: Plan, server: PeerServer, store: Store) -> None:
        self.plan, self.server = plan, server
        self.dice = Random(plan.seed)
        self.address = server.store.add_account(f"stress{plan.seed}")
        self.ledger = Ledger(WORKERS)
        self.truth = Truth(store, self.address)
        modes = [
            replace(self.dice.choice(_MODES), deflate=self.dice.random() < 0.3, notify=self.dice.choice(_NOTIFY))
            for _ in range(plan.clients)
        ]
        guest = server.store.add_account(f"guest{plan.seed}", later_s=APART_S) if plan.shared else None
        self.guest = Truth(store, guest) if guest is not None else None
        self.clients = []
        for number, mode in enumerate(modes):
            visits = guest is not None and number > 0 and self.dice.random() < 0.5
            address, owner = (guest or "", self.address) if visits else (self.address, None)
            client = Client(number, address, server, self.ledger, Random(self.dice.random()), mode, owner)
            client.guest = guest
            self.clients.append(client)
        self.others = Others(server, self.truth, self.ledger, Random(self.dice.random()))
        self.acts: list[str] = []
        self.delays: list[float] = []
        """Until clients that idle heard of one more message."""

    async def run(self) -> int:
        """How many commands were run. Raises DifferenceError."""
        first, *_ = self.clients
        try:
            for client in self.clients:
                await client.connect()
            for name in ("Work", "Temp1"):
                await first.ok(b'CREATE "%b"' % name.encode())
                if first.notices is not None:
                    first.notices.names.add(name)
            if first.guest is not None:
                for name in ("INBOX", "Work", "Temp1"):
                    await first.ok(living.share(name, first.guest))
            if self.plan.lockstep:
                await self._one_by_one()
            else:
                await self._all_at_once()
            await self._come_back()
            self._settle(await self._look())
        finally:
            for client in self.clients:
                await client.wire.close()
        return len(self.acts)

    async def _look(self) -> Boxes:
        found = await self.truth.look()
        if self.guest is not None:
            found[GUEST] = replace((await self.guest.look())["INBOX"], name=GUEST)
        return by_validity(found)

    # -- one command at a time -----------------------------------------------------------------------------------------

    async def _one_by_one(self) -> None:
        for step in range(self.plan.steps):
            if self.dice.random() < 0.05:
                await self._judged("others", self.others.act)
            else:
                await self._step(self.dice.choice(self.clients))
            if step % 40 == 39:
                await self._quiet()

    async def _step(self, client: Client) -> None:
        if await self._lost_its_mailbox(client):
            return
        if client.idling is not None:
            if self.dice.random() < 0.4:
                await client.done()
            return
        await self._told_by_notify(client)
        if client.picture is not None and not client.picture.known:
            await reading.learn(client, None)
            if not client.picture.known:
                await living.noop(client, await self._look())
                await reading.learn(client, None)
        if client.picture is None and self.dice.random() < 0.7:
            await self._judged(f"{client.name} select", lambda before: living.select(client, before))
            return
        move = self._choose(client)
        await self._judged(f"{client.name} {move.__name__}", lambda before: move(client, before))

    def _choose(self, client: Client) -> Move:
        moves, weights = zip(*_MOVES, strict=True)
        found: Move = client.dice.choices(moves, weights)[0]
        return found

    async def _judged(self, name: str, move: Callable[[Boxes | None], Awaitable[Effect]]) -> None:
        self.acts.append(name)
        before = await self._look()
        effect = await move(before)
        verify(before, effect, await self._look())

    async def _lost_its_mailbox(self, client: Client) -> bool:
        """Another client deleted it: the server says so and closes, at the latest when it is asked."""
        picture = client.picture
        if picture is None or picture.box in await self._look():
            return False
        try:
            if client.idling is None:
                await client.run(b"NOOP")
            else:
                await client.end(client.idling)
        except ClosedError:
            pass
        else:
            raise DifferenceError(f"{client.name}: its mailbox is gone, and nobody says so")
        await self._again(client)
        return True

    async def _again(self, client: Client) -> None:
        await client.wire.close()
        client.failure = client.picture = None
        await client.connect()

    # -- all at once ---------------------------------------------------------------------------------------------------

    async def _all_at_once(self) -> None:
        for _ in range(3):
            async with asyncio.TaskGroup() as group:
                for client in self.clients:
                    group.create_task(self._live(client))
                group.create_task(self._disturb())
            await self._quiet()

    async def _live(self, client: Client) -> None:
        for _ in range(self.plan.steps // 3):
            try:
                await self._act(client)
            except ClosedError:
                picture = client.picture
                if picture is not None and picture.box in await self._look():
                    raise DifferenceError(f"{client.name} was sent away, but its mailbox is there") from None
                await self._again(client)

    async def _act(self, client: Client) -> None:
        if client.idling is not None:
            await asyncio.sleep(client.dice.random() * 0.05)
            await client.done()
        elif client.picture is None and client.dice.random() < 0.7:
            await living.select(client, None)
        else:
            move = self._choose(client)
            self.acts.append(f"{client.name} {move.__name__}")
            await move(client, None)

    async def _disturb(self) -> None:
        for _ in range(4):
            await asyncio.sleep(self.dice.random() * 0.2)
            await self.others.act(None)

    # -- quiet ---------------------------------------------------------------------------------------------------------

    async def _quiet(self) -> None:
        """Nobody changes anything any more: what each believes is the truth; who idles was told."""
        for client in self.clients:
            if await self._lost_its_mailbox(client):
                continue
            await self._told_of_others(client)
            if client.picture is None:
                continue
            if client.idling is not None:
                await self._told_while_idle(client)
                continue
            await self._told_by_notify(client)
            await self._noop(client)
            await reading.learn(client, None)
            await self._noop(client)
            boxes = await self._look()
            living.agree(client.picture, boxes[client.picture.box])
            if not client.picture.known:
                raise DifferenceError(f"{client.name} cannot learn all UIDs: {client.picture.uids}")
        await self._wake_up()
        self._settle(await self._look())

    async def _wake_up(self) -> None:
        """One more message where somebody idles: how long until they know?"""
        boxes = await self._look()
        idling = [client for client in self.clients if client.idling is not None and client.picture is not None]
        if not idling:
            return
        box = boxes[idling[0].picture.box]  # type: ignore[union-attr]
        speaker = next((each for each in self.clients if each.idling is None and box.name in each.names), None)
        if speaker is None:
            return
        number = changing.next_letter()
        began = asyncio.get_running_loop().time()
        await speaker.ok(b'APPEND "%b" {%d+}\r\n%b' % (speaker.path(box.name), len(letter(number)), letter(number)))
        speaker.changed(box.name)
        for client in idling:
            if client.picture is not None and client.picture.box == box.uid_validity:
                await self._told_while_idle(client)
                self.delays.append(asyncio.get_running_loop().time() - began)

    async def _noop(self, client: Client) -> None:
        await client.ok(b"NOOP")

    async def _told_while_idle(self, client: Client) -> None:
        if (picture := client.picture) is not None:
            box = (await self._look())[picture.box]
            await self._told(client, lambda: living.agree(picture, box))

    async def _told_by_notify(self, client: Client) -> None:
        """NOTIFY tells of the selected mailbox without being asked."""
        if client.modes.notify and (picture := client.picture) is not None:
            box = (await self._look())[picture.box]
            judge = living.agree if picture.at_once else living.agree_but_for_expunged
            await self._told(client, lambda: judge(picture, box))

    async def _told_of_others(self, client: Client) -> None:
        """And of all others; those that it knows nothing of any more, it asks for."""
        if (notices := client.notices) is None:
            return
        boxes = [box for box in (await self._look()).values() if box.name != GUEST]
        selected = client.picture.box if client.picture is not None else 0
        modseq = client.modes.condstore or client.modes.qresync
        await self._told(client, lambda: notices.agree(boxes, selected, modseq=modseq))
        items = b"UIDVALIDITY UIDNEXT MESSAGES UNSEEN" + b" HIGHESTMODSEQ" * modseq
        for name in notices.names - notices.status.keys():
            if client.idling is None:
                await client.ok(b'STATUS "%b" (%b)' % (name.encode(), items))

    async def _told(self, client: Client, judge: Callable[[], None]) -> None:
        """Soon there is no difference any more."""
        loop = asyncio.get_running_loop()
        until = loop.time() + IDLE_WAIT_S
        while True:
            if client.failure is not None:
                raise client.failure
            try:
                return judge()
            except DifferenceError as difference:
                if loop.time() > until:
                    raise DifferenceError(f"{client.name} is not told in {IDLE_WAIT_S} s: {difference}") from None
            await asyncio.sleep(0.01)

    async def _come_back(self) -> None:
        """At the end: who knows QRESYNC comes back with what it remembers, and must find the truth by it."""
        await self._quiet()
        for client in self.clients:
            if client.modes.qresync and client.picture is not None:
                await client.done()
                box = (await self._look())[client.picture.box]
                await self._noop(client)
                await client.close()
                await client.connect()
                cache = client.caches.get(box.uid_validity)
                if cache is not None:
                    await living.come_back(client, box, cache)

    def _settle(self, boxes: Boxes) -> None:
        """Nothing was lost that nobody removed, nothing came back, and each has the keywords that only it sets."""
        for box, uid in self.ledger.expunged:
            if box in boxes and uid in boxes[box].messages:
                raise DifferenceError(f"UID {uid} of {boxes[box].name} is there, though it was told as expunged")
        for box, uid in self.ledger.arrived - self.ledger.condemned:
            if box in boxes and uid not in boxes[box].messages:
                number = self.ledger.numbers.get((box, uid), 0)
                if number and number not in self.ledger.condemned_letters:
                    raise DifferenceError(
                        f"UID {uid} of {boxes[box].name} (letter {number}) is lost: nobody removed it"
                    )
        for (box, uid), number in self.ledger.numbers.items():
            if box in boxes and uid in boxes[box].messages and boxes[box].messages[uid].number != number:
                raise DifferenceError(f"UID {uid} of {boxes[box].name} is not letter {number}")
        for client in self.clients:
            for (box, uid), there in client.mine.items():
                if box not in boxes or uid not in boxes[box].messages or self.plan.lockstep:
                    continue
                if (client.keyword in boxes[box].messages[uid].flags) != there:
                    raise DifferenceError(f"{client.name} alone stores its keyword; UID {uid} should have it: {there}")

    def report(self, error: BaseException) -> str:
        """What happened last, for who has to find out why."""
        last = self.acts[-1].split()[0] if self.acts and self.plan.lockstep else ""
        failed = [client for client in self.clients if client.failure is error] or [
            client for client in self.clients if client.name == last
        ]
        everything = sorted(
            (line for client in self.clients for line in client.wire.said), key=lambda line: float(line.split()[0])
        )
        lines = [f"{type(error).__name__}: {error}", f"{self.plan}", f"the last acts: {self.acts[-12:]}"]
        if failed:
            lines += [f"-- {failed[0].name}, {failed[0].modes}", *list(failed[0].wire.said)[-60:]]
        return "\n".join([*lines, "-- all", *everything[-KEPT_LINES:]])
