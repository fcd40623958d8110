"""One way of running N trivial specs, as a whole process: models in, one table out.

python local.py WAY N
"""

# ruff: noqa: PLC0415 - each way imports only what it uses: imports are a part of what is measured

import json
import sys
import time
from typing import Any

from measure import own_memory_mib


def ours(n: int) -> dict:
    """From a list of models to final/."""
    from work import Spec, rows, trivial

    from scythe_runtime import BaseExperiment

    began = time.perf_counter()
    specs = [Spec(**row) for row in rows(n)]
    made = time.perf_counter()
    held = own_memory_mib()
    _, ref = BaseExperiment(runnable=trivial, run_name="bench").allocate(specs)
    allocated = time.perf_counter()
    result = ref.result(progress=False)
    assert result.succeeded == n
    return {
        "list": made - began,
        "allocate": allocated - made,
        "run": time.perf_counter() - allocated,
        "held_mib": held,
        "pandas": "pandas" in sys.modules,
    }


def ours_frame(n: int) -> dict:
    """From an arrow table to final/."""
    from work import trivial

    from scythe_runtime import BaseExperiment

    began = time.perf_counter()
    table = frame(n)
    made = time.perf_counter()
    held = own_memory_mib()
    _, ref = BaseExperiment(runnable=trivial, run_name="bench").allocate(table)
    allocated = time.perf_counter()
    result = ref.result(progress=False)
    assert result.succeeded == n
    return {
        "list": made - began,
        "allocate": allocated - made,
        "run": time.perf_counter() - allocated,
        "held_mib": held,
    }


def frame(n: int) -> Any:
    """Return the rows as a table, by numpy."""
    import numpy as np
    import pyarrow as pa

    i = np.arange(n)
    kinds = pa.DictionaryArray.from_arrays(
        pa.array((i % 3).astype("int32")), pa.array(["office", "retail", "home"])
    ).cast(pa.string())
    return pa.table(
        {
            "a": i / n,
            "b": (i * 7 % n) / n,
            "c": (i * 13 % n) / n,
            "d": (i * 31 % n) / n,
            "n": i,
            "kind": kinds,
        }
    )


def _specs(n: int) -> list:
    from peer_work import Inputs, rows

    return [Inputs(**row) for row in rows(n)]


def loop(n: int) -> dict:
    """A plain loop that keeps its models."""
    from peer_work import function, write

    specs = _specs(n)
    write(specs, [function(s) for s in specs], "all.pq")
    return {}


def joblib(n: int) -> dict:
    """Joblib with loky, as it comes."""
    from joblib import Parallel, delayed
    from peer_work import SLOTS, function, write

    specs = _specs(n)
    write(specs, Parallel(n_jobs=SLOTS)(delayed(function)(s) for s in specs), "all.pq")
    return {}


def futures(n: int) -> dict:
    """concurrent.futures in chunks of 64."""
    from concurrent.futures import ProcessPoolExecutor

    from peer_work import SLOTS, function, write

    specs = _specs(n)
    with ProcessPoolExecutor(SLOTS) as pool:
        write(specs, list(pool.map(function, specs, chunksize=64)), "all.pq")
    return {}


def _chunk(rows: list) -> list:
    from peer_work import Inputs, function

    return [function(Inputs(**row)) for row in rows]


def _chunks(specs: list) -> list:
    return [[s.__dict__ for s in specs[i : i + 256]] for i in range(0, len(specs), 256)]


def dask(n: int) -> dict:
    """dask.distributed in chunks of 256 dicts: one by one it takes ten times as long."""
    from distributed import Client, LocalCluster
    from peer_work import SLOTS, write

    specs = _specs(n)
    with (
        LocalCluster(n_workers=SLOTS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        parts = client.gather(client.map(_chunk, _chunks(specs), pure=False))
    write(specs, [o for part in parts for o in part], "all.pq")
    return {}


def ray(n: int) -> dict:
    """Ray in chunks of 256 dicts."""
    import ray as ray_
    from peer_work import SLOTS, write

    specs = _specs(n)
    ray_.init(num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    remote = ray_.remote(_chunk)
    parts = ray_.get([remote.remote(c) for c in _chunks(specs)])
    write(specs, [o for part in parts for o in part], "all.pq")
    return {}


def parsl(n: int) -> dict:
    """Parsl's HighThroughputExecutor in chunks of 256 dicts."""
    import parsl as parsl_
    from parsl.executors import HighThroughputExecutor
    from peer_work import SLOTS, write

    specs = _specs(n)
    pool = HighThroughputExecutor(
        max_workers_per_node=SLOTS, cores_per_worker=1e-6, encrypted=False
    )
    with parsl_.load(parsl_.Config(executors=[pool])):
        app = parsl_.python_app(_chunk)
        parts = [f.result() for f in [app(c) for c in _chunks(specs)]]
    write(specs, [o for part in parts for o in part], "all.pq")
    return {}


WAYS = {f.__name__: f for f in (ours, ours_frame, loop, joblib, futures, dask, ray, parsl)}

if __name__ == "__main__":
    print(json.dumps(WAYS[sys.argv[1]](int(sys.argv[2]))), flush=True)
