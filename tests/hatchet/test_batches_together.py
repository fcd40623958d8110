"""Short batches that a worker has in advance run together; each row has one outcome, its own."""

import threading
from collections.abc import Callable

import pytest
from farm import Farm
from servers import poll

from scythe_runtime import open_run
from scythe_runtime.batches import Batch, BatchReport, RunAddress
from scythe_runtime.engine._hatchet_gate import Gate, HandedBack
from scythe_runtime.errors import EngineError

RUN = RunAddress("s3://bucket/scythe", "plot/v1.0.0/now", "plot", "root")


class Field:
    """A gate of one or more places, and threads that wait before it; work ends when it is told to."""

    def __init__(self, size: int) -> None:
        self.gate = Gate(size)
        self.ran: list[tuple[int, ...]] = []
        self.told: dict[int, list[BatchReport] | BaseException] = {}
        self.stopped: set[int] = set()
        self.go = threading.Event()
        self.failed = 0
        self.error: BaseException | None = None
        self.threads: list[threading.Thread] = []

    def work(self, batch: Batch, unwanted: Callable[[], bool]) -> list[BatchReport]:
        """Say which rows have come, wait, and report them."""
        rows = tuple(row for part in batch.rows for row in part)
        assert rows[0] == 10 * batch.id
        self.ran.append(rows)
        assert self.go.wait(10)
        if self.error is not None and len(self.ran) > 1:
            raise self.error
        assert not unwanted()
        return [BatchReport(len(rows) - self.failed, self.failed, 1.0, 0.5)]

    def enter(self, number: int, *, most: int = 100, plan: str = "0001-main") -> None:
        """Let a thread come with a batch of two rows."""
        batch = Batch(plan, number, (range(10 * number, 10 * number + 2),), run=RUN)

        def come() -> None:
            try:
                self.told[number] = self.gate.run(
                    batch, self.work, most=most, unwanted=lambda: number in self.stopped
                )
            except EngineError as error:
                self.told[number] = error
            except HandedBack as error:
                self.told[number] = error

        before = len(self.gate._waiting) + len(self.ran)
        thread = threading.Thread(target=come)
        self.threads.append(thread)
        thread.start()
        poll(lambda: len(self.gate._waiting) + len(self.ran) > before, within_s=5, what="it waits")

    def end(self) -> None:
        """Let all work end."""
        self.go.set()
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()


def test_neighbours_that_wait_run_as_one() -> None:
    """While the one place is taken by 7, batches 3 to 5 of a plan gather, and 9 is no neighbour of them."""
    field = Field(1)
    for number in (7, 4, 9, 3, 5):
        field.enter(number)
    field.end()
    assert field.ran == [(70, 71), (30, 31, 40, 41, 50, 51), (90, 91)]
    assert {n: [r.succeeded for r in told] for n, told in field.told.items()} == {
        n: [2] for n in (3, 4, 5, 7, 9)
    }


def test_other_plans_and_long_batches_run_alone() -> None:
    """A batch that is expected to be long, or of another plan, is not put together with its neighbour."""
    field = Field(1)
    field.enter(7)
    for number, most, plan in ((1, 1, "0001-main"), (2, 1, "0001-main"), (3, 9, "0002-retry")):
        field.enter(number, most=most, plan=plan)
    field.end()
    assert field.ran == [(70, 71), (10, 11), (20, 21), (30, 31)]


def test_slots_share_what_waits() -> None:
    """Of four that wait before two places, the first place takes no more than its half."""
    field = Field(2)
    for number in (20, 30, 1, 2, 3, 4):
        field.enter(number)
    field.end()
    assert (10, 11, 20, 21) in field.ran
    assert sorted(row for rows in field.ran[2:] for row in rows) == [
        *(10, 11, 20, 21, 30, 31, 40, 41)
    ]


def test_failures_are_told_once() -> None:
    """Where specs of a group have failed, one batch tells of all, and the sum is right."""
    field = Field(1)
    field.enter(7)
    field.failed = 1
    for number in (1, 2, 3):
        field.enter(number)
    field.end()
    told = [report for n in (1, 2, 3) for report in field.told[n]]
    assert [(r.succeeded, r.failed) for r in told] == [(5, 1)]


def test_an_error_is_all_of_theirs() -> None:
    """What keeps a group from being committed is raised for each of its batches: the queue tries them again."""
    field = Field(1)
    field.enter(7)
    field.error = EngineError("no bucket")
    for number in (1, 2):
        field.enter(number)
    field.end()
    assert [str(field.told[n]) for n in (1, 2)] == ["no bucket", "no bucket"]
    assert field.told[7] == [BatchReport(2, 0, 1.0, 0.5)]


def test_what_is_cancelled_while_it_waits_never_runs() -> None:
    """It is handed back, and its neighbours run without it."""
    field = Field(1)
    for number in (7, 1, 2, 3):
        field.enter(number)
    field.stopped.add(2)
    poll(lambda: 2 in field.told, within_s=5, what="it is handed back")
    field.end()
    assert isinstance(field.told[2], HandedBack)
    assert field.ran == [(70, 71), (10, 11), (30, 31)]


@pytest.mark.timeout(120)
def test_specs_one_by_one_on_hatchet(shared_farm: Farm) -> None:
    """With batch_size=1 each of 150 specs has its own outcome, also beside one that kills its process."""
    out = shared_farm.run("""
from plot.task import *
from scythe_runtime import BaseExperiment
fate = {40: "raise", 90: "kill"}
specs = [Sum(a=0.5, b=k, fate=fate.get(k, "fine")) for k in range(150)]
run, ref = BaseExperiment(runnable=add, run_name="together").allocate(specs, batch_size=1)
result = ref.result()
table = run.table()
assert table["total"].tolist() == [0.5 + b for b in table["b"]], table
assert sorted(table["b"]) == [k for k in range(150) if k not in fate]
print(result.succeeded, result.failed, result.pending, run.check().ok, run.experiment_id)
print(*run.errors()["error_type"])
""")
    counts, kinds = out.splitlines()
    *counts, run_id = counts.split()
    assert counts == ["148", "2", "0", "True"]
    assert kinds.split() == ["ValueError", "SlotDied"]
    patch = shared_farm.store_env()
    try:
        ledger = open_run(run_id).ledger()
    finally:
        patch.undo()
    assert [plan.batch_size for plan in ledger.plans] == [1, 1]
    assert len(ledger.parts_of("canary")) == 8
    assert len(ledger.parts_of("main")) < 100
