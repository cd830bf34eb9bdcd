"""What becomes of a message whose last octet has come: evidence to `policy.inbound`, its verdict to whoever is told.

Told are: the sender (the answer), the reader (fields on top of the message), the administrator (events), the author's domain
(counts for its DMARC report).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from poterne.mailauth.arc.outcome import Result as ArcResult
from poterne.mailauth.dkim.outcome import Outcome as DkimOutcome
from poterne.mailauth.dkim.outcome import Result as DkimResult
from poterne.mailauth.dmarcreport.row import row
from poterne.mailauth.results.write import Results
from poterne.mailauth.results.write import field as results_field
from poterne.message.address import parse_addresses
from poterne.message.author import MAX_ADDRESSES as AUTHORS_MOST
from poterne.message.author import Author
from poterne.message.decode import header_text
from poterne.message.header import HeaderIndex
from poterne.policy import inbound, listed
from poterne.policy.disposition import disposition
from poterne.policy.evidence import Evidence
from poterne.policy.forward import Authentication
from poterne.policy.inbound import Combined
from poterne.policy.ours import Ours
from poterne.policy.posting import PostingEvidence
from poterne.policy.posting import Refuse as PostingRefused
from poterne.policy.posting import decide as may_post
from poterne.policy.reasons import Reason
from poterne.policy.signs import view
from poterne.policy.told import notes
from poterne.policy.verdict import Accept, Defer, Junk, Quarantine, Refuse, Verdict
from poterne.session.smtp import forwarding
from poterne.session.smtp.checks import Checks, Findings
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.header import Judged
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.services import Services
from poterne.session.smtp.verifying import Verifying
from poterne.values.event import Event
from poterne.values.ids import AccountId

RESULTS_BYTES: Final = 2_048
"""Of the Authentication-Results field, at most."""
_ANGLE: Final = re.compile(rb"<[^<>]*>")
DAY_S: Final = 86_400
Kept = Accept | Junk | Quarantine


@dataclass(frozen=True, slots=True)
class Concluded:
    """A message is taken."""

    fields: bytes = b""
    """To be put before it: what the checks said, and why it is not in the inbox."""
    each: Mapping[AccountId, Kept] = field(default_factory=dict)
    """By mailbox; who is not in it gets it as usual."""
    detail: Mapping[str, str] = field(default_factory=dict)
    """For the event."""
    proven: bool = False
    """The author's domain answers for it."""
    author_domain: str = ""


UNCHECKED: Final = Concluded()


def unchecked(services: Services, envelope: Envelope, judged: Judged, *, signed_in: bool) -> Refused | None:
    """Of a message whose author is known by other means, or is not looked at: what its header decides."""
    if not envelope.forwards or judged.header is None:
        return None
    known = Authentication.PASS if signed_in else Authentication.NONE
    if services.behind_edge and _edge_says(judged.header) is not None:
        known = Authentication.FAIL
    return forwarding.sift(services, envelope, judged.header, known, signed_in=signed_in)


async def conclude(services: Services, envelope: Envelope, judged: Judged, checks: Checks) -> Concluded | Refused:
    """What becomes of it. Raises StoreError."""
    verifying, header, author = services.verifying, judged.header, judged.author
    if verifying is None or header is None or author is None:
        raise RuntimeError("a message is checked that nobody verifies")
    findings = await checks.finish()
    evidence = await _evidence(services, verifying, envelope, header, author, findings, checks.peer, checks.peer_name)
    combined = await _decided(services, envelope, evidence)
    _count(verifying, evidence, combined)
    if combined.answer is not None:
        return await _refused(services, envelope, evidence, combined.answer, checks.peer)
    each = dict(zip(envelope.accounts, combined.each, strict=False))
    gravest = _gravest(combined.each)
    proven = view(evidence, hopeful=False).author_proven
    refused = _may_post(services, envelope, author, proven=proven)
    if refused is None and envelope.forwards:
        known = Authentication.PASS if proven else Authentication.NONE
        if not isinstance(gravest, Accept):
            known = Authentication.FAIL
        refused = forwarding.sift(services, envelope, header, known, signed_in=False)
        for account in envelope.accounts:  # what is not forwarded stays with whose address it is
            each.setdefault(account, gravest)
    if refused is not None:
        return refused
    for seen in inbound.learned(evidence, gravest):
        verifying.lists.saw(seen.list_id, seen.domain, seen.last_at)
    results = results_field(services.hostname, _results(findings), most_bytes=RESULTS_BYTES)
    if not isinstance(gravest, Accept) and (envelope.elsewhere or _alike(combined.each)):
        # all have the same octets: who has it in the inbox must not read there that it is junk
        results += _KIND + _KINDS[type(gravest)].encode() + b"\r\n"
        results += _for_all(gravest, combined.each).field(verifying.language)
    return Concluded(results, each, _detail(evidence, gravest), proven, author.domain)


