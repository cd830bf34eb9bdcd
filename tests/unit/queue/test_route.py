"""Where a domain's mail goes, by what the settings and DNS say."""

from dataclasses import replace
from pathlib import Path

import pytest

from poterne.config.route import Route
from poterne.queue.outcome import Hop, Permanent, TlsDemand, Transient
from poterne.queue.route import MAX_EXCHANGERS, MAX_HOPS, Ourselves, Router
from poterne.queue.routes import Routes
from poterne.values.dns import Answer, Failure, Found, Mx, NoData, NxDomain, TempFail
from tests.support.queue_world import Names

US = Ourselves("mail.example.org", frozenset({"203.0.113.1"}))
NONE = NoData(secure=False, ttl_s=60)
LOST = TempFail(Failure.TIMEOUT)


def router(
    mx: dict[str, object] | None = None,
    hosts: dict[str, object] | None = None,
    routes: dict[str, Route] | None = None,
    us: Ourselves = US,
    folder: Path = Path("/nonexistent"),
) -> Router:
    names = Names(mx or {}, hosts or {})  # type: ignore[arg-type]
    return Router(Routes(routes or {}, folder), names, us, lambda _: None)


async def hops(found: Router, domain: str) -> list[tuple[str, str]]:
    ways = await found.ways(domain)
    assert isinstance(ways, tuple), ways
    return [(hop.name, hop.address) for hop in ways]


async def refusal(found: Router, domain: str) -> tuple[type, int, str]:
    ways = await found.ways(domain)
    assert not isinstance(ways, tuple)
    assert ways.local
    return type(ways), ways.code, ways.enhanced


# -- public DNS --------------------------------------------------------------------------------------------------------


async def test_exchangers_by_preference_and_ipv6_and_ipv4_in_turn() -> None:
    found = router(
        {"d.test": [(20, "b.test"), (10, "a.test")]},
        {"a.test": ["192.0.3.1", "192.0.3.2", "2a00::1"], "b.test": ["192.0.3.3"]},
    )
    assert await hops(found, "d.test") == [
        ("a.test", "2a00::1"),
        ("a.test", "192.0.3.1"),
        ("a.test", "192.0.3.2"),
        ("b.test", "192.0.3.3"),
    ]
    ways = await found.ways("d.test")
    assert isinstance(ways, tuple)
    assert {(hop.port, hop.helo, hop.tls) for hop in ways} == {(25, "mail.example.org", TlsDemand.OPPORTUNISTIC)}


async def test_a_group_of_the_same_preference_is_shuffled_and_groups_are_not() -> None:
    def backwards(mxs: list[Mx]) -> None:
        mxs.reverse()

    names = Names({"d.test": [(10, "a.test"), (10, "b.test"), (5, "c.test")]}, {n: [f"192.0.3.{i}"] for i, n in enumerate(["a.test", "b.test", "c.test"])})  # fmt: skip
    found = Router(Routes({}, Path()), names, US, backwards)
    assert [name for name, _ in await hops(found, "d.test")] == ["c.test", "b.test", "a.test"]


async def test_without_mx_the_domain_itself() -> None:
    assert await hops(router({"d.test": NONE}, {"d.test": ["192.0.3.1"]}), "d.test") == [("d.test", "192.0.3.1")]


async def test_there_is_a_limit_to_what_is_tried() -> None:
    asked: list[str] = []

    class Counting(Names):
        async def addresses(self, name: str, /) -> Answer[str]:
            asked.append(name)
            return await super().addresses(name)

    names = Counting({"d.test": [(n, f"m{n}.test") for n in range(100)]}, {f"m{n}.test": [f"192.0.3.{n}"] for n in range(100)})  # fmt: skip
    ways = await Router(Routes({}, Path()), names, US, lambda _: None).ways("d.test")
    assert isinstance(ways, tuple)
    assert len(ways) == MAX_HOPS
    assert len(asked) == MAX_EXCHANGERS + 1


