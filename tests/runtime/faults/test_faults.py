"""In the middle of a run of 2,000 specs something goes wrong: each spec still has exactly one outcome."""

import math
import os
import signal
from pathlib import Path

import psutil
import pytest
from fault_field import Field, is_gone, until
from fault_tasks import differ, load_in_folder, load_in_time, reuse, write_report

BAD = 1234
BATCH = 50

# fate: what errors.pq says, and how often the bad row is called (a death is tried alone once more)
FAILURES = {
    "raise": ("ValueError", "no luck with k = 1234", 1),
    "exit": ("SlotDied", "process exited with code 3", 2),
    "kill": ("SlotDied", "killed by SIGKILL", 2),
    "segfault": ("SlotDied", "killed by SIGSEGV", 2),
    "address-space": ("MemoryError", "", 1),
    "wrong-type": ("WrongResult", "load returned dict, not Answer", 1),
    "leave-out": ("KeyError", "'text'", 1),
    "sys-exit": ("SystemExit", "enough", 1),
    "interrupt": ("KeyboardInterrupt", "", 1),
    "surrogates": ("OSError", "no file ?\0xxx", 1),
    "unpicklable": ("Unpicklable", "its text cannot be read: RuntimeError", 1),
}


@pytest.mark.parametrize("fate", FAILURES)
def test_a_row_that_fails_is_named_and_costs_nothing_else(field: Field, fate: str) -> None:
    """Whatever a function does to itself is one named failure; the other 1,999 rows have their values."""
    run, ref = field.start({BAD: fate}, batch_size=BATCH)
    assert (ref.result().succeeded, ref.result().failed) == (1999, 1)
    error_type, message, calls = FAILURES[fate]
    field.assert_whole(run, {BAD: (error_type, message)})
    assert field.calls()[BAD] == calls
    assert field.called_again() <= BATCH


@pytest.mark.parametrize("fate", ["fork-and-return", "fork-and-raise", "fork-and-exit", "clutter"])
def test_what_a_function_leaves_behind_is_no_outcome(field: Field, fate: str) -> None:
    """A child process that comes out of the function, or a slot in disorder: each row has its own value, once."""
    run, ref = field.start({BAD: fate}, batch_size=BATCH)
    assert ref.result().state == "complete"
    field.assert_whole(run)
    assert field.called_again() == 0


def test_a_slot_that_dies_after_its_commit_has_committed(field: Field) -> None:
    """A slot whose connections its function has closed cannot tell that it committed: what it committed counts."""
    # row 0 is the canary's, a batch of its own
    run, ref = field.start(dict.fromkeys((0, BAD), "close-all-files"), batch_size=BATCH)
    assert ref.result().state == "complete"
    field.assert_whole(run)
    ledger = run.ledger()
    assert (ledger.num_done, ledger.num_failed) == (field.n, 0)
    assert sum(part.name.length for part in ledger.parts) == field.n, "a row counts twice"


def test_outputs_that_are_written_again_keep_their_values(field: Field) -> None:
    """A list, dict or frame that a function uses for all its calls has in each row what it held then."""
    run, ref = field.start({}, reuse, batch_size=BATCH)
    assert ref.result().state == "complete"
    table = run.table()
    ks = [float(k) for k in range(field.n)]
    assert [numbers[0] for numbers in table["numbers"]] == ks
    assert [about["k"] for about in table["about"]] == ks
    assert run.results.arrow("hours").column("load").to_pylist() == [k for k in ks for _ in "ab"]


@pytest.mark.parametrize("batch_size", [300, 70])
def test_frames_that_differ_are_joined(field: Field, batch_size: int) -> None:
    """Columns of other types from row to row: numbers become one kind, the rest text; no row costs another."""
    field.n = 500
    run, ref = field.start({}, differ, batch_size=batch_size)
    assert ref.result().state == "complete"
    field.assert_whole(run)
    hours = run.results.arrow("hours").to_pydict()
    assert hours["kind"] == [f"kind {k}" for k in range(field.n)]
    odd = [k % 100 == 7 for k in range(field.n)]
    assert hours["mixed"] == [f"none in {k}" if odd[k] else str(k) for k in range(field.n)]
    assert hours["number"] == [0.5 if o else 2.0**60 for o in odd]
    assert hours["flag"] == [1 if o else 2 for o in odd]
    assert hours["when"] == ["2020-01" if o else "2020" for o in odd]
    assert {text[:10] for text in hours["at"]} == {"2020-01-01"}
    assert hours["many"] == ["['a']" if o else "b" for o in odd]
    assert len(run.frame("hours")) == field.n


