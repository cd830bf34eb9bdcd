"""LOGIN (draft-murchison-sasl-login): user name and password on one line each. For old clients; PLAIN says the same."""

from poterne.proto.sasl.mechanism import Challenge, Credentials, Malformed, Step
from poterne.proto.sasl.text import identity, password
from poterne.values.secret import Secret

_USER = Challenge(b"Username:")
_PASSWORD = Challenge(b"Password:")


class Login:
    """One LOGIN attempt. An initial response is taken as the user name, as clients in the field send it."""

    __slots__ = ("_asked", "_name")

    def __init__(self) -> None:
        self._asked = False
        self._name: str | None = None

    def start(self, initial: Secret | None) -> Step:
        self._asked = True
        return _USER if initial is None else self.step(initial)

    def step(self, response: Secret) -> Step:
        if not self._asked:
            return Malformed("unexpected-response")
        if self._name is None:
            self._name = identity(response.reveal())
            if self._name is not None:
                return _PASSWORD
            self._asked = False
            return Malformed("bad-identity")
        self._asked = False
        secret = password(response.reveal())
        return Malformed("bad-password") if secret is None else Credentials(self._name, secret)
