"""Whether the store has what tasks were to commit: answers of the queue may be lost, and tasks overlooked."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scythe_runtime.engine._hatchet_leaf import store_at
from scythe_runtime.engine._hatchet_tasks import RootInput
from scythe_runtime.errors import StoreError
from scythe_runtime.layout import PartName, RunLayout

_FIRST_LOOK_S: Final = 2.0
_LOOK_S: Final = 10.0
_STILL_S: Final = 30.0
"""After so long without a commit the queue is nudged, then after twice as long, and so on."""

_SELDOM_S: Final = 1800.0


@dataclass(frozen=True, slots=True)
class Done:
    """When the store has all that children were to commit.

    Attributes:
        work: The run.
        prefix: What the keys of their parts begin with, below the run's outcomes.
        num_rows: How many rows they have.
        batch_size: Specs a batch.
    """

    work: RootInput
    prefix: str
    num_rows: int
    batch_size: int

    async def wait(self, nudge: Callable[[], object]) -> None:
        """Return when all rows are committed, by one listing now and then.

        Args:
            nudge: Puts a task that does nothing into the queue. Hatchet (seen with v0.104.7) can overlook one
                that was queued in the same moment as others, and finds it when it begins the next one.
        """
        pause_s, still_s, patience_s, seen = _FIRST_LOOK_S, 0.0, _STILL_S, -1
        while True:
            await asyncio.sleep(pause_s)
            still_s += pause_s
            pause_s = min(_LOOK_S, 1.3 * pause_s)
            with contextlib.suppress(StoreError):  # looks again
                count = await asyncio.to_thread(self._count)
                if count >= self.num_rows:
                    return
                if count != seen:
                    seen, still_s, patience_s = count, 0.0, _STILL_S
            if still_s >= patience_s:
                still_s, patience_s = 0.0, min(_SELDOM_S, 2 * patience_s)
                with contextlib.suppress(Exception):  # the engine is away for a while
                    await asyncio.to_thread(nudge)

    def _count(self) -> int:
        store, layout = store_at(self.work.root_uri), RunLayout(self.work.run_id)
        spans: list[tuple[str, int, int]] = []
        for entry in store.list(layout.outcomes + self.prefix):
            folder, _, file_name = entry.key.rpartition("/")
            part = PartName.parse(file_name)
            if part is not None:
                start = part.batch * self.batch_size + part.offset
                spans.append((folder, start, start + part.length))
        rows, plan, end = 0, "", 0
        for folder, start, stop in sorted(spans):  # what ran twice may overlap
            end = end if folder == plan else 0
            rows += max(0, stop - max(start, end))
            plan, end = folder, max(end, stop)
        return rows
