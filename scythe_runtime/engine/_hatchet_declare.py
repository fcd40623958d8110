"""The tasks of an experiment as Hatchet knows them, alike for who serves and for who dispatches."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from scythe_runtime.engine._hatchet_tasks import (
    LONG,
    BatchInput,
    BatchOutput,
    NodeInput,
    NodeOutput,
    RootInput,
    RootOutput,
    batch_task,
    node_task,
    root_task,
    rows_task,
    wanted_labels,
    whole_seconds,
)
from scythe_runtime.errors import UsageError
from scythe_runtime.registry import Experiment
from scythe_runtime.settings import TimeoutSettings
from scythe_runtime.workflows import WorkflowExperiment

if TYPE_CHECKING:
    from hatchet_sdk import Hatchet
    from hatchet_sdk.runnables.workflow import BaseWorkflow

SHARES: Final = 128
"""Shares of a worker's slots that belong to one slot process: what quick batches cost one each of."""

PREFETCH: Final = 2
"""Batches of usual length that a worker takes for each slot process: one at work and one that waits."""

_SHARED: Final = "_scythe_shares"
_SDK_SCHEDULE: Final = timedelta(minutes=5)
_RETRIES: Final = 10

RunBatch = Callable[[BatchInput, Any], BatchOutput]
RunRows = Callable[[BatchInput, Any], Coroutine[Any, Any, BatchOutput]]
Lead = Callable[[RootInput, Any], Coroutine[Any, Any, RootOutput]]
Scatter = Callable[[NodeInput, Any], Coroutine[Any, Any, NodeOutput]]


@dataclass(frozen=True, slots=True)
class Tasks:
    """An experiment's tasks.

    Attributes:
        fan: Root and node; of a native workflow also what starts its runs.
        leaf: Batches, of usual length and quick ones; of a native workflow itself.
    """

    fan: "list[BaseWorkflow[Any]]"
    leaf: "list[BaseWorkflow[Any]]"


def declare(
    client: "Hatchet",
    experiment: Experiment[Any, Any],
    *,
    run_batch: RunBatch | RunRows,
    lead: Lead,
    scatter: Scatter,
) -> Tasks:
    """Return an experiment's tasks; nothing is sent.

    Args:
        client: Hatchet's.
        experiment: Which.
        run_batch: Runs a batch; of a native workflow without blocking.
        lead: Leads a run.
        scatter: Is a node of a run's tree.

    Raises:
        UsageError: An option that was given to `Register` is none of a Hatchet task.
    """
    from hatchet_sdk import Context, DurableContext

    run_here = cast("RunBatch", run_batch)
    options, timeouts = experiment.options, TimeoutSettings()
    node_schedule, node_execution = (
        whole_seconds(bound.total_seconds() if bound else None)
        for bound in (timeouts.SCATTER_GATHER_SCHEDULE, timeouts.SCATTER_GATHER_EXECUTION)
    )
    schedule_s = options.schedule_timeout_s
    if schedule_s is None and timeouts.EXPERIMENT_SCHEDULE is not None:
        schedule_s = timeouts.EXPERIMENT_SCHEDULE.total_seconds()
    fan: dict[str, Any] = {
        "schedule_timeout": node_schedule,
        "execution_timeout": node_execution,
        "retries": _RETRIES,
    }
    leaf: dict[str, Any] = {
        "input_validator": BatchInput,
        "description": experiment.description or None,
        "schedule_timeout": whole_seconds(schedule_s),
        "execution_timeout": whole_seconds(None),  # a spec's own bound is kept by its slot
        "retries": _RETRIES,  # of batches that a worker gave back; a spec's own are counted in its slot
        "desired_worker_labels": wanted_labels(options.desired_worker_labels),
        **options.task_config,
    }

    try:

        @client.durable_task(name=root_task(experiment.name), input_validator=RootInput, **fan)
        async def root(work: RootInput, ctx: DurableContext) -> RootOutput:
            return await lead(work, ctx)

        @client.durable_task(name=node_task(experiment.name), input_validator=NodeInput, **fan)
        async def node(work: NodeInput, ctx: DurableContext) -> NodeOutput:
            return await scatter(work, ctx)

        if isinstance(experiment, WorkflowExperiment):

            @client.durable_task(name=rows_task(experiment.name), input_validator=BatchInput, **fan)
            async def rows(work: BatchInput, ctx: DurableContext) -> BatchOutput:
                return await cast("RunRows", run_batch)(work, ctx)

            return Tasks(fan=[root, node, rows], leaf=[with_shares(experiment.workflow)])

        @client.task(name=batch_task(experiment.name), **{"slot_cost": SHARES // PREFETCH, **leaf})
        def batch(work: BatchInput, ctx: Context) -> BatchOutput:
            return run_here(work, ctx)

        @client.task(name=batch_task(experiment.name, quick=True), **{"slot_cost": 1, **leaf})
        def quick(work: BatchInput, ctx: Context) -> BatchOutput:
            return run_here(work, ctx)

    except TypeError as error:
        message = f"{experiment.name}: Hatchet does not know an option that was given to Register(): {error}"
        raise UsageError(message) from None
    return Tasks(fan=[root, node], leaf=[batch, quick])


def with_shares(workflow: "BaseWorkflow[Any]") -> "BaseWorkflow[Any]":
    """Return a workflow of the user's whose tasks take a worker's slots as batches do.

    A worker of n slots then runs n of its tasks at a time. A task may wait for a slot as long as it has to,
    unless it says otherwise: of a run of thousands, most wait for longer than the five minutes of the SDK.
    """
    for task in workflow.tasks:
        slots = task._slot_requests  # noqa: SLF001 - there is no other way to tell what a task takes
        if _SHARED not in vars(task):
            vars(task)[_SHARED] = True
            task._slot_requests = {  # noqa: SLF001
                kind: n * SHARES if kind == "default" else n for kind, n in slots.items()
            }
            if task.schedule_timeout == _SDK_SCHEDULE:
                task.schedule_timeout = LONG
    return workflow


def register_missing(client: "Hatchet", experiment: Experiment[Any, Any]) -> None:
    """Make the engine know an experiment's tasks: it takes a run of an unknown one, and never begins it."""
    known = {row.name for row in client.workflows.list(experiment.name.lower()).rows or []}

    def never(*_: Any) -> Any:
        raise NotImplementedError

    tasks = declare(client, experiment, run_batch=never, lead=never, scatter=never)
    for task in [*tasks.fan, *tasks.leaf]:
        if client.config.apply_namespace(task.name) not in known:
            client._client.admin.put_workflow(task.to_proto())  # noqa: SLF001 - only workers have a public way
