"""A pool runs all batches, lets itself be watched and stopped, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest
from slot_fields import HERE, batches, gone, task, wait_until

from scythe_runtime.batches import Batch
from scythe_runtime.engine._pool import SlotPool
from scythe_runtime.errors import EngineError, SettingsError


def pids_of(pool: SlotPool) -> list[int]:
    """Return the slots' processes as soon as all are there."""
    wait_until(lambda: len(pool.progress()) == 2 and all(state.pid for state in pool.progress()))
    return [state.pid for state in pool.progress() if state.pid]


def test_tiny_batches_leak_nothing(field):
    """Ten thousand batches, made as they are asked for, leave as many open files as ten did."""
    pool = field.pool(runner="slot_tasks:Quick", runner_args=())
    ahead, made, done = 0, 0, 0

    def produce(count):
        nonlocal ahead, made
        for number in range(count):
            made += 1
            ahead = max(ahead, made - done)
            yield Batch("p", number, (range(number, number + 1),))

    def count(batch, report):
        nonlocal done
        done += 1

    pool.run(produce(10), count)
    slots = [psutil.Process(pid) for pid in pids_of(pool)]
    processes = [psutil.Process(), slots[0].parent()]
    before = [process.num_fds() for process in processes]
    pool.run(produce(10_000), count)
    wait_until(lambda: [process.num_fds() for process in processes] == before)
    assert max(slot.num_fds() for slot in slots) < 12
    assert done == made == 10_010
    assert ahead <= 5


def test_deaths_leak_nothing(field):
    """Twenty deaths later the driver and the server have as many open files, and no zombies."""
    pool = field.pool(dict.fromkeys(range(10, 20), "exit"), seconds=0.0)
    pool.run([Batch("p", 0, (range(5),))], field.note)
    server = psutil.Process(pids_of(pool)[0]).parent()
    processes = [psutil.Process(), server]
    before = [process.num_fds() for process in processes]
    pool.run([Batch("p", 1, (range(10, 25),))], field.note)
    assert len(field.failures()) == 10
    wait_until(lambda: [process.num_fds() for process in processes] == before)
    wait_until(lambda: len(server.children()) == 2)


def test_several_threads(field):
    """Threads that each run one batch share the slots, and each gets its own reports."""
    pool = field.pool({33: "exit"})
    found = {}

    def work(number):
        start = number * 10
        found[number] = pool.run_one(Batch("p", number, (range(start, start + 10),)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {number: sum(r.succeeded for r in found[number]) for number in found} == {
        number: 9 if number == 3 else 10 for number in range(6)
    }
    assert sum(report.failed for report in found[3]) == 1


def test_progress_shows_the_row(field):
    """While a row is at work, progress names it, its process and for how long."""
    pool = field.pool({4: "hang"}, timeout_s=0.6, slots=1)
    thread = threading.Thread(target=pool.run, args=(batches(5, 5), field.note))
    thread.start()
    wait_until(lambda: any(s.row == 4 and s.seconds > 0.1 for s in pool.progress()))
    state = pool.progress()[0]
    assert state.slot == 0
    assert not gone(state.pid)
    thread.join()
    assert pool.progress()[0].row == -1


def test_stopping_finishes_what_has_begun(field):
    """Once should_stop says so nothing new begins, and what was at work is committed."""
    pool = field.pool(seconds=0.01)
    pool.run(batches(10_000, 5), field.note, should_stop=lambda: len(field.reports) >= 3)
    assert 15 <= len(field.outcomes()) <= 50
    assert field.outcomes().keys() == set(field.calls())


def test_close_ends_a_waiting_run(field):
    """Closing the pool while another thread runs on it ends that run with an error, and all processes."""
    pool = field.pool({0: "hang-in-c"}, slots=1)
    errors = []

    def work():
        try:
            pool.run(batches(3, 1), field.note)
        except EngineError as error:
            errors.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: any(state.row == 0 for state in pool.progress()))
    pid = pool.progress()[0].pid
    pool.close()
    thread.join(timeout=5)
    assert errors == ["the pool of slots is closed"]
    assert gone(pid)
    pool.close()
    with pytest.raises(EngineError, match="closed"):
        pool.run(batches(3, 1), field.note)


def test_close_at_once(field):
    """A pool that is closed before its slots are there leaves no process."""
    others = {child.pid for child in psutil.Process().children()}
    pool = field.pool()
    pool.start()
    pool.close()
    left = {child.pid for child in psutil.Process().children()} - others
    assert not [pid for pid in left if not gone(pid)]


def test_the_callers_error_passes(field):
    """What the iterable or `done` raises reaches the caller, and the pool can be used again."""
    pool = field.pool(seconds=0.0)

    def broken():
        yield Batch("p", 0, (range(5),))
        raise KeyError("plan")

    with pytest.raises(KeyError):
        pool.run(broken(), field.note)
    assert pool.run_one(Batch("q", 0, (range(10, 15),)))[0].succeeded == 5


@pytest.mark.parametrize("options", [{"slots": 0}, {"timeout_s": 0.0}, {"start": "spawn"}])
def test_impossible_options(options):
    """Options that cannot work are refused at once."""
    with pytest.raises(SettingsError):
        SlotPool(task(), **{"slots": 1, "timeout_s": None} | options)


def test_slots_are_quiet_and_logged(field, capfd):
    """What a slot prints goes to its log and never to the terminal."""
    field.pool({0: "print"}, slots=1).run(batches(1, 1), field.note)
    assert (field.folder / "logs" / "slot-0.log").read_text() == "printed by a row\n"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("mine", "theirs"), [(None, "1 1"), ("4", "4 None")])
