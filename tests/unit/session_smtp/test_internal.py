"""Recipients of servers behind us: what is remembered, for how long, and how often a server is asked."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

import poterne.session.smtp.internal as module
from poterne.config.route import Route
from poterne.queue.callforward import Said
from poterne.queue.routes import Routes
from poterne.session.smtp.internal import MAX_ASKING, RESTS_S, USELESS_MOST, Internal
from poterne.store.failing import FailurePlan, failing
from poterne.store.interface import Store
from poterne.values.address import Address
from poterne.values.ids import TraceId
from tests.support.lines import Lines
from tests.support.stores import Clock, sqlite

TRACE = TraceId("t1")
ASKED = Route(["inside.test", ".below.test"], "inside.test", verify="call-forward", inbound=True)


class Server:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.people = {"ann", "bob"}
        self.says: Said | None = None
        self.asked: list[str] = []
        self.at_once = self.most_at_once = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.closed = False

    async def ask(self, address: Address, _trace: TraceId) -> tuple[Said, str]:
        self.asked.append(str(address))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.answers.wait()
        finally:
            self.at_once -= 1
        return self.says or (Said.KNOWN if address.local_part in self.people else Said.UNKNOWN), "words"

    async def close(self) -> None:
        self.closed = True


class Edge:
    """An `Internal` with all that is around it."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store, self.clock = store, clock
        self.server, self.log = Server(), Lines()
        self.internal = self.process()

    def process(
        self,
        routes: Mapping[str, Route] | None = None,
        listed: Mapping[str, frozenset[str]] | None = None,
        store: Store | None = None,
        *,
        postmaster: bool = True,
    ) -> Internal:
        """One more worker with the same store."""
        named = Routes(routes or {"inside": ASKED}, Path("/"))
        self.internal = Internal(
            named, listed or {}, store or self.store, self.server, self.clock, self.log, postmaster=postmaster
        )
        return self.internal

    async def says(self, local_part: str, domain: str = "inside.test", internal: Internal | None = None) -> Said:
        internal = internal or self.internal
        route = internal.route_of(domain)
        assert route is not None
        return await internal.check(route, Address(local_part, domain), TRACE)


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    clock = Clock()
    store = sqlite(tmp_path / "store", clock)
    made = Edge(store, clock)
    yield made
    await made.internal.close()
    await store.close()


# -- which domains -----------------------------------------------------------------------------------------------------


def test_domains_and_those_below(edge: Edge) -> None:
    edge.process(
        {
            "inside": ASKED,
            "out": Route(["partner.test", "x.below.test"], "partner.test"),
            "smart": Route(["*"], "smart.test"),
        }
    )
    found = {
        domain: None if (route := edge.internal.route_of(domain)) is None else route.name
        for domain in ("inside.test", "sub.inside.test", "below.test", "a.below.test", "a.b.below.test",
                       "x.below.test", "partner.test", "elsewhere.test", "nside.test", "xbelow.test", "")
    }  # fmt: skip
    assert found == {
        "inside.test": "inside",
        "sub.inside.test": None,
        "below.test": None,
        "a.below.test": "inside",
        "a.b.below.test": "inside",
        "x.below.test": None,
        "partner.test": None,
        "elsewhere.test": None,
        "nside.test": None,
        "xbelow.test": None,
        "": None,
    }


def test_whose_postmaster_is_meant_without_a_domain(edge: Edge) -> None:
    out = Route(["partner.test"], "partner.test")
    below = Route([".below.test"], "a.test", inbound=True)
    named = Route([".below.test", "Inside.TEST"], "a.test", inbound=True)
    assert edge.process({"out": out, "named": named}).postmaster == Address("postmaster", "inside.test")
    assert edge.process({"out": out, "below": below}).postmaster is None
    assert edge.process({"named": named}, postmaster=False).postmaster is None


# -- without asking ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("local_part", "domain", "said"),
    [
        ("ann", "inside.test", Said.KNOWN),
        ("ANN", "inside.test", Said.KNOWN),
        ("ann+shop", "inside.test", Said.KNOWN),
        ("with+plus", "inside.test", Said.KNOWN),
        ("with", "inside.test", Said.UNKNOWN),
        ("annx", "inside.test", Said.UNKNOWN),
        ("+ann", "inside.test", Said.UNKNOWN),
        ("ann", "a.below.test", Said.UNKNOWN),
        ("whoever", "all.below.test", Said.KNOWN),
        ("postmaster", "inside.test", Said.KNOWN),
        ("PostMaster", "a.below.test", Said.KNOWN),
        ("élodie", "inside.test", Said.KNOWN),
        ("E\u0301LODIE", "inside.test", Said.KNOWN),
        ("", "inside.test", Said.UNKNOWN),
    ],
)
async def test_a_list(edge: Edge, local_part: str, domain: str, said: Said) -> None:
    route = Route(["inside.test", ".below.test"], "inside.test", verify="list", recipients_file="x", inbound=True)
    entries = ("ann@inside.test", "with+plus@inside.test", "élodie@inside.test", "@all.below.test")
    edge.process({"inside": route}, {"inside": frozenset(entries)})
    assert await edge.says(local_part, domain) is said
    assert edge.server.asked == []


