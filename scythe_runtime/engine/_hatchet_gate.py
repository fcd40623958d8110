"""The way into a worker's slots: few batches at a time, short ones that wait together as one."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from scythe_runtime.batches import Batch, BatchReport
from scythe_runtime.errors import ScytheError

_LOOK_S: Final = 0.5

Work = Callable[[Batch, Callable[[], bool]], list[BatchReport]]


class HandedBack(ScytheError):  # noqa: N818 - what the dashboard shows
    """A worker that shuts down gives a batch back; another one runs it."""


@dataclass(eq=False)
class _Waiting:
    """A batch whose thread waits until it shall run it, or until another thread has.

    Attributes:
        batch: Which.
        most: How many batches may run together with it, itself included.
        unwanted: Whether it need not be run any more.
        called: Set when `group` or `told` is there.
        group: What its thread shall run, itself included, in the order of the batches.
        told: What came of it, where another thread has run it.
    """

    batch: Batch
    most: int
    unwanted: Callable[[], bool]
    called: threading.Event = field(default_factory=threading.Event)
    group: "list[_Waiting]" = field(default_factory=list)
    told: list[BatchReport] | BaseException | None = None


class Gate:
    """Lets few batches run at a time.

    The queue gives a worker many short batches in advance. Neighbours of one plan that wait while all slots
    are taken run as one batch and commit one part: a request to S3 each would cost more than the work.

    Args:
        size: How many run at a time.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._free = size
        self._waiting: list[_Waiting] = []
        self._lock = threading.Lock()

    def run(
        self, batch: Batch, work: Work, *, most: int, unwanted: Callable[[], bool]
    ) -> list[BatchReport]:
        """Return what came of a batch, once it has had its turn.

        Args:
            batch: As planned, not a piece.
            work: Runs a batch, until it is told that it is unwanted.
            most: How many batches may run together with it.
            unwanted: Whether it need not be run any more; asked all the time.

        Raises:
            HandedBack: It became unwanted before its turn.
        """
        own = _Waiting(batch, max(1, most), unwanted)
        with self._lock:
            self._waiting.append(own)
            self._call()
        while not own.called.wait(_LOOK_S):
            if unwanted():
                with self._lock:
                    if own in self._waiting:
                        self._waiting.remove(own)
                        raise HandedBack("not begun")
        if own.group:
            self._lead(own, work)
        if isinstance(own.told, BaseException):
            raise own.told
        return own.told or []

    def _call(self) -> None:
        """Let those go in who have waited longest, each with its neighbours. The lock is held."""
        while self._free and self._waiting:
            first = self._waiting[0]
            alike = (first.batch.run, first.batch.plan)
            near = {w.batch.id: w for w in self._waiting if (w.batch.run, w.batch.plan) == alike}
            # the other slots get their share of what waits
            most = min(first.most, -(-len(near) // self._size))
            start = stop = first.batch.id
            while start - 1 in near and stop - start + 1 < most:
                start -= 1
            while stop + 1 in near and stop - start + 1 < most:
                stop += 1
            first.group = [near[k] for k in range(start, stop + 1)]
            self._waiting = [w for w in self._waiting if w not in first.group]
            self._free -= 1
            first.called.set()

    def _lead(self, own: _Waiting, work: Work) -> None:
        group = own.group
        whole = replace(
            group[0].batch,
            rows=tuple(rows for one in group for rows in one.batch.rows),
            queue_id=own.batch.queue_id,
        )
        told: list[BatchReport] | BaseException
        try:
            told = work(whole, lambda: all(one.unwanted() for one in group))
        except BaseException as error:  # noqa: BLE001 - raised in the threads of all of them
            told = error
        with self._lock:
            self._free += 1
            self._call()
        for one in group:
            one.told = told if isinstance(told, BaseException) else _share(told, one, own)
            one.called.set()


def _share(told: list[BatchReport], one: _Waiting, leader: _Waiting) -> list[BatchReport]:
    """Return what one batch of a group tells: its own rows; where some failed, the leader tells all."""
    if len(leader.group) == 1:
        return told
    if any(report.failed for report in told):
        return told if one is leader else []
    rows = sum(map(len, one.batch.rows))
    part = rows / sum(report.succeeded for report in told)
    return [
        BatchReport(
            succeeded=rows,
            failed=0,
            seconds=part * sum(report.seconds for report in told),
            user_seconds=part * sum(report.user_seconds for report in told),
        )
    ]
