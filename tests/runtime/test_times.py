"""Where the time of a run went: what a user sees who asks why it is slow."""

import sys
from pathlib import Path

import pyarrow as pa
import pytest
from sample_tasks import Slow, wait

from scythe_runtime import BaseExperiment
from scythe_runtime.cli import main
from scythe_runtime.experiments import ExperimentRun
from scythe_runtime.times import describe_times


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, with two slots."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCYTHE_SLOTS", "2")


def run_of(seconds: list[float], **options: object) -> ExperimentRun:
    """Return a run whose specs took so long."""
    specs = [Slow(seconds=s) for s in seconds]
    run, ref = BaseExperiment(runnable=wait, run_name="slow").allocate(specs, **options)
    assert ref.result().pending == 0
    return run


def test_each_spec_has_its_time_and_its_slot() -> None:
    """`run.times()` has a row for each spec, in their order, with what it took and where it ran."""
    seconds = [0.0] * 20
    seconds[13] = 0.5
    times = run_of(seconds).times()
    assert times["sort_index"].tolist() == list(range(20))
    assert times["ok"].all()
    assert 0.5 <= times["seconds"][13] < 5
    assert times["seconds"].drop(13).max() < 0.5
    assert times["worker"].nunique() == 2
    assert times["attempt"].tolist() == [1] * 20


def test_status_tells_where_the_time_went(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`scythe status --times` names the slowest rows and each slot's work."""
    run = run_of([0.3 if k in range(20, 28) else 0.0 for k in range(40)])
    monkeypatch.setattr(sys, "argv", ["scythe", "status", "slow", "--times"])
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    lines = capsys.readouterr().out.splitlines()
    assert any(" on 2 slots; in your function 2." in line for line in lines), lines
    (line,) = [line for line in lines if "the slowest rows: " in line]
    assert {int(k) for k in line.rpartition(": ")[2].split(", ")} < set(range(20, 28))
    slots = [line for line in lines if line.startswith("  ") and " specs, " in line]
    assert len(slots) == run.times()["worker"].nunique()


ADVICE = {
    "busy": ([0.5] * 20, "ab" * 10, 5.5, None, "The slots are busy"),
    "one slot alone": ([1.0] * 5 + [0.1] * 5, "a" * 5 + "b" * 5, 6.0, 5, "smaller batches"),
    "too short": ([0.001] * 40, "ab" * 20, 4.0, 1, 'batch_size="auto"'),
    "idle": ([0.2] * 10, "ab" * 5, 30.0, None, "The slots stood idle"),
}


@pytest.mark.parametrize("case", ADVICE)
def test_advice(case: str) -> None:
    """What would make a run shorter follows from how long its slots worked."""
    seconds, workers, lasted_s, batch_size, advice = ADVICE[case]
    n = len(seconds)
    times = pa.table(
        {
            "sort_index": list(range(n)),
            "ok": [True] * n,
            "attempt": [1] * n,
            "seconds": seconds,
            "worker": list(workers),
        }
    )
    manifest = run_of([0.0] * 10).manifest.model_copy(
        update={"seconds": lasted_s, "slots": 2, "batch_size": batch_size}
    )
    assert advice in list(describe_times(times, manifest))[-1]
    going = manifest.model_copy(update={"seconds": None, "finished": None, "slots": None})
    assert "count once they are committed" in list(describe_times(times, going))[-1]
