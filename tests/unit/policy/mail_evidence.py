"""Evidence of messages as tests need it: a forger's, an honest author's, one that a list changed."""

from dataclasses import replace
from typing import Final

from poterne.config.inbound import Inbound
from poterne.mailauth.arc import outcome as arc
from poterne.mailauth.dkim import outcome as dkim
from poterne.mailauth.dmarc import outcome as dmarc
from poterne.mailauth.results.parse import MethodResult, Property
from poterne.mailauth.spf import outcome as spf
from poterne.policy.evidence import Evidence, Rules
from poterne.policy.lookalike import Kind, Lookalike
from poterne.values.dmarc import PublishedPolicy
from poterne.values.history import ListSeen

AUTHOR: Final = "bank.example"
STRANGER: Final = "k.example"
LIST: Final = "lists.example"
LIST_ID: Final = "users.lists.example"
OURS: Final = "ours.example"
DAY: Final = 86_400
NOW: Final = 1_700_000_000
RECORD: Final = "v=DMARC1; p=reject; rua=mailto:d@bank.example"


def rules(**settings: object) -> Rules:
    return Rules(replace(Inbound(), **settings))  # type: ignore[arg-type]


def of_spf(
    result: spf.Result = spf.Result.PASS, domain: str = STRANGER, identity: spf.Identity = spf.Identity.MAIL_FROM
) -> spf.Outcome:
    return spf.Outcome(result, spf.Reason.MATCHED, identity, domain)


def of_helo(result: spf.Result = spf.Result.NONE, domain: str = "mx.k.example") -> spf.Outcome:
    return of_spf(result, domain, spf.Identity.HELO)


def signed(domain: str, reason: dkim.Reason = dkim.Reason.VERIFIED, *, testing: bool = False) -> dkim.Outcome:
    return dkim.Outcome(reason, domain, "s1", testing=testing)


def of_dmarc(
    reason: dmarc.Reason = dmarc.Reason.UNALIGNED,
    policy: str = "reject",
    *,
    author: str = AUTHOR,
    testing: bool = False,
    tag: str = "p",
    aligned: str = "",
) -> dmarc.Outcome:
    """As `mailauth.dmarc` would say it."""
    requested = dmarc.Policy(policy)
    published = None
    if reason not in {dmarc.Reason.NO_RECORD, dmarc.Reason.DNS, dmarc.Reason.DOMAIN}:
        published = PublishedPolicy(
            author, p=policy if tag == "p" else "none", testing=testing, **({} if tag == "p" else {tag: policy})
        )
    return dmarc.Outcome(
        reason.result,
        reason,
        author,
        author,
        published,
        dmarc.Policy.NONE if published is None else requested.one_level_down if testing else requested,
        "" if published is None else tag,
        (aligned,) if aligned else (),
        record="" if published is None else RECORD,
    )


NO_RECORD: Final = of_dmarc(dmarc.Reason.NO_RECORD)
FORGED: Final = Evidence(
    author_domain=AUTHOR,
    dmarc=of_dmarc(),
    mail_from=of_spf(),
    helo=of_helo(),
    reverse_path_domain=STRANGER,
    received_at=NOW,
    peer_ip="192.0.2.66",
)
"""A forger with SPF of its own."""


def made(start: Evidence = FORGED, **changes: object) -> Evidence:
    return replace(start, **changes)  # type: ignore[arg-type]


HONEST: Final = made(
    dmarc=of_dmarc(dmarc.Reason.ALIGNED, aligned=AUTHOR),
    mail_from=of_spf(domain=AUTHOR),
    dkim=(signed(AUTHOR),),
    reverse_path_domain=AUTHOR,
)
WITHOUT_POLICY: Final = made(dmarc=NO_RECORD, mail_from=of_spf(domain=AUTHOR), reverse_path_domain=AUTHOR)
BY_LIST: Final = made(
    mail_from=of_spf(domain=LIST), dkim=(signed(LIST),), reverse_path_domain=LIST, list_id=LIST_ID
)  # fmt: skip
KNOWN_LIST: Final = made(BY_LIST, lists=(ListSeen(LIST_ID, LIST, NOW - 30 * DAY, NOW - DAY, 10),))
OWN: Final = made(author_domain=OURS, dmarc=of_dmarc(author=OURS), own_domain=OURS)
"""A forger in our own name."""
OWN_SIGNED: Final = made(OWN, dmarc=of_dmarc(dmarc.Reason.ALIGNED, author=OURS, aligned=OURS), dkim=(signed(OURS),))
ALIKE: Final = Lookalike(OURS, Kind.TYPO)


def hop(sealer: str, *claimed: tuple[str, str, str], instance: int = 1) -> arc.Hop:
    """`claimed`: method, result, domain."""
    words = {
        "arc": ("header", "oldest-pass"),
        "dmarc": ("header", "from"),
        "dkim": ("header", "d"),
        "spf": ("smtp", "mailfrom"),
    }
    results = tuple(
        MethodResult(method, result, properties=(Property(*words[method], domain),))
        for method, result, domain in claimed
    )
    return arc.Hop(instance, sealer, "s1", sealer, sealer, results)


def chain(
    *hops: arc.Hop, result: arc.Result = arc.Result.PASS, reason: arc.Reason = arc.Reason.VERIFIED
) -> arc.Outcome:
    return arc.Outcome(result, reason, hops)


SEALED: Final = made(
    arc=chain(hop("sealer.example", ("dmarc", "pass", AUTHOR))), rules=rules(arc_sealers=["sealer.example"])
)
FORWARDED: Final = made(mail_from=of_spf(domain="srs.forward.example"), forwarders=("forward.example",))
NAMED: Final = made(BY_LIST, rules=rules(lists=[LIST]))
