"""The researcher's front door: experiments, their versions, and their runs."""

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, overload

from pydantic import BaseModel, Field, PrivateAttr, field_validator

from scythe_runtime.errors import (
    BaseNotFoundError,
    DuplicateInputArtifactsError,
    ExperimentNotFoundError,
    ExperimentRunNotFoundError,
    ExperimentSpecsMismatchError,
    ExperimentVersionNotFoundError,
    NotFoundError,
)
from scythe_runtime.files import FileUrl, S3Url
from scythe_runtime.layout import STAMP_FORMAT
from scythe_runtime.manifest import ExperimentRunManifest, InputArtifactLocations
from scythe_runtime.registry import Experiment, TInput, TOutput
from scythe_runtime.run_keys import RunKeys, newest
from scythe_runtime.runnable import SerializableRunnable, UnregisteredExperiment
from scythe_runtime.scatter_gather import RecursionMap
from scythe_runtime.settings import ScytheStorageSettings
from scythe_runtime.utils.s3 import upload_input_artifacts
from scythe_runtime.versions import SemVer, VersioningStrategy, wanted_version

if TYPE_CHECKING:
    import pandas as pd

    from scythe_runtime.check import CheckReport
    from scythe_runtime.ledger import Ledger
    from scythe_runtime.refs import BatchRef, SingleRef
    from scythe_runtime.results import Results
    from scythe_runtime.store import Store

__all__ = [
    "BaseExperiment",
    "BaseNotFoundError",
    "DuplicateInputArtifactsError",
    "ExperimentNotFoundError",
    "ExperimentRun",
    "ExperimentRunManifest",
    "ExperimentRunNotFoundError",
    "ExperimentSpecsMismatchError",
    "ExperimentVersionNotFoundError",
    "InputArtifactLocations",
    "SemVer",
    "SerializableRunnable",
    "VersionedExperiment",
    "VersioningStrategy",
    "upload_input_artifacts",
]

RUN_FOLDER: Final = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)(?:_([0-9a-f]{6}))?")
"""A run's folder below its version: the time, and six hex digits (scythe-engine has none)."""