async def test_a_list_that_was_read_again(edge: Edge) -> None:
    listing = Route(["inside.test"], "inside.test", verify="list", recipients_file="x", inbound=True)
    edge.process({"inside": listing}, {"inside": frozenset({"ann@inside.test"})})
    edge.internal.relist({"inside": frozenset({"bob@inside.test"})})
    assert [await edge.says(name) for name in ("ann", "bob")] == [Said.UNKNOWN, Said.KNOWN]


async def test_a_list_of_another_route_counts_for_nothing(edge: Edge) -> None:
    listing = Route(["inside.test"], "inside.test", verify="list", recipients_file="x", inbound=True)
    edge.process({"inside": listing}, {"other": frozenset({"ann@inside.test"})})
    assert await edge.says("ann") is Said.UNKNOWN


async def test_without_verification_everybody_is_known(edge: Edge) -> None:
    edge.process({"inside": Route(["inside.test"], "inside.test", inbound=True)})
    assert await edge.says("whoever") is Said.KNOWN
    assert edge.server.asked == []


# -- what is remembered ------------------------------------------------------------------------------------------------


async def test_each_answer_counts_for_its_time(edge: Edge) -> None:
    for _ in range(3):
        assert await edge.says("ann") is Said.KNOWN
        assert await edge.says("nobody") is Said.UNKNOWN
        assert await edge.says("ANN") is Said.KNOWN
    assert edge.server.asked == ["ann@inside.test", "nobody@inside.test"]
    edge.server.people = {"nobody"}
    edge.clock.now += ASKED.unknown_s - 1
    assert await edge.says("nobody") is Said.UNKNOWN
    edge.clock.now += 1
    assert await edge.says("nobody") is Said.KNOWN, "hired meanwhile"
    assert await edge.says("ann") is Said.KNOWN
    edge.clock.now += ASKED.known_s
    assert await edge.says("ann") is Said.UNKNOWN, "gone meanwhile"
    assert len(edge.server.asked) == 4


async def test_other_processes_and_the_next_start_know_it_too(edge: Edge) -> None:
    first, second = edge.internal, edge.process()
    assert await edge.says("ann", internal=first) is Said.KNOWN
    assert await edge.says("nobody", internal=first) is Said.UNKNOWN
    assert await edge.says("ann", internal=second) is Said.KNOWN
    assert await edge.says("nobody", internal=second) is Said.UNKNOWN
    assert len(edge.server.asked) == 2
    edge.server.says = Said.DOWN
    edge.clock.now += 10 * ASKED.known_s
    assert await edge.says("ann", internal=edge.process()) is Said.KNOWN


async def test_a_clock_that_was_set_back_makes_no_answer_eternal(edge: Edge) -> None:
    await edge.says("nobody")
    edge.server.says = Said.DOWN
    assert await edge.says("bob") is Said.DOWN
    edge.server.says = None
    edge.server.people.add("nobody")
    edge.clock.now -= 100_000
    assert await edge.says("nobody") is Said.KNOWN
    assert await edge.says("bob") is Said.KNOWN


