"""CPU and processes of a real tree: nothing is lost when a process exits, nothing is left when the tree is stopped."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import accounting
from bench.sut import Tree, UnavailableError, free_ports

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"


def wait_until(condition: Callable[[], bool], limit_s: float = 10.0) -> None:
    ends = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < ends, "waited too long"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_command_may_hold_spaces_and_parentheses() -> None:
    fields = " ".join(["S", "7", *"0" * 9, "100", "20", "30", "4", *"0" * 10])
    stat = accounting.parse_stat(f"42 (a) b (c)) {fields}\n")
    assert stat == accounting.ProcessStat(pid=42, ppid=7, own_ticks=120, children_ticks=34)


def test_own_clock_is_read_of_another_process(tmp_path: Path) -> None:
    tree = Tree([[sys.executable, "-c", BURN + "time.sleep(60)"]], tmp_path)
    try:
        wait_until(lambda: accounting.tree_cpu_s(tree.root) >= 0.3)
        before = accounting.tree_cpu_s(tree.root)
        time.sleep(0.2)
        assert accounting.tree_cpu_s(tree.root) - before < 0.1
    finally:
        tree.stop()


def test_cpu_of_an_exited_grandchild_is_counted(tmp_path: Path) -> None:
    parent = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {BURN!r}])\nopen('done', 'w')\ntime.sleep(60)"
    tree = Tree([[sys.executable, "-c", parent]], tmp_path)
    try:
        wait_until((tmp_path / "done").exists)
        assert len(accounting.descendants(tree.root)) == 1
        assert accounting.tree_cpu_s(tree.root) >= 0.28
        assert accounting.tree_pss_kib(tree.root) > 1000
    finally:
        tree.stop()


def test_a_detached_daemon_stays_in_the_tree_and_ends_with_it(tmp_path: Path) -> None:
    daemon = (
        "import os, signal, time\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        "        signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "        open('pid.new', 'w').write(str(os.getpid())); os.rename('pid.new', 'pid')\n"
        "        time.sleep(60)\n"
        "    os._exit(0)\n"
        "time.sleep(60)\n"
    )
    tree = Tree([[sys.executable, "-c", daemon]], tmp_path, grace_s=0.3)
    root = tree.root
    wait_until((tmp_path / "pid").exists)
    pid = int((tmp_path / "pid").read_text())
    assert pid in {stat.pid for stat in accounting.descendants(root)}
    tree.stop()
    tree.stop()
    assert not alive(pid)
    assert not alive(root)


def test_peak_memory_sees_what_was_given_back(tmp_path: Path) -> None:
    program = (
        "import time, pathlib\n"
        "go = pathlib.Path('go')\n"
        "while not go.exists(): time.sleep(0.01)\n"
        "b = bytearray(b'x' * 30_000_000)\n"
        "del b\n"
        "open('done', 'w')\n"
        "time.sleep(60)\n"
    )
    tree = Tree([[sys.executable, "-c", program]], tmp_path)
    try:
        wait_until(lambda: accounting.tree_pss_kib(tree.root) > 1000)
        peak = accounting.PeakMemory(tree.root)
        if peak.extra_kib() > 20_000:
            pytest.skip("this kernel does not let the high-water mark be set back")
        (tmp_path / "go").touch()
        wait_until((tmp_path / "done").exists)
        assert peak.extra_kib() > 25_000
    finally:
        tree.stop()


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    tree = Tree([[sys.executable, "-c", "raise SystemExit('no such thing')"]], tmp_path)
    port = free_ports(1)[0]
    with pytest.raises(UnavailableError, match="no such thing"):
        tree.wait_for(port, ())