def test_files_of_each_row_are_its_own(field: Field) -> None:
    """Each row's file has its own content, an empty one too; rows that wrote none are failures of one kind."""
    without = dict.fromkeys(range(600, 700, 10), "no-file")
    run, ref = field.start({**without, 1234: "empty"}, write_report, batch_size=BATCH)
    assert ref.result().failed == len(without)
    assert run.check().ok
    table = run.table()
    assert table["k"].tolist() == [k for k in range(field.n) if k not in without]
    for k, uri in zip(table["k"], table["report"], strict=True):
        path = Path(uri.removeprefix("file://"))
        assert path.read_text() == ("" if k == 1234 else f"k = {k}")
    (group,) = run.results.error_groups()
    assert (group.error_type, group.count, group.row) == ("MissingResultFile", 10, 600)


def test_a_folder_that_a_row_stays_in_is_not_the_next_rows(field: Field) -> None:
    """Rows that change into their own folder, which is then deleted, cost no other row or try its working directory."""
    fates = dict.fromkeys(range(0, field.n, 100), "stay") | {BAD: "stay-once"}
    run, ref = field.start(fates, load_in_folder, batch_size=BATCH)
    assert ref.result().state == "complete"
    field.assert_whole(run)


def test_a_row_that_eats_memory_is_killed_and_named(field: Field, memory_group: Path) -> None:
    """The kernel kills the slot for memory: that row is named, with what it may mean."""
    (field.folder / "group").write_text(str(memory_group))
    run, ref = field.start({BAD: "memory"}, batch_size=BATCH)
    assert ref.result().failed == 1
    field.assert_whole(run, {BAD: ("SlotDied", "killed by SIGKILL (often: out of memory)")})
    assert field.called_again() <= BATCH


@pytest.mark.parametrize("fate", ["hang", "hang-in-c"])
def test_a_row_that_hangs_is_stopped_with_its_child_program(field: Field, fate: str) -> None:
    """A row that overruns its time is stopped, also in C with the GIL held and SIGTERM ignored."""
    run, ref = field.start({BAD: fate}, load_in_time, batch_size=BATCH)
    assert ref.result().failed == 1
    field.assert_whole(run, {BAD: ("TimedOut", "timed out after 1 s")})
    assert field.calls()[BAD] == 1
    assert field.called_again() <= BATCH
    if fate == "hang-in-c":
        child = int((field.folder / "child").read_text())
        until(lambda: is_gone(child))


def test_nan_is_a_value(field: Field) -> None:
    """NaN comes back as NaN: a result, no failure and no missing value."""
    run, ref = field.start({BAD: "nan"}, batch_size=BATCH)
    assert ref.result().state == "complete"
    field.assert_whole(run, other={BAD: math.isnan})
    assert run.results.arrow("scalars").column("square").null_count == 0


def test_a_huge_frame_comes_back_whole(field: Field) -> None:
    """One row's table of half a million rows is there in full; the other rows have none."""
    run, ref = field.start({BAD: "huge-frame"}, batch_size=BATCH)
    assert ref.result().state == "complete"
    field.assert_whole(run)
    hours = run.results.arrow("hours")
    assert hours.num_rows == 500_000
    assert set(hours.column("sort_index").unique().to_pylist()) == {BAD}
    assert hours.column("load").to_pylist() == list(range(500_000))


def test_a_killed_slot_costs_at_most_its_batch(field: Field) -> None:
    """Kill -9 of a slot from outside: another one goes on, and nothing has failed."""
    run, ref = field.start({BAD: "wait-once"}, batch_size=BATCH)
    os.kill(field.middle(), signal.SIGKILL)
    assert ref.result().state == "complete"
    field.assert_whole(run)
    assert 1 <= field.called_again() <= BATCH


def test_the_parent_of_all_slots_is_killed(field: Field) -> None:
    """Kill -9 of the process that starts the slots: all slots end with it, new ones go on."""
    run, ref = field.start({BAD: "wait-once"}, batch_size=BATCH)
    slot = field.middle()
    os.kill(psutil.Process(slot).ppid(), signal.SIGKILL)
    assert ref.result().state == "complete"
    field.assert_whole(run)
    assert is_gone(slot)
    assert 1 <= field.called_again() <= 2 * BATCH


def test_a_slot_that_is_stopped_is_timed_out(field: Field) -> None:
    """A slot that gets SIGSTOP: its row is named after the timeout, the others have their values."""
    run, ref = field.start({BAD: "wait-once"}, load_in_time, batch_size=BATCH)
    os.kill(field.middle(), signal.SIGSTOP)
    assert ref.result().failed == 1
    field.assert_whole(run, {BAD: ("TimedOut", "timed out after 1 s")})


def test_a_slot_killed_while_its_part_is_written_leaves_no_half_part(field: Field) -> None:
    """Kill -9 in the middle of a put: half a part is never seen, the batch is run once more."""
    run, ref = field.start({BAD: "die-while-putting"}, batch_size=BATCH)
    assert ref.result().state == "complete"
    field.assert_whole(run)
    assert 1 <= field.called_again() <= BATCH
    left_over = [p for p in Path("runs/.scythe/tmp").iterdir() if p.is_file()]
    assert len(left_over) == 1, "what the killed slot was writing"
