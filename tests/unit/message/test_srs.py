import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poterne.message.srs import MAX_AGE_DAYS, Hidden, Original, Srs, SrsFault
from poterne.values.address import Address, AddressError
from poterne.values.secret import Secret

DAY = 86_400
NOW = 1_790_062_865
VIA = "fwd@example.org"
SRS = Srs([Secret(b"0123456789abcdef0123456789abcdef")])
OTHER = Srs([Secret(b"another key, another key, another")])


def back(path: str, now: int = NOW, srs: Srs = SRS) -> object:
    return srs.reverse(Address.parse(path), now)


atoms = st.text(alphabet=string.ascii_letters + string.digits + "!#$&'*+-/=?^_`{|}~éß", min_size=1, max_size=20)
domains = st.from_regex(r"[a-z]{1,10}(-[a-z]{1,5})?\.[a-z]{2,5}", fullmatch=True)


@st.composite
def addresses(draw: st.DrawFn) -> str:
    local_part = ".".join(draw(st.lists(atoms, min_size=1, max_size=2)))
    try:
        return str(Address.parse(f"{local_part}@{draw(domains)}"))
    except AddressError:
        return "plain@example.com"


def test_forms() -> None:
    path = SRS.rewrite("Paul@example.com", VIA, NOW)
    assert path.startswith("SRS0=")
    assert path.endswith("=example.com=Paul@example.org")
    assert back(path) == Original("Paul@example.com")


def test_null_path_and_own_domains_stay() -> None:
    assert SRS.rewrite("", VIA, NOW) == ""
    assert SRS.rewrite("ann@example.org", VIA, NOW, local=True) == "ann@example.org"


def test_path_of_another_forwarder_is_chained_and_undone_to_it() -> None:
    path = SRS.rewrite("SRS0=HHHH=TT=example.com=paul@first.example", VIA, NOW)
    assert path.startswith("SRS1=")
    assert path.endswith("=first.example==HHHH=TT=example.com=paul@example.org")
    assert back(path) == Original("SRS0=HHHH=TT=example.com=paul@first.example")


@pytest.mark.parametrize("separator", ["=", "-", "+"])
def test_second_forwarder_is_dropped_and_separator_of_the_first_is_kept(separator: str) -> None:
    path = SRS.rewrite(f"srs1=hash=first.example={separator}HHHH=TT=a.example=b@second.example", VIA, NOW)
    assert back(path) == Original(f"SRS0{separator}HHHH=TT=a.example=b@first.example")
    assert "second" not in path


def test_two_of_us_in_a_row() -> None:
    first = SRS.rewrite("paul@example.com", "a@first.example", NOW)
    second = OTHER.rewrite(first, "b@second.example", NOW)
    third = SRS.rewrite(second, "c@third.example", NOW)
    assert back(third) == Original(str(Address.parse(first)))
    assert back(first) == Original("paul@example.com")


@pytest.mark.parametrize(
    "sender",
    [
        "bounces+1234567-abcd-user=example.org@em1234.mailer.example",
        "a" * 64 + "@example.com",
        "user%host@example.com",
        '"a@b"@example.com',
        "SRS0=HHHH=TT=" + "d" * 30 + ".example=" + "l" * 15 + "@first.example",
    ],
)
def test_what_has_no_room_is_hidden_and_names_who_forwarded(sender: str) -> None:
    path = SRS.rewrite(sender, VIA, NOW)
    assert path.startswith("SRS2=")
    assert path.endswith("=fwd@example.org")
    assert back(path) == Hidden(VIA)
    assert back(path, NOW + 22 * DAY) is SrsFault.EXPIRED


def test_hidden_with_a_long_name_of_ours_is_for_postmaster() -> None:
    path = SRS.rewrite("a" * 64 + "@example.com", "f" * 60 + "@example.org", NOW)
    assert back(path) == Hidden("postmaster@example.org")


def test_age() -> None:
    path = SRS.rewrite("paul@example.com", VIA, NOW)
    for days in (-1, 0, 1, MAX_AGE_DAYS):
        assert back(path, NOW + days * DAY) == Original("paul@example.com")
    for days in (-2, MAX_AGE_DAYS + 1, 100, 1000):
        assert back(path, NOW + days * DAY) is SrsFault.EXPIRED
    chained = SRS.rewrite("SRS0=HHHH=TT=example.com=paul@first.example", VIA, NOW)
    assert back(chained, NOW + (MAX_AGE_DAYS + 1) * DAY) is SrsFault.EXPIRED


