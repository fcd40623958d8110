"""Whoever looks at a run sees all of it: while it goes, when it fails, and when something was damaged."""

import re
import signal
import sys
from pathlib import Path

import pytest
from fault_field import Field, until
from fault_tasks import square_of

from scythe_runtime import open_run
from scythe_runtime.cli import main
from scythe_runtime.errors import RunDamagedError, UsageError
from scythe_runtime.layout import RunLayout

BATCH = 50


@pytest.fixture
def scythe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Return the command line as a function: arguments in, exit code and what it printed out."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["scythe", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_a_run_that_is_going_can_be_read(field: Field, scythe, tmp_path: Path) -> None:
    """Tables, errors and downloads of a run that is still going hold what is committed by then."""
    run, ref = field.start({3: "raise", 1000: "wait-once"}, batch_size=BATCH)
    field.middle()
    until(lambda: run.ledger().num_done > BATCH)
    table = run.table()
    assert 0 < len(table) < field.n
    assert table["square"].tolist() == [square_of(k) for k in table["k"]]
    assert run.errors()["sort_index"].tolist() == [3]
    code, out, _ = scythe("results", "field", "--to", str(tmp_path / "now"))
    assert code == 0
    assert "are pending" in out
    assert (tmp_path / "now" / run.experiment_id / "final" / "scalars.pq").is_file()
    assert not (tmp_path / "runs" / run.experiment_id / "final").exists()
    field.go_on()
    ref.result()
    code, out, _ = scythe("results", "field", "--to", str(tmp_path / "now"))
    assert "0 are pending" in out
    field.assert_whole(run, {3: ("ValueError", "no luck")})


def test_a_run_that_goes_on_can_be_read(field: Field) -> None:
    """While an interrupted run goes on, its tables are not those of the interruption: what is committed is there."""
    process = field.start_elsewhere({1000: "wait-once"}, batch_size=BATCH)
    field.middle()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    run = open_run("field")
    first = len(run.table())
    assert first == run.ledger().num_done < field.n
    (field.folder / "reached").unlink()
    ref = run.resume()
    field.middle()
    until(lambda: run.ledger().num_done > first)
    table = run.table()
    assert len(table) > first
    assert table["square"].tolist() == [square_of(k) for k in table["k"]]
    field.go_on()
    assert ref.result().state == "complete"
    field.assert_whole(run)


def test_status_follows_a_run_to_its_end(field: Field, scythe) -> None:
    """`status --follow` shows counts of a run that another process leads, until it has ended."""
    process = field.start_elsewhere({1000: "wait-once"}, batch_size=BATCH)
    field.middle()
    field.go_on()
    code, out, err = scythe("status", "field", "--follow")
    process.communicate(timeout=30)
    assert code == 0
    assert re.search(r"2,000/2,000", err)
    assert "2,000 succeeded, 0 failed, 0 pending" in out


def test_equal_failures_are_one_line(field: Field, scythe) -> None:
    """Hundreds of failures that differ in a number only are one line, with the first row that shows it."""
    bad = dict.fromkeys(range(7, 1000), "raise") | {1500: "wrong-type", 1501: "exit", 1502: "exit"}
    run, ref = field.start(bad)
    assert ref.result().failed == len(bad)
    groups = {(g.error_type, g.count, g.row) for g in run.results.error_groups()}
    assert groups == {("ValueError", 993, 7), ("WrongResult", 1, 1500), ("SlotDied", 2, 1501)}
    code, out, _ = scythe("errors", "field")
    assert code == 1
    lines = [line for line in out.splitlines() if " x " in line]
    assert len(lines) == 3
    assert "993 x ValueError at fault_tasks.py:" in lines[0]
    assert "no luck with k = 7 (for instance row 7)" in lines[0]


def test_replay_runs_a_row_here(field: Field, scythe) -> None:
    """`replay` shows a row's inputs and its full traceback, or its outputs; nothing is stored."""
    run, ref = field.start({5: "raise"})
    ref.result()
    before = sorted(Path("runs").rglob("*"))
    code, out, err = scythe("replay", "field", "5")
    assert code == 1
    assert re.search(r"fate +raise", out)
    assert "ValueError: no luck with k = 5" in err
    assert "fault_tasks.py" in err
    code, out, _ = scythe("replay", "field", "6")
    assert code == 0
    assert re.search(rf"square +{square_of(6)}", out)
    assert sorted(Path("runs").rglob("*")) == before
    code, _, err = scythe("replay", "field", "2000")
    assert code == 2
    assert f"run {run.experiment_id} has no row 2000. It has 2000 specs." in err


def test_a_run_that_always_fails_stops_after_the_canary(field: Field) -> None:
    """Eight rows are tried; the cause is said; nothing else is called, and a resume goes on."""
    run, ref = field.start(dict.fromkeys(range(field.n), "fail-until-allowed"))
    result = ref.result()
    assert (result.state, result.failed, result.pending) == ("stopped", 8, field.n - 8)
    assert "RuntimeError: not yet (fault_tasks.py:" in (run.manifest.cause or "")
    assert field.calls().total() == 8
    (field.folder / "allowed").touch()
    assert run.resume().result().failed == 8
    assert run.retry_failed().result().state == "complete"
    field.assert_whole(run)
    assert field.calls().total() == field.n + 8


