"""The root of a run: canary, batch size, plan, batches, gather. The same for every engine.

An engine asks for `steps()`, runs the batches of each step, tells `record()` what came of them, and
asks for the next step. What has been done is read from the store, never from the engine.
"""

import datetime as dt
import statistics
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from scythe_runtime.batch import RunIds
from scythe_runtime.batches import Batch, BatchReport, Rows, RunAddress
from scythe_runtime.columns import columns_of, kind_in, numbers_of
from scythe_runtime.gather import Gather, Gathered
from scythe_runtime.layout import RunLayout
from scythe_runtime.ledger import Ledger, Part, read_ledger, read_part
from scythe_runtime.manifest import Counts, ExperimentRunManifest, State, write_manifest
from scythe_runtime.plans import Plan, leaves, rows_from, rows_without, write_plan
from scythe_runtime.registry import Experiment
from scythe_runtime.scatter_gather import RecursionMap
from scythe_runtime.specs import SpecsReader, open_specs, require_run
from scythe_runtime.store import Store, without_rereading

_LONGEST_LOG_BYTES: Final = 10 * 1024**2

CANARY_SIZE: Final = 8
"""Runs of more specs than this start with a canary of this many."""

CANARY_PLAN: Final = "0000-canary"
MAIN_PLAN: Final = "0001-main"
"""Of the root; a node's path follows."""

_OVERHEAD_S: Final = 5e-6
_COLD_S: Final = 5e-5
"""How much longer the first spec of a batch takes, as all of a canary's are."""
_LARGEST_BATCH: Final = 20_000
_BATCHES_A_SLOT: Final = 4

