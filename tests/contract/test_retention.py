"""What becomes old and goes, what is held, what comes back, on every engine."""

from dataclasses import replace

import pytest

from poterne.store.errors import ConflictError, LimitError, NotFoundError, OverQuotaError, UnavailableError
from poterne.store.failing import Fails, FailurePlan, failing
from poterne.store.interface import Delivery, Store
from poterne.store.sqlite.engine import open_store
from poterne.store.sqlite.transaction import Limits
from poterne.values.ids import AccountId, MailboxId, ModSeq
from poterne.values.mailbox import FlagChange
from poterne.values.retention import NEVER, Aged, AgeFrom, Found, Hold, Rule, TracesBefore, What
from poterne.values.secret import Secret
from tests.support.stores import ALL, AT, INBOX, World, content, event, only, uid
from tests.support.verifying import suspicious

DAY = 86_400
NOTHING = Found(0, 0, 0)


@pytest.fixture
async def window(world: World) -> World:
    """The same world, where expunged mail can come back for a week."""
    await world.store.close()
    world.store = reopened(world, DAY * 7)
    return world


def reopened(world: World, undelete_s: int) -> Store:
    limits = Limits(undelete_s=undelete_s)
    return open_store(world.folder, clock=world.clock, segment_bytes=1_048_576, grace_s=100, limits=limits)


async def at(world: World, when: int, body: bytes = b"Subject: x\r\n\r\nbody\r\n", received: int | None = None) -> None:
    world.clock.now = float(when)
    delivery = Delivery(
        world.alice, None, await content(world.store, body), 0, when if received is None else received, 0
    )
    await world.store.deliver([delivery], [], [])


def aged(world: World, age: AgeFrom, before: int, mailbox: MailboxId = INBOX) -> Aged:
    return Aged(world.alice, mailbox, age, before)


async def kept(world: World, since: int = 0) -> list[int]:
    return [one.uid for one in await world.store.kept_messages(world.alice, since)]


# -- rules and holds ---------------------------------------------------------------------------------------------------


async def test_rules_replace_the_earlier_ones(world: World) -> None:
    store, rule = world.store, Rule(What.TRASH, 10, account_id=world.alice)
    other = Rule(What.FOLDER, NEVER, "Work", domain="example.org")
    await store.set_retention_rule(rule, event("rule"))
    await store.set_retention_rule(other, event("rule"))
    await store.set_retention_rule(replace(rule, days=20), event("rule"))
    assert {(one.what, one.days) for one in await store.retention_rules()} == {(What.TRASH, 20), (What.FOLDER, NEVER)}
    assert other in await store.retention_rules()
    assert await store.end_retention_rule(rule, event("ended"))
    assert not await store.end_retention_rule(rule, event("ended"))
    assert await store.retention_rules() == [other]
    assert len(await store.events(kind="rule")) == 3
    assert len(await store.events(kind="ended")) == 1


@pytest.mark.parametrize(
    "rule",
    [
        Rule(What.TRASH, 1),
        Rule(What.TRASH, 1, domain="none.example"),
        Rule(What.TRASH, 1, account_id=AccountId(99)),
        Rule(What.TRASH, 1, domain="example.org", account_id=AccountId(1)),
    ],
)
async def test_a_rule_is_of_somebody(world: World, rule: Rule) -> None:
    with pytest.raises(NotFoundError):
        await world.store.set_retention_rule(rule, event())
    with pytest.raises(NotFoundError):
        await world.store.set_legal_hold(Hold("x", AT, rule.domain, rule.account_id), event())
    assert await world.store.retention_rules() == []


async def test_a_rule_s_folder_has_a_name_of_bounded_length(world: World) -> None:
    with pytest.raises(LimitError):
        await world.store.set_retention_rule(Rule(What.FOLDER, 1, "x" * 513, "example.org"), event())


