"""Becoming nobody special: after the ports are bound, root is given up for good."""

import ctypes
import os
import pwd
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

MOST_FILES: Final = 1_048_576
_PR_SET_NO_NEW_PRIVS: Final = 38


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
    os.setgroups(os.getgrouplist(who.name, who.gid))
    os.setresgid(who.gid, who.gid, who.gid)
    os.setresuid(who.uid, who.uid, who.uid)
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise PrivilegeError("root could be regained after giving it up")


@contextmanager
def files_as(who: Identity | None) -> Iterator[None]:
    """What root makes inside belongs to `who`: root follows no link that `who` may have put into its own folder."""
    if who is None:
        yield
        return
    uid, gid = os.geteuid(), os.getegid()
    os.setegid(who.gid)
    os.seteuid(who.uid)
    try:
        yield
    finally:
        os.seteuid(uid)
        os.setegid(gid)


def no_new_privileges() -> None:
    """From here on no program that we or our children run can gain a privilege (prctl(2), PR_SET_NO_NEW_PRIVS)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def many_files() -> int:
    """Raise the number of files that may be open to what the system allows, since each connection is one; gives it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if most == resource.RLIM_INFINITY else min(most, MOST_FILES)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
