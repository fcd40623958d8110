"""What happens to servers and workers while a run goes: one outcome per spec, by itself or after one resume.

Each outcome is compared with what the function returns.
"""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from farm import Farm
from servers import poll

from scythe_runtime import open_run
from scythe_runtime.engine._hatchet import count_parts
from scythe_runtime.layout import RunLayout
from scythe_runtime.store import store_from_settings

pytestmark = pytest.mark.timeout(240)

N = 160

ADD = "scythe_experiment_add"
"""The name of what they run, and of its batches' task."""

TELL = """
def tell(run, result):
    table, errors = run.table(), run.errors()
    right = table["total"].tolist() == (table["a"] + table["b"]).tolist()
    rows = sorted([*table["sort_index"], *errors["sort_index"]]) == list(range(result.specs))
    print(result.succeeded, result.failed, result.pending, run.check().ok, right and rows)
"""

GO = f"""
from plot.task import *
from scythe_runtime import BaseExperiment
{TELL}
specs = [Sum(a=1, b=k, seconds=0.1, fate="raise" if k == 33 else "fine") for k in range({N})]
run, ref = BaseExperiment(runnable=add, run_name="plot").allocate(specs, batch_size=5)
print(run.experiment_id, flush=True)
tell(run, ref.result())
"""

CANCEL = """
import threading, time
from scythe_runtime.hatchet import hatchet
from scythe_runtime.manifest import load_yaml

def cancel():
    while run.ledger().num_done < 20:
        time.sleep(0.1)
    hatchet.runs.cancel(load_yaml(run.store.get(run._layout.dispatch))["workflow_run_id"])

threading.Thread(target=cancel).start()
"""

WHOLE = f"{N - 1} 1 0 True True"


class Going:
    """A run that somebody waits for."""

    def __init__(self, farm: Farm, code: str = GO) -> None:
        self.farm = farm
        self.process = farm.python(code)
        assert self.process.stdout is not None
        self.run_id = self.process.stdout.readline().strip()
        assert self.run_id, self.process.communicate()[1]

    def at(self, batches: int) -> None:
        """Return when that many batches beyond the canary are committed."""
        with reading(self.farm):
            store = store_from_settings()
            poll(
                lambda: count_parts(store, RunLayout(self.run_id))[2] >= batches,
                within_s=60,
                what=f"{batches} batches of {self.run_id}",
            )

    def end(self, within_s: float = 100) -> str:
        """Return what the waiting process says in the end."""
        try:
            out, err = self.process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            out, err = self.process.communicate()
            pytest.fail(f"still waiting: {out}\n{err}\n{self.farm.logs()}")
        return out.strip() or err.strip()


@contextmanager
def reading(farm: Farm) -> Iterator[None]:
    """Let this process read the farm's runs."""
    patch = farm.store_env()
    try:
        yield
    finally:
        patch.undo()


def test_kill_9_of_a_leaf_worker(new_farm: Callable[..., Farm]) -> None:
    """Of two workers one is killed with its batches: the other one runs them, and the run ends by itself."""
    farm = new_farm()
    farm.worker()
    doomed = farm.worker(SCYTHE_WORKER_DOES_FAN="false")
    going = Going(farm)
    going.at(4)
    farm.kill(doomed)
    assert going.end() == WHOLE


def test_kill_9_of_a_fan_worker_while_it_waits(new_farm: Callable[..., Farm]) -> None:
    """The root's worker is killed: another one begins the root again, which finds its batches as they are."""
    farm = new_farm()
    farm.worker(SCYTHE_WORKER_DOES_FAN="false")
    doomed = farm.worker(SCYTHE_WORKER_DOES_LEAF="false")
    going = Going(farm)
    going.at(4)
    farm.kill(doomed)
    farm.worker(SCYTHE_WORKER_DOES_LEAF="false")
    assert going.end() == WHOLE
    with reading(farm):
        assert [p.id for p in open_run(going.run_id).ledger().plans] == ["0000-canary", "0001-main"]


def test_kill_9_of_all_workers_and_back(new_farm: Callable[..., Farm]) -> None:
    """All workers are killed and one comes back: the run ends by itself."""
    farm = new_farm()
    workers = [farm.worker(), farm.worker()]
    going = Going(farm)
    going.at(4)
    for worker in workers:
        worker.stop(signal.SIGKILL)
    farm.worker()
    assert going.end() == WHOLE


