"""Batches of a native workflow: a durable task starts a run of it for each spec, and commits what they return.

No slot is needed: the workflow's own tasks do the work, wherever workers serve it. A batch that Hatchet
begins again asks for the same runs in the same order, which Hatchet knows and does not start twice.
A run that was cancelled is no outcome of its spec: nothing is committed for it, and `resume` runs it.
"""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, cast

from scythe_runtime.base import ExperimentInputSpec
from scythe_runtime.batch import BatchRunner
from scythe_runtime.batches import Batch, BatchReport, RunAddress
from scythe_runtime.engine._hatchet_leaf import batch_of, plan_at
from scythe_runtime.engine._hatchet_leave import Leave, wake
from scythe_runtime.engine._hatchet_tasks import (
    BATCH_OF,
    ENDED,
    BatchInput,
    BatchOutput,
    metadata,
    needs_code,
)
from scythe_runtime.outcomes import Failure, Outcomes
from scythe_runtime.workflows import WorkflowExperiment, WorkflowFailed

if TYPE_CHECKING:
    from hatchet_sdk import DurableContext, Hatchet
    from hatchet_sdk.labels import DesiredWorkerLabel
    from hatchet_sdk.workflow_run import WorkflowRunRef

_AT_ONCE: Final = 100
_ASK_S: Final = 30.0
_SHOWN_S: Final = 20.0
"""How long the engine's API may take to show how a run has ended."""


