"""All that an SPF record reaches, whoever the client is: networks, names, what nobody should use any more.

Bounded as an evaluation is (RFC 7208 §4.6.4): TERMS_MOST terms with DNS, whatever loops the records make. Terms with macros
depend on the client; they are noted, and not followed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from typing import Final

from poterne.mailauth.spf import record
from poterne.mailauth.spf.check import Steps
from poterne.mailauth.spf.outcome import Result
from poterne.mailauth.spf.record import Directive, Mechanism, Record
from poterne.policy.published.asking import NAMES_MOST, ask, ask_all, records
from poterne.values.dns import AAAA, MX, TXT, A, Answer, NxDomain, TempFail

TERMS_MOST: Final = 40
"""More than the 10 of an evaluation, so that a record that is beyond them is seen whole."""
_NETWORKS_MOST: Final = 5000


@dataclass(slots=True)
class Reach:
    """What was found."""

    networks_4: list[IPv4Network] = field(default_factory=list)
    networks_6: list[IPv6Network] = field(default_factory=list)
    dangling: list[tuple[str, str]] = field(default_factory=list)
    """(term, name) where the name does not exist."""
    failed: list[str] = field(default_factory=list)
    """Names that DNS could not say anything of."""
    ptr: list[str] = field(default_factory=list)
    """Terms with ptr or `%{p}`."""
    helo: list[str] = field(default_factory=list)
    """Terms with `%{h}`: the client chooses what it says."""
    terms: int = 0
    seen: set[str] = field(default_factory=set)

    @property
    def addresses_4(self) -> int:
        """How many IPv4 addresses may send, each once."""
        return sum(network.num_addresses for network in collapse_addresses(self.networks_4))


def reach(domain: str) -> Steps[Reach]:
    """Everything below the record of a domain."""
    found = Reach()
    yield from _walk(domain, found)
    return found


def _walk(domain: str, found: Reach) -> Steps[None]:
    if domain in found.seen:
        return
    found.seen.add(domain)
    answer = yield from ask(domain, TXT)
    if isinstance(answer, TempFail):
        found.failed.append(domain)
    texts = record.select(records(answer))
    read = record.read(texts[0]) if len(texts) == 1 else None
    if not isinstance(read, Record):
        return
    for directive in read.directives:
        if directive.result is Result.PASS or directive.mechanism is Mechanism.INCLUDE:
            yield from _term(directive, domain, found)
    if read.redirect is not None:
        found.terms += 1
        _smell(read.redirect_text, read.redirect.letters, found)
        yield from _record_below(read.redirect_text, read.redirect.fixed, found)


def _term(directive: Directive, domain: str, found: Reach) -> Steps[None]:
    if directive.version:
        _add(found, directive.version, directive.network, directive.host_bits_4 or directive.host_bits_6)
        return
    mechanism, spec = directive.mechanism, directive.domain
    if mechanism is Mechanism.ALL or found.terms >= TERMS_MOST:
        return
    found.terms += 1
    if mechanism is Mechanism.PTR:
        found.ptr.append(directive.text)
    if spec is not None:
        _smell(directive.text, spec.letters, found)
    target = domain if spec is None else spec.fixed
    if target is None or mechanism is Mechanism.PTR:
        return
    match mechanism:
        case Mechanism.INCLUDE:
            yield from _record_below(directive.text, target, found)
        case Mechanism.A:
            yield from _hosts(directive, [target], found)
        case Mechanism.MX:
            answer = yield from ask(target, MX)
            _note(directive.text, target, answer, found)
            yield from _hosts(directive, [one.exchange for one in records(answer) if one.exchange], found)
        case _:
            answer_a = yield from ask(target, A)
            _note(directive.text, target, answer_a, found)


def _record_below(term: str, name: str | None, found: Reach) -> Steps[None]:
    if name is None:
        return
    answer = yield from ask(name, TXT)
    _note(term, name, answer, found)
    if found.terms < TERMS_MOST:
        yield from _walk(name, found)


def _hosts(directive: Directive, names: list[str], found: Reach) -> Steps[None]:
    names = names[:NAMES_MOST]
    fours = yield from ask_all(names, A)
    sixes = yield from ask_all(names, AAAA)
    for name, four, six in zip(names, fours, sixes, strict=True):
        _note(directive.text, name, four, found)
        for version, bits, addresses in (
            (4, directive.host_bits_4, records(four)),
            (6, directive.host_bits_6, records(six)),
        ):
            for address in addresses:
                _add(found, version, int(ip_network(address).network_address), bits)


def _add(found: Reach, version: int, network: int, host_bits: int) -> None:
    if len(found.networks_4) + len(found.networks_6) >= _NETWORKS_MOST:
        return
    base = network >> host_bits << host_bits
    if version == 4:
        found.networks_4.append(IPv4Network((base, 32 - host_bits)))
    else:
        found.networks_6.append(IPv6Network((base, 128 - host_bits)))


def _note(term: str, name: str, answer: Answer[object], found: Reach) -> None:
    if isinstance(answer, NxDomain):
        found.dangling.append((term, name))
    elif isinstance(answer, TempFail):
        found.failed.append(name)


def _smell(term: str, letters: Iterable[str], found: Reach) -> None:
    small = {letter.lower() for letter in letters}
    if "p" in small:
        found.ptr.append(term)
    if "h" in small:
        found.helo.append(term)
