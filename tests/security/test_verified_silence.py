"""Name servers that are silent for a while: what is honest then is put off, and never refused for good.

Whoever can slow down our DNS would else have mail refused that only a signature proves, and its sender told that it is forged.
"""

from dataclasses import replace

import pytest

from poterne.mailauth.arc.outcome import Reason as ArcReason
from poterne.mailauth.dkim import outcome as dkim
from poterne.mailauth.dmarc import outcome as dmarc
from poterne.mailauth.spf import outcome as spf
from poterne.policy.evidence import Evidence
from poterne.policy.inbound import decide
from poterne.policy.reasons import Reason
from poterne.policy.verdict import Accept, Defer, Refuse
from poterne.values.dns import Failure, TempFail
from tests.unit.mailauth.arc import sealed
from tests.unit.policy.mail_evidence import OURS, OWN, SEALED, made, of_dmarc, of_helo, of_spf, rules, signed

LATE = dkim.Reason.KEY_UNAVAILABLE
SILENT = TempFail(Failure.TIMEOUT, "no answer")


def ours(key: dkim.Reason) -> Evidence:
    """Sent by a service that our SPF record names, signed with our key."""
    passed = replace(of_dmarc(dmarc.Reason.ALIGNED, author=OURS), aligned_spf=OURS)
    if key is dkim.Reason.VERIFIED:
        passed = replace(passed, aligned_dkim=(OURS,))
    return made(
        OWN, dmarc=passed, mail_from=of_spf(domain=OURS), dkim=(signed(OURS, key),), reverse_path_domain=OURS,
        own_reverse_path=OURS,
    )  # fmt: skip


def test_our_own_mail_whose_key_is_silent_is_put_off() -> None:
    """SPF proves the server, which is not enough in our own name: the signature decides, and is not known."""
    assert isinstance(decide(ours(dkim.Reason.VERIFIED)), Accept)
    assert decide(ours(LATE)) == Defer(Reason.DNS)
    assert decide(ours(dkim.Reason.SIGNATURE)) == Refuse(Reason.OWN_DOMAIN)


def test_a_silent_key_of_somebody_else_is_no_reason_to_put_off_what_is_forged_in_our_name() -> None:
    stranger = replace(ours(dkim.Reason.SIGNATURE), dkim=(signed("k.example", LATE),))
    assert decide(stranger) == Refuse(Reason.OWN_DOMAIN)


@pytest.mark.parametrize("silent", [1, 2])
def test_a_sealer_that_is_named_and_silent_puts_off(silent: int) -> None:
    """With the outcome that the verifier itself gives."""
    whole = sealed.message(sealed.chain(2))
    keys = dict(sealed.answers())
    named = replace(
        SEALED, author_domain="example.org", dmarc=of_dmarc(author="example.org"),
        rules=rules(arc_sealers=["hop1.example", "hop2.example"]),
    )  # fmt: skip
    assert isinstance(decide(replace(named, arc=sealed.verify(whole, keys))), Accept)
    keys[f"sel._domainkey.{sealed.sealer(silent)}"] = SILENT
    outcome = sealed.verify(whole, keys)
    assert outcome.reason is ArcReason.KEY_UNAVAILABLE
    assert decide(replace(named, arc=outcome)) == Defer(Reason.DNS)
    # Nobody whom the settings name: what it would say does not matter.
    stranger = replace(named, rules=rules(arc_sealers=["hop1.example"]), arc=outcome)
    assert decide(stranger) == Refuse(Reason.DMARC_REJECT)


def test_what_a_forger_keeps_silent_tilts_nothing() -> None:
    """Slow name servers of the forger's own, for each thing it may choose."""
    late = spf.Result.TEMPERROR
    for evidence in (
        made(mail_from=of_spf(late), helo=of_helo(late), dkim=(signed("k.example", LATE),)),
        made(OWN, mail_from=of_spf(late), helo=of_helo(late), dkim=(signed("k.example", LATE),)),
    ):
        assert isinstance(decide(evidence), Refuse)
