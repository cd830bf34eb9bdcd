"""What is proven about a message, and what speaks for an honest sender although its author is not proven.

Theory of operation. Whatever DNS could not say may turn out either way. So there are two views of the same evidence: the
*hopeful* one takes each temporary error for a pass, the other takes each for a fail. When both lead to the same verdict the
errors do not matter; when they do not, nothing is decided now (`inbound.decide`).

Signs, and what each is worth:
- A sealer that the settings name saw the author proven, and everybody who sealed after it is named too: a sealer in between that
  is not could have changed all of the message and sealed the result.
- The server is a known forwarder, by a name that is proven: what SPF says of it, or DNS both ways, or its address.
- A list that the settings name, or one with a history, which a domain answers for that its identifier is in.
"""

from dataclasses import dataclass

from poterne.mailauth.arc import outcome as arc_outcome
from poterne.mailauth.dkim import outcome as dkim_outcome
from poterne.mailauth.dmarc import outcome as dmarc_outcome
from poterne.mailauth.results.parse import MethodResult
from poterne.mailauth.spf import outcome as spf_outcome
from poterne.policy import listed
from poterne.policy.domains import covering, is_within, related
from poterne.policy.evidence import Evidence
from poterne.policy.reasons import Found, Sign


@dataclass(frozen=True, slots=True)
class View:
    """The evidence, read in one of the two ways."""

    evidence: Evidence
    hopeful: bool
    dkim: tuple[str, ...]
    """Domains that answer for the message."""
    spf: str
    """The domain that answers for the server, by the reverse path; "" none."""
    helo: str
    """The same by the name that it introduced itself with."""

    @property
    def passes(self) -> bool:
        """Somebody answers for it."""
        return bool(self.dkim or self.spf or self.helo)

    @property
    def dmarc_fails(self) -> dmarc_outcome.Policy | None:
        """What the author's domain asks for; None: it answers for the message, or has no policy."""
        outcome = self.evidence.dmarc
        if outcome.result is dmarc_outcome.Result.FAIL:
            return outcome.requested
        if (
            outcome.result is not dmarc_outcome.Result.TEMPERROR
            or self.hopeful
            or outcome.aligned_dkim
            or outcome.aligned_spf
        ):
            return None
        # Where the policy itself could not be had, it may be any.
        known = outcome.reason in {dmarc_outcome.Reason.SPF_DNS, dmarc_outcome.Reason.DKIM_DNS}
        return outcome.requested if known else dmarc_outcome.Policy.REJECT

    @property
    def author_proven(self) -> bool:
        """The author's domain answers for the message, whether it has a DMARC record or not."""
        outcome = self.evidence.dmarc
        if outcome.result is dmarc_outcome.Result.PASS or (
            outcome.result is dmarc_outcome.Result.TEMPERROR and self.hopeful
        ):
            return True
        if outcome.aligned_dkim or outcome.aligned_spf:
            return True
        if outcome.result in {dmarc_outcome.Result.FAIL, dmarc_outcome.Result.TEMPERROR}:
            return False
        return any(related(domain, self.evidence.author_domain) for domain in (*self.dkim, self.spf))

    @property
    def own_author_proven(self) -> bool:
        """The author is of a domain of ours, and it answers for the message in the way that the settings ask for."""
        evidence, outcome = self.evidence, self.evidence.dmarc
        if outcome.result is dmarc_outcome.Result.TEMPERROR and self.hopeful:
            return True
        no_policy = outcome.result in {dmarc_outcome.Result.NONE, dmarc_outcome.Result.PERMERROR}
        signed = bool(outcome.aligned_dkim) or (no_policy and self._of_own(self.dkim)) or self._may_be_signed
        by_server = evidence.rules.settings.own_domain == "aligned" or evidence.author_domain != evidence.own_domain
        return signed or (by_server and (bool(outcome.aligned_spf) or (no_policy and self._of_own((self.spf,)))))

    @property
    def _may_be_signed(self) -> bool:
        """By our own domain, once its key can be had: DMARC may pass by SPF and not wait for that."""
        late = (one.domain for one in self.evidence.dkim if one.result is dkim_outcome.Result.TEMPERROR)
        return self.hopeful and self._of_own(tuple(late))

    def _of_own(self, domains: tuple[str, ...]) -> bool:
        return any(is_within(domain, self.evidence.own_domain) for domain in domains)

    @property
    def own_reverse_path_proven(self) -> bool:
        """The domain of ours in the reverse path answers for the server or for the message."""
        own = self.evidence.own_reverse_path
        return bool(self.spf) or any(is_within(domain, own) for domain in self.dkim)


