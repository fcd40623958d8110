"""A run from specs to tables, without processes: what the root does with whatever an engine does."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inline import InlineEngine
from sample_tasks import Counted, Sum, add, count_calls

from scythe_runtime.allocate import Options, allocate_run, lead
from scythe_runtime.check import check_run
from scythe_runtime.layout import RunLayout
from scythe_runtime.manifest import read_manifest
from scythe_runtime.results import Results
from scythe_runtime.scatter_gather import RecursionMap
from scythe_runtime.store import Store, open_store


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store in a folder, which is the working directory too."""
    monkeypatch.chdir(tmp_path)
    return open_store((tmp_path / "runs").as_uri())


def run(
    store: Store, specs: list[Any], engine: InlineEngine, experiment: Any = add, **options: Any
):
    """Allocate and run specs; return the run's layout and its ending."""
    allocated = allocate_run(
        specs,
        experiment=experiment,
        base_id="sum",
        store=store,
        engine=engine,
        options=Options(**{"version": "bumpminor", **options}),
    )
    return RunLayout(allocated.run_id), allocated.driver.ending()


def go_on(store: Store, layout: RunLayout, engine: InlineEngine, mode: Any, experiment: Any = add):
    """Resume or retry a run; return its ending."""
    manifest = read_manifest(store, layout)
    driver = lead(
        store=store,
        layout=layout,
        manifest=manifest,
        experiment=experiment,
        engine=engine,
        slots=engine,
        mode=mode,
    )
    return driver.ending()


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 90),
    factor=st.integers(1, 7),
    depth=st.integers(0, 10),
    batch_size=st.one_of(st.just("auto"), st.integers(1, 20)),
    failing=st.sets(st.integers(0, 89)),
    lost=st.sets(st.integers(0, 400)),
    twice=st.sets(st.integers(0, 400)),
    seed=st.integers(0, 3),
)
def test_each_spec_has_one_outcome(
    tmp_path_factory: pytest.TempPathFactory,
    n: int,
    factor: int,
    depth: int,
    batch_size: Any,
    failing: set[int],
    lost: set[int],
    twice: set[int],
    seed: int,
) -> None:
    """Whatever tree, batches, failures, lost and doubled batches: after a resume each spec has one outcome, in order."""
    store = open_store(tmp_path_factory.mktemp("runs").as_uri())
    specs = [Sum(a=k / 4, b=k, fate="raise" if k in failing else "fine") for k in range(n)]
    counter = iter(range(10_000))
    engine = InlineEngine(
        seed=seed, skip=lambda _: next(counter) in lost, twice=lambda b: b.id in twice
    )
    layout, ending = run(
        store,
        specs,
        engine,
        batch_size=batch_size,
        recursion_map=RecursionMap(factor=factor, max_depth=depth),
    )
    expected_failed = {k for k in range(n) if k in failing}
    if ending.counts.pending:
        ending = go_on(store, layout, InlineEngine(), "resume")
    if ending.state == "stopped":  # all of a canary failed of one cause
        ending = go_on(store, layout, InlineEngine(), "resume")
    assert (ending.counts.succeeded, ending.counts.failed, ending.counts.pending) == (
        n - len(expected_failed),
        len(expected_failed),
        0,
    )
    results = Results(store, layout)
    scalars, errors = results.arrow("scalars"), results.arrow("errors")
    good = scalars.column("sort_index").to_pylist()
    bad = errors.column("sort_index").to_pylist()
    assert good == sorted(good)
    assert bad == sorted(bad)
    assert sorted(good + bad) == list(range(n))
    assert set(bad) == expected_failed
    assert scalars.column("total").to_pylist() == [k / 4 + k for k in good]
    assert scalars.column("a").to_pylist() == [k / 4 for k in good]
    report = check_run(store, layout)
    assert report.ok, report.problems


def test_results_do_not_depend_on_the_tree(store: Store) -> None:
    """Trees of all shapes give the same table as no tree."""
    specs = [Sum(a=k * 1.5, b=k) for k in range(500)]
    tables = []
    for tree in (None, RecursionMap(factor=3, max_depth=3), RecursionMap(factor=50, max_depth=1)):
        layout, _ = run(store, specs, InlineEngine(), recursion_map=tree, batch_size=7)
        table = Results(store, layout).arrow("scalars")
        tables.append(
            table.drop_columns(["experiment_id", "workflow_run_id", "root_workflow_run_id"])
        )
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_a_node_takes_a_grid_stride(store: Store) -> None:
    """Child k of factor f runs the rows k, k + f, k + 2f and so on."""
    engine = InlineEngine()
    tree = RecursionMap(factor=3, max_depth=1)
    run(store, [Sum(a=0, b=k) for k in range(8)], engine, recursion_map=tree, batch_size=5)
    rows = {batch.plan: [r for part in batch.rows for r in part] for batch in engine.batches}
    assert rows == {"0001-main.0": [0, 3, 6], "0001-main.1": [1, 4, 7], "0001-main.2": [2, 5]}


