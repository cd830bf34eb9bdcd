"""What of ours the author's name shows, from the octets of the field."""

import pytest

from poterne.message.header import index
from poterne.policy.ours import Ours
from poterne.session.smtp.verdict import _displayed
from tests.unit.policy.mail_evidence import rules

OURS = Ours(["ours.fr"], rules())


def displayed(value: bytes) -> str:
    header = index(b"From: " + value + b"\r\n\r\n")
    return _displayed(OURS, header, 1)


@pytest.mark.parametrize(
    "name",
    [
        b'"boss@ours.fr"',
        b"=?utf-8?q?b=D0=BEss@ours.fr?=",
        b"=?utf-8?q?b=D0=BEss=40ours.fr?=",
        b"=?utf-8?q?boss=40=D0=BEurs.fr?=",
        b"boss @ ours.fr",
        b"boss_at_ours.fr",
        b'"boss (at) ours.fr"',
        b"boss@ours.fr",
        b"The boss\r\n (boss@ours.fr)",
    ],
)
def test_shown(name: bytes) -> None:
    assert displayed(name + b" <x@evil.example>")


@pytest.mark.parametrize(
    "value",
    [
        b"x@evil.example",
        b"<x@evil.example>",
        b"Ann <x@evil.example>",
        b'"Ann at ours.fr" <x@evil.example>',
        b'"Ann @ Work" <x@evil.example>',
        b"=?utf-8?q?Ann_Lef=C3=A8vre?= <x@evil.example>",
        b'"ann@friends.example" <x@evil.example>',
    ],
)
def test_not_shown(value: bytes) -> None:
    assert displayed(value) == ""
