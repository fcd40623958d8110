"""The Hatchet engine as the allocating process sees it: hand a run over, wait for it, tell how far it is."""

import asyncio
import datetime as dt
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from scythe_runtime.batches import RunAddress, TaskRef
from scythe_runtime.engine._hatchet_tasks import (
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
_ENDED: Final = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


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
        ref = stub.run(
            work,
            wait_for_result=False,
            additional_metadata=metadata(name, address.run_id, node="root", mode=root.mode),
            desired_worker_labels=needs_code(name, code),
        )
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
    ) -> None:
        self._client = client
        self._queue_id = queue_id
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
        threading.Thread(target=self._follow, name="scythe-run", daemon=True).start()

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
        """Cancel the root and its batches; what is committed stays for `resume`."""
        from scythe_runtime.engine._hatchet_root import cancel_batches

        self._client.runs.cancel(self._queue_id)
        cancel_batches(self._client, self._address.run_id)

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
            self._ending = asyncio.run(self._until_ended())
        except Exception as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error
        finally:
            self._ended.set()

    async def _until_ended(self) -> Ending:
        watch = asyncio.create_task(self._tell_of_workers())
        try:
            while True:
                output = await self._result()
                if output is not None:
                    return Ending(
                        output.state, output.counts, output.uris, output.cause, output.seconds
                    )
        finally:
            watch.cancel()

    async def _result(self) -> RootOutput | None:
        """Return what the root returned; None where the engine has to be asked again."""
        stub = self._client.stubs.task(
            name=root_task(self._address.task_name),
            input_validator=RootInput,
            output_validator=RootOutput,
        )
        answer = asyncio.create_task(stub.get_run_ref(self._queue_id).aio_result())
        status: str | None = None
        while not answer.done():
            await asyncio.wait({answer}, timeout=30.0)
            if not answer.done():
                status = await asyncio.to_thread(self._status)
                if status in _ENDED:  # the answer may have been lost with a connection
                    await asyncio.wait({answer}, timeout=5.0)
                    if not answer.done():
                        answer.cancel()
                        return None
        try:
            return answer.result()
        except Exception as error:  # noqa: BLE001 - a cancelled root's answer is {}, which is no RootOutput
            await asyncio.sleep(1.0)
            status = await asyncio.to_thread(self._status)
            if status in {"FAILED", "CANCELLED"}:
                what = "was cancelled" if status == "CANCELLED" else f"failed: {_first_line(error)}"
                message = (
                    f"run {self._address.run_id} {what}. What is committed is kept. "
                    f"Go on with: scythe resume {self._address.run_id}"
                )
                raise EngineError(message) from None
            return None

    def _status(self) -> str | None:
        try:
            return str(self._client.runs.get_status(self._queue_id).value)
        except Exception:  # noqa: BLE001 - the engine is away for a while
            return None

    async def _tell_of_workers(self) -> None:
        """Say why nothing happens, where no worker fits; once for each reason."""
        from scythe_runtime.engine._hatchet_fleet import what_is_missing, workers_of

        said: str | None = None
        await asyncio.sleep(_FIRST_LOOK_S)
        while True:
            name = self._address.task_name
            try:
                workers = await asyncio.to_thread(workers_of, self._client, name)
            except Exception:  # noqa: BLE001 - said by who waits for the result, if it lasts
                workers = None
            if workers is not None and self._watched:
                missing = what_is_missing(workers, name, self._code)
                if missing and missing != said:
                    print(f"waiting: {missing}", file=sys.stderr)  # noqa: T201 - to who waits
                said = missing
            await asyncio.sleep(_LOOK_S)


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


def _first_line(error: Exception) -> str:
    inner = getattr(error, "exceptions", None)
    if inner:
        error = inner[0]
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]
