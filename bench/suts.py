"""The servers that can be compared, by name."""

from bench.sut import Factory
from bench.sut_peers import PostfixDovecot
from bench.sut_poterne import Poterne

_PEERS = [
    PostfixDovecot(storage, model)
    for storage in ("maildir", "mdbox", "sdbox")
    for model in ("tuned", "default", "plain")
] + [PostfixDovecot("maildir", "reuse")]


def _peer(template: PostfixDovecot) -> Factory:
    return template.fresh


SUTS: dict[str, Factory] = {"poterne": Poterne, **{each.name: _peer(each) for each in _PEERS}}
SUBJECT = "poterne"
