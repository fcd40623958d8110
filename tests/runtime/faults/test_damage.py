"""Somebody or something changes the folder of a run of 2,000 specs: it is found, said, and never computed with."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fault_field import Field
from fault_tasks import Station, load_in_folder, read_station, reuse, write_report

from scythe_runtime import BaseExperiment, open_run
from scythe_runtime.errors import RunDamagedError, ScytheError
from scythe_runtime.experiments import ExperimentRun
from scythe_runtime.layout import RunLayout

BATCH = 50


def folder_of(run: ExperimentRun) -> Path:
    """Return the folder of a run."""
    return Path("runs", run.experiment_id)


def parts_of(run: ExperimentRun) -> list[Path]:
    """Return the outcome parts of the main plan."""
    return sorted(folder_of(run).rglob("0001-main/*.arrow"))


DAMAGES: dict[str, Callable[[list[Path], list[Path]], None]] = {
    "empty": lambda parts, _: parts[3].write_bytes(b""),
    "garbage": lambda parts, _: parts[3].write_bytes(bytes(range(256)) * 20),
    "of another batch": lambda parts, _: shutil.copy(parts[4], parts[3]),
    "of another run": lambda parts, others: shutil.copy(others[3], parts[3]),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_part_that_is_not_its_own_is_never_used(field: Field, damage: str) -> None:
    """A part that is empty, garbage, of other rows or of another run: resume refuses before it calls anything."""
    run, ref = field.start({}, batch_size=BATCH)
    ref.result()
    other, ref = field.start(dict.fromkeys(range(field.n), "nan"), batch_size=BATCH)
    ref.result()
    parts = parts_of(run)
    DAMAGES[damage](parts, parts_of(other))
    parts[7].unlink()
    before = field.calls()
    assert any(parts[3].name in problem for problem in run.check().problems)
    with pytest.raises(RunDamagedError, match=rf"{parts[3].name}.*Delete it, then: scythe resume"):
        run.resume()
    assert field.calls() == before
    parts[3].unlink()
    assert run.resume().result().state == "complete"
    field.assert_whole(run)


def test_rows_of_a_frame_that_are_gone_are_named(field: Field) -> None:
    """A batch whose frame is gone or damaged: check and resume name the part to delete, then it is computed again."""
    run, ref = field.start({}, reuse, batch_size=BATCH)
    ref.result()
    frames = sorted(folder_of(run).rglob("frames/0001-main/hours/*.arrow"))
    frames[3].unlink()
    frames[4].write_bytes(b"")
    problems = [p for p in run.check().problems if "'hours'" in p]
    assert len(problems) == 2
    shutil.rmtree(folder_of(run) / "final")
    for _ in problems:
        with pytest.raises(RunDamagedError, match="'hours' cannot be read") as refused:
            run.resume().result()
        Path("runs", str(refused.value).partition(":")[0]).unlink()
    assert run.resume().result().state == "complete"
    assert run.check().problems == ()
    ks = [float(k) for k in range(field.n) for _ in "ab"]
    assert run.results.arrow("hours").column("load").to_pylist() == ks


def test_other_specs_than_those_allocated_are_refused(field: Field) -> None:
    """specs.pq with its rows in another order, all numbers the same: resume refuses, check says so."""
    run, ref = field.start({}, batch_size=BATCH)
    ref.result()
    parts_of(run)[3].unlink()
    specs = Path("runs") / RunLayout(run.experiment_id).specs
    table = pq.ParquetFile(specs).read()
    pq.write_table(table.take(pa.array(range(field.n)[::-1])), specs)
    before = field.calls()
    assert "specs.pq is not the one that the run was allocated with" in run.check().problems
    with pytest.raises(RunDamagedError, match=r"specs.pq is not the one .*scythe run"):
        run.resume()
    assert field.calls() == before


def test_half_a_manifest_is_refused_or_enough(field: Field) -> None:
    """However much of manifest.yml is left: resume refuses with a message, or completes the run rightly."""
    run, ref = field.start({}, batch_size=500)
    ref.result()
    manifest = folder_of(run) / "manifest.yml"
    whole = manifest.read_bytes()
    lost = next(part for part in parts_of(run) if "ok500" in part.name)
    refused = 0
    said = set()
    for length in range(0, len(whole), 211):
        lost.unlink(missing_ok=True)
        manifest.write_bytes(whole[:length])
        try:
            ended = run.resume().result().state
        except ScytheError as error:
            refused += 1
            said.add(str(error).partition(":")[0])
        else:
            assert ended == "complete"
            manifest.write_bytes(whole)
            assert run.resume().result().state == "complete"
            field.assert_whole(run)
            shutil.rmtree(folder_of(run) / "scatter-gather" / "output" / "0002-resume")
            (folder_of(run) / "scatter-gather" / "input" / "0002-resume.json").unlink()
    assert refused > 1
    assert all("manifest" in text or run.experiment_id in text for text in said), said


def test_a_plan_that_was_cut_is_refused(field: Field) -> None:
    """A plan says which rows a part covers: without it nothing is run, and the message names it."""
    run, ref = field.start({}, batch_size=BATCH)
    ref.result()
    plan = folder_of(run) / "scatter-gather" / "input" / "0001-main.json"
    plan.write_bytes(plan.read_bytes()[:20])
    before = field.calls()
    assert any("0001-main.json" in problem for problem in run.check().problems)
    with pytest.raises(RunDamagedError, match=r"0001-main\.json.*scythe resume"):
        run.resume()
    assert field.calls() == before
    plan.unlink()
    assert run.resume().result().state == "complete"
    field.assert_whole(run)


def test_a_folder_under_another_name_is_refused(field: Field) -> None:
    """A run's folder that was copied beside it is another run by its name: resume says whose it is."""
    run, ref = field.start({}, batch_size=BATCH)
    ref.result()
    folder = folder_of(run)
    copy = folder.with_name(folder.name[:-6] + "abcdef")
    shutil.copytree(folder, copy)
    next(copy.rglob("0001-main/*.arrow")).unlink()
    with pytest.raises(RunDamagedError, match=f"holds another run, {run.experiment_id}"):
        open_run(copy.relative_to("runs").as_posix()).resume()


