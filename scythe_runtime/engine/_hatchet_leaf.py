"""Batches on a worker: a thread of the queue's for each, few of them in a slot process at a time."""

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from scythe_runtime.batches import Batch, BatchReport, RunAddress, slice_rows
from scythe_runtime.engine._hatchet_gate import Gate, HandedBack
from scythe_runtime.engine._hatchet_leave import Leave, wake
from scythe_runtime.engine._hatchet_tasks import BatchInput, BatchOutput, spec_timeout_s
from scythe_runtime.engine._load import task_ref
from scythe_runtime.engine._pool import SlotPool
from scythe_runtime.errors import EngineError
from scythe_runtime.layout import RunLayout
from scythe_runtime.plans import Plan
from scythe_runtime.registry import Experiment
from scythe_runtime.store import Store, open_store

if TYPE_CHECKING:
    from hatchet_sdk import Context

TOGETHER_S: Final = 1.0
"""How much expected work of short batches runs together, in seconds; none of it is kept before all is done."""


LOG_CHARACTERS: Final = 9_000
"""What one request to the queue's log may hold; it cuts off what is beyond 10,000."""


class Slots:
    """The slot processes of a worker, a pool an experiment, of which `size` batches are at work at a time.

    Args:
        size: How many batches run at a time, over all experiments.

    Attributes:
        leave: Whether this worker shuts down.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._gate = Gate(size)
        self._pools: dict[str, SlotPool] = {}
        self._lock = threading.Lock()
        self.leave = Leave()

    def start(self, experiment: Experiment[Any, Any]) -> SlotPool:
        """Return the pool of an experiment, started."""
        with self._lock:
            if self.leave.begun:
                raise HandedBack("this worker shuts down")
            pool = self._pools.get(experiment.name)
            if pool is None or pool.broken:
                pool = SlotPool(
                    task_ref(experiment.fn, name=experiment.name),
                    runner="scythe_runtime.batch:Runners",
                    slots=self.size,
                    timeout_s=spec_timeout_s(experiment.options),
                    prints=True,
                    tells=True,
                )
                pool.start()
                self._pools[experiment.name] = pool
            return pool

    def run(
        self,
        experiment: Experiment[Any, Any],
        batch: Batch,
        cancelled: Callable[[], bool],
        *,
        said: Callable[[list[str]], None],
        most: int = 1,
    ) -> list[BatchReport]:
        """Run a batch and return a report for each piece of it that was committed.

        Args:
            experiment: Whose batch.
            batch: Which rows.
            cancelled: Whether nobody wants it any more.
            said: Called with lines that its specs have logged, and those of batches that run together with it.
            most: How many batches may run together with it.

        Raises:
            HandedBack: The worker shuts down, or the batch was cancelled, before all was committed.
            EngineError: It could not be committed.
        """

        def work(whole: Batch, unwanted: Callable[[], bool]) -> list[BatchReport]:
            reports: list[BatchReport] = []
            try:
                pool = self.start(experiment)
                pool.run(
                    [whole],
                    lambda _, report: reports.append(report),
                    should_stop=unwanted,
                    # who has cancelled it wants the slot; who leaves gives it time
                    unwanted=lambda: unwanted() and not self.leave.begun,
                    said=said,
                )
            except EngineError:
                if self.leave.begun:
                    raise HandedBack("this worker shuts down") from None
                raise
            if sum(r.succeeded + r.failed for r in reports) < sum(map(len, whole.rows)):
                raise HandedBack("not finished")
            return reports

        return self._gate.run(
            batch, work, most=most, unwanted=lambda: self.leave.begun or cancelled()
        )

    def close(self) -> None:
        """Kill the slots; what is at work is handed back."""
        self.leave.begin()
        with self._lock:
            pools = list(self._pools.values())
        for pool in pools:
            pool.close()


def batch_handler(
    experiment: Experiment[Any, Any], slots: Slots
) -> "Callable[[BatchInput, Context], BatchOutput]":
    """Return what runs a batch for the queue."""

    def run_batch(work: BatchInput, ctx: "Context") -> BatchOutput:
        with slots.leave.tells(ctx):
            return run(work, ctx)

    def run(work: BatchInput, ctx: "Context") -> BatchOutput:
        plan = plan_at(work.root_uri, work.run_id, work.plan)
        batch = batch_of(work, plan, queue_id=ctx.workflow_run_id)
        if not batch.rows:
            wake(ctx)
            return BatchOutput(succeeded=0, failed=0, seconds=0.0)
        most = int(TOGETHER_S / plan.batch_seconds) if plan.batch_seconds else 1
        reports = slots.run(
            experiment,
            batch,
            lambda: bool(ctx.is_cancelled),
            said=lambda lines: _log(ctx, lines),
            most=most,
        )
        output = BatchOutput(
            succeeded=sum(report.succeeded for report in reports),
            failed=sum(report.failed for report in reports),
            seconds=round(sum(report.seconds for report in reports), 3),
        )
        if output.failed:
            ctx.log(
                f"{output.failed} of {output.succeeded + output.failed} specs failed: "
                f"scythe errors {work.run_id}"
            )
        return output

    return run_batch


def _log(ctx: "Context", lines: list[str]) -> None:
    """Send lines to the dashboard, many in one request, under the task that runs the batch."""
    chunk: list[str] = []
    length = 0
    for line in lines:
        if chunk and length + len(line) >= LOG_CHARACTERS:
            ctx.log("\n".join(chunk))
            chunk, length = [], 0
        chunk.append(line[:LOG_CHARACTERS])
        length += len(line) + 1
    if chunk:
        ctx.log("\n".join(chunk))


def batch_of(work: BatchInput, plan: Plan, *, queue_id: str) -> Batch:
    """Return the batch of a plan that a task of the queue is to run."""
    start = work.batch * plan.batch_size
    return Batch(
        plan=work.plan,
        id=work.batch,
        rows=slice_rows(plan.rows, start, start + plan.batch_size),
        queue_id=queue_id,
        run=RunAddress(work.root_uri, work.run_id, work.task_name, work.root_run_id),
    )


@lru_cache(maxsize=8)
def store_at(root_uri: str) -> Store:
    """Return the store at a URI; this process has one of each."""
    return open_store(root_uri)


@lru_cache(maxsize=64)
def plan_at(root_uri: str, run_id: str, plan_id: str) -> Plan:
    """Return a plan, which never changes."""
    return Plan.from_json(store_at(root_uri).get(RunLayout(run_id).plan(plan_id)))
