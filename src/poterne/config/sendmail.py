"""Where programs of this machine hand in mail."""

from dataclasses import dataclass

from poterne.config.fields import setting


@dataclass(frozen=True, slots=True)
class Sendmail:
    """`[sendmail]`: the Unix socket on which scripts of this machine send (`poterne-sendmail`, a drop-in for `sendmail`)."""

    socket: str = setting(
        "",
        'Path of the socket, for example "/run/poterne/submit.sock"; relative to this file. Empty: there is none. A missing '
        "folder is made when the server is started as root; the packaged unit makes /run/poterne.",
        why="Who has no scripts needs no socket. Any local user may connect, and is refused unless a sender was approved "
        "for that user (`poterne sender add --uid`): the kernel says who it is.",
        risk="In a folder that other users can't enter, their scripts find no server.",
    )
    max_connections: int = setting(200, "Open connections on it, per worker.", minimum=1, maximum=100_000)
    max_per_user: int = setting(
        50, "Open connections of one local user, per worker: the rest is told to try later.", minimum=1, maximum=100_000
    )
    max_per_minute: int = setting(
        600, "New connections a minute of one local user, per worker; 0: any number.", minimum=0, maximum=1_000_000
    )
