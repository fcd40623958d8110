"""An engine without processes: batches run where the test runs, in an order that the test chooses."""

import random
from collections.abc import Callable, Iterable
from typing import Any

from scythe_runtime.batch import Runners
from scythe_runtime.batches import Batch, TaskRef
from scythe_runtime.root import Ending, Progress, Root


class InlineEngine:
    """Runs each step's batches in this process.

    Args:
        skip: Batches that are lost: they are never run.
        seed: Shuffles the batches of a step; None keeps their order.
        twice: Batches that run twice, as a queue may do it.
    """

    name = "inline"
    batch_seconds = 0.5

    def __init__(
        self,
        *,
        slots: int = 2,
        skip: Callable[[Batch], bool] = lambda _: False,
        twice: Callable[[Batch], bool] = lambda _: False,
        seed: int | None = None,
    ) -> None:
        self.slots = slots
        self.task = TaskRef("sample_tasks", "", None, ())
        self.batches: list[Batch] = []
        self._skip = skip
        self._twice = twice
        self._seed = seed

    def prepare(self, _experiment: Any, *, timeout_s: float | None) -> Any:
        """Return itself."""
        del timeout_s
        return self

    def check(self, _store: Any) -> None:
        """Do nothing."""

    def lead(self, root: Root) -> "InlineDriver":
        """Run everything now."""
        runners = Runners()
        for step in root.steps():
            for batch in self._order(step):
                self.batches.append(batch)
                if self._skip(batch):
                    continue
                report = runners.run(batch, lambda _: None)
                if self._twice(batch):
                    runners.run(batch, lambda _: None)
                root.record(batch, report)
            if root.over_budget:
                break
        return InlineDriver(root.finish(), root)

    def close(self) -> None:
        """Do nothing."""

    def _order(self, step: Iterable[Batch]) -> list[Batch]:
        batches = list(step)
        if self._seed is not None:
            random.Random(self._seed).shuffle(batches)
        return batches


class InlineDriver:
    """A run that has ended."""

    def __init__(self, ending: Ending, root: Root) -> None:
        self._ending = ending
        self._root = root

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return True."""
        del timeout_s
        return True

    def ending(self) -> Ending:
        """Return how it ended."""
        return self._ending

    def progress(self) -> Progress:
        """Return how far it is."""
        return self._root.progress()

    def cancel(self) -> None:
        """Do nothing."""
