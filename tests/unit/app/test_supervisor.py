"""The supervisor with toy children: who is started again, how often, and when it gives up."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import Instance, alive, wait_for

TOY = """
import os, signal, sys, time
from pathlib import Path
from poterne.app import supervisor
from poterne.app.context import EXIT_START, Role

folder = Path(sys.argv[2])

def main(child):
    count = len(list(folder.glob(f"{child.slot}-*")))
    (folder / f"{child.slot}-{count}-{os.getpid()}").touch()
    kind = child.role.value
    wish = (folder / kind).read_text() if (folder / kind).exists() else ""
    if wish == "says why":
        print("it says why", file=sys.stderr)
        return EXIT_START
    if wish == "crashes" or (wish == "crashes twice" and count < 2):
        os.kill(os.getpid(), signal.SIGKILL)
    if wish == "bug":
        raise RuntimeError("a bug")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0) if wish != "stubborn" else None)
    if wish != "late":
        os.write(child.ready_fd, b"R")
        os.close(child.ready_fd)
    while True:
        time.sleep(10)

sys.exit(supervisor.Supervisor(Path(sys.argv[1]), lambda: main, keep_root=True).run())
"""


@pytest.fixture
def toy(tmp_path: Path) -> Instance:
    return Instance(tmp_path / "instance", accounts=(), chosen={"server": {"drain_s": 0, "workers": 2}})


def start(toy: Instance, **wishes: str) -> Path:
    folder = toy.folder / "toys"
    folder.mkdir()
    for role, wish in wishes.items():
        (folder / role).write_text(wish)
    with toy.log.open("ab") as log:
        toy.process = subprocess.Popen(
            [sys.executable, "-c", TOY, str(toy.settings), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return folder


def starts(folder: Path, slot: int) -> int:
    return len(list(folder.glob(f"{slot}-*")))


def test_a_steward_that_says_why_it_cannot_start_ends_the_server(toy: Instance) -> None:
    folder = start(toy, steward="says why")
    assert toy.wait() == 70
    assert (starts(folder, 0), starts(folder, 1)) == (1, 0)
    assert "it says why" in toy.log.read_text()


def test_a_worker_that_says_why_it_cannot_start_ends_the_server_after_a_few_tries(toy: Instance) -> None:
    folder = start(toy, worker="says why")
    assert toy.wait() == 70
    assert 3 <= starts(folder, 1) + starts(folder, 2) <= 6
    assert starts(folder, 0) == 1


def test_children_that_are_killed_at_first_get_another_chance(toy: Instance) -> None:
    folder = start(toy, steward="crashes twice", worker="crashes twice")
    wait_for(lambda: '"server.ready"' in toy.log.read_text())
    assert [starts(folder, slot) for slot in range(3)] == [3, 3, 3]
    assert toy.stop() == 0


def test_a_bug_at_the_start_leaves_its_trace_and_an_end(toy: Instance) -> None:
    toy.rewrite("workers = 2", "workers = 1")
    start(toy, steward="bug")
    assert toy.wait() == 70
    assert "RuntimeError: a bug" in toy.log.read_text()


def test_a_child_that_does_not_end_is_killed(toy: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys.modules[__name__], "TOY", TOY.replace("folder = Path", "supervisor.LEAVE_S = 0.3\nfolder = Path", 1)
    )
    folder = start(toy, worker="stubborn")
    wait_for(lambda: '"server.ready"' in toy.log.read_text())
    assert toy.stop() == 0
    pids = [int(path.name.split("-")[2]) for path in folder.glob("*-*-*")]
    assert len(pids) == 3
    assert not any(alive(pid) for pid in pids)


def test_a_worker_that_is_late_is_killed_and_tried_again(toy: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys.modules[__name__], "TOY", TOY.replace("folder = Path", "supervisor.START_S = 0.3\nfolder = Path", 1)
    )
    folder = start(toy, worker="late", steward="")
    wait_for(lambda: starts(folder, 1) >= 2)
    (folder / "worker").write_text("")
    wait_for(lambda: '"server.ready"' in toy.log.read_text())
    assert '"process.late"' in toy.log.read_text()
    assert toy.stop() == 0
