"""The process that leads a run of 2,000 specs is killed or interrupted: resume runs only what is missing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_field import Field, assert_same_tables, is_gone, until

from scythe_runtime import open_run
from scythe_runtime.errors import ExperimentRunNotFoundError, UsageError

MIDDLE = 1000
BATCH = 50


def stop(field: Field, process: "subprocess.Popen[str]", how: signal.Signals) -> str:
    """Stop a run in its middle and return what it said; its slots are gone too."""
    field.middle()
    os.kill(process.pid, how)
    _, said = process.communicate(timeout=30)
    until(lambda: all(map(is_gone, field.processes())))
    return said


@pytest.mark.parametrize(
    "how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda s: s.name
)
def test_resume_after_the_leading_process_was_stopped(field: Field, how: signal.Signals) -> None:
    """After kill -9, Ctrl-C, a plain kill or a closed terminal, resume runs at most one batch a slot again; the table is the same."""
    fates = {MIDDLE: "wait-once", 5: "raise", 1700: "huge-frame"}
    process = field.start_elsewhere(fates, batch_size=BATCH)
    said = stop(field, process, how)
    run = open_run("field")
    if how == signal.SIGINT:
        assert process.returncode != 0
        assert f"scythe resume {run.experiment_id}" in said
    before = run.ledger()
    assert 0 < before.num_done < field.n
    done_before = field.calls()
    result = run.resume().result()
    assert (result.failed, result.pending) == (1, 0)
    field.assert_whole(run, {5: ("ValueError", "no luck")})
    assert field.called_again() <= 2 * BATCH
    again = field.calls() - done_before
    missing = {row for part in before.missing for row in part}
    assert set(again) == missing

    undisturbed, ref = field.start(fates)
    ref.result()
    assert_same_tables(run, undisturbed)


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_on_the_command_line_says_how_to_go_on(
    field: Field, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Ctrl-C, also an impatient second one: exit code 130 and the command that goes on; no slot is left."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    stop(field, field.start_elsewhere({MIDDLE: "wait-once"}, batch_size=BATCH), signal.SIGKILL)
    (field.folder / "reached").unlink()
    resume = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    resume += "import sys; sys.argv = ['scythe', 'resume', 'field']\n"
    resume += "from scythe_runtime.cli import main; main()"
    command = [sys.executable, "-c", resume]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    field.middle()
    for _ in range(times):
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    run = open_run("field")
    assert f"Go on with: scythe resume {run.experiment_id}" in said
    until(lambda: all(map(is_gone, field.processes())))
    assert run.ledger().num_done < field.n
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    field.assert_whole(run)


def test_a_leading_process_that_was_stopped_for_a_while_goes_on(field: Field) -> None:
    """SIGSTOP of the leading process: slots run what they have, and wait; after SIGCONT the run goes on."""
    process = field.start_elsewhere({MIDDLE: "wait-once"}, batch_size=BATCH)
    field.middle()
    os.kill(process.pid, signal.SIGSTOP)
    field.go_on()
    run = open_run("field")
    seen = 0

    def is_quiet() -> bool:
        nonlocal seen
        before, seen = seen, field.calls().total()
        time.sleep(0.3)
        return before == seen

    until(is_quiet)
    assert run.ledger().num_done < field.n
    os.kill(process.pid, signal.SIGCONT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    field.assert_whole(run)
    assert field.called_again() == 0


DIE_AT = """
import os
from scythe_runtime.store._folder import FolderStore

put, seen = FolderStore.put, []

def put_or_die(store, key, data, *, create=False):
    seen.append(key)
    if key.endswith({suffix!r}) and len([k for k in seen if k == key]) == {time}:
        os.kill(os.getpid(), 9)
    put(store, key, data, create=create)

