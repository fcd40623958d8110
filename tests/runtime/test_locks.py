"""Locks end with their process, and with nothing else."""

import fcntl
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scythe_runtime.locks import HeldError, holder, is_left, lock

HOLD = """
import os, subprocess, sys
from pathlib import Path
from scythe_runtime.locks import lock

assert lock(Path(sys.argv[1]), str(os.getpid())) is not None
fork = os.fork()
if fork == 0:
    sys.stdin.read()  # until nobody holds the other end
    os._exit(0)
program = subprocess.Popen(["sleep", "60"], close_fds=False)
print(fork, program.pid, flush=True)
os.waitpid(fork, 0)
"""


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """While it is held others are refused, and read who holds it; afterwards it is theirs."""
    path = tmp_path / "new" / "lock"
    assert holder(path) is None
    first = lock(path, "first")
    assert first is not None
    assert holder(path) == "first"
    with pytest.raises(HeldError, match=r"^first$"):
        lock(path, "second")
    first.release()
    first.release()  # once more is no matter
    assert not path.exists()
    second = lock(path, "second")
    assert second is not None
    assert holder(path) == "second"
    second.release()


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    """After kill -9 it is free, though a fork and a program of that process live on."""
    path = tmp_path / "lock"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    children = [int(pid) for pid in process.stdout.readline().split()]
    try:
        assert holder(path) == str(process.pid)
        assert not is_left(path)
        process.kill()
        process.wait(30)
        for child in children:
            os.kill(child, 0)  # they live
        assert holder(path) is None
        assert is_left(path)
        mine = lock(path, "mine")
        assert mine is not None
        mine.release()
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        process.communicate()


def _race(path: Path, noted: Path) -> None:
    for _ in range(200):
        try:
            held = lock(path, "")
        except HeldError:
            continue
        assert held is not None
        with noted.open("a") as file:
            file.write("in\n")
        with noted.open("a") as file:
            file.write("out\n")
        held.release()


def test_of_many_one_is_in(tmp_path: Path) -> None:
    """Processes that take, remove and take a lock again are never in at the same time."""
    noted = tmp_path / "noted"
    context = multiprocessing.get_context("fork")
    racers = [context.Process(target=_race, args=(tmp_path / "lock", noted)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0] * 4
    lines = noted.read_text().splitlines()
    assert len(lines) >= 2 * 100
    assert lines == ["in", "out"] * (len(lines) // 2)


def test_a_file_that_its_holder_removes_meanwhile_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed between its opening and its locking, as by a holder that ends: the next file of that name is locked."""
    path = tmp_path / "lock"
    flock, removed = fcntl.flock, []

    def late(descriptor: int, operation: int) -> None:
        if not removed:
            removed.append(path.stat().st_ino)
            path.unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    mine = lock(path, "mine")
    assert mine is not None
    assert removed
    assert holder(path) == "mine"
    with pytest.raises(HeldError, match="mine"):
        lock(path, "another's")
    mine.release()


def test_where_no_lock_can_be_there_is_none(tmp_path: Path) -> None:
    """A place that takes no files is no error, and nobody is said to hold anything there."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "lock", Path("/proc/none/lock")):
        assert lock(path, "mine") is None
        assert holder(path) is None
        assert not is_left(path)
