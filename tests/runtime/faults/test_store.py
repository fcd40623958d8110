"""The store of a run of 2,000 specs fills up, goes away, comes back: nothing is lost, nothing is half."""

import os
import signal
import threading
from pathlib import Path

import pytest
from fault_field import Field, until
from store.proxy import FaultyProxy, refusal

from scythe_runtime import open_run
from scythe_runtime.errors import ScytheError, StoreError

MIDDLE = 1000
BATCH = 50


def test_a_full_disk_stops_the_run_and_resume_completes_it(
    field: Field, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk ends the run with a message that says so; with room again, resume runs what is missing."""
    monkeypatch.setenv("SCYTHE_STORAGE_ROOT", str(small_disk))
    run, ref = field.start({MIDDLE: "wait-once"}, batch_size=BATCH)
    field.middle()
    ballast = small_disk / "ballast"
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
