"""Forward and reverse paths of RFC 5321 §4.1.2."""

from dataclasses import dataclass

from poterne.values.address import Address


@dataclass(frozen=True, slots=True)
class Path:
    """What stood between "<" and ">". `address` is None for the null reverse path and for `<postmaster>`."""

    raw: str
    address: Address | None

    @property
    def is_null(self) -> bool:
        """`<>`, in MAIL only."""
        return not self.raw

    @property
    def is_postmaster(self) -> bool:
        """`<postmaster>` without a domain, in RCPT only (RFC 5321 §4.1.1.3)."""
        return self.address is None and bool(self.raw)

    def __str__(self) -> str:
        return self.raw