async def test_rules_go_with_whose_they_are(world: World) -> None:
    store = world.store
    await store.add_domain("other.example", event())
    ben = (await store.add_account("ben@other.example", "", "en", _secret(), 0, [], event())).id
    await store.set_retention_rule(Rule(What.JUNK, 3, domain="other.example"), event())
    await store.set_retention_rule(Rule(What.JUNK, 3, account_id=ben), event())
    await store.set_legal_hold(Hold("audit", AT, "other.example"), event())
    with pytest.raises(ConflictError):
        await store.remove_account(ben, event())
    assert await store.end_legal_hold("other.example", None, event())
    await store.remove_account(ben, event())
    await store.remove_domain("other.example", event())
    assert await store.retention_rules() == []
    assert await store.legal_holds() == []


async def test_holds(world: World) -> None:
    store = world.store
    mine, ours = Hold("case 7", AT, account_id=world.alice), Hold("audit", AT, "example.org")
    await store.set_legal_hold(mine, event("hold"))
    await store.set_legal_hold(ours, event("hold"))
    await store.set_legal_hold(replace(mine, reason="case 8"), event("hold"))
    assert {one.reason for one in await store.legal_holds()} == {"case 8", "audit"}
    for domain, account in (("example.org", None), ("", world.alice)):
        with pytest.raises(ConflictError):
            await store.remove_account(world.alice, event())
        assert await store.end_legal_hold(domain, account, event("lifted"))
        assert not await store.end_legal_hold(domain, account, event("lifted"))
    await store.remove_account(world.alice, event())
    assert len(await store.events(kind="lifted")) == 2


# -- growing old -------------------------------------------------------------------------------------------------------


async def test_age_counts_from_three_moments(world: World) -> None:
    store = world.store
    await at(world, AT, received=AT - 100)
    await at(world, AT + 10, received=AT + 1_000_000)  # a date in the future makes it no younger
    await at(world, AT + 20)
    await store.note_fetched(world.alice, INBOX, [uid(2), uid(3)], AT + 30)
    await store.note_fetched(world.alice, INBOX, [uid(1), uid(3)], AT + 40)  # the first time counts

    async def found(age: AgeFrom, before: int) -> tuple[int, int]:
        (answer,) = await store.aged([aged(world, age, before)])
        return answer.messages, answer.oldest_at

    assert await found(AgeFrom.SAVED, AT) == (0, 0)
    assert await found(AgeFrom.SAVED, AT + 11) == (2, AT)
    assert await found(AgeFrom.RECEIVED, AT) == (1, AT - 100)
    assert await found(AgeFrom.RECEIVED, AT + 11) == (2, AT - 100)
    assert await found(AgeFrom.FETCHED, AT + 30) == (0, 0)
    assert await found(AgeFrom.FETCHED, AT + 31) == (2, AT + 30)
    assert await found(AgeFrom.FETCHED, AT + 41) == (3, AT + 30)
    both = [aged(world, AgeFrom.SAVED, AT + 11), aged(world, AgeFrom.SAVED, AT + 11, MailboxId(77))]
    assert await store.aged(both) == [Found(2, 40, AT), NOTHING]
    assert await store.aged([]) == []


async def test_a_move_begins_anew_and_forgets_what_was_fetched(world: World) -> None:
    store, work = world.store, (await world.named("Work")).id
    await at(world, AT)
    await store.note_fetched(world.alice, INBOX, [uid(1)], AT)
    await store.move(world.alice, INBOX, only(1), work, AT + 500)
    assert await store.aged([aged(world, AgeFrom.SAVED, AT + 500, work)]) == [NOTHING]
    assert (await store.aged([aged(world, AgeFrom.SAVED, AT + 501, work)]))[0].messages == 1
    assert await store.aged([aged(world, AgeFrom.FETCHED, AT + 501)]) == [NOTHING]