Mode = Literal["start", "resume", "retry"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        phase: "canary", "run", "gather" or "done".
        specs: All specs.
        succeeded: Specs with a committed result.
        failed: Specs with a committed failure.
        running_s: Seconds since the run began.
        eta_s: Seconds that are left, by the rate so far; None while it is not known.
        rate: Specs a second of those that are run now, without those that were there before.
    """

    phase: str
    specs: int
    succeeded: int
    failed: int
    running_s: float
    eta_s: float | None
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a root ended."""

    state: State
    counts: Counts
    uris: dict[str, str]
    cause: str | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Scatter:
    """The main step of a run. Iterating it yields the batches of all nodes of the tree.

    An engine that spreads nodes over machines does with `tree` and `plan` what the iterator does here.

    Attributes:
        tree: How the specs are split.
        num_specs: How many there are.
        plan: The root's own plan without its rows: it fixes the size of batches.
        canary: Rows that the canary has run.
    """

    tree: RecursionMap
    num_specs: int
    plan: Plan
    canary: tuple[int, ...]
    batches: Callable[["Scatter"], Iterator[Batch]]

    def __iter__(self) -> Iterator[Batch]:
        return self.batches(self)


class Root:
    """Leads one run from its specs to its final tables.

    Args:
        store: Where it lives.
        layout: Its keys.
        manifest: Its record as it stands.
        experiment: Whose specs they are.
        slots: How many slots the engine has.
        batch_seconds: How much work a batch shall hold, in seconds.
        mode: "start"; "resume" runs what has no outcome, "retry" what has failed.
        plan_number: Of the plan that resume or retry makes; by default the next one. An engine that may
            begin a root twice has to fix it.
        whole_if_short: Make one batch a slot where the run is shorter than a batch shall be.
        clock: Seconds, for rates.

    Attributes:
        store: Where it lives.
        address: Where slots find it.
        mode: As given.
        num_specs: How many specs it has.
    """

    def __init__(
        self,
        *,
        store: Store,
        layout: RunLayout,
        manifest: ExperimentRunManifest,
        experiment: Experiment[Any, Any],
        slots: int,
        batch_seconds: float,
        mode: Mode = "start",
        plan_number: int | None = None,
        whole_if_short: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self._store = without_rereading(store, layout.plans, layout.outcomes)
        self._layout = layout
        self._manifest = manifest
        self._experiment = experiment
        self._slots = slots
        self._batch_seconds = batch_seconds
        self.mode = mode
        self._plan_number = plan_number
        self._whole_if_short = whole_if_short
        self._clock = clock
        self.address = RunAddress(
            store.root_uri, layout.run_id, experiment.name, manifest.workflow_run_id
        )
        self._specs: SpecsReader | None = None
        self._lock = threading.Lock()
        self._began = clock()
        self._phase = "canary"
        self._phase_began = self._began
        self.num_specs = manifest.counts.specs if manifest.counts else 0
        self._before = (0, 0)
        self._failed_earlier = 0
        self._succeeded = self._failed = 0
        self._to_run = self.num_specs
        self._state: State = "dispatched"
        self._cause: str | None = None

    def steps(self) -> Iterator[Iterable[Batch]]:
        """Yield the batches of one step after another; each step has to end before the next is asked for."""
        ledger = self._ledger()
        failed = self._failed_earlier = ledger.num_failed
        self._before = (ledger.num_done - failed, failed)
        if self.mode == "retry":
            yield from self._step(self._next_plan(ledger, "retry", self._failed_rows(ledger)))
            return
        if self.mode == "resume":
            yield from self._step(self._next_plan(ledger, "resume", ledger.missing))
            return
        canary: tuple[int, ...] = ()
        if self.num_specs > CANARY_SIZE and self._manifest.batch_size is not None:
            canary = tuple(canary_rows(self._reader()))
            yield self._write(Plan(CANARY_PLAN, rows_from(sorted(canary)), 1)).batches(self.address)
            ledger = self._ledger()
            self._cause = self._one_cause(ledger)
            if self._cause is not None:
                self._state = "stopped"
                return
        self._enter("run")
        tree = RecursionMap.model_validate(
            self._manifest.recursion_map or {"factor": 10, "max_depth": 0}
        )
        plan = Plan(MAIN_PLAN, (), *self._size_of_batches(ledger))
        yield Scatter(tree, self.num_specs, plan, canary, self._main_batches)

    def _main_batches(self, scatter: Scatter) -> Iterator[Batch]:
        """Yield the batches of all nodes of the tree; a node's plan stands before its batches are seen."""
        tree = scatter.tree
        nodes = leaves(range(self.num_specs), factor=tree.factor, max_depth=tree.max_depth)
        for path, rows in nodes:
            wanted = rows_without(rows, scatter.canary)
            if wanted:
                plan = replace(scatter.plan, id=f"{MAIN_PLAN}{path}", rows=wanted)
                yield from self._write(plan).batches(self.address)

    def _step(self, plan: Plan | None) -> Iterator[Iterable[Batch]]:
        self._enter("run")
        if plan is not None:
            yield self._write(plan).batches(self.address)

    def _write(self, plan: Plan) -> Plan:
        require_run(self._store, self._layout)
        return write_plan(self._store, self._layout, plan)

    def _next_plan(self, ledger: Ledger, kind: str, rows: Rows) -> Plan | None:
        number = next_plan_number(ledger) if self._plan_number is None else self._plan_number
        plan_id = f"{number:04d}-{kind}"
        for plan in ledger.plans:
            if plan.id == plan_id:  # this root has begun before
                return plan
        self._to_run = sum(map(len, rows))
        return Plan(plan_id, rows, *self._size_of_batches(ledger)) if rows else None

    def record(self, _batch: Batch, report: BatchReport) -> None:
        """Count what came of a batch."""
        with self._lock:
            self._succeeded += report.succeeded
            self._failed += report.failed

    def recount(self) -> None:
        """Count what has been committed by whomever, where nobody tells."""
        ledger = self._ledger()
        failed = ledger.num_failed
        with self._lock:
            self._before = (ledger.num_done - failed, failed)
            self._succeeded = self._failed = 0

    @property
    def has_budget(self) -> bool:
        """Whether `max_failures` is set."""
        return self._manifest.max_failures is not None

    @property
    def over_budget(self) -> bool:
        """Whether more specs have failed than `max_failures` allows."""
        budget = self._manifest.max_failures
        if budget is None:
            return False
        allowed = budget * self.num_specs if isinstance(budget, float) else budget
        # a resume has a budget of its own: it was asked for in the knowledge of what had failed
        return self._before[1] + self._failed - self._failed_earlier > allowed

    def progress(self) -> Progress:
        """Return how far the run is, for a progress line."""
        now = self._clock()
        with self._lock:
            done = self._succeeded + self._failed
            left = self._to_run - done
            spent = now - self._phase_began
            eta = spent / done * left if done and self._phase == "run" and spent > 0 else None
            return Progress(
                phase=self._phase,
                specs=self.num_specs,
                succeeded=self._before[0] + self._succeeded,
                # a spec that is tried again is no failure until it fails again
                failed=self._before[1] + self._failed - (done if self.mode == "retry" else 0),
                running_s=now - self._began,
                eta_s=eta,
                rate=done / (now - self._began) if done and now > self._began else None,
            )

    def finish(self, *, stopped_by: str | None = None) -> Ending:
        """Gather what there is, write the final tables and the manifest, and return how it ended.

        Args:
            stopped_by: Why the run ends early, if it does ("interrupted", an engine's error).
        """
        self._enter("gather")
        require_run(self._store, self._layout)
        ledger = self._ledger()
        gathered = self._gather(ledger)
        counts = Counts(
            specs=self.num_specs,
            succeeded=gathered.succeeded,
            failed=gathered.failed,
            pending=self.num_specs - gathered.succeeded - gathered.failed,
        )
        if self._state != "stopped":
            if counts.pending:
                self._state = "paused" if self.over_budget else "dispatched"
                self._cause = stopped_by
                if self._state == "paused":
                    self._cause = (
                        f"{counts.failed} failures, max_failures is {self._manifest.max_failures}"
                    )
            else:
                self._state = "complete-with-failures" if counts.failed else "complete"
        seconds = self._clock() - self._began
        manifest = self._manifest.model_copy(
            update={
                "state": self._state,
                "counts": counts,
                "cause": self._cause,
                "finished": dt.datetime.now(dt.UTC),
                "seconds": round((self._manifest.seconds or 0.0) + seconds, 3),
                "slots": self._slots,
                "gathered": ledger.digest,
            }
        )
        write_manifest(self._store, self._layout, manifest)
        self._enter("done")
        return Ending(self._state, counts, gathered.uris, self._cause, seconds)

    def keep_logs(self, folder: Path) -> None:
        """Put what slots have printed into the run; of long logs the end."""
        for path in sorted(folder.glob("*.log")):
            size_bytes = path.stat().st_size
            if size_bytes:
                with path.open("rb") as file:
                    file.seek(max(0, size_bytes - _LONGEST_LOG_BYTES))
                    self._store.put(self._layout.log(path.name), file.read())

    def _gather(self, ledger: Ledger) -> Gathered:
        return Gather(
            store=self._store,
            layout=self._layout,
            outputs=columns_of(self._experiment.output_validator_type, without={"dataframes"}),
            specs=self._reader(),
            ledger=ledger,
            root_run_id=self._manifest.workflow_run_id,
        ).write()

    def _reader(self) -> SpecsReader:
        if self._specs is None:
            self._specs = open_specs(self._store, self._layout)
        return self._specs

    def _ledger(self) -> Ledger:
        return read_ledger(self._store, self._layout, self.num_specs)

    def _enter(self, phase: str) -> None:
        self._phase = phase
        self._phase_began = self._clock()
        if phase == "run":
            with self._lock:
                self._before = (
                    self._before[0] + self._succeeded,
                    self._before[1] + self._failed,
                )
                if self.mode == "start":
                    self._to_run = self.num_specs - sum(self._before)
                self._succeeded = self._failed = 0

    def _size_of_batches(self, ledger: Ledger) -> tuple[int, float | None]:
        """Return how many specs a batch shall hold, by what the canary (or the run so far) took.

        Returns:
            The size, and how many seconds a batch of that size is expected to take, where known.
        """
        sample = [part for part in ledger.parts if part.name.succeeded][:CANARY_SIZE]
        seconds = [s for part in sample for s in self._column(part, "seconds")[:CANARY_SIZE]]
        each = max(statistics.median(seconds or [0.0]) - _COLD_S, 0.0) + _OVERHEAD_S
        given = self._manifest.batch_size
        if isinstance(given, int):
            size = given
        else:
            short = self._whole_if_short and each * self._to_run < self._batch_seconds * self._slots
            shares = self._slots * (1 if short else _BATCHES_A_SLOT)
            fair = -(-self._to_run // shares)
            size = max(1, min(int(self._batch_seconds / each), fair, _LARGEST_BATCH))
        return size, each * size if seconds else None

    def _one_cause(self, ledger: Ledger) -> str | None:
        """Return the one cause of which all specs of the canary failed, or None."""
        parts = ledger.parts_of("canary")
        if not parts or any(part.name.succeeded for part in parts):
            return None
        causes: set[tuple[str, str | None]] = set()
        message = ""
        for part in parts:
            table = read_part(self._store, part)
            types, where = (
                table.column("error_type").to_pylist(),
                table.column("error_where").to_pylist(),
            )
            causes.update(zip(types, where, strict=True))
            message = message or str(table.column("error_message")[0].as_py())
        if len(causes) > 1:
            return None
        ((error_type, where_),) = causes
        return f"{error_type}: {message}" + (f" ({where_})" if where_ else "")

    def _failed_rows(self, ledger: Ledger) -> Rows:
        failed: list[int] = []
        for index, part in enumerate(ledger.parts):
            if not part.name.failed:
                continue
            ok = self._column(part, "ok")
            numbers = chain(*part.rows)
            failed += [
                row
                for row, good in zip(numbers, ok, strict=True)
                if not good and ledger.owner[row] == index
            ]
        return rows_from(sorted(failed))

    def _column(self, part: Part, name: str) -> list[Any]:
        values: list[Any] = read_part(self._store, part).column(name).to_pylist()
        return values


def next_plan_number(ledger: Ledger) -> int:
    """Return the number of the next plan; below 2 are canary and main, whether they exist or not."""
    return max([1, *(plan.number for plan in ledger.plans)]) + 1


def root_run_id(run_id: str) -> str:
    """Return the id of a run where no queue gives it one."""
    return RunIds(run_id).root


def canary_rows(specs: SpecsReader) -> list[int]:
    """Return up to 8 rows that stand for a run: first, last, and the extremes of its inputs."""
    last = specs.num_rows - 1
    rows = dict.fromkeys((0, last))
    extremes: dict[str, tuple[float, int, float, int]] = {}
    numeric = [
        f.name for f in specs.schema if kind_in(f) in {"float", "int"} and f.name != "sort_index"
    ]
    for start, group in specs.groups(numeric):
        for name in numeric:
            values = _numbers(group.column(name))
            if values is None or not len(values):
                continue
            low, high = int(values.argmin()), int(values.argmax())
            known = extremes.get(name)
            if known is None or values[low] < known[0]:
                known = (
                    values[low],
                    start + low,
                    *(known[2:] if known else (values[high], start + high)),
                )
            if values[high] > known[2]:
                known = (*known[:2], values[high], start + high)
            extremes[name] = known
    for low_value, low_row, high_value, high_row in extremes.values():
        if low_value != high_value:
            rows.setdefault(low_row)
            rows.setdefault(high_row)
    spread = np.linspace(0, last, CANARY_SIZE).astype(int).tolist()
    for row in spread:
        rows.setdefault(row)
    return sorted(list(rows)[:CANARY_SIZE])


def _numbers(column: Any) -> "np.ndarray[Any, Any] | None":
    """Return a column without nulls as numbers, by its buffers: `to_numpy` imports pandas."""
    pieces = numbers_of(column)
    if pieces is None:
        return None
    values = np.concatenate(pieces) if pieces else np.empty(0)
    return None if np.isnan(values.astype(float)).any() else values
