"""What becomes of a message from a stranger: evidence in, verdict out. No I/O, no clock: it can be replayed and explained.

Theory of operation. Every rule looks at the whole evidence and may have a finding; the gravest finding is the verdict (refuse,
quarantine, Junk, accept), the first of them among equals. Most findings become milder where a *sign* speaks for an honest sender
(`signs.py`). All is judged twice when something could not be had from DNS: once as if it had passed, once as if it had failed. If
that makes a difference, nothing is decided now (451): a temporary error never accepts what a fail would refuse, and never refuses
what a pass would accept.

Signs and forwarders can differ between the recipients of a message, and there is one answer for all of them: `decide_each` and
`combine` say which, and what each recipient gets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from poterne.mailauth.dmarc.outcome import Policy
from poterne.mailauth.dmarc.outcome import Reason as DmarcReason
from poterne.mailauth.spf.outcome import Result as SpfResult
from poterne.policy import listed
from poterne.policy.evidence import Evidence
from poterne.policy.reasons import Found, Reason, Sign, Told
from poterne.policy.signs import View, sign, view
from poterne.policy.told import told
from poterne.policy.verdict import Accept, Defer, Junk, Quarantine, Refuse, Verdict
from poterne.values.history import ListSeen

_GRAVITY: Final[dict[type, int]] = {Accept: 0, Junk: 1, Quarantine: 2, Refuse: 3}
_Kind = type[Accept] | type[Junk] | type[Quarantine] | type[Refuse]
_KINDS: Final[dict[str, _Kind]] = {"accept": Accept, "junk": Junk, "quarantine": Quarantine, "refuse": Refuse}


def decide(evidence: Evidence) -> Verdict:
    """What becomes of this message for one recipient. Always returns."""
    if evidence.peer_trusted:
        return Accept(Reason.TRUSTED_PEER)
    worst = _judge(view(evidence, hopeful=False))
    if not evidence.undecided:
        return worst
    best = _judge(view(evidence, hopeful=True))
    if type(best) is type(worst):
        return worst if isinstance(worst, Accept) else best  # words that claim no more than is known
    return Defer(Reason.DNS, told=told(evidence))


def decide_each(evidence: Evidence, forwarders: Sequence[tuple[str, ...]]) -> tuple[Verdict, ...]:
    """A verdict for each recipient, who has these forwarders. Those who have the same are decided once."""
    known: dict[tuple[str, ...], Verdict] = {}
    for mine in forwarders:
        if mine not in known:
            known[mine] = decide(replace(evidence, forwarders=mine))
    return tuple(known[mine] for mine in forwarders)


@dataclass(frozen=True, slots=True)
class Combined:
    """One answer for a message of several recipients."""

    answer: Refuse | Defer | None
    """None: the message is taken."""
    each: tuple[Accept | Junk | Quarantine, ...] = ()
    """What each recipient gets, in their order; empty when the message is not taken."""


def combine(verdicts: Sequence[Verdict]) -> Combined:
    """The answer when recipients differ: taken if any of them takes it, and then kept in quarantine for those who would refuse.

    Deferred if it is for any of them: nothing is lost, and later all can be decided. ValueError without a verdict.
    """
    if not verdicts:
        raise ValueError("no recipient")
    for one in verdicts:
        if isinstance(one, Defer):
            return Combined(one)
    each: list[Accept | Junk | Quarantine] = []
    refused: Refuse | None = None
    for one in verdicts:
        if isinstance(one, Refuse):
            refused = refused or one
            each.append(Quarantine(one.reason, one.found, one.told))
        elif not isinstance(one, Defer):
            each.append(one)
    if refused is not None and all(isinstance(one, Refuse) for one in verdicts):
        return Combined(refused)
    return Combined(None, tuple(each))


def _judge(seen: View) -> Verdict:
    evidence = seen.evidence
    proven = seen.author_proven
    matters = not proven or evidence.own_domain or evidence.own_reverse_path or evidence.displayed
    found = sign(seen) if matters else None
    gravest: Verdict | None = None
    for rule in _RULES:
        finding = rule(seen, found)
        if finding is not None and (gravest is None or _GRAVITY[type(finding)] > _GRAVITY[type(gravest)]):
            gravest = finding
    if gravest is not None:
        return gravest
    about = Told(author=evidence.author_domain)
    return Accept(Reason.PROVEN, told=about) if proven else Accept(Reason.NO_POLICY, found, about)


def learned(evidence: Evidence, verdict: Verdict) -> tuple[ListSeen, ...]:
    """What to add to the history of lists (`store.note_lists`): the list, by each domain that answers for an accepted message."""
    if not evidence.list_id or not isinstance(verdict, Accept) or evidence.peer_trusted:
        return ()
    seen = view(evidence, hopeful=False)
    at = evidence.received_at
    domains = listed.answering(evidence.list_id, (*seen.dkim, seen.spf))
    return tuple(ListSeen(evidence.list_id, domain, at, at, 1) for domain in domains)


def _of_author_domain(seen: View, _found: Found | None) -> Verdict | None:
    if seen.evidence.dmarc.reason is DmarcReason.DOMAIN:
        return Refuse(Reason.AUTHOR_DOMAIN, told=told(seen.evidence))
    return None


def _of_no_such_domain(seen: View, found: Found | None) -> Verdict | None:
    """Whatever it says is nobody's word. A list or a forwarder may have brought it from somebody whose name is only misspelt."""
    action = seen.evidence.rules.settings.unknown_domain
    if seen.evidence.author_exists or seen.author_proven or action == "accept":
        return None
    kind = _KINDS[action] if found is None else Junk
    return kind(Reason.NO_SUCH_DOMAIN, found, told(seen.evidence))