def test_threads_of_mathematics(field, monkeypatch, mine, theirs):
    """Libraries of mathematics use one thread a slot, unless the user has said otherwise."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    if mine:
        monkeypatch.setenv("OMP_NUM_THREADS", mine)
    field.pool({0: "print-threads"}, slots=1).run(batches(1, 1), field.note)
    assert (field.folder / "logs" / "slot-0.log").read_text().strip() == theirs


def test_slots_draw_different_random_numbers(field):
    """Slots that were forked from one process do not draw the same numbers from numpy."""
    pool = field.pool(
        {0: "draw", 1: "draw"}, task=task("with_numpy", at=str(field.folder)), seconds=0.2
    )
    (field.folder / "with_numpy.py").write_text("import numpy.random\n")
    pool.run(batches(2, 1), field.note)
    drawn = (field.folder / "drawn").read_text().split()
    assert len(set(drawn)) == 2


DRIVER = """
    import json, sys, time
    sys.path[:0] = {paths!r}
    from scythe_runtime.engine._pool import SlotPool
    from slot_fields import batches, task
    pool = SlotPool(task({module!r}, at={folder!r}), runner="slot_tasks:Runner", slots=2, timeout_s=None,
                    runner_args=({folder!r}, 0.01, json.dumps({{"0": {kind!r}}})), start={start!r})
    pool.run(batches(100_000, 5), lambda *_: None)
"""


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("hang", "server"),
        ("hang-in-c", "server"),
        ("hang-in-c", "popen"),
        ("simulator-own-session", "server"),
        ("import", "server"),
    ],
)
def test_nothing_outlives_a_killed_driver(tmp_path, kind, start):
    """When the driver is killed, every process under it is gone within a second, whatever it was doing."""
    module = "slot_tasks"
    if kind == "import":
        module = "holds_the_gil"
        text = (
            f"import ctypes, pathlib\npathlib.Path({str(tmp_path / 'calls')!r}).write_text('0')\n"
        )
        (tmp_path / "holds_the_gil.py").write_text(text + "ctypes.PyDLL(None).sleep(600)\n")
    text = DRIVER.format(
        paths=[HERE, *sys.path], folder=str(tmp_path), kind=kind, start=start, module=module
    )
    driver = subprocess.Popen([sys.executable, "-c", textwrap.dedent(text)])
    waits_for = tmp_path / ("child" if "simulator" in kind else "calls")
    wait_until(lambda: waits_for.exists() and waits_for.stat().st_size > 0, within_s=10)
    under = psutil.Process(driver.pid).children(recursive=True)
    assert under
    driver.kill()
    driver.wait()
    wait_until(lambda: all(gone(process.pid) for process in under), within_s=1.5)


def test_an_interrupted_driver_ends_with_its_slots(tmp_path):
    """Ctrl-C while a row holds the GIL in C ends the driver at once, and with it everything under it."""
    text = DRIVER.format(
        paths=[HERE, *sys.path],
        folder=str(tmp_path),
        kind="hang-in-c",
        start="auto",
        module="slot_tasks",
    )
    driver = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text)], stderr=subprocess.PIPE, text=True
    )
    wait_until((tmp_path / "calls").exists, within_s=10)
    under = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGINT)
    _, said = driver.communicate(timeout=5)
    assert said.endswith("KeyboardInterrupt\n")
    wait_until(lambda: all(gone(process.pid) for process in under), within_s=1.5)


def test_slots_are_out_of_reach_of_the_terminal(field):
    """Server and slots lead sessions of their own, so that Ctrl-C reaches the driver only."""
    pool = field.pool(seconds=0.0)
    pool.run(batches(1, 1), field.note)
    pids = pids_of(pool)
    pids.append(psutil.Process(pids[0]).ppid())
    wait_until(lambda: [os.getsid(pid) for pid in pids] == pids)
    assert os.getsid(0) not in pids


def test_the_driver_imports_little():
    """Importing the pool loads no numpy, pyarrow, pandas, psutil or multiprocessing."""
    code = (
        "import sys; from scythe_runtime.engine import _pool; "
        "print([m for m in ('numpy', 'pyarrow', 'pandas', 'psutil', 'multiprocessing') if m in sys.modules])"
    )
    root = Path(HERE).parents[2]
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
