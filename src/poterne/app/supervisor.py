"""The parent process: holds the ports, keeps the others alive, does nothing else.

Theory of operation. It runs no event loop and no thread, so that it may fork at any time; it never reads a byte from a
peer. Slot 0 is the steward, which opens (and migrates) the store first; the workers follow when it is ready. A child that
dies is replaced, at once the first time and then with growing pauses. Children hold the read end of a pipe whose write end
only we hold: when we die, however, they notice and drain.

SIGTERM and SIGINT stop everything gently; SIGHUP reads the settings anew and replaces the children one by one, new before
old, so that no port is ever closed. With unchanged settings SIGHUP only makes them read their certificates again.
"""

import contextlib
import fcntl
import ipaddress
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from poterne.app import privileges, service_manager
from poterne.app.bus import Exchange
from poterne.app.context import Child, Role
from poterne.config.load import ConfigError, load
from poterne.config.settings import Settings
from poterne.net.listen import bind_socket
from poterne.observe import Log, configure, logger

STEWARD: Final = 0
START_S: Final = 60.0
"""A child that is not ready by then is killed and tried again."""
STABLE_S: Final = 30.0
"""A child that ran this long is replaced at once when it dies."""
MAX_PAUSE_S: Final = 30.0
MAX_FIRST_FAILURES: Final = 2
"""Before the server was ever ready, a child may fail so often; then it is no accident, and the server ends with its message."""

EXIT_OK, EXIT_CONFIG, EXIT_START = 0, 78, 70
"""sysexits.h: EX_CONFIG for settings, EX_SOFTWARE for a child that can't start."""

Address = tuple[str, str, int]
"""(listener name, IP address, port)"""


class StartError(Exception):
    """The server can't start; the text says why and what to do."""


@dataclass(slots=True)
class _Process:
    """One child: its place, its process, what is known of it."""

    slot: int
    pid: int
    ready_fd: int
    started: float
    ready: bool = False
    replaces: int = 0
    """Pid of the child that is told to go once this one is ready."""
    leaving: bool = False


@dataclass(slots=True)
class _Slot:
    wanted: bool = True
    failures: int = 0
    restart_at: float | None = None
    processes: list[_Process] = field(default_factory=list)


