"""A node of the scatter/gather tree as scythe-engine models it; kept for code written against it.

No run calls this: an engine splits rows without writing them again (`plans`) and gathers once (`gather`).
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

import pandas as pd
import pyarrow.parquet as pq
from pydantic import BaseModel, Field

from scythe_runtime.base import BaseSpec, ExperimentInputSpec, ExperimentOutputSpec
from scythe_runtime.columns import columns_of, decode, kind_in, models_to_table
from scythe_runtime.errors import NeedsQueueError
from scythe_runtime.files import FileUrl, S3Url
from scythe_runtime.registry import Experiment, ExperimentRegistry
from scythe_runtime.scatter_gather import RecursionMap, RecursionSpec, ScatterGatherResult
from scythe_runtime.settings import ScytheStorageSettings
from scythe_runtime.utils.results import transpose_dataframe_dict

ZipDataContent = TypeVar("ZipDataContent", bound=BaseModel)
ResultDataContent = TypeVar("ResultDataContent")


class GatheredExperimentRuns(BaseModel, arbitrary_types_allowed=True):
    """What the runs below a node came to.

    Attributes:
        success: Its `dataframes` are the tables of all results, `scalars` among them.
        errors: The failures, a row each; None where there are none.
    """

    success: ExperimentOutputSpec
    errors: pd.DataFrame | None


class ScatterGatherInput(BaseSpec):
    """A node: which specs it is given, and where in the tree it stands."""

    task_name: str = Field(description="The name of the experiment in the registry.")
    specs_uri: S3Url | FileUrl = Field(description="Where the node's specs are.")
    storage_settings: ScytheStorageSettings = Field(
        default_factory=ScytheStorageSettings, description="The storage settings to use."
    )
    recursion_map: RecursionMap = Field(description="The recursion map to use.")
    save_errors: bool = Field(default=False, description="Whether to save errors.")

    def construct_filekey(
        self,
        filename: str,
        *,
        mode: Literal["input", "output", "final"],
        workflow_run_id: str,
        suffix: str,
    ) -> str:
        """Return the key of one of the node's files, from the bucket's root.

        Args:
            filename: Its name without suffix.
            mode: "final" is the run's own folder of tables; the others are the node's.
            workflow_run_id: The node's.
            suffix: Without the dot.
        """
        run = f"{self.storage_settings.BUCKET_PREFIX}/{self.experiment_id}"
        if mode == "final":
            return f"{run}/final/{filename}.{suffix}"
        at = "root" if self.is_root else f"recurse/{self._depth}"
        return f"{run}/scatter-gather/{mode}/{at}/{workflow_run_id}/{filename}.{suffix}"

    @property
    def standalone(self) -> Experiment[Any, Any]:
        """The experiment that the node's specs are of.

        Raises:
            TypeError: The name is that of a native workflow, which is not split.
        """
        runnable = ExperimentRegistry.get_runnable(self.task_name)
        if not isinstance(runnable, Experiment):
            message = f"{self.task_name} is a native workflow; only a registered function is split over a tree"
            raise TypeError(message)
        return runnable

    @cached_property
    def specs(self) -> list[ExperimentInputSpec]:
        """The node's specs as objects, read when first asked for.

        Raises:
            StoreError: They cannot be fetched.
        """
        from scythe_runtime.fetching import local_file

        return _read_specs(local_file(self.specs_uri), self.standalone.input_validator_type)

    @property
    def is_root(self) -> bool:
        """Whether this is the original call."""
        return self.recursion_map.is_root

    @property
    def is_base_case(self) -> bool:
        """Whether the node runs its specs itself: there are few, or it stands at the greatest depth."""
        tree = self.recursion_map
        return len(self.specs) <= tree.factor or self._depth >= tree.max_depth

    def add_root_workflow_run_id(self, root_workflow_run_id: str) -> None:
        """Set the specs' root_workflow_run_id, if this is the root; its children inherit it."""
        if self.is_root:
            for spec in self.specs:
                spec.root_workflow_run_id = root_workflow_run_id

    def create_recursion_payloads(self, parent_workflow_run_id: str) -> list["ScatterGatherInput"]:
        """Return the node's children; their specs are put into the store.

        Child k of factor f gets the specs k, k + f, k + 2f and so on.
        """
        from scythe_runtime.store import store_from_settings

        store = store_from_settings(self.storage_settings)
        tree = self.recursion_map
        children = []
        for k in range(tree.factor):
            step = RecursionSpec(factor=tree.factor, offset=k)
            key = self.construct_filekey(
                f"specs_{k:06d}",
                mode="input",
                workflow_run_id=parent_workflow_run_id,
                suffix="pq",
            ).removeprefix(f"{self.storage_settings.BUCKET_PREFIX}/")
            store.put(key, _specs_file(self.specs[k :: tree.factor], self.standalone))
            child = self.model_dump(exclude={"specs_uri", "recursion_map"})
            tree_below = tree.model_copy(update={"path": [*(tree.path or []), step]})
            children.append(
                ScatterGatherInput(**child, specs_uri=store.uri(key), recursion_map=tree_below)
            )
        return children

    async def run_experiments(self) -> GatheredExperimentRuns:
        """Raise `NeedsQueueError`: the engine runs specs, in batches."""
        raise NeedsQueueError("ScatterGatherInput.run_experiments")

    async def run_or_recurse(self, ctx: Any) -> list[GatheredExperimentRuns]:
        """Raise `NeedsQueueError`: the engine runs specs, in batches."""
        del ctx
        raise NeedsQueueError("ScatterGatherInput.run_or_recurse")

    @property
    def _depth(self) -> int:
        return len(self.recursion_map.path or [])


