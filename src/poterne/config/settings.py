"""Every setting of the server. The reference page `docs/config.md` is rendered from this file."""

from dataclasses import dataclass

from poterne.config.clients import Clients
from poterne.config.dkim import Dkim
from poterne.config.dns import Dns, Reputation
from poterne.config.fields import made, setting
from poterne.config.imap import Imap
from poterne.config.inbound import Inbound
from poterne.config.limits import Limits
from poterne.config.outbound_tls import OutboundTls
from poterne.config.publish import Publish, Zone
from poterne.config.queue import Queue
from poterne.config.reports import Reports
from poterne.config.retention import Quota, Retention
from poterne.config.route import Route
from poterne.config.search import Search
from poterne.config.sendmail import Sendmail

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Server:
    """`[server]`: who we are and where our things are."""

    hostname: str = setting(
        "",
        "The name this server says of itself (SMTP greeting, Received fields, certificate). Required.",
        risk="Other servers check that this name resolves to the address they see; a wrong name costs trust.",
    )
    data: str = setting(
        "data",
        "Folder of the database, the message segments and the local CA; relative to this file.",
        why="One folder to back up, to move and to protect.",
    )
    user: str = setting(
        "",
        'System user to become after the ports are bound, when started as root. Empty: "poterne" if it exists.',
        why="Nothing that reads mail runs as root.",
        risk="Started as root without such a user, the server refuses to run.",
    )
    workers: int = setting(
        0,
        "Processes that serve connections; 0 means one per core.",
        why="One event loop uses one core.",
        minimum=0,
        maximum=256,
    )
    loop: str = setting(
        "auto",
        "Event loop: uvloop where it is installed, else asyncio.",
        choices=("auto", "uvloop", "asyncio"),
        why="uvloop takes a third of the memory per idle TLS client and less CPU.",
    )
    role: str = setting(
        "all-in-one",
        '"all-in-one": mail from the Internet, submission, mailboxes. "mailbox": behind another server; every listener of '
        'service mx must say with allow or allow_file which servers may open SMTP there. "edge": in front of others, without '
        "mailboxes; it takes mail for the inbound domains of [route.NAME] and sends on what [relay.NAME] allows.",
        choices=("all-in-one", "mailbox", "edge"),
        risk="An inside server that strangers reach takes mail that nobody has checked.",
    )
    max_memory_mib: int = setting(
        1024,
        "Memory that a worker may take; three quarters of it for connections to service mx. Beyond, new ones are told to "
        "try later.",
        minimum=128,
        maximum=1_048_576,
        why="While a flood from outside fills its share, people who sign in are still served.",
    )
    language: str = setting("en", "Language of new accounts: names of folders, texts of notices.", choices=("en", "fr"))
    drain_s: int = setting(
        20,
        "Seconds that connections get to finish when the server stops or a worker is replaced.",
        minimum=0,
        maximum=600,
    )