def test_files_that_are_missing_are_named(field: Field) -> None:
    """An input file or an output file that somebody deleted: check names it."""
    Path("north.txt").write_text("north")
    specs = [Station(k=k, data=Path("north.txt")) for k in range(100)]
    run, ref = BaseExperiment(runnable=read_station, run_name="field").allocate(specs)
    ref.result()
    assert run.check().ok
    next(folder_of(run).rglob("artifacts/data/*")).unlink()
    (problem,) = run.check().problems
    assert problem.startswith("input file file://")
    assert problem.endswith("north.txt of data is missing")
    Path(run.table()["report"][42].removeprefix("file://")).unlink()
    assert any(
        "results/report: the files of 1 specs are missing (first: 42)" in problem
        for problem in run.check().problems
    )


def test_files_that_were_moved_are_said_to_be(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables name output files by where they were written: after a move, check says where they are now."""
    field.n = 200
    run, ref = field.start({7: "empty"}, write_report, batch_size=BATCH)
    ref.result()
    assert run.check().ok
    Path("runs").rename("archive")
    monkeypatch.setenv("SCYTHE_STORAGE_ROOT", str(field.folder / "archive"))
    (problem,) = open_run(run.experiment_id).check().problems
    assert "200 files of this run are named where it was" in problem
    assert f"they are in {(field.folder / 'archive').as_uri()}" in problem


def test_a_run_that_was_moved_goes_on_where_it_is(
    field: Field, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole store that was moved to another folder: its runs are found, checked and completed there."""
    run, ref = field.start({}, load_in_folder, batch_size=BATCH)
    ref.result()
    parts_of(run)[3].unlink()
    Path("runs").rename("archive")
    monkeypatch.setenv("SCYTHE_STORAGE_ROOT", str(field.folder / "archive"))
    moved = open_run(run.experiment_id)
    assert moved.resume().result().state == "complete"
    assert not Path("runs").exists()
    field.assert_whole(moved)
