"""The parent process: holds the ports, keeps the others alive, does nothing else.

Theory of operation. It runs no event loop and no thread, so that it may fork at any time; it never reads a byte from a
peer. Slot 0 is the steward, which opens (and migrates) the store first; the workers follow when it is ready. A child that
dies is replaced, at once the first time and then with growing pauses. Children hold the read end of a pipe whose write end
only we hold: when we die, however, they notice and drain.

SIGTERM and SIGINT stop everything gently. SIGHUP reads the settings anew: what is wrong with them is logged, and nothing
changes. With new settings a new *generation* of children follows, one slot at a time: the new process first, and when it serves,
the old one is told to go, so that no port is ever closed and settings that a worker can't start with stop at the first one. With
unchanged settings SIGHUP only makes the children read their certificates again.
"""

import contextlib
import gc
import os
import select
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from poterne.app import certificates, metrics_files, prepare, privileges, service_manager
from poterne.app.bus import Exchange
from poterne.app.context import EXIT_CONFIG, EXIT_OK, EXIT_START, Child, Role, StartError
from poterne.app.ports import BIND_S, Ports
from poterne.config.load import ConfigError, load
from poterne.config.settings import Settings
from poterne.net.tls import CertificateError
from poterne.observe import Log, configure, logger

STEWARD: Final = 0
START_S: Final = 60.0
"""A worker that is not ready by then is killed and tried again. The steward may take longer: it migrates the store."""
STABLE_S: Final = 30.0
"""A child that ran this long is replaced at once when it dies."""
MAX_PAUSE_S: Final = 30.0
MAX_FIRST_FAILURES: Final = 2
MAX_FIRST_CRASHES: Final = 5
"""Before the server was ever ready, a child may fail so often (having said why), or die so often; then the server ends."""
LEAVE_S: Final = 15.0
"""What a child may take beyond its drain time before it is killed."""
TURN_S: Final = 30.0

_CAUGHT: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@dataclass(slots=True)
class _Process:
    """One child: its place, its process, what is known of it."""

    slot: int
    pid: int
    place: str
    generation: int
    ready_fd: int
    started: float
    ready: bool = False
    leaving: bool = False
    kill_at: float | None = None


@dataclass(slots=True)
class _Slot:
    wanted: bool = True
    failures: int = 0
    restart_at: float | None = None
    processes: list[_Process] = field(default_factory=list)

    def staying(self) -> Iterator[_Process]:
        return (process for process in self.processes if not process.leaving)


