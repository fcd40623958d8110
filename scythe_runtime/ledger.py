"""What has been committed: one listing of outcome parts, read against the plans."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from scythe_runtime.batches import Rows
from scythe_runtime.columns import numbers_of
from scythe_runtime.errors import RunDamagedError
from scythe_runtime.layout import PartName, RunLayout
from scythe_runtime.outcomes import from_ipc, part_metadata
from scythe_runtime.plans import Plan, read_plans, rows_from
from scythe_runtime.store import Store


@dataclass(frozen=True, slots=True)
class Part:
    """An outcome part.

    Attributes:
        key: Where it is stored.
        plan: The plan that it belongs to.
        name: What its name says.
    """

    key: str
    plan: Plan
    name: PartName

    @property
    def rows(self) -> Rows:
        """The rows that it covers, in its order."""
        return self.plan.rows_of(self.name)

    def frame_key(self, name: str) -> str:
        """Return where the rows of a user's frame are stored that belong to it."""
        place = self.name
        return RunLayout(self.run_id).frame_part(
            self.plan.id, name, place.batch, place.offset, place.length
        )

    @property
    def run_id(self) -> str:
        """The run that it is stored in."""
        return self.key.split("/scatter-gather/", 1)[0]


@dataclass(frozen=True)
class Ledger:
    """The parts of a run, in the order of their plans, one a piece of a batch.

    Attributes:
        num_specs: How many specs the run has.
        plans: All plans, the oldest first.
        parts: All parts, those of the oldest plan first.
    """

    num_specs: int
    plans: tuple[Plan, ...]
    parts: tuple[Part, ...]

    @cached_property
    def owner(self) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """For each row the index of the part whose outcome counts (the newest plan's); -1 for none."""
        return self._places[0]

    @cached_property
    def position(self) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """For each row its position in that part."""
        return self._places[1]

    @cached_property
    def _places(
        self,
    ) -> tuple[
        np.ndarray[tuple[int], np.dtype[np.int32]], np.ndarray[tuple[int], np.dtype[np.int32]]
    ]:
        owner = np.full(self.num_specs, -1, dtype=np.int32)
        position = np.zeros(self.num_specs, dtype=np.int32)
        for index, part in enumerate(self.parts):
            at = 0
            for rows in part.rows:
                window = slice(rows.start, rows.stop, rows.step)
                owner[window] = index
                position[window] = np.arange(at, at + len(rows), dtype=np.int32)
                at += len(rows)
        return owner, position

    @property
    def missing(self) -> Rows:
        """The rows that have no outcome."""
        return rows_from(np.flatnonzero(self.owner < 0).tolist())

    @property
    def num_done(self) -> int:
        """How many specs have an outcome."""
        return int((self.owner >= 0).sum())

    @property
    def num_failed(self) -> int:
        """How many specs have failed, by the names of the parts: a spec that is tried again counts once."""
        failed = sum(part.name.failed for part in self.parts)
        retried = sum(part.name.length for part in self.parts if part.plan.kind == "retry")
        return max(0, failed - retried)

    @property
    def digest(self) -> str:
        """What tells this ledger from that of any other moment of the run."""
        keys = "\n".join(part.key for part in self.parts)
        return hashlib.sha256(keys.encode()).hexdigest()[:16]

    def parts_of(self, kind: str) -> list[Part]:
        """Return the parts of the plans of a kind."""
        return [part for part in self.parts if part.plan.kind == kind]


def read_ledger(store: Store, layout: RunLayout, num_specs: int) -> Ledger:
    """Return what a run has committed so far."""
    plans = read_plans(store, layout)
    by_id = {plan.id: plan for plan in plans}
    order = {plan.id: i for i, plan in enumerate(plans)}
    found: dict[tuple[int, int, int], Part] = {}
    for entry in store.list(layout.outcomes):
        plan_id, _, file_name = entry.key.removeprefix(layout.outcomes).partition("/")
        name = PartName.parse(file_name)
        plan = by_id.get(plan_id)
        if name is None or plan is None:
            continue
        # a queue can run a batch twice at once, and a slot can die when it has committed: one part counts
        place = order[plan_id], name.batch * plan.batch_size + name.offset, name.length
        known = found.get(place)
        if known is None or name.succeeded > known.name.succeeded:
            found[place] = Part(entry.key, plan, name)
    return Ledger(num_specs, tuple(plans), tuple(_once(found)))


def read_part(store: Store, part: Part) -> pa.Table:
    """Return the outcomes of a part.

    Raises:
        RunDamagedError: It cannot be read, or it is not the part that its name says.
    """
    path = store.local_path(part.key)
    return part_table(part, path if path is not None else store.get(part.key))


def part_table(part: Part, source: bytes | Path) -> pa.Table:
    """Return the outcomes of a part whose file is here.

    Raises:
        RunDamagedError: It cannot be read, or it is not the part that its name says.
    """
    try:
        table = from_ipc(source)
    except (pa.ArrowException, OSError) as error:
        raise damaged(part, f"cannot be read ({error})") from None
    why = _stranger(part, table)
    if why is not None:
        raise damaged(part, why)
    return table


def frame_table(part: Part, name: str, source: bytes | Path) -> pa.Table:
    """Return the rows of a user's frame that belong to a part, whose file is here.

    Raises:
        RunDamagedError: It cannot be read.
    """
    try:
        return from_ipc(source)
    except (pa.ArrowException, OSError) as error:
        raise damaged(part, f"its rows of {name!r} cannot be read ({error})") from None


def damaged(part: Part, why: str) -> RunDamagedError:
    """Return the error that says what is wrong with a part, and what to do."""
    return RunDamagedError(f"{part.key}: {why}. Delete it, then: scythe resume {part.run_id}")


def _stranger(part: Part, table: pa.Table) -> str | None:
    """Return why a table is not the part that its name says."""
    none = np.arange(0)
    expected = np.concatenate([none, *(np.arange(r.start, r.stop, r.step) for r in part.rows)])
    if table.num_rows != part.name.length:
        return f"has {table.num_rows} rows, its name says {part.name.length}"
    origin = part_metadata(table.schema).get("run", part.run_id)
    if origin != part.run_id:
        return f"is of another run, {origin}"
    if "row" not in table.column_names or table.schema.field("row").type != pa.int64():
        return "is no outcome part"
    rows = numbers_of(table.column("row"))
    if rows is None or not np.array_equal(np.concatenate([none, *rows]), expected):
        return "holds the outcomes of other specs than its plan says"
    return None


def _once(found: dict[tuple[int, int, int], Part]) -> Iterator[Part]:
    """Yield the parts, in order, without those whose rows are all in another one of the same plan.

    A slot that dies after it has committed leaves a part, and its batch is run again in pieces; batches
    that ran together leave one part, and one of them may have run elsewhere too.

    Args:
        found: Parts by the place of their plan, their first position in it, and their length.
    """
    plan, end = -1, 0
    for place in sorted(found, key=lambda place: (*place[:2], -place[2])):
        stop = place[1] + place[2]
        if place[0] != plan or stop > end:
            plan, end = place[0], stop
            yield found[place]
