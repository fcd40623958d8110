"""Specs and outputs in all their forms: what comes back, where, and what is refused by name."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
import yaml
from inline import InlineEngine
from spec_tasks import Answer, Ask, answer

from scythe_runtime import BaseExperiment
from scythe_runtime.allocate import Options, allocate_run
from scythe_runtime.base import ExperimentIndexNotSerializableError
from scythe_runtime.check import check_run
from scythe_runtime.layout import RunLayout
from scythe_runtime.refs import SpecFailedError
from scythe_runtime.results import Results
from scythe_runtime.store import store_from_settings


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in an empty folder; return it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def results(specs):
    """Run specs in one batch, in this process; return the run's tables, which are whole."""
    store = store_from_settings()
    allocated = allocate_run(
        specs,
        experiment=answer,
        base_id="ask",
        store=store,
        engine=InlineEngine(),
        options=Options(version="keep", batch_size=1000),
    )
    allocated.driver.ending()
    report = check_run(store, RunLayout(allocated.run_id))
    assert report.ok, report.problems
    return Results(store, RunLayout(allocated.run_id))


def failure(**ask):
    """Return type and message of the failure of a spec that stands between two good ones."""
    found = results([Ask(k=1), Ask(k=2, **ask), Ask(k=3)])
    assert found.table()["k"].tolist() == [1, 3]
    (row,) = found.errors()[["k", "error_type", "error_message"]].to_dict("records")
    assert row["k"] == 2
    return row["error_type"], row["error_message"]


@pytest.mark.parametrize(
    ("give", "error_type", "message"),
    [
        ("scalars", "ScalarInDataframesError", "Rename the frame"),
        ("late frame", "ScalarInDataframesError", "Rename the frame"),
        ("result_file_refs", "ResultFileRefsInDataframesError", "Rename the frame"),
        ("errors", "ValidationError", "dataframes['errors']"),
        ("no name", "ValidationError", "dataframes['a/b']"),
        ("no frame", "ValidationError", "expected a pandas DataFrame, got int"),
        ("object", "WrongResult", "output 'anything': a value of type object cannot be stored"),
        ("extra object", "WrongResult", "output 'more': a value of type object"),
        (
            "extra sort_index",
            "WrongResult",
            "output 'sort_index': tables have a column of that name",
        ),
        ("object with frame", "WrongResult", "output 'anything'"),
    ],
)
def test_an_output_that_cannot_be_kept_fails_its_own_spec(here, give, error_type, message):
    """The spec is named with what is wrong; the others of its batch have their results."""
    found = failure(give=give)
    assert found[0] == error_type
    assert message in found[1]


@pytest.mark.parametrize(
    ("feature", "error_type", "message"),
    [
        ("object", "ExperimentIndexNotSerializableError", "computed feature 'f' is object"),
        ("list", "ExperimentIndexNotSerializableError", "computed feature 'f' is list"),
        ("field", "ExperimentIndexAdditionalDataOverlapsWithSpecError", "already: k"),
        ("output", "ExperimentIndexAdditionalDataOverlapsWithSpecError", "already: y"),
    ],
)
def test_a_feature_that_is_no_level_fails_its_own_spec(here, feature, error_type, message):
    """Features are numbers or text and take no name that is taken."""
    found = failure(feature=feature)
    assert found[0] == error_type
    assert message in found[1]


def test_an_input_that_cannot_be_kept_is_refused(here):
    """An input that no table can hold is refused before anything is written, with row and field."""
    specs = [Ask(), Ask(feature=object())]
    with pytest.raises(ExperimentIndexNotSerializableError, match=r"Ask: row 1: feature: .*object"):
        results(specs)
    with pytest.raises(ExperimentIndexNotSerializableError, match="row 0: undeclared"):
        results([Ask(undeclared=object())])
    assert not (here / "runs").exists()


def test_values_of_numpy_are_numbers(here):
    """Scalars and arrays of numpy are kept as the numbers that they hold."""
    found = results([Ask(feature="numpy", give="numpy")])
    table = found.table()
    assert table[["f", "g", "more"]].to_numpy().tolist() == [[3.0, 0.5, 2.5]]
    assert table["f"].dtype == "int64"
    assert table["anything"].tolist() == [[0, 1, 2]]
    assert {"f", "g"} <= set(found.frame("scalars").index.names)


