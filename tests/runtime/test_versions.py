"""Versions: how they count on, who gets them, and what the latest is."""

from pathlib import Path

import pytest
from inline import InlineEngine
from pydantic import ValidationError
from version_tasks import Cell, Grown, grow

import scythe_runtime.allocate as allocation
from scythe_runtime import BaseExperiment, SemVer, open_run
from scythe_runtime.allocate import Options, allocate_run, claim_version, versions
from scythe_runtime.errors import UsageError
from scythe_runtime.iodiff import compare, highest
from scythe_runtime.iospec import io_schema
from scythe_runtime.store import store_from_settings
from scythe_runtime.versions import next_version


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder with one input file; return it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").write_text("12345")
    return tmp_path


def test_a_claimed_version_is_nobody_elses(here):
    """Whoever bumps gets a version that nobody has; keep and explicit versions may be shared."""
    store = store_from_settings()
    claimed = [claim_version(store, "e", "bumpminor") for _ in range(3)]
    assert [str(v) for v in claimed] == ["v1.0.0", "v1.1.0", "v1.2.0"]
    assert str(claim_version(store, "e", "keep")) == "v1.2.0"
    assert claim_version(store, "e", SemVer(major=1)) == claim_version(store, "e", SemVer(major=1))
    assert str(claim_version(store, "e", "bumpmajor")) == "v2.0.0"
    assert str(claim_version(store, "e", "bumppatch")) == "v2.0.1"
    (here / "runs" / "e" / "notes").mkdir()
    assert [str(v) for v in versions(store, "e")][-1] == "v2.0.1"


@pytest.mark.parametrize(
    ("strategy", "latest", "expected"),
    [
        ("bumpmajor", "v1.2.3", "v2.0.0"),
        ("bumpminor", "v1.2.3", "v1.3.0"),
        ("bumppatch", "v1.2.3", "v1.2.4"),
        ("keep", "v1.2.3", "v1.2.3"),
        ("bumpmajor", None, "v1.0.0"),
        ("bumppatch", None, "v1.0.0"),
        ("keep", None, "v1.0.0"),
    ],
)
def test_strategies(strategy, latest, expected):
    """The table of the guide."""
    found = next_version(strategy, SemVer.FromString(latest) if latest else None)
    assert str(found) == expected


def test_what_is_no_strategy(here):
    """Unknown strategies and negative numbers are refused; auto is decided by allocate alone."""
    experiment = BaseExperiment(runnable=grow, run_name="cells")
    for strategy in ("bumpall", "auto"):
        with pytest.raises(UsageError, match=f"'{strategy}'.*bumpmajor, bumpminor"):
            experiment.resolve_next_version(strategy)
    with pytest.raises(ValidationError):
        SemVer(major=-1)


def allocate(version, experiment=grow):
    """Run three cells in this process; return the run's id."""
    return allocate_run(
        [Cell(x=k, data=Path("data.txt")) for k in range(3)],
        experiment=experiment,
        base_id="cells",
        store=store_from_settings(),
        engine=InlineEngine(),
        options=Options(version=version),
    ).run_id


def test_the_latest_run_of_one_second(here):
    """Of runs that share a second and a version the one that was allocated last is the latest."""
    experiment = BaseExperiment(runnable=grow, run_name="cells")
    for _ in range(6):
        run_id = allocate("keep")
        assert experiment.latest_run.experiment_id == run_id
        assert open_run("cells").experiment_id == run_id
    (version,) = experiment.list_versions()
    assert len(version.list_runs()) == 6


def test_a_version_that_is_only_claimed_has_no_latest_run(here):
    """While another process is still allocating v2, the latest run is that of v1."""
    run_id = allocate("bumpmajor")
    claim_version(store_from_settings(), "cells", "bumpmajor")
    experiment = BaseExperiment(runnable=grow, run_name="cells")
    assert str(experiment.latest_version(from_cache=False).version) == "v2.0.0"
    assert experiment.latest_run.experiment_id == run_id
    assert open_run("cells").experiment_id == run_id


def test_latest_version_is_kept_until_asked_again(here):
    """latest_version remembers, and looks again with from_cache=False; allocate makes it look again."""
    experiment = BaseExperiment(runnable=grow, run_name="cells")
    allocate("bumpmajor")
    assert str(experiment.latest_version().version) == "v1.0.0"
    allocate("bumpmajor")
    assert str(experiment.latest_version().version) == "v1.0.0"
    assert str(experiment.latest_version(from_cache=False).version) == "v2.0.0"


class Finer(Cell):
    """A cell with a mesh."""

    mesh: int = 3


def test_auto_counts_on_by_what_changed(here, capsys, monkeypatch):
    """auto: the first run, nothing changed, code changed, an input added; each is said in one line."""

    def auto(experiment=grow):
        capsys.readouterr()
        version = allocate("auto", experiment).split("/")[1]
        (line,) = capsys.readouterr().err.splitlines()
        return version, line

    assert auto() == ("v1.0.0", "version v1.0.0: the first run")
    assert auto() == ("v1.0.0", "version v1.0.0: nothing changed since the latest run")
    with monkeypatch.context() as patch:
        read = allocation.ProvenanceReader.read
        patch.setattr(
            allocation.ProvenanceReader,
            "read",
            lambda self, described: read(self, described).model_copy(
                update={"code_hash": "another"}
            ),
        )
        assert auto() == ("v1.0.1", "version v1.0.1: the task's code changed")
    described = allocation.io_spec
    monkeypatch.setattr(allocation, "io_spec", lambda _input, output: described(Finer, output))
    assert auto() == ("v1.1.0", "version v1.1.0: input.mesh was added")
    monkeypatch.setattr(allocation, "io_spec", described)
    assert auto() == ("v2.0.0", "version v2.0.0: input.mesh was removed")


def field(**schema):
    """Return an io spec whose one input is described so."""
    base = io_schema(Cell, Grown)
    base["$defs"]["Cell"]["properties"]["x"] = {"type": "number", **schema}
    return base


@pytest.mark.parametrize(
    ("old", "new", "level", "text"),
    [
        ({}, {"description": "words", "title": "X"}, None, ""),
        ({"maximum": 15}, {"maximum": 10}, "major", "input.x: maximum lowered from 15 to 10"),
        ({"maximum": 10}, {"maximum": 15}, "minor", "input.x: maximum raised from 10 to 15"),
        ({"minimum": 1}, {}, "minor", "input.x: minimum 1 was dropped"),
        ({}, {"minimum": 1}, "major", "input.x: minimum 1 was added"),
        ({"x-unit": "m"}, {"x-unit": "ft"}, "major", "input.x: unit changed from m to ft"),
        ({"enum": [1, 2]}, {"enum": [1]}, "major", "input.x: no longer takes 2"),
        ({"enum": [1]}, {"enum": [1, 2]}, "minor", "input.x: also takes 2"),
        ({}, {"type": "integer"}, "major", "input.x: type changed"),
    ],
)
def test_what_a_change_does_to_the_version(old, new, level, text):
    """Narrowed, removed and re-united fields are major, widened and added ones minor, words nothing."""
    changes = compare(field(**old), field(**new))
    assert highest(changes) == level
    assert [change.text for change in changes] == ([text] if text else [])
