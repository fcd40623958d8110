"""Names of `experiments` that are about runs, called on a run that has ended."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from seed_names import calls
from seed_tasks import cells, simulate_cell

from scythe_runtime.experiments import (
    BaseExperiment,
    ExperimentRun,
    SemVer,
    VersionedExperiment,
)
from scythe_runtime.utils.filesys import FileUrl, S3Url


@calls("experiments.BaseExperiment", "experiments.BaseExperiment.allocate")
def test_allocate_with_every_option(done):
    """Specs can keep their own numbers and ids; a tree and a client of S3 are taken; the run is whole."""
    specs = cells(3)
    for spec in specs:
        spec.sort_index, spec.experiment_id = 5, "my own"
    from scythe_runtime.scatter_gather import RecursionMap

    experiment = BaseExperiment(runnable="cell", run_name="options")
    run, ref = experiment.allocate(
        specs,
        version=SemVer(major=2, minor=3),
        overwrite_sort_index=False,
        overwrite_experiment_id=False,
        recursion_map=RecursionMap(factor=10, max_depth=1),
        s3_client=object(),
    )
    assert ref.result().succeeded == 3
    index = run.scalars().index
    assert index.get_level_values("sort_index").tolist() == [5, 5, 5]
    assert index.get_level_values("experiment_id").unique().tolist() == ["my own"]
    assert str(run.versioned_experiment.version) == "v2.3.0"
    assert run.check().ok


@calls(
    "experiments.VersionedExperiment",
    "experiments.VersionedExperiment.base_id",
    "experiments.VersionedExperiment.prefix",
    "experiments.VersionedExperiment.list_runs",
    "experiments.VersionedExperiment.latest_run",
    "experiments.VersionedExperiment.latest_run_results",
    "experiments.BaseExperiment.list_versions",
    "experiments.BaseExperiment.latest_version",
    "experiments.BaseExperiment.latest_run",
    "experiments.BaseExperiment.latest_results",
    "experiments.BaseExperiment.latest_results_for_version",
)
def test_versions_and_runs_are_listed(done):
    """A version knows its runs and its folder; the latest of everything is found."""
    (version,) = done.experiment.list_versions(s3_client=object())
    assert isinstance(version, VersionedExperiment)
    assert version.version == SemVer(major=1)
    assert (version.base_id, version.prefix) == ("cells/v1.0.0", "bucket/prefix/cells/v1.0.0/")
    assert [r.experiment_id for r in version.list_runs(s3_client=object())] == [
        done.run.experiment_id
    ]
    assert version.latest_run.experiment_id == done.run.experiment_id
    keys = {"scalars": done.run.scalars_filekey}
    assert version.latest_run_results.items() >= keys.items()
    experiment = done.experiment
    assert (
        experiment.latest_version(s3_client=object(), from_cache=False).version == version.version
    )
    assert experiment.latest_version().version == version.version
    assert experiment.latest_run.experiment_id == done.run.experiment_id
    assert experiment.latest_results.items() >= keys.items()
    assert experiment.latest_results_for_version(SemVer(major=1)).items() >= keys.items()


@calls("experiments.BaseExperiment.resolve_next_version")
def test_strategies_count_on_from_the_latest(done):
    """Each strategy leads to its version; a version that is given stays."""
    found = {
        strategy: str(done.experiment.resolve_next_version(strategy, s3_client=object()))
        for strategy in ("bumpmajor", "bumpminor", "bumppatch", "keep", SemVer(major=9))
    }
    assert list(found.values()) == ["v2.0.0", "v1.1.0", "v1.0.1", "v1.0.0", "v9.0.0"]
    fresh = BaseExperiment(runnable=simulate_cell, run_name="never ran")
    assert str(fresh.resolve_next_version("bumppatch")) == "v1.0.0"


@calls(
    "experiments.ExperimentRun",
    "experiments.ExperimentRun.dt_str",
    "experiments.ExperimentRun.experiment_id",
    "experiments.ExperimentRun.prefix",
    "experiments.ExperimentRun.artifact_prefix",
    "experiments.ExperimentRun.specs_filename",
    "experiments.ExperimentRun.specs_filekey",
    "experiments.ExperimentRun.manifest_filekey",
    "experiments.ExperimentRun.io_spec_filekey",
    "experiments.ExperimentRun.input_artifacts_filekey",
    "experiments.ExperimentRun.workflow_spec_filekey",
    "experiments.ExperimentRun.final_results_dirkey",
    "experiments.ExperimentRun.scalars_filekey",
    "experiments.ExperimentRun.construct_artifact_key",
    "experiments.ExperimentRun.construct_specs_filekey",
)
def test_keys_of_a_run(done):
    """Every key stands below the run's prefix, and those of files that a run writes name these files."""
    run = done.run
    assert isinstance(run, ExperimentRun)
    assert run.dt_str.startswith(f"{run.timestamp:%Y-%m-%d_%H-%M-%S}")
    assert run.experiment_id == f"cells/v1.0.0/{run.dt_str}"
    assert run.prefix == f"bucket/prefix/{run.experiment_id}/"
    assert run.artifact_prefix == f"{run.prefix}artifacts/"
    assert run.construct_artifact_key("weather", "w.epw") == f"{run.artifact_prefix}weather/w.epw"
    assert run.construct_specs_filekey("part") == f"{run.prefix}part.pq"
    assert run.specs_filekey == run.construct_specs_filekey(run.specs_filename)
    assert run.workflow_spec_filekey == f"{run.prefix}workflow_spec.yml"
    assert run.input_artifacts_filekey == f"{run.prefix}input_artifacts.yml"
    assert run.final_results_dirkey == f"{run.prefix}final/"
    folder = done.root / "runs" / run.experiment_id
    for key in (
        run.specs_filekey,
        run.manifest_filekey,
        run.io_spec_filekey,
        run.scalars_filekey,
    ):
        assert (folder / key.removeprefix(run.prefix)).is_file()