def test_stamp_wraps_around() -> None:
    last_day = 1023 * DAY
    path = SRS.rewrite("paul@example.com", VIA, last_day)
    assert back(path, last_day + 5 * DAY) == Original("paul@example.com")


def test_keys_are_replaced() -> None:
    old, new = Secret(b"o" * 16), Secret(b"n" * 16)
    path = Srs([old]).rewrite("paul@example.com", VIA, NOW)
    both = Srs([new, old])
    assert back(path, srs=both) == Original("paul@example.com")
    assert back(path, srs=Srs([new])) is SrsFault.HASH
    assert back(both.rewrite("paul@example.com", VIA, NOW), srs=Srs([new])) == Original("paul@example.com")


@pytest.mark.parametrize("keys", [[], [b"short"], [b"k" * 16, b""]])
def test_weak_keys_are_refused(keys: list[bytes]) -> None:
    with pytest.raises(ValueError, match="SRS key"):
        Srs([Secret(key) for key in keys])


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.org",
        "srs0@example.org",
        "SRS0=AAAAAAAA@example.org",
        "SRS0=AAAA=HO=example.com=paul@example.org",
        "SRS0=AAAAAAA1=HO=example.com=paul@example.org",
        "SRS0=AAAAAAAA=HO=example.com@example.org",
        "SRS0=AAAAAAAA=HO==paul@example.org",
        "SRS0=AAAAAAAA=HO=example.com=@example.org",
        "SRS0+AAAAAAAA=HO=example.com=paul@example.org",
        "SRS1=AAAAAAAAAA=first.example@example.org",
        "SRS1=AAAAAAAAAA=first.example=paul@example.org",
        "xSRS0=AAAAAAAA=HO=example.com=paul@example.org",
        "SRS3=AAAAAAAA=HO=x@example.org",
    ],
)
def test_what_has_not_our_form_is_no_srs(address: str) -> None:
    assert back(address) is None


@given(addresses(), st.integers(0, 2**33))
def test_round_trip_in_any_case(address: str, now: int) -> None:
    path = SRS.rewrite(address, VIA, now)
    made = Address.parse(path)
    assert len(made.local_part.encode()) <= 64
    assert made.domain == "example.org"
    found = SRS.reverse(made, now)
    assert found in {Original(str(Address.parse(address))), Hidden(VIA)}
    if path.startswith("SRS0="):
        assert found == Original(str(Address.parse(address)))
    if address.isascii():
        for folded in (path.lower(), path.upper()):
            again = SRS.reverse(Address.parse(folded), now)
            assert isinstance(again, type(found))
            assert str(again).lower() == str(found).lower()


@given(addresses(), st.data())
def test_any_changed_octet_is_not_believed(address: str, data: st.DataObject) -> None:
    path = SRS.rewrite(address, VIA, NOW)
    at = data.draw(st.integers(0, len(path) - 1))
    char = data.draw(st.sampled_from(string.ascii_letters + string.digits + "=+-._"))
    changed = path[:at] + char + path[at + 1 :]
    if changed.lower() == path.lower():
        return
    try:
        found = SRS.reverse(Address.parse(changed), NOW)
    except AddressError:
        return
    assert found is None or isinstance(found, SrsFault)


@given(addresses(), domains)
def test_not_believed_under_another_domain_or_key(address: str, domain: str) -> None:
    path = SRS.rewrite(address, VIA, NOW)
    assert back(path, srs=OTHER) is SrsFault.HASH
    moved = path.rpartition("@")[0] + "@" + domain
    if domain != "example.org":
        assert back(moved) is SrsFault.HASH


@given(addresses())
def test_addresses_of_people_are_no_srs(address: str) -> None:
    parsed = Address.parse(address)
    if not parsed.local_part.lower().startswith("srs"):
        assert SRS.reverse(parsed, NOW) is None


@given(st.text(max_size=80))
def test_always_returns(text: str) -> None:
    SRS.rewrite(text, VIA, NOW)
    SRS.rewrite(f"{text}@example.com", VIA, NOW)
    assert not isinstance(SRS.reverse(Address(text, "example.org"), NOW), Original)
    assert not isinstance(SRS.reverse(Address(f"SRS0=AAAAAAAA=AA={text}", "example.org"), NOW), Original)