def view(evidence: Evidence, *, hopeful: bool) -> View:
    """The evidence with each temporary error taken for a pass (`hopeful`), or for a fail."""
    signatures = tuple(
        one.domain
        for one in evidence.dkim
        if one.authenticates or (hopeful and one.result is dkim_outcome.Result.TEMPERROR)
    )
    return View(evidence, hopeful, signatures, _proven(evidence.mail_from, hopeful), _proven(evidence.helo, hopeful))


def _proven(outcome: spf_outcome.Outcome, hopeful: bool) -> str:
    passed = outcome.authenticates or (hopeful and outcome.result is spf_outcome.Result.TEMPERROR)
    return outcome.domain if passed else ""


def sign(seen: View) -> Found | None:
    """The strongest one."""
    return _sealed(seen) or _forwarded(seen) or _listed(seen)


def _sealed(seen: View) -> Found | None:
    evidence = seen.evidence
    chain, named = evidence.arc, evidence.rules.sealers
    if not named or not (chain.result is arc_outcome.Result.PASS or (seen.hopeful and chain.temporary)):
        return None
    for hop in reversed(chain.hops):
        if not covering(hop.sealer, named):
            return None
        # A verifier tells no claims of a chain that does not pass: one that may pass yet may claim anything.
        if chain.temporary or any(_claims(one, evidence) for one in hop.claimed):
            return Found(Sign.SEALER, hop.sealer)
    return None


def _claims(said: MethodResult, evidence: Evidence) -> bool:
    """It says that the author was proven: the one that the message has now, for a list may have written another one into it."""
    if said.result != "pass":
        return False
    author = evidence.author_domain
    if said.method == "dmarc":
        return said.value("header", "from").rpartition("@")[2].lower() == author
    domain = (said.value("header", "d") or said.value("header", "i").rpartition("@")[2]).lower()  # Google names i= only
    return said.method == "dkim" and "." in domain and is_within(author, domain)


def _forwarded(seen: View) -> Found | None:
    evidence, rules = seen.evidence, seen.evidence.rules
    if not (evidence.forwarders or rules.settings.forwarders):
        return None
    for name in (seen.spf, seen.helo, *evidence.peer_names):
        by = name and (covering(name, rules.forwarders) or covering(name, evidence.forwarders))
        if by:
            return Found(Sign.FORWARDER, by)
    if evidence.peer_ip and evidence.peer_ip in rules.forwarding_networks:
        return Found(Sign.FORWARDER, evidence.peer_ip)
    return None


def _listed(seen: View) -> Found | None:
    evidence, rules = seen.evidence, seen.evidence.rules
    if not evidence.list_id:
        return None
    domains = (*seen.dkim, seen.spf)
    answering = listed.answering(evidence.list_id, domains)
    if answering and covering(evidence.list_id, rules.lists):
        return Found(Sign.NAMED_LIST, evidence.list_id)
    if any(covering(domain, rules.lists) for domain in domains):
        return Found(Sign.NAMED_LIST, evidence.list_id)
    for known in evidence.lists:
        if (
            known.list_id == evidence.list_id
            and known.domain in answering
            and known.messages >= rules.settings.list_messages
            and evidence.received_at - known.first_at >= rules.list_age_s
        ):
            return Found(Sign.KNOWN_LIST, evidence.list_id)
    return None
