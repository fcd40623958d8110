"""Batches: what is dispatched, and what a slot process is asked to do.

Everything that crosses to a slot is one of the small values below, as JSON. The outcome of a batch is
what it commits in the store; what comes back through an engine is only a count.
"""

from dataclasses import dataclass
from typing import Any

Rows = tuple[range, ...]
"""Rows of specs.pq in the order in which a batch runs them; a stride is a range's step."""


def row_at(rows: Rows, index: int) -> int:
    """Return the row at a position.

    Raises:
        IndexError: There is no such position.
    """
    for part in rows:
        if index < len(part):
            return part[index]
        index -= len(part)
    raise IndexError(index)


def slice_rows(rows: Rows, start: int, stop: int) -> Rows:
    """Return the rows at positions start to stop (exclusive), in order."""
    found: list[range] = []
    for part in rows:
        piece = part[max(start, 0) : max(stop, 0)]
        if piece:
            found.append(piece)
        start -= len(part)
        stop -= len(part)
    return tuple(found)


def count_rows(rows: Rows) -> int:
    """Return how many rows there are."""
    return sum(map(len, rows))


@dataclass(frozen=True, slots=True)
class TaskRef:
    """How a slot process finds the function.

    Attributes:
        module: The module that registers it when imported; "__main__" for a script's own.
        name: Its name in the registry.
        main_path: The script's file where `module` is "__main__".
        sys_path: The import path of the process that allocated.
    """

    module: str
    name: str
    main_path: str | None
    sys_path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunAddress:
    """Where a slot process finds the run of a batch.

    Attributes:
        root_uri: The store's root.
        run_id: The run.
        task_name: The experiment's name in the registry.
        root_run_id: The queue's id of the run.
    """

    root_uri: str
    run_id: str
    task_name: str
    root_run_id: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the engine found out about a row whose function cannot tell: it died or overran its time.

    Attributes:
        error_type: For instance "SlotDied" or "TimedOut".
        message: For instance "killed by SIGKILL", "timed out after 60 s".
        seconds: How long the row had been running.
    """

    error_type: str
    message: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that one slot runs one after another; the unit of dispatch and of commit.

    A batch that lost its slot goes on in pieces: same plan and id, the rows at [offset, offset + n)
    of the original batch.

    Attributes:
        plan: The plan that it belongs to.
        id: Its number in that plan.
        rows: What to run, in order.
        offset: Where `rows` begin within the batch as planned.
        verdict: Record this for every row (there is one) instead of calling the function.
        queue_id: The queue's own id of the task that carries it, for the outcome rows.
        run: The run that it belongs to.
    """

    plan: str
    id: int
    rows: Rows
    offset: int = 0
    verdict: Verdict | None = None
    queue_id: str | None = None
    run: RunAddress | None = None

    def piece(self, start: int, stop: int, verdict: Verdict | None = None) -> "Batch":
        """Return the piece at positions start to stop of this batch (or piece)."""
        return Batch(
            plan=self.plan,
            id=self.id,
            rows=slice_rows(self.rows, start, stop),
            offset=self.offset + start,
            verdict=verdict,
            queue_id=self.queue_id,
            run=self.run,
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        verdict, run = self.verdict, self.run
        return {
            "plan": self.plan,
            "id": self.id,
            "rows": [[r.start, r.stop, r.step] for r in self.rows],
            "offset": self.offset,
            "verdict": verdict and [verdict.error_type, verdict.message, verdict.seconds],
            "queue_id": self.queue_id,
            "run": run and [run.root_uri, run.run_id, run.task_name, run.root_run_id],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Batch":
        """Return what `to_json` wrote."""
        verdict, run = value.get("verdict"), value.get("run")
        return cls(
            plan=value["plan"],
            id=value["id"],
            rows=tuple(range(*r) for r in value["rows"]),
            offset=value.get("offset", 0),
            verdict=Verdict(*verdict) if verdict else None,
            queue_id=value.get("queue_id"),
            run=RunAddress(*run) if run else None,
        )


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What a slot says of a batch that it committed.

    Attributes:
        succeeded: Rows with a result.
        failed: Rows with a failure.
        seconds: Time in the batch, in seconds, commit included.
        user_seconds: Time in the user's function.
    """

    succeeded: int
    failed: int
    seconds: float
    user_seconds: float
