"""What grows with the number of specs on one Hatchet engine, one S3 server and one worker, all on this machine.

For each run: seconds of each part of it, tasks of the engine, rows and bytes of its database, requests to S3, and
the most memory that the worker (all its processes) and the process that waits had. The parts are those of the
engine's own table of events:

    allocate   from the first import to when allocate() returns
    canary     from when the run was handed over until the plan of all batches stands
    dispatch   from the first to the last batch that the engine got
    run        from the first batch that the engine got to the last that ended; includes dispatch
    gather     from there to when the root ended

It needs what `make test-hatchet` needs. SCYTHE_BENCH_MOST (100000) bounds the specs of a run. Trivial specs run in two
slots; those that sleep for 20 ms in sixteen, which need no more cores.
"""

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from place import farm, servers

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "hatchet"))

from farm import Farm
from servers import Hatchet, poll

GO = """
import resource, time
began = time.time()
from plot.task import Sum, add
from scythe_runtime import BaseExperiment
from scythe_runtime.scatter_gather import RecursionMap
run, ref = BaseExperiment(runnable=add, run_name="growth").allocate(
    [Sum(a=1.0, b=k, seconds={seconds}) for k in range({n})], batch_size={size}, recursion_map={tree}
)
allocated = time.time()
result = ref.result()
ended = time.time()
assert (result.succeeded, result.pending) == ({n}, 0), result
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(run.experiment_id, began, allocated, ended, memory)
"""

TREE = "RecursionMap(factor=8, max_depth=1)"


@dataclass(frozen=True)
class Case:
    """A run to be measured.

    Attributes:
        n: Specs.
        spec_s: How long each sleeps, in seconds.
        size: Specs a batch.
        tree: Whether eight nodes stand between root and batches.
    """

    n: int
    spec_s: float = 0.0
    size: str = '"auto"'
    tree: bool = False


TRIVIAL = [Case(n, tree=tree) for n in (1_000, 10_000, 100_000) for tree in (False, True)]
ONE_BY_ONE = [Case(n, size="1", tree=tree) for n in (1_000, 3_000) for tree in (False, True)]
SLEEPING = [Case(n, 0.02, tree=tree) for n in (1_000, 10_000, 100_000) for tree in (False, True)]


class Memory:
    """The most memory that a process and its children had together, shared pages counted once."""

    def __init__(self, pid: int) -> None:
        self.most_mib = 0.0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(0.5):
            total = 0
            for pid in [self._pid, *self._children()]:
                try:
                    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
                except OSError:  # it has ended
                    continue
                total += int(text.partition("Pss:")[2].split()[0])
            self.most_mib = max(self.most_mib, total / 1024)

    def _children(self) -> list[int]:
        try:
            return [child.pid for child in psutil.Process(self._pid).children(recursive=True)]
        except psutil.Error:
            return []

    def end(self) -> float:
        """Return the most memory in MiB."""
        self._ended.set()
        self._thread.join()
        return self.most_mib


def events(engine: Hatchet, run_id: str) -> dict[tuple[str, str], tuple[float, float, int]]:
    """Return first and last time (in s since 1970) and number of each kind of event, of root and batches."""
    rows = engine.postgres.sql(
        f"""
        SELECT CASE WHEN t.additional_metadata->>'node' = 'root' THEN 'root'
                    WHEN t.additional_metadata->>'node' = '0000-canary' THEN 'canary'
                    WHEN t.additional_metadata ? 'range' THEN 'batch' ELSE 'node' END AS what,
               e.event_type, min(extract(epoch FROM e.event_timestamp)),
               max(extract(epoch FROM e.event_timestamp)), count(*)
        FROM v1_task_events_olap e
        JOIN v1_tasks_olap t ON t.id = e.task_id AND t.inserted_at = e.task_inserted_at
        WHERE t.additional_metadata->>'run' = '{run_id}' GROUP BY 1, 2
        """,
        "hatchet",
    )
    found = (line.split("|") for line in rows.splitlines())
    return {(what, kind): (float(a), float(b), int(n)) for what, kind, a, b, n in found}


def database(engine: Hatchet) -> tuple[int, float]:
    """Return rows and MB of the engine's database."""
    engine.postgres.sql("ANALYZE", "hatchet")
    rows = "SELECT coalesce(sum(reltuples), 0)::bigint FROM pg_class WHERE relkind = 'r' AND reltuples > 0"
    size = "SELECT pg_database_size('hatchet')"
    return (
        int(engine.postgres.sql(rows, "hatchet")),
        int(engine.postgres.sql(size, "hatchet")) / 1e6,
    )


HEAD = (
    f"{'specs':>8} {'batch':>6} {'tree':>5} {'tasks':>6} | {'alloc.':>6} {'canary':>6} {'dispatch':>8} {'run':>7} "
    f"{'gather':>6} {'total s':>8} | {'worker MiB':>10} {'waiting MiB':>11} | {'rows':>8} {'MB':>6} | {'S3':>6} load"
)


def measure(case: Case, place: Farm, pid: int) -> None:
    """Print the row of a run."""
    engine = place.engine
    rows, size_mb = database(engine)
    tasks = engine.count_tasks()
    memory = Memory(pid)
    try:
        with place.s3.counting(place.bucket) as counts:
            code = GO.format(
                n=case.n, seconds=case.spec_s, size=case.size, tree=TREE if case.tree else None
            )
            run_id, *numbers = place.run(code, within_s=1800).split()
    finally:
        worker_mib = memory.end()
    began, allocated, ended, waiting_mib = map(float, numbers)
    # its tables for looking at runs lag behind
    poll(lambda: ("root", "FINISHED") in events(engine, run_id), within_s=60, what="the root's end")
    time.sleep(3)
    seen = events(engine, run_id)
    new_rows, new_mb = (b - a for a, b in zip((rows, size_mb), database(engine), strict=True))
    first, last, _ = seen["batch", "QUEUED"]
    done = seen["batch", "FINISHED"][1]
    batch = "auto" if "auto" in case.size else case.size
    print(
        f"{case.n:>8,} {batch:>6} {'8' if case.tree else '-':>5} {engine.count_tasks() - tasks:>6} | "
        f"{allocated - began:6.1f} {first - seen['root', 'QUEUED'][0]:6.1f} {last - first:8.1f} {done - first:7.1f} "
        f"{seen['root', 'FINISHED'][0] - done:6.1f} {ended - began:8.1f} | {worker_mib:10.0f} {waiting_mib:11.0f} | "
        f"{new_rows:>8,} {new_mb:6.1f} | {counts.total():>6} {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def group(title: str, cases: list[Case], place: Farm, slots: str) -> None:
    """Print the rows of runs that one worker serves."""
    print(f"\n{title}, {slots} slots\n{HEAD}", flush=True)
    most = int(os.environ.get("SCYTHE_BENCH_MOST", "100000"))
    worker = place.worker(SCYTHE_WORKER_SLOTS=slots)
    for case in cases:
        if case.n <= most:
            measure(case, place, worker.popen.pid)
    worker.stop(signal.SIGTERM)


def main() -> None:
    """Print all rows."""
    with servers() as (engine, s3, folder), farm(engine, s3, folder / "farm") as place:
        group("trivial specs", TRIVIAL, place, "2")
        group("trivial specs one by one", ONE_BY_ONE, place, "2")
        group("specs of 20 ms", SLEEPING, place, "16")


if __name__ == "__main__":
    main()