def test_sigterm_hands_back(new_farm: Callable[..., Farm]) -> None:
    """A worker that is told to end gives back what it cannot finish in its grace time, and exits with 0."""
    farm = new_farm()
    leaving = farm.worker(SCYTHE_WORKER_GRACE="1s")
    slow = GO.replace("seconds=0.1", "seconds=1").replace(f"range({N})", "range(58)")
    going = Going(farm, slow.replace('"raise" if k == 33 else ', ""))
    going.at(1)
    other = farm.worker()
    has = farm.engine.tasks_at_work
    poll(lambda: has(other.popen.pid, ADD), within_s=30, what="the other worker has batches too")
    leaving.popen.send_signal(signal.SIGTERM)
    poll(lambda: has(other.popen.pid, f"{ADD}-run"), within_s=10, what="the other worker leads")
    assert leaving.popen.wait(20) == 0, farm.logs()
    assert going.end(40) == "58 0 0 True True"


def test_sigterm_of_a_worker_that_only_leads(new_farm: Callable[..., Farm]) -> None:
    """While no batch ends that would wake the root, another worker leads within seconds all the same."""
    farm = new_farm()
    leaf = farm.worker(SCYTHE_WORKER_DOES_FAN="false")
    fans = [farm.worker(SCYTHE_WORKER_DOES_LEAF="false") for _ in range(2)]
    slow = GO.replace("seconds=0.1", "seconds=18").replace("batch_size=5", "batch_size=1")
    going = Going(farm, slow.replace(f"range({N})", "range(2)"))
    has = farm.engine.tasks_at_work
    poll(lambda: has(leaf.popen.pid, f"{ADD}%") == 2, within_s=30, what="both batches are at work")
    leaving, other = sorted(fans, key=lambda fan: -has(fan.popen.pid, f"{ADD}-run"))
    leaving.popen.send_signal(signal.SIGTERM)
    poll(lambda: has(other.popen.pid, f"{ADD}-run"), within_s=10, what="the other worker leads")
    assert leaving.popen.wait(20) == 0, farm.logs()
    assert going.end(40) == "2 0 0 True True"


def test_batches_that_the_engine_overlooks(new_farm: Callable[..., Farm]) -> None:
    """What is queued and never begun while slots are free does not hold a run up for ever: it ends by itself."""
    farm = new_farm()
    farm.worker()
    few = GO.replace("batch_size=5", "batch_size=1").replace(f"range({N})", "range(8)")
    assert Going(farm, few).end() == "8 0 0 True True"
    with farm.engine.overlooking(ADD):
        going = Going(farm, few)
        poll(lambda: farm.engine.overlooked() == 8, within_s=30, what="its batches are queued")
    assert going.end(90) == "8 0 0 True True"


def test_a_cancelled_root_and_resume(new_farm: Callable[..., Farm]) -> None:
    """When the root is cancelled, who waits is told how to go on; resume runs what is missing."""
    farm = new_farm()
    farm.worker()
    # it cancels its own root: another process takes longer to start than a busy machine leaves it
    going = Going(farm, GO.replace("tell(run, ref", f"{CANCEL}\ntell(run, ref"))
    said = going.end()
    assert "was cancelled" in said
    assert f"scythe resume {going.run_id}" in said
    out = farm.run(f"""
from scythe_runtime import open_run
{TELL}
run = open_run("{going.run_id}")
tell(run, run.resume().result())
""")
    assert out.strip() == WHOLE