class Supervisor:
    """Runs a server until it is told to stop. `load_main` imports what a child runs: `app.children.main`.

    It is called before any fork, so that the children share the memory of the code.
    """

    def __init__(self, path: Path, load_main: Callable[[], Callable[[Child], int]], *, keep_root: bool = False) -> None:
        self._path = path
        self._keep_root = keep_root
        self._load_main = load_main
        self._ports = Ports()
        self._slots: dict[int, _Slot] = {}
        self._roll: deque[int] = deque()
        """Slots that still have to change to the current generation."""
        self._rolling: int | None = None
        self._generation = 0
        self._stopping: float | None = None
        self._exit = EXIT_OK
        self._ever_ready = False
        self._announced = False
        self._signals: set[int] = set()

    def run(self) -> int:
        """The exit status: 0 after a gentle stop, 78 for bad settings, 70 when it can't start."""
        try:
            self._settings = load(self._path)
            self._prepare()
        except ConfigError as error:
            print(error, file=sys.stderr)  # noqa: T201  (nobody reads a log yet)
            return EXIT_CONFIG
        except (StartError, privileges.PrivilegeError, CertificateError) as error:
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
        self._log.info("server.stopped", status=self._exit)
        return self._exit

    def _prepare(self) -> None:
        """Everything that may fail for a reason the administrator can mend, and everything that needs root."""
        settings = self._settings
        configure(settings.log.level, settings.log.format, "supervisor")
        self._log: Log = logger()
        prepare.require_loop(settings)
        who = None if self._keep_root and prepare.trial_only(settings) else privileges.identity(settings.server.user)
        self._data = prepare.data_folder(self._path, settings, who)
        os.umask(0o077)
        self._lock = prepare.take_lock(self._data, who)
        local = prepare.socket_path(self._path, settings)
        self._ports.rebind(settings.listener, local, owner=who, patience_s=BIND_S)
        files = privileges.many_files()
        self._main = self._load_main()  # while we may surely read the code
        gc.collect()
        gc.freeze()  # else the first collection of each child writes to all of it, and it is shared no more
        gc.enable()
        if who is not None:
            privileges.drop(who)
        privileges.no_new_privileges()
        certificates.require_usable(self._path, self._data, settings)
        self._metrics = prepare.metrics_folder(self._data, self._log)
        prepare.warn(self._data, settings, files, self._log)
        self._slots = {slot: _Slot() for slot in range(_worker_count(settings) + 1)}
        self._exchange = Exchange(len(self._slots), unmoved=STEWARD)
        self._life_read, self._life_write = os.pipe()
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)

    # -- signals and turns ---------------------------------------------------------------------------------------------

    def _catch_signals(self) -> None:
        def note(number: int, _frame: object) -> None:
            self._signals.add(number)

        for number in _CAUGHT:
            signal.signal(number, note)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def _turn(self) -> None:
        waiting = {p.ready_fd: p for p in self._processes() if p.ready_fd != -1}
        poll = select.poll()  # no limit on the numbers of descriptors, unlike select
        for descriptor in (self._wake_read, *waiting):
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll(self._patience() * 1000):
            if descriptor == self._wake_read:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
            else:
                self._heard_ready(waiting[descriptor])
        signals, self._signals = self._signals, set()
        if signals & {signal.SIGTERM, signal.SIGINT}:
            self._stop()
        if signal.SIGHUP in signals and self._stopping is None:
            self._reload()
        self._reap()
        self._look_at_clock()
        if self._stopping is None:
            self._roll_on()
            self._announce()

    def _processes(self) -> Iterator[_Process]:
        return (process for slot in self._slots.values() for process in slot.processes)

    def _patience(self) -> float:
        """Seconds until something is due: a restart, a child that is late, the end of the drain, the watchdog."""
        now = time.monotonic()
        due = [now + TURN_S]
        due += [s.restart_at for s in self._slots.values() if s.restart_at is not None]
        due += [p.started + START_S for p in self._processes() if not p.ready and p.slot != STEWARD]
        due += [p.kill_at for p in self._processes() if p.kill_at is not None]
        if self._stopping is not None:
            due.append(self._stopping)
        if (watchdog := service_manager.watchdog_interval_s()) is not None:
            due.append(now + watchdog)
        return max(0.001, min(due) - now)

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
                late = not process.ready and now >= process.started + START_S
                if late and number == STEWARD:
                    service_manager.extend_start(2 * TURN_S)
                elif late or (process.kill_at is not None and now >= process.kill_at):
                    self._log.error("process.late", slot=number, pid=process.pid, ready=process.ready)
                    self._tell(process.pid, signal.SIGKILL)

    def _finished(self) -> bool:
        return self._stopping is not None and not any(self._processes())

    def _stop(self) -> None:
        if self._stopping is not None:
            return
        self._log.info("server.stopping")
        service_manager.notify("STOPPING=1")
        self._stopping = time.monotonic() + self._settings.server.drain_s + LEAVE_S
        self._ports.rebind({})  # connections that nobody will accept are refused, not kept waiting
        for slot in self._slots.values():
            slot.restart_at = None
        for process in self._processes():
            self._tell(process.pid, signal.SIGTERM)

    def _kill_all(self) -> None:
        for process in self._processes():
            self._tell(process.pid, signal.SIGKILL)

    @staticmethod
    def _tell(pid: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    def _announce(self) -> None:
        """Tell the service manager, once, when everything serves (again)."""
        if self._announced or not all(self._serves(n) for n, s in self._slots.items() if s.wanted):
            return
        self._announced = self._ever_ready = True
        workers = sum(s.wanted for s in self._slots.values()) - 1
        self._log.info("server.ready", workers=workers, sockets=len(self._ports))
        service_manager.notify(f"READY=1\nSTATUS=Serving on {len(self._ports)} sockets with {workers} workers")

    def _serves(self, number: int) -> bool:
        return any(p.ready and p.generation == self._generation for p in self._slots[number].staying())

    # -- children ------------------------------------------------------------------------------------------------------

    def _start(self, number: int) -> None:
        slot = self._slots[number]
        used = {process.place for process in slot.processes}
        place = next((name for letter in _LETTERS if (name := f"{number}{letter}") not in used), f"{number}z")
        if self._metrics is not None:
            with contextlib.suppress(OSError):  # a full disk: the process makes the files itself
                metrics_files.make_place(self._metrics, place)
        ready_read, ready_write = os.pipe()
        sys.stderr.flush()
        # A signal between fork and the child's own handlers would be noted by nobody.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _CAUGHT)
        pid = os.fork()
        if pid == 0:
            os.close(ready_read)
            self._become_child(number, place, ready_write)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(ready_write)
        slot.processes.append(_Process(number, pid, place, self._generation, ready_read, time.monotonic()))

    def _become_child(self, number: int, place: str, ready_fd: int) -> NoReturn:
        """In the new process: give up what is the parent's, and run."""
        code = EXIT_START
        try:
            signal.set_wakeup_fd(-1)
            for caught in _CAUGHT:
                signal.signal(caught, signal.SIG_IGN if caught == signal.SIGHUP else signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _CAUGHT)
            for descriptor in (self._life_write, self._wake_read, self._wake_write, self._lock):
                os.close(descriptor)
            role = Role.STEWARD if number == STEWARD else Role.WORKER
            sockets, local = self._ports.by_listener(), self._ports.local
            bus = self._exchange.end_of(number)
            code = self._main(
                Child(
                    role, number, self._path, self._data, self._settings, sockets, local, bus, place, ready_fd,
                    self._life_read,
                )
            )  # fmt: skip
        except BaseException:  # noqa: BLE001  (nothing may return into the parent's code)
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    def _heard_ready(self, process: _Process) -> None:
        answer = os.read(process.ready_fd, 1)
        os.close(process.ready_fd)
        process.ready_fd = -1
        if not answer:
            return  # it is dying, and `_reap` comes next
        process.ready = True
        self._log.info("process.ready", slot=process.slot, pid=process.pid)
        for other in self._slots[process.slot].processes:
            if other is not process:
                self._retire(other)
        if process.slot == STEWARD:
            for number, slot in self._slots.items():
                if number != STEWARD and slot.wanted and not slot.processes and slot.restart_at is None:
                    self._start(number)

    def _retire(self, process: _Process) -> None:
        """Tell a child to drain and go."""
        if not process.leaving:
            process.leaving = True
            process.kill_at = time.monotonic() + self._settings.server.drain_s + LEAVE_S
            self._tell(process.pid, signal.SIGTERM)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            process = next((p for p in self._processes() if p.pid == pid), None)
            if process is not None:
                self._died(process, os.waitstatus_to_exitcode(status))

    def _died(self, process: _Process, code: int) -> None:
        slot = self._slots[process.slot]
        slot.processes.remove(process)
        if process.ready_fd != -1:
            os.close(process.ready_fd)
        if self._metrics is not None:
            metrics_files.forget(self._metrics, process.place)
        if self._stopping is not None or not slot.wanted:
            return
        if process.leaving:
            if process.slot == STEWARD and not slot.processes:  # one at a time: the next follows when the last has gone
                self._start(STEWARD)
            return
        self._log.error("process.died", slot=process.slot, pid=process.pid, status=code)
        said_why = code in {EXIT_START, EXIT_CONFIG}
        if not self._ever_ready and (
            (said_why and (process.slot == STEWARD or slot.failures >= MAX_FIRST_FAILURES))
            or slot.failures >= MAX_FIRST_CRASHES
        ):
            self._exit = EXIT_START
            self._stop()
            return
        if any(other.generation == self._generation for other in slot.staying()):
            return  # its successor is on the way already
        ran = time.monotonic() - process.started
        slot.failures = 0 if ran >= STABLE_S else slot.failures + 1
        pause = 0.0 if slot.failures <= 1 else min(MAX_PAUSE_S, 0.5 * 2.0 ** (slot.failures - 2))
        slot.restart_at = time.monotonic() + pause

    # -- reload --------------------------------------------------------------------------------------------------------

    def _reload(self) -> None:
        service_manager.reloading()
        try:
            settings = load(self._path)
            prepare.require_loop(settings)
            prepare.require_same(settings, self._settings)
            if self._keep_root:
                prepare.trial_only(settings)
            certificates.require_usable(self._path, self._data, settings)
            self._ports.rebind(settings.listener, prepare.socket_path(self._path, settings))
        except (ConfigError, StartError, CertificateError) as error:
            self._log.error("settings.refused", problems=str(error).splitlines(), kept="the settings in force")
            service_manager.notify("READY=1\nSTATUS=The new settings were refused, see the log")
            return
        if settings == self._settings:
            for process in self._processes():
                self._tell(process.pid, signal.SIGHUP)
            self._log.info("certificates.reload")
            service_manager.notify("READY=1")
            return
        self._settings = settings
        configure(settings.log.level, settings.log.format, "supervisor")
        self._log = logger()
        self._log.info("settings.reload")
        self._generation += 1
        self._announced = False
        self._resize(_worker_count(settings) + 1)
        self._rolling = None
        self._roll = deque(number for number, slot in self._slots.items() if slot.wanted)
        for slot in self._slots.values():
            slot.restart_at = None

    def _roll_on(self) -> None:
        """Replace the children of the next slot, once those of the last one serve."""
        while self._roll and (self._rolling is None or self._serves(self._rolling)):
            self._rolling = self._roll.popleft()
            slot = self._slots[self._rolling]
            slot.failures = 0
            slot.restart_at = None
            staying = list(slot.staying())
            if self._rolling == STEWARD and staying:  # two at a time would do the same work twice: see `_died`
                for process in staying:
                    self._retire(process)
            else:
                self._start(self._rolling)

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
                    self._retire(process)


def _worker_count(settings: Settings) -> int:
    return settings.server.workers or len(os.sched_getaffinity(0))
