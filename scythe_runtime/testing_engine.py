"""What every engine must do, as tests that its author inherits. Needs pytest."""

import contextlib
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from scythe_runtime.allocate import Allocated, Options, allocate_run
from scythe_runtime.base import ExperimentInputSpec, ExperimentOutputSpec
from scythe_runtime.check import check_run
from scythe_runtime.engine import Driver, Engine
from scythe_runtime.errors import EngineError, ScytheError
from scythe_runtime.layout import RunLayout
from scythe_runtime.ledger import read_ledger
from scythe_runtime.manifest import read_manifest
from scythe_runtime.registry import Experiment, ExperimentRegistry
from scythe_runtime.results import Results
from scythe_runtime.resume import go_on
from scythe_runtime.root import Ending
from scythe_runtime.scatter_gather import RecursionMap
from scythe_runtime.store import Store

Fate = Literal["fine", "raise", "kill", "exit", "hang"]


class Fated(ExperimentInputSpec):
    """A number, and what shall become of it.

    Attributes:
        number: The number.
        fate: What the function does.
        seconds: How long it takes.
        calls: A folder in which each call leaves a file; empty for none.
    """

    number: int
    fate: Fate = "fine"
    seconds: float = 0.0
    calls: str = ""


class Doubled(ExperimentOutputSpec):
    """Twice the number."""

    doubled: int


@ExperimentRegistry.Register(name="scythe-conformance", retries=0, execution_timeout=4)
def double(spec: Fated) -> Doubled:
    """Return twice the number, or do what its fate says."""
    if spec.calls:
        (Path(spec.calls) / f"{spec.number}.{uuid.uuid4().hex}").touch()
    time.sleep(spec.seconds)
    if spec.fate == "raise":
        message = f"no luck with {spec.number}"
        raise ValueError(message)
    if spec.fate == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if spec.fate == "exit":
        os._exit(3)
    if spec.fate == "hang":
        time.sleep(600)
    return Doubled(doubled=2 * spec.number)