@pytest.mark.parametrize(
    ("mx", "hosts", "expected"),
    [
        (NxDomain(False, 1), {}, (Permanent, 550, "5.1.2")),
        (LOST, {}, (Transient, 451, "4.4.3")),
        (Found((Mx(0, ""),), "d.test", False, 1), {}, (Permanent, 556, "5.1.10")),
        (NONE, {"d.test": NONE}, (Permanent, 550, "5.4.4")),
        (NONE, {"d.test": LOST}, (Transient, 451, "4.4.3")),
        ([(10, "gone.test")], {}, (Permanent, 550, "5.4.4")),
        ([(10, "gone.test"), (20, "lost.test")], {"lost.test": LOST}, (Transient, 451, "4.4.3")),
        ([(10, "a.test")], {"a.test": ["10.0.0.1", "127.0.0.1", "::1", "fe80::1", "0.0.0.0"]}, (Permanent, 550, "5.4.4")),
        (
            [(10, "a.test")],
            {"a.test": Found(("10.0.0.1",), "a.test", False, 1, partial=True)},
            (Transient, 451, "4.4.3"),
        ),
        ([(10, "mail.example.org")], {}, (Permanent, 550, "5.4.6")),
        ([(10, "x.test"), (20, "y.test")], {"x.test": ["203.0.113.1"], "y.test": ["192.0.3.1"]}, (Permanent, 550, "5.4.6")),
        ([(10, "x.test")], {"x.test": ["198.18.0.9"], "mail.example.org": ["198.18.0.9"]}, (Permanent, 550, "5.4.6")),
    ],
)  # fmt: skip
async def test_why_there_is_no_way(mx: object, hosts: dict[str, object], expected: object) -> None:
    assert await refusal(router({"d.test": mx}, hosts), "d.test") == expected


async def test_a_null_mx_beside_others_is_a_mistake_and_passed_over() -> None:
    mx = Found((Mx(0, ""), Mx(10, "a.test")), "d.test", secure=False, ttl_s=1)
    assert await hops(router({"d.test": mx}, {"a.test": ["192.0.3.1"]}), "d.test") == [("a.test", "192.0.3.1")]


async def test_better_ones_than_ourselves_are_tried_and_nobody_behind_us() -> None:
    found = router(
        {"d.test": [(5, "best.test"), (10, "mail.example.org"), (10, "equal.test"), (20, "worse.test")]},
        {name: ["192.0.3.1"] for name in ("best.test", "equal.test", "worse.test")},
    )
    assert await hops(found, "d.test") == [("best.test", "192.0.3.1")]


async def test_private_addresses_only_where_a_laboratory_wants_them() -> None:
    mx, hosts = {"d.test": [(10, "a.test")]}, {"a.test": ["127.0.0.5", "192.0.3.1"]}
    assert await hops(router(mx, hosts), "d.test") == [("a.test", "192.0.3.1")]  # type: ignore[arg-type]
    lab = replace(US, private_mx=True, mx_port=2525)
    ways = await router(mx, hosts, us=lab).ways("d.test")  # type: ignore[arg-type]
    assert isinstance(ways, tuple)
    assert [(hop.address, hop.port) for hop in ways] == [("127.0.0.5", 2525), ("192.0.3.1", 2525)]


async def test_source_addresses_are_of_the_same_family() -> None:
    us = replace(US, source_v4="192.0.2.7", source_v6="")
    ways = await router({"d.test": [(10, "a.test")]}, {"a.test": ["2a00::1", "192.0.3.1"]}, us=us).ways("d.test")
    assert isinstance(ways, tuple)
    assert [hop.source for hop in ways] == [None, "192.0.2.7"]


@pytest.mark.parametrize(
    ("literal", "expected"),
    [
        ("[127.0.0.1]", "5.4.4"),
        ("[10.1.2.3]", "5.4.4"),
        ("[203.0.113.1]", "5.4.6"),
        ("[IPv6:::1]", "5.4.4"),
        ("[x]", "5.1.3"),
    ],
)
async def test_address_literals_that_lead_inside(literal: str, expected: str) -> None:
    assert (await refusal(router(), literal))[2] == expected


