"""Arguments of AUTHENTICATE, and what follows it. Secrets leave here as `Secret` only."""

import binascii

from poterne.proto.imap import commands
from poterne.proto.imap.cursor import CommandError, Cursor, syntax
from poterne.proto.imap.responses import bad
from poterne.values.secret import Secret


def authenticate(cursor: Cursor, tag: bytes) -> commands.Authenticate:
    """RFC 9051 §6.2.2, with the initial response of RFC 4959; "=" is an empty one."""
    cursor.space()
    mechanism = cursor.word().decode("ascii")
    initial: Secret | None = None
    if cursor.take(b" "):
        rest = cursor.text[cursor.at :]
        initial = Secret(b"") if rest == b"=" else sasl_data(rest)
        if not rest:
            raise syntax(b"Initial response expected")
    elif not cursor.at_end:
        raise syntax(b"Unexpected text after the mechanism")
    return commands.Authenticate(tag, mechanism, initial)


def sasl_data(line: bytes) -> Secret:
    """A line of base64, strictly read: padded, nothing around it (RFC 4648 §3.2, §3.3)."""
    try:
        return Secret(binascii.a2b_base64(line, strict_mode=True))
    except (binascii.Error, ValueError):
        raise CommandError("base64", bad(b"Invalid base64")) from None
