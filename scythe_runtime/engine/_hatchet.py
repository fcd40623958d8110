"""The Hatchet engine as the allocating process sees it: hand a run over, wait for it, tell how far it is."""

import atexit
import datetime as dt
import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from scythe_runtime.batches import RunAddress, TaskRef
from scythe_runtime.engine._hatchet_tasks import (
    ENDED,
    RootInput,
    RootOutput,
    metadata,
    needs_code,
    root_task,
    short_code,
)
from scythe_runtime.engine._load import task_ref
from scythe_runtime.errors import EngineError, ScytheError, SettingsError
from scythe_runtime.layout import PartName, RunLayout
from scythe_runtime.ledger import read_ledger
from scythe_runtime.manifest import dump_yaml
from scythe_runtime.provenance import code_hash
from scythe_runtime.registry import Experiment
from scythe_runtime.root import Ending, Progress, Root, next_plan_number
from scythe_runtime.store import Store

if TYPE_CHECKING:
    from hatchet_sdk import Hatchet

_FIRST_LOOK_S: Final = 4.0
_LOOK_S: Final = 10.0
_FIRST_ASK_S: Final = 0.1
_ASK_SHARE: Final = 0.03
"""How much longer than it has to a run may seem to take: the pauses between two questions."""
_SELDOM_S: Final = 5.0
_LEAVE_S: Final = 5.0


class HatchetEngine:
    """Hands runs over to the workers of a Hatchet engine."""

    name = "hatchet"
    slots = 0  # the workers', whom the root asks
    batch_seconds = 0.0

    def prepare(
        self, experiment: Experiment[Any, Any], *, timeout_s: float | None
    ) -> "HatchetQueue":
        """Begin to look whether the engine is there, while the caller goes on."""
        del timeout_s  # the workers' own
        return HatchetQueue(experiment)


class HatchetQueue:
    """The way to the engine for one run.

    Attributes:
        task: How workers find the function.
    """

    def __init__(self, experiment: Experiment[Any, Any]) -> None:
        self.task: TaskRef = task_ref(experiment.fn, name=experiment.name)
        self._experiment = experiment
        self._client: Hatchet | None = None
        self._trouble: Exception | None = None
        self._thread = threading.Thread(target=self._connect, name="scythe-hatchet", daemon=True)
        self._thread.start()  # importing the SDK takes two seconds

    def _connect(self) -> None:
        from scythe_runtime.engine._hatchet_declare import register_missing
        from scythe_runtime.engine._hatchet_fleet import check_engine
        from scythe_runtime.hatchet import make_client

        try:
            check_engine()
            self._client = make_client()
            register_missing(self._client, self._experiment)
        except Exception as error:  # noqa: BLE001 - raised where it is asked for
            self._trouble = error

    def check(self, store: Store) -> None:
        """Wait until the engine has answered.

        Raises:
            SettingsError: The token is not good, or there is no bucket.
            EngineError: The engine does not answer, or is too old.
        """
        if not store.root_uri.startswith("s3:"):
            message = (
                "SCYTHE_ENGINE=hatchet: SCYTHE_STORAGE_BUCKET is not set. Workers on other machines cannot "
                f"see {store.root_uri}: name an S3 bucket that all of them reach."
            )
            raise SettingsError(message)
        self._thread.join()
        if self._trouble is not None:
            raise self._trouble

    def lead(self, root: Root) -> "HatchetDriver":
        """Hand a run over and return its driver; the run goes on without this process."""
        self.check(root.store)
        assert self._client is not None
        address, layout = root.address, RunLayout(root.address.run_id)
        number = 1
        if root.mode != "start":
            number = next_plan_number(read_ledger(root.store, layout, root.num_specs))
        code = short_code(code_hash(self.task.module, self.task.main_path))
        work = RootInput(
            root_uri=address.root_uri,
            run_id=address.run_id,
            task_name=address.task_name,
            mode=root.mode,
            plan_number=number,
            code=code,
        )
        name = self._experiment.name
        stub = self._client.stubs.task(
            name=root_task(name), input_validator=RootInput, output_validator=RootOutput
        )
        try:
            ref = stub.run(
                work,
                wait_for_result=False,
                additional_metadata=metadata(name, address.run_id, node="root", mode=root.mode),
                desired_worker_labels=needs_code(name, code),
            )
        except Exception as error:  # the SDK's and grpc's
            message = (
                f"run {address.run_id} is stored, but Hatchet has not taken it ({_first_line(str(error))}). "
                f"When it answers again (scythe doctor): scythe resume {address.run_id}"
            )
            raise EngineError(message) from error
        record = {
            "engine": "hatchet",
            "workflow_run_id": ref.workflow_run_id,
            "mode": root.mode,
            "code": code,
            "dispatched": dt.datetime.now(dt.UTC),
        }
        root.store.put(layout.dispatch, dump_yaml(record))
        return HatchetDriver(
            self._client,
            ref.workflow_run_id,
            code=code,
            address=address,
            store=root.store,
            num_specs=root.num_specs,
            wanted=self._experiment.options.desired_worker_labels,
        )

    def close(self) -> None:
        """Do nothing: nothing has been begun."""


