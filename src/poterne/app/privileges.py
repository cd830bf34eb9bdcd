"""Becoming nobody special: after the ports are bound, root is given up for good."""

import grp
import os
import pwd
from dataclasses import dataclass


class PrivilegeError(Exception):
    """Root can't or must not be kept; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The system user to become."""

    name: str
    uid: int
    gid: int


def identity(wanted: str) -> Identity | None:
    """Whom to become: None when we are not root and stay who we are. Raises PrivilegeError."""
    if os.geteuid() != 0:
        return None
    name = wanted or "poterne"
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise PrivilegeError(
            f'started as root, and there is no system user "{name}" to become: '
            f"make one (useradd --system --home-dir / --shell /usr/sbin/nologin {name}), name another in [server] user, "
            "or start as the user who owns the instance"
        ) from None
    if entry.pw_uid == 0:
        raise PrivilegeError('[server] user is root: name a user without privileges, for example "poterne"')
    return Identity(name, entry.pw_uid, entry.pw_gid)


def drop(who: Identity) -> None:
    """Become `who`, with its groups, and make sure that there is no way back."""
    groups = [g.gr_gid for g in grp.getgrall() if who.name in g.gr_mem]
    os.setgroups([who.gid, *groups])
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise PrivilegeError("root could be regained after giving it up")