@dataclass(frozen=True, slots=True)
class Listener:
    """`[listener.NAME]`: an address, a port, a service."""

    service: str = setting("", "What is spoken here.", choices=("mx", "submission", "lmtp", "imap", "pop3", "https"))
    addresses: list[str] = made(
        lambda: ["127.0.0.1", "::1"],
        'IP addresses to listen on; "0.0.0.0" and "::" mean every address.',
        why="A fresh instance answers on loopback only.",
        risk="Every address more is reachable by more strangers.",
    )
    port: int = setting(0, "TCP port.", minimum=1, maximum=65535)
    tls: str = setting(
        "starttls",
        '"implicit": TLS from the first byte. "starttls": upgrade; nothing is authenticated before it.',
        choices=("starttls", "implicit"),
        why="There is no cleartext mode: every client is encrypted (RFC 8314).",
    )
    require_tls: bool = setting(
        False,
        "Service mx only: refuse mail from servers that do not use STARTTLS.",
        why="Some servers still send without TLS; their mail would be lost.",
        risk="Mail of such servers is refused (530).",
    )
    max_connections: int = setting(
        2000,
        "Open connections on this listener, per worker; beyond it new ones are told to try later.",
        minimum=1,
        maximum=1_000_000,
    )
    max_per_address: int = setting(
        50,
        "Open connections from one IPv4 address or one IPv6 /64, per worker.",
        minimum=1,
        maximum=1_000_000,
        why="A household or a small office needs fewer; a flood needs more.",
    )
    max_per_minute: int = setting(
        600,
        "New connections a minute from one IPv4 address or one IPv6 /64, per worker; 0: any number.",
        minimum=0,
        maximum=1_000_000,
        why="A flood comes from neighbours: an IPv4 /26 or an IPv6 /48 has twice this (and twice max_per_address), an IPv4 /24 "
        "three times.",
    )
    exempt_loopback: bool = setting(
        False,
        "Connections from this machine count for max_connections only.",
        risk="A proxy, a tunnel or a container's port on this machine shows strangers under a loopback address.",
    )
    allow: list[str] = made(
        list,
        'Networks that may open a session here, for example ["192.0.2.0/24", "2001:db8::/56"]; without any, everybody may. '
        "Service lmtp must name some, and none of them public. Servers that bring mail (services mx and lmtp) and are named one "
        "by one, without a /, count for max_connections only.",
        why="An inside server has a few known correspondents.",
        risk="Mail from all others is refused (554).",
    )
    deny: list[str] = made(list, "Networks that may not, whatever allow says.", risk="Their mail is refused (554).")
    allow_file: str = setting("", "File with more of allow, one a line, # begins a comment; relative to this file.")
    deny_file: str = setting("", "File with more of deny, in the same form.")
    proxies: list[str] = made(
        list,
        "Proxies in front of this listener, which must speak the PROXY protocol, version 2: they say who connects.",
        why="Behind a proxy that hides addresses every rule about addresses is void.",
        risk="Whoever is listed here can claim to be anybody.",
    )
    backlog: int = setting(512, "Connections the kernel keeps waiting while we are busy.", minimum=1, maximum=65535)


@dataclass(frozen=True, slots=True)
class Relay:
    """`[relay.NAME]`: servers of yours that may send to other domains without signing in, named one by one."""

    hosts: list[str] = made(
        list,
        'Addresses or small networks, for example ["192.0.2.7"]. No two rules name the same.',
        why="Loopback, a proxy, a gateway, a whole network: every open relay began with one of them, so they are refused.",
        risk="Who gets hold of such a host sends in your name.",
    )
    sender_domains: list[str] = made(
        list, 'Domains that these hosts write for, each in full: ["example.org"].', risk="Nothing else is relayed."
    )
    recipient_domains: list[str] = made(list, "Domains that they may write to; without any, all.")
    per_hour: int = setting(0, "Recipients an hour, per worker. Required.", minimum=1, maximum=100_000)


@dataclass(frozen=True, slots=True)
class Certificate:
    """`[certificate.NAME]`: a certificate from files. Without any, the instance's own local CA issues one."""

    chain: str = setting("", "PEM file: the certificate, then its intermediates.")
    key: str = setting("", "PEM file: the private key, readable by the server's user only.")


@dataclass(frozen=True, slots=True)
class Tls:
    """`[tls]`: what handshakes may be like."""

    minimum_version: str = setting(
        "1.2",
        "Oldest TLS version accepted.",
        choices=("1.2", "1.3"),
        why="1.0 and 1.1 are broken (RFC 8996); some servers on port 25 still have no 1.3.",
    )
    handshake_s: int = setting(20, "Seconds a TLS handshake may take.", minimum=1, maximum=300)


