"""Who a message says it is from, by a strict reading: one answer, or none.

Filters, signatures and people's programs read From with different parsers. Wherever two of them could find different authors a
spoofed message passes one and deceives the other (two From fields, source routes, comments, addresses outside the brackets…).
So nothing is guessed here: a field is read by the grammar of RFC 5322 §3.4 without its obsolete forms (§4.4) and without groups,
and what does not fit is refused with a code for the log and a text for the sender.

Beyond that grammar, because honest senders write it and no reader is deceived by it: dots in names without quotes, an encoded
word with commas, and an address without quotes as the name of that very address (`a@example.org <a@example.org>`). Within it, but
refused: "@", "<", ">" and a backslash in a comment, an "@" in an encoded word or in a quoted local part, and domain literals,
for an author has a domain. Each repetition in the expression is possessive and begins where no other can: time is linear.
"""

import re
from dataclasses import dataclass
from typing import Final

from poterne.message.encoded import decode_words
from poterne.message.header import MAX_FACTS, HeaderIndex, Malformation
from poterne.values.address import Address, AddressError

MAX_VALUE_BYTES: Final = 4096
"""Of one field that names people who answer for the message."""
MAX_ADDRESSES: Final = 32
"""In one of them."""

IDENTITY_FIELDS: Final = ((b"from", "From"), (b"sender", "Sender"), (b"resent-from", "Resent-From"),
                          (b"resent-sender", "Resent-Sender"))  # fmt: skip
"""Who wrote, who sent, and both again for a message that was sent on (RFC 5322 §3.6.2, §3.6.6)."""
_ONE_MAILBOX: Final = frozenset({"Sender", "Resent-Sender"})

TEXTS: Final = {
    # The header
    "leading-space": "The header begins with white space: begin it with a field such as From: (RFC 5322 section 2.2)",
    "no-colon": "A line of the header is no field, it has no colon: write Name: value, and an empty line before the text",
    "empty-name": "A field of the header has no name: write Name: value (RFC 5322 section 2.2)",
    "bad-name": "A field name of the header holds a space or another wrong character: write Name: value",
    "space-before-colon": "A field of the header has white space before its colon: write Name: value",
    "blank-fold": "A line of the header holds only white space: leave it out (RFC 5322 section 3.2.2)",
    "bare-cr": "The header holds a CR without LF: end lines in CRLF",
    "bare-lf": "The header holds a LF without CR: end lines in CRLF",
    "nul": "The header holds a NUL octet: leave it out",
    "too-malformed": "The header breaks RFC 5322 in too many places: write one field in each line",
    # The fields
    "missing": "The message has no {field} field: add one with the author's address (RFC 5322 section 3.6)",
    "duplicate": "The message has more than one {field} field: send it with exactly one (RFC 5322 section 3.6)",
    "too-long": "The {field} field is too long: name one author, with a shorter name",
    "too-many": "The {field} field names too many addresses: name one author",
    "several": "The {field} field names more than one address: it takes exactly one (RFC 5322 section 3.6.2)",
    "several-domains": "The {field} field names addresses of different domains: name one author, or authors of one domain",
    "eight-bit": "The {field} field holds characters that are not ASCII: encode names (RFC 2047), or send with SMTPUTF8",
    "not-utf8": "The {field} field is not UTF-8: encode names (RFC 2047)",
    "control-character": "The {field} field holds a control character: leave it out",
    "hidden-character": "A name in the {field} field hides a control character: leave it out",
    "route": "The {field} field holds a source route: give the address alone, Name <local@domain>",
    "group": "The {field} field holds a group (Name: ...;): give the address alone, Name <local@domain>",
    "no-address": "The {field} field holds no address: write Name <local@domain>",
    "syntax": 'The {field} field can be read in more than one way: write "Name" <local@domain> and nothing behind it',
    # One address; other codes of AddressError fall to "address"
    "address": "The address in the {field} field breaks RFC 5321 section 4.1.2: write Name <local@domain>",
    "encoded-word": "The {field} field has an encoded word in its address: only the name before it may be encoded",
    "trailing-dot": "The domain in the {field} field ends in a dot: leave the dot out",
    "quoted-at-sign": "The address in the {field} field holds a quoted @: use an address with one @",
    "domain-literal": "The address in the {field} field has an IP address for a domain: use a domain name",
    "numeric-domain": "The address in the {field} field has a number for a domain: use a domain name",
    "domain-idna": "The domain in the {field} field breaks RFC 5891: check its spelling",
    "domain-mapping": "The domain in the {field} field holds characters that look like others: write it in its usual form",
    "local-part-character": "The address in the {field} field holds a character that cannot be seen: leave it out",
    "confusable-local-part": "The address in the {field} field holds a look-alike of a special character: leave it out",
}
"""The public text of each refusal; `{field}` is the field's name."""

