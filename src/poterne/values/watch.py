"""What the last look at a domain's DNS found, kept so that changes are told and not the same again every day."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DnsFinding:
    """One check of one domain. `check`: its stable id, such as `D07`; `outcome`: "ok", "warn", "fail" or "unknown"."""

    domain: str
    check: str
    outcome: str
    text: str
    since: int
    """Since when it is so."""