def test_frames_with_and_without_an_index_of_their_own(here):
    """A frame that has sort_index keeps its index; another gets experiment_id and sort_index before its own."""
    found = results([Ask(k=k, give="frames" if k % 2 else "") for k in range(5)])
    plain, named, own = (found.frame(name) for name in ("plain", "named", "own"))
    assert plain.index.names == ["experiment_id", "sort_index", None]
    assert named.index.names == ["experiment_id", "sort_index", "hour"]
    assert {"sort_index", "k", "sort_subindex"} <= set(own.index.names)
    for frame in (plain, named, own):
        assert frame["load"].tolist() == [1.0, 2.0, 3.0, 2.0]
        assert frame.index.get_level_values("sort_index").tolist() == [1, 1, 3, 3]
    assert own.index.get_level_values("k").tolist() == [1, 1, 3, 3]


def test_files_in_and_out_may_be_left_out(here):
    """An optional file is a path, a URL or None, as input and as output; the table of files has a row each."""
    (here / "data.txt").write_text("x")
    found = results(
        [Ask(give="file", data=Path("data.txt")), Ask(give="link"), Ask(give="", data=None)]
    )
    files = found.frame("result_file_refs")["report"].tolist()
    assert files[1] == "https://example.org/report.html"
    assert pd.isna(files[2])
    assert Path(unquote(urlsplit(files[0]).path)).read_text() == "report 0"
    inputs = found.frame("scalars").index.get_level_values("data")
    assert inputs[0].endswith("artifacts/data/data.txt")
    assert inputs.isna().tolist() == [False, True, True]


def test_an_input_and_an_output_of_one_name(here):
    """The output keeps the name; the input is a level called input.<name>."""
    scalars = results([Ask(value=7.0)]).frame("scalars")
    assert scalars["value"].tolist() == [-1.0]
    assert scalars.index.get_level_values("input.value").tolist() == [7.0]


def test_extra_fields_have_columns_of_their_own(here):
    """Fields that the class does not declare are levels where they are plain, columns where they are not."""
    found = results([Ask(word="a", pair=[1, 2]), Ask(word="b"), Ask(other=1.5)])
    table = found.table()
    assert table["word"].tolist()[:2] == ["a", "b"]
    assert table["word"].isna().tolist() == [False, False, True]
    assert table["pair"].tolist()[0] == [1, 2]
    scalars = found.frame("scalars")
    assert {"word", "other"} <= set(scalars.index.names)
    assert "pair" in scalars.columns


def test_a_single_spec_on_both_stores(either_store, tmp_path):
    """One spec gives the function's value, workflow_spec.yml and all the tables; a failure raises its traceback."""
    experiment = BaseExperiment(runnable=answer, run_name="one")
    run, ref = experiment.allocate(Ask(k=4, give="file"), version="bumpminor")
    value = ref.result()
    assert isinstance(value, Answer)
    assert (value.y, value.value) == (4.0, -1.0)
    assert str(value.report).startswith({"folder": "file:///", "s3": "s3://"}[either_store])
    store = experiment.store
    spec = yaml.safe_load(store.get(f"{run.experiment_id}/workflow_spec.yml"))
    assert (spec["k"], spec["give"], spec["experiment_id"]) == (4, "file", run.experiment_id)
    assert run.table()["y"].tolist() == [4.0]
    brought = run.download(tmp_path / "brought")
    assert [p.read_text() for p in brought if p.suffix == ".txt"] == ["report 4"]
    run, ref = experiment.allocate(Ask(give="raise"), version="keep")
    with pytest.raises(SpecFailedError, match=r"spec_tasks\.py.*\n.*\nValueError: as asked"):
        ref.result()
    assert run.manifest.state == "complete-with-failures"


def test_frames_survive_where_one_result_does_not(here):
    """When a result cannot be stored, its frame is not kept either, and the frames of the others are."""
    found = results([Ask(k=1, give="frames"), Ask(k=2, give="object with frame")])
    assert found.frame("plain").index.get_level_values("sort_index").tolist() == [0, 0]
    assert isinstance(found.frame("plain"), pd.DataFrame)