HEADER_CODES: Final = frozenset(
    {
        "leading-space", "no-colon", "empty-name", "bad-name", "space-before-colon", "blank-fold", "bare-cr", "bare-lf", "nul",
        "too-malformed",
    }
)  # fmt: skip
"""Codes that are about the header's lines and not about one field."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nobody can be named. `code` is a key of TEXTS; `field` is empty when it is about the header as a whole."""

    code: str
    field: str = ""

    @property
    def text(self) -> str:
        """For the sender: what is wrong, and what to do."""
        return TEXTS[self.code].format(field=self.field)


@dataclass(frozen=True, slots=True)
class Author:
    """Who a message is from: one or more addresses of one domain, which is lower-case A-labels."""

    addresses: tuple[Address, ...]
    domain: str


@dataclass(frozen=True, slots=True)
class Claim:
    """One field that names who answers for the message, and whom it names."""

    field: str
    addresses: tuple[Address, ...]


def author(header: HeaderIndex, *, smtputf8: bool = False) -> Author | Refusal:
    """The author, when every reader of this header must find the same one. Always returns; time is linear in the header.

    Refused besides From itself: malformed lines that readers divide differently, and a second Sender.
    """
    fault = malformed(header)
    if fault is not None:
        return fault
    found = header.find(b"from")
    if len(found) != 1:
        return Refusal("duplicate" if found else "missing", "From")
    if len(header.find(b"sender")) > 1:
        return Refusal("duplicate", "Sender")
    addresses = mailboxes("From", header.unfolded(found[0]), smtputf8=smtputf8)
    if isinstance(addresses, Refusal):
        return addresses
    domain = addresses[0].domain
    if len(addresses) > 1 and any(one.domain != domain for one in addresses):
        return Refusal("several-domains", "From")
    return Author(addresses, domain)


def claims(header: HeaderIndex, *, smtputf8: bool = False) -> tuple[Claim, ...] | Refusal:
    """Sender and every Resent-From and Resent-Sender, read as strictly as From. Always returns."""
    found: list[Claim] = []
    for name, shown in IDENTITY_FIELDS[1:]:
        for field in header.find(name):
            addresses = mailboxes(shown, header.unfolded(field), smtputf8=smtputf8)
            if isinstance(addresses, Refusal):
                return addresses
            if len(addresses) > 1 and shown in _ONE_MAILBOX:
                return Refusal("several", shown)
            found.append(Claim(shown, addresses))
    return tuple(found)


_MALFORMED: Final = {
    Malformation.LEADING_SPACE: "leading-space",
    Malformation.NO_COLON: "no-colon",
    Malformation.EMPTY_NAME: "empty-name",
    Malformation.BAD_NAME: "bad-name",
    Malformation.SPACE_BEFORE_COLON: "space-before-colon",
    Malformation.BARE_CR: "bare-cr",
    Malformation.BARE_LF: "bare-lf",
    Malformation.NUL: "nul",
}


def malformed(header: HeaderIndex) -> Refusal | None:
    """The first line of the header that readers may divide differently.

    A line of white space only is passed behind the last identity field: old programs fold long subjects that way, and whoever
    takes it for the end of the header has found the same author before.
    """
    facts = header.facts
    if not facts:
        return None
    if len(facts) >= MAX_FACTS:  # there may be more that are not told
        return Refusal("too-malformed")
    last = max((field.end for name, _ in IDENTITY_FIELDS for field in header.find(name)), default=header.end)
    for fact in facts:
        code = _MALFORMED.get(fact.kind)
        if code is None and fact.kind is Malformation.BLANK_FOLD and fact.at < last:
            code = "blank-fold"
        if code is not None:
            return Refusal(code)
    return None


