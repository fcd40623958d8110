"""What passes through Hatchet: names of tasks, labels, and values of a few hundred bytes.

Every model has required fields only: the result of a task that was cancelled arrives as `{}`, and must
not pass for a success.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from scythe_runtime.manifest import Counts, State
from scythe_runtime.registry import Experiment, TaskOptions
from scythe_runtime.root import Mode

if TYPE_CHECKING:
    from hatchet_sdk.labels import DesiredWorkerLabel

LONG: Final = timedelta(days=30)
"""Where nobody sets a timeout: the SDK's own defaults, five minutes and one, lose honest work."""

SPEC_TIMEOUT_S: Final = 24 * 3600.0
"""Bound of one spec's time on Hatchet, where nobody sets one."""

RUN_KEY: Final = "run"
"""The key of a task's metadata that holds the run's id."""

BATCH_OF: Final = "batch_of"
"""The key of a batch's metadata that holds the run's id; unlike other keys it is on batches only."""

ENDED: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
"""Statuses that the engine's API shows of a run that is over."""


class RootInput(BaseModel, frozen=True):
    """A run, and what to do with it.

    Attributes:
        root_uri: The store's root.
        run_id: The run.
        task_name: The experiment's name in the registry.
        mode: As of `Root`.
        plan_number: As of `Root`.
        code: Which code its batches need.
    """

    root_uri: str
    run_id: str
    task_name: str
    mode: Mode
    plan_number: int
    code: str


class RootOutput(BaseModel, frozen=True):
    """How a root ended; see `scythe_runtime.root.Ending`."""

    state: State
    counts: Counts
    uris: dict[str, str]
    cause: str | None
    seconds: float


class NodeInput(BaseModel, frozen=True):
    """A node of the tree.

    Attributes:
        run: Whose node.
        path: Which child of which child it is.
        factor: Children a node.
        max_depth: Levels below the root.
        num_specs: Of the run.
        batch_size: Specs a batch.
        batch_seconds: How long a batch is expected to take.
    """

    run: RootInput
    path: tuple[int, ...]
    factor: int
    max_depth: int
    num_specs: int
    batch_size: int
    batch_seconds: float | None


class NodeOutput(BaseModel, frozen=True):
    """How many tasks a node has waited for, and how many of them came to nothing."""

    tasks: int
    lost: int


class BatchInput(BaseModel, frozen=True):
    """A batch: which rows it has says its plan; `code`: which code they need."""

    root_uri: str
    run_id: str
    task_name: str
    root_run_id: str
    code: str
    plan: str
    batch: int


class BatchOutput(BaseModel, frozen=True):
    """What a batch has committed."""

    succeeded: int
    failed: int
    seconds: float


def batch_task(experiment_name: str, *, quick: bool = False) -> str:
    """Return the name of the task that runs a batch; a quick one costs less of a worker's slots."""
    return f"{experiment_name}{'-quick' if quick else ''}".lower()


def rows_task(experiment_name: str) -> str:
    """Return the name of the durable task that runs a batch of a native workflow."""
    return f"{experiment_name}-rows".lower()


def root_task(experiment_name: str) -> str:
    """Return the name of the durable task that leads a run."""
    return f"{experiment_name}-run".lower()


def node_task(experiment_name: str) -> str:
    """Return the name of the durable task that is a node of a run's tree."""
    return f"{experiment_name}-node".lower()


def code_label(experiment_name: str) -> str:
    """Return the key of the worker label that says which code of an experiment a worker has."""
    return f"code:{experiment_name}".lower()


def io_label(experiment_name: str) -> str:
    """Return the key of the worker label that says which definition of an experiment a worker has."""
    return f"io:{experiment_name}".lower()


def lock_label(experiment_name: str) -> str:
    """Return the key of the worker label that says with which packages a worker runs an experiment."""
    return f"lock:{experiment_name}".lower()


def short_code(code_hash: str) -> str:
    """Return what stands for a hash of code in labels and messages."""
    return code_hash[:12]


def needs_code(experiment_name: str, code: str) -> "list[DesiredWorkerLabel]":
    """Return the label that sends a task only to workers with this code."""
    from hatchet_sdk.labels import DesiredWorkerLabel

    return [DesiredWorkerLabel(key=code_label(experiment_name), value=code, required=True)]


def wanted_labels(labels: Mapping[str, Any] | None) -> "list[DesiredWorkerLabel]":
    """Return a registration's labels as Hatchet's; a value may be a label of Hatchet's, ours, or plain."""
    from hatchet_sdk.labels import DesiredWorkerLabel

    found = []
    for key, label in (labels or {}).items():
        if isinstance(label, DesiredWorkerLabel):
            found.append(label.model_copy(update={"key": key}))
        else:
            value = getattr(label, "value", label)
            required = getattr(label, "required", True)
            found.append(DesiredWorkerLabel(key=key, value=value, required=required))
    return found


def whole_seconds(seconds: float | None) -> timedelta:
    """Return a timeout as the SDK takes it, which makes 0 of half a second; None: as good as none."""
    return LONG if seconds is None else timedelta(seconds=max(1, round(seconds)))


def spec_timeout_s(options: TaskOptions) -> float:
    """Return the bound of one spec's time in seconds."""
    from scythe_runtime.settings import TimeoutSettings

    if options.execution_timeout_s is not None:
        return options.execution_timeout_s
    bound = TimeoutSettings().EXPERIMENT_EXECUTION
    return bound.total_seconds() if bound is not None else SPEC_TIMEOUT_S


def metadata(experiment: Experiment[Any, Any] | str, run_id: str, **more: str) -> dict[str, str]:
    """Return what a task carries for who looks at the dashboard."""
    name = experiment if isinstance(experiment, str) else experiment.name
    return {RUN_KEY: run_id, "experiment": name, **more}
