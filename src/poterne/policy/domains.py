"""Sets of domains in which a domain means whatever is below it too."""

from collections.abc import Collection


def covering(domain: str, names: Collection[str]) -> str:
    """The longest of `names` that the domain is, or is below; "" if none. Names are lower-case A-labels."""
    while domain:
        if domain in names:
            return domain
        domain = domain.partition(".")[2]
    return ""


def is_within(domain: str, name: str) -> bool:
    """It is that domain, or below it."""
    return domain == name or domain.endswith("." + name)


def related(one: str, other: str) -> bool:
    """One of them is within the other, and the upper one is more than a top-level domain."""
    if len(one) < len(other):
        one, other = other, one
    return one == other or ("." in other and one.endswith("." + other))
