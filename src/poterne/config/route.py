"""`[route.NAME]`: where mail for some domains goes, other than where public DNS says."""

from dataclasses import dataclass

from poterne.config.fields import made, setting


@dataclass(frozen=True, slots=True)
class Route:
    """`[route.NAME]`: a server that mail for some domains goes to, whatever public DNS says."""

    domains: list[str] = made(
        list,
        'Domains: "example.org", or ".example.org" for every domain below it; ["*"] for all that nothing else names (a smart '
        "host).",
    )
    host: str = setting("", "Name or IP address of the server. Its MX records are not asked for. Required.")
    port: int = setting(25, "TCP port.", minimum=1, maximum=65535)
    tls: str = setting(
        "verified",
        '"verified": TLS, with a certificate for this host. "required": TLS with any certificate. "opportunistic": TLS if it '
        "is offered; on this machine only.",
        choices=("verified", "required", "opportunistic"),
        why="On the way to a server of yours there is nobody who could not speak TLS.",
        risk='With "required", whoever gets between the two servers can read and change all mail.',
    )
    implicit_tls: bool = setting(False, "TLS from the first byte (port 465, RFC 8314) instead of STARTTLS.")
    ca: str = setting(
        "",
        "PEM file of the certificate authorities that vouch for the host; relative to this file. Empty: those of the system.",
    )
    user: str = setting("", "Sign in to the server with this name.")
    password_file: str = setting(
        "", "File with the password, readable by the server's user only; relative to this file."
    )
    lmtp: bool = setting(False, "Speak LMTP (RFC 2033) to it: a mailbox server that answers for each recipient.")
    inbound: bool = setting(
        False,
        "These domains are yours: mail for them is taken from everybody on service mx, checked, and brought to the host.",
        risk="Mail from strangers for every domain of this route is taken.",
    )
    verify: str = setting(
        "none",
        'How recipients are checked while mail is taken. "call-forward": the host is asked, and its answers kept. "list": '
        'recipients_file holds them. "none": everybody is taken.',
        choices=("none", "call-forward", "list"),
        risk='With "none", mail for people who do not exist is taken, and ends here without a notice.',
    )
    recipients_file: str = setting(
        "", "File of the recipients' addresses, one a line, # begins a comment; @example.org is all of a domain."
    )
    known_s: int = setting(
        86_400,
        "Seconds before a recipient that the host knows is asked about again; while the host is down it counts as known.",
        minimum=60,
        maximum=31_536_000,
    )
    unknown_s: int = setting(
        3_600,
        "Seconds that the host's answer that there is no such recipient counts.",
        minimum=10,
        maximum=604_800,
        why="People are hired, and harvesters ask for the same names again and again.",
    )