FolderStore.put = put_or_die
"""


@pytest.mark.parametrize("stage", ["specs.pq", "experiment_io_spec.yml", "manifest.yml"])
def test_a_crash_while_allocating_leaves_no_run(field: Field, stage: str) -> None:
    """Killed before its record is written, a run does not exist: nothing was called, the next one is whole."""
    process = field.start_elsewhere({}, first=DIE_AT.format(suffix=stage, time=1))
    assert process.wait(30) == -signal.SIGKILL
    assert not (field.folder / "calls").exists()
    with pytest.raises(ExperimentRunNotFoundError):
        open_run("field")
    run, ref = field.start({})
    assert ref.result().state == "complete"
    field.assert_whole(run)


@pytest.mark.parametrize(
    ("stage", "time"),
    [
        ("0000-canary.json", 1),
        ("0001-main.json", 1),
        ("final/scalars.pq", 1),
        ("final/errors.pq", 1),
        ("manifest.yml", 2),
    ],
    ids=str,
)
def test_a_crash_at_each_later_stage_is_resumed(field: Field, stage: str, time: int) -> None:
    """Killed before a plan, a final table or the last record is written: resume completes the run."""
    process = field.start_elsewhere({5: "raise"}, first=DIE_AT.format(suffix=stage, time=time))
    assert process.wait(30) == -signal.SIGKILL
    run = open_run("field")
    assert run.resume().result().state == "complete-with-failures"
    field.assert_whole(run, {5: ("ValueError", "no luck")})
    assert field.called_again() == 0


@pytest.mark.parametrize("stage", ["final/scalars.pq", "final/errors.pq", "manifest.yml"])
def test_a_retry_that_crashes_at_its_tables_is_resumed(field: Field, stage: str) -> None:
    """Killed when all is computed and the tables are still the old ones: check says so, resume writes them."""
    bad = dict.fromkeys(range(100, 200, 10), "fail-until-allowed")
    run, ref = field.start({**bad, 300: "raise"})
    assert ref.result().failed == len(bad) + 1
    (field.folder / "allowed").touch()
    process = field.go_on_elsewhere("retry_failed", first=DIE_AT.format(suffix=stage, time=1))
    assert process.wait(30) == -signal.SIGKILL
    assert any("after its tables were written" in problem for problem in run.check().problems)
    before = field.calls()
    assert run.resume().result().failed == 1
    field.assert_whole(run, {300: ("ValueError", "no luck")})
    assert field.calls() == before


@pytest.mark.usefixtures("no_locks")
def test_two_that_go_on_at_once_lose_nothing(field: Field) -> None:
    """Two processes resume one run at the same moment, where no lock can be had: it is whole, whichever writes the tables last."""
    process = field.start_elsewhere({MIDDLE: "wait-once"}, batch_size=BATCH)
    stop(field, process, signal.SIGKILL)
    both = [field.go_on_elsewhere("resume") for _ in range(2)]
    said = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    field.assert_whole(open_run("field"))


@pytest.mark.usefixtures("no_locks")
def test_a_resume_beside_the_leading_process_loses_nothing(field: Field) -> None:
    """A run that is still led is resumed from elsewhere, where no lock can be had: both end, and it is whole."""
    run, ref = field.start({MIDDLE: "wait-once"}, batch_size=BATCH)
    field.middle()
    process = field.go_on_elsewhere("resume")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    field.assert_whole(run)
    field.go_on()
    assert ref.result().state == "complete"
    field.assert_whole(run)


def test_of_two_that_go_on_at_once_one_leads(field: Field) -> None:
    """Two processes resume one run at the same moment: one leads it, the other is told so; nothing is called twice."""
    process = field.start_elsewhere({MIDDLE: "wait-once"}, batch_size=BATCH)
    stop(field, process, signal.SIGKILL)
    run = open_run("field")
    missing = {row for part in run.ledger().missing for row in part}
    before = field.calls()
    (field.folder / "reached").unlink()  # who leads waits in the middle again
    both = [field.go_on_elsewhere("resume") for _ in range(2)]
    field.middle()
    until(lambda: any(process.poll() is not None for process in both))
    (refused,) = (process for process in both if process.poll() is not None)
    (leading,) = (process for process in both if process is not refused)
    assert f"process {leading.pid} of this machine leads it" in refused.communicate()[1]
    assert refused.returncode != 0
    field.go_on()
    _, said = leading.communicate(timeout=60)
    assert leading.returncode == 0, said
    field.assert_whole(run)
    assert field.calls() - before == dict.fromkeys(missing, 1)


@pytest.mark.parametrize("command", ["resume", "retry"])
def test_a_run_that_is_led_is_not_gone_on_with(
    field: Field, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """`scythe resume` and `retry` beside a living leading process: exit code 2 at once, its pid, and how to watch it."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    process = field.start_elsewhere({MIDDLE: "wait-once", 5: "raise"}, batch_size=BATCH)
    field.middle()
    run = open_run("field")
    argv = [sys.executable, "-c", "from scythe_runtime.cli import main; main()", command, "field"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert f"process {process.pid} of this machine leads it" in done.stderr
    assert f"scythe status {run.experiment_id} --follow" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert set(field.calls().values()) == {1}
    with pytest.raises(UsageError, match=f"process {process.pid} of this machine"):
        run.resume()
    stop(field, process, signal.SIGKILL)  # the lock ends with it, and not later
    assert run.resume().result().failed == 1
    field.assert_whole(run, {5: ("ValueError", "no luck")})
    assert list((field.folder / "cache" / "leading").iterdir()) == []


def test_a_process_does_not_go_on_with_what_it_leads(field: Field) -> None:
    """In a notebook: `run.resume()` while `ref` is under way says so, and afterwards does nothing."""
    run, ref = field.start({MIDDLE: "wait-once"}, batch_size=BATCH)
    field.middle()
    with pytest.raises(UsageError, match="this process itself leads it"):
        run.resume()
    field.go_on()
    assert ref.result().state == "complete"
    assert run.resume().result().state == "complete"
    assert field.called_again() == 0


def test_a_second_resume_runs_nothing(field: Field) -> None:
    """A run that is whole is not run again: the table is the same file as before."""
    run, ref = field.start({})
    ref.result()
    before = (field.folder / "runs" / run.experiment_id / "final" / "scalars.pq").stat()
    result = run.resume().result()
    assert (result.state, result.succeeded) == ("complete", field.n)
    after = (field.folder / "runs" / run.experiment_id / "final" / "scalars.pq").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert field.called_again() == 0


def test_retry_runs_only_what_failed(field: Field) -> None:
    """After the cause is gone, a retry calls the failed rows alone; the table is that of an undisturbed run."""
    bad = dict.fromkeys(range(100, 1700, 16), "fail-until-allowed")
    fates = {**bad, 5: "raise", 1700: "huge-frame"}
    run, ref = field.start(fates)
    assert ref.result().failed == len(bad) + 1
    named = {5: ("ValueError", "no luck")}
    field.assert_whole(run, dict.fromkeys(bad, ("RuntimeError", "not yet")) | named)
    before = field.calls()
    (field.folder / "allowed").touch()
    assert run.retry_failed().result().failed == 1
    field.assert_whole(run, named)
    assert field.calls() - before == dict.fromkeys([*bad, 5], 1)
    undisturbed, ref = field.start(fates)
    ref.result()
    assert_same_tables(run, undisturbed)
