"""What has been committed: one listing of outcome parts, read against the plans."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from scythe_runtime.batches import Rows
from scythe_runtime.layout import PartName, RunLayout
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

    def parts_of(self, kind: str) -> list[Part]:
        """Return the parts of the plans of a kind."""
        return [part for part in self.parts if part.plan.kind == kind]


def read_ledger(store: Store, layout: RunLayout, num_specs: int) -> Ledger:
    """Return what a run has committed so far."""
    plans = read_plans(store, layout)
    by_id = {plan.id: plan for plan in plans}
    order = {plan.id: i for i, plan in enumerate(plans)}
    found: dict[tuple[int, int, int, int], Part] = {}
    for entry in store.list(layout.outcomes):
        plan_id, _, file_name = entry.key.removeprefix(layout.outcomes).partition("/")
        name = PartName.parse(file_name)
        plan = by_id.get(plan_id)
        if name is None or plan is None:
            continue
        # a queue can run a batch twice at once: one part a piece counts
        found.setdefault(
            (order[plan_id], name.batch, name.offset, name.length), Part(entry.key, plan, name)
        )
    return Ledger(num_specs, tuple(plans), tuple(_once(found)))


def _once(found: dict[tuple[int, int, int, int], Part]) -> Iterator[Part]:
    """Yield the parts without those whose rows are all in another of the same batch.

    A slot that dies after it has committed leaves a part, and its batch is run again in pieces.
    """
    batch, end = (-1, -1), 0
    for place in sorted(found, key=lambda place: (*place[:3], -place[3])):
        stop = place[2] + place[3]
        if place[:2] != batch or stop > end:
            batch, end = place[:2], stop
            yield found[place]
