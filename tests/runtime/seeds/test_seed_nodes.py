"""Names of `scatter_gather`: the tree, what a run comes to, and the pieces that only a queue can run."""

import asyncio

import pandas as pd
import pytest
from pydantic import ValidationError
from seed_names import calls
from seed_tasks import MyOutput, simulate_cell

from scythe_runtime.errors import NeedsQueueError
from scythe_runtime.plans import leaves
from scythe_runtime.registry import ExperimentRegistry
from scythe_runtime.scatter_gather import (
    GatheredExperimentRuns,
    RecursionMap,
    RecursionSpec,
    ScatterGatherInput,
    ScatterGatherResult,
    combine_experiment_outputs,
    scatter_gather,
    sift_results,
)


def node(done, **options):
    """Return the root of a run's tree."""
    given = {
        "experiment_id": done.run.experiment_id,
        "task_name": simulate_cell.name,
        "specs_uri": done.run.as_uri(done.run.specs_filekey),
        "recursion_map": RecursionMap(factor=2, max_depth=2),
    }
    return ScatterGatherInput(**{**given, **options})


@calls(
    "scatter_gather.RecursionSpec", "scatter_gather.RecursionSpec.validate_offset_less_than_factor"
)
def test_an_offset_is_below_its_factor():
    """A step names one child of its factor; no factor is below 1."""
    values = {"factor": 3, "offset": 2}
    assert RecursionSpec.validate_offset_less_than_factor(values) == values
    assert RecursionSpec(**values).offset == 2
    assert RecursionSpec(factor=1).offset is None
    for wrong in ({"factor": 3, "offset": 3}, {"factor": 0}, {"factor": 2, "offset": -1}):
        with pytest.raises(ValidationError):
            RecursionSpec(**wrong)
    with pytest.raises(ValidationError):
        RecursionSpec(factor="3", offset="4")


@calls("scatter_gather.RecursionMap")
def test_a_map_knows_its_place():
    """A map without a path is the root's; depth is 0 to 10, by default 10; a path has steps."""
    assert RecursionMap(factor=4).max_depth == 10
    assert RecursionMap(factor=4).is_root
    below = RecursionMap(factor=4, max_depth=3, path=[RecursionSpec(factor=4, offset=1)])
    assert not below.is_root
    assert RecursionMap.model_validate_json(below.model_dump_json()) == below
    for wrong in ({"factor": 0}, {"factor": 2, "max_depth": 11}, {"factor": 2, "path": []}):
        with pytest.raises(ValidationError):
            RecursionMap(**wrong)


@calls(
    "scatter_gather.ScatterGatherInput",
    "scatter_gather.ScatterGatherInput.specs",
    "scatter_gather.ScatterGatherInput.standalone",
    "scatter_gather.ScatterGatherInput.is_root",
)
def test_a_node_reads_its_specs(done):
    """A node finds its function by name, and its specs are those of the run, nested values and all."""
    root = node(done)
    assert root.standalone is simulate_cell
    assert root.is_root
    assert [spec.sort_index for spec in root.specs] == list(range(12))
    assert root.specs[5].site.name == "site 5"
    assert root.specs[5].layers == [0.5, 0.2]
    assert root.specs[4].layers is None
    assert root.specs[5].extra == "undeclared 5"
    assert root.specs is root.specs
    again = ScatterGatherInput.model_validate_json(root.model_dump_json())
    assert again.specs_uri == root.specs_uri
    assert not again.save_errors


@calls("scatter_gather.ScatterGatherInput.is_base_case")
def test_a_base_case_is_small_or_deep(done):
    """A node runs its specs itself when it has at most `factor`, or stands at max_depth."""
    assert not node(done).is_base_case
    assert node(done, recursion_map=RecursionMap(factor=12, max_depth=5)).is_base_case
    assert node(done, recursion_map=RecursionMap(factor=2, max_depth=0)).is_base_case
    path = [RecursionSpec(factor=2, offset=1)]
    assert node(done, recursion_map=RecursionMap(factor=2, max_depth=1, path=path)).is_base_case


@calls("scatter_gather.ScatterGatherInput.construct_filekey")
def test_a_nodes_files_have_their_keys(done):
    """A node's files stand under its depth and id; final tables stand in the run's own folder."""
    root = node(done)
    path = [RecursionSpec(factor=2, offset=1)]
    child = node(done, recursion_map=RecursionMap(factor=2, max_depth=1, path=path))
    key = f"bucket/prefix/{done.run.experiment_id}"
    made = root.construct_filekey("specs", mode="input", workflow_run_id="abc", suffix="pq")
    assert made == f"{key}/scatter-gather/input/root/abc/specs.pq"
    made = child.construct_filekey("x", mode="output", workflow_run_id="abc", suffix="json")
    assert made == f"{key}/scatter-gather/output/recurse/1/abc/x.json"
    made = child.construct_filekey("scalars", mode="final", workflow_run_id="abc", suffix="pq")
    assert made == done.run.scalars_filekey


@calls("scatter_gather.ScatterGatherInput.add_root_workflow_run_id")
def test_the_root_gives_its_id(done):
    """The root's id is set on its specs; a node below leaves what they have."""
    root = node(done)
    root.add_root_workflow_run_id("root-id")
    assert {spec.root_workflow_run_id for spec in root.specs} == {"root-id"}
    child = root.create_recursion_payloads("parent")[0]
    child.add_root_workflow_run_id("other")
    assert {spec.root_workflow_run_id for spec in child.specs} == {"root-id"}


