"""A pool of slots over a folder, and what was committed there."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from scythe_runtime.batches import Batch, BatchReport, TaskRef
from scythe_runtime.engine._pool import SlotPool

HERE = str(Path(__file__).parent)


def task(module: str = "slot_tasks", *, at: str = HERE, main_path: str | None = None) -> TaskRef:
    """Return a task whose module is found in the folder `at` or in this one."""
    return TaskRef(module, "task", main_path, (at, HERE, *sys.path))


def batches(rows: int, size: int) -> Iterator[Batch]:
    """Yield batches of consecutive rows."""
    for number, start in enumerate(range(0, rows, size)):
        yield Batch("p", number, (range(start, min(rows, start + size)),))


class Field:
    """A folder in which a pool commits, and what stands there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reports: list[BatchReport] = []
        self.pools: list[SlotPool] = []

    def pool(self, bad: dict[int, str] | None = None, **options) -> SlotPool:
        """Return a pool of two slots whose rows take 5 ms, or misbehave."""
        runner_args = (str(self.folder), options.pop("seconds", 0.005), json.dumps(bad or {}))
        defaults = {
            "task": task(),
            "runner": "slot_tasks:Runner",
            "runner_args": runner_args,
            "slots": 2,
            "timeout_s": None,
            "log_dir": self.folder / "logs",
        }
        pool = SlotPool(**defaults | options)
        self.pools.append(pool)
        return pool

    def note(self, batch: Batch, report: BatchReport) -> None:
        """Keep a report."""
        self.reports.append(report)

    def outcomes(self) -> dict[int, str | None]:
        """Return each committed row's error; a row that was committed twice fails the test."""
        found: dict[int, str | None] = {}
        for part in self.folder.glob("part-*.json"):
            for row, error in json.loads(part.read_text()):
                assert row not in found
                found[row] = error
        return found

    def failures(self) -> dict[int, str]:
        """Return the errors of the rows that have one."""
        return {row: error for row, error in self.outcomes().items() if error is not None}

    def calls(self) -> list[int]:
        """Return the rows in the order in which they were called."""
        return list(map(int, (self.folder / "calls").read_text().split()))


def gone(pid: int) -> bool:
    """Return whether a process has ended."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(true: Callable[[], bool], *, within_s: float = 20.0) -> float:
    """Return after how many seconds it became true; fail when it does not in time."""
    begun = time.monotonic()
    while not true():
        assert time.monotonic() - begun < within_s, "it did not happen in time"
        time.sleep(0.005)
    return time.monotonic() - begun