@calls("experiments.ExperimentRun.as_uri")
def test_a_key_as_uri(done):
    """In a folder a key's URI is that of its file; in a bucket it is s3://."""
    uri = done.run.as_uri(done.run.scalars_filekey)
    assert isinstance(uri, FileUrl)
    assert len(pd.read_parquet(Path(uri.path))) == 11
    settings = done.experiment.storage_settings.model_copy(update={"BUCKET": "b"})
    experiment = done.experiment.model_copy(update={"storage_settings": settings})
    version = VersionedExperiment(base_experiment=experiment, version=SemVer(major=1))
    remote = ExperimentRun(versioned_experiment=version, timestamp=done.run.timestamp)
    assert isinstance(remote.as_uri("bucket/prefix/x.pq"), S3Url)
    assert str(remote.as_uri("bucket/prefix/x.pq")) == "s3://b/bucket/prefix/x.pq"
    assert remote.dt_str == f"{done.run.timestamp:%Y-%m-%d_%H-%M-%S}"


@calls("experiments.ExperimentRun.construct_manifest")
def test_a_manifest_is_constructed(done):
    """The manifest names the run, its experiment and its files; the one in the store agrees."""
    made = done.run.construct_manifest("my-queue-id")
    assert made.workflow_run_id == "my-queue-id"
    folder = done.root / "runs" / done.run.experiment_id
    stored = yaml.safe_load((folder / "manifest.yml").read_text())
    for name in ("experiment_id", "experiment_name", "specs_uri", "io_spec"):
        assert stored[name] == str(getattr(made, name))
    assert stored["counts"] == {"specs": 12, "succeeded": 11, "failed": 1, "pending": 0}


@calls("experiments.ExperimentRun.overwrite_spec_meta")
def test_spec_meta_is_overwritten_as_asked(done):
    """Ids and numbers are set, each only if asked for; allocation has set them on the caller's specs too."""
    specs = cells(3)
    done.run.overwrite_spec_meta(specs, overwrite_experiment_id=True, overwrite_sort_index=False)
    assert {s.experiment_id for s in specs} == {done.run.experiment_id}
    assert [s.sort_index for s in specs] == [0, 0, 0]
    done.run.overwrite_spec_meta(specs, overwrite_experiment_id=False, overwrite_sort_index=True)
    assert [s.sort_index for s in specs] == [0, 1, 2]


@calls("experiments.ExperimentRun.list_results_files")
def test_results_files_are_listed(done):
    """Each final table is listed with its key; the tables are there."""
    files = done.run.list_results_files(s3_client=object())
    assert files == {
        name: f"{done.run.final_results_dirkey}{name}.pq" for name in ("scalars", "errors")
    }
    errors = pd.read_parquet(done.root / "runs" / files["errors"].removeprefix("bucket/prefix/"))
    assert errors["sort_index"].tolist() == [3]


def test_the_index_of_results(done):
    """Results are indexed by their inputs and features; lists, dicts and models are columns, not lost."""
    scalars = done.run.scalars()
    names = list(scalars.index.names)
    assert {"temperature", "pressure", "material", "drawing", "extra", "celsius"} <= set(names)
    assert not {"site", "layers", "notes"} & set(names)
    assert {"site", "layers", "notes", "strain"} == set(scalars.columns)
    assert scalars.index.get_level_values("sort_index").tolist() == [0, 1, 2, *range(4, 12)]
    table = done.run.table()
    assert table["site"][0] == {"name": "site 0", "height": 0.0}
    assert table["layers"].tolist()[1] == [0.1, 0.2]
    assert table["layers"].tolist()[0] is None
    with pytest.raises(KeyError):
        _ = scalars["temperature"]
