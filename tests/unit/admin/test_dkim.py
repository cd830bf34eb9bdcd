"""DKIM keys: what people do with them, and what the steward does by itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin import dkim
from poterne.admin.dkim import DAY_S, Published
from poterne.admin.dkim_rotation import DENIED_MOST_S, DkimRotation
from poterne.admin.people import Acting, AdminError
from poterne.config.dkim import Dkim, of_dkim
from poterne.mailauth.dkim.record import KeyType
from poterne.store.interface import Store
from poterne.values.dkim import DkimKey, KeyState
from poterne.values.dns import Answer, Failure, Found, NoData, NxDomain, TempFail
from poterne.values.ids import TraceId
from poterne.values.secret import Secret
from tests.support.queue_world import Names, SilentLog
from tests.support.stores import AT, Clock, World, event, sqlite

DOMAIN = "example.org"
KINDS = (KeyType.RSA, KeyType.ED25519)
ED = (KeyType.ED25519,)
SETTINGS = Dkim()


class Zone(Names):
    """DNS as a test writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, Answer[bytes]] = {}
        self.asked: list[str] = []

    async def txt(self, name: str, /) -> Answer[bytes]:
        self.asked.append(name)
        return self.texts.get(name, NxDomain(secure=False, ttl_s=900))

    def publish(self, *keys: DkimKey) -> None:
        for one in dkim.records(keys):
            self.texts[one.name] = found(one.value, one.name)


def found(text: str, name: str = "x", *more: str) -> Found[bytes]:
    return Found(tuple(one.encode() for one in (text, *more)), name, secure=False, ttl_s=300)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = Clock()
    store = sqlite(tmp_path, clock)
    made = World(store, tmp_path, clock)
    await made.settle()
    yield made
    await store.close()


@pytest.fixture
def zone() -> Zone:
    return Zone()


class Steward:
    def __init__(self, world: World, zone: Zone, settings: Dkim = SETTINGS) -> None:
        self.log = SilentLog()
        self._world = world
        self.rotation = DkimRotation(world.store, zone, settings, clock=world.clock, log=self.log)

    async def looks(self, seconds_later: int = 0) -> dict[str, str]:
        """The states of all keys, by selector, after a look."""
        self._world.clock.now += seconds_later
        await self.rotation.look()
        return await states(self._world.store)

    def said(self, event_name: str) -> list[dict[str, object]]:
        return [fields for name, fields in self.log.said if name == event_name]


@pytest.fixture
def steward(world: World, zone: Zone) -> Steward:
    return Steward(world, zone)


def acting(at: int = AT) -> Acting:
    return Acting("test", at, TraceId("test"))


async def states(store: Store) -> dict[str, str]:
    return {key.selector: key.state.value for key in await dkim.keys_of(store)}


async def key(store: Store, state: KeyState = KeyState.NEXT, at: int = AT) -> DkimKey:
    (made,) = await dkim.create(store, DOMAIN, acting(at), ED, state=state)
    return made


# -- records -----------------------------------------------------------------------------------------------------------


async def test_what_is_to_be_published(world: World) -> None:
    rsa, ed = await dkim.for_new_domain(world.store, DOMAIN, acting(), SETTINGS)
    first, second = dkim.records([rsa, ed])
    assert (first.name, second.name) == (f"{rsa.selector}._domainkey.{DOMAIN}", f"{ed.selector}._domainkey.{DOMAIN}")
    assert first.value.startswith("v=DKIM1; k=rsa; h=sha256; t=s; p=")
    assert "".join(first.strings) == first.value
    assert [len(text) for text in first.strings][:-1] == [255]
    assert second.strings == (second.value,)
    assert (second.state, second.comment) == (KeyState.NEXT, "publish it: the key signs once it is seen in DNS")
    assert dkim.published(rsa, found(first.value)) is Published.LIVE
    assert await dkim.for_new_domain(world.store, DOMAIN, acting(), SETTINGS) == []
    (created, _) = await world.store.events(kind="dkim.created")
    assert created.detail["publish"] == second.value
    assert created.reason == "test"
    assert b"PRIVATE" not in repr(await world.store.events()).encode()


