"""Mailing lists that were seen before: what tells an honest list from a forged header."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListSeen:
    """Messages of a list (RFC 2919 List-Id, in lower case) that a domain aligned with it answered for (SPF or DKIM)."""

    list_id: str
    domain: str
    first_at: int
    last_at: int
    messages: int
