"""The thread that watches a pool's slots: gives them work, and finds out what became of it."""

import contextlib
import heapq
import itertools
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

from scythe_runtime.batches import BatchReport, Verdict
from scythe_runtime.engine._host import Host
from scythe_runtime.engine._jobs import Committed, Dropped, Job
from scythe_runtime.engine._recover import Work, after_death, after_timeout, describe_exit
from scythe_runtime.engine._slot import Setup
from scythe_runtime.engine._wire import Channel, Message
from scythe_runtime.engine._word import ProgressWord
from scythe_runtime.errors import EngineError, SlotStartError

_BACK_OFF_S = (0.2, 1.0, 3.0)
"""Waits before a batch that could not be committed is tried again; then its job fails."""

_DEATHS = 24
"""Deaths that no row explains, a slot more for each slot, without a commit in between: then the pool fails."""

_STARTS = 3
"""Slots in a row that end before they are ready: then the pool fails."""

_LATE_S = (
    0.002  # a little late is right: a row that is just within its time would be looked at again
)


@dataclass(frozen=True, slots=True)
class SlotState:
    """What a slot is doing.

    Attributes:
        slot: Its number, from 0.
        pid: Its process; None before it has started.
        row: The row that it is on; -1 where it is on none.
        seconds: Time on that row; 0 where it is on none.
    """

    slot: int
    pid: int | None
    row: int
    seconds: float


@dataclass(eq=False, slots=True)
class _Slot:
    number: int
    serial: int
    channel: Channel
    word: ProgressWord
    pid: int | None = None
    ready: bool = False
    at_work: tuple[Job, Work] | None = None
    overran: tuple[int, float] | None = None  # the word as it was when the slot was killed


