"""What is proposed never weakens a DMARC policy that is in DNS already: to make it milder is a decision of its own."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from poterne.mailauth.dmarc import record
from poterne.mailauth.dmarc.outcome import Policy
from poterne.values.zone import ZoneRecord, text_of, txt_data

STRENGTH: Final = (Policy.NONE, Policy.QUARANTINE, Policy.REJECT)
_P: Final = re.compile(rb"\bp=([a-z]+)")


def at_least(wanted: ZoneRecord, live: Iterable[bytes]) -> ZoneRecord:
    """The DMARC record that is wanted, with the policy of the strictest one in `live` where that is stricter."""
    if wanted.purpose != "dmarc" or wanted.type != "TXT":
        return wanted
    text = text_of(wanted.data)
    mine = _P.search(text)
    found = (record.read(one) for one in live)
    strictest = max((one.p for one in found if one is not None and one.p is not None), key=STRENGTH.index, default=None)
    if mine is None or strictest is None or STRENGTH.index(strictest) <= STRENGTH.index(Policy(mine[1].decode())):
        return wanted
    kept = _P.sub(b"p=" + strictest.value.encode(), text, count=1)
    return replace(wanted, data=txt_data(kept))