@dataclass(frozen=True, slots=True)
class Row:
    """A spec of a batch.

    Attributes:
        number: Which row of specs.pq.
        run_id: The spec's own id.
        spec: The spec, or why there is none.
    """

    number: int
    run_id: str
    spec: ExperimentInputSpec | Failure


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run of the workflow returned, by task, or why it did not, and after how many seconds."""

    value: Mapping[str, Any] | Failure
    seconds: float


class RowsRunner(BatchRunner):
    """Reads the specs of batches, and commits what became of them elsewhere.

    Args:
        run: Which run's.
        experiment: The workflow.
    """

    def __init__(self, run: RunAddress, experiment: WorkflowExperiment) -> None:
        super().__init__(run, experiment)
        self._workflow = experiment

    def rows(self, batch: Batch) -> list[Row]:
        """Return the specs of a batch, as allocation knows them to be right."""
        return [
            Row(row, run_id, _spec(run_id, make, record))
            for rows, run_ids, make, records in self._chunks(batch)
            for row, run_id, record in zip(rows, run_ids, records, strict=True)
        ]

    def commit(self, batch: Batch, rows: Sequence[Row], answers: Sequence[Answer]) -> BatchReport:
        """Commit a batch, with one outcome a row, and return its counts.

        Raises:
            StoreError: The store failed; nothing is committed.
        """
        outcomes = Outcomes(self._outputs)
        outcomes.rows += [row.number for row in rows]
        outcomes.run_ids += [row.run_id for row in rows]
        for row, answer in zip(rows, answers, strict=True):
            if isinstance(answer.value, Failure) or isinstance(row.spec, Failure):
                outcomes.add_failure(cast("Failure", answer.value))
            else:
                try:
                    output = self._workflow.output_of(answer.value)
                    features = row.spec.checked_features(self._output_names)
                    data, extra, frames = self._stored(row.spec, row.number, row.run_id, output)
                    outcomes.add_result(data, features, extra, frames)
                except Exception as error:  # noqa: BLE001 - what a workflow returns may be anything
                    outcomes.add_failure(Failure.of(error))
            outcomes.add_time(1, answer.seconds)
        if self._specs.num_rows == 1 and not isinstance(answers[0].value, Failure):
            self._store.put(self._layout.workflow_output, json.dumps(answers[0].value).encode())
        self._commit(batch, outcomes)
        return BatchReport(
            succeeded=len(outcomes.rows) - outcomes.failed,
            failed=outcomes.failed,
            seconds=max(outcomes.seconds),
            user_seconds=sum(outcomes.seconds),
        )


def _spec(
    run_id: str, make: Callable[[tuple[Any, ...]], ExperimentInputSpec], record: tuple[Any, ...]
) -> ExperimentInputSpec | Failure:
    try:
        spec = make(record)
    except Exception as error:  # noqa: BLE001 - a validator of the user's; it costs this spec only
        return Failure.of(error)
    spec.__dict__["workflow_run_id"] = run_id
    return spec


def rows_handler(
    client: "Hatchet", experiment: WorkflowExperiment, leave: Leave
) -> "Callable[[BatchInput, DurableContext], Coroutine[Any, Any, BatchOutput]]":
    """Return what runs a batch of a native workflow for the queue."""
    from hatchet_sdk import NonRetryableException

    labels = _labels(experiment)

    async def run_rows(work: BatchInput, ctx: "DurableContext") -> BatchOutput:
        async with leave.hands_over(client, ctx):
            return await run(work, ctx)

    async def run(work: BatchInput, ctx: "DurableContext") -> BatchOutput:
        plan = await asyncio.to_thread(plan_at, work.root_uri, work.run_id, work.plan)
        batch = batch_of(work, plan, queue_id=ctx.workflow_run_id)
        if not batch.rows:
            wake(ctx)
            return BatchOutput(succeeded=0, failed=0, seconds=0.0)
        runner = await asyncio.to_thread(RowsRunner, cast("RunAddress", batch.run), experiment)
        rows = await asyncio.to_thread(runner.rows, batch)
        # of whom a row's spec is none, nothing is started
        items = [
            experiment.workflow.create_bulk_run_item(
                input=row.spec,
                additional_metadata={
                    **metadata(experiment, work.run_id, row=str(row.number)),
                    BATCH_OF: work.run_id,
                },
                desired_worker_labels=None
                if labels is None
                else [*needs_code(experiment.name, work.code), *labels],
            )
            for row in rows
            if not isinstance(row.spec, Failure)
        ]
        began = time.monotonic()
        refs: list[WorkflowRunRef] = []
        for i in range(0, len(items), _AT_ONCE):
            refs += await experiment.workflow.aio_run_many(
                items[i : i + _AT_ONCE], wait_for_result=False
            )
        waiting = asyncio.gather(*[_answer(client, experiment, ref, began) for ref in refs])
        try:
            await leave.wait_for_one(waiting)
            rest = iter(await waiting)
        finally:
            waiting.cancel()
        answers = [
            Answer(row.spec, 0.0) if isinstance(row.spec, Failure) else next(rest) for row in rows
        ]
        reports = [
            await asyncio.to_thread(runner.commit, batch.piece(start, stop), rows[start:stop], some)
            for start, stop, some in _answered(answers)
        ]
        lost = answers.count(None)
        if lost:
            message = (
                f"{lost} runs of {experiment.name} were cancelled: their specs have no outcome. "
                f"Run them with: scythe resume {work.run_id}"
            )
            raise NonRetryableException(message)
        return BatchOutput(
            succeeded=sum(report.succeeded for report in reports),
            failed=sum(report.failed for report in reports),
            seconds=round(max(report.seconds for report in reports), 3),
        )

    return run_rows


def _answered(answers: Sequence[Answer | None]) -> Iterator[tuple[int, int, list[Answer]]]:
    """Yield from where to where (exclusive) there are answers without a gap, and the answers."""
    start = 0
    for there, group in groupby(answers, key=lambda answer: answer is not None):
        some = list(group)
        stop = start + len(some)
        if there:
            yield start, stop, cast("list[Answer]", some)
        start = stop


def _labels(experiment: WorkflowExperiment) -> "list[DesiredWorkerLabel] | None":
    """Return the labels that all tasks of a workflow want; None where they differ.

    Labels that come with a run replace those of its tasks.
    """
    wanted = [task.desired_worker_labels for task in experiment.workflow.tasks]
    return list(wanted[0]) if all(one == wanted[0] for one in wanted) else None


async def _answer(
    client: "Hatchet", experiment: WorkflowExperiment, ref: "WorkflowRunRef", began: float
) -> Answer | None:
    """Wait for a run of the workflow; its answer may be lost where the engine restarts, so it is asked for too.

    Returns:
        None where the run was cancelled: Hatchet answers with what its tasks had returned until then.
    """
    while True:
        waiting = asyncio.create_task(ref.aio_result())
        await asyncio.wait({waiting}, timeout=_ASK_S)
        if not waiting.done():
            status = await asyncio.to_thread(_status, client, ref.workflow_run_id)
            if status in ENDED:
                await asyncio.wait({waiting}, timeout=5.0)
            elif status is not None:
                await asyncio.wait({waiting}, timeout=_ASK_S)
        if waiting.done():
            break
        waiting.cancel()
        await asyncio.wait({waiting})
    seconds = time.monotonic() - began
    error = waiting.exception()
    value = _failure(error) if error is not None else waiting.result()
    # a task that was cancelled may have told of it as an error
    whole = isinstance(value, dict) and all(name in value for name in experiment.last_tasks)
    if not whole and await _was_cancelled(client, ref.workflow_run_id):
        return None
    return Answer(value, seconds)


async def _was_cancelled(client: "Hatchet", run_id: str) -> bool:
    """Return whether a run without a whole answer was cancelled; one that a task ended has failed instead.

    Hatchet may show a run as completed though its last task was cancelled, for a moment or for good. What it
    does not show to have failed counts as cancelled: nothing is known of its spec.
    """
    deadline = time.monotonic() + _SHOWN_S
    while time.monotonic() < deadline:
        status = await asyncio.to_thread(_status, client, run_id)
        if status in {"FAILED", "CANCELLED"}:
            return status == "CANCELLED"
        await asyncio.sleep(0.5)
    return True


def _status(client: "Hatchet", run_id: str) -> str | None:
    try:
        return str(client.runs.get_status(run_id).value)
    except Exception:  # noqa: BLE001 - the engine is away for a while
        return None


def _failure(error: BaseException) -> Failure:
    """Return what a run of the workflow raised, with the type and traceback that the task's worker saw."""
    inner = getattr(error, "exceptions", None)
    first: Any = inner[0] if inner else error
    trace = getattr(first, "trace", None)
    if not trace:
        return Failure(WorkflowFailed.__name__, str(first), None, None)
    return Failure(first.exc_type, str(first.exc), _where(trace), trace)


def _where(trace: str) -> str | None:
    """Return file and line of the last frame of a traceback's text that is not a library's."""
    lines = [line.strip() for line in trace.splitlines()]
    frames = [line for line in lines if line.startswith('File "') and "site-packages" not in line]
    if not frames:
        return None
    path, _, rest = frames[-1].removeprefix('File "').partition('"')
    number = rest.removeprefix(", line ").partition(",")[0]
    return f"{path.rpartition('/')[2]}:{number}"
