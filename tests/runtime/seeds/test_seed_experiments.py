"""Names of `experiments` that are about versions, errors and records."""

import pytest
from pydantic import ValidationError
from seed_names import calls
from seed_tasks import BuildingSimulationInput, MyInput, cells, simulate_cell

from scythe_runtime.experiments import (
    BaseExperiment,
    BaseNotFoundError,
    DuplicateInputArtifactsError,
    ExperimentNotFoundError,
    ExperimentRunManifest,
    ExperimentRunNotFoundError,
    ExperimentSpecsMismatchError,
    ExperimentVersionNotFoundError,
    InputArtifactLocations,
    SemVer,
    SerializableRunnable,
    VersionedExperiment,
    upload_input_artifacts,
)
from scythe_runtime.registry import ExperimentTypeNotFound
from scythe_runtime.runs import open_run
from scythe_runtime.settings import ScytheStorageSettings
from scythe_runtime.utils.filesys import S3Url


@calls(
    "experiments.SemVer",
    "experiments.SemVer.__lt__",
    "experiments.SemVer.__le__",
    "experiments.SemVer.__gt__",
    "experiments.SemVer.__ge__",
    "experiments.SemVer.__str__",
)
def test_versions_are_ordered():
    """Versions are compared by their numbers, part by part."""
    a, b, c = SemVer(major=1), SemVer(major=1, minor=10), SemVer(major=1, minor=9, patch=99)
    assert sorted([b, c, a]) == [a, c, b]
    assert a < c
    assert c <= b
    assert b > c
    assert b >= SemVer(major=1, minor=10, patch=0)
    assert str(c) == "v1.9.99"
    with pytest.raises(TypeError):
        _ = a < "v2.0.0"


@calls("experiments.SemVer.FromString")
def test_versions_are_read():
    """v1, v1.2, v1.2.3 and v1-2-3 are versions; other texts are refused."""
    assert SemVer.FromString("v1.2.3") == SemVer(major=1, minor=2, patch=3)
    assert SemVer.FromString(version="v4") == SemVer(major=4)
    assert SemVer.FromString("v1-2-3") == SemVer.FromString("v1.2.3")
    for wrong in ("1.2.3", "v", "vx", "v1.2.3.4", "v1.-2"):
        with pytest.raises(ValueError, match=r"Write v1\.2\.3"):
            SemVer.FromString(wrong)


@calls(
    "experiments.SemVer.next_major_version",
    "experiments.SemVer.next_minor_version",
    "experiments.SemVer.next_patch_version",
)
def test_versions_count_on():
    """A step resets the parts below it."""
    version = SemVer(major=1, minor=2, patch=3)
    assert str(version.next_major_version()) == "v2.0.0"
    assert str(version.next_minor_version()) == "v1.3.0"
    assert str(version.next_patch_version()) == "v1.2.4"


@calls("experiments.SerializableRunnable")
def test_a_runnable_is_written_as_its_name():
    """A runnable is given itself or by name, is written as its name, and read back; a copy is equal."""
    runnable = SerializableRunnable(runnable=simulate_cell)
    assert runnable.model_dump_json() == '{"runnable":"cell"}'
    assert SerializableRunnable.model_validate_json('{"runnable":"cell"}') == runnable
    assert runnable.model_copy(deep=True) == runnable
    with pytest.raises(ExperimentTypeNotFound):
        SerializableRunnable(runnable="no such cell")


@calls("experiments.BaseExperiment.check_spec_type", "experiments.BaseExperiment.check_spec_types")
def test_specs_are_checked():
    """A spec of the right class or a subclass passes; another is refused, with both classes named."""

    class Finer(MyInput):
        mesh: int = 3

    experiment = BaseExperiment(experiment=simulate_cell)
    finer = Finer(temperature=1, pressure=2, material="copper")
    experiment.check_spec_type(finer)
    experiment.check_spec_types([*cells(2), finer])
    with pytest.raises(ExperimentSpecsMismatchError, match=r"MyInput.*dict"):
        experiment.check_spec_types([*cells(2), {}])
    other = BuildingSimulationInput.model_construct()
    with pytest.raises(ExperimentSpecsMismatchError):
        experiment.check_spec_type(other)