@dataclass(frozen=True, slots=True)
class Smtp:
    """`[smtp]`: receiving and submission."""

    max_message_bytes: int = setting(
        52_428_800, "Largest message accepted (RFC 1870 SIZE).", minimum=64 * KIB, maximum=2_000 * MIB
    )
    max_header_bytes: int = setting(
        128 * KIB,
        "Largest header of a message accepted; beyond it 552.",
        minimum=16 * KIB,
        maximum=248 * KIB,
        why="Honest headers seldom reach 32 KiB. All of it is held and read before any of the message is stored.",
    )
    max_recipients: int = setting(
        1000, "Recipients in one transaction (RFC 5321 §4.5.3.1.8 asks for 100 at least).", minimum=100, maximum=50_000
    )
    max_received: int = setting(
        50, "Received fields beyond which a message is in a loop (RFC 5321 §6.3).", minimum=10, maximum=1000
    )
    max_bad_commands: int = setting(10, "Wrong commands after which the connection ends.", minimum=1, maximum=1000)
    max_unknown_recipients: int = setting(
        10, "Unknown recipients after which the connection ends, against address harvesting.", minimum=1, maximum=10_000
    )
    max_messages: int = setting(1000, "Messages in one connection.", minimum=1, maximum=1_000_000)
    max_useless_commands: int = setting(
        100,
        "Commands that bring nobody mail (NOOP, RSET, VRFY, HELP, EHLO again, transactions that come to nothing) after which "
        "the connection ends; an accepted message forgives them.",
        minimum=10,
        maximum=1_000_000,
    )
    greeting_delay_s: int = setting(
        1,
        "Service mx: seconds that a stranger waits for the greeting; who speaks before it is refused (554). Loopback addresses "
        "and listeners with an allow list have none. 0: nobody waits.",
        why="Servers listen before they speak (RFC 5321 §3.1), much of what sends spam does not.",
        minimum=0,
        maximum=60,
    )
    greeting_memory_s: int = setting(
        14_400,
        "Seconds that an address that waited is greeted at once.",
        why="Who sends much mail should wait once, not for each message.",
        minimum=0,
        maximum=604_800,
    )
    free_faults: int = setting(
        2,
        "Wrong commands and unknown recipients in one connection that are answered without a wait.",
        minimum=0,
        maximum=1000,
    )
    first_wait_ms: int = setting(
        500,
        "Milliseconds that the answer to the next one waits; twice as long for each after it.",
        minimum=0,
        maximum=60_000,
        why="An honest server makes few mistakes, a guesser many.",
    )
    max_wait_s: int = setting(8, "Longest of these waits, in seconds.", minimum=0, maximum=120)
    max_waits_s: int = setting(
        60,
        "Seconds that one connection may spend in these waits; then it ends.",
        why="Whoever waits keeps a connection of ours busy.",
        minimum=0,
        maximum=3600,
    )
    unknown_per_hour: int = setting(
        60,
        "Service mx: unknown recipients in an hour, from one IPv4 address or IPv6 /64 and in all its connections to a worker, "
        "after which it is told to come back later (450), if they are at least three of ten that it named; 0: any number.",
        minimum=0,
        maximum=1_000_000,
        why="Who tries out names uses many connections.",
    )
    harvest_block_s: int = setting(600, "Seconds for which it is told so.", minimum=1, maximum=86_400)
    command_timeout_s: int = setting(
        300, "Seconds to wait for the next command (RFC 5321 §4.5.3.2.7: 5 minutes).", minimum=10, maximum=3600
    )
    data_timeout_s: int = setting(180, "Seconds without any data inside a message.", minimum=10, maximum=3600)
    min_data_rate: int = setting(
        500,
        "Octets per second below which a sender of message data is cut.",
        minimum=0,
        maximum=1_000_000,
    )
    rate_grace_s: int = setting(
        60, "Seconds of waiting for a sender over which its rate is measured.", minimum=1, maximum=3600
    )


@dataclass(frozen=True, slots=True)
class Pop3:
    """`[pop3]`: reading with POP3."""

    login_timeout_s: int = setting(60, "Seconds a client has to sign in.", minimum=10, maximum=600)
    idle_timeout_s: int = setting(
        600,
        "Seconds without a command before the connection ends (RFC 1939 §3: 10 minutes at least).",
        minimum=600,
        maximum=86_400,
    )
    max_bad_commands: int = setting(10, "Wrong commands after which the connection ends.", minimum=3, maximum=10_000)
    lock: str = setting(
        "shared",
        '"shared": several programs may have the mailbox open at once. "exclusive": one POP3 session at a time (RFC 1939 §4), '
        "others are told to come back (IN-USE).",
        choices=("shared", "exclusive"),
        why="Message numbers are each session's own here, so nobody disturbs another, and no lock keeps people from their "
        "mail.",
        risk='"exclusive": a phone with a bad connection keeps the computer out until it times out.',
    )
    login_delay_s: int = setting(
        0,
        "Seconds between two sign-ins of an account; sooner is refused, and clients are told (LOGIN-DELAY). 0: none.",
        minimum=0,
        maximum=86_400,
        risk="A second program of the same person has to wait too.",
    )