async def test_retire_goes_in_steps_with_events(world: World) -> None:
    store = world.store
    for _ in range(3):
        await at(world, AT)
    work = (await world.named("Work")).id
    for _ in range(9):  # 3 · 2⁹ copies
        await store.copy(world.alice, INBOX if _ == 0 else work, ALL, work, AT)
    total = (await world.named("Work")).messages
    await at(world, AT + 100)
    question = aged(world, AgeFrom.SAVED, AT + 50, work)
    steps = []
    while (gone := await store.retire(question, event("expired", world.alice, folder="Work"))).messages:
        steps.append(gone.messages)
        assert gone.size_bytes == 20 * gone.messages
    assert sum(steps) == total > 500
    assert max(steps) == 500
    assert (await world.named("Work")).messages == 0
    assert await world.uids() == [1, 2, 3, 4]
    events = await store.events(kind="expired")
    assert [one.detail["messages"] for one in reversed(events)] == steps
    assert events[0].detail["folder"] == "Work"
    assert (await store.account_by_id(world.alice)).used_messages == 4
    await world.consistent()


async def test_retire_takes_what_was_fetched(world: World) -> None:
    for _ in range(3):
        await at(world, AT)
    await world.store.note_fetched(world.alice, INBOX, [uid(1), uid(3)], AT)
    assert await world.store.retire(aged(world, AgeFrom.FETCHED, AT + 1), event()) == Found(2, 40, 0)
    assert await world.uids() == [2]
    assert await world.store.retire(aged(world, AgeFrom.FETCHED, AT + 1), event()) == NOTHING


async def test_a_hold_stands_above_the_rules(world: World) -> None:
    await at(world, AT)
    await world.store.set_legal_hold(Hold("audit", AT, "example.org"), event())
    assert await world.store.retire(aged(world, AgeFrom.SAVED, AT + 1), event("expired")) == NOTHING
    assert await world.uids() == [1]
    assert await world.store.events(kind="expired") == []


# -- coming back -------------------------------------------------------------------------------------------------------


async def test_what_was_expunged_comes_back(window: World) -> None:
    store = window.store
    await at(window, AT, b"Subject: one\r\n\r\n1\r\n")
    await at(window, AT, b"Subject: two\r\n\r\n22\r\n")
    await store.store_flags(window.alice, INBOX, ALL, FlagChange.ADD, 8 | 4)
    window.clock.now = AT + 60.0
    assert await store.expunge(window.alice, INBOX, None) == [1, 2]
    found = await store.kept_messages(window.alice)
    assert [(one.uid, one.gone_at, one.mailbox, one.flags) for one in found] == [
        (2, AT + 60, "INBOX", 12),
        (1, AT + 60, "INBOX", 12),
    ]
    assert store.blobs.read(found[1].blob) == b"Subject: one\r\n\r\n1\r\n"
    assert (await store.account_by_id(window.alice)).used_bytes == 0
    assert await store.kept_messages(window.alice, since=AT + 61) == []
    window.clock.now += 1_000_000
    await store.compact()
    assert await store.undelete(list(reversed(found)), INBOX, event("undeleted")) == 2
    assert window.flags() == {3: 4, 4: 4}
    assert (await window.named("INBOX")).deleted == 0
    for row, size in zip(store.contents(window.alice, INBOX, ALL), (19, 20), strict=True):
        assert len(store.blobs.read(row.blob)) == size
    assert await kept(window) == []
    assert await store.undelete(found, INBOX, event("undeleted")) == 0
    assert [one.detail for one in await store.events(kind="undeleted")] == [{"messages": 2, "bytes": 39}]
    await window.consistent()


async def test_a_move_keeps_nothing_twice(window: World) -> None:
    await at(window, AT)
    await window.store.move(window.alice, INBOX, ALL, (await window.named("Work")).id, AT)
    assert await kept(window) == []


