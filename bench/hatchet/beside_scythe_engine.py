"""Specs a second on one Hatchet engine and one S3 server: ours beside scythe-engine, in one run.

It needs what `make test-hatchet` needs, and for the comparison SCYTHE_BENCH_PEER, a Python that has
scythe-engine. Both serve with one worker on this machine; ours with two slots, scythe-engine with the
slots that SCYTHE_BENCH_PEER_SLOTS says (100).
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "hatchet"))

from farm import Farm
from servers import Hatchet, Process, S3Server, poll

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


def peer_seconds(farm: Farm, python: str, n: int) -> float:
    """Return how long scythe-engine takes from import to result."""
    folder = farm.folder.parent / "peer"
    folder.mkdir()
    (folder / "peer_task.py").write_text(PEER_TASK)
    (folder / "worker.py").write_text(PEER_WORKER)
    slots = os.environ.get("SCYTHE_BENCH_PEER_SLOTS", "100")
    env = {
        **farm.env,
        "SCYTHE_WORKER_SLOTS": slots,
        "SCYTHE_TIMEOUT_SCATTER_GATHER_EXECUTION": "1h",
        "SCYTHE_TIMEOUT_SCATTER_GATHER_SCHEDULE": "1h",
    }
    worker = Process([python, "worker.py"], log=folder / "log", env=env, cwd=folder)
    try:
        poll(lambda: " serves " in (folder / "log").read_text(), within_s=60, what="peer's worker")
        time.sleep(5)  # it does not say when it serves; its time is not counted
        go = [python, "-c", PEER_GO.format(n=n)]
        done = subprocess.run(go, env=env, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:] + (folder / "log").read_text()[-2000:]
        return float(done.stdout.split()[-1])
    finally:
        worker.stop(signal.SIGKILL)


def tell(what: str, n: int, seconds: float, requests: int) -> float:
    """Print a row and return the rate."""
    print(
        f"{what:<34} {n:>7,} specs {seconds:7.1f} s {n / seconds:9.1f}/s {requests:>6} S3 requests",
        flush=True,
    )
    return n / seconds


def main() -> int:
    """Return 0 when all bounds are met."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        engine, s3 = Hatchet(folder / "hatchet"), S3Server(folder / "s3")
        (folder / "farm").mkdir()
        farm = Farm(folder / "farm", engine, s3)
        try:
            return measure(farm, s3)
        finally:
            farm.close()
            s3.close()
            engine.close()


def measure(farm: Farm, s3: S3Server) -> int:
    """Print all rows and whether the bounds are met."""
    rates, seconds, requests = {}, {}, {}
    worker = farm.worker()
    farm.run(OURS.format(n=20, size='"auto"'))
    for what, n, size in [
        ("ours", 1_000, '"auto"'),
        ("ours", 10_000, '"auto"'),
        ("ours, batch_size=1", 1_000, "1"),
    ]:
        with s3.counting(farm.bucket) as counts:
            seconds[what, n] = float(farm.run(OURS.format(n=n, size=size), within_s=300))
        requests[what, n] = counts.total()
        rates[what, n] = tell(what, n, seconds[what, n], counts.total())
    worker.stop(signal.SIGTERM)
    bounds = {
        "1,000 specs in at most 8 s": seconds["ours", 1_000] <= 8,
        "at most 60 requests for 1,000": requests["ours", 1_000] <= 60,
        "at most 3 for each further 1,000": requests["ours", 10_000] - requests["ours", 1_000]
        <= 27,
    }
    python = os.environ.get("SCYTHE_BENCH_PEER")
    if python:
        with s3.counting(farm.bucket) as counts:
            took = peer_seconds(farm, python, 1_000)
        peer = tell("scythe-engine", 1_000, took, counts.total())
        bounds["10,000 at 100 times its rate"] = rates["ours", 10_000] >= 100 * peer
        bounds["batch_size=1 at 5 times its rate"] = rates["ours, batch_size=1", 1_000] >= 5 * peer
        print(
            f"ratios: {rates['ours', 10_000] / peer:.0f}, {rates['ours, batch_size=1', 1_000] / peer:.1f}"
        )
    for bound, met in bounds.items():
        print(f"{'met    ' if met else 'not met'}  {bound}")
    return 0 if all(bounds.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