async def test_address_literals() -> None:
    assert await hops(router(), "[192.0.3.9]") == [("192.0.3.9", "192.0.3.9")]
    assert await hops(router(), "[IPv6:2a00::9]") == [("2a00::9", "2a00::9")]


async def test_without_a_resolver_everything_waits() -> None:
    found = Router(Routes({}, Path()), None, US, lambda _: None)
    assert await refusal(found, "d.test") == (Transient, 451, "4.3.5")


async def test_requiretls_demands_a_proven_server() -> None:
    ways = await router({"d.test": NONE}, {"d.test": ["192.0.3.1"]}).ways("d.test", requiretls=True)
    assert isinstance(ways, tuple)
    assert ways[0].tls is TlsDemand.VERIFIED


# -- routes ------------------------------------------------------------------------------------------------------------

ROUTES = {
    "inside": Route(["example.org", ".example.org"], "192.168.1.5", 24, lmtp=True, inbound=True),
    "deeper": Route([".lab.example.org"], "lab.example.org", ca="ca.pem"),
    "out": Route(["*"], "smart.example.net", 465, implicit_tls=True, user="us", password_file="secret"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("domain", "destination"),
    [
        ("example.org", "route:inside"),
        ("a.example.org", "route:inside"),
        ("a.b.example.org", "route:inside"),
        ("x.lab.example.org", "route:deeper"),
        ("lab.example.org", "route:inside"),
        ("notexample.org", "route:out"),
        ("example.org.evil.test", "route:out"),
        ("[192.0.2.1]", "route:out"),
    ],
)
def test_the_nearest_route_counts(domain: str, destination: str) -> None:
    assert router(routes=ROUTES).destination(domain) == destination


def test_what_comes_in_is_only_for_domains_that_are_written_down() -> None:
    routes = Routes(ROUTES, Path())
    assert routes.inbound("example.org") is not None
    assert routes.inbound("x.lab.example.org") is None
    assert routes.inbound("notexample.org") is None
    assert routes.own("notexample.org") is None
    assert routes.domains_of("route:inside") == {"example.org"}
    assert routes.domains_of("d.test") == {"d.test"}


async def test_a_route_is_taken_instead_of_dns(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"pass word\r\n")
    hosts: dict[str, object] = {"smart.example.net": ["192.0.2.5", "2a00::5"], "lab.example.org": ["10.0.0.9"]}
    found = router(hosts=hosts, routes=ROUTES, folder=tmp_path)

    async def ways(domain: str) -> tuple[Hop, ...]:
        given = await found.ways(domain)
        assert isinstance(given, tuple)
        return given

    (inside,) = await ways("example.org")
    assert (inside.address, inside.port, inside.lmtp, inside.tls) == ("192.168.1.5", 24, True, TlsDemand.VERIFIED)
    assert inside.login is None
    (deeper,) = await ways("x.lab.example.org")
    assert (deeper.address, deeper.name, deeper.ca_file) == ("10.0.0.9", "lab.example.org", tmp_path / "ca.pem")
    six, four = await ways("anywhere.test")
    assert (six.address, four.address, six.implicit_tls) == ("2a00::5", "192.0.2.5", True)
    assert six.login is not None
    assert (six.login.user, six.login.password.reveal()) == ("us", b"pass word")


async def test_a_route_that_can_t_be_used_now_keeps_the_mail() -> None:
    found = router(routes=ROUTES)
    assert await refusal(found, "anywhere.test") == (Transient, 451, "4.3.5")  # no password file
    assert await refusal(found, "x.lab.example.org") == (Transient, 451, "4.4.3")  # no address


async def test_steps_are_told() -> None:
    told: list[tuple[str, str]] = []
    mx = {"d.test": [(5, "a.test"), (10, "mail.example.org")]}
    found = router(mx, {"a.test": ["10.0.0.1"]})  # type: ignore[arg-type]
    await found.ways("d.test", note=lambda what, said: told.append((what, said)))
    assert [what for what, _ in told] == ["route", "mx", "addresses", "addresses", "ourselves", "passed over"]
    assert "5 a.test, 10 mail.example.org" in told[1][1]