def test_a_damaged_key_has_nothing_to_publish() -> None:
    damaged = DkimKey(DOMAIN, "x", "rsa-sha256", Secret(b"nothing"), KeyState.ACTIVE, AT, AT)
    (one,) = dkim.records([damaged])
    assert one.value == ""
    assert "poterne dkim create example.org" in one.comment
    assert dkim.published(damaged, found("v=DKIM1; p=")) is Published.OTHER


async def test_what_counts_as_published(world: World) -> None:
    own, other = await key(world.store), (await dkim.create(world.store, DOMAIN, acting(), [KeyType.RSA]))[0]
    (text,) = [one.value for one in dkim.records([own])]
    (rsa,) = [one.value for one in dkim.records([other])]
    public = text.partition("p=")[2]
    cases: list[tuple[Answer[bytes], Published]] = [
        (found(text), Published.LIVE),
        (found(f"v=DKIM1;k=ed25519;p={public}"), Published.LIVE),
        (found(f"v=DKIM1; k=ed25519; n=note; p={public[:20]} {public[20:]}"), Published.LIVE),
        (found(f"v=DKIM1; k=ed25519; t=y; p={public}"), Published.OTHER),
        (found(f"v=DKIM1; k=ed25519; h=sha1; p={public}"), Published.OTHER),
        (found(f"v=DKIM1; p={public}"), Published.OTHER),
        (found(rsa), Published.OTHER),
        (found("v=DKIM1; k=ed25519; p="), Published.OTHER),
        (found(text, "x", rsa), Published.OTHER),
        (found(text, "x", text), Published.OTHER),
        (found("hello"), Published.OTHER),
        (NoData(secure=False, ttl_s=1), Published.MISSING),
        (NxDomain(secure=False, ttl_s=1), Published.MISSING),
        (TempFail(Failure.TIMEOUT), Published.UNKNOWN),
    ]
    for answer, expected in cases:
        assert dkim.published(own, answer) is expected, answer


def test_what_counts_as_taken_away() -> None:
    assert dkim.revoked(NxDomain(secure=False, ttl_s=1))
    assert dkim.revoked(NoData(secure=False, ttl_s=1))
    assert dkim.revoked(found("v=DKIM1; p="))
    assert not dkim.revoked(found("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="))
    assert not dkim.revoked(TempFail(Failure.SERVFAIL))


# -- what people do ----------------------------------------------------------------------------------------------------


async def test_a_life(world: World) -> None:
    store = world.store
    old = await key(store)
    assert [one.state for one in await dkim.activate(store, DOMAIN, old.selector, acting())] == [KeyState.ACTIVE]
    new = await key(store, at=AT + 1)
    assert new.selector != old.selector
    changed = await dkim.activate(store, DOMAIN, new.selector.upper(), acting(AT + 2))
    assert [(one.selector, one.state) for one in changed] == [
        (new.selector, KeyState.ACTIVE),
        (old.selector, KeyState.RETIRED),
    ]
    later = AT + 2 + SETTINGS.keep_days * DAY_S
    with pytest.raises(AdminError, match="may still be on its way: it can go in 1 days, or say --early"):
        await dkim.remove(store, DOMAIN, old.selector, acting(later - 1), SETTINGS)
    await dkim.remove(store, DOMAIN, old.selector, acting(later), SETTINGS)
    assert await states(store) == {new.selector: "active"}
    again = await key(store, at=AT + 3)
    assert again.selector not in {old.selector, new.selector}, "a selector names one key for ever"


async def test_what_is_refused(world: World) -> None:
    store = world.store
    with pytest.raises(AdminError, match="is not served here: add it first"):
        await dkim.create(store, "other.test", acting(), ED)
    with pytest.raises(AdminError, match="is not a full domain"):
        await dkim.keys_of(store, "localhost")
    with pytest.raises(AdminError, match=r"has no key nothing: poterne dkim list example\.org"):
        await dkim.activate(store, DOMAIN, "nothing", acting())
    waiting = await key(store)
    assert await dkim.create(store, DOMAIN, acting(), ED) == [], "one successor is enough"
    with pytest.raises(AdminError, match="has not signed yet: remove it"):
        await dkim.retire(store, DOMAIN, waiting.selector, acting())
    await dkim.activate(store, DOMAIN, waiting.selector, acting())
    with pytest.raises(AdminError, match="signs: retire it first"):
        await dkim.remove(store, DOMAIN, waiting.selector, acting(), SETTINGS, early=True)
    with pytest.raises(AdminError, match=r"is the only key of example\.org that signs"):
        await dkim.retire(store, DOMAIN, waiting.selector, acting())
    assert (await dkim.retire(store, DOMAIN, waiting.selector, acting(), last=True)).state is KeyState.RETIRED
    with pytest.raises(AdminError, match="does not come back"):
        await dkim.activate(store, DOMAIN, waiting.selector, acting())
    await dkim.remove(store, DOMAIN, waiting.selector, acting(), SETTINGS, early=True)
    assert await states(store) == {}


