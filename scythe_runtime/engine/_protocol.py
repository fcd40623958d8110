"""The contracts of engines: what runs batches, and what runs in a slot."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from scythe_runtime.batches import Batch, BatchReport, TaskRef

if TYPE_CHECKING:
    from scythe_runtime.registry import Experiment
    from scythe_runtime.root import Ending, Progress, Root
    from scythe_runtime.store import Store


class Driver(Protocol):
    """A run under way."""

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return whether the run has ended, waiting for it."""
        ...

    def ending(self) -> "Ending":
        """Return how the run ended; raises what the engine failed of."""
        ...

    def progress(self) -> "Progress":
        """Return how far the run is."""
        ...

    def cancel(self) -> None:
        """End the run soon; what is not committed stays for `resume`."""
        ...

    def interrupt(self) -> str:
        """Do what Ctrl-C of whoever waits means here, and return how to go on."""
        ...


class Prepared(Protocol):
    """Slots, or a queue, ready for one run.

    Attributes:
        task: How slots find the function.
    """

    task: "TaskRef"

    def check(self, store: "Store") -> None:
        """Raise what keeps runs in that store from beginning; nothing has been written yet."""
        ...

    def lead(self, root: "Root") -> Driver:
        """Begin a run."""
        ...

    def close(self) -> None:
        """Give the slots up: the run does not take place."""
        ...


class Engine(Protocol):
    """Runs batches.

    Attributes:
        name: As in SCYTHE_ENGINE.
        slots: How many batches run at a time.
        batch_seconds: How much work a batch shall hold, in seconds.
    """

    name: str
    slots: int
    batch_seconds: float

    def prepare(self, experiment: "Experiment[Any, Any]", *, timeout_s: float | None) -> Prepared:
        """Get ready to run an experiment; returns at once."""
        ...


class BatchRunner(Protocol):
    """What lives in a slot process: made once, then asked for batches.

    `scythe_runtime.batch.Runners()` is the real one. The function is already registered when it is
    made.
    """

    def run(self, batch: Batch, progress: Callable[[int], None]) -> BatchReport:
        """Run the rows of a batch, commit one outcome part, and return its counts.

        Calls `progress(row)` before each row's function and `progress(-1)` after the last one.
        The user's exceptions are outcomes; what it raises is the runtime's own trouble (a store
        that is gone), and the batch has not been committed.
        """
        ...
