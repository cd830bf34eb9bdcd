"""What is looked at before a server starts: each finding is a StartError with its remedy, or a warning in the log."""

import fcntl
import importlib.util
import ipaddress
import os
import pwd
from pathlib import Path
from typing import Final

from poterne.app import metrics_files
from poterne.app.context import StartError
from poterne.app.privileges import Identity, files_as
from poterne.config.settings import Settings
from poterne.observe import Log

LOCK: Final = "server.lock"
METRICS: Final = "metrics"


def require_loop(settings: Settings) -> None:
    if settings.server.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        raise StartError('[server] loop is "uvloop", which is not installed: install it, or write loop = "auto"')


def trial_only(settings: Settings) -> bool:
    """Nothing outside this machine can reach it, and no port would have needed root; StartError when that is not so."""
    for name, listener in settings.listener.items():
        if listener.port < 1024 or not all(ipaddress.ip_address(a).is_loopback for a in listener.addresses):
            raise StartError(
                f"--keep-root is for loopback and high ports only, and [listener.{name}] is more than that"
            )
    return True


def require_same(new: Settings, old: Settings) -> None:
    """What can't change while the server runs."""
    if new.server.data != old.server.data:
        raise StartError("[server] data can't change while the server runs: stop it, move the folder, start it")
    if new.server.user != old.server.user:
        raise StartError("[server] user can't change while the server runs: stop it, chown the data folder, start it")


def data_folder(config: Path, settings: Settings, who: Identity | None) -> Path:
    """The data folder, which belongs to whom the server will be."""
    data = (config.parent / settings.server.data).resolve()
    try:
        owner = data.stat().st_uid
    except OSError:
        raise StartError(f"the data folder {data} does not exist: make the instance with `poterne setup`") from None
    if who is not None and owner != who.uid:
        raise StartError(f"the data folder {data} does not belong to {who.name}: chown -R {who.name}: {data}")
    if who is None and os.geteuid() not in {0, owner}:
        raise StartError(f"the data folder {data} belongs to {_name(owner)}: start the server as that user, or as root")
    return data


def socket_path(config: Path, settings: Settings) -> Path | None:
    """Where programs of this machine hand in mail; None: nowhere."""
    return (config.parent / settings.sendmail.socket).absolute() if settings.sendmail.socket else None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def take_lock(data: Path, who: Identity | None) -> int:
    """The lock that two servers on one folder can't both hold; it is given up when the process ends, however."""
    try:
        with files_as(who):
            lock = os.open(data / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartError(f"another server is running on {data}: stop it first") from None
    except OSError as error:
        raise StartError(
            f"the data folder {data} can't be written ({error.strerror}): check its owner, its mode and the free space"
        ) from None
    return lock


def metrics_folder(data: Path, log: Log) -> Path | None:
    """Where the processes count; None when the disk refuses: then each counts for itself and mail goes on."""
    folder = data / METRICS
    try:
        metrics_files.empty(folder)
    except OSError as error:
        log.warning("metrics.off", folder=str(folder), problem=error.strerror)
        os.environ.pop(metrics_files.FOLDER_VARIABLE, None)
        return None
    os.environ[metrics_files.FOLDER_VARIABLE] = str(folder)
    return folder


def warn(data: Path, settings: Settings, files: int, log: Log) -> None:
    """What works and should still be mended."""
    if data.stat().st_mode & 0o077:
        log.warning("data.readable", folder=str(data), remedy=f"chmod 700 {data}")
    wanted = sum(listener.max_connections for listener in settings.listener.values()) + 100
    if files < wanted:
        log.warning("files.few", possible=files, wanted=wanted, remedy="raise LimitNOFILE, or lower max_connections")
    if not os.access(os.__file__, os.R_OK, effective_ids=True):
        remedy = "install Python and Poterne where every user can read them, not in somebody's home folder"
        log.warning("code.unreadable", path=os.__file__, remedy=remedy)
    if not settings.listener:
        log.warning("listeners.none", remedy="write a [listener.NAME] for each port")