async def test_a_server_that_does_not_sign_makes_no_keys(world: World) -> None:
    assert await dkim.for_new_domain(world.store, DOMAIN, acting(), Dkim(sign=False)) == []
    (only,) = await dkim.for_new_domain(world.store, DOMAIN, acting(), Dkim(algorithms="rsa"))
    assert only.algorithm == "rsa-sha256"


def test_records_outlast_the_queue() -> None:
    assert list(of_dkim(Dkim(), 432_000)) == []
    ((where, _, remedy),) = of_dkim(Dkim(keep_days=4), 432_000)
    assert where == ("dkim", "keep_days")
    assert remedy == "write keep_days = 7 or more"


# -- what the steward does ---------------------------------------------------------------------------------------------


async def test_a_key_signs_once_its_record_is_there(world: World, zone: Zone, steward: Steward) -> None:
    one = await key(world.store)
    assert await steward.looks() == {one.selector: "next"}
    zone.publish(one)
    assert await steward.looks(600) == {one.selector: "next"}, "others may still hold that there is none"
    (seen,) = await dkim.keys_of(world.store)
    assert seen.seen_at == AT + 600
    assert await steward.looks(299) == {one.selector: "next"}
    assert await steward.looks(1) == {one.selector: "active"}
    (seen,) = await dkim.keys_of(world.store)
    assert (seen.seen_at, seen.changed_at) == (AT + 600, AT + 900)
    (activated,) = await world.store.events(kind="dkim.activated")
    assert (activated.reason, activated.detail["selector"]) == ("steward", one.selector)
    zone.asked.clear()
    await steward.looks(600)
    assert zone.asked == [], "without a key that waits nothing is asked"


async def test_a_record_that_was_there_first_is_not_waited_for(world: World, zone: Zone, steward: Steward) -> None:
    one = await key(world.store)
    zone.publish(one)
    assert await steward.looks() == {one.selector: "active"}


async def test_nobody_is_waited_for_longer_than_denials_last(world: World, zone: Zone, steward: Steward) -> None:
    one = await key(world.store)
    (name,) = [record.name for record in dkim.records([one])]
    zone.texts[name] = NoData(secure=False, ttl_s=7 * DAY_S)
    await steward.looks()
    zone.publish(one)
    assert await steward.looks(DENIED_MOST_S - 1) == {one.selector: "next"}
    assert await steward.looks(1) == {one.selector: "active"}


@pytest.mark.parametrize(
    "text", ["v=DKIM1; p=", "v=spf1 -all", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]
)
async def test_a_wrong_record_is_never_signed_for(world: World, zone: Zone, steward: Steward, text: str) -> None:
    one = await key(world.store)
    (name,) = [record.name for record in dkim.records([one])]
    zone.texts[name] = found(text)
    for _ in range(5):
        assert await steward.looks(600) == {one.selector: "next"}
    (said,) = steward.said("dkim.unpublished")
    assert (said["dns"], said["name"]) == ("other", name)


async def test_dns_that_does_not_answer_changes_nothing(world: World, zone: Zone, steward: Steward) -> None:
    waiting = await key(world.store)
    for record in dkim.records([waiting]):
        zone.texts[record.name] = TempFail(Failure.TIMEOUT)
    assert await steward.looks() == {waiting.selector: "next"}
    await dkim.activate(world.store, DOMAIN, waiting.selector, acting())
    await dkim.retire(world.store, DOMAIN, waiting.selector, acting(), last=True)
    assert await steward.looks(100 * DAY_S) == {waiting.selector: "retired"}


