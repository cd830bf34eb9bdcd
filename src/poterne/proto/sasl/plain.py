"""PLAIN (RFC 4616): authzid NUL authcid NUL password."""

from poterne.proto.sasl.mechanism import Challenge, Credentials, Malformed, Step
from poterne.proto.sasl.text import MAX_OCTETS, identity, password
from poterne.values.secret import Secret


class Plain:
    """One PLAIN attempt. Without an initial response the client is asked by an empty challenge."""

    __slots__ = ("_asked",)

    def __init__(self) -> None:
        self._asked = False

    def start(self, initial: Secret | None) -> Step:
        if initial is None:
            self._asked = True
            return Challenge(b"")
        return self._read(initial)

    def step(self, response: Secret) -> Step:
        if not self._asked:
            return Malformed("unexpected-response")
        self._asked = False
        return self._read(response)

    @staticmethod
    def _read(message: Secret) -> Step:
        # RFC 4616 §2: each part at most 255 octets of UTF-8 without NUL; authcid and passwd are not empty.
        octets = message.reveal()
        if len(octets) > 3 * MAX_OCTETS + 2:
            return Malformed("too-long")
        parts = octets.split(b"\0")
        if len(parts) != 3:
            return Malformed("nul-count")
        authzid, authcid, passwd = parts
        who, as_whom, secret = identity(authcid), identity(authzid) if authzid else "", password(passwd)
        if who is None or as_whom is None:
            return Malformed("bad-identity")
        if secret is None:
            return Malformed("bad-password")
        return Credentials(who, secret, as_whom)