class Watch:
    """Slots and the work for them. What is not said to be for any thread is for its own.

    Args:
        setup: What slots load.
        size: Number of slots.
        timeout_s: Bound of a row's time in seconds.
    """

    def __init__(self, setup: Setup, size: int, timeout_s: float | None) -> None:
        self._setup = setup
        self._size = size
        self._timeout_s = timeout_s
        self._host: Host | None = None
        self._slots: list[_Slot] = []
        self._jobs: set[Job] = set()
        self._waiting: deque[tuple[Job, Work]] = deque()
        self._later: list[tuple[float, int, Job, Work]] = []
        self._requests: deque[Callable[[], None]] = deque()
        self._numbers = itertools.count()
        self._failure: EngineError | None = None
        self._deaths = 0
        self._failed_starts = 0
        self._closing = False

    def start(self) -> None:
        """Start the server and the thread; returns before either is ready."""
        self._selector = selectors.DefaultSelector()
        self._wake_in, self._wake_out = socket.socketpair()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        self._selector.register(self._wake_out, selectors.EVENT_READ, self._woken)
        self._launch()
        self._thread = threading.Thread(target=self._run, name="scythe-slots", daemon=True)
        self._thread.start()

    # --- for any thread

    def submit(self, job: Job) -> None:
        """Take a job."""
        self._ask(lambda: self._take(job))

    def drop_waiting(self, jobs: frozenset[Job]) -> None:
        """Drop what no slot has begun of these jobs."""
        self._ask(lambda: self._drop_waiting(jobs))

    def withdraw(self, jobs: frozenset[Job], *, kill: bool = False) -> None:
        """Forget jobs: nothing is told, what no slot has begun is dropped, the rest finished or killed."""
        for job in jobs:
            job.withdrawn = True
        self._ask(lambda: self._forget_jobs(jobs, kill=kill))

    def states(self) -> list[SlotState]:
        """Return what each slot is doing."""
        now, found = time.monotonic(), []
        for slot in list(self._slots):
            with contextlib.suppress(ValueError):  # its word was closed just now
                row, since = slot.word.read() if slot.at_work else (-1, now)
                found.append(
                    SlotState(slot.number, slot.pid, row, now - since if row >= 0 else 0.0)
                )
        return sorted(found, key=lambda state: state.slot)

    @property
    def failed(self) -> bool:
        """Whether all jobs have failed, and all that come will."""
        return self._failure is not None

    def stop(self) -> None:
        """Kill everything and return when it is gone."""
        self._closing = True
        self._ask(lambda: None)
        self._thread.join()

    def _ask(self, request: Callable[[], None]) -> None:
        self._requests.append(request)
        with contextlib.suppress(OSError):  # full: it wakes up anyway; closed: it has ended
            self._wake_in.send(b"x")

    # --- the thread

    def _woken(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_out.recv(4096)

    def _run(self) -> None:
        try:
            while not self._closing:
                for key, _ in self._selector.select(self._patience_s()):
                    key.data()
                while self._requests:
                    self._requests.popleft()()
                self._check_times()
                self._dispatch()
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            self._fail(EngineError(f"the pool of slots broke: {type(error).__name__}: {error}"))
        finally:
            self._end_host()
            for slot in list(self._slots):
                self._forget(slot)
            self._fail(EngineError("the pool of slots is closed"))
            while self._requests:
                self._requests.popleft()()
            self._selector.close()
            self._wake_in.close()
            self._wake_out.close()

    def _patience_s(self) -> float | None:
        """Return for how many seconds nothing can become due."""
        now = time.monotonic()
        waits = [due - now for due, *_ in self._later[:1]]
        if self._timeout_s is not None:
            for slot in self._slots:
                if slot.at_work and not slot.overran:
                    row, since = slot.word.read()
                    waits.append(self._timeout_s - (now - since if row >= 0 else 0.0))
        return max(min(waits), 0.0) + _LATE_S if waits else None

    def _check_times(self) -> None:
        if self._timeout_s is None or self._host is None:
            return
        for slot in self._slots:
            if slot.at_work and not slot.overran:
                row, since = slot.word.read()
                if row >= 0 and time.monotonic() - since > self._timeout_s:
                    self._kill(slot, (row, since))

    def _dispatch(self) -> None:
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._waiting.appendleft(heapq.heappop(self._later)[2:])
        for slot in self._slots:
            if not slot.ready or slot.at_work or slot.channel.ended:
                continue
            while self._waiting and self._waiting[0][0].withdrawn:
                self._waiting.popleft()
            if not self._waiting:
                return
            slot.at_work = self._waiting.popleft()
            slot.channel.send(slot.at_work[1].batch.to_json())

    # --- work

    def _take(self, job: Job) -> None:
        if self._failure is not None:
            job.events.put(self._failure)
            return
        self._jobs.add(job)
        self._waiting.append((job, Work(job.batch)))

    def _drop_waiting(self, jobs: frozenset[Job]) -> None:
        waiting = [*self._waiting, *(item[2:] for item in self._later)]
        self._waiting = deque(item for item in self._waiting if item[0] not in jobs)
        self._later = [item for item in self._later if item[2] not in jobs]
        heapq.heapify(self._later)
        for job, _ in waiting:
            if job in jobs:
                job.open -= 1
                if job.open == 0:
                    self._jobs.discard(job)
                    job.events.put(Dropped(job))

    def _forget_jobs(self, jobs: frozenset[Job], *, kill: bool) -> None:
        self._jobs.difference_update(jobs)
        for slot in self._slots if kill and self._host is not None else ():
            if slot.at_work and slot.at_work[0] in jobs and not slot.overran:
                self._kill(slot, slot.word.read())

    def _replace(self, job: Job, pieces: list[Work]) -> None:
        if not job.withdrawn:
            job.open += len(pieces) - 1
            self._waiting.extendleft((job, work) for work in reversed(pieces))

    def _fail(self, error: EngineError) -> None:
        """End all jobs, now and to come."""
        self._failure = self._failure or error
        for job in self._jobs:
            job.events.put(self._failure)
        self._jobs.clear()
        self._waiting.clear()
        self._later.clear()

    # --- slots

    def _kill(self, slot: _Slot, word: tuple[int, float]) -> None:
        assert self._host is not None
        slot.overran = word
        self._host.kill_slot(slot.serial)

    def _begin_slot(self, number: int) -> None:
        assert self._host is not None
        serial = next(self._numbers)
        slot = _Slot(number, serial, *self._host.start_slot(number, serial))
        self._slots.append(slot)
        hear = lambda: self._hear_slot(slot)  # noqa: E731 - kept by the selector
        self._selector.register(slot.channel.sock, selectors.EVENT_READ, hear)

    def _hear_slot(self, slot: _Slot) -> None:
        if slot not in self._slots:  # its end was told in the same round
            return
        for message in slot.channel.drain():
            match message["op"]:
                case "ready":
                    slot.ready = True
                    self._failed_starts = 0
                case "failed":
                    self._fail(SlotStartError(message["message"]))
                case "done":
                    self._committed(slot, BatchReport(**message["report"]))
                case "error":
                    self._not_committed(slot, message)
                case "said":
                    if slot.at_work is not None:
                        slot.at_work[0].said(message["lines"])
        if slot.channel.ended:  # its exit is told by the server
            self._unregister(slot.channel)

    def _committed(self, slot: _Slot, report: BatchReport) -> None:
        assert slot.at_work is not None
        (job, work), slot.at_work = slot.at_work, None
        self._deaths = 0
        if not job.withdrawn:
            job.open -= 1
            if job.open == 0:
                self._jobs.discard(job)
            job.events.put(Committed(job, work.batch, report, last=job.open == 0))

    def _not_committed(self, slot: _Slot, message: Message) -> None:
        assert slot.at_work is not None
        (job, work), slot.at_work = slot.at_work, None
        if job.withdrawn:
            return
        if work.errors < len(_BACK_OFF_S):
            due = time.monotonic() + _BACK_OFF_S[work.errors]
            again = replace(work, errors=work.errors + 1)
            heapq.heappush(self._later, (due, next(self._numbers), job, again))
            return
        self._jobs.discard(job)
        job.withdrawn = True
        error = EngineError(
            f"batch {work.batch.id} of plan {work.batch.plan} could not be committed in "
            f"{work.errors + 1} tries: {message['message']}\n"
            "What is committed is kept; resume the run when the cause is gone."
        )
        error.add_note(message["traceback"])
        job.events.put(error)

    def _bury_slot(self, slot: _Slot, code: int | None) -> None:
        """Draw the consequences of a slot's end; code None: the server's end, so not its own fault."""
        self._hear_slot(slot)  # its last word may be a report
        row, since = slot.word.read()
        seconds = time.monotonic() - since
        self._forget(slot)
        if self._failure is not None:
            return
        if code is None:
            self._deaths += 1
            if slot.at_work:
                job, work = slot.at_work
                self._replace(job, [work])
        elif slot.at_work:
            job, work = slot.at_work
            if slot.overran == (row, since):
                late = Verdict("TimedOut", f"timed out after {self._timeout_s:g} s", seconds)
                self._replace(job, after_timeout(work, row, late))
            elif slot.overran:  # it went on to another row in the moment before it was killed
                self._replace(job, [work])
            else:
                self._deaths += row < 0
                died = Verdict("SlotDied", describe_exit(code), seconds if row >= 0 else 0.0)
                self._replace(job, after_death(work, row, died))
        else:
            self._deaths += 1
            self._failed_starts += not slot.ready
        self._check_deaths("with its server" if code is None else describe_exit(code))

    def _check_deaths(self, cause: str) -> None:
        logs = f" Their output: {self._setup.log_dir}." if self._setup.log_dir else ""
        if self._failed_starts >= _STARTS:
            raise SlotStartError(f"slots end before they are ready: {cause}.{logs}")
        if self._deaths > _DEATHS + self._size:
            raise EngineError(
                f"{self._deaths} slots in a row ended without committing anything, the last one: "
                f"{cause}.{logs} What is committed is kept; resume the run when the cause is gone."
            )

    def _forget(self, slot: _Slot) -> None:
        self._slots.remove(slot)
        self._unregister(slot.channel)
        slot.channel.close()
        slot.word.close()

    def _unregister(self, channel: Channel) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(channel.sock)

    # --- the server

    def _launch(self) -> None:
        host = self._host = Host.launch(self._setup)
        self._selector.register(
            host.channel.sock, selectors.EVENT_READ, lambda: self._hear_host(host)
        )

    def _hear_host(self, host: Host) -> None:
        for message in host.channel.drain():
            match message["op"]:
                case "ready":
                    host.ready = True
                    for number in range(self._size):
                        self._begin_slot(number)
                case "started":
                    self._slot(message).pid = message["pid"]
                case "exited":
                    self._replace_slot(self._slot(message), message["code"])
                case "failed":
                    self._fail(SlotStartError(message["message"]))
        if host.channel.ended:
            self._lose_host(host)

    def _slot(self, message: Message) -> _Slot:
        return next(slot for slot in self._slots if slot.serial == message["serial"])

    def _replace_slot(self, slot: _Slot, code: int) -> None:
        try:
            self._bury_slot(slot, code)
        except EngineError as error:
            self._fail(error)
        if self._failure is None:
            self._begin_slot(slot.number)

    def _lose_host(self, host: Host) -> None:
        code = self._end_host()
        cause = describe_exit(-signal.SIGKILL if code is None else code)
        if self._failure is not None:
            return
        if not host.ready:
            task = self._setup.task
            where = task.main_path or f"module {task.module}"
            logs = f" Its output: {self._setup.log_dir}." if self._setup.log_dir else ""
            self._fail(
                SlotStartError(
                    f"the process that loads {where} for the slots ended: {cause}.{logs}"
                )
            )
            return
        try:
            for slot in list(self._slots):
                self._bury_slot(slot, None)
        except EngineError as error:
            self._fail(error)
        else:
            self._launch()

    def _end_host(self) -> int | None:
        if self._host is None:
            return None
        host, self._host = self._host, None
        self._unregister(host.channel)
        return host.end([slot.pid for slot in self._slots if slot.pid is not None])