class EngineTestCase:
    """Tests of the engine protocol, through runs of `double`; inherit them and give the fixtures.

    Usage:
        class TestMyEngine(EngineTestCase):
            @pytest.fixture
            def engine(self):
                return MyEngine()

            @pytest.fixture
            def store(self, tmp_path):
                return FolderStore(tmp_path)

    Attributes:
        within_s: How long a run of a few hundred quick specs may take, in seconds.
    """

    within_s: ClassVar[float] = 90.0

    @pytest.fixture
    def engine(self) -> Engine:
        """Return the engine."""
        raise NotImplementedError

    @pytest.fixture
    def store(self) -> Store:
        """Return a store that all of its slots reach."""
        raise NotImplementedError

    @pytest.fixture
    def experiment(self) -> Experiment[Any, Any]:
        """Return the experiment, `double` or one that calls it: for slots that find modules elsewhere."""
        return double

    @pytest.fixture
    def begin(
        self, engine: Engine, store: Store, experiment: Experiment[Any, Any]
    ) -> Callable[..., Allocated]:
        """Return what allocates specs, with any option of `allocate`, and begins the run."""

        def begin(specs: object, **options: Any) -> Allocated:
            return allocate_run(
                specs,
                experiment=experiment,
                base_id="conformance",
                store=store,
                engine=engine,
                options=Options(**{"version": "bumpminor", **options}),
            )

        return begin

    def _end(self, driver: Driver) -> Ending:
        assert driver.wait(self.within_s), f"still going: {driver.progress()}"
        return driver.ending()

    @pytest.fixture
    def again(
        self, engine: Engine, store: Store, experiment: Experiment[Any, Any]
    ) -> Callable[..., Ending]:
        """Return what goes on with a run, by "resume" or "retry", to its end."""

        def again(run_id: str, mode: Any = "resume") -> Ending:
            driver, _ = go_on(
                store=store,
                layout=RunLayout(run_id),
                experiment=experiment,
                engine=engine,
                mode=mode,
            )
            return self._end(driver)

        return again

    @staticmethod
    def _parts(store: Store, run_id: str, n: int) -> list[Any]:
        return list(read_ledger(store, RunLayout(run_id), n).parts)

    @staticmethod
    def _errors(store: Store, run_id: str) -> dict[int, tuple[str, str]]:
        table = Results(store, RunLayout(run_id)).errors()
        columns = table["sort_index"], table["error_type"], table["error_message"]
        return {row: (kind, text) for row, kind, text in zip(*columns, strict=True)}

    def test_every_spec_has_one_outcome(
        self, begin: Callable[..., Allocated], store: Store, tmp_path: Path
    ) -> None:
        """Each row is committed once, by one call of the function; those that fail are named."""
        bad: dict[int, Fate] = {3: "raise", 77: "raise", 119: "raise"}
        specs = [Fated(number=k, fate=bad.get(k, "fine"), calls=str(tmp_path)) for k in range(120)]
        run = begin(specs)
        ending = self._end(run.driver)
        assert ending.state == "complete-with-failures"
        assert (ending.counts.succeeded, ending.counts.failed, ending.counts.pending) == (117, 3, 0)
        assert check_run(store, RunLayout(run.run_id)).ok
        assert sum(part.name.length for part in self._parts(store, run.run_id, 120)) == 120
        assert self._errors(store, run.run_id) == {
            row: ("ValueError", f"no luck with {row}") for row in bad
        }
        calls = Counter(int(path.name.split(".")[0]) for path in tmp_path.glob("*.*"))
        assert calls == dict.fromkeys(range(120), 1)

    def test_a_killed_slot_names_its_row(
        self, begin: Callable[..., Allocated], store: Store
    ) -> None:
        """Rows that take their process down, or overrun their time, cost themselves only."""
        bad: dict[int, Fate] = {5: "kill", 40: "exit", 41: "hang"}
        run = begin([Fated(number=k, fate=bad.get(k, "fine")) for k in range(100)])
        counts = self._end(run.driver).counts
        assert (counts.succeeded, counts.failed, counts.pending) == (97, 3, 0)
        errors = self._errors(store, run.run_id)
        assert {row: kind for row, (kind, _) in errors.items()} == {
            5: "SlotDied",
            40: "SlotDied",
            41: "TimedOut",
        }
        assert "SIGKILL" in errors[5][1]
        assert "timed out after 4 s" in errors[41][1]
        assert check_run(store, RunLayout(run.run_id)).ok

    def test_a_run_that_always_fails_stops_after_its_canary(
        self, begin: Callable[..., Allocated]
    ) -> None:
        """When the canary fails of one cause, nothing else is begun."""
        ending = self._end(begin([Fated(number=0, fate="raise")] * 50).driver)
        assert ending.state == "stopped"
        assert (ending.counts.failed, ending.counts.pending) == (8, 42)
        assert "no luck with 0" in str(ending.cause)

    def test_a_run_of_nothing_to_wait_for(self, begin: Callable[..., Allocated]) -> None:
        """A run of one spec, without a canary, ends like any other."""
        ending = self._end(begin(Fated(number=4)).driver)
        assert (ending.state, ending.counts.succeeded) == ("complete", 1)

    def test_progress(self, begin: Callable[..., Allocated]) -> None:
        """Progress never goes back, and ends with the counts; there is no ending before the end."""
        driver = begin([Fated(number=k, seconds=0.1) for k in range(60)], batch_size=3).driver
        assert not driver.wait(0.01)
        with pytest.raises(ScytheError):
            driver.ending()
        seen, deadline = [0], time.monotonic() + self.within_s
        while not driver.wait(0.1):
            assert time.monotonic() < deadline
            progress = driver.progress()
            assert progress.specs == 60
            assert progress.phase in {"canary", "run", "gather", "done"}
            seen.append(progress.succeeded)
        assert seen == sorted(seen)
        assert driver.ending().counts.succeeded == 60
        last = driver.progress()
        assert (last.phase, last.succeeded, last.failed) == ("done", 60, 0)

    def test_cancel_and_resume(
        self,
        begin: Callable[..., Allocated],
        again: Callable[..., Ending],
        store: Store,
        tmp_path: Path,
    ) -> None:
        """A cancelled run ends soon and keeps what is committed; resume runs the rest and no row again."""
        specs = [Fated(number=k, seconds=0.2, calls=str(tmp_path)) for k in range(80)]
        run = begin(specs, batch_size=2)
        deadline = time.monotonic() + self.within_s
        while len(self._parts(store, run.run_id, 80)) < 12:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        run.driver.cancel()
        assert run.driver.wait(30)
        with contextlib.suppress(EngineError):  # who led it may be gone
            assert run.driver.ending().state == "dispatched"
        committed = {row for part in self._settled(store, run.run_id) for row in part}
        assert 0 < len(committed) < 80
        ending = again(run.run_id)
        assert (ending.state, ending.counts.succeeded) == ("complete", 80)
        assert check_run(store, RunLayout(run.run_id)).ok
        calls = Counter(int(path.name.split(".")[0]) for path in tmp_path.glob("*.*"))
        assert {calls[row] for row in committed} == {1}
        assert max(calls.values()) <= 2

    def _settled(self, store: Store, run_id: str) -> list[list[int]]:
        """Return the rows of the parts once no more of them come: batches at work may still end."""
        count, still = -1, 0
        while still < 6:
            parts = self._parts(store, run_id, 80)
            still = still + 1 if len(parts) == count else 0
            count = len(parts)
            time.sleep(0.25)
        return [[row for rows in part.rows for row in rows] for part in parts]

    def test_too_many_failures_pause_a_run(
        self, begin: Callable[..., Allocated], again: Callable[..., Ending], store: Store
    ) -> None:
        """Over max_failures nothing more is begun and the run pauses; what it has is whole, and resume goes on."""
        specs = [
            Fated(number=k, seconds=0.1, fate="raise" if 5 < k < 290 else "fine")
            for k in range(300)
        ]
        run = begin(specs, max_failures=20, batch_size=2)
        ending = self._end(run.driver)
        assert ending.state == "paused"
        assert ending.counts.failed > 20
        assert ending.counts.pending > 20
        assert not check_run(store, RunLayout(run.run_id)).problems
        once_more = again(run.run_id)
        assert once_more.state == "paused"
        assert once_more.counts.failed >= ending.counts.failed + 20

    def test_retry_runs_what_has_failed(
        self,
        begin: Callable[..., Allocated],
        again: Callable[..., Ending],
        store: Store,
        tmp_path: Path,
    ) -> None:
        """Retry calls the function for failed rows only; the others' results stay."""
        specs = [
            Fated(number=k, fate="raise" if k == 7 else "fine", calls=str(tmp_path))
            for k in range(30)
        ]
        run = begin(specs)
        assert self._end(run.driver).counts.failed == 1
        assert again(run.run_id, "retry").counts.failed == 1
        calls = Counter(int(path.name.split(".")[0]) for path in tmp_path.glob("*.*"))
        assert calls == {**dict.fromkeys(range(30), 1), 7: 2}
        assert check_run(store, RunLayout(run.run_id)).ok

    def test_two_runs_at_once(self, begin: Callable[..., Allocated], store: Store) -> None:
        """Two runs that share slots each come out whole, with their own numbers."""
        runs = [
            begin([Fated(number=first + k, seconds=0.01) for k in range(100)])
            for first in (0, 1000)
        ]
        for run, first in zip(runs, (0, 1000), strict=True):
            assert self._end(run.driver).counts.succeeded == 100
            layout = RunLayout(run.run_id)
            assert check_run(store, layout).ok
            table = Results(store, layout).table()
            assert table["doubled"].tolist() == [2 * (first + k) for k in range(100)]

    def test_a_tree_of_nodes_has_each_row_once(
        self, begin: Callable[..., Allocated], store: Store
    ) -> None:
        """Each node has a plan of its own, which stands; together they have each row once."""
        run = begin(
            [Fated(number=k) for k in range(100)],
            recursion_map=RecursionMap(factor=3, max_depth=2),
        )
        assert self._end(run.driver).counts.succeeded == 100
        ledger = read_ledger(store, RunLayout(run.run_id), 100)
        names = sorted(plan.id for plan in ledger.plans)
        assert names[:2] == ["0000-canary", "0001-main"] or names[1].startswith("0001-main.")
        assert sum("0001-main." in name for name in names) == 9
        assert sum(part.name.length for part in ledger.parts) == 100
        table = Results(store, RunLayout(run.run_id)).table()
        assert table["doubled"].tolist() == [2 * k for k in range(100)]

    def test_a_whole_run_is_not_begun_again(
        self,
        begin: Callable[..., Allocated],
        again: Callable[..., Ending],
        tmp_path: Path,
    ) -> None:
        """Resuming a whole run ends at once, with its counts, and calls nothing."""
        run = begin([Fated(number=k, calls=str(tmp_path)) for k in range(20)])
        self._end(run.driver)
        before = sorted(tmp_path.iterdir())
        ending = again(run.run_id)
        assert (ending.state, ending.counts.succeeded) == ("complete", 20)
        assert sorted(tmp_path.iterdir()) == before

    def test_interrupting_says_how_to_go_on(self, begin: Callable[..., Allocated]) -> None:
        """What Ctrl-C of whoever waits is answered with names the run and a command."""
        run = begin([Fated(number=k, seconds=0.05) for k in range(100)], batch_size=4)
        said = run.driver.interrupt()
        assert run.run_id in said
        assert "scythe " in said

    def test_preparing_is_quick_and_leaves_nothing(
        self, engine: Engine, store: Store, experiment: Experiment[Any, Any]
    ) -> None:
        """Getting ready does not wait for slots or servers, and can be given up."""
        before = store.children("conformance/")
        began = time.monotonic()
        prepared = engine.prepare(experiment, timeout_s=None)
        assert time.monotonic() - began < 2.0
        prepared.check(store)
        assert prepared.task.name == experiment.name
        prepared.close()
        assert store.children("conformance/") == before

    def test_the_record_says_which_engine(
        self, begin: Callable[..., Allocated], engine: Engine, store: Store
    ) -> None:
        """A run's record names the engine, its slots, and how long it took."""
        run = begin([Fated(number=k) for k in range(12)])
        self._end(run.driver)
        manifest = read_manifest(store, RunLayout(run.run_id))
        assert (manifest.engine, manifest.state) == (engine.name, "complete")
        assert manifest.slots
        assert manifest.seconds
