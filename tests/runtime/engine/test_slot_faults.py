"""A row that takes its process down, or hangs, costs that row and no other."""

import os
import random
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
from slot_fields import batches, gone, wait_until

from scythe_runtime.batches import Batch, Verdict
from scythe_runtime.errors import EngineError

KILLED = "SlotDied: killed by SIGKILL (often: out of memory)"
FAULTS = {
    "raise": "ValueError: bad row",
    "sigkill": KILLED,
    "exit": "SlotDied: process exited with code 3",
    "segfault": "SlotDied: killed by SIGSEGV (segmentation fault)",
    "hang": "TimedOut: timed out after 0.5 s",
    "hang-in-c": "TimedOut: timed out after 0.5 s",
}


@pytest.mark.parametrize(
    ("kind", "start"),
    [*((kind, "server") for kind in FAULTS), ("sigkill", "popen"), ("hang-in-c", "popen")],
)
def test_costs_one_named_row(field, kind, start):
    """199 rows have results, one is named with its cause, at most one batch ran again, soon."""
    begun = time.monotonic()
    pool = field.pool({77: kind}, timeout_s=0.5, start=start)
    pool.run(batches(200, 20), field.note)
    pool.close()
    assert time.monotonic() - begun < 20  # alone on two cores: 0.8, a hang 1.3; here others may run
    assert field.outcomes().keys() == set(range(200))
    assert field.failures() == {77: FAULTS[kind]}
    assert sum(report.succeeded for report in field.reports) == 199
    assert sum(report.failed for report in field.reports) == 1
    assert len(field.calls()) <= 200 + 20


def test_many_killers(field):
    """Ten killers among 400 rows are each named, wherever they stand in their batch; nothing else is."""
    killers = sorted(random.Random(3).sample(range(400), 10))
    pool = field.pool(dict.fromkeys(killers, "sigkill"), seconds=0.001)
    pool.run(batches(400, 40), field.note)
    assert field.failures() == dict.fromkeys(killers, KILLED)
    assert field.outcomes().keys() == set(range(400))


def test_a_batch_with_a_stride(field):
    """In rows with strides the killer is still found, and the others keep their results."""
    rows = (range(0, 20, 2), range(101, 131, 3))
    field.pool({104: "exit"}).run([Batch("p", 0, rows)], field.note)
    assert field.failures() == {104: FAULTS["exit"]}
    assert field.outcomes().keys() == {*rows[0], *rows[1]}


def test_bad_luck_is_not_blamed(field):
    """A row whose slot dies once, but not when it is tried alone, has a result."""
    field.pool({7: "sigkill-once"}).run(batches(20, 10), field.note)
    assert field.failures() == {}
    assert field.outcomes().keys() == set(range(20))
    assert field.calls().count(7) == 2


def test_each_row_of_a_batch_overruns(field):
    """Several rows that hang in one batch are each named; the ones between have results."""
    pool = field.pool({1: "hang", 2: "hang", 5: "hang"}, timeout_s=0.15)
    pool.run(batches(8, 8), field.note)
    assert field.failures() == dict.fromkeys((1, 2, 5), "TimedOut: timed out after 0.15 s")
    assert field.outcomes().keys() == set(range(8))


def test_a_timeout_counts_a_row_and_not_a_batch(field):
    """Rows that stay within the timeout are left alone however long their batch is."""
    field.pool(seconds=0.02, timeout_s=0.2).run(batches(40, 20), field.note)
    assert field.failures() == {}
    assert len(field.calls()) == 40


def test_dies_while_it_commits(field):
    """A row whose slot dies each time its result is stored is found by halving, and named."""
    field.pool({13: "commit-exit"}, seconds=0.0).run(batches(32, 16), field.note)
    failures = field.failures()
    assert failures.keys() == {13}
    assert failures[13] == (
        "SlotDied: process exited with code 4, 3 times while its result was stored"
    )
    assert field.outcomes().keys() == set(range(32))


def test_not_even_a_verdict(field):
    """Where recording a failure kills slots too, the run ends with the cause; it does not go on for ever."""
    with pytest.raises(EngineError, match="exited with code 5"):
        field.pool({3: "verdict-exit"}).run(batches(10, 5), field.note)


