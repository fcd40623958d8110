"""200 specs of 5 ms of which one goes wrong: how many of the other 199 results does the caller hold?

python bench/survival.py            all rows
python bench/survival.py one IDIOM FATE   one cell, in this process
"""

# ruff: noqa: PLC0415 - each way imports only what it uses: imports are a part of what is measured

import json
import sys
import time
from typing import Any

from measure import head, run
from peer_work import SLOTS, try_out

N, BAD, SECONDS = 200, 100, 0.005


def fates(fate: str) -> list[tuple[int, float, str]]:
    """Return the arguments of all calls."""
    return [(k, SECONDS, fate if k == BAD else "fine") for k in range(N)]


def call(arguments: tuple[int, float, str]) -> int:
    """Call the function with its arguments in a tuple."""
    return try_out(*arguments)


def scythe(fate: str) -> tuple[int, str]:
    """Run it here."""
    from work import Trial, last

    from scythe_runtime import BaseExperiment

    specs = [Trial(k=k, seconds=s, fate=f) for k, s, f in fates(fate)]
    run_, ref = BaseExperiment(runnable=last, run_name="survival").allocate(specs)
    result = ref.result(progress=False)
    errors = run_.results.arrow("errors")
    named = [
        f"row {row}: {message}"
        for row, message in zip(
            errors["sort_index"].to_pylist(), errors["error_message"].to_pylist(), strict=True
        )
    ]
    return result.succeeded, "; ".join(named)


def ppe_map(fate: str) -> tuple[int, str]:
    """concurrent.futures, the obvious way."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(SLOTS) as pool:
        return len(list(pool.map(call, fates(fate)))), ""


def _each(futures: list, result: Any) -> tuple[int, str]:
    good, named = 0, []
    for k, future in enumerate(futures):
        try:
            result(future)
            good += 1
        except Exception as error:  # noqa: BLE001 - whatever a peer raises
            named.append((k, f"{type(error).__name__}"))
    one = f"row {named[0][0]}: {named[0][1]}" if len(named) == 1 else f"{len(named)} blamed"
    return good, one


def ppe_each(fate: str) -> tuple[int, str]:
    """concurrent.futures, with care."""
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(SLOTS) as pool:
        return _each([pool.submit(call, a) for a in fates(fate)], lambda f: f.result())


def joblib_list(fate: str) -> tuple[int, str]:
    """joblib, the obvious way."""
    from joblib import Parallel, delayed

    return len(Parallel(n_jobs=SLOTS)(delayed(call)(a) for a in fates(fate))), ""


def joblib_generator(fate: str) -> tuple[int, str]:
    """joblib, keeping what comes."""
    from joblib import Parallel, delayed

    good = 0
    try:
        for _ in Parallel(n_jobs=SLOTS, return_as="generator_unordered")(
            delayed(call)(a) for a in fates(fate)
        ):
            good += 1
    except Exception as error:  # noqa: BLE001 - whatever a peer raises
        return good, type(error).__name__
    return good, ""


def _dask() -> Any:
    from distributed import Client, LocalCluster

    cluster = LocalCluster(
        n_workers=SLOTS, threads_per_worker=1, dashboard_address=None, silence_logs=50
    )
    return Client(cluster)


def dask_gather(fate: str) -> tuple[int, str]:
    """dask.distributed, the obvious way."""
    with _dask() as client:
        return len(client.gather(client.map(call, fates(fate)))), ""


def dask_each(fate: str) -> tuple[int, str]:
    """dask.distributed, with care."""
    with _dask() as client:
        return _each(client.map(call, fates(fate)), lambda f: f.result())


def _ray() -> Any:
    import ray

    ray.init(num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    return ray, ray.remote(call)


def ray_list(fate: str) -> tuple[int, str]:
    """ray, the obvious way."""
    ray, remote = _ray()
    return len(ray.get([remote.remote(a) for a in fates(fate)])), ""


def ray_each(fate: str) -> tuple[int, str]:
    """ray, with care."""
    ray, remote = _ray()
    return _each([remote.options(max_retries=0).remote(a) for a in fates(fate)], ray.get)


IDIOMS = {
    "scythe": scythe,
    "concurrent.futures map": ppe_map,
    "concurrent.futures, each": ppe_each,
    "joblib list": joblib_list,
    "joblib generator": joblib_generator,
    "dask gather": dask_gather,
    "dask, each": dask_each,
    "ray.get(list)": ray_list,
    "ray.get, each": ray_each,
}


def main() -> int:
    """Print the table; 1 if ours is not 199 and one name in each column."""
    head("survival: 200 specs of 5 ms, one of which goes wrong; results held of 199 good ones")
    ok = True
    print(f"{'':26}{'raises':44}{'is killed (SIGKILL)':44}")
    for idiom in IDIOMS:
        cells = []
        for fate in ("raises", "is killed"):
            found = run("survival.py", "one", idiom, fate, timeout_s=60)
            if found.answer is None:
                last_line = (found.said.strip().splitlines() or ["?"])[-1]
                cells.append(f"0, {last_line[:24]} ({found.seconds:.1f} s)")
                continue
            good, named = found.answer["good"], found.answer["named"]
            cells.append(f"{good}, {named[:30]} ({found.seconds:.1f} s)")
            if idiom == "scythe":
                ok &= good == N - 1 and f"row {BAD}" in named
        print(f"{idiom:26}{cells[0]:44}{cells[1]:44}", flush=True)
    for fate in ("exits", "hangs"):
        found = run("survival.py", "one", "scythe", fate)
        answer = found.answer or {"good": 0, "named": found.said}
        ok &= answer["good"] == N - 1 and f"row {BAD}" in answer["named"]
        print(f"scythe, one {fate}: {answer['good']}, {answer['named']} ({found.seconds:.1f} s)")
    print("met      199 results and one name in each column" if ok else "not met  199 and one name")
    return 0 if ok else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        began = time.perf_counter()
        good, named = IDIOMS[sys.argv[2]](sys.argv[3])
        print(
            json.dumps({"good": good, "named": named, "seconds": time.perf_counter() - began}),
            flush=True,
        )
    else:
        sys.exit(main())