class HatchetDriver:
    """A run that workers lead, seen from outside. Its threads end with this process; the run does not.

    Args:
        client: Hatchet's.
        queue_id: The root's id in the queue.
        code: Which code its batches need.
        address: The run.
        store: Where it lives.
        num_specs: How many specs it has.
        wanted: Which labels its experiment asks of workers.
    """

    def __init__(
        self,
        client: "Hatchet",
        queue_id: str,
        *,
        code: str,
        address: RunAddress,
        store: Store,
        num_specs: int,
        wanted: Mapping[str, Any] | None = None,
    ) -> None:
        self._client = client
        self._queue_id = queue_id
        self._wanted = wanted
        self._code = code
        self._address = address
        self._store = store
        self._layout = RunLayout(address.run_id)
        self._num_specs = num_specs
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._ending: Ending | None = None
        self._error: Exception | None = None
        self._watched = False
        self._first: int | None = None
        self._seen = Progress("canary", num_specs, 0, 0, 0.0, None)
        self._look_at = 0.0
        self._pause_s = 1.0
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="scythe-run", daemon=True)
        self._thread.start()
        atexit.register(self._leave)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Return whether the run has ended, waiting for it."""
        self._watched = True
        return self._ended.wait(timeout_s)

    def ending(self) -> Ending:
        """Return how the run ended.

        Raises:
            EngineError: Its root failed or was cancelled; what is committed stays.
        """
        if self._error is not None:
            raise self._error
        if self._ending is None:
            raise ScytheError("the run has not ended yet")
        return self._ending

    def cancel(self) -> None:
        """Cancel the root, its nodes and its batches; what is committed stays for `resume`."""
        from scythe_runtime.engine._hatchet_cancel import cancel_run

        self._client.runs.cancel(self._queue_id)
        cancel_run(self._client, self._address.run_id)

    def interrupt(self) -> str:
        """Leave the run alone, and return how to come back to it."""
        run_id = self._address.run_id
        return f"not waiting any more; the run goes on. Come back with: scythe status {run_id} --follow"

    def progress(self) -> Progress:
        """Return how far the run is, by one listing of its parts now and then."""
        now = time.monotonic()
        if self._ended.is_set():
            if self._ending is not None and self._seen.phase != "done":
                counts = self._ending.counts
                self._seen = Progress(
                    "done", counts.specs, counts.succeeded, counts.failed, now - self._began, None
                )
        elif now >= self._look_at:
            self._pause_s = min(10.0, 1.3 * self._pause_s)
            self._look_at = now + self._pause_s
            self._seen = self._look(now)
        return self._seen

    def _look(self, now: float) -> Progress:
        succeeded, failed, batches = count_parts(self._store, self._layout)
        done, running_s = succeeded + failed, now - self._began
        self._first = done if self._first is None else self._first  # was there before
        ran = done - self._first
        phase = "run" if batches else "canary"
        if self._num_specs and done >= self._num_specs:
            phase = "gather"
        rate = ran / running_s if ran > 0 and running_s > 0 else None
        eta_s = (self._num_specs - done) / rate if rate and phase == "run" else None
        return Progress(phase, self._num_specs, succeeded, failed, running_s, eta_s, rate)

    # --- the thread

    def _follow(self) -> None:
        try:
            self._ending = self._until_ended()
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error
        finally:
            self._ended.set()

    def _until_ended(self) -> Ending | None:
        """Ask for the root now and then until it has ended; None where this process ends before.

        Asking outlives restarts of the engine, which lose what was to be sent to whoever listens.
        """
        pause_s, look_at, said = _FIRST_ASK_S, self._began + _FIRST_LOOK_S, None
        while not self._leaving.wait(pause_s):
            pause_s = min(
                _SELDOM_S, max(_FIRST_ASK_S, _ASK_SHARE * (time.monotonic() - self._began))
            )
            ending = self._ask()
            if ending is not None:
                return ending
            if self._watched and time.monotonic() >= look_at:
                said = self._tell_of_workers(said)
                look_at = time.monotonic() + _LOOK_S
        return None

    def _ask(self) -> Ending | None:
        """Return how the root ended; None while it goes on, or while the engine is away.

        Raises:
            EngineError: It failed or was cancelled.
        """
        try:
            found = self._client.runs.get_details(self._queue_id)
        except Exception:  # noqa: BLE001 - the engine is away for a while, or does not show it yet
            return None
        tasks = list(found.task_runs.values())
        status = found.status.value
        if not (found.done and status in ENDED):
            return None
        if status == "COMPLETED" and tasks and tasks[0].output:
            output = RootOutput.model_validate(tasks[0].output)
            return Ending(output.state, output.counts, output.uris, output.cause, output.seconds)
        error = next((task.error for task in tasks if task.error), None) or "without a word"
        what = "was cancelled" if status == "CANCELLED" else f"failed: {_first_line(error)}"
        message = (
            f"run {self._address.run_id} {what}. What is committed is kept. "
            f"Go on with: scythe resume {self._address.run_id}"
        )
        raise EngineError(message)

    def _tell_of_workers(self, said: str | None) -> str | None:
        """Say why nothing happens, where no worker fits; once for each reason, which is returned."""
        from scythe_runtime.engine._hatchet_fleet import what_is_missing, workers_of

        name = self._address.task_name
        try:
            workers = workers_of(self._client, name)
        except Exception:  # noqa: BLE001 - said by who waits for the result, if it lasts
            return said
        missing = what_is_missing(workers, name, self._code, self._wanted)
        if missing and missing != said:
            print(f"waiting: {missing}", file=sys.stderr)  # noqa: T201 - to who waits
        return missing

    def _leave(self) -> None:
        """End the thread; the run goes on.

        A thread that is in the queue's library when the interpreter ends brings the process down.
        """
        self._leaving.set()
        self._thread.join(_LEAVE_S)


def count_parts(store: Store, layout: RunLayout) -> tuple[int, int, int]:
    """Return how many specs of a run have a result and how many have failed, by the names of its parts.

    Returns:
        Results, failures, and the number of parts beyond the canary's.
    """
    found: set[tuple[str, PartName]] = set()
    pieces: set[tuple[str, int, int]] = set()
    for entry in store.list(layout.outcomes):
        plan, _, file_name = entry.key.removeprefix(layout.outcomes).partition("/")
        part = PartName.parse(file_name)
        if part is not None and (plan, part.batch, part.offset) not in pieces:
            pieces.add((plan, part.batch, part.offset))  # a queue may run a batch twice
            found.add((plan, part))
    again = sum(part.length for plan, part in found if plan.endswith("-retry"))
    succeeded = sum(part.succeeded for _, part in found)
    failed = sum(part.failed for _, part in found)
    beyond = sum(not plan.startswith("0000-") for plan, _ in found)
    return succeeded, max(0, failed - again), beyond


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")
