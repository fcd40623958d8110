"""Inputs may be called like what errors.pq says of a failure: they stand beside it under names of their own."""

from pathlib import Path

import pandas as pd
import pytest
from clash_inputs import ClashingInput, clash_of_inputs

from scythe_runtime import BaseExperiment


def test_inputs_with_the_names_of_what_is_said_of_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each column of errors.pq has one name; among results, where nothing clashes, inputs keep theirs."""
    monkeypatch.chdir(tmp_path)
    specs = [
        ClashingInput(seconds=1000.0 + k, attempt=100 + k, error_type=f"t{k}", traceback=[k])
        for k in range(20)
    ]
    run, ref = BaseExperiment(runnable=clash_of_inputs).allocate(specs)
    assert (ref.result().succeeded, ref.result().failed) == (10, 10)
    assert run.table()["seconds"].tolist() == run.table()["y"].tolist()
    odd = list(range(1, 20, 2))
    for errors in (run.errors(), pd.read_parquet(next(tmp_path.rglob("final/errors.pq")))):
        assert errors.columns.is_unique
        assert errors["input.seconds"].tolist() == [1000.0 + k for k in odd]
        assert errors["input.attempt"].tolist() == [100 + k for k in odd]
        assert errors["input.error_type"].tolist() == [f"t{k}" for k in odd]
        assert errors["input.traceback"].tolist() == [f"[{k}]" for k in odd]
        assert errors["seconds"].max() < 100
        assert set(errors["attempt"]) == {1}
        assert set(errors["error_type"]) == {"ValueError"}
        assert errors["traceback"].str.contains("odd").all()
    assert run.retry_failed().result().failed == 10
    assert run.check().ok