async def test_memory_is_bounded_and_the_store_has_the_rest(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED", 10)
    await edge.says("ann")
    for number in range(30):
        await edge.says(f"guess{number}")
    assert len(edge.internal._remembered) == 10
    assert await edge.says("ann") is Said.KNOWN
    assert edge.server.asked.count("ann@inside.test") == 1


async def test_names_with_a_tag_are_remembered_here_only(edge: Edge) -> None:
    """There is no end of them, and the store has room for so many."""
    edge.server.people.add("ann+shop")
    assert [await edge.says("ann+shop") for _ in range(2)] == [Said.KNOWN] * 2
    assert edge.server.asked == ["ann+shop@inside.test"]
    assert await edge.store.recipient_check("ann+shop@inside.test") is None


@pytest.mark.parametrize("at", [1, 2])
async def test_a_store_that_fails_makes_nobody_unknown(edge: Edge, at: int) -> None:
    """Neither reading nor noting: people are as known as the server says, and the log tells."""
    edge.process(store=failing(edge.store, FailurePlan(at)))
    assert await edge.says("ann") is Said.KNOWN
    assert await edge.says("ann") is Said.KNOWN
    assert edge.server.asked == ["ann@inside.test"]
    assert len(edge.log.of("recipient-check.unavailable")) == 1


# -- when it does not answer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [Said.DOWN, Said.LATER])
async def test_whom_we_know_is_known_while_the_server_is_not_there(edge: Edge, trouble: Said) -> None:
    await edge.says("ann")
    await edge.says("nobody")
    edge.server.says = trouble
    edge.clock.now += ASKED.known_s + 1
    assert await edge.says("ann") is Said.KNOWN
    assert await edge.says("nobody") is trouble, "an old no is not a no any more"
    assert await edge.says("bob") is trouble
    edge.clock.now += RESTS_S
    edge.server.says = None
    assert await edge.says("bob") is Said.KNOWN


async def test_a_server_that_is_down_is_left_alone_for_a_while(edge: Edge) -> None:
    edge.server.says = Said.DOWN
    for number in range(50):
        assert await edge.says(f"guess{number}") is Said.DOWN
    assert len(edge.server.asked) == 1
    (told,) = edge.log.of("recipient-check.down")
    assert (told["route"], told["problem"]) == ("inside", "words")
    edge.clock.now += RESTS_S
    edge.server.says = None
    assert await edge.says("ann") is Said.KNOWN


async def test_one_that_says_nothing_of_use_again_and_again_too(edge: Edge) -> None:
    """ "Relaying denied" is a mistake in somebody's settings: loud, and not asked for each of a harvester's guesses."""
    edge.server.says = Said.LATER
    found = [await edge.says(f"guess{number}") for number in range(3 * USELESS_MOST)]
    assert found == [Said.LATER] * USELESS_MOST + [Said.DOWN] * 2 * USELESS_MOST
    assert len(edge.log.of("recipient-check.useless")) == len(edge.server.asked) == USELESS_MOST
    edge.clock.now += RESTS_S
    assert await edge.says("guess") is Said.LATER


async def test_a_greylisting_server_is_asked_on(edge: Edge) -> None:
    for number in range(3 * USELESS_MOST):
        edge.server.says = Said.LATER if number % 10 else None
        await edge.says(f"guess{number}")
    assert len(edge.server.asked) == 3 * USELESS_MOST


async def test_one_route_s_trouble_is_not_another_s(edge: Edge) -> None:
    other = Route(["other.test"], "other.test", verify="call-forward", inbound=True)
    edge.process({"inside": ASKED, "other": other})
    edge.server.says = Said.DOWN
    await edge.says("ann")
    edge.server.says = None
    assert await edge.says("ann") is Said.DOWN
    assert await edge.says("ann", "other.test") is Said.KNOWN


# -- how much is asked -------------------------------------------------------------------------------------------------


async def test_one_question_for_all_who_want_to_know(edge: Edge) -> None:
    edge.server.answers.clear()
    waiting = [asyncio.ensure_future(edge.says("ann")) for _ in range(100)]
    await asyncio.sleep(0.05)
    waiting[0].cancel()
    edge.server.answers.set()
    assert [await one for one in waiting[1:]] == [Said.KNOWN] * 99, "who goes away takes nobody's answer along"
    assert edge.server.asked == ["ann@inside.test"]


async def test_so_many_at_the_same_time_and_no_more(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLACE_S", 0.2)
    edge.server.answers.clear()
    asking = [asyncio.ensure_future(edge.says(f"guess{number}")) for number in range(3 * MAX_ASKING)]
    done, pending = await asyncio.wait(asking, timeout=1)
    assert {one.result() for one in done} == {Said.LATER}
    assert (len(done), len(pending)) == (2 * MAX_ASKING, MAX_ASKING)
    assert len(edge.log.of("recipient-check.crowded")) == 2 * MAX_ASKING
    edge.server.answers.set()
    await asyncio.wait(pending)
    assert {one.result() for one in pending} == {Said.UNKNOWN}
    assert edge.server.most_at_once == MAX_ASKING
    assert await edge.says("ann") is Said.KNOWN, "all places are free again"


async def test_the_end_leaves_nobody_asking(edge: Edge) -> None:
    edge.server.answers.clear()
    waiting = asyncio.ensure_future(edge.says("ann"))
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    await edge.internal.close()
    assert edge.server.at_once == 0
    assert edge.server.closed
    with pytest.raises(asyncio.CancelledError):
        await waiting
