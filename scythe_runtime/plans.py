"""Plans: which rows are run in which batches. Written once, before anything is dispatched."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from scythe_runtime.batches import Batch, Rows, RunAddress, count_rows, slice_rows
from scythe_runtime.errors import AlreadyExistsError, RunDamagedError
from scythe_runtime.layout import PartName, RunLayout
from scythe_runtime.store import Store

PlanKind = Literal["canary", "main", "resume", "retry"]


@dataclass(frozen=True, slots=True)
class Plan:
    """Rows in an order, cut into batches of one size.

    Attributes:
        id: `<number>-<kind>`, for a node of the tree followed by its path: "0001-main.0.3".
            The newest plan has the highest number.
        rows: What it runs, in order.
        batch_size: Specs a batch.
        batch_seconds: How long a batch is expected to take, where that is known.
    """

    id: str
    rows: Rows
    batch_size: int
    batch_seconds: float | None = None

    @property
    def number(self) -> int:
        """Its place in the sequence of plans."""
        return int(self.id.split("-", 1)[0])

    @property
    def kind(self) -> str:
        """Why it was made."""
        return self.id.split("-", 1)[1].split(".", 1)[0]

    @property
    def num_rows(self) -> int:
        """How many specs it runs."""
        return count_rows(self.rows)

    @property
    def num_batches(self) -> int:
        """In how many batches."""
        return -(-self.num_rows // self.batch_size)

    def batches(self, run: RunAddress) -> Iterator[Batch]:
        """Yield its batches, in order."""
        for i in range(self.num_batches):
            start = i * self.batch_size
            rows = slice_rows(self.rows, start, start + self.batch_size)
            yield Batch(self.id, i, rows, run=run)

    def rows_of(self, part: PartName) -> Rows:
        """Return the rows that an outcome part of this plan covers."""
        start = part.batch * self.batch_size + part.offset
        return slice_rows(self.rows, start, start + part.length)

    def to_json(self) -> bytes:
        """Return its stored form."""
        rows = [[r.start, r.stop, r.step] for r in self.rows]
        value = {"id": self.id, "batch_size": self.batch_size, "rows": rows}
        if self.batch_seconds is not None:
            value["batch_seconds"] = round(self.batch_seconds, 6)
        return json.dumps(value).encode()

    @classmethod
    def from_json(cls, data: bytes) -> "Plan":
        """Return what `to_json` wrote.

        Raises:
            RunDamagedError: It is no plan.
        """
        try:
            value = json.loads(data)
            rows = tuple(range(*map(int, r)) for r in value["rows"])
            seconds = value.get("batch_seconds")
            return cls(
                str(value["id"]),
                rows,
                max(1, int(value["batch_size"])),
                float(seconds) if seconds is not None else None,
            )
        except (ValueError, KeyError, TypeError) as error:
            message = f"a plan of this run cannot be read: {error!r}"
            raise RunDamagedError(message) from None


def write_plan(store: Store, layout: RunLayout, plan: Plan) -> Plan:
    """Write a plan, and return the one that stands: an earlier writer's, if there was one."""
    key = layout.plan(plan.id)
    try:
        store.put(key, plan.to_json(), create=True)
    except AlreadyExistsError:
        return Plan.from_json(store.get(key))
    return plan


def read_plans(store: Store, layout: RunLayout) -> list[Plan]:
    """Return a run's plans, the oldest first.

    Raises:
        RunDamagedError: One cannot be read.
    """
    plans = []
    for entry in store.list(layout.plans):
        if entry.key.endswith(".json"):
            try:
                plans.append(Plan.from_json(store.get(entry.key)))
            except RunDamagedError as error:
                message = (
                    f"{entry.key}: {error}. Bring it back; or delete it, and what it ran is run again: "
                    f"scythe resume {layout.run_id}"
                )
                raise RunDamagedError(message) from None
    return sorted(plans, key=lambda plan: (plan.number, plan.id))


def rows_without(total: range, excluded: Iterable[int]) -> Rows:
    """Return a progression without some of its rows, as progressions between them."""
    holes = sorted(total.index(row) for row in set(excluded) if row in total)
    pieces = []
    start = 0
    for hole in holes:
        pieces.append(total[start:hole])
        start = hole + 1
    pieces.append(total[start:])
    return tuple(piece for piece in pieces if piece)


def rows_from(numbers: Sequence[int]) -> Rows:
    """Return ascending row numbers as progressions of step 1."""
    pieces: list[range] = []
    for row in numbers:
        if pieces and pieces[-1].stop == row:
            pieces[-1] = range(pieces[-1].start, row + 1)
        else:
            pieces.append(range(row, row + 1))
    return tuple(pieces)


def leaves(total: range, *, factor: int, max_depth: int) -> Iterator[tuple[str, range]]:
    """Yield the nodes of the scatter tree that run specs, each with its path and its rows.

    A node is a leaf when it has at most `factor` rows or stands at `max_depth`; else its child k takes
    every factor-th row from its k-th on (a grid stride).
    """
    yield from _leaves("", total, factor, max_depth)


def _leaves(path: str, rows: range, factor: int, depth: int) -> Iterator[tuple[str, range]]:
    if depth == 0 or len(rows) <= factor:
        if rows:
            yield path, rows
        return
    for k in range(factor):
        yield from _leaves(f"{path}.{k}", rows[k::factor], factor, depth - 1)
