"""What an evaluation may cost, what it says of itself, and hostile worlds."""

import time
from collections.abc import Coroutine, Generator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poterne.mailauth.spf import check
from poterne.mailauth.spf.check import Claim, Question
from poterne.mailauth.spf.outcome import Identity, Outcome, Reason, Result
from poterne.values.address import Address
from poterne.values.dns import AAAA, MX, PTR, TXT, A, Answer, Failure, Found, Kind, Mx, NoData, NxDomain, TempFail
from tests.unit.mailauth.spf.world import WORLD, World, claim

VOID = NxDomain(secure=False, ttl_s=60)
QUESTIONS_MOST = check.QUESTIONS_MOST + 11 + 1
"""Terms with a name and ten more each, the domain itself, and an explanation with its names."""


def found(*records: object) -> Found[object]:
    return Found(records, "x.test", secure=False, ttl_s=300)


# -- identities --------------------------------------------------------------------------------------------------------


def test_helo_has_an_identity_of_its_own() -> None:
    outcome = WORLD.evaluate(check.helo("192.0.2.1", "FAIL.test."))
    assert (outcome.result, outcome.identity, outcome.domain) == (Result.FAIL, Identity.HELO, "fail.test")
    assert outcome.identity.property == "smtp.helo"
    world = WORLD.with_txt("mail.test", "v=spf1 exists:%{l}.local.test -all")
    assert world.evaluate(check.helo("192.0.2.1", "mail.test")).result is Result.PASS  # postmaster@


def test_a_null_reverse_path_is_postmaster_of_the_helo_name() -> None:
    made = check.mail_from("192.0.2.1", None, "fail.test")
    assert (made.identity, made.local_part, made.domain) == (Identity.MAIL_FROM, "postmaster", "fail.test")
    assert WORLD.evaluate(made).result is Result.FAIL
    assert WORLD.evaluate(check.mail_from("192.0.2.1", Address("", "fail.test"), "x.test")).domain == "fail.test"


def test_time_that_ran_out_is_a_temperror() -> None:
    outcome = check.out_of_time(check.mail_from("192.0.2.1", Address("x", "pass.test"), "x.test"))
    assert (outcome.result, outcome.reason, outcome.domain) == (Result.TEMPERROR, Reason.TIME, "pass.test")
    assert outcome.problem == "DNS took too long"
    assert check.out_of_time(check.mail_from("192.0.2.1", None, "[::1]")).domain == ""


def test_an_explanation_is_asked_for_only_when_wanted() -> None:
    world = WORLD.with_txt("example.com", "v=spf1 -all exp=plain-exp.test")
    assert world.evaluate(claim("a@example.com", "192.0.2.1"), explain=False).explanation == ""
    assert [question.name for question in world.asked] == ["example.com"]


def test_an_explanation_is_one_short_line() -> None:
    world = WORLD.with_txt("example.com", "v=spf1 -all exp=long.test")
    world.add("long.test", "TXT", "%{h} " * 200)
    outcome = world.evaluate(claim("a@example.com", "192.0.2.1", "a\r\n\0\x7fé" * 2000))
    assert len(outcome.explanation) == check.EXPLANATION_MOST
    assert outcome.explanation.startswith("a?????a")
    world.answers["long.test", TXT.code] = found(b"a" * 3000)
    assert world.evaluate(claim("a@example.com", "192.0.2.1")).explanation == ""


@pytest.mark.parametrize("result", list(Result))
def test_only_a_pass_authenticates(result: Result) -> None:
    assert Outcome(result, Reason.MATCHED, Identity.HELO).authenticates is (result is Result.PASS)


# -- how it asks -------------------------------------------------------------------------------------------------------


def test_the_hosts_of_an_mx_are_asked_for_in_one_step() -> None:
    world = WORLD.with_txt("example.com", "v=spf1 mx:big.test -all")
    assert world.evaluate(claim("a@example.com", "198.51.100.10")).result is Result.PASS
    assert (world.steps, len(world.asked)) == (3, 12)