def test_cancelling_leaves_nothing_in_the_queue(new_farm: Callable[..., Farm]) -> None:
    """A run that is cancelled while its batches are being queued ends: none is begun afterwards; resume goes on."""
    farm = new_farm()
    farm.worker()
    out = farm.run(
        f"""
import time
from plot.task import *
from scythe_runtime import BaseExperiment
from scythe_runtime.scatter_gather import RecursionMap
{TELL}
specs = [Sum(a=1, b=k, seconds=0.02) for k in range(600)]
run, ref = BaseExperiment(runnable=add, run_name="plot").allocate(
    specs, batch_size=1, recursion_map=RecursionMap(factor=4, max_depth=1)
)
while not any(plan.id.startswith("0001-main") for plan in run.ledger().plans):
    time.sleep(0.02)
ref.cancel()
time.sleep(1)  # what was being put
before = run.ledger().num_done
time.sleep(5)
print(before < 600, run.ledger().num_done == before)
tell(run, run.resume().result())
""",
        within_s=150,
    )
    assert out.splitlines() == ["True True", "600 0 0 True True"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_restart_of_the_engine(new_farm: Callable[..., Farm], how: int) -> None:
    """The engine goes and comes back: workers and who waits connect again, the run ends by itself."""
    farm = new_farm()
    farm.worker()
    going = Going(farm)
    going.at(2)
    farm.engine.restart(how)
    assert going.end() == WHOLE


def test_restart_of_postgres(new_farm: Callable[..., Farm]) -> None:
    """The engine's database goes and comes back: the run ends by itself."""
    farm = new_farm()
    farm.worker()
    going = Going(farm)
    going.at(2)
    farm.engine.postgres.stop()
    farm.engine.postgres.start()
    assert going.end() == WHOLE


def test_more_nodes_than_durable_slots(new_farm: Callable[..., Farm]) -> None:
    """A tree of four nodes on a worker that leads two at a time does not lock up."""
    farm = new_farm()
    farm.worker(SCYTHE_WORKER_DURABLE_SLOTS="2")
    out = farm.run(
        """
from plot.task import *
from scythe_runtime import BaseExperiment
from scythe_runtime.scatter_gather import RecursionMap
specs = [Sum(a=1, b=k) for k in range(40)]
run, ref = BaseExperiment(runnable=add, run_name="plot").allocate(
    specs, recursion_map=RecursionMap(factor=4, max_depth=1)
)
print(ref.result().succeeded, run.check().ok)
""",
        within_s=150,
    )
    assert out.strip() == "40 True"


def test_a_spec_that_kills_its_process(new_farm: Callable[..., Farm]) -> None:
    """Of a batch one spec kills its process: it is named, and the others have their results."""
    farm = new_farm()
    farm.worker()
    going = Going(farm, GO.replace('"raise"', '"kill"'))
    assert going.end() == WHOLE
    with reading(farm):
        errors = open_run(going.run_id).errors()
    assert errors["sort_index"].tolist() == [33]
    assert errors["error_type"].tolist() == ["SlotDied"]


def test_no_worker_with_the_wanted_label(new_farm: Callable[..., Farm], tmp_path: Path) -> None:
    """While no worker has the label that the experiment asks for, waiting says which; then the run ends."""
    farm = new_farm()
    farm.worker()
    code = GO.replace("runnable=add", "runnable=picky").replace('"raise" if k == 33 else ', "")
    said = tmp_path / "said"
    with said.open("w") as err:
        waiting = farm.python(code, err=err)
        poll(lambda: "has_gpu=yes" in said.read_text(), within_s=60, what="it says which label")
        assert "SCYTHE_WORKER_HAS_GPU=true" in said.read_text()
        farm.worker(SCYTHE_WORKER_HAS_GPU="true")
        out, _ = waiting.communicate(timeout=100)
    assert out.splitlines()[-1] == f"{N} 0 0 True True"


def test_two_runs_at_once_lose_a_worker(new_farm: Callable[..., Farm]) -> None:
    """Two runs share two workers, of which one is killed: both end by themselves, each with its own values."""
    farm = new_farm()
    farm.worker()
    doomed = farm.worker(SCYTHE_WORKER_DOES_FAN="false")
    other = GO.replace("a=1,", "a=1000,")
    goings = [Going(farm), Going(farm, other)]
    for going in goings:
        going.at(2)
    farm.kill(doomed)
    assert [going.end() for going in goings] == [WHOLE, WHOLE]
    with reading(farm):
        lowest = [min(open_run(going.run_id).table()["total"]) for going in goings]
    assert lowest == [1.0, 1000.0]


def test_scythe_cancel_frees_the_slots(new_farm: Callable[..., Farm]) -> None:
    """What is at work when a run is cancelled is killed; who waits is told, and another run need not wait for it."""
    farm = new_farm()
    worker = farm.worker()
    waiting = farm.python(
        """
from plot.task import *
from scythe_runtime import BaseExperiment
run, ref = BaseExperiment(runnable=add, run_name="plot").allocate(
    [Sum(a=1, b=k, seconds=600) for k in range(4)], batch_size=1
)
print(run.experiment_id, flush=True)
ref.result()
"""
    )
    assert waiting.stdout is not None
    assert waiting.stdout.readline().startswith("plot/")
    time.sleep(4)  # two batches are at work by then, mostly
    cancel = (
        "import sys; sys.argv[1:] = ['cancel', 'plot']; from scythe_runtime.cli import main; main()"
    )
    said = farm.run(cancel)
    assert ("0 of 4 specs" in said, "scythe resume plot/" in said) == (True, True), said
    assert "scythe resume plot/" in waiting.communicate(timeout=30)[1]
    assert "(cancelled): nothing to cancel" in farm.python(cancel).communicate(timeout=30)[1]
    out = farm.run(
        """
from plot.task import *
from scythe_runtime import BaseExperiment
run, ref = BaseExperiment(runnable=add, run_name="plot").allocate([Sum(a=1, b=k) for k in range(20)])
print(ref.result().succeeded, run.check().ok)
"""
    )
    assert out.strip() == "20 True", worker.log.read_text()