@calls("scatter_gather.ScatterGatherInput.create_recursion_payloads")
def test_children_take_a_grid_stride(done):
    """Child k of factor f gets the specs k, k + f, k + 2f; all specs are somewhere, once."""
    children = node(done, save_errors=True).create_recursion_payloads("parent id")
    assert [[s.sort_index for s in c.specs] for c in children] == [
        [0, 2, 4, 6, 8, 10],
        [1, 3, 5, 7, 9, 11],
    ]
    assert [c.recursion_map.path[-1].offset for c in children] == [0, 1]
    assert {c.save_errors for c in children} == {True}
    below = children[1].create_recursion_payloads("child id")
    assert [[s.sort_index for s in c.specs] for c in below] == [[1, 5, 9], [3, 7, 11]]
    assert below[0].is_base_case
    assert below[0].specs[2].extra == "undeclared 9"
    assert done.run.check().ok  # what it wrote does not disturb the run


@calls(
    "scatter_gather.ScatterGatherInput.run_experiments",
    "scatter_gather.ScatterGatherInput.run_or_recurse",
    "scatter_gather.scatter_gather",
)
def test_what_needs_a_queue_says_so(done):
    """The pieces that live in a queue's task raise one error, which names the way out."""
    root = node(done)
    for name, coroutine in (
        ("run_experiments", root.run_experiments()),
        ("run_or_recurse", root.run_or_recurse(ctx=object())),
        ("scatter_gather", scatter_gather(root, object())),
    ):
        with pytest.raises(NeedsQueueError, match=r"allocate\(specs, recursion_map=") as caught:
            asyncio.run(coroutine)
        assert name in str(caught.value)


def test_a_native_workflow_is_not_split(done):
    """A node whose task is a native workflow has no function to run."""

    class Native:
        name = "native of a node"

    ExperimentRegistry.Include(Native())
    with pytest.raises(TypeError, match="native workflow"):
        _ = node(done, task_name=Native.name).standalone


@calls(
    "scatter_gather.ScatterGatherResult",
    "scatter_gather.ScatterGatherResult.to_gathered_experiment_runs",
    "scatter_gather.GatheredExperimentRuns",
)
def test_a_result_gives_its_tables(done):
    """A run's result has the URIs of its tables and its counts, and brings the tables as frames."""
    result = done.result
    assert (result.specs, result.succeeded, result.failed, result.pending) == (12, 11, 1, 0)
    assert str(result.uris["scalars"]) == str(done.run.as_uri(done.run.scalars_filekey))
    again = ScatterGatherResult.model_validate_json(result.model_dump_json())
    gathered = again.to_gathered_experiment_runs()
    assert isinstance(gathered, GatheredExperimentRuns)
    assert len(gathered.success.dataframes["scalars"]) == 11
    assert gathered.errors["error_message"].tolist() == ["no convergence at 1e+07 Pa"]
    by_hand = ScatterGatherResult(uris={"scalars": result.uris["scalars"]})
    assert by_hand.to_gathered_experiment_runs().errors is None


@calls("scatter_gather.sift_results")
def test_sifting_keeps_results_and_lists_errors(done):
    """Results pass; exceptions become rows, indexed by the plain fields of their specs."""
    specs = node(done).specs[:3]
    good, errors = sift_results(specs, [1, ValueError("bad luck"), 3], make_error_specs=True)
    assert good == [1, 3]
    assert errors["msg"].tolist() == ["bad luck"]
    assert errors["missing"].tolist() == [False]
    assert errors.index.get_level_values("sort_index").tolist() == [1]
    assert sift_results(specs[:1], [ValueError()]) == ([], None)
    with pytest.raises(ValueError, match="zip"):
        sift_results(specs, [1])


@calls("scatter_gather.combine_experiment_outputs")
def test_combining_joins_frames():
    """The frames of one name stand one below the other, in order."""
    outputs = [
        MyOutput(strain=k, dataframes={"hours": pd.DataFrame({"k": [k, k]})}) for k in range(3)
    ]
    combined = combine_experiment_outputs([*outputs, MyOutput(strain=9.0)])
    assert combined.dataframes["hours"]["k"].tolist() == [0, 0, 1, 1, 2, 2]


def test_nodes_and_runs_split_alike(done):
    """The nodes of a tree end with the same specs as the plan of a run with that tree."""

    def ends(node_):
        if node_.is_base_case:
            return [[spec.sort_index for spec in node_.specs]]
        return [rows for child in node_.create_recursion_payloads("x") for rows in ends(child)]

    for factor, depth in ((2, 2), (3, 1), (5, 10), (1, 2), (12, 3)):
        root = node(done, recursion_map=RecursionMap(factor=factor, max_depth=depth))
        planned = leaves(range(12), factor=factor, max_depth=depth)
        assert ends(root) == [list(rows) for _, rows in planned]


def test_a_run_is_written_and_read_back(done):
    """A run and its experiment survive JSON: the function is found again by its name."""
    again = type(done.run).model_validate_json(done.run.model_dump_json())
    assert again.experiment_id == done.run.experiment_id
    assert again.versioned_experiment.base_experiment.runnable is simulate_cell
    assert again.table()["strain"].tolist() == done.run.table()["strain"].tolist()
