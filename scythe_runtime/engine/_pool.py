"""A pool of watched slot processes: the only way in which batches run, on every engine."""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

from scythe_runtime.batches import Batch, BatchReport, TaskRef
from scythe_runtime.engine._jobs import Dropped, Event, Job
from scythe_runtime.engine._slot import Setup
from scythe_runtime.engine._watch import SlotState, Watch
from scythe_runtime.errors import EngineError, SettingsError

__all__ = ["SlotPool", "SlotState"]

_ASK_S = 0.05
_HOWS = ("auto", "server", "popen")


class SlotPool:
    """Slot processes that run batches, each watched from outside.

    A row whose function takes its process down, or overruns its time, costs that row only: it is
    named in a `Verdict`, which a healthy slot commits. Libraries of mathematics (OpenMP, BLAS) use one
    thread a slot unless OMP_NUM_THREADS or their own variable is set.

    Args:
        task: The function.
        runner: "module:attribute" of what makes a `BatchRunner` in each slot.
        runner_args: Its arguments.
        slots: Number of slots, at least 1.
        timeout_s: Bound of one row's time in seconds; None: none.
        log_dir: Folder for what slots print (`slot-<n>.log`; `slot-server.log` while the task is
            loaded) and for the tracebacks of crashes in native code; None: none.
        prints: Without a folder: whether what slots print goes where this process prints, or nowhere.
        start: "server" forks slots from a process that has loaded the task, "popen" starts a Python
            for each; "auto" forks on Linux unless the task's module starts threads when imported,
            or the environment says SCYTHE_SLOT_START=popen.
        tells: Whether `run` is told what specs log.
    """

    def __init__(
        self,
        task: TaskRef,
        *,
        runner: str = "scythe_runtime.batch:BatchRunner",
        runner_args: Sequence[str | float | int | bool | None] = (),
        slots: int,
        timeout_s: float | None,
        log_dir: Path | None = None,
        prints: bool = False,
        start: Literal["auto", "server", "popen"] = "auto",
        tells: bool = False,
    ) -> None:
        how: str = os.environ.get("SCYTHE_SLOT_START", "auto") if start == "auto" else start
        if how not in _HOWS:
            raise SettingsError(f"SCYTHE_SLOT_START={how!r}: it is one of {', '.join(_HOWS)}")
        if how == "auto" and sys.platform != "linux":
            how = "popen"
        if slots < 1:
            raise SettingsError(f"slots={slots}: at least 1 is needed")
        if timeout_s is not None and timeout_s <= 0:
            raise SettingsError(f"a timeout of {timeout_s:g} s: it must be above 0")
        setup = Setup(
            task=task,
            runner=runner,
            runner_args=tuple(runner_args),
            argv=tuple(sys.argv) or ("",),
            log_dir=str(log_dir.absolute()) if log_dir else None,
            prints=prints,
            start=how,
            tells=tells,
        )
        self._slots = slots
        self._log_dir = log_dir
        self._watch = Watch(setup, slots, timeout_s)
        self._starting = threading.Lock()
        self._started = False
        self._closed = False

    def start(self) -> None:
        """Begin to start the slots; returns at once, while they load the task."""
        with self._starting:
            if self._closed:
                raise EngineError("the pool of slots is closed")
            if not self._started:
                if self._log_dir is not None:
                    self._log_dir.mkdir(parents=True, exist_ok=True)
                self._watch.start()
                self._started = True

    def run(
        self,
        batches: Iterable[Batch],
        done: Callable[[Batch, BatchReport], None],
        *,
        should_stop: Callable[[], bool] = lambda: False,
        unwanted: Callable[[], bool] = lambda: False,
        said: Callable[[list[str]], None] = lambda _: None,
    ) -> None:
        """Run batches and return when all their rows are committed.

        Args:
            batches: Asked for one by one, at most two per slot ahead of what is committed.
            done: Called here, in the calling thread, for each batch, or each piece of one that
                lost its slot, as soon as it is committed.
            should_stop: Asked all the time; once it says True nothing new is begun, and this
                returns when the batches at work are committed.
            unwanted: Asked all the time; once it says True the slots that are at these batches are killed, and
                this returns.
            said: Called on a thread of the pool's own, so it must not wait, with lines that specs have
                logged; only where the pool was made to tell them.

        Raises:
            SlotStartError: The task cannot be loaded, or slots end while they start.
            EngineError: A batch could not be committed after several tries, or slots keep dying
                between rows. What is committed stays so.
        """
        self.start()
        events: SimpleQueue[Event] = SimpleQueue()
        running: set[Job] = set()
        rest: Iterator[Batch] = iter(batches)
        more, stopping, kill = True, False, False
        try:
            while more or running:
                if unwanted():
                    kill = True
                    return
                if not stopping and should_stop():
                    stopping, more = True, False
                    self._watch.drop_waiting(frozenset(running))
                for batch in islice(rest, 2 * self._slots - len(running)) if more else ():
                    job = Job(batch, events, said=said)
                    running.add(job)
                    self._watch.submit(job)
                more = more and len(running) == 2 * self._slots
                if not running:
                    return
                try:
                    event = events.get(timeout=_ASK_S)
                except Empty:
                    continue
                if isinstance(event, EngineError):
                    raise event
                if isinstance(event, Dropped):
                    running.discard(event.job)
                    continue
                if event.last:
                    running.discard(event.job)
                done(event.piece, event.report)
        finally:
            self._watch.withdraw(frozenset(running), kill=kill)

    def run_one(self, batch: Batch) -> list[BatchReport]:
        """Run one batch and return a report for each piece of it; for several threads at a time.

        Raises:
            SlotStartError: As in `run`.
            EngineError: As in `run`.
        """
        reports: list[BatchReport] = []
        self.run([batch], lambda _, report: reports.append(report))
        return reports

    def progress(self) -> list[SlotState]:
        """Return what each slot is doing now, in the order of their numbers."""
        return self._watch.states()

    @property
    def broken(self) -> bool:
        """Whether the pool has failed or is closed: it runs nothing any more."""
        return self._closed or self._watch.failed

    def close(self) -> None:
        """Kill the slots and all their children, and return when they are gone."""
        with self._starting:
            if self._started and not self._closed:
                self._watch.stop()
            self._closed = True
