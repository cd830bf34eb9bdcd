"""What an HTTP server core tells the session, and takes from it."""

from typing import TypeAlias

import msgspec


class Request(msgspec.Struct, frozen=True, gc=False):
    """A request that can be read. Answer: one `Response`."""

    method: str
    """As written; methods are case-sensitive (RFC 9110 §9.1)."""
    host: str
    """Lower case, without port; "": HTTP/1.0 without Host."""
    path: str
    """As written, with the query: nothing is decoded."""
    body: bytes = b""
    """Of a POST."""
    languages: str = ""
    """The Accept-Language field, as written."""


class Malformed(msgspec.Struct, frozen=True, gc=False):
    """What came is no request that we answer. Answer: one `Response` with this status."""

    status: int
    why: str


Event: TypeAlias = Request | Malformed


class Response(msgspec.Struct, frozen=True, gc=False):
    """The answer; the connection ends behind it."""

    status: int
    body: bytes = b""
    allow: str = ""
    """The Allow field."""
    date: str = ""
    """The Date field (RFC 9110 §6.6.1)."""
    max_age_s: int = 0
    """How long it may be kept; 0: not at all."""
    content_type: str = "text/plain"
    fields: tuple[tuple[str, str], ...] = ()
    """Further fields, in ASCII; none of them may hold what strangers wrote."""


REASONS: dict[int, str] = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    411: "Length Required",
    413: "Content Too Large",
    414: "URI Too Long",
    417: "Expectation Failed",
    421: "Misdirected Request",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
