"""Runs on a real Hatchet engine with S3, one worker of two slots: what comes out, how fast, with how many requests."""

import re
import signal
import time
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from farm import Farm
from servers import Hatchet, S3Server, poll

GO = """
import sys
from plot.task import *
from scythe_runtime import BaseExperiment, open_run
from scythe_runtime.scatter_gather import RecursionMap
experiment = BaseExperiment(runnable=add, run_name="plot")
"""

TABLES = """
import datetime as dt, sys
from pathlib import Path
from plot.odd import House, house
from scythe_runtime import BaseExperiment
from scythe_runtime.scatter_gather import RecursionMap

for k in range(2):
    Path(f"w{k}.txt").write_text("rain " * (k + 1))
specs = [
    House(
        number=k / 3, whole=k, flag=k % 2 == 0, text=f"naïve '{k}'", choice="x" if k % 3 else "y",
        day=dt.date(1969, 12, 25) + dt.timedelta(days=k),
        moment=dt.datetime(2024, 2, 29, 12, k % 60, tzinfo=dt.UTC),
        maybe=None if k % 4 else 0.5, weights=[0.1 * k, 2.0], table={"k": k},
        walls=[{"thickness": 1.0, "material": "clay"}] * (k % 3), weather=Path(f"w{k % 2}.txt"),
    )
    for k in range(60)
]
run, ref = BaseExperiment(runnable=house, run_name="house").allocate(
    specs, recursion_map=RecursionMap(factor=2, max_depth=1)
)
result = ref.result()
assert (result.succeeded, result.failed, result.pending, result.state) == (
    51, 9, 0, "complete-with-failures"
), run.errors()["traceback"][0]
assert run.check().ok, run.check()
folder = Path(sys.argv[1])
(folder / "run_id").write_text(run.experiment_id)
run.download(folder / "all")
"""

EXCLUDED = {
    "experiment_id": "has the time of the run",
    "workflow_run_id": "is made from the run's id",
    "root_workflow_run_id": "likewise",
    "seconds": "is measured",
    "worker": "is a process",
    "attempt": "may be more than one after a loss",
    "queue_id": "is the queue's",
}
"""Columns and levels in which runs of the same specs may differ, and why."""

PLACES = {
    "local-folder": {"SCYTHE_ENGINE": "local", "SCYTHE_STORAGE_BUCKET": ""},
    "local-s3": {"SCYTHE_ENGINE": "local"},
    "hatchet-s3": {},
}


def go(code: str) -> str:
    """Return a script of these lines."""
    return GO + code


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the final tables of a run that was brought to a folder, without what may differ."""
    run_id = (folder / "run_id").read_text()
    found = {}
    for path in sorted((folder / "all").rglob("final/*.pq")):
        table = pd.read_parquet(path).reset_index()
        table = table.drop(columns=[name for name in EXCLUDED if name in table])
        for (
            name
        ) in table.columns:  # a URI's place differs, and the id of the spec; not what it names
            if table[name].map(lambda v: isinstance(v, str) and run_id in v).any():
                table[name] = [
                    uri and re.sub(r"[0-9a-f-]{36}", "ID", uri.partition(run_id)[2])
                    for uri in table[name]
                ]
        found[path.stem] = table
    return found


def files(folder: Path) -> dict[str, list[str]]:
    """Return what the result files of each field hold."""
    found: dict[str, list[str]] = {}
    for path in (folder / "all").rglob("results/*/*"):
        found.setdefault(path.parent.name, []).append(path.read_text())
    return {field: sorted(texts) for field, texts in found.items()}


def test_the_same_tables_everywhere(
    servers: tuple[Hatchet, S3Server], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """By environment alone, the same repository gives equal final tables, errors, frames and files everywhere."""
    farm = Farm(tmp_path_factory.mktemp("everywhere"), *servers)
    try:
        farm.worker(script="odd_worker.py")
        found = {}
        for place, env in PLACES.items():
            folder = tmp_path_factory.mktemp(place)
            farm.run(TABLES.replace("sys.argv[1]", repr(str(folder))), **env)
            found[place] = tables(folder), files(folder)
    finally:
        farm.close()
    (first, its_files), *others = found.values()
    assert sorted(first) == ["errors", "hours", "result_file_refs", "scalars"]
    assert {name: len(table) for name, table in first.items()} == {
        "errors": 9,
        "hours": 102,
        "result_file_refs": 51,
        "scalars": 51,
    }
    assert len(its_files["notes"]) == 51
    for table, names in {
        "scalars": {
            "twice",
            "number",
            "day",
            "maybe",
            "weights",
            "walls",
            "total",
            "when",
            "series",
            "nested",
        },
        "errors": {"error_type", "error_message", "error_where", "number"},
        "result_file_refs": {"notes", "maybe_notes"},
        "hours": {"sort_index", "hour", "load", "note"},
    }.items():
        assert names <= set(first[table].columns), (table, sorted(first[table].columns))
    for other, other_files in others:
        assert sorted(other) == sorted(first)
        for name, table in first.items():
            pd.testing.assert_frame_equal(table, other[name])
        assert other_files == its_files


def test_a_thousand_specs_are_quick_and_frugal(shared_farm: Farm) -> None:
    """1,000 specs take at most 8 s from import to result and 60 requests; 5,000 more at most 3 each thousand."""
    measured = {}
    for n in (1000, 6000):
        code = f"""