def _of_own_domain(seen: View, found: Found | None) -> Verdict | None:
    if not seen.evidence.own_domain or seen.own_author_proven:
        return None
    return _own(seen, found, Reason.OWN_DOMAIN)


def _of_own_reverse_path(seen: View, found: Found | None) -> Verdict | None:
    evidence = seen.evidence
    if not evidence.own_reverse_path or seen.own_reverse_path_proven:
        return None
    if evidence.own_domain and seen.own_author_proven:
        return None
    return _own(seen, found, Reason.OWN_REVERSE_PATH)


def _own(seen: View, found: Found | None, reason: Reason) -> Verdict:
    """Nobody but a sealer can stand in for the proof of our own domain: lists and forwarders pass on what others forge."""
    about = told(seen.evidence)
    if found is None:
        return Refuse(reason, told=about)
    how = _chosen(seen, found)
    if how == "accept" and found.sign is Sign.SEALER:
        return Accept(reason, found, about)
    return (Quarantine if how == "policy" else Junk)(reason, found, about)


def _of_lookalike(seen: View, _found: Found | None) -> Verdict | None:
    alike, settings = seen.evidence.lookalike, seen.evidence.rules.settings
    if alike is None or not alike.strong:
        return None
    if seen.author_proven:
        action, reason = settings.proven_lookalikes, Reason.PROVEN_LOOKALIKE
    else:
        action, reason = settings.lookalikes, Reason.LOOKALIKE
    return None if action == "accept" else _KINDS[action](reason, told=told(seen.evidence))


def _of_dmarc(seen: View, found: Found | None) -> Verdict | None:
    asked = seen.dmarc_fails
    if asked is None or asked is Policy.NONE:
        return None
    settings = seen.evidence.rules.settings
    reason, action, by_policy = (
        (Reason.DMARC_REJECT, settings.reject, Quarantine)
        if asked is Policy.REJECT
        else (Reason.DMARC_QUARANTINE, settings.quarantine, Junk)
    )
    about = told(seen.evidence)
    plain = _KINDS[action]
    if found is None:
        return plain(reason, told=about)
    how = _chosen(seen, found)
    mild: _Kind = by_policy if how == "policy" else _KINDS[how]
    return min(mild, plain, key=_GRAVITY.__getitem__)(reason, found, about)


def _of_no_policy(seen: View, found: Found | None) -> Verdict | None:
    """No record, or one that asks for nothing."""
    evidence, settings = seen.evidence, seen.evidence.rules.settings
    if seen.author_proven or found is not None or seen.dmarc_fails not in {None, Policy.NONE}:
        return None
    about = told(evidence)
    failed = evidence.mail_from.result is SpfResult.FAIL or (
        evidence.mail_from.result is SpfResult.TEMPERROR and not seen.hopeful
    )
    if failed and seen.dmarc_fails is None and settings.spf_fail != "accept":
        return _KINDS[settings.spf_fail](Reason.SPF_FAIL, told=about)
    if not seen.passes and settings.unauthenticated != "accept":
        return _KINDS[settings.unauthenticated](Reason.UNAUTHENTICATED, told=about)
    return None


def _of_displayed(seen: View, found: Found | None) -> Verdict | None:
    evidence, action = seen.evidence, seen.evidence.rules.settings.display_names
    if not evidence.displayed or evidence.own_domain or action == "accept":
        return None
    if found is not None and found.sign is Sign.NAMED_LIST:  # lists write their members' names before their own address
        return None
    return _KINDS[action](Reason.DISPLAY_NAME, told=told(evidence))


_RULES: Final = (
    _of_author_domain,
    _of_no_such_domain,
    _of_own_domain,
    _of_own_reverse_path,
    _of_lookalike,
    _of_dmarc,
    _of_no_policy,
    _of_displayed,
)


def _chosen(seen: View, found: Found) -> str:
    """What the settings say of such a sign: "policy", "junk" or "accept"."""
    settings = seen.evidence.rules.settings
    return {
        Sign.SEALER: settings.sealed,
        Sign.FORWARDER: settings.forwarded,
        Sign.NAMED_LIST: settings.listed,
        Sign.KNOWN_LIST: "policy",
    }[found.sign]
