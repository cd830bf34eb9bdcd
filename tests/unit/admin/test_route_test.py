"""`poterne queue route-test` as far as it asks DNS and what is known of TLS: each step is told."""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin.queue import route_test
from poterne.queue.route import Ourselves, Router
from poterne.queue.routes import Routes
from poterne.queue.security import Security
from tests.support.queue_world import Names, Post, SilentLog, post, settings


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Post]:
    async with post(tmp_path) as made:
        yield made


async def test_every_step_of_a_domain_elsewhere(office: Post) -> None:
    names = Names(
        {"far.test": [(20, "b.far.test"), (10, "a.far.test")]},
        {"a.far.test": ["192.0.2.1", "2001:db8::1"], "b.far.test": ["10.0.0.9", "192.0.2.2"]},
    )
    values = settings(private_mx=False)
    values = dataclasses.replace(
        values, outbound_tls=dataclasses.replace(values.outbound_tls, mta_sts=False, dane=False)
    )
    security = Security(office.store, names, values, office.folder, clock=office.clock, log=SilentLog())
    router = Router(Routes({}, office.folder), names, Ourselves("mail.example.org"), lambda _: None, security)
    found = await route_test(office.store, router, "Bob@Far.test", int(office.clock.now))
    assert found.refusal is None
    steps = [f"{what}: {said}" for what, said in found.steps]
    assert steps[0].startswith("address: ")
    for wanted in (
        "local: no: the domain is not served here",
        "route: none: as DNS says",
        "mx: far.test: 20 b.far.test, 10 a.far.test",
        "addresses: b.far.test: 10.0.0.9, 192.0.2.2",
        "passed over: b.far.test [10.0.0.9]: no public address",
        "tls: a.far.test: opportunistic",
        "mta-sts: nothing in force",
        "dane: nothing in force",
    ):
        assert wanted in steps, steps
    assert [(hop.name, hop.address) for hop in found.hops] == [
        ("a.far.test", "2001:db8::1"),
        ("a.far.test", "192.0.2.1"),
        ("b.far.test", "192.0.2.2"),
    ]
