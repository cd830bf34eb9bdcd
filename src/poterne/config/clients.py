"""`[clients]`: how mail programs learn what to connect to."""

from dataclasses import dataclass

from poterne.config.fields import setting


@dataclass(frozen=True, slots=True)
class Clients:
    """`[clients]`: people type their address and password, and their mail program finds the rest by itself."""

    configure: bool = setting(
        True,
        "Listeners of service https tell mail programs what to connect to (Thunderbird, Outlook, Apple), and people "
        "how to set up any other.",
        why="It is the same for every address, and no more than the records in DNS say.",
    )
    hostname: str = setting(
        "",
        "The name that mail programs connect to. Empty: [server] hostname.",
        risk="It must lead to this server, and the certificate must be for it.",
    )
