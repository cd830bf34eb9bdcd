"""A new instance: its folder, settings, local CA, first domain. Everything is made, or nothing.

FOLDER/poterne.toml     the settings
FOLDER/data/            database, message segments, local CA: to back up, to move, readable by the server's user only
"""

import datetime as dt
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from poterne.admin import local_ca
from poterne.config import render
from poterne.config.load import parse
from poterne.config.settings import Listener

LOOPBACK: Final = ("127.0.0.1", "::1")
SETTINGS: Final = "poterne.toml"
DATA: Final = "data"
TLS: Final = "tls"


def standard_listeners(addresses: tuple[str, ...] = LOOPBACK, offset: int = 0) -> dict[str, Listener]:
    """The ports of RFC 8314 and the MX, each moved by `offset` (for instances that run beside another, or without root)."""
    chosen = list(addresses)
    return {
        "mx": Listener(service="mx", addresses=chosen, port=25 + offset, tls="starttls"),
        "submission": Listener(service="submission", addresses=chosen, port=587 + offset, tls="starttls"),
        "submissions": Listener(service="submission", addresses=chosen, port=465 + offset, tls="implicit"),
        "imaps": Listener(service="imap", addresses=chosen, port=993 + offset, tls="implicit"),
        "pop3s": Listener(service="pop3", addresses=chosen, port=995 + offset, tls="implicit"),
    }


@dataclass(frozen=True, slots=True)
class Plan:
    """What the instance will be."""

    folder: Path
    hostname: str
    listeners: Mapping[str, Listener] = field(default_factory=standard_listeners)
    chosen: Mapping[str, Mapping[str, render.Value]] = field(default_factory=dict)
    """Settings that differ from their defaults, by table."""


class InstanceError(Exception):
    """The instance can't be made; the text says why and what to do."""


def certificate_names(hostname: str) -> list[str]:
    """What the local CA's certificate is for: the server's name, those where mail programs ask, and this machine's usual ones."""
    parent = hostname.partition(".")[2]
    domain = parent if "." in parent else hostname
    return [hostname, *(f"{label}.{domain}" for label in ("autoconfig", "autodiscover")), "localhost", *LOOPBACK]


def make(plan: Plan, now: dt.datetime) -> Path:
    """The settings file of a new instance. Raises InstanceError; what was made until then is removed again."""
    folder = plan.folder
    if (folder / SETTINGS).exists():
        raise InstanceError(f"{folder / SETTINGS} exists already: choose another folder, or edit that file")
    fresh = not folder.exists()
    text = render.instance(plan.hostname, plan.listeners, plan.chosen, {})
    parse(text, folder / SETTINGS)  # ConfigError with a remedy, before anything is written
    try:
        (folder / DATA).mkdir(mode=0o700, parents=True, exist_ok=True)
        local_ca.ensure(folder / DATA / TLS, certificate_names(plan.hostname), now)
        descriptor = os.open(folder / SETTINGS, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
    except (OSError, local_ca.DamagedError) as error:
        if fresh:
            shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, local_ca.DamagedError):
            raise InstanceError(f"{folder / DATA / TLS}: {error}") from None
        raise InstanceError(
            f"{folder} can't be written ({error.strerror}): choose another folder, or check its owner"
        ) from None
    return folder / SETTINGS


def give_to(folder: Path, uid: int, gid: int) -> None:
    """After a set-up as root: the data is the server's user's; the settings stay root's, and that user may read them.

    The folder stays root's too, and can be read: a restored one is made for root alone, and umask may be strict.
    """
    mode = folder.stat().st_mode & 0o7777
    folder.chmod(mode | 0o055)  # read as well: its entries are synced
    for path in (folder / DATA, *(folder / DATA).rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)
    os.chown(folder / SETTINGS, 0, gid, follow_symlinks=False)
    (folder / SETTINGS).chmod(0o640)
