"""Address lists as programs write them (RFC 5322 §3.4), and where in the text each address stands.

Only what an address list *means* is found out here: comments, quoted strings, groups, names before angle brackets, obsolete
routes. Whether an address may be is the server's business. Nothing is guessed: two words without angle brackets are no address.
"""

import re
from itertools import pairwise
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r'(?P<space>\s+)|(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<literal>\[[^\[\]\\]*\])|(?P<atom>[^\s()<>\[\]:;@\\,"]+)|(?P<special>.)',
    re.DOTALL,
)


class Found(NamedTuple):
    address: str
    """`local@domain`, or only the local part."""
    end: int
    """Where in the text its local part (or all of it) ends: a domain can be put in there."""
    has_domain: bool


class AddressesError(ValueError):
    """Not an address list; the text says what is wrong with it."""


class _Token(NamedTuple):
    kind: str
    text: str
    start: int
    end: int


def addresses(text: str) -> list[Found]:
    """All addresses of a list, in order; groups are opened. Raises AddressesError."""
    found: list[Found] = []
    outside: list[_Token] = []
    angle: list[_Token] | None = None
    inside = False
    for token in _tokens(text):
        word = token.text if token.kind == "special" else ""
        if inside:
            if word == ">":
                inside = False
            elif angle is not None and word != "<":
                angle.append(token)
            else:
                raise AddressesError('"<" inside "<"')
        elif word == "<":
            if angle is not None:
                raise AddressesError('two "<" in one address: a comma is missing')
            angle, inside, outside = [], True, []
        elif word in {",", ";"}:
            found += _address(outside, angle)
            outside, angle = [], None
        elif word == ":" and angle is None:
            outside = []  # what came before was the name of a group
        elif angle is not None:
            raise AddressesError(f'"{token.text}" behind ">": a comma is missing')
        else:
            outside.append(token)
    if inside:
        raise AddressesError('">" is missing')
    return found + _address(outside, angle)


def _tokens(text: str) -> list[_Token]:
    """Without white space and comments."""
    tokens: list[_Token] = []
    at, depth = 0, 0
    while at < len(text):
        if text[at] in "()" or depth:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            if depth < 0:
                raise AddressesError('")" without "("')
            at += 2 if text[at] == "\\" else 1
            continue
        match = _TOKEN.match(text, at)
        assert match is not None  # noqa: S101  (any character is at least a special)
        kind = match.lastgroup or ""
        if kind != "space":
            tokens.append(_Token(kind, match[0], at, match.end()))
        at = match.end()
    if depth:
        raise AddressesError('")" is missing')
    return tokens


def _address(outside: list[_Token], angle: list[_Token] | None) -> list[Found]:
    tokens = outside if angle is None else angle
    if not tokens:
        if angle is None:
            return []  # two commas, or an empty group
        raise AddressesError("<> is no address")
    if angle is not None and tokens[0].text == "@":  # obsolete: <@relay,@other:address>
        colons = [number for number, token in enumerate(tokens) if token.text == ":"]
        if not colons:
            raise AddressesError("nothing before the @")
        tokens = tokens[colons[-1] + 1 :]
    signs = [number for number, token in enumerate(tokens) if token.kind == "special"]
    if [tokens[number].text for number in signs] not in ([], ["@"]):
        raise AddressesError(f'"{_text(tokens)}" is no address')
    cut = signs[0] if signs else len(tokens)
    local, domain = tokens[:cut], tokens[cut + 1 :]
    if not local or (signs and not domain) or not (_joined(local) and _joined(domain)):
        raise AddressesError(f'"{_text(tokens)}" is no address')
    address = "".join(token.text for token in (*local, *tokens[cut : cut + 1], *domain))
    if not address.isprintable():
        raise AddressesError("control characters in an address")
    return [Found(address, (domain or local)[-1].end, bool(domain))]


def _joined(tokens: list[_Token]) -> bool:
    """Do they touch each other? What white space separates is not one word."""
    return all(one.end == other.start for one, other in pairwise(tokens))


def _text(tokens: list[_Token]) -> str:
    return " ".join(token.text for token in tokens)
