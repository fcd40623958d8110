"""The store of a run of 2,000 specs fills up, goes away, comes back: nothing is lost, nothing is half."""

import os
import signal
import tempfile
import threading
from pathlib import Path

import pytest
from fault_field import Disk, Field, is_gone, until
from store.proxy import FaultyProxy, refusal

from scythe_runtime import open_run
from scythe_runtime.errors import ScytheError, StoreError, UsageError

MIDDLE = 1000
BATCH = 50


def test_a_full_disk_stops_the_run_and_resume_completes_it(
    field: Field, small_disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk ends the run with a message that says so; with room again, resume runs what is missing."""
    monkeypatch.setenv("SCYTHE_STORAGE_ROOT", str(small_disk.folder))
    run, ref = field.start({MIDDLE: "wait-once"}, batch_size=BATCH)
    field.middle()
    ballast = small_disk.folder / "ballast"
    with pytest.raises(OSError, match="No space left"):
        fill(ballast)
    field.go_on()
    with pytest.raises(ScytheError, match=r"(?s)disk is full.*resume"):
        ref.result()
    committed = run.ledger().num_done
    assert 0 < committed < field.n
    ballast.unlink()
    assert run.resume().result().state == "complete"
    field.assert_whole(run)


@pytest.mark.parametrize("size", ["4k", "16k", "32k", "64k", "128k", "256k"])
def test_a_disk_that_is_full_at_any_stage_loses_nothing(
    field: Field, small_disk: Disk, monkeypatch: pytest.MonkeyPatch, size: str
) -> None:
    """Full while the run is allocated, planned, computed or gathered: with room again it is whole."""
    monkeypatch.setenv("SCYTHE_STORAGE_ROOT", str(small_disk.folder))
    small_disk.remount(f"size={size}")
    run = None
    with pytest.raises(ScytheError, match="disk is full") as got:  # noqa: PT012 - at whichever stage
        run, ref = field.start({5: "raise"})
        ref.result()
    assert not isinstance(got.value, UsageError), (
        "exit code 2 is for a folder that was named wrongly"
    )
    small_disk.remount("size=8m")
    if run is None:
        assert not (field.folder / "calls").exists()
        with pytest.raises(LookupError):
            open_run("field")
        run, ref = field.start({5: "raise"})
        ref.result()
    assert run.resume().result().state == "complete-with-failures"
    field.assert_whole(run, {5: ("ValueError", "no luck")})


def test_a_disk_that_becomes_read_only_loses_nothing(
    field: Field, small_disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes no more writes ends the run with a message; when it does, resume completes it."""
    monkeypatch.setenv("SCYTHE_STORAGE_ROOT", str(small_disk.folder))
    run, ref = field.start({MIDDLE: "wait-once"}, batch_size=BATCH)
    field.middle()
    small_disk.remount("ro")
    field.go_on()
    with pytest.raises(ScytheError, match="cannot be written"):
        ref.result()
    small_disk.remount("rw")
    assert run.resume().result().state == "complete"
    field.assert_whole(run)


def test_no_room_for_temporary_files_is_said(
    field: Field, small_disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables are made in the temporary folder: when that is full the message names it, and resume completes the run."""
    run, ref = field.start({MIDDLE: "wait-once"}, batch_size=BATCH)
    field.middle()
    small_disk.remount("size=40k")
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk.folder))
    field.go_on()
    with pytest.raises(ScytheError, match=rf"(?s){small_disk.folder}.*TMPDIR.*scythe resume"):
        ref.result()
    monkeypatch.undo()
    monkeypatch.chdir(field.folder)
    before = field.calls()
    assert run.resume().result().state == "complete"
    field.assert_whole(run)
    assert field.calls() == before


def test_a_folder_that_goes_away_for_a_moment_costs_nothing(field: Field) -> None:
    """While the folder is gone nothing is written elsewhere; when it is back in time, the run just goes on."""
    run, ref = field.start({MIDDLE: "wait-once"}, batch_size=BATCH)
    field.middle()
    Path("runs").rename("away")
    field.go_on()
    until(lambda: field.calls()[MIDDLE + BATCH // 2] > 0)
    come_back()
    assert ref.result().state == "complete"
    field.assert_whole(run)


def test_a_folder_that_stays_away_ends_the_run(field: Field) -> None:
    """A store that does not come back ends the run with a message; when it is there again, resume completes it."""
    run, ref = field.start({MIDDLE: "wait-once"}, batch_size=BATCH)
    field.middle()
    Path("runs").rename("away")
    field.go_on()
    with pytest.raises(ScytheError, match=r"(?s)gone.*resume"):
        ref.result()
    assert not list(Path().glob("runs/field/*/*/final")), "tables were written where the run is not"
    assert not list(Path().glob("runs/field/*/*/manifest.yml"))
    come_back()
    assert run.resume().result().state == "complete"
    field.assert_whole(run)


def fill(file: Path) -> None:
    """Write until nothing more can be written."""
    with file.open("wb", buffering=0) as writing:
        while True:
            writing.write(bytes(4096))


def come_back() -> None:
    """Bring the folder back; what was made meanwhile in its place holds no run."""
    if Path("runs").exists():
        Path("runs").rename("in its place")
    Path("away").rename("runs")


@pytest.fixture
def in_s3(bucket: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch) -> FaultyProxy:
    """Keep runs in S3, behind a proxy."""
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", bucket)
    monkeypatch.setenv("SCYTHE_SLOTS", "2")
    return proxy


def test_an_outage_of_s3_is_waited_out(field: Field, in_s3: FaultyProxy) -> None:
    """A server that refuses for a while in the middle of a run costs time, no outcome and no second call."""
    run, ref = field.start({MIDDLE: "wait-once"}, batch_size=200)
    field.middle()
    refused = threading.Event()

    def busy(handler: object) -> None:
        refused.set()
        refusal(503, "SlowDown")(handler)

    in_s3.always = busy
    field.go_on()
    assert refused.wait(30)
    in_s3.always = None
    assert ref.result().state == "complete"
    field.assert_whole(run)
    assert field.called_again() == 0


def test_a_slot_killed_while_its_part_goes_to_s3(field: Field, in_s3: FaultyProxy) -> None:
    """Kill -9 of a slot that is sending its part: the batch is run again, and one part counts."""
    run, ref = field.start({MIDDLE: "wait-once"}, batch_size=200)
    slot = field.middle()
    killed = threading.Event()

    def kill(handler: object) -> None:
        mine = handler.command == "PUT" and "/0001-main/" in handler.path  # type: ignore[attr-defined]
        if mine and not killed.is_set():
            killed.set()
            os.kill(slot, signal.SIGKILL)
        handler.answer(*handler.forward())  # type: ignore[attr-defined]

    in_s3.always = kill
    field.go_on()
    assert ref.result().state == "complete"
    assert killed.is_set()
    field.assert_whole(run)
    assert 1 <= field.called_again() <= 200


def test_each_fault_has_the_same_outcome_in_s3(field: Field, in_s3: FaultyProxy) -> None:
    """Rows that raise, die, return nonsense or half a million rows, and failures that a retry mends."""
    fates = {100: "raise", 500: "segfault", 700: "exit", 900: "unpicklable", 1100: "wrong-type"}
    kept = {
        100: ("ValueError", "no luck"),
        500: ("SlotDied", "killed by SIGSEGV"),
        700: ("SlotDied", "process exited with code 3"),
        900: ("Unpicklable", "cannot be read"),
        1100: ("WrongResult", "load returned dict"),
    }
    mended = dict.fromkeys(range(1200, 1300, 10), "fail-until-allowed")
    run, ref = field.start({**fates, **mended, 1500: "huge-frame"}, batch_size=200)
    assert ref.result().failed == len(fates) + len(mended)
    field.assert_whole(run, kept | dict.fromkeys(mended, ("RuntimeError", "not yet")))
    assert run.results.arrow("hours").num_rows == 500_000
    (field.folder / "allowed").touch()
    before = field.calls()
    assert run.retry_failed().result().failed == len(fates)
    field.assert_whole(run, kept)
    again = field.calls() - before
    assert set(again) == {*fates, *mended}
    assert run.results.arrow("hours").num_rows == 500_000


def test_resume_after_kill_9_in_s3(field: Field, in_s3: FaultyProxy) -> None:
    """The leading process of a run in S3 is killed: resume runs what is missing, from any process."""
    process = field.start_elsewhere({MIDDLE: "wait-once"}, batch_size=200)
    field.middle()
    process.kill()
    process.communicate(timeout=30)
    until(lambda: all(map(is_gone, field.processes())))
    run = open_run("field")
    before, calls = run.ledger(), field.calls()
    assert 0 < before.num_done < field.n
    assert run.resume().result().state == "complete"
    field.assert_whole(run)
    assert set(field.calls() - calls) == {row for part in before.missing for row in part}
    assert field.called_again() <= 2 * 200


def test_a_part_of_another_run_in_s3_is_never_used(field: Field, in_s3: FaultyProxy) -> None:
    """A part that another run's was copied over is found when the tables are written, and by check."""
    run, ref = field.start({}, batch_size=500)
    ref.result()
    other, ref = field.start(dict.fromkeys(range(field.n), "nan"), batch_size=500)
    ref.result()
    part, stranger = (
        next(e.key for e in r.store.list(f"{r.experiment_id}/scatter-gather/output/0001-main/b"))
        for r in (run, other)
    )
    run.store.put(part, other.store.get(stranger))
    assert any("is of another run" in problem for problem in run.check().problems)


def test_a_script_that_does_not_wait_completes_its_run_in_s3(
    field: Field, in_s3: FaultyProxy
) -> None:
    """The run goes on when the script's main thread has ended, tables included."""
    process = field.start_elsewhere({}, last="")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    run = open_run("field")
    assert run.manifest.state == "complete", said
    field.assert_whole(run)


def test_a_store_that_is_down_from_the_start_writes_nothing(
    field: Field, in_s3: FaultyProxy
) -> None:
    """A store that refuses before allocation is an error at once: no run is left behind."""
    in_s3.always = refusal(403, "AccessDenied")
    with pytest.raises(StoreError, match=r"AccessDenied|permission|allow"):
        field.start({})
    in_s3.always = None
    with pytest.raises(LookupError):
        open_run("field")
