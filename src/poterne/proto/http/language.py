"""Which language to answer in: Accept-Language (RFC 9110 §12.5.4)."""

import re
from collections.abc import Sequence
from typing import Final

_TAG: Final = r"([A-Za-z]{1,8}|\*)(?:-[A-Za-z0-9]{1,8})*"
_WEIGHT: Final = r"(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
_RANGE: Final = re.compile(rf"[ \t]*{_TAG}{_WEIGHT}[ \t]*")
_RANGES_MOST: Final = 32


def preferred(field: str, offered: Sequence[str], default: str) -> str:
    """The one of `offered` (two-letter tags) that is wanted most; `default` when none is. Never raises."""
    best, weight = default, 0.0
    for part in field.split(",", _RANGES_MOST)[:_RANGES_MOST]:
        found = _RANGE.fullmatch(part)
        if found is None:
            continue
        tag, q = found[1].lower(), 1.0 if found[2] is None else float(found[2])
        tag = default if tag == "*" else tag
        if tag in offered and q > weight:
            best, weight = tag, q
    return best