@calls("experiments.ExperimentSpecsMismatchError", "experiments.DuplicateInputArtifactsError")
def test_errors_tell_what_they_are_about():
    """An error keeps what it was made with, and its message names it."""
    mismatch = ExperimentSpecsMismatchError(expected_type=MyInput, actual_type=int)
    assert (mismatch.expected_type, mismatch.actual_type) == (MyInput, int)
    assert "MyInput" in str(mismatch)
    assert "int" in str(mismatch)
    twice = DuplicateInputArtifactsError(file_name="w.epw", field_name="weather")
    assert (twice.file_name, twice.field_name) == ("w.epw", "weather")
    assert "w.epw" in str(twice)


@calls(
    "experiments.BaseNotFoundError",
    "experiments.ExperimentNotFoundError",
    "experiments.ExperimentVersionNotFoundError",
    "experiments.ExperimentRunNotFoundError",
)
def test_what_is_not_there_is_named(here):
    """An experiment without runs, a version without runs, and a run that is not there: each its own error."""
    experiment = BaseExperiment(runnable=simulate_cell, run_name="empty")
    for read in (lambda: experiment.latest_run, lambda: experiment.latest_results):
        with pytest.raises(ExperimentNotFoundError, match="empty") as missing:
            read()
        assert missing.value.experiment_name == "empty"
    version = SemVer(major=3)
    with pytest.raises(ExperimentVersionNotFoundError, match=r"empty/v3\.0\.0") as no_version:
        experiment.latest_results_for_version(version)
    assert (no_version.value.experiment_name, no_version.value.version) == ("empty", version)
    with pytest.raises(ExperimentVersionNotFoundError):
        _ = VersionedExperiment(base_experiment=experiment, version=version).latest_run
    with pytest.raises(ExperimentRunNotFoundError, match="empty/v3") as no_run:
        open_run("empty/v3")
    assert issubclass(type(no_run.value), BaseNotFoundError)
    made = ExperimentRunNotFoundError(experiment_name="e", version=version, run_name="now")
    assert (made.version, made.run_name) == (version, "now")
    assert "e/v3.0.0/now" in str(made)
    assert experiment.latest_version(from_cache=False) is None
    assert experiment.list_versions() == []
    assert list(here.iterdir()) == []


@calls("experiments.InputArtifactLocations", "experiments.ExperimentRunManifest")
def test_records_are_read_back():
    """A manifest and a list of artifacts as scythe-engine writes them can be read."""
    places = InputArtifactLocations(files={"weather": {"s3://b/w.epw"}})
    assert places.files == {"weather": {S3Url("s3://b/w.epw")}}
    assert InputArtifactLocations.model_validate_json(places.model_dump_json()) == places
    manifest = ExperimentRunManifest(
        workflow_run_id="f764ef33",
        experiment_id="building_energy/v1.0.0/2025-07-23_12-59-51",
        experiment_name="scythe_experiment_simulate_energy",
        specs_uri="s3://b/scythe/specs.pq",
        io_spec="s3://b/scythe/experiment_io_spec.yml",
    )
    assert manifest.input_artifacts is None
    with pytest.raises(ValidationError):
        ExperimentRunManifest.model_validate({**manifest.model_dump(), "specs_uri": "specs.pq"})


@calls("experiments.upload_input_artifacts")
def test_artifacts_go_where_they_are_told(here, bucket):
    """Each file is put under the key that is made for it; places come back by field, and by path."""
    from scythe_runtime.utils.s3 import s3_client

    files = {"weather": {here / "a b.epw", here / "c.epw"}, "day": {here / "c.epw"}}
    for path in files["weather"]:
        path.write_text(path.name)
    places, uris = upload_input_artifacts(
        files, s3_client, bucket, lambda path, field: f"in/{field}/{path.name}"
    )
    assert set(places.files) == {"weather", "day"}
    assert uris["weather"][here / "a b.epw"].key == "in/weather/a b.epw"
    body = s3_client.get_object(Bucket=bucket, Key="in/day/c.epw")["Body"].read()
    assert body == b"c.epw"


@calls("experiments.BaseExperiment.base_id", "experiments.BaseExperiment.prefix")
def test_an_experiment_has_a_folder():
    """The folder is the run name, else the function's name in the registry; the bucket's prefix stands before it."""
    settings = ScytheStorageSettings(BUCKET="b", BUCKET_PREFIX="deep/prefix")
    named = BaseExperiment(runnable=simulate_cell, run_name="custom", storage_settings=settings)
    assert (named.base_id, named.prefix) == ("custom", "deep/prefix/custom/")
    assert BaseExperiment(runnable="cell").base_id == "cell"
    for wrong in ("a/b", "..", "", "a\x00"):
        with pytest.raises(ValidationError, match="folder"):
            BaseExperiment(runnable=simulate_cell, run_name=wrong)
