"""`[queue]`: how mail for other servers waits and is tried."""

from dataclasses import dataclass

from poterne.config.fields import setting


@dataclass(frozen=True, slots=True)
class Queue:
    """`[queue]`: mail that goes to other servers."""

    first_retry_s: int = setting(
        300,
        "Seconds before a recipient that could not be reached is tried again; each time it doubles.",
        why="Greylisting servers ask for some minutes.",
        minimum=60,
        maximum=86_400,
    )
    longest_retry_s: int = setting(
        14_400, "Seconds between two tries at the most.", minimum=300, maximum=86_400, why="A repaired server gets its mail soon."
    )  # fmt: skip
    give_up_s: int = setting(
        432_000,
        "Seconds after which mail that could not be delivered goes back to its sender (RFC 5321 §4.5.4.1: 4 to 5 days).",
        minimum=3_600,
        maximum=2_592_000,
        risk="Shorter than a long weekend, a broken server elsewhere costs mail.",
    )
    give_up_notices_s: int = setting(
        172_800, "The same for notices of this server and other mail with the null sender.", minimum=3_600, maximum=2_592_000
    )  # fmt: skip
    delay_notice_s: int = setting(
        14_400,
        "Seconds after which a sender hears, once, that mail is late; 0: never.",
        why="Whoever waits for an answer may want to take the telephone.",
        minimum=0,
        maximum=2_592_000,
    )
    max_attempts: int = setting(
        100,
        "Conversations with other servers at the same time. One sender has half of those that are free at most.",
        minimum=4,
        maximum=5_000,
    )
    max_leased: int = setting(
        2_000,
        "Recipients in memory at the same time; all others wait in the store.",
        why="A queue of a million takes no more memory than one of two thousand.",
        minimum=100,
        maximum=100_000,
    )
    per_destination_start: int = setting(
        3, "Conversations with a destination that nothing is known of yet.", minimum=2, maximum=100
    )
    per_destination: int = setting(
        20,
        "Conversations with one destination at the most; as many only after it took mail well for a while.",
        minimum=2,
        maximum=1_000,
        risk="Large providers refuse connections beyond a few dozen.",
    )
    max_recipients: int = setting(
        100,
        "Recipients in one transaction with another server (RFC 5321 §4.5.3.1.8: every server takes 100).",
        minimum=1,
        maximum=1_000,
    )
    return_whole_bytes: int = setting(
        262_144,
        "Octets of a message that comes back whole with a notice of failure, where its sender asked for that (RET=FULL, "
        "RFC 3461); of larger ones, and where nobody asked, the header comes back.",
        minimum=0,
        maximum=52_428_800,
    )
    connect_s: int = setting(
        30,
        "Seconds for a connection to one address of another server; then the next address is tried.",
        minimum=1,
        maximum=600,
    )
    reply_s: int = setting(
        300,
        "Seconds for the greeting, and for the answer to each command.",
        why="RFC 5321 §4.5.3.2 wants five minutes: some servers make strangers wait on purpose.",
        minimum=10,
        maximum=3_600,
    )
    final_reply_s: int = setting(
        600,
        "Seconds for the answer to a whole message.",
        why="RFC 5321 §4.5.3.2.6 wants ten minutes: the other server writes, and often scans, it meanwhile.",
        risk="Who gives up too early sends the message twice: the other server may have taken it.",
        minimum=60,
        maximum=3_600,
    )
    connection_messages: int = setting(
        100, "Messages on one connection; fewer when the other server says so (RFC 9422).", minimum=1, maximum=10_000
    )
    connection_idle_s: int = setting(
        10,
        "Seconds that a connection is kept for the next message to the same server; 0: it is closed after each.",
        risk="Servers count idle connections as occupied ones.",
        minimum=0,
        maximum=300,
    )
    source_v4: str = setting("", "IPv4 address of this machine to connect from; empty: the system chooses.")
    source_v6: str = setting("", "IPv6 address of this machine to connect from; empty: the system chooses.")
    mx_port: int = setting(
        25, "TCP port of mail exchangers.", minimum=1, maximum=65535, risk="All the world's listen on 25. For laboratories only."
    )  # fmt: skip
    private_mx: bool = setting(
        False,
        "Deliver to loopback and private addresses that public DNS names for a domain.",
        why="Whoever owns a domain could point it at servers inside your network. Inside servers have a [route.NAME].",
        risk="For laboratories only.",
    )
