"""Several processes at once."""

import multiprocessing
import os
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from poterne.values.ids import BlobId
from tests.unit.store_blobs.support import blobs_at, damage, mail, put_now

_SPAWN = multiprocessing.get_context("spawn")


def _append(path: Path, worker: int, count: int, results: Connection) -> None:
    blobs = blobs_at(path)
    blobs.recover()
    for number in range(count):
        size = 150_000 if number % 20 == 7 else 1_000 + number
        blob = put_now(blobs, mail(size, worker))
        blobs.sync()
        blobs.require(blob)
        results.send((blob.segment, blob.offset, blob.size))
    results.send(None)
    blobs.close()


def _start(path: Path, worker: int, count: int) -> tuple[multiprocessing.process.BaseProcess, Connection]:
    ours, theirs = _SPAWN.Pipe(duplex=False)
    process = _SPAWN.Process(target=_append, args=(path, worker, count, theirs))
    process.start()
    theirs.close()
    return process, ours


def _read_all(results: Connection, worker: int) -> dict[BlobId, int]:
    found: dict[BlobId, int] = {}
    try:
        while (item := results.recv()) is not None:
            found[BlobId(*item)] = worker
    except EOFError:
        pass
    return found


@pytest.mark.timeout(60)
def test_several_processes_append(tmp_path: Path) -> None:
    started = [_start(tmp_path, worker, 100) for worker in range(3)]
    found: dict[BlobId, int] = {}
    for worker, (process, results) in enumerate(started):
        found |= _read_all(results, worker)
        process.join()
        assert process.exitcode == 0
    assert len(found) == 300
    blobs = blobs_at(tmp_path)
    assert all(blobs.read(blob) == mail(blob.size, worker) for blob, worker in found.items())
    writers: dict[int, set[int]] = {}
    for blob, worker in found.items():
        writers.setdefault(blob.segment, set()).add(worker)
    assert all(len(workers) == 1 for workers in writers.values())
    assert blobs.folder.unsealed() == []
    assert damage(blobs) == []
    blobs.close()


@pytest.mark.timeout(60)
def test_killed_processes_lose_nothing_acknowledged(tmp_path: Path) -> None:
    found: dict[BlobId, int] = {}
    for turn in range(4):
        started = [_start(tmp_path, 2 * turn + worker, 10_000) for worker in range(2)]
        for _, results in started:
            results.poll(10)
        time.sleep(0.03 * turn)
        for worker, (process, results) in enumerate(started):
            assert process.pid is not None
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            found |= _read_all(results, 2 * turn + worker)
    blobs = blobs_at(tmp_path)
    blobs.recover()
    assert len(found) > 20
    assert all(blobs.read(blob) == mail(blob.size, worker) for blob, worker in found.items())
    assert blobs.folder.unsealed() == []
    assert damage(blobs) == []
    blobs.close()
