"""What the report to the author's domain says was done with a message, and why it is not what the domain asks for (RFC 9990).

The report is about DMARC. What else was found (a look-alike, a name) is not told: a forger would read how to do better.
"""

from typing import Final

from poterne.mailauth.dmarc.outcome import Outcome, Policy, Result
from poterne.policy.reasons import Sign
from poterne.policy.verdict import Accept, Defer, Refuse, Verdict
from poterne.values.dmarc import Override

_SIGNS: Final = {
    Sign.SEALER: Override("local_policy", "arc=pass"),
    Sign.FORWARDER: Override("trusted_forwarder"),
    Sign.NAMED_LIST: Override("mailing_list"),
    Sign.KNOWN_LIST: Override("mailing_list"),
}
_DONE: Final = {"none": 0, "quarantine": 1, "reject": 2}
_LOCAL: Final = Override("local_policy")
_TESTING: Final = Override("policy_test_mode")


def disposition(outcome: Outcome, verdict: Verdict) -> tuple[str, tuple[Override, ...]] | None:
    """`disposition` ("none", "pass", "quarantine", "reject") and the reasons; None: it is not to be counted.

    Not counted are messages without a policy, and what was deferred: it comes again.
    """
    if isinstance(verdict, Defer) or outcome.policy is None:
        return None
    if outcome.result is Result.PASS:
        return "pass", ()
    if outcome.result is not Result.FAIL:
        return None
    done = "none" if isinstance(verdict, Accept) else "reject" if isinstance(verdict, Refuse) else "quarantine"
    reasons: list[Override] = []
    if outcome.policy.testing and _published(outcome) != Policy.NONE.value:
        reasons.append(_TESTING)
    if done != outcome.requested.value:
        milder = _DONE[done] < _DONE[outcome.requested.value]
        reasons.append(_SIGNS[verdict.found.sign] if milder and verdict.found is not None else _LOCAL)
    return done, tuple(reasons)


def _published(outcome: Outcome) -> str:
    """The policy of the tag that applied, before t=y."""
    published = outcome.policy
    if published is None:
        return Policy.NONE.value
    by_tag = {"p": published.p, "sp": published.sp, "np": published.np}
    return by_tag.get(outcome.applied_tag, published.p) or published.p or Policy.NONE.value