import time
began = time.monotonic()
{GO}
run, ref = experiment.allocate([Sum(a=1.0, b=k) for k in range({n})])
assert ref.result().succeeded == {n}
print(time.monotonic() - began)
"""
        with shared_farm.s3.counting(shared_farm.bucket) as requests:
            seconds = float(shared_farm.run(code))
        measured[n] = seconds, requests.total()
        print(n, f"{seconds:.1f} s", dict(requests))
    assert measured[1000][1] <= 60
    assert measured[6000][1] - measured[1000][1] <= 15
    assert measured[1000][0] <= 8 * 2, "twice the bar: other tests run beside this one"


def test_one_spec_gives_its_value_or_raises(shared_farm: Farm) -> None:
    """A single spec's result is the function's value; what it raised is raised here."""
    out = shared_farm.run(
        go("""
run, ref = experiment.allocate(Sum(a=1.5, b=2))
print(ref.result().total)
own = {ref.workflow_run_id, run.manifest.workflow_run_id}
own |= set(run.scalars().index.get_level_values("root_workflow_run_id"))
from scythe_runtime.manifest import load_yaml
queued = load_yaml(run.store.get(run.experiment_id + "/scatter-gather/dispatch.yml"))["workflow_run_id"]
print(len(own), queued not in own)
from scythe_runtime.refs import SpecFailedError
run, ref = experiment.allocate(Sum(a=1, b=2, fate="raise"))
try:
    ref.result()
except SpecFailedError as error:
    print("no luck with 2" in str(error))
""")
    )
    assert out.split() == ["3.5", "1", "True", "True"]


def test_ctrl_c_leaves_the_run_going(shared_farm: Farm) -> None:
    """Ctrl-C ends the waiting only, and says how to come back; a script that never waits ends at once."""
    waiting = shared_farm.python(
        go("""
import signal, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
run, ref = experiment.allocate([Sum(a=1, b=k, seconds=0.05) for k in range(120)], batch_size=4)

def tell():
    while not ref._driver._watched:
        time.sleep(0.01)
    print(run.experiment_id, flush=True)

threading.Thread(target=tell, daemon=True).start()
ref.result()
""")
    )
    assert waiting.stdout is not None
    run_id = waiting.stdout.readline().strip()
    waiting.send_signal(signal.SIGINT)
    _, err = waiting.communicate(timeout=20)
    assert "the run goes on" in err
    assert f"scythe status {run_id}" in err
    leaving = shared_farm.run(
        go("""
run, ref = experiment.allocate([Sum(a=1, b=k) for k in range(20)])
print(run.experiment_id)
""")
    )
    from scythe_runtime import open_run

    patch = shared_farm.store_env()
    try:
        for one in (run_id, leaving.strip()):
            poll(lambda one=one: open_run(one).manifest.state == "complete", within_s=40, what=one)
    finally:
        patch.undo()


def test_waiting_in_an_event_loop(shared_farm: Farm) -> None:
    """`aio_result` waits without blocking the loop."""
    out = shared_farm.run(
        go("""
import asyncio
run, ref = experiment.allocate([Sum(a=1, b=k) for k in range(20)])

async def main():
    ticks, waiting = 0, asyncio.create_task(ref.aio_result())
    while not waiting.done():
        await asyncio.sleep(0.01)
        ticks += 1
    return ticks > 3, (await waiting).succeeded

print(*asyncio.run(main()))
""")
    )
    assert out.split() == ["True", "20"]


def test_tasks_tell_what_they_are(shared_farm: Farm) -> None:
    """In Hatchet, a run's tasks are found by its id, with node and range; a failed batch logs how to see why."""
    out = shared_farm.run(
        go("""
import datetime as dt
run, ref = experiment.allocate([Sum(a=1, b=k) for k in range(20)], batch_size=6)
ref.result()
from scythe_runtime.hatchet import hatchet
import time
for _ in range(100):
    rows = hatchet.runs.list(
        since=dt.datetime.now(dt.UTC) - dt.timedelta(hours=1),
        additional_metadata={"run": run.experiment_id},
        limit=50,
    ).rows
    if len(rows) >= 11:
        break
    time.sleep(0.1)
found = [r.additional_metadata for r in rows]
print(len([m for m in found if m.get("node") == "root"]))
print(sorted(m["range"] for m in found if m["node"] == "0001-main"))
""")
    )
    assert out.splitlines() == ["1", "['0-5', '6-11']"]


