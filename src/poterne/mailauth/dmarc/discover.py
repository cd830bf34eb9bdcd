"""Which record applies to an author's domain (RFC 9989 §4.10.1): its own, else its Organizational Domain's, else its suffix's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from poterne.mailauth.dmarc import walk
from poterne.mailauth.dmarc.outcome import Policy, Reason
from poterne.mailauth.dmarc.record import Record
from poterne.mailauth.dmarc.walk import Entry, Missing, Tree
from poterne.mailauth.spf.check import Question, Steps
from poterne.values.dns import TXT, Answer, NxDomain, TempFail


@dataclass(frozen=True, slots=True)
class Discovery:
    """What is known of an author's domain. It depends on no message, and ages with the DNS answers it is made of."""

    author_domain: str
    """Empty: it is no domain name."""
    reason: Reason | None
    """Why no record applies; None: one does."""
    organisational_domain: str = ""
    """Empty: it could not be found out."""
    policy_domain: str = ""
    """Where the record is."""
    record: Record | None = None
    """The one that applies, or the one that can't be used (SYNTAX)."""
    tag: str = ""
    policy: Policy = Policy.NONE
    """What the record asks for this author's mail, by that tag; before t=y."""
    existence_unknown: bool = False
    """It may be that np counts, and says something else."""
    tree: Tree = field(default_factory=dict)

    @property
    def requested(self) -> Policy:
        """What the domain asks for, when a message fails."""
        return self.policy.one_level_down if self.record is not None and self.record.testing else self.policy


def discover(author_domain: str) -> Steps[Discovery]:
    """What applies to mail of this domain, after one step of up to 8 questions and, seldom, one more with one.

    That one is whether the domain exists: it is asked only when an inherited record has np=, and DNS knows no name
    `_dmarc.` at the author's domain, which would prove it (RFC 8020). Raises nothing, whatever the answers hold.
    """
    author = walk.read_domain(author_domain)
    if author is None:
        return Discovery("", Reason.DOMAIN)
    tree: dict[str, Entry] = {}
    names = walk.names(author)
    answers = yield tuple(map(walk.question, names))
    add(tree, names, answers)
    organisational = walk.organisational(author, tree) or ""
    where, reason = _applies(author, organisational, tree)
    found = tree.get(where)
    if not isinstance(found, Record):
        return Discovery(author, reason, organisational, tree=tree)
    if found.p is None:
        return Discovery(author, Reason.SYNTAX, organisational, where, found, tree=tree)
    if where == author:
        return Discovery(author, None, organisational, where, found, "p", found.p, tree=tree)
    exists: bool | None = True
    if found.np is not None and isinstance(answers[0], NxDomain):
        exists = _exists((yield (Question(author, TXT),))[0])
    policy, tag = found.subdomains(existing=exists is not False)
    unknown = exists is None and policy is not found.np
    return Discovery(author, None, organisational, where, found, tag, policy, unknown, tree)


def organisational_domain(domain: str) -> Steps[str | None]:
    """The Organizational Domain of any domain. None: DNS can't say it now, or it is no domain name."""
    name = walk.read_domain(domain)
    if name is None:
        return None
    tree: dict[str, Entry] = {}
    names = walk.names(name)
    add(tree, names, (yield tuple(map(walk.question, names))))
    return walk.organisational(name, tree)


def add(tree: dict[str, Entry], names: Iterable[str], answers: Sequence[Answer[object]]) -> None:
    """Answers to the walk's questions about these names go into the tree."""
    tree.update(zip(names, map(walk.entry, answers), strict=True))


def _applies(author: str, organisational: str, tree: Tree) -> tuple[str, Reason]:
    """Where the record is that applies, if one does; else why none does."""
    own = tree[author]
    if isinstance(own, Record):
        return author, Reason.NO_RECORD
    if own is Missing.UNKNOWN or not organisational:
        return "", Reason.DNS
    # Between author and organisation nothing counts, and an organisation's silence is filled by a suffix only.
    for name in (organisational, walk.public_suffix(author, tree)):
        if isinstance(tree.get(name), Record):
            return name, Reason.NO_RECORD
    return "", Reason.SEVERAL_RECORDS if own is Missing.SEVERAL else Reason.NO_RECORD


def _exists(answer: Answer[object]) -> bool | None:
    """A name exists unless the answer is NXDOMAIN (RFC 9989 §3.2.13, RFC 8020). None: it is not known."""
    return None if isinstance(answer, TempFail) else not isinstance(answer, NxDomain)