async def test_what_is_shared_stays_as_long_as_anybody_has_it(window: World) -> None:
    store, work = window.store, (await window.named("Work")).id
    await at(window, AT)
    await store.copy(window.alice, INBOX, ALL, work, AT)
    await store.remove(window.alice, INBOX, ALL)
    assert await store.check() == []
    await store.remove(window.alice, work, ALL)
    assert await store.check() == []
    first, second = await store.kept_messages(window.alice)
    assert await store.undelete([first], work, event()) == 1
    assert await store.forget_kept(AT + 1_000, 0) == 1
    assert await store.check() == []
    assert store.blobs.read(store.contents(window.alice, work, ALL)[0].blob).startswith(b"Subject")
    assert second.blob == first.blob


async def test_a_folder_that_was_deleted(window: World) -> None:
    store, work = window.store, await window.named("Work")
    await window.deliver(to=work.id)
    await store.delete_mailbox(window.alice, work.id, event())
    (found,) = await store.kept_messages(window.alice)
    assert found.mailbox == ""
    with pytest.raises(NotFoundError):
        await store.undelete([found], work.id, event())
    assert await store.undelete([found], INBOX, event()) == 1
    await window.consistent()


async def test_coming_back_counts(window: World) -> None:
    store = window.store
    await at(window, AT)
    await store.remove(window.alice, INBOX, ALL)
    found = await store.kept_messages(window.alice)
    await store.set_account(window.alice, event(), quota_bytes=19)
    with pytest.raises(OverQuotaError):
        await store.undelete(found, INBOX, event())
    await at_quota(window)
    with pytest.raises(OverQuotaError):
        await store.undelete(found, INBOX, event())
    assert len(await kept(window)) == 1
    await store.set_account(window.alice, event(), quota_messages=2)
    assert await store.undelete(found, INBOX, event()) == 1


async def at_quota(world: World) -> None:
    await world.store.set_account(world.alice, event(), quota_bytes=0, quota_messages=1)
    await at(world, AT)


async def test_forgetting_by_age(window: World) -> None:
    store = window.store
    for hour in range(3):
        await at(window, AT + hour)
        await store.remove(window.alice, INBOX, ALL)
    assert await store.forget_kept(AT, 0) == 0
    assert await store.forget_kept(AT + 2, 0) == 2
    assert await kept(window) == [3]
    window.clock.now += 1_000
    await store.compact()
    assert await store.check() == []
    assert await store.forget_kept(AT + 3, 0) == 1


async def test_forgetting_what_is_too_much_takes_the_oldest(window: World) -> None:
    store = window.store
    for _ in range(5):
        await at(window, AT)
    await store.remove(window.alice, INBOX, ALL)  # all at the same moment
    assert await store.forget_kept(0, 100) == 0
    assert await store.forget_kept(0, 50) == 3
    assert await kept(window) == [5, 4]


async def test_a_hold_keeps_what_is_expunged_even_without_a_window(world: World) -> None:
    store = world.store
    await at(world, AT)
    await store.remove(world.alice, INBOX, ALL)
    assert await kept(world) == []
    await store.set_legal_hold(Hold("case", AT, account_id=world.alice), event())
    await at(world, AT)
    await store.remove(world.alice, INBOX, ALL)
    assert await store.forget_kept(AT + 10**9, 1) == 0
    assert await kept(world) == [2]
    await store.end_legal_hold("", world.alice, event())
    assert await store.forget_kept(AT + 10**9, 0) == 1


async def test_a_hold_keeps_what_is_in_quarantine(world: World) -> None:
    store = world.store
    await store.deliver([], [], [], quarantined=[await suspicious(store, world.alice)])
    (found,) = await store.quarantined()
    await store.set_legal_hold(Hold("audit", AT, "example.org"), event())
    assert await store.expire_quarantined(found.expires_at + 1) == 0
    await store.end_legal_hold("example.org", None, event())
    assert await store.expire_quarantined(found.expires_at + 1) == 1


