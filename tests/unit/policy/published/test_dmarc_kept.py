"""A proposal never weakens what is in DNS."""

import pytest

from poterne.policy.published.dmarc_kept import at_least
from poterne.values.zone import text_of, txt


@pytest.mark.parametrize(
    ("wanted", "live", "policy"),
    [
        ("none", [b"v=DMARC1; p=reject"], "reject"),
        ("none", [b"v=DMARC1; p=quarantine; rua=mailto:a@b.test"], "quarantine"),
        ("quarantine", [b"v=DMARC1; p=reject; sp=none"], "reject"),
        ("reject", [b"v=DMARC1; p=none"], "reject"),
        ("quarantine", [b"v=DMARC1; p=quarantine"], "quarantine"),
        ("none", [b"v=DMARC1; p=none", b"v=DMARC1; p=reject"], "reject"),
        ("none", [b"v=DMARC1; p=nonsense", b"v=spf1 -all", b"", b"v=DMARC1"], "none"),
        ("none", [], "none"),
    ],
)
def test_a_policy_is_never_made_milder(wanted: str, live: list[bytes], policy: str) -> None:
    proposed = txt("_dmarc.a.test", f"v=DMARC1; p={wanted}; np=reject; rua=mailto:p=none@a.test", "dmarc")
    kept = at_least(proposed, live)
    assert text_of(kept.data) == f"v=DMARC1; p={policy}; np=reject; rua=mailto:p=none@a.test".encode()
    assert kept.name == proposed.name


def test_other_texts_are_left_alone() -> None:
    spf = txt("a.test", "v=spf1 p=none", "spf")
    assert at_least(spf, [b"v=DMARC1; p=reject"]) is spf
