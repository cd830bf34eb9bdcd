"""Which capabilities can be switched off, and what goes with them."""

import pytest

from poterne.proto.imap.table import COMMANDS
from poterne.values import capabilities
from poterne.values.capabilities import CapabilityError, checked, commands_gone, switched_off


def test_names_are_taken_as_people_write_them() -> None:
    assert checked(["sort", " Idle ", "utf8", "IDLE"]) == ("IDLE", "UTF8", "SORT")
    assert checked([]) == ()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("QRESINC", '"QRESINC" is no capability of this server: did you mean QRESYNC?'),
        ("42", "there are IMAP4rev1, IMAP4rev2"),
        ("IMAP4rev1", "it is the protocol itself"),
        ("auth=plain", "AUTH=PLAIN cannot be switched off: it is told before sign-in"),
        ("STARTTLS", "before sign-in"),
    ],
)
def test_what_cannot_be_switched_off(name: str, says: str) -> None:
    with pytest.raises(CapabilityError) as caught:
        checked(["IDLE", name])
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("names", "gone"),
    [
        ((), set()),
        (("NO-LONGER-THERE",), set()),
        (("REPLACE",), {"REPLACE"}),
        (("condstore",), {"CONDSTORE", "QRESYNC"}),
        (("UTF8",), {"UTF8=ACCEPT"}),
        (("QUOTA",), {"QUOTA", "QUOTA=RES-STORAGE", "QUOTA=RES-MESSAGE"}),
        (("QUOTA=RES-MESSAGE",), {"QUOTA=RES-MESSAGE"}),
        (("IDLE",), {"IDLE", "IMAP4rev2"}),
    ],
)
def test_what_goes_with_it(names: tuple[str, ...], gone: set[str]) -> None:
    assert switched_off(names) == gone


def test_commands_go_with_the_last_capability_of_their_family() -> None:
    assert commands_gone(switched_off(["SORT=DISPLAY"])) == set()
    assert commands_gone(switched_off(["SORT"])) == {"SORT", "UID SORT"}
    assert commands_gone(switched_off(["THREAD=REFERENCES"])) == set()
    assert commands_gone(switched_off(["THREAD"])) == {"THREAD", "UID THREAD"}


def test_the_tables_speak_of_what_there_is() -> None:
    known = set(capabilities.SIGNED_IN)
    families = {capabilities.family(name) for name in known}
    assert set(capabilities.COMMANDS) <= known | families
    assert {name.encode() for names in capabilities.COMMANDS.values() for name in names} <= set(COMMANDS)
    assert known >= capabilities.ENABLED
    assert len(known) == len(capabilities.SIGNED_IN)
    for name in capabilities.SIGNED_IN:
        assert switched_off([name]) <= known
