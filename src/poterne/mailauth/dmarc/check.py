"""Does the author's domain answer for this message? (RFC 9989 §4.10.2, §5.3)

Theory of operation. A domain that SPF or DKIM proved counts when it is aligned with the author's: the same, or, where the
record does not ask for strict alignment, of the same Organizational Domain. That one is above both, so a proved domain that is
not within the author's Organizational Domain can't be aligned and costs no question; one that is within needs only the names
between, for the rest of its walk is the author's. So the usual message needs no DNS but the author's walk.

What DNS could not say matters only where it could change the result: a message with a record and an aligned, proved domain passes
whatever else failed. Without one it fails only when nothing is open: not the alignment of a proved domain, not the SPF or the
signature of a domain that would be aligned, and not the policy. Else it is a temperror.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from poterne.mailauth.dkim import outcome as dkim_outcome
from poterne.mailauth.dmarc import walk
from poterne.mailauth.dmarc.discover import Discovery, add, discover
from poterne.mailauth.dmarc.outcome import Outcome, Policy, Reason
from poterne.mailauth.spf import outcome as spf_outcome
from poterne.mailauth.spf.check import Steps, answered
from poterne.values.dns import Resolver

__all__ = ["IDENTITIES_MOST", "Discovery", "discover", "evaluate", "evaluated", "judge", "judged", "to_walk"]

_SPF_PASS: Final = spf_outcome.Result.PASS
_SPF_TEMPERROR: Final = spf_outcome.Result.TEMPERROR
IDENTITIES_MOST: Final = 10
"""Domains in the author's organisation whose walks are made; others can't be decided on. DKIM looks at 8 signatures."""


async def evaluated(
    author_domain: str,
    spf: Sequence[spf_outcome.Outcome],
    dkim: Sequence[dkim_outcome.Outcome],
    resolver: Resolver,
) -> Outcome:
    """The outcome, with this resolver, one question after the other. Raises nothing."""
    return await answered(judged(author_domain, spf, dkim), resolver)


def judged(
    author_domain: str, spf: Sequence[spf_outcome.Outcome], dkim: Sequence[dkim_outcome.Outcome]
) -> Steps[Outcome]:
    """`discover`, then `judge`."""
    found = yield from discover(author_domain)
    return (yield from judge(found, spf, dkim))


def judge(found: Discovery, spf: Sequence[spf_outcome.Outcome], dkim: Sequence[dkim_outcome.Outcome]) -> Steps[Outcome]:
    """The outcome, after one step with the rest of the walks that alignment needs; mostly there is none."""
    domains = to_walk(found, spf, dkim)
    if not domains:
        return evaluate(found, spf, dkim, {})
    tree = dict(found.tree)
    names = walk.missing(domains, tree)
    if names:
        add(tree, names, (yield tuple(map(walk.question, names))))
    organisational = {domain: walk.organisational(domain, tree) or "" for domain in domains}
    return evaluate(found, spf, dkim, organisational)


def to_walk(
    found: Discovery, spf: Sequence[spf_outcome.Outcome], dkim: Sequence[dkim_outcome.Outcome]
) -> tuple[str, ...]:
    """Domains whose Organizational Domain decides, each once."""
    organisation, policy = found.organisational_domain, found.record
    if found.reason is not None or policy is None or not organisation:
        return ()
    domains: dict[str, None] = {}
    for strict, proved in (
        (policy.spf_strict, (one.domain for one in spf if _counts_spf(one))),
        (policy.dkim_strict, (one.domain for one in dkim if _counts_dkim(one))),
    ):
        if strict:
            continue
        for domain in proved:
            if domain != found.author_domain and walk.within(domain, organisation):
                domains[domain] = None
    return tuple(domains)[:IDENTITIES_MOST]


def evaluate(
    found: Discovery,
    spf: Sequence[spf_outcome.Outcome],
    dkim: Sequence[dkim_outcome.Outcome],
    organisational: Mapping[str, str],
) -> Outcome:
    """The outcome. `organisational`: the Organizational Domain of each of `to_walk`; empty or left out: it could not be had.

    Of SPF the MAIL FROM identity counts (with the HELO name for a null reverse-path, RFC 9989 §3.2.4), never HELO as such.
    """
    policy = found.record
    if found.reason is not None or policy is None:
        return _inapplicable(found, spf, dkim)
    aligned_spf, spf_open, unknown = "", False, False
    for one in spf:
        if not _counts_spf(one):
            continue
        aligned = _is_aligned(one.domain, found, organisational, strict=policy.spf_strict)
        if not one.authenticates:
            spf_open = spf_open or aligned is not False
        elif aligned:
            aligned_spf = one.domain
        else:
            unknown = unknown or aligned is None
    aligned_dkim: dict[str, None] = {}
    dkim_open = False
    for signature in dkim:
        if not _counts_dkim(signature):
            continue
        aligned = _is_aligned(signature.domain, found, organisational, strict=policy.dkim_strict)
        if not signature.authenticates:
            dkim_open = dkim_open or aligned is not False
        elif aligned:
            aligned_dkim[signature.domain] = None
        else:
            unknown = unknown or aligned is None
    if aligned_spf or aligned_dkim:
        reason = Reason.ALIGNED
    elif unknown:
        reason = Reason.DNS
    elif dkim_open or spf_open:
        reason = Reason.DKIM_DNS if dkim_open else Reason.SPF_DNS
    elif found.existence_unknown:
        reason = Reason.EXISTENCE
    elif _anything(spf, dkim):
        reason = Reason.UNALIGNED
    else:
        reason = Reason.UNAUTHENTICATED
    return Outcome(
        reason.result,
        reason,
        found.author_domain,
        found.organisational_domain,
        policy.published(found.policy_domain),
        found.requested,
        found.tag,
        tuple(aligned_dkim),
        aligned_spf,
        policy.rua_mailto,
        policy.text,
    )


def _inapplicable(
    found: Discovery, spf: Iterable[spf_outcome.Outcome], dkim: Iterable[dkim_outcome.Outcome]
) -> Outcome:
    """Of a message whose author's domain has no record that can be used, or none that is known."""
    reason = found.reason or Reason.NO_RECORD
    aligned_dkim: tuple[str, ...] = ()
    aligned_spf = ""
    if reason is Reason.DNS:  # the same domain is aligned, whatever the record says
        author = found.author_domain
        aligned_dkim = (author,) if any(one.authenticates and one.domain == author for one in dkim) else ()
        aligned_spf = (
            author if any(_counts_spf(one) and one.authenticates and one.domain == author for one in spf) else ""
        )
    text = found.record.text if found.record is not None else ""
    return Outcome(
        reason.result,
        reason,
        found.author_domain,
        found.organisational_domain,
        None,
        Policy.NONE,
        "",
        aligned_dkim,
        aligned_spf,
        (),
        text,
    )


def _is_aligned(domain: str, found: Discovery, organisational: Mapping[str, str], *, strict: bool) -> bool | None:
    """None: it is not known."""
    author, organisation = found.author_domain, found.organisational_domain
    if domain == author:
        return True
    if strict:
        return False
    if not organisation:  # only what shares a name above can share an organisation
        return None if domain.rpartition(".")[2] == author.rpartition(".")[2] else False
    if not walk.within(domain, organisation):
        return False
    other = organisational.get(domain)
    return other == organisation if other else None


def _counts_spf(one: spf_outcome.Outcome) -> bool:
    """It proves a domain, or could yet."""
    result = one.result
    if result is not _SPF_PASS and result is not _SPF_TEMPERROR:
        return False
    return one.domain != "" and one.identity is spf_outcome.Identity.MAIL_FROM


def _counts_dkim(one: dkim_outcome.Outcome) -> bool:
    return one.domain != "" and (one.authenticates or one.result is dkim_outcome.Result.TEMPERROR)


def _anything(spf: Iterable[spf_outcome.Outcome], dkim: Iterable[dkim_outcome.Outcome]) -> bool:
    return any(_counts_spf(one) and one.authenticates for one in spf) or any(one.authenticates for one in dkim)