async def test_who_forgets_to_publish_is_reminded_once_a_day(world: World, zone: Zone, steward: Steward) -> None:
    await key(world.store)
    for _ in range(3 * 144):
        await steward.looks(600)
    assert [said["dns"] for said in steward.said("dkim.unpublished")] == ["missing"] * 3


async def test_a_year_of_rotation(world: World, zone: Zone, steward: Steward) -> None:
    """Whoever publishes what is asked for never sends a signature that can't be verified."""
    first = await dkim.create(world.store, DOMAIN, acting(), KINDS)
    zone.publish(*first)
    await steward.looks()
    assert set((await states(world.store)).values()) == {"active"}

    found_states = await steward.looks(180 * DAY_S)
    second = [one for one in await dkim.keys_of(world.store) if one.state is KeyState.NEXT]
    assert sorted(one.algorithm for one in second) == ["ed25519-sha256", "rsa-sha256"]
    assert sorted(found_states.values()) == ["active", "active", "next", "next"]
    assert sorted(str(said["selector"]) for said in steward.said("dkim.rotation")) == sorted(
        one.selector for one in second
    )
    assert [str(said["publish"])[:10] for said in steward.said("dkim.rotation")] == ["v=DKIM1; k"] * 2
    assert sorted((await steward.looks(DAY_S)).values()) == ["active", "active", "next", "next"], (
        "nothing until it is published"
    )

    zone.publish(*second)
    await steward.looks(600)
    after = await steward.looks(900)
    assert {one.selector: after[one.selector] for one in (*first, *second)} == {
        **{one.selector: "retired" for one in first},
        **{one.selector: "active" for one in second},
    }

    assert len(await steward.looks(SETTINGS.keep_days * DAY_S - 1000)) == 4
    assert steward.said("dkim.removable") == []
    for _ in range(3):
        assert len(await steward.looks(1000)) == 4
    asked = await world.store.events(kind="dkim.removable")
    assert sorted(str(one.detail["selector"]) for one in asked) == sorted(one.selector for one in first)
    assert len(steward.said("dkim.removable")) == 2
    again = Steward(world, zone)
    await again.looks()
    assert again.said("dkim.removable") == [], "a restart does not ask again"

    gone, revoked = dkim.records(first)
    del zone.texts[gone.name]
    zone.texts[revoked.name] = found("v=DKIM1; p=")
    assert await steward.looks(600) == {one.selector: "active" for one in second}
    assert len(await world.store.events(kind="dkim.removed")) == 2


async def test_no_rotation_where_nobody_wants_it(world: World, zone: Zone) -> None:
    steward = Steward(world, zone, Dkim(rotate_days=0))
    one = await key(world.store, KeyState.ACTIVE)
    assert await steward.looks(3650 * DAY_S) == {one.selector: "active"}


async def test_an_algorithm_that_is_not_wanted_gets_no_successor(world: World, zone: Zone) -> None:
    steward = Steward(world, zone, Dkim(algorithms="rsa"))
    one = await key(world.store, KeyState.ACTIVE)
    assert await steward.looks(200 * DAY_S) == {one.selector: "active"}


async def test_a_change_that_was_cut_in_half_is_ended(world: World, zone: Zone, steward: Steward) -> None:
    old = await key(world.store, KeyState.ACTIVE)
    new = await key(world.store, at=AT + 1)
    await world.store.set_dkim_key(DOMAIN, new.selector, None, state=KeyState.ACTIVE, now=AT + 1)
    assert await steward.looks(60) == {old.selector: "retired", new.selector: "active"}


async def test_domains_do_not_get_in_each_others_way(world: World, zone: Zone, steward: Steward) -> None:
    made = [await key(world.store)]
    for number in range(40):
        name = f"d{number}.test"
        await world.store.add_domain(name, event())
        made += await dkim.create(world.store, name, acting(), ED)
    zone.publish(*made[::2])
    await steward.looks()
    active = {one.domain for one in await dkim.keys_of(world.store) if one.state is KeyState.ACTIVE}
    assert active == {one.domain for one in made[::2]}
    await world.store.remove_domain("d1.test", event())
    assert "d1.test" not in {one.domain for one in await dkim.keys_of(world.store)}