async def test_what_a_removed_account_left_goes(window: World) -> None:
    store = window.store
    await at(window, AT)
    await at(window, AT)
    await store.note_fetched(window.alice, INBOX, [uid(2)], AT)
    await store.remove(window.alice, INBOX, only(1))
    await store.remove_account(window.alice, event())
    await store.compact()
    assert await store.kept_messages(window.alice) == []
    window.alice = await window.account("alice@example.org")


# -- traces ------------------------------------------------------------------------------------------------------------


async def test_old_events_go_each_sort_in_its_time(world: World) -> None:
    store = world.store
    kinds = ("auth.failed", "account.added", "message.accepted", "retention.hold")
    for age in (0, 10, 20):
        await store.record([replace(event(kind), at=AT + age) for kind in kinds])
    before = len(await store.events(limit=1000))
    gone = await store.prune_traces(TracesBefore(AT + 11, AT + 5, AT + 20, 0), 100)
    assert gone.events == 2 + 2 + 2 + sum(1 for _ in range(before - 12))  # the world's own are as old as the first
    left = [(one.kind, one.at - AT) for one in reversed(await store.events(limit=1000))]
    assert left == [
        ("account.added", 10),
        ("retention.hold", 10),
        ("auth.failed", 20),
        ("account.added", 20),
        ("message.accepted", 20),
        ("retention.hold", 20),
    ]
    assert (await store.prune_traces(TracesBefore(0, 0, 0, 0), 100)).events == 0


async def test_many_old_events(world: World) -> None:
    await world.store.record([replace(event(f"message.{n % 7}"), at=AT + n) for n in range(12_000)])
    gone = await world.store.prune_traces(TracesBefore(0, 0, AT + 11_000, 0), 100)
    assert gone.events >= 11_000
    assert len(await world.store.events(limit=20_000)) == 1_000 + 1  # and that the domain was added


async def test_expunged_ranges_go_and_who_was_away_is_told_of_all(world: World) -> None:
    store = world.store
    for _ in range(60):
        await at(world, AT)
    knows = (await world.named("INBOX")).highest_modseq
    for number in range(1, 60, 2):
        await store.remove(world.alice, INBOX, only(number))
    recent = (await world.named("INBOX")).highest_modseq
    await store.remove(world.alice, INBOX, only(60))
    exact = await store.changes(world.alice, INBOX, knows)
    assert (await store.prune_traces(TracesBefore(0, 0, 0, 0), 20)).expunged == 0  # there is slack
    assert (await store.prune_traces(TracesBefore(0, 0, 0, 0), 10)).expunged == 21
    assert await store.changes(world.alice, INBOX, knows) == exact
    assert (await store.changes(world.alice, INBOX, ModSeq(recent))).vanished == (60,)


# -- failing -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", Fails)
async def test_each_change_that_fails(window: World, fails: Fails) -> None:
    store, done = window.store, fails is Fails.AFTER

    def failed() -> Store:
        return failing(store, FailurePlan(1, fails))

    rule, hold = Rule(What.TRASH, 3, account_id=window.alice), Hold("x", AT, account_id=window.alice)
    with pytest.raises(UnavailableError):
        await failed().set_retention_rule(rule, event())
    assert await store.retention_rules() == [rule] * done
    await at(window, AT)
    with pytest.raises(UnavailableError):
        await failed().retire(aged(window, AgeFrom.SAVED, AT + 1), event())
    assert await window.uids() == [1] * (not done)
    await store.remove(window.alice, INBOX, ALL)
    (found,) = await store.kept_messages(window.alice)
    with pytest.raises(UnavailableError):
        await failed().undelete([found], INBOX, event())
    assert await window.uids() == [2] * done
    with pytest.raises(UnavailableError):
        await failed().set_legal_hold(hold, event())
    assert await store.legal_holds() == [hold] * done
    await window.consistent()


def _secret() -> Secret:
    return Secret("$argon2id$x")
