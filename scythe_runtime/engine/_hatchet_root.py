"""Roots and nodes on a worker: durable tasks, which Hatchet may begin again at any time.

A task that is begun again has to ask for the same children in the same order: they come from plans, which
stand before anything is asked for. What children return counts for nothing: what has been done is read
from the store. So a wait ends when all children have answered, or when the store has all that they were
to commit: an engine that restarts, or its database, loses answers.
"""

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from scythe_runtime.batches import Batch, count_rows
from scythe_runtime.engine._hatchet_cancel import cancel_tasks
from scythe_runtime.engine._hatchet_done import Done
from scythe_runtime.engine._hatchet_fleet import slots_of, workers_of
from scythe_runtime.engine._hatchet_leaf import plan_at, store_at
from scythe_runtime.engine._hatchet_leave import Leave, wake
from scythe_runtime.engine._hatchet_tasks import (
    BATCH_OF,
    BatchInput,
    NodeInput,
    NodeOutput,
    RootInput,
    RootOutput,
    batch_task,
    metadata,
    needs_code,
    node_task,
    rows_task,
    wanted_labels,
)
from scythe_runtime.errors import NotFoundError
from scythe_runtime.layout import RunLayout
from scythe_runtime.manifest import read_manifest
from scythe_runtime.plans import Plan, rows_without, write_plan
from scythe_runtime.registry import Experiment
from scythe_runtime.root import CANARY_PLAN, MAIN_PLAN, Root, Scatter, root_run_id
from scythe_runtime.workflows import WorkflowExperiment

if TYPE_CHECKING:
    from hatchet_sdk import DurableContext, Hatchet

BATCH_SECONDS: Final = 30.0
"""How much work a batch holds: a task costs the queue some 15 ms of CPU and 10 KB of its database."""

QUICK_S: Final = 4.0
"""Batches that are expected to be shorter are taken in advance by the dozen: a freed slot idles for over a second."""

_AT_ONCE: Final = 500
_SLOTS_UNKNOWN: Final = 4


