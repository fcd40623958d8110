"""What passes between the threads that want batches run and the thread that watches the slots."""

from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from scythe_runtime.batches import Batch, BatchReport
from scythe_runtime.errors import EngineError


@dataclass(eq=False, slots=True)
class Job:
    """A batch as somebody asked for it, and where to tell what becomes of it.

    Attributes:
        batch: The batch.
        events: Takes what becomes of it.
        open: Pieces that are not committed.
        withdrawn: Nobody wants it any more.
        said: Takes lines that its specs have logged, on the thread that watches the slots.
    """

    batch: Batch
    events: "SimpleQueue[Event]"
    open: int = 1
    withdrawn: bool = False
    said: Callable[[list[str]], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Committed:
    """A piece of a job has been committed; `last`: and so all of it."""

    job: Job
    piece: Batch
    report: BatchReport
    last: bool


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was left of a job has been dropped before a slot began it."""

    job: Job


Event = Committed | Dropped | EngineError
