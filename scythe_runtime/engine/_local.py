"""The local engine: this machine's slots, led by a thread of the process that allocates."""

import contextlib
import sys
import threading
import time
from typing import Any, Final

from scythe_runtime.batches import Batch, BatchReport, TaskRef
from scythe_runtime.engine._load import task_ref
from scythe_runtime.engine._logs import LogFolder, remove_leftovers
from scythe_runtime.engine._pool import SlotPool
from scythe_runtime.errors import EngineError, ScytheError, SlotStartError
from scythe_runtime.leading import Leadership, lead_alone
from scythe_runtime.registry import Experiment
from scythe_runtime.root import Ending, Progress, Root
from scythe_runtime.settings import TimeoutSettings
from scythe_runtime.store import Store

BATCH_SECONDS: Final = 0.5
"""How much work a batch holds: long enough to be cheap, short enough to lose little."""

_PATIENCE_S: Final = 2.0
"""How long a run that is cancelled waits for batches at work."""
_END_S: Final = 30.0
"""How long Ctrl-C waits for the tables of what there is."""


class LocalEngine:
    """Runs batches in processes of this machine.

    Args:
        slots: How many at a time.
    """

    name = "local"
    batch_seconds = BATCH_SECONDS

    def __init__(self, *, slots: int) -> None:
        self.slots = slots

    def prepare(self, experiment: Experiment[Any, Any], *, timeout_s: float | None) -> "LocalSlots":
        """Start slots for an experiment; they load its module while the caller goes on."""
        task = task_ref(experiment.fn, name=experiment.name)
        # the run has no folder yet; what slots print is put into it at the end
        logs = LogFolder.make()
        pool = SlotPool(
            task,
            runner="scythe_runtime.batch:Runners",
            slots=self.slots,
            timeout_s=timeout_s,
            log_dir=logs.path,
        )
        pool.start()
        remove_leftovers()
        start_s = experiment.options.schedule_timeout_s
        if start_s is None and (bound := TimeoutSettings().EXPERIMENT_SCHEDULE):
            start_s = bound.total_seconds()
        return LocalSlots(task, pool, logs, start_s)


class LocalSlots:
    """Slots that are ready for one run.

    Attributes:
        task: How they find the function.
    """

    def __init__(
        self, task: TaskRef, pool: SlotPool, logs: LogFolder, start_s: float | None
    ) -> None:
        self.task = task
        self._pool = pool
        self._logs = logs
        self._start_s = start_s

    def check(self, store: Store) -> None:
        """Do nothing: slots reach whatever this process reaches."""
        del store

    def lead(self, root: Root) -> "LocalDriver":
        """Begin a run and return its driver.

        Raises:
            UsageError: Another process of this machine leads it.
        """
        alone = lead_alone(root.store, root.address.run_id)
        driver = LocalDriver(root, self._pool, self._logs, self._start_s, alone)
        driver.start()
        return driver

    def close(self) -> None:
        """Give the slots up."""
        self._pool.close()
        self._logs.remove()


class LocalDriver:
    """A run in progress, on a thread that the interpreter waits for at exit.

    Args:
        root: What leads it.
        pool: Its slots.
        logs: Where they write what they print.
        start_s: How long it may take until the first spec starts; None is without bound.
        alone: What others see of it: that this process leads the run.
    """

    def __init__(
        self,
        root: Root,
        pool: SlotPool,
        logs: LogFolder,
        start_s: float | None,
        alone: Leadership,
    ) -> None:
        self._root = root
        self._alone = alone
        self._pool = pool
        self._logs = logs
        self._start_s = start_s  # None also once a spec has started
        self._began = time.monotonic()
        self._late: SlotStartError | None = None
        self._cancelled = threading.Event()
        self._ended = threading.Event()
        self._ending: Ending | None = None
        self._error: BaseException | None = None
        self._watched = False
        self._thread = threading.Thread(target=self._drive, name="scythe-run", daemon=False)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def _drive(self) -> None:
        try:
            self._ending = self._lead()
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error
            if not self._watched:  # a script that does not wait has nobody else to tell
                print(f"the run ended early: {error}", file=sys.stderr)  # noqa: T201
        finally:
            with contextlib.suppress(Exception):
                self._pool.close()
                self._root.keep_logs(self._logs.path)
            if self._error is None:
                self._logs.remove()
            else:  # its message may name the folder
                self._logs.keep()
            self._alone.release()
            self._ended.set()

    def _lead(self) -> Ending:
        reason: str | None = None
        broken: EngineError | None = None
        try:
            for batches in self._root.steps():
                self._pool.run(batches, self._record, should_stop=self._should_stop)
                if self._should_stop():
                    break
        except EngineError as error:
            broken = error
        broken = broken or self._late
        if broken is not None:
            reason = str(broken)
        self._pool.close()
        if self._cancelled.is_set():
            reason = "interrupted"
        ending = self._root.finish(stopped_by=reason)
        if broken is not None and not self._cancelled.is_set():
            raise broken
        return ending

    def _record(self, batch: Batch, report: BatchReport) -> None:
        self._start_s = None
        self._root.record(batch, report)

    def _should_stop(self) -> bool:
        self._look_for_start()
        if not self._cancelled.is_set() and self._alone.asked_to_end():
            self.cancel()
        return self._cancelled.is_set() or self._root.over_budget or self._late is not None

    def _look_for_start(self) -> None:
        """Note when no spec has started in time: a module that hangs while it is imported."""
        if self._start_s is None:
            return
        if any(slot.row >= 0 for slot in self._pool.progress()):
            self._start_s = None
        elif time.monotonic() - self._began > self._start_s:
            self._late = SlotStartError(
                f"no spec has started within {self._start_s:g} s (schedule_timeout). "
                "See that the task's module can be imported quickly, or allow more time."
            )

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return whether the run has ended, waiting for it."""
        self._watched = True
        return self._ended.wait(timeout_s)

    def ending(self) -> Ending:
        """Return how the run ended.

        Raises:
            ScytheError: The engine or the store failed; what is committed stays.
        """
        if self._error is not None:
            raise self._error
        if self._ending is None:
            raise ScytheError("the run has not ended yet")
        return self._ending

    def progress(self) -> Progress:
        """Return how far the run is."""
        return self._root.progress()

    def cancel(self) -> None:
        """End the run with the batches at work, or without those that take long; the rest stays for `resume`."""
        self._cancelled.set()
        patience = threading.Timer(_PATIENCE_S, self._pool.close)
        patience.daemon = True
        patience.start()

    def interrupt(self) -> str:
        """Cancel the run, wait a while for its tables, and return how to go on."""
        self.cancel()
        with contextlib.suppress(KeyboardInterrupt):  # a second Ctrl-C: without the tables
            self.wait(_END_S)
        return f"interrupted. Go on with: scythe resume {self._root.address.run_id}"