class BaseExperiment(SerializableRunnable[TInput, TOutput]):
    """An experiment in a store.

    Attributes:
        runnable: The registered function, or its name; `experiment=` is taken too.
        run_name: The experiment's folder; by default the function's name in the registry.
        storage_settings: Where runs live; by default as the environment says.
    """

    run_name: str | None = None
    storage_settings: ScytheStorageSettings = Field(default_factory=ScytheStorageSettings)

    _latest: "VersionedExperiment[TInput, TOutput] | None" = PrivateAttr(default=None)

    if TYPE_CHECKING:

        @overload
        def __init__(
            self,
            *,
            runnable: "Experiment[TInput, TOutput] | UnregisteredExperiment | str",
            run_name: str | None = None,
            storage_settings: ScytheStorageSettings = ...,
        ) -> None: ...
        @overload
        def __init__(
            self,
            *,
            experiment: Experiment[TInput, TOutput] | str,
            run_name: str | None = None,
            storage_settings: ScytheStorageSettings = ...,
        ) -> None: ...
        def __init__(self, **_: Any) -> None: ...

    @field_validator("run_name")
    @classmethod
    def _run_name_is_a_folder(cls, value: str | None) -> str | None:
        if value is not None and (
            not value.strip("./ ") or re.search(r'[\\/\x00-\x1f"*:<>?|]', value)
        ):
            message = f"{value!r} cannot be a folder's name. Use letters, digits, - and _."
            raise ValueError(message)
        return value

    @property
    def base_id(self) -> str:
        """The base experiment id."""
        return self.run_name or str(self.runnable.name)

    @property
    def prefix(self) -> str:
        """The prefix for the experiment."""
        return f"{self.storage_settings.BUCKET_PREFIX}/{self.base_id}/"

    @property
    def store(self) -> "Store":
        """Where the experiment's runs live."""
        from scythe_runtime.store import store_from_settings

        return store_from_settings(self.storage_settings)

    def list_versions(self, s3_client: Any = None) -> "list[VersionedExperiment[TInput, TOutput]]":  # noqa: ARG002
        """Get all of the versions of the experiment, ascending."""
        from scythe_runtime.allocate import versions

        return [
            VersionedExperiment(base_experiment=self, version=version)
            for version in versions(self.store, self.base_id)
        ]

    def latest_version(
        self,
        s3_client: Any = None,  # noqa: ARG002
        from_cache: bool = True,  # noqa: FBT001, FBT002 - a promised name
    ) -> "VersionedExperiment[TInput, TOutput] | None":
        """Get the latest version of the experiment, None if it has none."""
        if self._latest is None or not from_cache:
            found = self.list_versions()
            self._latest = found[-1] if found else None
        return self._latest

    @property
    def latest_run(self) -> "ExperimentRun[TInput, TOutput]":
        """The latest run for the experiment.

        Raises:
            ExperimentNotFoundError: It has no runs.
        """
        for version in reversed(self.list_versions()):
            run = newest(version.list_runs())  # a version may be claimed and have no run yet
            if run is not None:
                return run
        raise ExperimentNotFoundError(self.base_id)

    @property
    def latest_results(self) -> dict[str, str]:
        """The latest results for the experiment: final tables by name."""
        return self.latest_run.list_results_files()

    def latest_results_for_version(self, version: SemVer) -> dict[str, str]:
        """The latest results for a given version."""
        return VersionedExperiment(base_experiment=self, version=version).latest_run_results

    def resolve_next_version(
        self,
        version: SemVer | VersioningStrategy,
        s3_client: Any = None,  # noqa: ARG002
    ) -> SemVer:
        """Resolve the next version of the experiment.

        Raises:
            UsageError: The strategy is "auto", which `allocate` alone decides, or unknown.
        """
        from scythe_runtime.allocate import latest
        from scythe_runtime.versions import next_version

        if isinstance(version, SemVer):
            return version
        return next_version(version, latest(self.store, self.base_id))

    def check_spec_type(self, spec: TInput) -> None:
        """Check that the type of the spec matches the expected type.

        Raises:
            ExperimentSpecsMismatchError: It does not.
        """
        self.check_spec_types([spec])

    def check_spec_types(self, specs: Sequence[Any]) -> None:
        """Check that the types of the specs match the expected type.

        Raises:
            ExperimentSpecsMismatchError: One of them does not.
        """
        known = getattr(
            self.runnable, "input_validator_type", None
        )  # a native workflow has one too
        expected = known or self.experiment_here().input_validator_type
        for kind in {type(spec) for spec in specs}:
            if not issubclass(kind, expected):
                raise ExperimentSpecsMismatchError(expected, kind)

    if TYPE_CHECKING:
        # a single spec is recognised by its type, everything else is many
        @overload
        def allocate(
            self,
            specs: TInput,
            version: SemVer | VersioningStrategy = ...,
            overwrite_sort_index: bool = ...,  # noqa: FBT001
            overwrite_experiment_id: bool = ...,  # noqa: FBT001
            recursion_map: RecursionMap | None = ...,
            s3_client: Any = ...,
            *,
            batch_size: int | Literal["auto"] = ...,
            max_failures: float | None = ...,
            sampling: Mapping[str, Any] | None = ...,
            copy_remote: bool = ...,
        ) -> "tuple[ExperimentRun[TInput, TOutput], SingleRef[TOutput]]": ...
        @overload
        def allocate(
            self,
            specs: Any,
            version: SemVer | VersioningStrategy = ...,
            overwrite_sort_index: bool = ...,  # noqa: FBT001
            overwrite_experiment_id: bool = ...,  # noqa: FBT001
            recursion_map: RecursionMap | None = ...,
            s3_client: Any = ...,
            *,
            batch_size: int | Literal["auto"] = ...,
            max_failures: float | None = ...,
            sampling: Mapping[str, Any] | None = ...,
            copy_remote: bool = ...,
        ) -> "tuple[ExperimentRun[TInput, TOutput], BatchRef]": ...

    def allocate(  # noqa: PLR0917 - the promised order
        self,
        specs: Any,
        version: SemVer | VersioningStrategy = "bumpmajor",
        overwrite_sort_index: bool = True,  # noqa: FBT001, FBT002 - promised names
        overwrite_experiment_id: bool = True,  # noqa: FBT001, FBT002
        recursion_map: RecursionMap | None = None,
        s3_client: Any = None,  # noqa: ARG002
        *,
        batch_size: int | Literal["auto"] = "auto",
        max_failures: float | None = None,
        sampling: Mapping[str, Any] | None = None,
        copy_remote: bool = False,
    ) -> "tuple[ExperimentRun[TInput, TOutput], Any]":
        """Begin a run of specs, and return it with a reference to wait for it.

        Work starts at once, on a thread that the interpreter waits for at exit.

        Args:
            specs: Models, a pandas or polars frame, or an arrow table; or one model, for a run whose
                result is the function's value.
            version: A SemVer, or how to count on from the latest one.
            overwrite_sort_index: Number the specs from 0, whatever they say.
            overwrite_experiment_id: Give all specs the run's id.
            recursion_map: How specs are split over a tree of nodes; by default the root runs them all.
            s3_client: Accepted for scythe-engine's sake.
            batch_size: Specs a batch; "auto" by what the first few take.
            max_failures: Pause the run when more than this share (0.0 to 1.0) or count has failed.
            sampling: Method and seed of the design, for the manifest.
            copy_remote: Copy input files from http(s) and s3 into the run.

        Raises:
            ExperimentSpecsMismatchError: A spec is of another class.
            SpecError: Specs are not valid, or files that they name are missing; nothing is written.
            UsageError: An option is wrong.
            StoreError: The store failed.
        """
        from scythe_runtime.allocate import Options, allocate_run
        from scythe_runtime.base import ExperimentInputSpec
        from scythe_runtime.engine import engine_from_settings
        from scythe_runtime.refs import BatchRef, SingleRef, WorkflowRef
        from scythe_runtime.workflows import RUNS_A_BATCH, WorkflowExperiment

        experiment = self.experiment_here()
        if isinstance(experiment, WorkflowExperiment) and batch_size == "auto":
            batch_size = RUNS_A_BATCH
        allocated = allocate_run(
            specs,
            experiment=experiment,
            base_id=self.base_id,
            store=self.store,
            engine=engine_from_settings(),
            options=Options(
                version=wanted_version(version) if isinstance(version, str) else version,
                overwrite_sort_index=overwrite_sort_index,
                overwrite_experiment_id=overwrite_experiment_id,
                recursion_map=recursion_map,
                batch_size=batch_size,
                max_failures=max_failures,
                sampling=sampling,
                copy_remote=copy_remote,
            ),
        )
        self._latest = None
        run: ExperimentRun[TInput, TOutput] = ExperimentRun(
            versioned_experiment=VersionedExperiment(
                base_experiment=self, version=allocated.version
            ),
            timestamp=allocated.timestamp,
            suffix=allocated.suffix,
        )
        if isinstance(specs, ExperimentInputSpec):
            native = isinstance(experiment, WorkflowExperiment)
            kind: type[SingleRef[TOutput]] = WorkflowRef if native else SingleRef
            single = kind(
                run=run, driver=allocated.driver, workflow_run_id=allocated.workflow_run_id
            )
            return run, single
        batch = BatchRef(
            run=run, driver=allocated.driver, workflow_run_id=allocated.workflow_run_id
        )
        return run, batch