class Leader:
    """Leads runs of one experiment.

    Args:
        client: Of this worker.
        experiment: Which.
        leave: Whether this worker shuts down: then others lead.
    """

    def __init__(self, client: "Hatchet", experiment: Experiment[Any, Any], leave: Leave) -> None:
        self._client = client
        self._experiment = experiment
        self._leave = leave

    async def lead(self, work: RootInput, ctx: "DurableContext") -> RootOutput:
        """Lead a run from wherever it is to its final tables."""
        async with self._leave.hands_over(self._client, ctx):
            return await self._lead(work, ctx)

    async def _lead(self, work: RootInput, ctx: "DurableContext") -> RootOutput:
        root = await asyncio.to_thread(self._root, work)
        steps, lost = root.steps(), 0
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            async with self._within_budget(root, work):
                lost += await self._run(step, work)
            await asyncio.to_thread(root.recount)
            if root.over_budget:
                break
        cause = f"{lost} tasks of this run were cancelled or failed in Hatchet" if lost else None
        ending = await asyncio.to_thread(root.finish, stopped_by=cause)
        ctx.log(f"{ending.state}: {ending.counts.model_dump()}")
        return RootOutput(
            state=ending.state,
            counts=ending.counts,
            uris=ending.uris,
            cause=ending.cause,
            seconds=ending.seconds,
        )

    async def scatter(self, work: NodeInput, ctx: "DurableContext") -> NodeOutput:
        """Run a node of the tree."""
        async with self._leave.hands_over(self._client, ctx):
            if not work.num_specs:
                wake(ctx)
            return await self._scatter(work)

    async def _scatter(self, work: NodeInput) -> NodeOutput:
        """Run a node's children, or its batches where it has none."""
        rows = range(work.num_specs)
        for k in work.path:
            rows = rows[k :: work.factor]
        wanted = rows_without(rows, await asyncio.to_thread(self._canary, work.run))
        name = MAIN_PLAN + "".join(f".{k}" for k in work.path)
        if len(work.path) == work.max_depth or len(rows) <= work.factor:
            if not wanted:
                return NodeOutput(tasks=0, lost=0)
            plan = await asyncio.to_thread(
                write_plan,
                store_at(work.run.root_uri),
                RunLayout(work.run.run_id),
                Plan(name, wanted, work.batch_size, work.batch_seconds),
            )
            return await self._batches(plan, work.run)
        nodes = [
            work.model_copy(update={"path": (*work.path, k)})
            for k in range(min(work.factor, len(rows)))
        ]
        task = node_task(self._experiment.name)
        done = Done(work.run, f"{name}.", count_rows(wanted), work.batch_size)
        return await self._spawn(task, nodes, work.run, _node_labels, done)

    def _root(self, work: RootInput) -> Root:
        store, layout = store_at(work.root_uri), RunLayout(work.run_id)
        workers = workers_of(self._client, self._experiment.name)
        return Root(
            store=store,
            layout=layout,
            manifest=read_manifest(store, layout),
            experiment=self._experiment,
            slots=slots_of(workers, work.code) or _SLOTS_UNKNOWN,
            batch_seconds=BATCH_SECONDS,
            mode=work.mode,
            plan_number=work.plan_number,
            whole_if_short=True,
        )

    async def _run(self, step: Iterable[Batch], work: RootInput) -> int:
        """Run a step and return how many of its tasks came to nothing."""
        if (
            isinstance(step, Scatter)
            and step.tree.max_depth > 0
            and step.tree.factor < step.num_specs
        ):
            plan = await asyncio.to_thread(
                write_plan, store_at(work.root_uri), RunLayout(work.run_id), step.plan
            )
            node = NodeInput(
                run=work,
                path=(),
                factor=step.tree.factor,
                max_depth=step.tree.max_depth,
                num_specs=step.num_specs,
                batch_size=plan.batch_size,
                batch_seconds=plan.batch_seconds,
            )
            return (await self._scatter(node)).lost
        first = await asyncio.to_thread(next, iter(step), None)
        if first is None:
            return 0
        # its plan stands
        plan = await asyncio.to_thread(plan_at, work.root_uri, work.run_id, first.plan)
        return (await self._batches(plan, work)).lost

    async def _batches(self, plan: Plan, work: RootInput) -> NodeOutput:
        quick = plan.id == CANARY_PLAN or (
            plan.batch_seconds is not None and plan.batch_seconds < QUICK_S
        )
        inputs = [
            BatchInput(
                root_uri=work.root_uri,
                run_id=work.run_id,
                task_name=work.task_name,
                root_run_id=root_run_id(work.run_id),
                code=work.code,
                plan=plan.id,
                batch=number,
            )
            for number in range(plan.num_batches)
        ]

        def describe(one: BatchInput) -> dict[str, str]:
            first = one.batch * plan.batch_size
            last = min(first + plan.batch_size, plan.num_rows) - 1
            return {BATCH_OF: work.run_id, "node": plan.id, "range": f"{first}-{last}"}

        name = self._experiment.name
        of_workflow = isinstance(self._experiment, WorkflowExperiment)
        task = rows_task(name) if of_workflow else batch_task(name, quick=quick)
        done = Done(work, f"{plan.id}/", plan.num_rows, plan.batch_size)
        return await self._spawn(task, inputs, work, describe, done)

    async def _spawn(
        self,
        name: str,
        inputs: list[Any],
        work: RootInput,
        describe: Callable[[Any], dict[str, str]],
        done: Done,
    ) -> NodeOutput:
        """Run children and wait for all of them; that one came to nothing shows in the store."""
        task = self._client.stubs.workflow(name=name, input_validator=type(inputs[0]))
        labels = needs_code(self._experiment.name, work.code)
        if isinstance(inputs[0], BatchInput):
            labels += wanted_labels(self._experiment.options.desired_worker_labels)
        items = [
            task.create_bulk_run_item(
                input=one,
                additional_metadata=metadata(self._experiment, work.run_id, **describe(one)),
                desired_worker_labels=labels,
            )
            for one in inputs
        ]
        slices = [items[i : i + _AT_ONCE] for i in range(0, len(items), _AT_ONCE)]
        answers = asyncio.gather(
            *[task.aio_run_many(some, return_exceptions=True) for some in slices]
        )
        answers.add_done_callback(_look_at)
        # without rows: what runs it returns at once
        beyond = {"num_specs": 0} if isinstance(inputs[0], NodeInput) else {"batch": len(inputs)}
        nothing = inputs[0].model_copy(update=beyond)

        def nudge() -> None:
            # no child of this task: begun again, it could not ask for the same ones
            contextvars.Context().run(
                task.run,
                nothing,
                wait_for_result=False,
                additional_metadata=metadata(self._experiment, work.run_id, node="nudge"),
                desired_worker_labels=labels,
            )

        stored = asyncio.create_task(done.wait(nudge))
        try:
            await self._leave.wait_for_one(answers, stored)
            if not answers.done():
                answers.cancel()
                await asyncio.wait({answers})
                return NodeOutput(tasks=len(items), lost=0)
            found = [answer for some in answers.result() for answer in some]
            lost = sum(isinstance(answer, BaseException) or not answer for answer in found)
            return NodeOutput(tasks=len(items), lost=lost)
        finally:
            stored.cancel()
            answers.cancel()

    @contextlib.asynccontextmanager
    async def _within_budget(self, root: Root, work: RootInput) -> AsyncIterator[None]:
        """Cancel the batches that are left once too many specs have failed."""
        if not root.has_budget:
            yield
            return
        watcher = asyncio.create_task(self._watch_budget(root, work))
        try:
            yield
        finally:
            watcher.cancel()

    async def _watch_budget(self, root: Root, work: RootInput) -> None:
        pause_s = 1.0
        while True:
            await asyncio.sleep(pause_s)
            await asyncio.to_thread(root.recount)
            if root.over_budget:
                # again and again: what has just been queued is not found at once
                await asyncio.to_thread(cancel_tasks, self._client, BATCH_OF, work.run_id)
                continue
            pause_s = min(10.0, 1.5 * pause_s)

    def _canary(self, work: RootInput) -> list[int]:
        """Return the rows that the canary has run; a small run has none."""
        try:
            plan = plan_at(work.root_uri, work.run_id, CANARY_PLAN)
        except NotFoundError:
            return []
        return [row for part in plan.rows for row in part]


def _look_at(answers: "asyncio.Future[Any]") -> None:
    """Take an error that nobody waits for any more: else asyncio logs it."""
    if not answers.cancelled():
        answers.exception()


def _node_labels(node: NodeInput) -> dict[str, str]:
    return {"node": MAIN_PLAN + "".join(f".{k}" for k in node.path)}
