"""A worker that shuts down, or cannot go on: what it has goes back to the queue, for others to begin at once.

Hatchet's own pauses between tries are not used: what waits for one is looked at again only by a poll of its
queue, which an idle engine makes every 30 to 45 s. So a task pauses before it tells of its failure.

On SIGTERM the SDK gives those durable tasks up that wait for children, and Hatchet begins them again when a
child has ended: that may be hours later, so it is asked to begin them now. Those that the SDK did not find
waiting give themselves up where they would wait.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Final

from scythe_runtime.engine._hatchet_gate import HandedBack

if TYPE_CHECKING:
    from hatchet_sdk import Context, DurableContext, Hatchet

_NOTED_S: Final = 3.0
"""How long a scheduler may go on giving tasks to a worker that has said that it leaves."""

_LONGEST_S: Final = 30.0
_LOOK_S: Final = 0.5


class Leave:
    """Whether this worker shuts down."""

    def __init__(self) -> None:
        self._begun = threading.Event()
        self._noted_at = 0.0

    def begin(self) -> None:
        """Shut down; once."""
        if not self.begun:
            self._noted_at = time.monotonic() + _NOTED_S
            self._begun.set()

    @property
    def begun(self) -> bool:
        """Whether it does."""
        return self._begun.is_set()

    @contextlib.contextmanager
    def tells(self, ctx: "Context") -> Iterator[None]:
        """Let a failure of a batch be known only when another try has a chance."""
        try:
            yield
        except HandedBack:
            time.sleep(self._until_noted_s)
            raise
        except Exception:
            deadline = time.monotonic() + _pause_s(ctx)
            while time.monotonic() < deadline and not (self.begun or ctx.is_cancelled):
                time.sleep(_LOOK_S)
            time.sleep(self._until_noted_s)
            raise

    @contextlib.asynccontextmanager
    async def hands_over(self, client: "Hatchet", ctx: "DurableContext") -> AsyncIterator[None]:
        """Let another worker begin a durable task again that ends here because this worker shuts down."""
        try:
            yield
        except asyncio.CancelledError:
            if self.begun:
                await asyncio.sleep(self._until_noted_s)
                await asyncio.to_thread(_restore, client, ctx.step_run_id)
            raise
        except Exception:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._noted(), _pause_s(ctx))
            raise

    async def wait_for_one(self, *waits: "asyncio.Future[Any]") -> None:
        """Return when one of these is done.

        Raises:
            HandedBack: This worker shuts down.
        """
        noted = asyncio.create_task(self._noted())
        try:
            await asyncio.wait({*waits, noted}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            noted.cancel()
        if not any(one.done() for one in waits):
            raise HandedBack("this worker shuts down")

    async def _noted(self) -> None:
        """Return when this worker shuts down and gets nothing more; the SDK has given up what waits by then."""
        while not self.begun:  # noqa: ASYNC110 - a signal begins it, which knows no loop
            await asyncio.sleep(_LOOK_S)
        await asyncio.sleep(self._until_noted_s)

    @property
    def _until_noted_s(self) -> float:
        return max(0.0, self._noted_at - time.monotonic()) if self.begun else 0.0


def wake(ctx: "Context") -> None:
    """Let a task that does nothing pass through the queue: the first time it is begun past it, while slots are free.

    Raises:
        HandedBack: The first time.
    """
    if ctx.retry_count == 0:
        raise HandedBack("wakes the queue")


def _pause_s(ctx: "Context") -> float:
    """Return for how long a task that has failed shall wait before it is tried again."""
    return float(min(_LONGEST_S, 2.0 ** (ctx.retry_count + 1)))


def _restore(client: "Hatchet", task_id: str) -> None:
    from hatchet_sdk.clients.rest.api.task_api import TaskApi

    with contextlib.suppress(Exception), client.runs.client() as api:  # else when a child has ended
        TaskApi(api).v1_task_restore(task=task_id)
