"""COMPRESS (RFC 4978): when it may begin, and when it ends. What it does is `net.deflate`."""

from typing import Final

from poterne.proto.imap import commands, responses
from poterne.proto.imap.responses import bad, no, ok
from poterne.session.imap.client import Client
from poterne.session.imap.updates import catch_up

_UNKNOWN: Final = bad(b"Only DEFLATE is known")
_ACTIVE: Final = no(b"DEFLATE is active already", responses.COMPRESSIONACTIVE)
_TOO_MANY: Final = no(b"Too many connections compress now", responses.LIMIT)
_AHEAD: Final = bad(b"Nothing may be sent before the answer to COMPRESS", responses.CLIENTBUG)


def announced(capabilities: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """Without what is active already. (TLS never compresses here: see `net.tls`.)"""
    return tuple(name for name in capabilities if name != b"COMPRESS=DEFLATE")


async def compress(client: Client, command: commands.Compress) -> None:
    """RFC 4978 §3. From behind the CRLF of the OK on, everything is compressed in both directions.

    What the client sent ahead is not compressed, and would have to be: it is heard as it is, and compression does not begin.
    """
    settings, compressing = client.service.settings, client.service.compressing
    if command.mechanism != "DEFLATE":
        client.send(_UNKNOWN)
    elif client.compresses:
        client.send(_ACTIVE)
    elif compressing.count >= settings.compress_most:
        client.send(_TOO_MANY)
    else:
        await catch_up(client, expunge=True)
        if client.core.sent_ahead or not client.link.silent:
            client.send(_AHEAD)
            return
        client.compresses = True
        compressing.count += 1
        client.service.log.info("imap.compressed", trace=client.link.trace, now=compressing.count)
        client.send(ok(b"DEFLATE active"))
        await client.link.write(client.core.output())
        client.link.compress()


async def end(client: Client) -> None:
    """Behind the OK of UNAUTHENTICATE, in both directions (RFC 8437 §3)."""
    if client.compresses:
        forget(client)
        await client.link.write(client.core.output())
        client.link.end_compression()


def forget(client: Client) -> None:
    """It does not compress any more, or is gone."""
    if client.compresses:
        client.compresses = False
        client.service.compressing.count -= 1