def test_nothing_is_asked_for_behind_a_match() -> None:
    world = WORLD.with_txt("example.com", "v=spf1 ip4:192.0.2.1 a:broken.test include:pass.test -all")
    assert world.evaluate(claim("a@example.com", "192.0.2.1")).result is Result.PASS
    assert world.asked == [Question("example.com", TXT)]


class Slow:
    """A resolver that lets others run before each answer."""

    def __init__(self, world: World) -> None:
        self.world = world

    async def query(self, name: str, kind: Any, /) -> Answer[Any]:
        await _Pause()
        return self.world.answer(Question(name, kind))

    async def mx(self, domain: str, /) -> Answer[Mx]:
        return await self.query(domain, MX)

    async def addresses(self, name: str, /) -> Answer[str]:
        raise AssertionError(name)

    async def txt(self, name: str, /) -> Answer[bytes]:
        return await self.query(name, TXT)

    async def ptr(self, ip: str, /) -> Answer[str]:
        raise AssertionError(ip)

    async def tlsa(self, name: str, /) -> Answer[Any]:
        raise AssertionError(name)


class _Pause:
    def __await__(self) -> Generator[None, None, None]:
        yield


def stepped(coroutine: Coroutine[Any, Any, Outcome]) -> tuple[Outcome, int]:
    pauses = 0
    while True:
        try:
            coroutine.send(None)
            pauses += 1
        except StopIteration as end:
            return end.value, pauses


def test_a_resolver_answers_the_steps() -> None:
    world = WORLD.with_txt("example.com", "v=spf1 include:la.example.org -all")
    said = claim("a@example.com", "192.0.2.130")
    outcome, pauses = stepped(check.answered(check.check_host(said), Slow(world)))
    assert outcome == world.evaluate(said)
    assert (outcome.result, pauses) == (Result.PASS, len(world.asked))
    nowhere, pauses = stepped(check.answered(check.check_host(claim("a@localhost", "192.0.2.1")), Slow(world)))
    assert (nowhere.result, pauses) == (Result.NONE, 0)


# -- attacks -----------------------------------------------------------------------------------------------------------


def test_a_tree_of_includes_costs_ten_lookups() -> None:
    """Each record includes ten others: ten to the power of the depth, without a limit on all of them together."""
    world = World()
    for name in ("tree.test", *(f"{number}.tree.test" for number in range(10))):
        world.add(name, "TXT", "v=spf1 " + " ".join(f"include:{number}.tree.test" for number in range(10)) + " -all")
    outcome = world.evaluate(claim("a@tree.test", "192.0.2.1"))
    assert (outcome.result, outcome.reason) == (Result.PERMERROR, Reason.LOOKUPS)
    assert len(world.asked) <= 11


def test_three_times_ten_hosts_with_thousands_of_addresses_take_a_moment() -> None:
    world = World()
    world.add("wide.test", "TXT", "v=spf1 " + "mx/31 " * 3 + "-all")
    for number in range(10):
        world.add("wide.test", "MX", f"10 h{number}.test")
        world.answers[f"h{number}.test", A.code] = found(*(f"10.0.{n >> 8}.{n & 255}" for n in range(4000)))
    began = time.process_time()
    outcome = world.evaluate(claim("a@wide.test", "192.0.2.1"))
    assert time.process_time() - began < 1
    assert outcome.result is Result.FAIL
    assert len(world.asked) == 1 + 3 * 11


def wide(terms: int) -> World:
    world = World()
    world.add("most.test", "TXT", "v=spf1 ptr " + "mx " * terms + "-all exp=%{p}.e.test")
    for number in range(10):
        world.add("most.test", "MX", f"10 h{number}.test")
        world.add("1.2.0.192.in-addr.arpa", "PTR", f"p{number}.test")
    return world


def test_the_most_that_can_be_asked() -> None:
    world = wide(9)
    outcome = world.evaluate(claim("a@most.test", "192.0.2.1"))
    assert (outcome.result, outcome.reason, outcome.detail) == (Result.PERMERROR, Reason.QUESTIONS, "mx")
    assert outcome.problem == "too many questions to DNS: mx"
    assert len(world.asked) <= check.QUESTIONS_MOST + 11