def from_edge(envelope: Envelope, header: HeaderIndex) -> Concluded:
    """What the server in front of us found. Only listed servers speak to us; they can ask for less than the inbox."""
    kind, reasons = _edge_says(header), header.values(_REASON.lower())
    if kind is None:
        return UNCHECKED
    word = reasons[0].partition(b";")[0].strip() if reasons else b""
    reason = next((one for one in Reason if one.value.encode() == word.partition(b"+")[0]), Reason.NO_POLICY)
    fields = _KIND + _KINDS[kind].encode() + b"\r\n"
    fields += b"".join(map(header.raw, header.find(_REASON.lower())[:1]))
    return Concluded(fields, dict.fromkeys(envelope.accounts, kind(reason)), {"why": reason.value})


def _edge_says(header: HeaderIndex) -> type[Junk] | type[Quarantine] | None:
    """Where it is not for the inbox; None: it is."""
    kinds = header.values(_KIND[:-2].lower())
    return _BY_KIND.get(kinds[0].strip()) if len(kinds) == 1 else None


_KIND: Final = b"X-Poterne-Verdict: "
_REASON: Final = b"X-Poterne-Reason"
_BY_KIND: Final[dict[bytes, type[Junk] | type[Quarantine]]] = {b"junk": Junk, b"quarantine": Quarantine}
_KINDS: Final[dict[type[Verdict], str]] = {
    Accept: "accept", Junk: "junk", Quarantine: "quarantine", Refuse: "refuse", Defer: "defer",
}  # fmt: skip
_GRAVITY: Final[dict[type[Kept], int]] = {Accept: 0, Junk: 1, Quarantine: 2}


def _gravest(verdicts: Iterable[Kept]) -> Kept:
    return max(verdicts, key=lambda one: _GRAVITY[type(one)])


def _alike(verdicts: Iterable[Kept]) -> bool:
    """Everybody has it at the same place; else each place has its event, and quarantine its reason."""
    return len({type(one) for one in verdicts}) == 1


def _for_all(gravest: Kept, each: Iterable[Kept]) -> Kept:
    """What all may read, who have the same octets: not by which forwarder of theirs one of them has it."""
    return gravest if all(one.found == gravest.found for one in each) else replace(gravest, found=None)


def _results(findings: Findings) -> Results:
    spf = (findings.spf,) if findings.spf.domain == findings.helo.domain else (findings.spf, findings.helo)
    return Results(spf=spf, dkim=findings.dkim, dmarc=findings.dmarc, arc=findings.arc)


# -- evidence ----------------------------------------------------------------------------------------------------------


async def _evidence(
    services: Services,
    verifying: Verifying,
    envelope: Envelope,
    header: HeaderIndex,
    author: Author,
    findings: Findings,
    peer: str,
    peer_name: str,
) -> Evidence:
    ours = await verifying.ours()
    sender = envelope.mail.path.address
    reverse = "" if sender is None else sender.domain
    own = ours.own(author.domain)
    evidence = Evidence(
        author_domain=author.domain,
        dmarc=findings.dmarc,
        mail_from=findings.spf,
        helo=findings.helo,
        dkim=findings.dkim,
        arc=findings.arc,
        received_at=int(services.clock()),
        peer_ip=peer,
        author_exists=findings.author_exists,
        peer_names=(peer_name,) if peer_name else (),
        reverse_path_domain=reverse,
        own_domain=own,
        own_reverse_path=ours.own(reverse) if reverse else "",
        lookalike=None if own else ours.lookalike(author.domain),
        displayed=_displayed(ours, header, len(author.addresses)),
        list_id=_list_id(header),
        rules=verifying.rules,
    )
    if not evidence.list_id:
        return evidence
    known = (services.store.list_seen(evidence.list_id, domain) for domain in evidence.candidates)
    return replace(evidence, lists=tuple(one for one in known if one is not None))