def test_what_specs_log_is_in_the_dashboard(shared_farm: Farm) -> None:
    """Each line of 400 is found once, under the task whose range the row is in; in few requests."""
    out = shared_farm.run(
        go("""
import datetime as dt, re, time
n = 400
specs = [Sum(a=1, b=k, fate="log", seconds=0.002) for k in range(n)]
run, ref = experiment.allocate(specs, batch_size=100)
ref.result()
from scythe_runtime.hatchet import hatchet

def tasks():
    return hatchet.runs.list(
        since=dt.datetime.now(dt.UTC) - dt.timedelta(hours=1),
        additional_metadata={"batch_of": run.experiment_id},
        limit=50,
    ).rows

plans = {p.plan.id: list(p.plan.rows) for p in run.ledger().parts}
for _ in range(100):
    lines, requests, wrong = [], 0, 0
    for task in tasks():
        node, (first, last) = task.additional_metadata["node"], map(int, task.additional_metadata["range"].split("-"))
        own = [row for part in plans[node] for row in part][first : last + 1]
        for entry in hatchet.logs.list(task.metadata.id).rows or []:
            requests += 1
            for text in entry.message.splitlines():
                k = int(re.fullmatch(r"\\[(\\d+)\\] thinking about \\1", text)[1])
                wrong += k not in own
                lines.append(k)
    if len(lines) == n:
        break
    time.sleep(0.2)
print(sorted(lines) == list(range(n)), wrong, requests <= 40, requests)
""")
    )
    assert out.split()[:3] == ["True", "0", "True"], out


def test_the_size_of_batches_is_learned(shared_farm: Farm) -> None:
    """By the canary's seconds a batch is 30 s of work; where the whole run is shorter, one batch a slot."""
    out = shared_farm.run(
        go("""
import time
from scythe_runtime.ledger import read_ledger

def size(specs):
    run, ref = experiment.allocate(specs)
    while True:
        plans = [p for p in run.ledger().plans if p.id == "0001-main"]
        if plans:
            ref._driver.cancel()
            return plans[0].batch_size, plans[0].batch_seconds, plans[0].num_batches
        time.sleep(0.2)

print(*size([Sum(a=1, b=k, seconds=0.25) for k in range(2000)]))
print(*size([Sum(a=1, b=k, seconds=0.01) for k in range(400)]))
""")
    )
    (long, long_s, _), (short, short_s, batches) = (
        map(float, line.split()) for line in out.splitlines()
    )
    assert 80 <= long <= 120
    assert 20 <= long_s <= 31
    assert (short, batches) == (196, 2)
    assert 1.9 <= short_s <= 6


def test_what_functions_print_is_in_the_workers_output(shared_farm: Farm) -> None:
    """Each line that a function prints, or logs, is once in what its worker prints: the log of a container."""
    shared_farm.run(
        go("""
specs = [Sum(a=1, b=k, fate="log" if k % 2 else "print") for k in range(3000, 3040)]
run, ref = experiment.allocate(specs, batch_size=5)
assert ref.result().succeeded == 40
""")
    )
    lines = Counter(shared_farm.logs(whole=True).splitlines())
    for k in range(3000, 3040, 2):
        assert lines[f"to itself about {k}"] == 1
        assert lines[f"aloud about {k}"] == 1
        assert lines[f"[{k - 2999}] thinking about {k + 1}"] == 1


def test_a_function_that_holds_the_interpreter_costs_no_heartbeat(shared_farm: Farm) -> None:
    """While specs of one run hold the interpreter's lock, another run's root and batches are served."""
    busy = shared_farm.python(
        go("""
run, ref = experiment.allocate([Sum(a=1, b=0, seconds=8, fate="spin")], version="bumpmajor")
print("begun", flush=True)
print(ref.result().succeeded)
""")
    )
    assert busy.stdout is not None
    busy.stdout.readline()
    began = time.monotonic()
    assert shared_farm.run(
        go("run, ref = experiment.allocate(Sum(a=1, b=1)); print(ref.result().total)")
    )
    assert time.monotonic() - began < 25
    out, err = busy.communicate(timeout=60)
    assert out.strip() == "1", err


@pytest.mark.parametrize("n", [1, 9])
def test_small_runs(shared_farm: Farm, n: int) -> None:
    """Runs with and without a canary, as small as can be, come out whole."""
    code = f"run, ref = experiment.allocate([Sum(a=1, b=k) for k in range({n})]); print(ref.result().succeeded, run.check().ok)"
    assert shared_farm.run(go(code)).split() == [str(n), "True"]
