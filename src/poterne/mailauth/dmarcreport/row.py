"""One message as it is counted for the report: who sent it, what was found out, what was done."""

from collections.abc import Sequence
from typing import Final

from poterne.mailauth.dkim.outcome import Outcome as DkimOutcome
from poterne.mailauth.dmarc.outcome import Outcome as DmarcOutcome
from poterne.mailauth.spf.outcome import Identity
from poterne.mailauth.spf.outcome import Outcome as SpfOutcome
from poterne.values.dmarc import DkimAuth, DmarcRow, Override, SpfAuth

DKIM_MOST: Final = 8
"""Signatures of a row."""


def row(
    client: str,
    envelope_from: str,
    spf: Sequence[SpfOutcome],
    dkim: Sequence[DkimOutcome],
    outcome: DmarcOutcome,
    disposition: str,
    overrides: tuple[Override, ...] = (),
) -> DmarcRow | None:
    """The row with a count of 1; None: the domain publishes nothing, or asks for no report.

    `envelope_from`: the domain of MAIL FROM, "" for the null path. `disposition`: what was done because of DMARC: "none",
    "quarantine" or "reject"; `overrides` say why that is not what the domain asks for.
    """
    if outcome.policy is None or not outcome.rua:
        return None
    if disposition == "none" and outcome.policy.p not in {"", "none"} and (outcome.aligned_dkim or outcome.aligned_spf):
        disposition = "pass"
    return DmarcRow(
        client,
        1,
        disposition,
        "pass" if outcome.aligned_dkim else "fail",
        "pass" if outcome.aligned_spf else "fail",
        outcome.author_domain,
        envelope_from,
        dkim_results=signatures(dkim, outcome.aligned_dkim),
        spf_results=tuple(dict.fromkeys(_spf(one, envelope_from) for one in spf if one.domain)),
        overrides=overrides,
    )


def _spf(outcome: SpfOutcome, envelope_from: str) -> SpfAuth:
    """Of the null path it is the name in HELO that was asked (RFC 7208 §2.4)."""
    scope = "mfrom" if outcome.identity is Identity.MAIL_FROM and envelope_from else "helo"
    return SpfAuth(outcome.domain, scope, outcome.result.value)


def signatures(dkim: Sequence[DkimOutcome], aligned: Sequence[str]) -> tuple[DkimAuth, ...]:
    """Those that tell most come first (RFC 9990 §3.1.3): aligned ones, then others that pass; DKIM_MOST at most."""
    readable = [one for one in dkim if one.domain]
    if len(readable) > 1:
        readable.sort(key=lambda one: 2 if not one.authenticates else one.domain not in aligned)
    return tuple(dict.fromkeys(DkimAuth(one.domain, one.selector, one.result.value) for one in readable[:DKIM_MOST]))
