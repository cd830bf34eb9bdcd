"""What SPF, DKIM and DMARC came to, in words for a text. Bounded; made only when something is to be told."""

from typing import Final

from poterne.mailauth.dkim import outcome as dkim_outcome
from poterne.mailauth.dmarc import outcome as dmarc_outcome
from poterne.mailauth.spf import outcome as spf_outcome
from poterne.policy.domains import related
from poterne.policy.evidence import Evidence
from poterne.policy.reasons import Told

_SPF: Final = {
    spf_outcome.Result.NONE: "{domain} has no SPF record",
    spf_outcome.Result.NEUTRAL: "SPF of {domain} says nothing of your server",
    spf_outcome.Result.FAIL: "SPF of {domain} fails",
    spf_outcome.Result.SOFTFAIL: "SPF of {domain} fails softly",
    spf_outcome.Result.PERMERROR: "the SPF record of {domain} has an error",
    spf_outcome.Result.TEMPERROR: "SPF of {domain} is unknown now",
}


def told(evidence: Evidence) -> Told:
    """The facts of this message. Names are those that strangers gave: texts cut and clean them."""
    outcome = evidence.dmarc
    return Told(
        author=evidence.author_domain,
        spf=_spf(evidence),
        dkim=_dkim(evidence),
        policy=outcome.requested.value,
        tag=outcome.applied_tag,
        record_at=outcome.policy.domain if outcome.policy is not None else "",
        record=outcome.record,
        imitated=evidence.lookalike.of if evidence.lookalike is not None else evidence.displayed,
        reverse_path=evidence.reverse_path_domain or evidence.mail_from.domain,
        unknown=_unknown(evidence),
    )


def notes(evidence: Evidence) -> tuple[str, ...]:
    """What decided nothing and is worth knowing all the same, as stable words for the event: `np`, `lookalike-part`…"""
    found = []
    outcome = evidence.dmarc
    if outcome.result is dmarc_outcome.Result.FAIL and outcome.applied_tag == "np":
        found.append("np")  # the author's domain does not exist
    if outcome.policy is not None and outcome.policy.testing:
        found.append("dmarc-testing")
    if evidence.lookalike is not None:
        found.append(f"lookalike-{evidence.lookalike.kind.value}")
    if evidence.mail_from.result is spf_outcome.Result.FAIL:
        found.append("spf-fail")
    if any(one.result is dkim_outcome.Result.PASS and one.testing for one in evidence.dkim):
        found.append("dkim-testing")
    return tuple(found)


def _spf(evidence: Evidence) -> str:
    outcome = evidence.mail_from
    domain = outcome.domain or "the reverse path"
    if outcome.result is not spf_outcome.Result.PASS:
        return _SPF[outcome.result].format(domain=domain)
    other = "" if related(domain, evidence.author_domain) else ", another domain"
    return f"SPF passes for {domain}{other}"


def _dkim(evidence: Evidence) -> str:
    """Of the signature that says most: one of the author's domain, one that passes, the first."""
    if not evidence.dkim:
        return ""
    author = evidence.author_domain
    one = max(evidence.dkim, key=lambda each: (bool(each.domain) and related(each.domain, author), each.authenticates))
    domain = one.domain or "an unknown domain"
    if one.result is dkim_outcome.Result.TEMPERROR:
        return f"the DKIM key of {domain} is unknown now"
    if one.result is not dkim_outcome.Result.PASS:
        return f"the DKIM signature of {domain} does not count ({one.reason.value})"
    if one.testing:
        return f"DKIM of {domain} is only being tested (t=y)"
    return f"DKIM passes for {domain}" + ("" if related(domain, author) else ", another domain")


def _unknown(evidence: Evidence) -> str:
    """What to name as the cause when DNS failed: the most specific."""
    if evidence.dmarc.reason is dmarc_outcome.Reason.DKIM_DNS:
        return "dkim"
    if evidence.dmarc.reason is dmarc_outcome.Reason.SPF_DNS:
        return "spf"
    if evidence.dmarc.result is dmarc_outcome.Result.TEMPERROR:
        return "dmarc"
    if evidence.mail_from.result is spf_outcome.Result.TEMPERROR:
        return "spf"
    if any(one.result is dkim_outcome.Result.TEMPERROR for one in evidence.dkim):
        return "dkim"
    return "dmarc"
