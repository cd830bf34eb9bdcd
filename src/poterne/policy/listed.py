"""Mailing lists: what a List-Id field says, and which domain answers for it.

A List-Id alone is anybody's text. It counts together with a domain that SPF or DKIM proved and that the identifier is in:
`users.lists.example.org` belongs to `lists.example.org`, or to `example.org`. A list that such a domain answered for often
enough, and for long enough, is known.
"""

import re
from collections.abc import Iterable
from typing import Final

from poterne.policy.domains import is_within

_VALUE_MOST: Final = 2000
_ID: Final = re.compile(r"<[ \t]*([^<>\s]{1,255})[ \t]*>[^<>]*\Z")
_NAME: Final = re.compile(r"[a-z0-9_+-]{1,63}(?:\.[a-z0-9_+-]{1,63})+")
CANDIDATES_MOST: Final = 4
"""Domains of one message that are looked up in the history of lists."""


def list_id(value: str) -> str:
    """The identifier of an unfolded List-Id value (RFC 2919 §3) in lower case; "" when there is none."""
    found = _ID.search(value[-_VALUE_MOST:])
    name = found[1].lower() if found is not None else value.strip().lower()
    return name if len(name) <= 255 and _NAME.fullmatch(name) else ""


def answering(identifier: str, domains: Iterable[str]) -> tuple[str, ...]:
    """Those of `domains` that the list is of: its identifier is one of them, or below it. The closest first, each once."""
    if not identifier:
        return ()
    mine = {domain for domain in domains if "." in domain and is_within(identifier, domain)}
    return tuple(sorted(mine, key=len, reverse=True)[:CANDIDATES_MOST])
