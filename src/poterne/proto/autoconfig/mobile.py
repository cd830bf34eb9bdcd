"""The QR code that Thunderbird for Android and K-9 Mail take an account from, without a password.

Source: Thunderbird's 'QR code format "Export for Mobile"', version 1: JSON arrays, in this order.
"""

import json
from typing import Final

from poterne.proto.autoconfig.offer import Door, Offer, Protocol

_FORMAT: Final = 1
_INCOMING: Final = {Protocol.IMAP: 0, Protocol.POP3: 1}
_SMTP: Final = 0
_STARTTLS, _TLS = 2, 3
_PASSWORD_IN_TLS: Final = 1


def payload(offer: Offer, address: str, name: str = "") -> str | None:
    """What the code holds. `name`: of the person. None unless mail can be read and sent, and for addresses beyond ASCII, which
    the format has not.
    """
    incoming, outgoing = offer.incoming, offer.best(Protocol.SMTP)
    if incoming is None or outgoing is None or not address.isascii():
        return None
    whole = [
        _FORMAT,
        [1, 1],  # the first code of one
        _server(_INCOMING[incoming.protocol], incoming, address),
        [[_server(_SMTP, outgoing, address), [address, name or address]]],
    ]
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def _server(protocol: int, door: Door, address: str) -> list[int | str]:
    return [protocol, door.host, door.port, _TLS if door.implicit else _STARTTLS, _PASSWORD_IN_TLS, address]