def test_names_of_the_client_do_not_decide_how_much_may_be_asked() -> None:
    world = wide(3)
    assert world.evaluate(claim("a@most.test", "192.0.2.1")).result is Result.FAIL
    assert check.QUESTIONS_MOST < len(world.asked) <= QUESTIONS_MOST


@pytest.mark.parametrize("kind", ["TXT", "A", "MX", "AAAA"])
def test_what_dns_can_not_say_is_never_a_pass_or_a_fail(kind: str) -> None:
    """Whichever question fails: the result is the one without failure only when the question did not matter."""
    record = "v=spf1 a:a.test mx:m.test include:i.test exists:e.test -all"
    for name in ("x.test", "a.test", "m.test", "i.test", "e.test", "h.test"):
        world = World()
        world.add("x.test", "TXT", record)
        world.add("i.test", "TXT", "v=spf1 -all")
        world.add("a.test", "A", "203.0.113.1")
        world.add("m.test", "MX", "10 h.test")
        world.add("h.test", "A", "203.0.113.2")
        world.add("e.test", "TXT", "x")
        asked = (name, kind) in {
            ("x.test", "TXT"), ("a.test", "A"), ("m.test", "MX"), ("h.test", "A"), ("i.test", "TXT"), ("e.test", "A")
        }  # fmt: skip
        assert world.evaluate(claim("a@x.test", "192.0.2.1")).result is Result.FAIL
        world.add(name, kind, "!servfail")
        outcome = world.evaluate(claim("a@x.test", "192.0.2.1"))
        assert outcome.result is (Result.TEMPERROR if asked else Result.FAIL), (name, kind)


def test_texts_of_strangers_come_out_as_printable_ascii() -> None:
    for text in ("v=spf1 \x00\r\n", "v=spf1 " + "é" * 300, "v=spf1 a:%{h}.test"):
        world = WORLD.with_txt("example.com", text)
        outcome = world.evaluate(claim("a@example.com", "192.0.2.1", "evil\r\nX: y"))
        assert outcome.problem.isascii()
        assert outcome.problem.isprintable()
        assert len(outcome.problem) < 300


# -- any world ---------------------------------------------------------------------------------------------------------

NAMES = ("a.test", "b.test", "c.a.test", "d.test", "test", "1.2.0.192.in-addr.arpa")
SPECS = (*NAMES[:4], "%{d}", "%{l}.a.test", "%{h}", "%{p}", "%{ir}.a.test", "%{d2}", "%{o}.test", "b.%{d}")
MECHANISMS = (
    "all",
    "a",
    "mx",
    "ptr",
    "a/24",
    "mx//64",
    "ip4:192.0.2.0/24",
    "ip6:2001:db8::/32",
    "ip4:203.0.113.1",
    "foo",
)
terms = st.one_of(
    st.builds("{}{}".format, st.sampled_from(("", "+", "-", "~", "?")), st.sampled_from(MECHANISMS)),
    st.builds(
        "{}{}:{}".format,
        st.sampled_from(("", "-", "?")),
        st.sampled_from(("a", "mx", "ptr", "include", "exists")),
        st.sampled_from(SPECS),
    ),
    st.builds("{}={}".format, st.sampled_from(("redirect", "exp", "moo")), st.sampled_from(SPECS)),
)
records = st.one_of(
    st.lists(terms, max_size=8).map(lambda chosen: ("v=spf1 " + " ".join(chosen)).encode()),
    st.sampled_from((b"%{s} %{c} %{p}", b"v=spf1", b"text", b"\xff\0")),
)
addresses = st.sampled_from(("192.0.2.1", "192.0.2.77", "203.0.113.1", "no address"))
failures = st.sampled_from(
    (VOID, NoData(secure=False, ttl_s=1), TempFail(Failure.TIMEOUT), Found((), "", secure=False, ttl_s=1))
)


