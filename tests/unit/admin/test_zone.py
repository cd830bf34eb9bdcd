"""What is gathered for a domain's zone: addresses, keys, issuers, whose domains."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from poterne.admin import people, zone
from poterne.admin.people import AdminError
from poterne.config.load import parse
from poterne.config.settings import Settings
from poterne.mailauth.mtasts.policy import Mode, Policy
from poterne.policy.published.wanted import wanted
from poterne.store.interface import Store
from poterne.values.ids import TraceId
from tests.support.outbound import Authority
from tests.support.published import digest
from tests.support.stores import AT, Clock, sqlite

HOST = "mail.d.test"
MX = '[listener.mx]\nservice = "mx"\nport = 25\n'


def settings(text: str = "", server: str = "") -> Settings:
    return parse(f'[server]\nhostname = "{HOST}"\n{server}\n{text}', Path("poterne.toml"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = sqlite(tmp_path / "data", Clock())
    await people.add_domain(made, "d.test", people.Acting("test", AT, TraceId("t")))
    yield made
    await made.close()


async def test_addresses_of_the_listeners(store: Store, tmp_path: Path) -> None:
    values = settings(MX + 'addresses = ["5.45.100.25", "2a01:4f8::25", "127.0.0.1", "10.0.0.1"]\n')
    found = await zone.facts(store, values, tmp_path, [], "d.test")
    assert found.addresses == ("5.45.100.25", "2a01:4f8::25")
    assert zone.addresses(settings(MX + 'addresses = ["0.0.0.0"]\n')) == ()
    assert zone.addresses(settings('[publish]\naddresses = ["5.45.100.26"]\n')) == ("5.45.100.26",)


async def test_keys_in_use_and_to_come(store: Store, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    for name in (HOST, "other.test", "next.d.test"):
        authority.context(name)
    mine, other, after = (tmp_path / f"{name}2.pem" for name in (HOST, "other.test", "next.d.test"))
    values = settings(f'[publish]\nnext_keys = ["{after.name}"]\n')
    found = await zone.facts(store, values, tmp_path, [mine, other, tmp_path / "none.pem"], "d.test")
    assert found.keys == (digest(mine), digest(after))
    assert found.issuers == ()
    tlsa = [record.data for record in wanted(found) if record.type == "TLSA"]
    assert tlsa == [f"3 1 1 {digest(one).hex()}" for one in (mine, after)]
    (tmp_path / "bad.pem").write_text("nothing")
    for name in ("bad.pem", "none.pem"):
        with pytest.raises(AdminError, match="next_keys"):
            await zone.facts(store, settings(f'[publish]\nnext_keys = ["{name}"]\n'), tmp_path, [], "d.test")


async def test_the_policy_needs_somebody_who_serves_it(store: Store, tmp_path: Path) -> None:
    assert zone.sts_policy(settings(), "d.test") is None
    https = '[listener.h]\nservice = "https"\nport = 443\ntls = "implicit"\n'
    assert zone.sts_policy(settings(https), "d.test") == Policy(Mode.TESTING, 604_800, (HOST,))
    chosen = settings(https + '[zone."d.test"]\nmta_sts = "none"\n[publish]\nexchangers = ["5 a.test", "9 b.test"]\n')
    assert zone.sts_policy(chosen, "d.test") == Policy(Mode.NONE, 604_800, ("a.test", "b.test"))
    found = await zone.facts(store, chosen, tmp_path, [], "d.test")
    records = wanted(found)
    assert [one.data for one in records if one.type == "MX"] == ["5 a.test.", "9 b.test."]
    # With mode none the record stays, with another id: else nobody would fetch what ends the policy.
    assert any(one.name == "_mta-sts.d.test" for one in records)


async def test_what_an_edge_takes_mail_for(store: Store, tmp_path: Path) -> None:
    route = '[route.in]\ndomains = ["far.test", ".far.test"]\nhost = "inner.d.test"\ninbound = true\n'
    values = settings(MX + route, 'role = "edge"')
    assert await zone.our_domains(store, values) == ("d.test", "far.test")
    found = await zone.facts(store, values, tmp_path, [], "far.test")
    records = wanted(found)
    assert any(one.type == "MX" for one in records)
    assert not any(one.type == "SRV" for one in records)  # mail programs connect to the server behind
    with pytest.raises(AdminError, match="poterne domain add"):
        await zone.facts(store, values, tmp_path, [], "sub.far.test")


async def test_reports_elsewhere_need_a_word_there(store: Store, tmp_path: Path) -> None:
    values = settings('[zone."d.test"]\ndmarc = "quarantine"\ndmarc_rua = ["a!b@far.test"]\n')
    records = wanted(await zone.facts(store, values, tmp_path, [], "d.test"))
    (dmarc,) = (one.value for one in records if one.purpose == "dmarc")
    assert dmarc == "v=DMARC1; p=quarantine; np=reject; rua=mailto:dmarc-reports@d.test,mailto:a%21b@far.test"
    (authorised,) = (one for one in records if one.purpose == "dmarc-report")
    assert authorised.name == "d.test._report._dmarc.far.test"
    assert not authorised.below("d.test")
