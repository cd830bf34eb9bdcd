"""The SMTP server core."""

from poterne.proto.core import Signal
from poterne.proto.smtp.events import Event
from poterne.proto.smtp.replies import Sent
from poterne.proto.smtp.settings import Limits, Offer


class Server:
    """One SMTP (or LMTP) connection, server side. `tls`: the link is encrypted from the start."""

    def __init__(self, offer: Offer, limits: Limits = Limits(), *, tls: bool = False) -> None:  # noqa: B008  # frozen
        raise NotImplementedError

    tls: bool
    authenticated: bool
    buffered: int
    """Octets received and not looked at yet: above 0 at `Connect` or `DataStart` the client did not wait for us."""

    def receive(self, data: bytes) -> None:
        raise NotImplementedError

    def next_event(self) -> Event | Signal:
        raise NotImplementedError

    def send(self, reply: Sent, /) -> None:
        raise NotImplementedError

    def output(self) -> list[bytes]:
        raise NotImplementedError

    @property
    def pending(self) -> int:
        raise NotImplementedError

    def tls_started(self) -> None:
        raise NotImplementedError
