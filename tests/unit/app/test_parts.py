"""Ports, service manager, privileges, metrics files, logs: the small parts of a server."""

import json
import logging
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from poterne import observe
from poterne.app import metrics_files, prepare, privileges, service_manager
from poterne.app.context import StartError
from poterne.app.ports import Ports
from poterne.config.settings import Listener, Server, Settings
from poterne.values.secret import Secret
from tests.support.server import ADDRESS, free_port

ROOT = os.geteuid() == 0


def listener(port: int, *addresses: str, backlog: int = 5) -> Listener:
    return Listener(service="mx", addresses=list(addresses or (ADDRESS,)), port=port, backlog=backlog)


def greeted(port: int, address: str = ADDRESS) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True


# -- ports -------------------------------------------------------------------------------------------------------------


def test_ports_follow_the_settings_and_keep_what_stays() -> None:
    one, two = free_port(), free_port()
    ports = Ports()
    ports.rebind({"a": listener(one, ADDRESS, "127.0.0.2")})
    kept = ports.by_listener()["a"]
    ports.rebind({"renamed": listener(one, ADDRESS), "b": listener(two)})
    assert ports.by_listener()["renamed"] == kept[:1]
    assert greeted(two)
    assert not greeted(one, "127.0.0.2")
    ports.rebind({})
    assert not greeted(one)
    assert len(ports) == 0


def test_one_port_that_is_taken_changes_nothing() -> None:
    mine, other = free_port(), free_port()
    ports = Ports()
    ports.rebind({"a": listener(mine)})
    with socket.create_server((ADDRESS, 0)) as held:
        taken = held.getsockname()[1]
        with pytest.raises(
            StartError, match=rf"\[listener.c\] can't listen on {ADDRESS} port {taken}: the port is taken"
        ):
            ports.rebind({"b": listener(other), "c": listener(taken)}, patience_s=0.1)
    assert greeted(mine)
    assert not greeted(other)
    assert list(ports.by_listener()) == ["a"]
    ports.rebind({})


def test_a_wider_address_on_a_port_of_ours_needs_a_restart() -> None:
    port = free_port()
    ports = Ports()
    ports.rebind({"a": listener(port)})
    with pytest.raises(StartError, match=r"the running server holds that port on another address\. Restart it"):
        ports.rebind({"a": listener(port, "0.0.0.0")})
    ports.rebind({})


def test_an_address_of_another_machine() -> None:
    with pytest.raises(StartError, match="this machine has no such address"):
        Ports().rebind({"a": listener(free_port(), "192.0.2.1")})


@pytest.mark.skipif(ROOT, reason="root may bind every port")
def test_a_low_port_needs_a_privilege() -> None:
    with pytest.raises(StartError, match="ports below 1024 need a privilege"):
        Ports().rebind({"a": listener(1023)})


def test_a_port_that_becomes_free_in_a_moment_is_waited_for() -> None:
    code = "import socket,sys,time; s=socket.create_server(('127.0.0.1',0)); print(s.getsockname()[1],flush=True); time.sleep(.3)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        port = int(holder.stdout.readline())
        ports = Ports()
        ports.rebind({"a": listener(port)}, patience_s=5)
        assert greeted(port)
        ports.rebind({})


# -- the service manager -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True])
def test_the_service_manager_hears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, abstract: bool) -> None:
    name = f"@poterne-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        service_manager.notify("READY=1")
        assert manager.recv(100) == b"READY=1"
        service_manager.reloading()
        said = manager.recv(100).decode().split("\n")
        assert said[0] == "RELOADING=1"
        assert said[1].startswith("MONOTONIC_USEC=")
        assert int(said[1].partition("=")[2]) > 0
        service_manager.extend_start(2.5)
        assert manager.recv(100) == b"EXTEND_TIMEOUT_USEC=2500000"


def test_without_a_service_manager_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    service_manager.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    service_manager.notify("READY=1")
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert service_manager.watchdog_interval_s() is None
    monkeypatch.setenv("WATCHDOG_USEC", "junk")
    assert service_manager.watchdog_interval_s() is None
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    assert service_manager.watchdog_interval_s() == 15.0
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert service_manager.watchdog_interval_s() is None


# -- privileges --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not ROOT, reason="only root has a user to become")
def test_whom_root_becomes() -> None:
    who = privileges.identity("nobody")
    assert who is not None
    assert who.uid > 0
    with pytest.raises(privileges.PrivilegeError, match=r"\[server\] user is root: name a user without privileges"):
        privileges.identity("root")
    with pytest.raises(privileges.PrivilegeError, match='there is no system user "no-such-user" to become'):
        privileges.identity("no-such-user")


@pytest.mark.skipif(not ROOT, reason="only root can make files as another user")
def test_root_follows_no_link_in_a_folder_of_the_servers_user(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:3]:
        if parent.stat().st_mode & 0o005 != 0o005:
            pytest.skip("pytest's folder can't be entered by other users")
    who = privileges.identity("nobody")
    assert who is not None
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, who.uid, who.gid)
    os.close(prepare.take_lock(data, who))
    assert (data / prepare.LOCK).stat().st_uid == who.uid


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / prepare.LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StartError, match="can't be written"):
        prepare.take_lock(tmp_path, None)
    assert not (tmp_path / "elsewhere").exists()


def test_somebody_who_is_not_root_stays_who_he_is() -> None:
    if not ROOT:
        assert privileges.identity("nobody") is None


def test_as_many_files_as_the_system_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, before[0]), before[1]))
        assert privileges.many_files() == min(before[1], privileges.MOST_FILES)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


