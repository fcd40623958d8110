"""Outputs may be called as they please: what parts say of each spec has names of its own."""

from pathlib import Path

import pytest
from clash_tasks import Clash, clash

from scythe_runtime import BaseExperiment, open_run


def test_outputs_with_the_names_of_a_parts_own_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Results, failures, files, times and a retry are right where outputs are called row, ok, seconds, traceback."""
    monkeypatch.chdir(tmp_path)
    run, ref = BaseExperiment(runnable=clash).allocate([Clash(number=k) for k in range(20)])
    result = ref.result()
    assert (result.succeeded, result.failed, result.pending) == (15, 5, 0)
    good = [k for k in range(20) if k % 4 != 3]
    table = run.table()
    assert table["row"].tolist() == [-k for k in good]
    assert table["ok"].tolist() == [f"ok {k}" for k in good]
    assert table["seconds"].tolist() == [1e6 + k for k in good]
    assert table["error_type"].tolist() == [[k] for k in good]
    brought = [p for p in run.download(tmp_path / "here") if p.suffix == ".txt"]
    assert sorted(int(p.read_text()) for p in brought) == good
    errors = run.errors()
    assert errors["error_type"].tolist() == ["ValueError"] * 5
    assert errors["seconds"].max() < 100
    assert open_run(run.experiment_id).retry_failed().result().failed == 5
    assert run.check().ok


def test_one_spec_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single spec's value has the outputs by their own names."""
    monkeypatch.chdir(tmp_path)
    _, ref = BaseExperiment(runnable=clash).allocate(Clash(number=4))
    value = ref.result()
    assert (value.row, value.ok, value.seconds, value.error_type) == (-4, "ok 4", 1e6 + 4, [4])
