import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.mailauth.dmarc import external
from poterne.mailauth.dmarc.external import Consent, Destination
from tests.unit.mailauth.dmarc.zone import Zone

ASKED = "blue.example.com._report._dmarc.red.example.net"


def asked(zone: Zone, uri: str, domain: str = "blue.example.com") -> Destination:
    return zone.run(external.consent(domain, uri))


@pytest.mark.parametrize(
    ("texts", "consent", "to"),
    [
        # RFC 7489 §7.1, RFC 9989 §B.2.3, §B.2.4
        (["v=DMARC1"], Consent.GIVEN, ("mailto:reports@red.example.net",)),
        (["v=DMARC1;"], Consent.GIVEN, ("mailto:reports@red.example.net",)),
        (["v=DMARC1; rua=mailto:other@red.example.net"], Consent.GIVEN, ("mailto:other@red.example.net",)),
        (["v=DMARC1; rua=mailto:a@RED.example.net,mailto:b@red.example.net"], Consent.GIVEN, ("mailto:a@RED.example.net", "mailto:b@red.example.net")),
        (["v=DMARC1; rua=mailto:other@victim.test"], Consent.REFUSED, ()),
        (["v=DMARC1; rua=mailto:a@red.example.net,mailto:other@victim.test"], Consent.REFUSED, ()),
        (["v=DMARC1; rua=https://red.example.net/"], Consent.REFUSED, ()),
        (["v=DMARC1", "hello"], Consent.GIVEN, ("mailto:reports@red.example.net",)),
        (["v=DMARC1", "v=DMARC1"], Consent.GIVEN, ("mailto:reports@red.example.net",)),
        (["hello"], Consent.REFUSED, ()),
        (["v=dmarc1"], Consent.REFUSED, ()),
        ([], Consent.REFUSED, ()),
        (None, Consent.UNKNOWN, ()),
    ],
)  # fmt: skip
def test_a_host_elsewhere_is_asked(texts: list[str] | None, consent: Consent, to: tuple[str, ...]) -> None:
    zone = Zone({ASKED: texts} if texts != [] else {})
    got = asked(zone, "mailto:reports@red.example.net")
    assert (got.consent, got.to, got.host) == (consent, to, "red.example.net")
    assert zone.asked == [ASKED]
    assert got.consent.sends is bool(to)


def test_the_same_domain_is_asked_nothing() -> None:
    zone = Zone({})
    got = asked(zone, "mailto:dmarc@Blue.example.com")
    assert (got.consent, got.to, zone.asked) == (Consent.INTERNAL, ("mailto:dmarc@Blue.example.com",), [])


def test_the_same_organisation_need_not_consent() -> None:
    zone = Zone({"_dmarc.example.com": "v=DMARC1; p=none"})
    assert asked(zone, "mailto:dmarc@mail.example.com").consent is Consent.INTERNAL
    assert zone.asked == ["_dmarc.blue.example.com", "_dmarc.example.com", "_dmarc.com", "_dmarc.mail.example.com"]
    zone = Zone({"_dmarc.com": "v=DMARC1; p=none; psd=y", "_dmarc.example.com": "v=DMARC1; p=none"})
    assert asked(zone, "mailto:dmarc@victim.com").consent is Consent.REFUSED


def test_an_organisation_that_is_not_known_does_not_refuse() -> None:
    zone = Zone({"_dmarc.com": None})
    assert asked(zone, "mailto:dmarc@mail.example.com").consent is Consent.UNKNOWN
    zone = Zone({"_dmarc.com": None, "blue.example.com._report._dmarc.mail.example.com": "v=DMARC1"})
    assert asked(zone, "mailto:dmarc@mail.example.com").consent is Consent.GIVEN


@pytest.mark.parametrize(
    "uri", ["https://red.example.net/", "mailto:x", "x@red.example.net", "mailto:a@[192.0.2.1]", ""]
)
def test_what_is_no_mailbox_is_asked_nothing(uri: str) -> None:
    zone = Zone({})
    assert asked(zone, uri).consent is Consent.UNSUPPORTED
    assert zone.asked == []


def test_several_destinations_are_asked_at_once() -> None:
    uris = [
        "mailto:a@red.example.net",
        "mailto:b@red.example.net",
        "mailto:a@agg.test",
        "mailto:me@blue.example.com",
        "mailto:a@agg.test",
    ]
    zone = Zone({ASKED: "v=DMARC1", "blue.example.com._report._dmarc.agg.test": None})
    got = zone.run(external.consents("blue.example.com", uris))
    assert [one.uri for one in got] == uris[:4]
    assert [one.consent for one in got] == [Consent.GIVEN, Consent.GIVEN, Consent.UNKNOWN, Consent.INTERNAL]
    assert (zone.steps, len(zone.asked)) == (1, 2)


def test_the_number_of_destinations_is_bounded() -> None:
    zone = Zone({})
    uris = [f"mailto:a@h{number}.com" for number in range(50)]
    assert len(zone.run(external.consents("blue.example.com", uris))) == external.DESTINATIONS_MOST
    assert len(zone.asked) <= 3 + external.DESTINATIONS_MOST * 2


def test_a_wrong_policy_domain_is_asked_nothing() -> None:
    zone = Zone({})
    assert asked(zone, "mailto:a@x.test", "[192.0.2.1]").consent is Consent.UNSUPPORTED
    assert zone.asked == []


HOSTS = st.sampled_from(["example.com", "blue.example.com", "mail.example.com", "victim.com", "red.test", "x.red.test"])
RECORDS = st.sampled_from(
    [None, [], ["v=DMARC1"], ["v=DMARC1; rua=mailto:z@red.test"], ["v=DMARC1; psd=n"], ["v=DMARC1; psd=y"]]
)


@given(
    HOSTS,
    st.lists(HOSTS.map(lambda host: f"mailto:a@{host}"), max_size=4),
    st.dictionaries(HOSTS, RECORDS),
    st.dictionaries(st.tuples(HOSTS, HOSTS), RECORDS),
)
def test_nothing_goes_where_it_is_not_wanted(
    domain: str,
    uris: list[str],
    records: dict[str, list[str] | None],
    consents: dict[tuple[str, str], list[str] | None],
) -> None:
    texts: dict[str, str | list[str] | None] = {f"_dmarc.{name}": text for name, text in records.items()}
    texts |= {external.name(*pair): text for pair, text in consents.items()}
    for got in Zone(texts).run(external.consents(domain, uris)):
        assert bool(got.to) is got.consent.sends
        assert all(uri.rpartition("@")[2] == got.host for uri in got.to)
        if got.consent is Consent.GIVEN:
            said = consents[domain, got.host]
            assert said is not None
            assert said[0].startswith("v=DMARC1")
        elif got.consent is Consent.INTERNAL:
            assert got.host.rpartition(".")[2] == domain.rpartition(".")[2]