def test_a_store_that_comes_back(field):
    """A batch that could not be committed once is tried again and counted once."""
    field.pool({3: "store-back"}).run(batches(20, 10), field.note)
    assert field.failures() == {}
    assert sum(report.succeeded for report in field.reports) == 20


def test_a_store_that_stays_away(field, monkeypatch):
    """After several tries the run ends, says why, and keeps what is committed; the pool goes on."""
    monkeypatch.setattr("scythe_runtime.engine._watch._BACK_OFF_S", (0.05, 0.05))
    pool = field.pool({3: "store-gone"})
    with pytest.raises(EngineError, match="ConnectionError: the store does not answer") as raised:
        pool.run(batches(40, 10), field.note)
    assert "batch 0 of plan p" in str(raised.value)
    assert "resume the run" in str(raised.value)
    assert set(range(10, 40)) <= field.outcomes().keys()
    assert pool.run_one(Batch("q", 0, (range(50, 55),)))[0].succeeded == 5


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("simulator", "server"),
        ("simulator-own-session", "server"),
        ("simulator-left", "server"),
        ("simulator-own-session", "popen"),
    ],
)
def test_its_child_programs_die_too(field, kind, start):
    """A program that the row started ends with it: in the same group, in its own, or left behind."""
    field.pool({3: kind}, timeout_s=0.5, start=start).run(batches(10, 5), field.note)
    assert field.failures().keys() == {3}
    assert gone(int((field.folder / "child").read_text()))


def test_a_neighbours_child_program_lives(field):
    """The death of one slot leaves the programs of another alone, until the pool is closed."""
    pool = field.pool({0: "simulator-held", 3: "exit"})
    lived: list[bool] = []

    def release(batch, report):
        if batch.verdict:
            lived.append(not gone(int((field.folder / "child").read_text())))
            (field.folder / "release").touch()

    pool.run(batches(4, 1), release)
    assert field.failures().keys() == {3}
    assert lived == [True]
    child = int((field.folder / "child").read_text())
    assert not gone(child)
    pool.close()
    assert gone(child)


def test_its_slots_are_killed_from_outside(field):
    """Slots that somebody kills, not twice on one row, cost nothing but their batches' time."""
    pool = field.pool(seconds=0.03)
    thread = threading.Thread(target=pool.run, args=(batches(60, 10), field.note))
    thread.start()
    rows = {-1}
    for _ in range(2):
        wait_until(lambda: {state.row for state in pool.progress()} - rows)
        victim = next(state for state in pool.progress() if state.row not in rows)
        os.kill(victim.pid, signal.SIGKILL)
        rows.add(victim.row)
    thread.join()
    assert field.failures() == {}
    assert field.outcomes().keys() == set(range(60))


def test_its_server_is_killed_from_outside(field):
    """When the parent of the slots is killed they die, and others go on with their rows, unblamed."""
    pool = field.pool(seconds=0.02)
    servers: list[psutil.Process] = []

    def kill_server(batch, report):
        field.note(batch, report)
        if not servers:
            slot = next(state.pid for state in pool.progress() if state.pid)
            servers.append(psutil.Process(slot).parent())
            old.extend(state.pid for state in pool.progress())
            servers[0].kill()

    old: list[int] = []
    pool.run(batches(60, 10), kill_server)
    assert field.failures() == {}
    assert field.outcomes().keys() == set(range(60))
    wait_until(lambda: all(map(gone, old)))


def test_a_crash_in_native_code_leaves_its_stack(field):
    """The slot's log says where in the user's code it crashed."""
    field.pool({2: "segfault"}, slots=1).run(batches(5, 5), field.note)
    log = Path(field.folder / "logs" / "slot-0.log").read_text()
    assert "Segmentation fault" in log
    assert "in misbehave" in log


def test_a_verdict_keeps_its_time(field):
    """A verdict says how long the row had been running."""
    seen: list[Verdict] = []
    pool = field.pool({2: "hang"}, timeout_s=0.3)
    pool.run(batches(5, 5), lambda batch, _: seen.append(batch.verdict) if batch.verdict else None)
    assert [verdict.error_type for verdict in seen] == ["TimedOut"]
    assert 0.3 <= seen[0].seconds < 5