def answers(records: st.SearchStrategy[object]) -> st.SearchStrategy[Answer[object]]:
    return st.one_of(st.lists(records, min_size=1, max_size=12).map(lambda chosen: found(*chosen)), failures)


KINDS: Sequence[tuple[Kind[object], st.SearchStrategy[object]]] = (
    (A, addresses),
    (AAAA, st.sampled_from(("2001:db8::1", "2001:db8:1::1", "::ffff:192.0.2.1"))),
    (MX, st.sampled_from(NAMES).map(lambda name: Mx(10, name))),
    (PTR, st.sampled_from((*NAMES, "", "a\\046b.test", "." * 5))),
)
worlds = st.fixed_dictionaries(
    {(name, TXT.code): st.one_of(records.map(found), records.map(found), answers(records)) for name in NAMES[:4]}
    | {(name, kind.code): answers(some) for name in NAMES for kind, some in KINDS}
).map(World)


def check_any(world: World, said: Claim) -> None:
    outcome = world.evaluate(said)
    assert outcome.lookups <= 10
    assert len(world.asked) <= QUESTIONS_MOST
    assert outcome.void_lookups <= 2 or outcome.reason is Reason.VOID_LOOKUPS
    for question in world.asked:
        assert 0 < len(question.name) <= 253
        assert all(0 < len(label) < 64 for label in question.name.split("."))
        assert question.name.isascii()
        assert question.name == question.name.lower()
    for text in (outcome.domain, outcome.where, outcome.detail, outcome.explanation, outcome.problem, *outcome.matched):
        assert text.isascii()
        assert text.isprintable()
    assert (outcome.result in {Result.PERMERROR, Result.TEMPERROR, Result.NONE}) == bool(outcome.problem)
    failed = [question for question in world.asked if isinstance(world.answer(question), TempFail)]
    assert failed or outcome.result is not Result.TEMPERROR
    assert outcome == world.evaluate(said)


@settings(max_examples=400, deadline=None)
@given(
    worlds,
    st.sampled_from(("192.0.2.1", "2001:db8::1", "::ffff:203.0.113.1")),
    st.sampled_from(NAMES[:4]),
    st.text(max_size=9),
)
def test_any_world_gives_an_outcome_within_the_limits(world: World, client: str, domain: str, local_part: str) -> None:
    check_any(world, Claim(client, Identity.MAIL_FROM, local_part, domain, "d.test", "mx.test", 0))


@settings(deadline=None)
@given(
    st.text(max_size=20),
    st.one_of(st.just("b.test"), st.text(max_size=300)),
    st.text(max_size=70),
    st.text(max_size=300),
)
def test_any_claim_gives_an_outcome(client: str, domain: str, local_part: str, name: str) -> None:
    world = WORLD.with_txt("b.test", "v=spf1 exists:%{l}.%{h}.test a:%{S}.x include:%{H}.test -all exp=%{l}.%{h}.test")
    for ip in (client, "192.0.2.1"):
        check_any(world, Claim(ip, Identity.MAIL_FROM, local_part, domain, name, name, 0))


# -- speed -------------------------------------------------------------------------------------------------------------


def test_a_usual_record_takes_less_than_a_tenth_of_a_millisecond() -> None:
    world = World()
    networks = " ".join(f"ip4:198.51.{number}.0/24" for number in range(12))
    world.add("usual.test", "TXT", "v=spf1 include:one.test include:two.test ip4:192.0.2.7 -all")
    world.add("one.test", "TXT", f"v=spf1 {networks} ~all")
    world.add("two.test", "TXT", f"v=spf1 {networks} ip4:203.0.113.0/24 ~all")
    said: Sequence[tuple[Claim, Result]] = (
        (claim("a@usual.test", "203.0.113.9"), Result.PASS),
        (claim("a@usual.test", "192.0.2.9"), Result.FAIL),
    )
    best = 1.0
    for _ in range(20):
        began = time.process_time()
        for _ in range(50):
            for each, result in said:
                assert world.evaluate(each).result is result
        best = min(best, (time.process_time() - began) / 100)
    assert best < 100e-6