def test_a_budget_pauses_a_run_within_a_few_batches(field: Field) -> None:
    """With more failures than max_failures the run pauses, keeps everything, and resume goes on."""
    bad = dict.fromkeys(range(100, field.n, 2), "fail-until-allowed")
    run, ref = field.start(bad, max_failures=20, batch_size=20)
    result = ref.result()
    assert result.state == "paused"
    assert 20 < result.failed <= 20 + 6 * 10, "two slots, each with what it was given before"
    assert "max_failures is 20" in (run.manifest.cause or "")
    (field.folder / "allowed").touch()
    resumed = run.resume().result()
    assert (resumed.failed, resumed.pending) == (result.failed, 0)
    assert run.retry_failed().result().state == "complete"
    field.assert_whole(run)
    assert field.called_again() == result.failed


def test_check_finds_what_was_damaged(field: Field) -> None:
    """A deleted part, a truncated table and a missing table are each named, with what to do."""
    run, ref = field.start({}, batch_size=500)
    ref.result()
    assert run.check().ok
    folder = field.folder / "runs" / run.experiment_id
    part = next(folder.rglob("0001-main/*.arrow"))
    whole = part.read_bytes()
    part.write_bytes(whole[: len(whole) // 2])
    assert any(part.name in p and "cannot be read" in p for p in run.check().problems)
    part.unlink()
    problems = "\n".join(run.check().problems)
    assert "specs have no outcome" in problems
    assert f"scythe resume {run.experiment_id}" in problems
    assert run.resume().result().state == "complete"
    field.assert_whole(run)
    scalars = folder / "final" / "scalars.pq"
    scalars.write_bytes(scalars.read_bytes()[:1000])
    assert any("final/scalars.pq: cannot be read" in p for p in run.check().problems)
    with pytest.raises(RunDamagedError, match=r"scalars.pq is damaged .* scythe resume"):
        run.table()
    scalars.unlink()
    assert any("0 results and 0 failures of 2000" in p for p in run.check().problems)
    assert run.resume().result().state == "complete"
    field.assert_whole(run)


def test_a_damaged_run_is_refused(field: Field) -> None:
    """Without its specs, or with others, a run is not gone on with: the message says what to do."""
    run, ref = field.start({})
    ref.result()
    specs = field.folder / "runs" / RunLayout(run.experiment_id).specs
    whole = specs.read_bytes()
    specs.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunDamagedError, match=r"specs.pq cannot be read .*Start a new run"):
        run.resume()
    assert any("specs.pq" in p or "Parquet" in p for p in run.check().problems)
    specs.unlink()
    with pytest.raises(RunDamagedError, match="never allocated to its end"):
        run.resume()


def test_another_definition_is_refused(field: Field) -> None:
    """A run whose inputs and outputs were defined otherwise is not gone on with."""
    run, ref = field.start({})
    ref.result()
    described = field.folder / "runs" / RunLayout(run.experiment_id).io_spec
    described.write_text(described.read_text().replace("square", "cube"))
    with pytest.raises(
        UsageError, match=r"(?s)another definition: .*(cube|square).*Start a new run"
    ):
        run.resume()


def test_resume_says_what_it_is_about_to_do(field: Field, capsys) -> None:
    """Before anything is computed: how many are reused, how many are run, what differs."""
    run, ref = field.start({}, batch_size=500)
    ref.result()
    folder = field.folder / "runs" / run.experiment_id
    next(folder.rglob("0001-main/*_ok500_*.arrow")).unlink()
    manifest = folder / "manifest.yml"
    manifest.write_text(re.sub(r"code_hash: .*", "code_hash: another", manifest.read_text()))
    capsys.readouterr()
    run.resume().result()
    said = capsys.readouterr().err
    assert "1,500 of 2,000 specs are reused, 500 missing ones are run" in said
    assert "the task's code changed" in said


def test_doctor_checks_settings_store_and_slots(field: Field, scythe, monkeypatch) -> None:
    """In a repository all checks are well; outside of one, or with a broken one, it says what is not."""
    code, out, _ = scythe("doctor")
    assert code == 1
    assert "BAD   repository:" in out
    assert "ok    store:" in out
    package = field.folder / "doctored"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "sampler.py").write_text("def sample(n=None, seed=None): ...\n")
    (package / "task.py").write_text(
        "from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec, ExperimentRegistry\n"
        "class In(ExperimentInputSpec):\n    x: float\n"
        "class Out(ExperimentOutputSpec):\n    y: float\n"
        "@ExperimentRegistry.Register()\n"
        "def doctored(input_spec: In) -> Out:\n    return Out(y=input_spec.x)\n"
    )
    (field.folder / "pyproject.toml").write_text('[tool.scythe]\nexperiments = ["doctored.task"]\n')
    monkeypatch.syspath_prepend(str(field.folder))
    code, out, _ = scythe("doctor")
    assert "BAD" not in out
    assert "a slot starts and finds the function" in out
    assert code == 0
    monkeypatch.setenv("SCYTHE_SLOTS", "none")
    code, out, _ = scythe("doctor")
    assert code == 1
    assert "BAD   settings: SCYTHE_SLOTS" in out


def test_an_open_run_is_found_by_the_start_of_its_id(field: Field) -> None:
    """A run is opened by its experiment's name, which is its latest run."""
    run, ref = field.start({})
    ref.result()
    assert open_run("field").experiment_id == run.experiment_id
