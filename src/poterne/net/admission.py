"""Who is let in, and who a connection is from: lists of networks, limits, and the header of a proxy.

What is asked here is asked before a connection costs anything: no session, no task, no handshake.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, final

from poterne.net.limits import Gate
from poterne.policy.access import Access
from poterne.proto.proxy import PREFIX_BYTES, Origin, ProxyError, origin, rest_bytes
from poterne.values.networks import NetworkSet

PROXY_HEADER_S: Final = 5.0
"""A proxy sends its header at once; one that does not is broken."""


def nobody(_: str) -> bool:
    """No address is known to hide strangers."""
    return False


@final
@dataclass(frozen=True, slots=True)
class Admission:
    r"""How one listener lets people in. `denial` is the complete reply to those on no list (b"554 5.7.1 …\r\n")."""

    gate: Gate
    access: Access = field(default_factory=lambda: Access(NetworkSet(), NetworkSet()))
    proxies: NetworkSet = field(default_factory=NetworkSet)
    """From these a PROXY header is expected, always; from nobody else is one believed."""
    hidden: Callable[[str], bool] = nobody
    """Do strangers arrive under this address?"""
    denial: bytes = b""
    named: NetworkSet = field(default_factory=NetworkSet)
    """Servers that were named one by one: no limit for an address is meant for them."""

    def enter(self, address: str) -> str:
        """Why this address may not come in, a word that is one of `policy.access.Reason` or of `Gate.enter`.

        An empty word: it may, and is counted until `leave`.
        """
        if self.access.open:
            return self.gate.enter(address, hidden=self.hidden(address))
        hidden = self.hidden(address)
        reason = self.access.decide(address, hidden=hidden).reason
        if reason is not None:
            return reason.value
        return self.gate.enter(address, hidden=hidden, named=bool(self.named) and address in self.named)

    def leave(self, address: str) -> None:
        self.gate.leave(address)


async def read_origin(client: socket.socket) -> Origin | None:
    """Read a proxy's header, and not an octet more; None when the proxy speaks for itself.

    Raises ProxyError (also "timeout" and "closed") and OSError.
    """
    try:
        async with asyncio.timeout(PROXY_HEADER_S):
            prefix = await _exactly(client, PREFIX_BYTES)
            return origin(prefix, await _exactly(client, rest_bytes(prefix)))
    except TimeoutError:
        raise ProxyError("timeout") from None


async def _exactly(client: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < size:
        more = await loop.sock_recv(client, size - len(data))
        if not more:
            raise ProxyError("closed")
        data += more
    return data
