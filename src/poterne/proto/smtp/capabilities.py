"""The EHLO reply's lines after the first."""

from functools import lru_cache

from poterne.proto.smtp.replies import Reply
from poterne.proto.smtp.settings import Offer


@lru_cache(maxsize=64)  # listeners × (TLS, signed in); never grows with what peers send
def capabilities(offer: Offer, *, tls: bool, authenticated: bool) -> bytes:
    """In the state that holds now: STARTTLS only before TLS, AUTH only inside TLS and before it succeeded."""
    lines = ["PIPELINING", f"SIZE {offer.size_bytes}", "8BITMIME", "ENHANCEDSTATUSCODES"]
    if offer.starttls and not tls:
        lines.append("STARTTLS")
    if offer.auth and tls and not authenticated:
        lines.append("AUTH " + " ".join(offer.auth))
    if offer.requiretls and tls:
        lines.append("REQUIRETLS")
    for name, offered in (("CHUNKING", offer.chunking), ("SMTPUTF8", offer.smtputf8), ("DSN", offer.dsn)):
        if offered:
            lines.append(name)
    mailmax = f" MAILMAX={offer.transactions}" if offer.transactions is not None else ""
    lines.append(f"LIMITS{mailmax} RCPTMAX={offer.recipients}")  # RFC 9422
    return Reply(250, "", lines[0], tuple(lines[1:])).wire