_ATEXT: Final = rb"!#-'*+/-9=?A-Z^_`a-z{|}~\x80-\xff-"  # "-" last; "/" to "9" takes the digits
_QUOTED: Final = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_COMMENT: Final = rb'\([^()<>@"\\]*+(?:\([^()<>@"\\]*+\)[^()<>@"\\]*+)*+\)'
_ENCODED: Final = rb'=\?[^?<>@"\s]++\?[bBqQ]\?[^?<>@"\s]*+\?='
_ADDRESS: Final = rb"(?:[" + _ATEXT + rb".]++|" + _QUOTED + rb")@(?:[" + _ATEXT + rb".]++|\[[^]<>@\s]*+])"
_NAME: Final = rb"(?:" + _ENCODED + rb"|[" + _ATEXT + rb".]++|[ \t]++|" + _QUOTED + rb"|" + _COMMENT + rb")*+"
_AROUND: Final = rb"(?:[ \t]++|" + _COMMENT + rb")*+"
_MAILBOX: Final = re.compile(
    rb"(?:" + _NAME + rb"<(" + _ADDRESS + rb")>"
    rb"|" + _AROUND + rb"(" + _ADDRESS + rb")(?:[ \t]*+<(" + _ADDRESS + rb")>)?+"
    rb")" + _AROUND + rb"(?:,|\Z)"
)  # fmt: skip
"""Groups: the address in angle brackets; or one without, and the one in brackets that it is the name of. Ends behind a comma, or
at the end."""
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HIDDEN: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


def mailboxes(field: str, value: bytes, *, smtputf8: bool = False) -> tuple[Address, ...] | Refusal:
    """The addresses of an unfolded mailbox-list value, at least one. Always returns; time is linear in the value."""
    fault = _octets_fault(value, smtputf8=smtputf8)
    if fault:
        return Refusal(fault, field)
    addresses: list[Address] = []
    at = 0
    while True:
        match = _MAILBOX.match(value, at)
        if match is None:
            return Refusal(_misread(value, at), field)
        if len(addresses) == MAX_ADDRESSES:
            return Refusal("too-many", field)
        inner, bare, named = match.groups()
        if named is not None and named.lower() != bare.lower():
            return Refusal("syntax", field)
        address = _address(inner or bare)
        if isinstance(address, str):
            return Refusal(address, field)
        addresses.append(address)
        at = match.end()
        if value[at - 1 : at] != b",":
            return tuple(addresses)


def _octets_fault(value: bytes, *, smtputf8: bool) -> str:
    if len(value) > MAX_VALUE_BYTES:
        return "too-long"
    if _CONTROL.search(value):
        return "control-character"
    if not value.isascii():
        if not smtputf8:
            return "eight-bit"
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return "not-utf8"
        if _HIDDEN.search(text):
            return "control-character"
    if b"=?" in value and _HIDDEN.search(decode_words(value)):
        return "hidden-character"
    return ""


def _misread(value: bytes, at: int) -> str:
    """Which advice helps the sender most with what stands at `at`. The refusal is certain, only its text is not."""
    rest = value[at:]
    if b"@" not in rest:
        return "syntax" if b"@" in value else "no-address"
    if b"<@" in rest or rest[:1] == b"@":
        return "route"
    if b":" in rest and b";" in rest:
        return "group"
    return "syntax"


def _address(octets: bytes) -> Address | str:
    """The address, or the code of a refusal. What SMTPUTF8 must allow was looked at before."""
    try:
        address = Address.parse(octets.decode())
    except AddressError as error:
        return error.code if error.code in TEXTS else "address"
    except UnicodeDecodeError:
        return "not-utf8"
    if "@" in address.local_part:
        return "quoted-at-sign"
    if address.domain[:1] == "[":
        return "domain-literal"
    return address
