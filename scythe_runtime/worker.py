"""Workers: processes that serve runs which others have allocated, by way of Hatchet."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, NoReturn

from pydantic import BeforeValidator, Field

from scythe_runtime.errors import ScytheError, UsageError
from scythe_runtime.registry import Experiment, ExperimentRegistry
from scythe_runtime.settings import (
    EngineSettings,
    EnvironmentSettings,
    parse_duration,
    repo_root,
)
from scythe_runtime.workflows import WorkflowExperiment, workflow_experiment

if TYPE_CHECKING:
    from hatchet_sdk import Hatchet
    from hatchet_sdk.runnables.workflow import BaseWorkflow
    from hatchet_sdk.worker.worker import Worker

    from scythe_runtime.engine._hatchet_leaf import Slots

__all__ = ["ScytheWorkerConfig", "ScytheWorkerLabel", "WantedLabel", "WorkerNameConfig"]

_MISTAKE: Final = 2


@dataclass(frozen=True, slots=True)
class WantedLabel:
    """A label that a worker must have, or had better have, to run an experiment.

    Attributes:
        value: What the worker's label must be.
        required: Whether other workers are out of the question.
    """

    value: str | int
    required: bool = True


class ScytheWorkerLabel(StrEnum):
    """Labels of workers with something special.

    An experiment asks for them with `desired_worker_labels=ScytheWorkerLabel.HAS_GPU.worker_label`, or for
    several: `{**ScytheWorkerLabel.HAS_GPU.worker_label, **ScytheWorkerLabel.HIGH_MEMORY.worker_label}`.
    """

    HIGH_MEMORY = "high_memory"
    HIGH_CPU = "high_cpu"
    HAS_GPU = "has_gpu"

    @property
    def worker_label(self) -> dict[str, WantedLabel]:
        """What to give to `desired_worker_labels`."""
        return {self.value: WantedLabel(self.yes)}

    @property
    def yes(self) -> str:
        """The label's value on workers that have it."""
        return "yes"


class WorkerNameConfig(EnvironmentSettings):
    """Where a worker runs, by what the host puts into its environment.

    Attributes:
        FLY_REGION: Set by Fly.io.
        AWS_BATCH_JOB_ARRAY_INDEX: Set by AWS Batch in array jobs.
        COPILOT_ENVIRONMENT_NAME: Set by AWS Copilot.
    """

    FLY_REGION: str | None = None
    AWS_BATCH_JOB_ARRAY_INDEX: int | None = None
    COPILOT_ENVIRONMENT_NAME: str | None = None

    @property
    def in_aws_batch(self) -> bool:
        """Whether the worker is a job of AWS Batch."""
        return self.AWS_BATCH_JOB_ARRAY_INDEX is not None

    @property
    def in_aws_copilot(self) -> bool:
        """Whether the worker is a service of AWS Copilot."""
        return self.COPILOT_ENVIRONMENT_NAME is not None

    @property
    def in_aws(self) -> bool:
        """Whether the worker is in AWS."""
        return self.in_aws_batch or self.in_aws_copilot

    @property
    def aws_hosting_str(self) -> str:
        """Where in AWS the worker is; empty elsewhere."""
        if not self.in_aws:
            return ""
        batch = f"Batch{self.AWS_BATCH_JOB_ARRAY_INDEX:04d}" if self.in_aws_batch else ""
        copilot = f"Copilot{str(self.COPILOT_ENVIRONMENT_NAME).upper()}"
        return f"AWS{batch}{copilot if self.in_aws_copilot else ''}"

    @property
    def in_fly(self) -> bool:
        """Whether the worker is on Fly.io."""
        return self.FLY_REGION is not None

    @property
    def fly_hosting_str(self) -> str:
        """Where on Fly.io the worker is; empty elsewhere."""
        return f"Fly{str(self.FLY_REGION).upper()}" if self.in_fly else ""

    @property
    def in_local(self) -> bool:
        """Whether the worker is on none of the hosts that are known here."""
        return not (self.in_aws or self.in_fly)

    @property
    def hosting_str(self) -> str:
        """Where the worker is."""
        return self.aws_hosting_str or self.fly_hosting_str or "Local"

    @property
    def name(self) -> str:
        """The worker's name."""
        return f"ScytheWorker--{self.hosting_str}"