class Supervisor:
    """Runs a server until it is told to stop. `load_main` imports what a child runs: `app.children.main`.

    It is called once the environment is set, and before any fork, so that the children share the memory of the code.
    """

    def __init__(self, path: Path, load_main: Callable[[], Callable[[Child], int]], *, keep_root: bool = False) -> None:
        self._path = path
        self._keep_root = keep_root
        self._load_main = load_main
        self._sockets: dict[Address, socket.socket] = {}
        self._slots: dict[int, _Slot] = {}
        self._stopping: float | None = None
        self._exit = EXIT_OK
        self._ever_ready = False
        self._signals: set[int] = set()

    def run(self) -> int:
        """The exit status: 0 after a gentle stop, 78 for bad settings, 70 when it can't start."""
        try:
            self._settings = load(self._path)
            self._prepare()
        except ConfigError as error:
            print(error, file=sys.stderr)  # noqa: T201  (nobody reads a log yet)
            return EXIT_CONFIG
        except (StartError, privileges.PrivilegeError) as error:
            print(f"poterne: {error}", file=sys.stderr)  # noqa: T201
            return EXIT_START
        self._catch_signals()
        self._start(STEWARD)
        try:
            while not self._finished():
                self._turn()
        finally:
            service_manager.notify("STOPPING=1")
            self._kill_all()
        return self._exit

    def _prepare(self) -> None:
        """Everything that may fail for a reason the administrator can mend."""
        settings = self._settings
        configure(settings.log.level, settings.log.format, "supervisor")
        self._log: Log = logger()
        who = None if self._keep_root and _trial_only(settings) else privileges.identity(settings.server.user)
        data = (self._path.parent / settings.server.data).resolve()
        if not data.is_dir():
            raise StartError(f"the data folder {data} does not exist: make the instance with `poterne setup`")
        owner = data.stat().st_uid
        if who is not None and owner != who.uid:
            raise StartError(f"the data folder {data} does not belong to {who.name}: chown -R {who.name}: {data}")
        self._bind(settings)
        if who is not None:
            privileges.drop(who)
        self._data = data
        self._lock = self._take_lock(data)
        self._metrics_folder()
        self._main = self._load_main()
        self._slots = {slot: _Slot() for slot in range(self._worker_count(settings) + 1)}
        self._exchange = Exchange(len(self._slots))
        self._life_read, self._life_write = os.pipe()
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)

    def _take_lock(self, data: Path) -> int:
        try:
            lock = os.open(data / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(f"another server is running on {data}: stop it first") from None
        except OSError as error:
            raise StartError(
                f"the data folder {data} can't be written ({error.strerror}): check its owner and mode"
            ) from None
        return lock

    def _metrics_folder(self) -> None:
        """Counters of all processes meet in files there; old ones are of processes that are gone."""
        folder = self._data / "metrics"
        folder.mkdir(mode=0o700, exist_ok=True)
        for old in folder.glob("*.db"):
            old.unlink(missing_ok=True)
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)

    @staticmethod
    def _worker_count(settings: Settings) -> int:
        return settings.server.workers or len(os.sched_getaffinity(0))

    def _bind(self, settings: Settings) -> None:
        """Bind what the settings name and is not bound; close what they no longer name. Raises StartError."""
        wanted: dict[Address, int] = {
            (name, address, listener.port): listener.backlog
            for name, listener in settings.listener.items()
            for address in listener.addresses
        }
        bound: dict[Address, socket.socket] = {}
        for key, backlog in wanted.items():
            if key in self._sockets:
                continue
            name, address, port = key
            try:
                bound[key] = bind_socket(address, port, backlog=backlog)
            except OSError as error:
                for sock in bound.values():
                    sock.close()
                raise StartError(_bind_text(name, address, port, error)) from None
        for key in list(self._sockets):
            if key not in wanted:
                self._sockets.pop(key).close()
        self._sockets.update(bound)

    # -- signals and turns ---------------------------------------------------------------------------------------------

    def _catch_signals(self) -> None:
        def note(number: int, _frame: object) -> None:
            self._signals.add(number)

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, note)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def _turn(self) -> None:
        waiting = {p.ready_fd: p for s in self._slots.values() for p in s.processes if not p.ready}
        readable, _, _ = select.select([self._wake_read, *waiting], [], [], self._patience())
        if self._wake_read in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 4096)
        for descriptor in readable:
            if descriptor in waiting:
                self._heard_ready(waiting[descriptor])
        signals, self._signals = self._signals, set()
        if signals & {signal.SIGTERM, signal.SIGINT}:
            self._stop()
        if signal.SIGHUP in signals and self._stopping is None:
            self._reload()
        self._reap()
        self._look_at_clock()

    def _patience(self) -> float:
        """Seconds until something is due: a restart, a child that is late, the end of the drain, the watchdog."""
        now = time.monotonic()
        due = [now + 30.0]
        due += [s.restart_at for s in self._slots.values() if s.restart_at is not None]
        due += [p.started + START_S for s in self._slots.values() for p in s.processes if not p.ready]
        if self._stopping is not None:
            due.append(self._stopping)
        if (watchdog := service_manager.watchdog_interval_s()) is not None:
            due.append(now + watchdog)
        return max(0.0, min(due) - now)

    def _look_at_clock(self) -> None:
        now = time.monotonic()
        service_manager.notify("WATCHDOG=1")
        if self._stopping is not None:
            if now >= self._stopping:
                self._kill_all()
            return
        for number, slot in self._slots.items():
            if slot.restart_at is not None and now >= slot.restart_at:
                slot.restart_at = None
                self._start(number)
            for process in slot.processes:
                if not process.ready and now >= process.started + START_S:
                    self._log.error("process.late", slot=number, pid=process.pid)
                    os.kill(process.pid, signal.SIGKILL)

    def _finished(self) -> bool:
        return self._stopping is not None and not any(s.processes for s in self._slots.values())

    def _stop(self) -> None:
        if self._stopping is not None:
            return
        self._log.info("server.stopping")
        service_manager.notify("STOPPING=1")
        self._stopping = time.monotonic() + self._settings.server.drain_s + 5.0
        for slot in self._slots.values():
            slot.restart_at = None
            for process in slot.processes:
                self._tell(process.pid, signal.SIGTERM)

    def _kill_all(self) -> None:
        for slot in self._slots.values():
            for process in slot.processes:
                self._tell(process.pid, signal.SIGKILL)

    @staticmethod
    def _tell(pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    # -- children ------------------------------------------------------------------------------------------------------

    def _start(self, number: int, *, replaces: int = 0) -> None:
        ready_read, ready_write = os.pipe()
        role = Role.STEWARD if number == STEWARD else Role.WORKER
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(ready_read)
            self._become_child(number, role, ready_write)
        os.close(ready_write)
        self._slots[number].processes.append(_Process(number, pid, ready_read, time.monotonic(), replaces=replaces))

    def _become_child(self, number: int, role: Role, ready_fd: int) -> NoReturn:
        """In the new process: give up what is the parent's, and run."""
        code = EXIT_START
        try:
            signal.set_wakeup_fd(-1)
            for caught in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
                signal.signal(caught, signal.SIG_DFL)
            os.close(self._life_write)
            os.close(self._wake_read)
            os.close(self._wake_write)
            os.close(self._lock)
            sockets: dict[str, list[socket.socket]] = {}
            for (name, _, _), sock in self._sockets.items():
                sockets.setdefault(name, []).append(sock)
            bus = self._exchange.end_of(number)
            child = Child(role, number, self._path, self._data, self._settings, sockets, bus, ready_fd, self._life_read)
            code = self._main(child)
        except BaseException:  # noqa: BLE001  (nothing may return into the parent's code)
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _heard_ready(self, process: _Process) -> None:
        answer = os.read(process.ready_fd, 1)
        os.close(process.ready_fd)
        process.ready_fd = -1
        process.ready = True  # also at end of file: then it is dying, and _reap comes next
        if not answer:
            return
        if process.replaces:
            self._retire(process.slot, process.replaces)
        if process.slot == STEWARD:
            for number, slot in self._slots.items():
                if number != STEWARD and slot.wanted and not slot.processes and slot.restart_at is None:
                    self._start(number)
        if all(any(p.ready for p in s.processes) for s in self._slots.values() if s.wanted):
            self._ever_ready = True
            self._log.info("server.ready", workers=len(self._slots) - 1, listeners=len(self._sockets))
            service_manager.notify("READY=1")

    def _retire(self, number: int, pid: int) -> None:
        for process in self._slots[number].processes:
            if process.pid == pid:
                process.leaving = True
                self._tell(pid, signal.SIGTERM)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._died(pid, os.waitstatus_to_exitcode(status))

    def _died(self, pid: int, code: int) -> None:
        found = [(n, p) for n, s in self._slots.items() for p in s.processes if p.pid == pid]
        if not found:
            return
        number, process = found[0]
        slot = self._slots[number]
        slot.processes.remove(process)
        was_ready = process.ready and process.ready_fd == -1 and code not in {EXIT_START, EXIT_CONFIG}
        if process.ready_fd != -1:
            os.close(process.ready_fd)
        if self._stopping is not None or process.leaving or not slot.wanted:
            return
        self._log.error("process.died", slot=number, pid=pid, status=code)
        if number == STEWARD and not was_ready and self._first_start():
            # The very first child could not open the store: its message is on the screen; workers would fail alike.
            self._exit = EXIT_START
            self._stopping = time.monotonic()
            return
        if not was_ready and not self._ever_ready and slot.failures >= MAX_FIRST_FAILURES:
            self._exit = EXIT_START
            self._stop()
            return
        ran = time.monotonic() - process.started
        slot.failures = 0 if ran >= STABLE_S else slot.failures + 1
        pause = 0.0 if slot.failures <= 1 else min(MAX_PAUSE_S, 0.5 * 2.0 ** (slot.failures - 2))
        slot.restart_at = time.monotonic() + pause

    def _first_start(self) -> bool:
        return not any(s.processes or s.failures for n, s in self._slots.items() if n != STEWARD)

    # -- reload --------------------------------------------------------------------------------------------------------

    def _reload(self) -> None:
        service_manager.reloading()
        try:
            settings = load(self._path)
            self._refuse_moved_data(settings)
            self._bind(settings)
        except (ConfigError, StartError) as error:
            self._log.error("settings.refused", problems=str(error).splitlines(), kept="the settings in force")
            service_manager.notify("READY=1")
            return
        if settings == self._settings:
            for slot in self._slots.values():
                for process in slot.processes:
                    self._tell(process.pid, signal.SIGHUP)
            self._log.info("certificates.reload")
            service_manager.notify("READY=1")
            return
        self._settings = settings
        configure(settings.log.level, settings.log.format, "supervisor")
        self._log = logger()
        self._log.info("settings.reload")
        self._resize(self._worker_count(settings) + 1)
        for number, slot in self._slots.items():
            if not slot.wanted:
                continue
            slot.failures = 0
            current = [p for p in slot.processes if not p.leaving]
            if number == STEWARD:  # two stewards at a time would do the same work twice: old first
                for process in current:
                    process.leaving = True
                    self._tell(process.pid, signal.SIGTERM)
                slot.restart_at = time.monotonic() + 0.5
            elif current:
                self._start(number, replaces=current[-1].pid)
            else:
                self._start(number)

    def _refuse_moved_data(self, settings: Settings) -> None:
        if settings.server.data != self._settings.server.data:
            raise StartError("[server] data can't change while the server runs: stop it, move the folder, start it")

    def _resize(self, count: int) -> None:
        """More or fewer workers, up to the number that the bus was made for."""
        if count > len(self._slots):
            remedy = "restart the server for more workers"
            self._log.warning("workers.limited", wanted=count - 1, possible=len(self._slots) - 1, remedy=remedy)
        for number, slot in self._slots.items():
            slot.wanted = number < count
            if not slot.wanted:
                slot.restart_at = None
                for process in slot.processes:
                    process.leaving = True
                    self._tell(process.pid, signal.SIGTERM)


def _trial_only(settings: Settings) -> bool:
    """Nothing outside this machine can reach it, and no port would have needed root."""
    for name, listener in settings.listener.items():
        if listener.port < 1024 or not all(ipaddress.ip_address(a).is_loopback for a in listener.addresses):
            raise StartError(
                f"--keep-root is for loopback and high ports only, and [listener.{name}] is more than that"
            )
    return True


def _bind_text(name: str, address: str, port: int, error: OSError) -> str:
    where = f"[listener.{name}] can't listen on {address} port {port}"
    if isinstance(error, PermissionError):
        return (
            f"{where}: ports below 1024 need a privilege. Start as root with [server] user set, "
            "or give the service CAP_NET_BIND_SERVICE, or choose a higher port"
        )
    text = error.strerror or "unknown reason"
    return f"{where}: {text}. Stop the program that uses it (ss -ltnp), or choose another address or port"
