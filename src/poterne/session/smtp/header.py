"""The header of a message on its way in: held until it is complete, then judged and cleaned.

The body never comes here. Who a message says it is from must be beyond doubt (`message.author`); who signed in may only say
names of their own; what only this server may write is taken out (`message.hygiene`).
"""

from typing import Final, NamedTuple, final

from poterne.message import compose, hygiene
from poterne.message.author import HEADER_CODES, IDENTITY_FIELDS, TEXTS, Author, Claim, Refusal, author, claims
from poterne.message.autosubmitted import forced
from poterne.message.fingerprint import Fingerprint
from poterne.message.header import HeaderIndex, header_end, index
from poterne.proto.smtp.replies import Reply
from poterne.session.smtp.envelope import Envelope
from poterne.session.smtp.principal import Principal, Script
from poterne.session.smtp.refused import Refused
from poterne.session.smtp.scripts import not_its_name
from poterne.session.smtp.services import Services


class Judged(NamedTuple):
    """A message's first octets as they are to be stored, and what its header says that later decisions need."""

    data: bytes
    says: Fingerprint | None = None
    """Of a script's message: what it says. To be fed with the rest of the body."""
    answers: bool = False
    """It answers another message (In-Reply-To, References)."""
    header: HeaderIndex | None = None
    """As it came, from a stranger."""
    author: Author | None = None


UNJUDGED: Final = Judged(b"")
_SHOWN: Final = tuple(shown for _, shown in IDENTITY_FIELDS)
_REPLIES: Final = {Refusal(code): Reply(554, "5.6.0", Refusal(code).text) for code in HEADER_CODES} | {
    Refusal(code, shown): Reply(550, "5.7.1", Refusal(code, shown).text)
    for code in TEXTS.keys() - HEADER_CODES
    for shown in _SHOWN
}
_NOT_YOURS: Final = {
    shown: Refused(
        f"{shown.lower()}-not-yours",
        Reply(
            550,
            "5.7.1",
            f"The address in the {shown} field is not yours: write your own address or one of your aliases",
        ),
    )
    for shown in _SHOWN
}
_LOOP: Final = Refused(
    "loop", Reply(554, "5.4.6", "This message has travelled through too many servers: it is in a loop")
)
_TOO_BIG: Final = Refused(
    "header-too-big",
    Reply(552, "5.3.4", "The header is larger than what is accepted here: send long lists in the text"),
)
_BLANK: Final = b"\r\n\r\n"
LINES_MOST: Final = 5_000
"""Of a header: each costs some 2 µs, however short it is. A thousand recipients are a thousand lines."""


@final
class Held:
    """Gathers a message's first octets up to the end of its header, at most `max_bytes` of them and the last chunk's rest."""

    __slots__ = ("_data", "_max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self._data: bytes | bytearray = b""
        self._max_bytes: Final = max_bytes

    def feed(self, chunk: bytes) -> bytes | Refused | None:
        """The header and what follows it so far, once it is complete; a refusal when it is too big; None before."""
        data = self._data
        if not data:
            self._data = data = chunk
            searched = 0
        else:
            if isinstance(data, bytes):
                self._data = data = bytearray(data)
            searched = max(0, len(data) - 3)
            data += chunk
        end = 2 if data[:2] == b"\r\n" else data.find(_BLANK, searched)
        if (len(data) if end < 0 else end) > self._max_bytes:
            self._data = b""
            return _TOO_BIG
        return None if end < 0 else self.finish()

    def finish(self) -> bytes:
        """What there is: all of the message, when its header has no end."""
        data, self._data = self._data, b""
        return bytes(data)


async def judge(services: Services, principal: Principal | None, envelope: Envelope, data: bytes) -> Judged | Refused:
    """The message's first octets as they are to be stored, or a refusal. `principal`: who signed in. Raises StoreError."""
    end = header_end(data)
    if data.count(b"\n", 0, len(data) if end < 0 else end) > LINES_MOST:
        return _TOO_BIG
    header = index(data)
    smtputf8 = envelope.mail.smtputf8
    hops = len(header.find(b"received"))
    if hops >= services.settings.max_received:  # RFC 5321 §6.3; one more is ours
        return _LOOP
    named = author(header, smtputf8=smtputf8)
    if isinstance(named, Refusal):
        return Refused(named.code, _REPLIES[named])
    envelope.tls_optional = not envelope.mail.requiretls and _tls_optional(header)
    if principal is None:
        clean = hygiene.cleaned_received(header, services.authserv_id)
        octets = data if clean is header.block else clean + data[header.end :]
        return Judged(octets, header=header, author=named)
    refused = await _foreign(services, principal, header, named, smtputf8=smtputf8)
    if refused is not None:
        return refused
    clean = hygiene.cleaned_submitted(
        header,
        lambda: compose.date_field(int(services.clock())),
        lambda: compose.message_id_field(envelope.trace, services.hostname),
    )
    says = None
    if isinstance(principal, Script):
        clean = forced(index(clean))
        says = Fingerprint(header)
        says.feed(data[header.end :])
    answers = bool(header.find(b"in-reply-to") or header.find(b"references"))
    octets = data if clean is header.block else clean + data[header.end :]
    return Judged(octets, says, answers, header, named)


def _tls_optional(header: HeaderIndex) -> bool:
    """RFC 8689 §3. More than one such field, or another word, is no such wish: then TLS stays what the recipient demands."""
    said = header.find(b"tls-required")
    return len(said) == 1 and header.unfolded(said[0]).lower() == b"no"


async def _foreign(
    services: Services, principal: Principal, header: HeaderIndex, named: Author, *, smtputf8: bool
) -> Refused | None:
    """The first field that names somebody else than who signed in."""
    claimed = claims(header, smtputf8=smtputf8)
    if isinstance(claimed, Refusal):
        return Refused(claimed.code, _REPLIES[claimed])
    for claim in (Claim("From", named.addresses), *claimed):
        for address in claim.addresses:
            if not await principal.owns(services.store, address):
                return not_its_name(principal) if isinstance(principal, Script) else _NOT_YOURS[claim.field]
    return None