class ScytheWorkerConfig(EnvironmentSettings):
    """How a worker serves; each field is an environment variable, SCYTHE_WORKER_<FIELD>.

    Attributes:
        NAME: Its name; by default from where it runs.
        SLOTS: Processes that run specs; by default one a core, one less from 8 cores on.
        DURABLE_SLOTS: How many roots and nodes it leads at a time.
        HIGH_MEMORY: It has much memory.
        HIGH_CPU: It has fast cores, or many.
        HAS_GPU: It has a GPU.
        DOES_FAN: It leads runs.
        DOES_LEAF: It runs specs.
        GRACE: After SIGTERM, how long batches at work may go on before they are handed back.
    """

    env_prefix: ClassVar[str] = "SCYTHE_WORKER_"

    NAME: str | None = None
    SLOTS: int | None = Field(default=None, ge=1)
    DURABLE_SLOTS: int | None = Field(default=None, ge=1)
    HIGH_MEMORY: bool = False
    HIGH_CPU: bool = False
    HAS_GPU: bool = False
    DOES_FAN: bool = True
    DOES_LEAF: bool = True
    GRACE: Annotated[timedelta, BeforeValidator(parse_duration)] = timedelta(seconds=20)
    WORKER_NAME_CONFIG: WorkerNameConfig = Field(default_factory=WorkerNameConfig)

    @property
    def labels(self) -> dict[str, str | int]:
        """The labels of what is special about this worker."""
        special = {
            ScytheWorkerLabel.HIGH_MEMORY: self.HIGH_MEMORY,
            ScytheWorkerLabel.HIGH_CPU: self.HIGH_CPU,
            ScytheWorkerLabel.HAS_GPU: self.HAS_GPU,
        }
        return {label.value: label.yes for label, has in special.items() if has}

    @property
    def computed_slots(self) -> int:
        """How many specs it runs at a time."""
        return self.SLOTS if self.SLOTS is not None else EngineSettings().SLOTS

    @property
    def computed_durable_slots(self) -> int:
        """How many roots and nodes it leads at a time."""
        return self.DURABLE_SLOTS if self.DURABLE_SLOTS is not None else 1000

    @property
    def computed_name(self) -> str:
        """The worker's name."""
        return self.NAME or self.WORKER_NAME_CONFIG.name

    def start(
        self,
        experiments: "Sequence[Experiment[Any, Any] | Callable[..., Any]] | None" = None,
        additional_workflows: "Sequence[BaseWorkflow[Any]] | None" = None,
    ) -> NoReturn:
        """Serve all that is registered and included until a signal comes; then exit with code 0.

        What keeps the worker from serving is told in one message, with exit code 2: a token that is missing
        or not good, an engine or a bucket that does not answer.

        Args:
            experiments: Functions to register and serve, besides those that are registered.
            additional_workflows: Workflows of Hatchet's own to serve too, which are not included.
        """
        try:
            self._serve(list(experiments or []), list(additional_workflows or []))
        except ScytheError as error:
            print(error, file=sys.stderr)  # noqa: T201 - a worker's own command line
            sys.exit(_MISTAKE)

    def _serve(
        self, experiments: list[Any], additional_workflows: "list[BaseWorkflow[Any]]"
    ) -> NoReturn:
        from scythe_runtime.engine._hatchet_fleet import check_engine
        from scythe_runtime.engine._hatchet_leaf import Slots
        from scythe_runtime.hatchet import make_client
        from scythe_runtime.settings import ScytheStorageSettings

        for experiment in experiments:
            if isinstance(experiment, Experiment):
                ExperimentRegistry.Include(experiment)
            else:
                ExperimentRegistry.Register()(experiment)
        functions = ExperimentRegistry.experiments()
        known = ExperimentRegistry.workflows()
        additional_workflows = [
            flow for flow in additional_workflows if not any(flow is one for one in known)
        ]
        if not (functions or known or additional_workflows):
            message = "this worker has nothing to serve: import the module that registers the experiment first"
            raise UsageError(message)
        if not (self.DOES_FAN or self.DOES_LEAF):
            message = "SCYTHE_WORKER_DOES_FAN and SCYTHE_WORKER_DOES_LEAF are both off: nothing is left to do"
            raise UsageError(message)
        if ScytheStorageSettings().BUCKET is None:
            message = (
                "SCYTHE_STORAGE_BUCKET is not set: name the S3 bucket that holds the runs, the one that who "
                "allocates uses"
            )
            raise UsageError(message)
        served = [*functions, *(workflow_experiment(flow) for flow in known)]
        check_engine()
        _check_bucket()
        client = make_client()
        slots = Slots(self.computed_slots)
        try:
            if self.DOES_LEAF:
                for experiment in functions:
                    slots.start(experiment)
            worker = self._worker(client, slots, served, additional_workflows)
            self._leave_on_signals(slots)
            print(  # noqa: T201 - the one line of a worker that serves
                f"worker {self.computed_name} serves "
                f"{', '.join([e.name for e in served] + [w.name for w in additional_workflows])}: "
                f"{self.computed_slots} slots",
                file=sys.stderr,
                flush=True,
            )
            worker.start()
        finally:
            slots.close()
        sys.exit(0)

    def _worker(
        self,
        client: "Hatchet",
        slots: "Slots",
        experiments: list[Experiment[Any, Any]],
        additional_workflows: "list[BaseWorkflow[Any]]",
    ) -> "Worker":
        from scythe_runtime.engine._hatchet_declare import SHARES, declare, with_shares
        from scythe_runtime.engine._hatchet_fleet import SLOTS_LABEL
        from scythe_runtime.engine._hatchet_leaf import batch_handler
        from scythe_runtime.engine._hatchet_root import Leader
        from scythe_runtime.engine._hatchet_rows import rows_handler

        labels = self.labels | {SLOTS_LABEL: self.computed_slots if self.DOES_LEAF else 0}
        workflows = [with_shares(workflow) for workflow in additional_workflows]
        for experiment in experiments:
            leader = Leader(client, experiment, slots.leave)
            tasks = declare(
                client,
                experiment,
                run_batch=rows_handler(client, experiment, slots.leave)
                if isinstance(experiment, WorkflowExperiment)
                else batch_handler(experiment, slots),
                lead=leader.lead,
                scatter=leader.scatter,
            )
            workflows += tasks.fan if self.DOES_FAN else []
            workflows += tasks.leaf if self.DOES_LEAF else []
            labels |= _labels_of(experiment)
        return client.worker(
            f"{self.computed_name}--{socket.gethostname()}-{os.getpid()}",
            slots=SHARES * self.computed_slots,
            durable_slots=self.computed_durable_slots,
            labels=labels,
            workflows=workflows,
        )

    def _leave_on_signals(self, slots: "Slots") -> None:
        """Let SIGTERM and SIGINT also hand back what is not begun, and in the end what is."""
        for number in (signal.SIGTERM, signal.SIGINT):
            usual = signal.getsignal(number)

            def leave(signum: int, frame: FrameType | None, usual: Any = usual) -> None:
                slots.leave.begin()
                grace = threading.Timer(self.GRACE.total_seconds(), slots.close)
                grace.daemon = True
                grace.start()
                usual(signum, frame)

            signal.signal(number, leave)


def _labels_of(experiment: Experiment[Any, Any]) -> dict[str, str]:
    """Return the labels that say what this worker has of an experiment: its code, definition, packages."""
    from scythe_runtime.engine._hatchet_tasks import code_label, io_label, lock_label, short_code
    from scythe_runtime.engine._load import task_ref
    from scythe_runtime.iospec import io_spec
    from scythe_runtime.provenance import ProvenanceReader

    task = task_ref(experiment.fn, name=experiment.name)
    described = io_spec(experiment.input_validator_type, experiment.output_validator_type)
    has = ProvenanceReader(repo_root(), task.module, task.main_path).read(described)
    return {
        code_label(experiment.name): short_code(has.code_hash),
        io_label(experiment.name): short_code(has.io_hash),
        lock_label(experiment.name): short_code(has.lock_hash),
    }


def _check_bucket() -> None:
    """Write, list and read an object in the bucket.

    Raises:
        StoreError: What is wrong with it, and how to put it right.
    """
    from scythe_runtime.store import store_from_settings
    from scythe_runtime.store._open import check

    check(store_from_settings())