def _displayed(ours: Ours, header: HeaderIndex, authors: int) -> str:
    """What of ours the author's name shows."""
    for value in header.values(b"from"):
        if ours.nothing_displayed(value, authors):
            continue
        for address in parse_addresses(value, AUTHORS_MOST).addresses:
            if address.name and (shown := ours.impersonated(header_text(address.name))):
                return shown
        before, bracket, _ = value.rpartition(b"<")  # all of it, as programs show it that read it with less care
        if bracket and authors == 1 and (shown := ours.impersonated(header_text(_ANGLE.sub(b" ", before)))):
            return shown
    return ""


def _list_id(header: HeaderIndex) -> str:
    values = header.values(b"list-id")
    return listed.list_id(values[0].decode("ascii", "replace")) if len(values) == 1 else ""


# -- decision ----------------------------------------------------------------------------------------------------------


async def _decided(services: Services, envelope: Envelope, evidence: Evidence) -> Combined:
    """For each mailbox, in their order; and for what goes elsewhere, which is nobody's mailbox."""
    plain = inbound.decide(evidence)
    if isinstance(plain, Accept):
        return Combined(None, (plain,) * max(1, len(envelope.accounts)))
    accounts = [await services.store.account_by_id(account) for account in envelope.accounts]
    verdicts = list(inbound.decide_each(evidence, [account.forwarders for account in accounts]))
    if not verdicts or envelope.elsewhere or envelope.forwards or envelope.reports:
        verdicts.append(plain)
    return inbound.combine(verdicts)


def _may_post(services: Services, envelope: Envelope, author: Author, *, proven: bool) -> Refused | None:
    """To an address that not everybody may write to: is the author, who is proven, one of those who may?"""
    sender = envelope.mail.path.address
    for posting, posters in envelope.unproven.values():
        verdict = may_post(
            PostingEvidence(
                posting,
                posters,
                envelope_from="" if sender is None else sender.key,
                header_from=tuple(address.key for address in author.addresses),
                proven=proven,
            )
        )
        if isinstance(verdict, PostingRefused):
            services.log.info("posting.refused", trace=envelope.trace, reason=verdict.reason.value)
            return Refused(verdict.reason.value, verdict.reply)
    return None


# -- who is told -------------------------------------------------------------------------------------------------------


async def _refused(
    services: Services, envelope: Envelope, evidence: Evidence, answer: Refuse | Defer, peer: str
) -> Refused:
    detail: dict[str, str | int | bool | None] = {
        "service": services.service.value,
        "from": envelope.reverse_path,
        "to": envelope.told,
        "recipients": envelope.recipients,
        "code": answer.reply.code,
        **_detail(evidence, answer),
    }
    kind = "message.refused" if isinstance(answer, Refuse) else "message.deferred"
    event = Event(int(services.clock()), kind, envelope.trace, None, peer, answer.word, detail)
    await services.store.record([event])
    return Refused(answer.word, answer.reply)


def _detail(evidence: Evidence, verdict: Verdict) -> dict[str, str]:
    detail = {
        "author": evidence.author_domain,
        "spf": evidence.mail_from.result.value,
        "dkim": ",".join(f"{one.domain}={_word(one)}" for one in evidence.dkim[:4]) or "none",
        "dmarc": evidence.dmarc.result.value,
        "verdict": _KINDS[type(verdict)],
        "why": verdict.word,
    }
    if evidence.arc.result is not ArcResult.NONE:  # also where its sets could not even be read
        detail["arc"] = evidence.arc.result.value
    if noted := notes(evidence):
        detail["notes"] = ",".join(noted)
    return detail


def _word(signature: DkimOutcome) -> str:
    """As in the message's results: one by a key that is tested proves nothing."""
    tested = signature.testing and signature.result is DkimResult.PASS
    return DkimResult.POLICY.value if tested else signature.result.value


def _count(verifying: Verifying, evidence: Evidence, combined: Combined) -> None:
    """For the report to the author's domain."""
    outcome = evidence.dmarc
    done = disposition(outcome, combined.answer or _gravest(combined.each))
    if done is None or outcome.policy is None:
        return
    counted = row(
        evidence.peer_ip, evidence.reverse_path_domain, (evidence.mail_from,), evidence.dkim, outcome, done[0], done[1]
    )
    if counted is not None:
        verifying.tally.count(evidence.received_at // DAY_S, outcome.policy, counted)
