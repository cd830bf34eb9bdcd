"""A message that was signed as all mail of a domain is: what others make of it is what they make of our mail."""

from collections.abc import Iterable
from email.utils import formatdate
from typing import Final

from poterne.config.dkim import algorithms
from poterne.config.settings import Settings
from poterne.mailauth.dkim.keys import UnusableKeyError, load
from poterne.mailauth.dkim.sign import Signer
from poterne.message.header import index
from poterne.values.dkim import DkimKey, KeyState

_BODY: Final = b"Signed, and sent to nobody: to see whether it verifies.\r\n"


def canary(settings: Settings, domain: str, keys: Iterable[DkimKey], now_s: int) -> bytes:
    """A whole message with a signature of each key that signs; b"": none does, or none can be used (the log tells)."""
    wanted = algorithms(settings.dkim) if settings.dkim.sign else ()
    usable = []
    for key in keys:
        if key.state is KeyState.ACTIVE and key.algorithm in wanted:
            try:
                usable.append(load(key.private, key.domain, key.selector))
            except UnusableKeyError:
                continue
    if not usable:
        return b""
    fields = (
        f"From: postmaster@{domain}",
        f"To: postmaster@{domain}",
        "Subject: canary",
        f"Date: {formatdate(now_s)}",
        f"Message-ID: <canary.{now_s}@{domain}>",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=us-ascii",
        "Content-Transfer-Encoding: 7bit",
    )
    message = "\r\n".join((*fields, "", "")).encode("ascii") + _BODY
    signer = Signer(usable, index(message), now_s)
    signer.feed(_BODY)
    return signer.finish() + message
