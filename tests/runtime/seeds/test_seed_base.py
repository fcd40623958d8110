"""Names of `base`: specs, and the errors about them."""

import logging
from pathlib import Path

import pandas as pd
import pytest
from pydantic import AnyUrl
from seed_names import calls
from seed_tasks import MyInput, MyOutput, Site

from scythe_runtime.base import (
    BaseSpec,
    ComputedFeatureValue,
    ExperimentIndexAdditionalDataDoesNotMatchNRowsError,
    ExperimentIndexAdditionalDataOverlapsWithSpecError,
    ExperimentIndexNotSerializableError,
    ExperimentInputSpec,
    ExperimentOutputSpec,
    ResultFileRefsInDataframesError,
    ScalarInDataframesError,
)
from scythe_runtime.settings import ScytheStorageSettings


def cell(**fields: object) -> MyInput:
    """Return a spec."""
    given = {"temperature": 300, "pressure": 1e5, "material": "steel", "sort_index": 7}
    return MyInput.model_validate({**given, "experiment_id": "cells/v1.0.0/now", **fields})


@calls("base.BaseSpec", "base.BaseSpec.local_path")
def test_local_path_is_of_the_experiment_and_stays_in_its_folder(here: Path) -> None:
    """A URI's local path is below a folder of the experiment, the same each time, and never outside it."""
    spec = BaseSpec(experiment_id="cells/v1.0.0/now", undeclared=3)
    path = spec.local_path(AnyUrl("s3://bucket/some/data.csv"))
    assert path == spec.local_path(AnyUrl("s3://bucket/some/data.csv"))
    assert path.is_relative_to(here / "cache")
    assert "cells/v1.0.0/now" in path.as_posix()
    assert path.name == "data.csv"
    odd = spec.local_path(AnyUrl("https://host/a/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd"))
    assert odd.resolve().is_relative_to(here / "cache")
    with pytest.raises(ValueError, match="no file"):
        spec.local_path(AnyUrl("s3://bucket"))


@calls("base.BaseSpec.fetch_uri")
def test_fetch_uri_caches_unless_told_not_to(here: Path) -> None:
    """A fetched file is kept: it is fetched again only with use_cache=False."""
    source = here / "a file.txt"
    source.write_text("first")
    spec = BaseSpec(experiment_id="cells")
    uri = AnyUrl(source.as_uri())
    path = spec.fetch_uri(uri, use_cache=True)
    source.write_text("second")
    assert spec.fetch_uri(uri).read_text() == "first"
    assert spec.fetch_uri(uri, use_cache=False) == path
    assert path.read_text() == "second"


@calls("base.ExperimentInputSpec", "base.ExperimentInputSpec.prefix")
def test_prefix_needs_the_storage_of_a_run(caplog: pytest.LogCaptureFixture) -> None:
    """An allocated spec knows its key prefix, another says that it does not; both can log."""
    spec = cell(storage_settings=ScytheStorageSettings(BUCKET="b", BUCKET_PREFIX="p"))
    assert spec.prefix == "p/cells/v1.0.0/now"
    with pytest.raises(ValueError, match="allocated"):
        _ = cell().prefix
    with caplog.at_level(logging.INFO, "scythe.experiment"):
        spec.log("half way")
    assert "[7] half way" in caplog.text
    with pytest.raises(ValueError, match="sort_index"):
        cell(sort_index=-1)
    assert ExperimentInputSpec(undeclared=[1]).model_dump()["undeclared"] == [1]


@calls("base.ExperimentInputSpec.computed_features", "base.ComputedFeatureValue")
def test_computed_features_are_levels() -> None:
    """What computed_features returns stands beside the fields in the index; the default is nothing."""
    assert ExperimentInputSpec().computed_features == {}
    features: dict[str, ComputedFeatureValue] = cell(temperature=273.15).computed_features
    assert features == {"celsius": 0.0}
    index = cell(temperature=273.15).make_multiindex()
    assert index.get_level_values("celsius").tolist() == [0.0]


@calls("base.ExperimentInputSpec.make_multiindex")
def test_make_multiindex_with_every_option() -> None:
    """The index has plain inputs, features and what is added; lists, dicts and models are left out, also if None."""
    spec = cell(layers=[1.0], site=Site(name="x"), notes={"a": "b"}, extra_text="e", extra_list=[1])
    index = spec.make_multiindex(
        additional_index_data=[{"hour": 1}, {"hour": 2}],
        n_rows=2,
        include_sort_subindex=True,
        additional_excludes=frozenset({"pressure", "drawing"}),
    )
    assert set(index.names) == {
        *("experiment_id", "sort_index", "workflow_run_id", "root_workflow_run_id"),
        *("temperature", "material", "celsius", "extra_text", "hour", "sort_subindex"),
    }
    assert index.get_level_values("hour").tolist() == [1, 2]
    assert index.get_level_values("sort_subindex").tolist() == [0, 1]
    assert index.get_level_values("sort_index").tolist() == [7, 7]
    assert set(cell().make_multiindex().names) == set(cell(layers=[1.0]).make_multiindex().names)
    bare = spec.make_multiindex({"run": "a"}, 3, include_sort_subindex=False)
    assert "sort_subindex" not in bare.names
    assert bare.get_level_values("run").tolist() == ["a", "a", "a"]


