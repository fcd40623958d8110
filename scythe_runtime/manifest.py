"""A run's record: manifest.yml."""

from datetime import datetime
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from scythe_runtime.errors import NotFoundError, RunDamagedError
from scythe_runtime.files import FileUri, FileUrl, S3Url
from scythe_runtime.layout import RunLayout
from scythe_runtime.store import Store

State = Literal[
    "allocated", "dispatched", "stopped", "paused", "complete", "complete-with-failures"
]


class Counts(BaseModel, frozen=True):
    """How the specs of a run fared; `succeeded + failed + pending == specs`."""

    specs: int
    succeeded: int = 0
    failed: int = 0
    pending: int = 0


class TaskRecord(BaseModel, frozen=True):
    """Which function a run calls, and how."""

    module: str
    name: str
    retries: int
    execution_timeout_s: float | None = None


class Provenance(BaseModel, frozen=True):
    """What a run was allocated with; hashes are sha256.

    Attributes:
        git_commit: The repository's commit, if it is one.
        git_dirty: Whether there were changes besides.
        io_hash: Of the io spec.
        code_hash: Of the Python files of the task's package.
        lock_hash: Of uv.lock, or of the installed packages where there is none.
        python: Version of Python.
        packages: Versions of the installed packages.
    """

    git_commit: str | None = None
    git_dirty: bool | None = None
    io_hash: str
    code_hash: str
    lock_hash: str
    python: str
    packages: dict[str, str]


class InputArtifactLocations(BaseModel):
    """The locations of the input artifacts for an experiment, by field."""

    files: dict[str, set[FileUri]]


class ExperimentRunManifest(BaseModel):
    """The manifest for an experiment run.

    Attributes:
        workflow_run_id: The queue's id of the run; locally the run's own.
        experiment_id: The run's full id, which is also its folder.
        experiment_name: The experiment's name in the registry.
        specs_uri: Where specs.pq is.
        io_spec: Where the io spec is.
        input_artifacts: Where the list of input files is.
        specs_sha256: Of specs.pq.
        gathered: The digest of the ledger that the final tables were written from.
    """

    model_config = ConfigDict(extra="allow")

    workflow_run_id: str
    experiment_id: str
    experiment_name: str
    specs_uri: S3Url | FileUrl
    io_spec: S3Url | FileUrl
    input_artifacts: S3Url | FileUrl | None = None
    state: State = "allocated"
    counts: Counts | None = None
    created: datetime | None = None
    started: datetime | None = None
    finished: datetime | None = None
    seconds: float | None = None
    cause: str | None = None
    engine: str | None = None
    slots: int | None = None
    batch_size: int | Literal["auto"] | None = None
    max_failures: float | int | None = None
    recursion_map: dict[str, Any] | None = None
    task: TaskRecord | None = None
    provenance: Provenance | None = None
    sampling: dict[str, Any] | None = None
    specs_sha256: str | None = None
    gathered: str | None = None


def dump_yaml(value: object) -> bytes:
    """Return a value of plain parts as YAML."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(value, Dumper=dumper, sort_keys=False, allow_unicode=True)
    return text.encode()


def load_yaml(data: bytes) -> Any:
    """Return the value of a YAML document; plain parts only."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(data, Loader=loader)  # noqa: S506 - a safe loader


def write_manifest(store: Store, layout: RunLayout, manifest: ExperimentRunManifest) -> None:
    """Write a run's manifest, in place of the one before."""
    store.put(layout.manifest, dump_yaml(manifest.model_dump(mode="json", exclude_none=True)))


def read_manifest(store: Store, layout: RunLayout) -> ExperimentRunManifest:
    """Return a run's manifest.

    Raises:
        NotFoundError: There is none.
        RunDamagedError: It cannot be read.
    """
    try:
        return ExperimentRunManifest.model_validate(load_yaml(store.get(layout.manifest)))
    except NotFoundError:
        raise
    except (yaml.YAMLError, ValidationError) as error:
        message = f"{layout.manifest} cannot be read: {error}"
        raise RunDamagedError(message) from None