# -- before the start --------------------------------------------------------------------------------------------------


def settings(*listeners: Listener, server: Server | None = None) -> Settings:
    return Settings(server=server or Server(), listener={str(n): one for n, one in enumerate(listeners)})


def test_root_is_kept_for_trials_only() -> None:
    assert prepare.trial_only(settings(listener(2525), listener(2526, "::1")))
    for exposed in (listener(25), listener(2525, "0.0.0.0"), listener(2525, "192.0.2.1", "127.0.0.1")):
        with pytest.raises(StartError, match="--keep-root is for loopback and high ports only"):
            prepare.trial_only(settings(exposed))


def test_what_cannot_change_while_the_server_runs() -> None:
    for server in (Server(data="other"), Server(user="other")):
        with pytest.raises(StartError, match="can't change while the server runs: stop it"):
            prepare.require_same(settings(server=server), settings())
    prepare.require_same(settings(server=Server(workers=7)), settings())


def test_the_data_folder_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="does not exist: make the instance with `poterne setup`"):
        prepare.data_folder(tmp_path / "poterne.toml", settings(), None)
    (tmp_path / "data").mkdir()
    assert prepare.data_folder(tmp_path / "poterne.toml", settings(), None) == tmp_path / "data"
    stranger = privileges.Identity("stranger", os.geteuid() + 4242, 4242)
    with pytest.raises(StartError, match="does not belong to stranger: chown -R stranger: "):
        prepare.data_folder(tmp_path / "poterne.toml", settings(), stranger)


# -- counters ----------------------------------------------------------------------------------------------------------

COUNT = """
import os, sys
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
from poterne.app.metrics import Metrics
metrics = Metrics(sys.argv[2])
metrics.message("mx", "accepted", 10)
metrics.open_connections({"mx": 3, "imap": 1})
for number in range(200):
    metrics.refused("mx", "rcpt", f"made-up-{number}")
"""
READ = """
import os, sys
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
registry = CollectorRegistry()
MultiProcessCollector(registry)
sys.stdout.write(generate_latest(registry).decode())
"""


def run(code: str, *arguments: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True).stdout


def test_counters_outlive_their_process_gauges_do_not_and_labels_are_few(tmp_path: Path) -> None:
    folder = tmp_path / "metrics"
    metrics_files.empty(folder)
    for place in ("1a", "2a", "1a"):  # the third process takes the place of the first
        metrics_files.make_place(folder, place)
        run(COUNT, str(folder), place)
    page = run(READ, str(folder))
    assert 'poterne_messages_total{outcome="accepted",service="mx"} 3.0' in page
    assert 'poterne_open_connections{service="mx"} 6.0' in page
    assert page.count("poterne_smtp_refused_total{") <= 65
    assert all(path.stat().st_blocks * 512 >= metrics_files.FILE_BYTES for path in folder.glob("*.db"))
    metrics_files.forget(folder, "1a")
    page = run(READ, str(folder))
    assert 'poterne_open_connections{service="mx"} 3.0' in page
    assert 'poterne_messages_total{outcome="accepted",service="mx"} 3.0' in page
    metrics_files.empty(folder)
    assert "poterne_messages" not in run(READ, str(folder))


# -- logs --------------------------------------------------------------------------------------------------------------


def written(capfd: pytest.CaptureFixture[str], form: str, **fields: object) -> str:
    observe.configure("info", form, "test")
    try:
        observe.logger().info("thing.happened", **fields)
    finally:
        logging.basicConfig(force=True)
    return capfd.readouterr().err


def test_a_line_is_one_json_object_whatever_is_in_it(capfd: pytest.CaptureFixture[str]) -> None:
    hostile = {
        "text": 'x\n{"a":1}\r\x1b[2J"',
        "half": "\ud800",
        "big": 2**70,
        "raw": b"\xff\n",
        "path": Path("/x"),
        "odd": object(),
    }
    line = written(capfd, "json", secret=Secret("do-not-tell"), **hostile)
    assert line.endswith("\n")
    assert line.count("\n") == 1
    found = json.loads(line)
    assert (found["event"], found["process"], found["level"]) == ("thing.happened", "test", "info")
    assert "do-not-tell" not in line


def test_text_obeys_no_control_character_of_a_peer(capfd: pytest.CaptureFixture[str]) -> None:
    line = written(capfd, "text", client="\x1b[2Jx\r\nfake", secret=Secret("do-not-tell"))
    assert "\x1b[2J" not in line
    assert line.count("\n") == 1
    assert "do-not-tell" not in line


def test_what_libraries_log_is_a_line_of_ours(capfd: pytest.CaptureFixture[str]) -> None:
    observe.configure("info", "json", "test")
    try:
        logging.getLogger("asyncio").error("it broke: %s", "x")
    finally:
        logging.basicConfig(force=True)
    found = json.loads(capfd.readouterr().err)
    assert (found["event"], found["source"], found["text"]) == ("library", "asyncio", "it broke: x")


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    code = "from poterne import observe; import os; observe.configure('info', 'json', 'x'); os.close(2); observe.logger().info('a'); print('on')"
    assert run(code) == "on\n"


def test_trace_ids_are_unique_and_ascend() -> None:
    ids = [observe.TraceIds() for _ in range(3)]
    found = [source.next() for _ in range(2000) for source in ids]
    assert len(set(found)) == 6000
    mine = found[::3]
    assert mine == sorted(mine)
    assert all(len(trace) == 17 for trace in found)