@dataclass(frozen=True, slots=True)
class SignIn:
    """`[sign_in]`: passwords and guessing."""

    hashing_threads: int = setting(
        2,
        "Password checks at the same time in one worker; each takes 19 MiB and some 25 ms.",
        minimum=1,
        maximum=64,
        why="Bounds the memory and CPU that guessing can use.",
    )
    max_waiting: int = setting(
        64,
        'Password checks that may wait for a thread; beyond it the answer is "try again later".',
        minimum=1,
        maximum=10_000,
    )
    cache_s: int = setting(
        300,
        "Seconds a proven password is remembered, in memory and keyed, so that phones that reconnect cost nothing.",
        minimum=0,
        maximum=3600,
        risk="A changed password still ends at once: the cache is bound to the stored verifier.",
    )
    free_failures: int = setting(3, "Failures from one address before answers are slowed.", minimum=1, maximum=100)
    max_delay_s: int = setting(
        30, "Longest delay of an answer after failures; it doubles with each one.", minimum=1, maximum=300
    )
    forget_s: int = setting(900, "Seconds after which an address's failures are forgotten.", minimum=60, maximum=86_400)


@dataclass(frozen=True, slots=True)
class Store:
    """`[store]`: what is kept on disk."""

    segment_bytes: int = setting(
        256 * MIB, "Size at which a message segment is closed and a new one begun.", minimum=MIB, maximum=16_384 * MIB
    )
    quota_bytes: int = setting(0, "Quota of new accounts in octets; 0 is none.", minimum=0, maximum=2**60)
    grace_s: int = setting(
        86_400,
        "Seconds that expunged messages' bytes stay on disk before compaction takes them.",
        why="A message's bytes are written before anything names them: compaction must leave them alone until then.",
        minimum=3_600,
        maximum=31_536_000,
    )
    compact_every_s: int = setting(3600, "Seconds between compactions.", minimum=60, maximum=604_800)


@dataclass(frozen=True, slots=True)
class Log:
    """`[log]`: what is written to standard error."""

    level: str = setting("info", "Least level written.", choices=("debug", "info", "warning", "error"))
    format: str = setting(
        "auto",
        "json: one object a line. text: for reading. auto: text on a terminal.",
        choices=("auto", "json", "text"),
    )


@dataclass(frozen=True, slots=True)
class Metrics:
    """`[metrics]`: Prometheus text at `/metrics`, on loopback only."""

    port: int = setting(0, "TCP port; 0: off.", minimum=0, maximum=65535)
    address: str = setting(
        "127.0.0.1",
        "A loopback address.",
        risk="Metrics tell strangers who writes how much; other addresses are refused.",
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole file."""

    server: Server = made(Server, "Who we are.")
    listener: dict[str, Listener] = made(dict, "Listeners by name.")
    relay: dict[str, Relay] = made(dict, "Relay rules by name.")
    route: dict[str, Route] = made(dict, "Routes by name.")
    certificate: dict[str, Certificate] = made(dict, "Certificates by name.")
    tls: Tls = made(Tls, "TLS.")
    smtp: Smtp = made(Smtp, "SMTP.")
    dns: Dns = made(Dns, "Name lookups.")
    inbound: Inbound = made(Inbound, "Mail from strangers.")
    reputation: Reputation = made(Reputation, "What DNS tells about connecting servers.")
    imap: Imap = made(Imap, "IMAP.")
    pop3: Pop3 = made(Pop3, "POP3.")
    sign_in: SignIn = made(SignIn, "Passwords.")
    clients: Clients = made(Clients, "How mail programs are set up.")
    limits: Limits = made(Limits, "What people may send.")
    sendmail: Sendmail = made(Sendmail, "Scripts of this machine.")
    queue: Queue = made(Queue, "Mail that goes out.")
    outbound_tls: OutboundTls = made(OutboundTls, "Encryption on the way to other servers.")
    dkim: Dkim = made(Dkim, "Signatures of mail that leaves.")
    reports: Reports = made(Reports, "Reports about authentication.")
    publish: Publish = made(Publish, "What DNS is to say of us.")
    zone: dict[str, Zone] = made(dict, "What each domain publishes, by domain.")
    store: Store = made(Store, "Storage.")
    retention: Retention = made(Retention, "How long things are kept.")
    quota: Quota = made(Quota, "Full mailboxes.")
    search: Search = made(Search, "The index of texts.")
    log: Log = made(Log, "Logging.")
    metrics: Metrics = made(Metrics, "Metrics.")