async def scatter_gather(payload: ScatterGatherInput, ctx: Any) -> NoReturn:
    """Raise `NeedsQueueError`: the engine splits and gathers by itself."""
    del payload, ctx
    raise NeedsQueueError("scatter_gather")


def gathered(result: ScatterGatherResult) -> GatheredExperimentRuns:
    """Return the final tables of a run as frames; see `ScatterGatherResult.to_gathered_experiment_runs`."""
    from scythe_runtime.fetching import local_file

    # a retry writes them anew
    tables = {name: local_file(uri, use_cache=False) for name, uri in result.uris.items()}
    frames = {name: pd.read_parquet(path) for name, path in tables.items()}
    errors = frames.pop("errors", None)
    return GatheredExperimentRuns(
        success=_output_of(frames),
        errors=errors if errors is not None and len(errors) else None,
    )


def sift_results(
    spec_data: Sequence[ZipDataContent],
    results: Sequence[ResultDataContent | BaseException],
    make_error_specs: bool = False,  # noqa: FBT001, FBT002 - a promised name
) -> tuple[list[ResultDataContent], pd.DataFrame | None]:
    """Return the results without the exceptions among them, and a table of these.

    Args:
        spec_data: The spec of each result.
        results: Results and exceptions.
        make_error_specs: Make the table.

    Returns:
        The results; and a frame with a row for each exception (columns `missing` and `msg`, indexed by the
        plain fields of its spec), or None where there is none or it was not asked for.

    Raises:
        ValueError: There is not one result a spec.
    """
    pairs = list(zip(spec_data, results, strict=True))
    good = [result for _, result in pairs if not isinstance(result, BaseException)]
    bad = [(spec, result) for spec, result in pairs if isinstance(result, BaseException)]
    if not (bad and make_error_specs):
        return good, None
    dumped = [spec.model_dump(mode="json", exclude={"storage_settings"}) for spec, _ in bad]
    plain = [{k: v for k, v in d.items() if not isinstance(v, list | dict)} for d in dumped]
    messages = [str(error) for _, error in bad]
    index = pd.MultiIndex.from_frame(pd.DataFrame(plain))
    return good, pd.DataFrame({"missing": False, "msg": messages}, index=index)


def combine_experiment_outputs(
    experiment_outputs: Sequence[ExperimentOutputSpec],
) -> ExperimentOutputSpec:
    """Return one output whose frames are those of all, the ones of a name one below the other."""
    return _output_of(transpose_dataframe_dict([o.dataframes for o in experiment_outputs]))


def _output_of(frames: dict[str, pd.DataFrame]) -> ExperimentOutputSpec:
    # not validated: here `scalars` is what it says, in a user's output it is refused
    return ExperimentOutputSpec.model_construct(dataframes=frames)


def _read_specs(path: Path, input_type: type[ExperimentInputSpec]) -> list[ExperimentInputSpec]:
    """Return the specs of a parquet file, ours or one that scythe-engine wrote."""
    table = pq.ParquetFile(path).read()
    keys = {column.name: column.key for column in columns_of(input_type)}
    columns = [
        decode(
            table.column(field.name),
            "json" if kind_in(field) == "json" and field.metadata else "str",
        )
        for field in table.schema
    ]
    specs = []
    for row in zip(*columns, strict=True):
        values = dict(zip(table.column_names, row, strict=True))
        # an extra field that a spec does not have is absent, not None
        given = {keys.get(n, n): v for n, v in values.items() if v is not None or n in keys}
        specs.append(input_type.model_validate(given))
    return specs


def _specs_file(specs: Sequence[ExperimentInputSpec], experiment: Experiment[Any, Any]) -> bytes:
    import io

    columns = columns_of(experiment.input_validator_type, without={"storage_settings"})
    sink = io.BytesIO()
    pq.write_table(models_to_table(specs, columns), sink, compression="zstd")
    return sink.getvalue()
