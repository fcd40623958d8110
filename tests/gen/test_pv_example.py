"""The pv example, made and run as a user does: a dependency of its own, an output file, a frame."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from scythe_gen.new import new_repository


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository of the example under another name."""
    path = tmp_path_factory.mktemp("examples") / "roof"
    new_repository(path, example="pv")
    return path


def run(repository: Path, *command: str) -> str:
    """Return what a command says in the repository, which this environment lends all that it needs."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=repository,
        env=os.environ | {"PYTHONPATH": str(repository)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_asks_for_what_it_needs(repository: Path) -> None:
    """The example's own requirements stand among the repository's dependencies, below scythe-gen."""
    project = tomllib.loads((repository / "pyproject.toml").read_text("utf-8"))["project"]
    assert [name.split()[0] for name in project["dependencies"]] == ["scythe-gen", "pvlib>=0.13"]
    assert not (repository / "requirements.txt").exists()


def test_its_own_tests_and_checks_pass(repository: Path) -> None:
    """Its physics tests, a strict type check and the linter are content, as in any new repository."""
    run(repository, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist")
    run(repository, "-m", "mypy", "--cache-dir", os.devnull)
    run(repository, "-m", "ruff", "check", "--no-cache")


def test_files_and_frames_come_back(repository: Path) -> None:
    """Each sample gives a row of scalars, a csv of 8760 hours, and twelve rows of the frame that add up."""
    said = run(repository, "allocate.py", "--n", "6")
    assert "6 succeeded" in said
    (final,) = repository.glob("runs/roof/*/*/final")
    scalars = pd.read_parquet(final / "scalars.pq")
    assert scalars["yearly_yield"].between(200, 2500).all()
    files = sorted(final.parent.glob("results/hourly/*.csv"))
    assert [len(path.read_text("utf-8").splitlines()) for path in files] == [8761] * 6
    monthly = pd.read_parquet(final / "monthly.pq")
    assert sorted(monthly["month"]) == sorted([*range(1, 13)] * 6)
    peak = scalars.reset_index().set_index("sort_index")["peak_power"]
    energy = monthly.reset_index().groupby("sort_index")["energy"].sum()
    yields = scalars["yearly_yield"].droplevel(
        [n for n in scalars.index.names if n != "sort_index"]
    )
    pd.testing.assert_series_equal(energy / peak, yields, check_names=False, check_index_type=False)
