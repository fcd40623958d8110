"""What a worker promises, on a real engine: processes, heartbeats, order, what it is given, what it is sent."""

import json
from collections.abc import Iterator

import pytest
from farm import Farm
from servers import Hatchet, S3Server

GO = """
from plot.odd import Nap, nap, one_by_one
from scythe_runtime import BaseExperiment
from scythe_runtime.scatter_gather import RecursionMap
"""


@pytest.fixture(scope="module")
def farm(
    servers: tuple[Hatchet, S3Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Farm]:
    """Return a repository with one worker of four slots."""
    farm = Farm(tmp_path_factory.mktemp("odd"), *servers)
    farm.worker(script="odd_worker.py", SCYTHE_WORKER_SLOTS="4")
    yield farm
    farm.close()


def test_four_slots_are_four_processes(farm: Farm) -> None:
    """On a worker of four slots, four specs run at a time, each in a process of its own."""
    out = farm.run(
        GO
        + """
run, ref = BaseExperiment(runnable=nap).allocate([Nap(seconds=2.0) for _ in range(8)], batch_size=1)
assert ref.result().succeeded == 8
table = run.table()
at_once = [sum((table["began"] <= t) & (table["ended"] > t)) for t in table["began"]]
print(table["pid"].nunique(), max(at_once))
"""
    )
    assert out.split() == ["4", "4"]


def test_a_function_that_never_lets_go_of_the_interpreter_costs_no_heartbeat(farm: Farm) -> None:
    """Specs that hold the lock for longer than the 30 s after which a silent worker is given up run once."""
    out = farm.run(
        GO
        + """
import datetime as dt
specs = [Nap(seconds=38.0, alone=True) for _ in range(4)]
run, ref = BaseExperiment(runnable=nap).allocate(specs, batch_size=1)
assert ref.result().succeeded == 4
print(min(run.table()["ended"] - run.table()["began"]) >= 38)
from scythe_runtime.hatchet import hatchet
tasks = hatchet.runs.list(
    since=dt.datetime.now(dt.UTC) - dt.timedelta(hours=1),
    additional_metadata={"batch_of": run.experiment_id},
    limit=50,
).rows
print(len(tasks), {t.retry_count for t in tasks})
""",
        within_s=150,
    )
    assert out.splitlines() == ["True", "4 {0}"]


def test_concurrency_and_priority_pass_through_register(farm: Farm) -> None:
    """`Register(concurrency=…, default_priority=…)` are Hatchet's own: batches of this experiment take turns."""
    out = farm.run(
        GO
        + """
run, ref = BaseExperiment(runnable=one_by_one).allocate([Nap(seconds=0.5) for _ in range(6)], batch_size=1)
assert ref.result().succeeded == 6
table = run.table().sort_values("began")
print(all(table["began"].to_numpy()[1:] >= table["ended"].to_numpy()[:-1]))
import datetime as dt
from scythe_runtime.hatchet import hatchet
from scythe_runtime.engine._hatchet_declare import declare
never = lambda *_: None
tasks = declare(hatchet, one_by_one, run_batch=never, lead=never, scatter=never)
print({task.to_proto().default_priority for task in tasks.leaf})
"""
    )
    assert out.splitlines() == ["True", "{3}"]


def test_an_option_that_hatchet_does_not_know(farm: Farm) -> None:
    """An option that neither we nor Hatchet know is the user's mistake, and named before anything is written."""
    out = farm.run(
        """
from plot.odd import Nap, Stamp, stamp
from scythe_runtime import BaseExperiment, ExperimentRegistry
from scythe_runtime.errors import UsageError
import plot.odd
@ExperimentRegistry.Register(name="typo", concurency=3)
def typo(input_spec: Nap) -> Stamp:
    return stamp(input_spec)
typo.fn.__module__ = "plot.odd"
try:
    BaseExperiment(runnable=typo).allocate([Nap(seconds=0)])
except UsageError as error:
    print("concurency" in str(error), "typo" in str(error))
"""
    )
    assert out.split() == ["True", "True"]


def test_a_worker_of_the_sdk_is_refused(farm: Farm) -> None:
    """`Register(worker=…)` with Hatchet's own worker says why not, and what to start instead."""
    out = farm.run(
        """
from plot.odd import Nap, Stamp, stamp
from scythe_runtime import ExperimentRegistry
from scythe_runtime.errors import UsageError
from scythe_runtime.hatchet import hatchet
def mine(input_spec: Nap) -> Stamp:
    return stamp(input_spec)
try:
    ExperimentRegistry.Register(worker=hatchet.worker("mine", slots=2))(mine)
except UsageError as error:
    print("ScytheWorkerConfig().start()" in str(error))
"""
    )
    assert out.strip() == "True"


def test_what_is_sent_stays_small(farm: Farm) -> None:
    """No task's input or output weighs more than 2 KB, whatever a spec weighs and however many there are."""
    sizes = {}
    for n, text in ((20, ""), (20, "x" * 50_000), (2000, "")):
        out = farm.run(
            GO
            + f"""
import datetime as dt, json, time
specs = [Nap(seconds=0.0, text={text!r}) for _ in range({n})]
run, ref = BaseExperiment(runnable=nap).allocate(
    specs, recursion_map=RecursionMap(factor=4, max_depth=2), batch_size=max(4, {n} // 100)
)
assert ref.result().succeeded == {n}
from scythe_runtime.hatchet import hatchet
tasks = hatchet.runs.list(
    since=dt.datetime.now(dt.UTC) - dt.timedelta(hours=1),
    additional_metadata={{"run": run.experiment_id}},
    limit=500,
).rows
found = [hatchet.runs.get_details(t.workflow_run_external_id) for t in tasks]
sent = [len(json.dumps(one.input)) for one in found]
returned = [len(json.dumps(t.output)) for one in found for t in one.task_runs.values()]
print(json.dumps([len(tasks), max(sent), max(returned)]))
"""
        )
        sizes[n, len(text)] = json.loads(out)
    print(sizes)
    for _, sent, returned in sizes.values():
        assert sent < 2048
        assert returned < 2048
    assert (
        max(sent for _, sent, _ in sizes.values()) - min(sent for _, sent, _ in sizes.values()) < 20
    ), "it does not grow"


def test_a_worker_serves_what_it_is_given(farm: Farm) -> None:
    """`start(experiments=…, additional_workflows=…)`: a workflow that nobody included is served too."""
    out = farm.run(
        """
from scythe_runtime.hatchet import hatchet
print("pid" in hatchet.stubs.workflow(name="extra").run()["hello"])
"""
    )
    assert out.strip() == "True"


def test_status_follows_a_run_from_elsewhere(farm: Farm) -> None:
    """`scythe status --follow` in another process shows counts, rate and time left until the run has ended."""
    run_id = farm.run(
        GO
        + """
run, ref = BaseExperiment(runnable=nap).allocate([Nap(seconds=0.4) for _ in range(120)], batch_size=2)
print(run.experiment_id)
"""
    ).strip()
    process = farm.python(
        "import sys; from scythe_runtime.cli import main; "
        f"sys.argv = ['scythe', 'status', {run_id!r}, '--follow']; main()"
    )
    out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert f"run {run_id}: complete" in out
    assert "120 specs: 120 succeeded, 0 failed, 0 pending" in out
    going = [line for line in err.splitlines() if "/s" in line]
    assert going, err
    assert any("left" in line for line in going), err
