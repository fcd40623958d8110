"""Specs a second on one Hatchet engine and one S3 server: ours beside scythe-engine, in one run.

It needs what `make test-hatchet` needs, and for the comparison SCYTHE_BENCH_PEER, a Python that has
scythe-engine (`uv venv /tmp/se; uv pip install --python /tmp/se scythe-engine requests`).
Both serve with one worker on this machine. At batch_size=1 each is given several numbers of slots, and the best
time counts: SCYTHE_BENCH_SLOTS (2,4) are our slot processes, SCYTHE_BENCH_PEER_SLOTS (100,500) its slots.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from place import farm, servers

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "hatchet"))

from farm import Farm
from servers import Process, S3Server, poll

OURS = """
import time
began = time.monotonic()
from plot.task import Sum, add
from scythe_runtime import BaseExperiment
run, ref = BaseExperiment(runnable=add, run_name="bench").allocate(
    [Sum(a=1.0, b=k) for k in range({n})], batch_size={size}
)
assert ref.result().succeeded == {n}
print(time.monotonic() - began)
"""

PEER_TASK = """
from scythe.base import ExperimentInputSpec, ExperimentOutputSpec
from scythe.registry import ExperimentRegistry

class Sum(ExperimentInputSpec):
    a: float
    b: int

class Total(ExperimentOutputSpec):
    total: float

@ExperimentRegistry.Register(retries=0, schedule_timeout="1h", execution_timeout="1h")
def add(input_spec: Sum) -> Total:
    return Total(total=input_spec.a + input_spec.b)
"""

PEER_WORKER = """
import peer_task
from scythe.worker import ScytheWorkerConfig
if __name__ == "__main__":
    print("x serves x", flush=True)
    ScytheWorkerConfig().start()
"""

PEER_GO = """
import time
began = time.monotonic()
from peer_task import Sum, add
from scythe.experiments import BaseExperiment
specs = [Sum(a=1.0, b=k, experiment_id="x", sort_index=k) for k in range({n})]
run, ref = BaseExperiment(runnable=add).allocate(specs, version="bumpmajor")
ref.result()
print(time.monotonic() - began)
"""


def our_seconds(place: Farm, n: int, size: str) -> float:
    """Return how long we take from import to result."""
    return float(place.run(OURS.format(n=n, size=size), within_s=300))


def peer_seconds(place: Farm, python: str, n: int, slots: str) -> float:
    """Return how long scythe-engine takes from import to result."""
    folder = place.folder.parent / f"peer-{slots}"
    folder.mkdir()
    (folder / "peer_task.py").write_text(PEER_TASK)
    (folder / "worker.py").write_text(PEER_WORKER)
    env = {
        **place.env,
        "SCYTHE_WORKER_SLOTS": slots,
        "SCYTHE_TIMEOUT_SCATTER_GATHER_EXECUTION": "1h",
        "SCYTHE_TIMEOUT_SCATTER_GATHER_SCHEDULE": "1h",
    }
    log = folder / "log"
    worker = Process([python, "worker.py"], log=log, env=env, cwd=folder)

    def serves() -> bool:
        assert worker.popen.poll() is None, log.read_text()[-2000:]
        return " serves " in log.read_text()

    try:
        poll(serves, within_s=60, what="peer's worker")
        time.sleep(5)  # it does not say when it serves; its time is not counted
        go = [python, "-c", PEER_GO.format(n=n)]
        done = subprocess.run(go, env=env, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:] + log.read_text()[-2000:]
        return float(done.stdout.split()[-1])
    finally:
        worker.stop(signal.SIGKILL)


def tell(what: str, n: int, seconds: float, requests: int) -> float:
    """Print a row and return the rate."""
    print(
        f"{what:<34} {n:>7,} specs {seconds:7.1f} s {n / seconds:9.1f}/s {requests:>6} S3 requests"
        f"   load {os.getloadavg()[0]:.1f}",
        flush=True,
    )
    return n / seconds


def numbers(name: str, default: str) -> list[str]:
    """Return the numbers that a variable lists."""
    return os.environ.get(name, default).split(",")


def main() -> int:
    """Return 0 when all bounds are met."""
    with servers() as (engine, s3, folder), farm(engine, s3, folder / "farm") as place:
        bounds = measure(place, s3)
    for bound, met in bounds.items():
        print(f"{'met    ' if met else 'not met'}  {bound}")
    return 0 if all(bounds.values()) else 1


def measure(place: Farm, s3: S3Server) -> dict[str, bool]:
    """Print all rows, and return which bounds are met."""
    rates, seconds, requests = {}, {}, {}
    one_by_one = 0.0
    for slots in numbers("SCYTHE_BENCH_SLOTS", "2,4"):
        worker = place.worker(SCYTHE_WORKER_SLOTS=slots)
        our_seconds(place, 20, '"auto"')
        for n in (1_000, 10_000) if slots == "2" else ():
            with s3.counting(place.bucket) as counts:
                seconds[n] = our_seconds(place, n, '"auto"')
            requests[n] = counts.total()
            rates[n] = tell("ours", n, seconds[n], counts.total())
        with s3.counting(place.bucket) as counts:
            took = our_seconds(place, 1_000, "1")
        rate = tell(f"ours, batch_size=1, {slots} slots", 1_000, took, counts.total())
        one_by_one = max(one_by_one, rate)
        worker.stop(signal.SIGTERM)
    more = (requests[10_000] - requests[1_000]) / 9
    bounds = {
        "1,000 specs in at most 8 s": seconds[1_000] <= 8,
        "at most 60 requests for 1,000": requests[1_000] <= 60,
        "at most 3 for each further 1,000": more <= 3,
    }
    python = os.environ.get("SCYTHE_BENCH_PEER")
    if python:
        peer = 0.0
        for slots in numbers("SCYTHE_BENCH_PEER_SLOTS", "100,500"):
            with s3.counting(place.bucket) as counts:
                took = peer_seconds(place, python, 1_000, slots)
            rate = tell(f"scythe-engine, {slots} slots", 1_000, took, counts.total())
            peer = max(peer, rate)
        bounds["10,000 at 100 times its rate"] = rates[10_000] >= 100 * peer
        bounds["batch_size=1 at 5 times its rate"] = one_by_one >= 5 * peer
        print(
            f"ratios of rates: {rates[10_000] / peer:.0f} in batches, {one_by_one / peer:.1f} one by one"
        )
    return bounds


if __name__ == "__main__":
    sys.exit(main())
