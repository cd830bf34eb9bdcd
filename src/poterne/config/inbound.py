"""Settings of what is done with mail from strangers, by what is proven about who wrote it, and what is wrong in them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from poterne.config.fields import made, setting
from poterne.values.address import AddressError, domain_name
from poterne.values.networks import NetworkError, parse_network

_BY_POLICY: Final = ("policy", "junk", "accept")
_MEANING: Final = (
    '"policy": as the author\'s domain asks, so into quarantine (p=reject) or Junk (p=quarantine). "junk": Junk. "accept": it is '
    "delivered as if nothing had failed."
)


@dataclass(frozen=True, slots=True)
class Inbound:
    """`[inbound]`: mail on service mx from anybody but your own servers."""

    verify: bool = setting(
        True,
        'Find out who mail is from (SPF, DKIM, ARC, DMARC), and act on it as below. Role "mailbox": the server in front does it.',
        why="Whoever writes a sender's name into a message need not be that sender.",
        risk="false: anybody can write to your people in anybody's name, yours included.",
    )
    reject: str = setting(
        "refuse",
        "Mail whose author is not proven, of a domain that asks for such mail to be rejected (DMARC p=reject), with no sign of a "
        'mailing list or a forwarder. "refuse": 550 while the sender waits. "quarantine": kept from the mailbox until somebody '
        'releases it. "junk": delivered into Junk.',
        choices=("refuse", "quarantine", "junk"),
        why="p=reject alone is no reason to refuse (RFC 9989 §7.4): a sign of a list or a forwarder is looked for first. Refused "
        "in the dialogue, an honest sender learns at once what is wrong.",
        risk="Junk is read: this is where forged mail does its harm.",
    )
    quarantine: str = setting(
        "refuse",
        "The same for domains that ask for quarantine (p=quarantine, or p=reject while they test it).",
        choices=("refuse", "quarantine", "junk"),
        why="The author's domain calls it suspicious, nothing speaks for it, and what is refused is never lost in silence.",
        risk='"refuse": domains with p=quarantine sometimes have honest servers that they forgot. Their senders are told.',
    )
    own_domain: str = setting(
        "signed",
        'What proves that mail from outside is from one of your own domains. "signed": a DKIM signature of that domain. '
        '"aligned": its SPF record is enough. Without a proof it is refused, whatever your DMARC policy says; with the sign of a '
        "list or forwarder it goes into quarantine, or into Junk where such mail is taken. For subdomains without mailboxes here "
        'it is always "aligned".',
        choices=("signed", "aligned"),
        why="SPF proves a server, not its user: services that many share are in many SPF records. Your people send through this "
        "server, which signs.",
        risk='"signed": a service that writes in your name must sign with a key of your domain (poterne dkim).',
    )
    lookalikes: str = setting(
        "refuse",
        "Mail from a domain that is made to be taken for one of yours (other letters of the same shape, one letter more or less, "
        "your name before a stranger's), whose author is not proven either.",
        choices=("refuse", "quarantine", "junk", "accept"),
        why="Nobody answers for it, and its name deceives.",
        risk='"accept": invoices and passwords are lost to such mail more than to any other.',
    )
    proven_lookalikes: str = setting(
        "quarantine",
        "The same when the author is proven: the domain itself answers for the mail.",
        choices=("refuse", "quarantine", "junk", "accept"),
        why="Whoever registers such a domain to deceive also signs its mail. But an honest neighbour may have such a name too: "
        "nothing is lost, and known_neighbours ends it.",
    )
    known_neighbours: list[str] = made(
        list,
        'Domains that are no look-alikes, and subdomains of yours that others run: ["example.com"]. Whatever is below them too.',
        risk="A subdomain that is named here is a stranger: your own domain's rules no longer protect its name.",
    )
    display_names: str = setting(
        "junk",
        "Mail of strangers whose name is an address of your domains, or one of protected_names.",
        choices=("accept", "junk", "quarantine"),
        why="Many programs show the name and not the address. Honest services do this too (lists, shared calendars), so it is "
        "not refused.",
    )
    protected_names: list[str] = made(
        list,
        'Names that strangers should not bear: ["Marie Dupont"]. Case, accents and order of the words do not count.',
        why="Of those whose name makes people pay: the director, the accountant.",
        risk="Others of the same name, and these people's own private addresses, are found in Junk.",
    )
    unknown_domain: str = setting(
        "refuse",
        "Mail whose author's domain does not exist in DNS. With the sign of a list or forwarder: Junk, at most.",
        choices=("refuse", "junk", "accept"),
        why="Nobody can be there who wrote it, and nobody could be answered.",
        risk='"refuse": machines that write as root@localhost.example are told, and not read.',
    )
    unauthenticated: str = setting(
        "accept",
        "Mail for which nothing passes, neither SPF nor DKIM, of domains without a policy.",
        choices=("accept", "junk"),
        why="Small honest senders still have neither.",
    )
    spf_fail: str = setting(
        "junk",
        "Mail from a server that the domain of the reverse path says is not one of its own (SPF fail, -all), when the author's "
        "domain has no DMARC record and has not signed, and there is no sign of a list or a forwarder.",
        choices=("accept", "junk", "refuse"),
        why="Plain forwarding breaks SPF, so it alone is no reason to refuse (RFC 7208 §8.4 leaves it to us).",
        risk='"refuse": forwarded mail of unsigned domains is lost to its readers, unless you name the forwarder.',
    )
    arc_sealers: list[str] = made(
        list,
        'Domains whose ARC seals are believed: ["lists.example.org"]. A chain counts when all who sealed it since it passed are '
        "named.",
        why="A seal proves who says that the author was proven, not that it is true.",
        risk="Whoever is named can write to you in anybody's name.",
    )
    sealed: str = setting(
        "accept",
        f"Mail that a named sealer vouches for and whose author is not proven here. {_MEANING}",
        choices=_BY_POLICY,
        why="You named the sealer, and the seal is proven.",
    )
    forwarders: list[str] = made(
        list,
        "Servers that forward mail to your people, by the domain that their name or their envelope is proven to have, or by "
        'their networks: ["forward.example.net", "192.0.2.0/28"]. People can have forwarders of their own (poterne account).',
        risk="What others forge reaches you through a forwarder that does not check.",
    )
    forwarded: str = setting(
        "policy",
        f"Mail of such forwarders whose author is not proven. {_MEANING} Never so for your own domains.",
        choices=_BY_POLICY,
        why="A forwarder passes on what was forged, too.",
    )
    lists: list[str] = made(
        list,
        'Mailing lists, by their List-Id or by the domain that signs for them: ["users.lists.example.org", "lists.example.net"]. '
        "Others are known once they have written for a while.",
    )
    listed: str = setting(
        "policy",
        f"Mail of lists in `lists` whose author is not proven. {_MEANING} Lists that are not named there: always as with "
        '"policy". Never so for your own domains.',
        choices=_BY_POLICY,
        why="Lists change messages, which breaks signatures; whoever runs or abuses the list can do the same.",
    )
    list_messages: int = setting(
        3,
        "Messages with the same List-Id that the same domain answered for, before a list that is not named in `lists` is known.",
        minimum=1,
        maximum=1000,
        why="Anybody can write a List-Id; to have a history costs time.",
    )
    list_age_days: int = setting(
        7,
        "Days since the first of them.",
        minimum=0,
        maximum=365,
        risk="0: three messages in a minute make a list that is known. Forged mail then waits in quarantine and is not refused.",
    )
    quarantine_days: int = setting(
        30,
        "Days after which what nobody released from quarantine is deleted.",
        minimum=1,
        maximum=365,
        why="Holidays are shorter.",
    )
    max_dns_s: int = setting(
        20,
        "Seconds that all lookups for one message may take; what is not known by then is a temporary error (451).",
        minimum=1,
        maximum=120,
        why="RFC 7208 §4.6.4 asks for 20 at least for SPF. The sender waits for its answer for minutes.",
        risk="Less: mail of domains with slow name servers is put off again and again.",
    )


InboundDanger = tuple[tuple[str, ...], str, str]
"""(key, what is wrong, what to do)."""

MAX_PROTECTED_NAMES: Final = 1000
_WIDEST: Final = {4: 8, 6: 20}
"""Prefix lengths: no forwarder has more addresses."""
_MOST: Final = {"known_neighbours": 10_000, "arc_sealers": 1000, "forwarders": 1000, "lists": 10_000}


def of_inbound(inbound: Inbound) -> Iterator[InboundDanger]:
    """What is wrong in this table."""
    for field, most in _MOST.items():
        entries: list[str] = getattr(inbound, field)
        if len(entries) > most:
            yield ("inbound", field), f"has {len(entries)} entries", f"{most} are the most"
        for entry in entries:
            yield from _of_entry(field, entry)
    if len(inbound.protected_names) > MAX_PROTECTED_NAMES:
        yield ("inbound", "protected_names"), "has too many names", f"{MAX_PROTECTED_NAMES} are the most"
    for name in inbound.protected_names:
        if len(name.split()) < 2 or len(name) > 100 or "@" in name:
            yield (
                ("inbound", "protected_names"),
                f'"{name[:100]}" is not a full name',
                'write first and last name, for example "Marie Dupont"; one word alone is the name of too many',
            )


def _of_entry(field: str, entry: str) -> Iterator[InboundDanger]:
    if field == "forwarders" and ("/" in entry or ":" in entry or entry.replace(".", "").isdigit()):
        try:
            network = parse_network(entry)
        except NetworkError as error:
            yield ("inbound", field), f'"{error.entry}" {error.what}', error.remedy
            return
        if network.prefixlen < _WIDEST[network.version]:
            what = f'"{entry}" is a good part of the Internet: whoever forges mail could do it from there'
            yield ("inbound", field), what, "write the addresses of the servers that forward"
        return
    example = "users.lists.example.org" if field == "lists" else "example.org"
    remedy = f'write its name, for example "{example}"; whatever is below it is meant as well'
    try:
        name = domain_name(entry)
    except AddressError:
        yield ("inbound", field), f'"{entry[:100]}" is not a domain name', remedy
        return
    if "." not in name:
        yield ("inbound", field), f'"{entry}" is all of a top-level domain', remedy
