"""Native workflows of Hatchet, included as experiments: single specs and batches, failures, recovery."""

import time
from collections.abc import Callable, Iterator

import pytest
from farm import Farm
from servers import Hatchet, S3Server
from test_hatchet_faults import Going, reading

from scythe_runtime import open_run

GO = """
from plot.flow import Sum, chain, pair
from scythe_runtime import BaseExperiment, open_run
"""

SPEC_RUNS = """
import datetime as dt, time
from scythe_runtime.hatchet import hatchet

def spec_runs(run):
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    found = hatchet.runs.list(since=since, additional_metadata={"batch_of": run.experiment_id}, limit=200).rows
    return {r.additional_metadata["row"]: r.metadata.id for r in found if "row" in r.additional_metadata}
"""


@pytest.fixture(scope="module")
def farm(
    servers: tuple[Hatchet, S3Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Farm]:
    """Return a repository with one worker that serves its workflows."""
    farm = Farm(tmp_path_factory.mktemp("flows"), *servers)
    farm.worker(script="flow_worker.py", SCYTHE_WORKER_SLOTS="16")
    yield farm
    farm.close()


def test_one_spec_of_a_workflow(farm: Farm) -> None:
    """A single spec's result is what the workflow's tasks returned; what one raised is raised here."""
    out = farm.run(
        GO
        + """
from scythe_runtime.refs import SpecFailedError
run, ref = BaseExperiment(runnable=chain).allocate(Sum(a=1.5, b=2))
answer = ref.result()
print(answer["double"], answer["finish"]["total"])
table = run.table()
print(table["total"].tolist(), table["a"].tolist(), run.check().ok)
print("b: 2" in run.store.get(run.experiment_id + "/workflow_spec.yml").decode())
run, ref = BaseExperiment(runnable="chain").allocate(Sum(a=1, b=7, fate="raise"))
try:
    ref.result()
except SpecFailedError as error:
    print("no luck with 7" in str(error))
"""
    )
    assert out.splitlines() == ["{'twice': 3.0} 5.0", "[5.0] [1.5] True", "True", "True"]


def test_a_batch_of_a_workflow(farm: Farm) -> None:
    """Each spec starts the workflow; its last task's output is the row, its failure is named."""
    out = farm.run(
        GO
        + """
specs = [Sum(a=k, b=k, fate="raise" if k in (3, 17) else "fine") for k in range(30)]
run, ref = BaseExperiment(runnable=chain).allocate(specs, batch_size=8)
result = ref.result()
print(result.succeeded, result.failed, result.pending, result.state, run.check().ok)
print(run.table()["total"].tolist() == [3.0 * k for k in range(30) if k not in (3, 17)])
errors = run.errors()
print(errors["sort_index"].tolist(), errors["error_type"].tolist(), errors["error_message"].tolist())
print(errors["error_where"].tolist(), "flow.py" in errors["traceback"][0])
"""
    )
    assert out.splitlines() == [
        "28 2 0 complete-with-failures True",
        "True",
        "[3, 17] ['ValueError', 'ValueError'] ['no luck with 3', 'no luck with 17']",
        "['flow.py:36', 'flow.py:36'] True",
    ]


def test_a_workflow_with_two_last_tasks(farm: Farm) -> None:
    """Of several last tasks, what each returned is a column by its name."""
    out = farm.run(
        GO
        + """
run, ref = BaseExperiment(runnable=pair).allocate([Sum(a=k, b=k) for k in range(10)])
print(ref.result().succeeded)
table = run.table()
print(table["left"][3], table["right"][3])
"""
    )
    assert out.splitlines() == ["10", "{'a': 3.0} {'b': 3}"]


def test_a_batch_of_a_workflow_goes_on_after_its_worker_was_killed(
    new_farm: Callable[..., Farm],
) -> None:
    """The worker is killed amid a batch and another one comes: the run ends by itself, one outcome a spec."""
    farm = new_farm()
    doomed = farm.worker(script="flow_worker.py", SCYTHE_WORKER_SLOTS="16")
    going = Going(
        farm,
        GO
        + """
specs = [Sum(a=k, b=k, seconds=1.0) for k in range(16)]
run, ref = BaseExperiment(runnable=chain).allocate(specs, batch_size=4)
print(run.experiment_id, flush=True)
result = ref.result()
print(result.succeeded, result.failed, result.pending, run.check().ok)
""",
    )
    going.at(1)
    farm.kill(doomed)
    farm.worker(script="flow_worker.py", SCYTHE_WORKER_SLOTS="16")
    assert going.end(150) == "16 0 0 True"


def test_resume_runs_what_is_missing_of_a_workflow(farm: Farm) -> None:
    """When a run is cancelled amid its batches, resume runs the specs that have no outcome: none counts as failed."""
    out = farm.run(
        GO
        + SPEC_RUNS
        + """
from scythe_runtime.errors import EngineError
specs = [Sum(a=k, b=k, seconds=5.0 if k % 4 == 3 else 0.1) for k in range(24)]
run, ref = BaseExperiment(runnable=chain).allocate(specs, batch_size=4)
while len(spec_runs(run)) < 24:  # what has just been queued is not cancelled
    time.sleep(0.2)
ref._driver.cancel()
try:
    ref.result()
except EngineError as error:
    print("was cancelled" in str(error))
time.sleep(3)  # long enough for batches to commit what they take for outcomes
ledger = run.ledger()
print(0 < ledger.num_done < 24, ledger.num_failed)
result = open_run(run.experiment_id).resume().result()
print(result.succeeded, result.failed, result.pending, run.check().ok)
"""
    )
    assert out.splitlines() == ["True", "True 0", "24 0 0 True"]


def test_a_cancelled_spec_of_a_workflow_has_no_outcome(farm: Farm) -> None:
    """Where one spec's run is cancelled, its neighbours are committed, the run says so, and resume runs it."""
    out = farm.run(
        GO
        + SPEC_RUNS
        + """
specs = [Sum(a=k, b=k, seconds=6.0 if k == 2 else 0.1) for k in range(5)]
run, ref = BaseExperiment(runnable=chain).allocate(specs, batch_size=5)
while "2" not in spec_runs(run):
    time.sleep(0.2)
for _ in range(6):  # what has just been queued is not cancelled
    hatchet.runs.cancel(spec_runs(run)["2"])
    time.sleep(0.5)
result = ref.result()
print(result.succeeded, result.failed, result.pending, "cancelled" in result.cause)
result = open_run(run.experiment_id).resume().result()
print(result.succeeded, result.failed, result.pending, run.check().ok)
"""
    )
    assert out.splitlines() == ["4 0 1 True", "5 0 0 True"]


def test_a_workflow_that_waits_too_long_for_a_worker_has_failed(farm: Farm) -> None:
    """Where a task's own schedule_timeout passes, the spec has failed, and the error says why."""
    out = farm.run(
        GO
        + """
from plot.flow import late
run, ref = BaseExperiment(runnable=late).allocate([Sum(a=k, b=k) for k in range(2)])
result = ref.result()
print(result.succeeded, result.failed, result.pending)
print(["schedule_timeout" in text for text in run.errors()["error_message"]])
"""
    )
    assert out.splitlines() == ["0 2 0", "[True, True]"]


def test_tasks_of_a_workflow_go_to_workers_with_the_code(new_farm: Callable[..., Farm]) -> None:
    """A worker with other code serves the workflow, and gets none of its tasks; one that fits gets all."""
    mine, other = new_farm("mine"), new_farm("other")
    flow = other.folder / "plot" / "flow.py"
    text = flow.read_text().replace("spec.a}", "spec.a + 1000}")
    assert text != flow.read_text()
    flow.write_text(text)
    other.worker(script="flow_worker.py", SCYTHE_STORAGE_BUCKET=mine.bucket)
    mine.worker(script="flow_worker.py", SCYTHE_WORKER_DOES_LEAF="false")
    going = Going(
        mine,
        GO
        + """
run, ref = BaseExperiment(runnable=chain).allocate([Sum(a=k, b=k) for k in range(6)])
print(run.experiment_id, flush=True)
ref.result()
print(run.table()["total"].tolist())
""",
    )
    time.sleep(8)  # long enough for the other worker to take what it may
    with reading(mine):
        assert open_run(going.run_id).ledger().num_done == 0
    mine.worker(script="flow_worker.py", SCYTHE_WORKER_DOES_FAN="false")
    assert going.end() == "[0.0, 3.0, 6.0, 9.0, 12.0, 15.0]"
