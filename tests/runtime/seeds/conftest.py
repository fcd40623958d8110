"""What the tests of scythe-engine's names share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from seed_tasks import cells, simulate_cell

from scythe_runtime.experiments import BaseExperiment
from scythe_runtime.scatter_gather import RecursionMap


@dataclass(frozen=True)
class Done:
    """A run that has ended."""

    root: Path
    experiment: Any
    run: Any
    result: Any


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return a run of twelve cells, of which one has failed; the working directory is its store's."""
    root = tmp_path_factory.mktemp("done")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("SCYTHE_SLOTS", "2")
        patch.setenv("SCYTHE_CACHE_DIR", str(root / "cache"))
        patch.setenv("SCYTHE_STORAGE_BUCKET_PREFIX", "bucket/prefix")
        experiment = BaseExperiment(runnable=simulate_cell, run_name="cells")
        run, ref = experiment.allocate(
            cells(12, failing=frozenset({3})),
            version="bumpminor",
            recursion_map=RecursionMap(factor=2, max_depth=2),
        )
        yield Done(root, experiment, run, ref.result())


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder; return it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCYTHE_SLOTS", "2")
    monkeypatch.setenv("SCYTHE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path