class VersionedExperiment(BaseModel, Generic[TInput, TOutput]):
    """A versioned experiment."""

    base_experiment: BaseExperiment[TInput, TOutput]
    version: SemVer

    @property
    def base_id(self) -> str:
        """The base id for the versioned experiment."""
        return f"{self.base_experiment.base_id}/{self.version}"

    @property
    def prefix(self) -> str:
        """The prefix for the versioned experiment."""
        return f"{self.base_experiment.prefix}{self.version}/"

    def list_runs(self, s3_client: Any = None) -> "list[ExperimentRun[TInput, TOutput]]":  # noqa: ARG002
        """List all of the runs for the versioned experiment, the oldest first."""
        runs: list[ExperimentRun[TInput, TOutput]] = []
        for name in self.base_experiment.store.children(f"{self.base_id}/"):
            match = RUN_FOLDER.fullmatch(name)
            if match:
                runs.append(
                    ExperimentRun(
                        versioned_experiment=self,
                        timestamp=dt.datetime.strptime(match[1], STAMP_FORMAT).replace(
                            tzinfo=dt.UTC
                        ),
                        suffix=match[2] or "",
                    )
                )
        return runs

    @property
    def latest_run(self) -> "ExperimentRun[TInput, TOutput]":
        """The latest run for the versioned experiment.

        Raises:
            ExperimentVersionNotFoundError: It has none.
        """
        run = newest(self.list_runs())
        if run is None:
            raise ExperimentVersionNotFoundError(self.base_experiment.base_id, self.version)
        return run

    @property
    def latest_run_results(self) -> dict[str, str]:
        """The latest run results for the versioned experiment."""
        return self.latest_run.list_results_files()


