"""The TXT record at `_mta-sts.DOMAIN` (RFC 8461 §3.1): that there is a policy, and which."""

import re
from collections.abc import Iterable
from typing import Final

PREFIX: Final = "_mta-sts."
_VERSION: Final = re.compile(rb"v=STSv1[ \t]*;")
_DELIMITER: Final = re.compile(rb"[ \t]*;[ \t]*")
_FIELD: Final = re.compile(rb"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x21-\x3a\x3c\x3e-\x7e]+)")
_ID: Final = re.compile(rb"[A-Za-z0-9]{1,32}")
_MOST: Final = 4096


def policy_id(records: Iterable[bytes]) -> str | None:
    """The policy's id; None: the domain has no MTA-STS, or not so that it can be read. Never raises.

    Of a field that stands twice the first counts; unknown ones are passed over (RFC 8461 §3.2, last paragraph).
    """
    ours = [record for record in records if _VERSION.match(record)]
    if len(ours) != 1 or len(ours[0]) > _MOST:
        return None
    found: str | None = None
    fields = _DELIMITER.split(ours[0].rstrip(b" \t"))[1:]
    if fields and not fields[-1]:
        fields.pop()
    for text in fields:
        field = _FIELD.fullmatch(text)
        if field is None:
            return None
        if field[1] == b"id" and found is None:
            if _ID.fullmatch(field[2]) is None:
                return None
            found = field[2].decode("ascii")
    return found