def test_a_run_that_always_fails_stops_after_the_canary(store: Store) -> None:
    """When all of the canary fail of one cause, nothing else is run and the cause is said."""
    specs = [Sum(a=0, b=7, fate="raise") for _ in range(1000)]
    engine = InlineEngine()
    layout, ending = run(store, specs, engine)
    assert ending.state == "stopped"
    assert (ending.counts.failed, ending.counts.pending) == (8, 992)
    assert ending.cause is not None
    assert ending.cause.startswith("ValueError: no luck with 7 (sample_tasks.py:")
    assert read_manifest(store, layout).state == "stopped"


def test_the_canary_has_the_first_the_last_and_the_extremes(store: Store) -> None:
    """The rows that are tried first are those that are most likely to show trouble."""
    specs = [Sum(a=k % 97, b=(k * 31) % 101) for k in range(1000)]
    engine = InlineEngine()
    run(store, specs, engine)
    canary = {
        row for b in engine.batches if b.plan == "0000-canary" for part in b.rows for row in part
    }
    a, b = np.array([s.a for s in specs]), np.array([s.b for s in specs])
    assert {0, 999} <= canary
    assert len(canary) == 8
    assert {a[list(canary)].max(), a[list(canary)].min()} == {96, 0}
    assert {b[list(canary)].max(), b[list(canary)].min()} == {100, 0}


def test_max_failures_pauses_and_resume_goes_on(store: Store) -> None:
    """A run over its budget pauses, keeps everything, and resume runs the rest."""
    specs = [Sum(a=0, b=k, fate="raise" if k % 3 else "fine") for k in range(300)]
    _, ending = run(store, specs, InlineEngine(), max_failures=0.1, batch_size=10)
    # an inline engine looks at the budget between steps only: the run is complete by then
    assert ending.counts.failed == 200
    _, ending = run(
        store, specs, InlineEngine(skip=lambda b: b.plan != "0000-canary"), max_failures=2
    )
    assert ending.state == "paused"
    assert ending.cause is not None
    assert "max_failures is 2" in ending.cause
    assert ending.counts.pending == 292


def test_retry_runs_only_what_failed(store: Store, tmp_path: Path) -> None:
    """After a retry the failures that went away are results, and nothing else has run again."""
    log, flag = tmp_path / "calls.txt", tmp_path / "flag"
    specs = [Counted(calls=str(log), flag=str(flag), k=k) for k in range(40)]
    layout, ending = run(store, specs, InlineEngine(), count_calls)
    assert ending.counts.failed == 8
    calls = log.read_text().split()
    assert sorted(set(calls), key=int) == [str(k) for k in range(40)]
    assert len(calls) == 40 + 8  # retries=1: a spec that raises is tried twice
    flag.touch()
    ending = go_on(store, layout, InlineEngine(), "retry", count_calls)
    assert ending.state == "complete"
    again = log.read_text().split()[len(calls) :]
    assert sorted(map(int, again)) == [k for k in range(40) if k % 5 == 0]
    table = Results(store, layout).arrow("scalars")
    assert table.column("total").to_pylist() == [float(k) for k in range(40)]
    assert check_run(store, layout).ok


def test_a_resume_of_a_whole_run_runs_nothing(store: Store) -> None:
    """What has an outcome is never run again."""
    layout, _ = run(store, [Sum(a=1, b=k) for k in range(30)], InlineEngine())
    engine = InlineEngine()
    assert go_on(store, layout, engine, "resume").state == "complete"
    assert engine.batches == []


def test_pandas_stays_out(store: Store) -> None:
    """A run from a list of models to its tables does not import pandas: it would cost half of a short run."""
    import subprocess
    import sys

    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from scythe_runtime.allocate import Options, allocate_run\n"
        "from inline import InlineEngine\n"
        "import scythe_runtime.registry\n"
        "from plain_task import Point, norm\n"
        "from scythe_runtime.store import open_store\n"
        "specs = [Point(x=k, y=k, name='é', flag=k % 2 == 0) for k in range(100)]\n"
        "run = allocate_run(specs, experiment=norm, base_id='n', store=open_store(sys.argv[2]),\n"
        "    engine=InlineEngine(), options=Options(version='keep'))\n"
        "print(run.driver.ending().counts.succeeded, 'pandas' in sys.modules, 'boto3' in sys.modules)\n"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run(
        [sys.executable, "-c", code, here, store.root_uri],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["100", "False", "False"], done.stderr