class ExperimentRun(RunKeys, Generic[TInput, TOutput]):
    """An experiment run.

    Attributes:
        versioned_experiment: What it is a run of.
        timestamp: When it was allocated, in UTC.
        suffix: Six hex digits that keep runs of one second apart.
    """

    versioned_experiment: VersionedExperiment[TInput, TOutput]

    def as_uri(self, key: str) -> S3Url | FileUrl:
        """Convert a key to a uri."""
        uri = self.store.uri(key.removeprefix(self._key("")))
        return S3Url(uri) if uri.startswith("s3:") else FileUrl(uri)

    def construct_manifest(self, workflow_run_id: str) -> ExperimentRunManifest:
        """The manifest for the experiment run, as at its allocation."""
        return ExperimentRunManifest(
            workflow_run_id=workflow_run_id,
            experiment_id=self.experiment_id,
            experiment_name=self.versioned_experiment.base_experiment.runnable.name,
            specs_uri=self.as_uri(self.specs_filekey),
            io_spec=self.as_uri(self.io_spec_filekey),
            input_artifacts=self.as_uri(self.input_artifacts_filekey),
        )

    def overwrite_spec_meta(
        self,
        specs: Sequence[TInput],
        overwrite_experiment_id: bool = True,  # noqa: FBT001, FBT002 - promised names
        overwrite_sort_index: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        """Overwrite the metadata for the specs: this run's id, and their numbers."""
        for row, spec in enumerate(specs):
            if overwrite_experiment_id:
                spec.experiment_id = self.experiment_id
            if overwrite_sort_index:
                spec.sort_index = row

    def list_results_files(self, s3_client: Any = None) -> dict[str, str]:  # noqa: ARG002
        """List the results files for the experiment run: key of each final table by its name."""
        return {name: self._key(self._layout.final_table(name)) for name in self.results.names()}

    @property
    def store(self) -> "Store":
        """Where the run lives."""
        return self.versioned_experiment.base_experiment.store

    @property
    def results(self) -> "Results":
        """The run's tables."""
        from scythe_runtime.results import Results

        return Results(self.store, self._layout)

    @property
    def manifest(self) -> ExperimentRunManifest:
        """The run's record as it stands in the store."""
        return self.results.manifest()

    def created(self) -> dt.datetime | None:
        """Return when the run was allocated, to the microsecond; None if it has no record yet."""
        try:
            return self.manifest.created or self.timestamp
        except NotFoundError:
            return None

    def table(self, *, rows: int | None = None) -> "pd.DataFrame":
        """Return inputs and outputs side by side, one row for each result; see `Results.table`."""
        return self.results.table(rows=rows)

    def scalars(self) -> "pd.DataFrame":
        """Return the scalar outputs, indexed by the inputs (a MultiIndex)."""
        return self.results.frame("scalars")

    def errors(self) -> "pd.DataFrame":
        """Return the failures, one row each: inputs, type, message, traceback."""
        return self.results.errors()

    def times(self) -> "pd.DataFrame":
        """Return how long each spec took and in which slot, one row each; also of a run that is going."""
        from scythe_runtime.times import spec_times

        times: pd.DataFrame = spec_times(self.store, self._layout, self.ledger()).to_pandas()
        return times

    def frame(self, name: str) -> "pd.DataFrame":
        """Return a frame of the user's: the rows of all specs."""
        return self.results.frame(name)

    def download(self, folder: Path | str) -> list[Path]:
        """Bring the final tables and result files to a folder and return their paths."""
        return self.results.download(Path(folder))

    def ledger(self) -> "Ledger":
        """Return what the run has committed so far."""
        from scythe_runtime.ledger import read_ledger

        counts = self.manifest.counts
        return read_ledger(self.store, self._layout, counts.specs if counts else 0)

    def check(self) -> "CheckReport":
        """Return whether the run is whole, and if not, what is wrong with it."""
        from scythe_runtime.check import check_run

        return check_run(self.store, self._layout)

    def resume(self) -> "BatchRef":
        """Run what has no outcome yet, and return a reference to wait for it."""
        return self._go_on("resume")

    def retry_failed(self) -> "BatchRef":
        """Run what has failed once more, and return a reference to wait for it."""
        return self._go_on("retry")

    def cancel(self) -> None:
        """End the run, which another process or Hatchet leads; what is committed stays for `resume`."""
        from scythe_runtime.cancel import cancel

        cancel(self)

    def _go_on(self, mode: Literal["resume", "retry"]) -> "BatchRef":
        from scythe_runtime.engine import engine_from_settings
        from scythe_runtime.refs import BatchRef
        from scythe_runtime.resume import go_on

        driver, manifest = go_on(
            store=self.store,
            layout=self._layout,
            experiment=self.versioned_experiment.base_experiment.experiment_here(),
            engine=engine_from_settings(),
            mode=mode,
        )
        return BatchRef(run=self, workflow_run_id=manifest.workflow_run_id, driver=driver)