class Odd(ExperimentInputSpec, arbitrary_types_allowed=True):
    """A spec whose features go wrong."""

    x: float = 0.0
    thing: object = None
    feature: object = None

    @property
    def computed_features(self) -> dict[str, int | float | str]:
        """What is asked for."""
        return self.feature or {}  # type: ignore[return-value]


@calls("base.ExperimentIndexNotSerializableError")
def test_values_that_are_not_plain_are_named() -> None:
    """A feature that is no number or text, or a field that JSON cannot hold, is an error with the class's name."""
    for odd in (Odd(feature={"f": object()}), Odd(feature={"f": [1]}), Odd(thing=object())):
        with pytest.raises(ExperimentIndexNotSerializableError, match="Odd") as caught:
            odd.make_multiindex()
        assert caught.value.cls is Odd
    with pytest.raises(ExperimentIndexNotSerializableError, match="JSON"):
        Odd().make_multiindex({"when": object()})
    assert "Odd" in str(ExperimentIndexNotSerializableError(Odd))


@calls("base.ExperimentIndexAdditionalDataDoesNotMatchNRowsError")
def test_one_dict_a_row() -> None:
    """Additional data by row needs as many rows as the index has."""
    with pytest.raises(ExperimentIndexAdditionalDataDoesNotMatchNRowsError) as caught:
        cell().make_multiindex([{"hour": 1}], n_rows=2)
    assert (caught.value.n_rows, caught.value.additional_index_data) == (2, [{"hour": 1}])


@calls("base.ExperimentIndexAdditionalDataOverlapsWithSpecError")
def test_levels_do_not_overlap() -> None:
    """Neither additional data nor features may have a field's name; all such names are told."""
    with pytest.raises(ExperimentIndexAdditionalDataOverlapsWithSpecError) as caught:
        cell().make_multiindex({"temperature": 1, "celsius": 2, "fine": 3})
    assert caught.value.overlapping_keys == ["temperature", "celsius"]
    with pytest.raises(ExperimentIndexAdditionalDataOverlapsWithSpecError, match="x"):
        Odd(feature={"x": 1}).make_multiindex()


@calls("base.ExperimentInputSpec.construct_output_key")
def test_output_key_has_the_run_id_or_the_number() -> None:
    """An output file's key ends with the spec's run id, or its number where it has none, and the suffix."""
    key = cell(workflow_run_id="abc").construct_output_key("drawing", Path("x/y.tar.gz"))
    assert key == "cells/v1.0.0/now/results/drawing/abc.gz"
    assert cell().construct_output_key("drawing", Path("y.svg")).endswith("/00000007.svg")


@calls("base.ScalarInDataframesError")
def test_scalars_is_taken() -> None:
    """A frame may not be called scalars, and the error says so in plain words."""
    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(ScalarInDataframesError, match="Rename the frame") as caught:
        MyOutput(strain=1.0, dataframes={"scalars": frame})
    assert caught.value.scalar is frame
    assert not str(caught.value).startswith("'")


@calls("base.ResultFileRefsInDataframesError")
def test_result_file_refs_is_taken() -> None:
    """A frame may not be called result_file_refs."""
    frame = pd.DataFrame({"a": [1]})
    with pytest.raises(ResultFileRefsInDataframesError, match="Rename the frame") as caught:
        MyOutput(strain=1.0, dataframes={"result_file_refs": frame})
    assert caught.value.result_file_refs is frame


@calls("base.ExperimentOutputSpec")
def test_outputs_carry_frames_through_json(here: Path) -> None:
    """An output's frames survive JSON with their index; the URI of a parquet file is a frame too."""
    frame = pd.DataFrame({"load": [1.5, 2.5]}, index=pd.Index([1, 2], name="hour"))
    frame.to_parquet(here / "frame.pq")
    output = MyOutput(
        strain=0.5, dataframes={"hours": frame, "stored": (here / "frame.pq").as_uri()}
    )
    again = MyOutput.model_validate_json(output.model_dump_json())
    for name in ("hours", "stored"):
        pd.testing.assert_frame_equal(again.dataframes[name], frame)
    assert "dataframes" not in MyOutput.model_json_schema()["properties"]
    with pytest.raises(ValueError, match="DataFrame"):
        MyOutput(strain=1.0, dataframes={"hours": 3})  # type: ignore[dict-item]
    assert ExperimentOutputSpec(dataframes={"hours": frame}).dataframes["hours"] is frame
