"""The server core's own replies to what it cannot obey. Texts are for whoever reads the other side's log."""

from typing import Final

from poterne.proto.lines import LineFault
from poterne.proto.smtp.events import Bad, DataFault
from poterne.proto.smtp.replies import Reply

FATAL: Final = {
    "bare-lf": Reply(500, "5.5.2", "Lines end in CRLF here, not in LF (RFC 5321 section 2.3.8)", close=True),
    "bare-cr": Reply(500, "5.5.2", "A line holds a CR, lines end in CRLF (RFC 5321 section 2.3.8)", close=True),
    "line-too-long": Reply(500, "5.5.2", "The line does not end", close=True),
    "starttls-injection": Reply(421, "4.7.0", "Nothing may follow STARTTLS before the handshake"),
    "not-smtp": Reply(421, "4.7.0", "This is not what you are looking for"),
    "bdat-syntax": Reply(501, "5.5.4", "BDAT without a length that can be read", close=True),
    "bdat-too-big": Reply(552, "5.3.4", "The chunk is far larger than any message accepted here", close=True),
}
LINE_FAULTS: Final = {
    LineFault.TOO_LONG: Bad("line-too-long", Reply(500, "5.5.2", "The line is too long")),
    LineFault.NUL: Bad("nul", Reply(500, "5.5.2", "The line holds a NUL")),
}
AUTH_TOO_LONG: Final = Bad("line-too-long", Reply(500, "5.5.6", "The authentication exchange line is too long"), "AUTH")
AUTH_BASE64: Final = Bad("auth-base64", Reply(501, "5.5.2", "This is not base64"), "AUTH")
TOO_MANY: Final = Reply(452, "4.5.3", "Too many recipients, send the rest in another transaction")
DATA_REFUSALS: Final = {
    DataFault.BARE_LF: Reply(550, "5.6.0", "The message holds a bare LF; lines end in CRLF (RFC 5321 section 2.3.8)"),
    DataFault.BARE_CR: Reply(550, "5.6.0", "The message holds a bare CR; lines end in CRLF (RFC 5321 section 2.3.8)"),
    DataFault.NUL: Reply(550, "5.6.0", "The message holds a NUL"),
    DataFault.TOO_BIG: Reply(552, "5.3.4", "The message is larger than what is accepted here"),
}

NO_ARGUMENT: Final = Reply(501, "5.5.4", "This command takes no argument")
EMPTY: Final = Bad("unknown-command", Reply(500, "5.5.2", "An empty line is no command"))
UNKNOWN: Final = Bad("unknown-command", Reply(500, "5.5.1", "This command is not known"))
NOT_IMPLEMENTED: Final = Bad("not-implemented", Reply(502, "5.5.1", "This command is not implemented"))
NOT_OFFERED: Final = Reply(502, "5.5.1", "This command is not offered")
AUTH_NEEDS_TLS: Final = Bad("auth-without-tls", Reply(538, "5.7.11", "Say STARTTLS first"), "AUTH")
AUTH_AGAIN: Final = Bad("out-of-order", Reply(503, "5.5.1", "You are authenticated"), "AUTH")
TLS_AGAIN: Final = Bad("out-of-order", Reply(503, "5.5.1", "TLS is running"), "STARTTLS")
TLS_TOO_LATE: Final = Bad("out-of-order", Reply(503, "5.5.1", "You are authenticated already"), "STARTTLS")
WRONG_HELLO: Final = {
    True: Reply(500, "5.5.1", "This is LMTP, say LHLO"),
    False: Reply(500, "5.5.1", "This is SMTP, say EHLO"),
}
