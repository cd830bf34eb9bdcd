"""Numbers of octets as people write them."""

import re
from typing import Final

import click

MOST: Final = 2**60
_FORM: Final = re.compile(r"(\d{1,19})(?:[.,](\d{1,3}))? ?(?:([kmgt])(?:i?b|i?o)?)?", re.IGNORECASE | re.ASCII)
_POWERS: Final = {"k": 1, "m": 2, "g": 3, "t": 4}


def octets_of(text: str) -> int | None:
    """What `10G`, `1.5 GiB`, `500 Mo` or `4096` says, in octets; a K is 1,024. None if that is no size, or above 2⁶⁰."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return None
    whole, part, unit = found.groups()
    if unit is None and part:
        return None
    scale = 1024 ** _POWERS[unit.lower()] if unit else 1
    octets = int(whole) * scale + (int(part) * scale // 10 ** len(part) if part else 0)
    return octets if octets <= MOST else None


def size(text: str) -> int:
    """The value of an option (`type=size`), in octets. Raises BadParameter with what may be written."""
    octets = octets_of(text)
    if octets is None:
        raise click.BadParameter(f"{text!r} is no size: octets, or a number with K, M, G or T (10G, 500M)")
    return octets
