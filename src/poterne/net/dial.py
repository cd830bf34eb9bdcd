"""Connecting out: one numeric address, one port, one link."""

import asyncio
from typing import Final

from poterne.net.link import WRITE_TIMEOUT_S, Link, TlsSetup
from poterne.net.notice import NO_TRACE
from poterne.values.ids import TraceId

CONNECT_TIMEOUT_S: Final = 30.0


class DialError(Exception):
    """No TCP connection. `code` is a short stable word: "timeout", "refused", "unreachable"."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


async def dial(
    address: str,
    port: int,
    *,
    service: str = "",
    trace: TraceId = NO_TRACE,
    timeout_s: float = CONNECT_TIMEOUT_S,
    tls: TlsSetup | None = None,
    implicit_tls: bool = False,
    source: str | None = None,
    write_timeout_s: float = WRITE_TIMEOUT_S,
) -> Link:
    """A connected link to a numeric IP address; names are resolved by the caller, who knows whether the answer is secure.

    `implicit_tls`: the handshake is done too; else `tls` is for STARTTLS. `source`: the local address to send from.
    Raises DialError, or TlsError if the connection stood and the handshake failed.
    """
    loop = asyncio.get_running_loop()
    link = Link(
        loop,
        service=service,
        trace=trace,
        server_side=False,
        tls_setup=tls,
        implicit_tls=implicit_tls,
        write_timeout_s=write_timeout_s,
    )
    if implicit_tls and tls is None:
        raise ValueError("implicit TLS needs a TlsSetup")
    local = None if source is None else (source, 0)
    try:
        async with asyncio.timeout(timeout_s):
            await loop.create_connection(lambda: link, address, port, local_addr=local)
    except TimeoutError:
        link.abort()
        raise DialError("timeout") from None
    except ConnectionRefusedError:
        raise DialError("refused") from None
    except OSError as error:
        raise DialError("unreachable", error.strerror or "") from None
    await link.secured()
    return link
