"""What `allocate` hands back beside the run: how to wait for it."""

import asyncio
import json
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from scythe_runtime.errors import ScytheError
from scythe_runtime.layout import RunLayout
from scythe_runtime.root import Ending, Progress
from scythe_runtime.scatter_gather import ScatterGatherResult

if TYPE_CHECKING:
    from scythe_runtime.engine import Driver
    from scythe_runtime.results import ErrorGroup

_GROUPS_SHOWN: Final = 5
_ADVICE: Final = re.compile(r"For further information visit \S+")
"""What pydantic ends its messages with."""

T = TypeVar("T")


class SpecFailedError(ScytheError, RuntimeError):
    """The function of a single spec raised; the message is its traceback."""


class RunInterrupted(KeyboardInterrupt):
    """Ctrl-C while waiting for a run; what is committed stays."""


class RunRef(Generic[T]):
    """A run that is under way.

    Attributes:
        workflow_run_id: The run's own id, the same on every engine and after a resume: that of its manifest, and
            the level `root_workflow_run_id` of its tables. The queue's id is in scatter-gather/dispatch.yml.
        run_id: The run's full id.
    """

    def __init__(self, *, run_id: str, workflow_run_id: str, driver: "Driver") -> None:
        self.run_id = run_id
        self.workflow_run_id = workflow_run_id
        self._driver = driver

    def result(self, *, timeout: float | None = None, progress: bool | None = None) -> T:
        """Wait for the run and return its result.

        Args:
            timeout: Longest wait in seconds.
            progress: Show a progress line on stderr; by default where that is a terminal.

        Raises:
            TimeoutError: The run is still going; it goes on.
            ScytheError: The engine or the store failed. What is committed stays: `scythe resume`.
            KeyboardInterrupt: Ctrl-C. The local engine stops the run, and `scythe resume` goes on with it;
                on Hatchet it goes on by itself.
        """
        show = sys.stderr.isatty() if progress is None else progress
        try:
            from scythe_runtime.progress import watch

            if not watch(self._driver, timeout_s=timeout, show=show):
                message = f"run {self.run_id} is still going after {timeout} s"
                raise TimeoutError(message)
        except KeyboardInterrupt:
            raise RunInterrupted(self._driver.interrupt()) from None
        return self._read(self._driver.ending())

    async def aio_result(self) -> T:
        """Wait for the run without blocking the event loop; see `result`."""
        return await asyncio.to_thread(self.result, progress=False)

    def progress(self) -> Progress:
        """Return how far the run is."""
        return self._driver.progress()

    def cancel(self) -> None:
        """End the run early; what is committed stays for `resume`, and `result()` says what is pending."""
        self._driver.cancel()

    def _read(self, ending: Ending) -> T:
        raise NotImplementedError


class BatchRef(RunRef[ScatterGatherResult]):
    """A run of many specs; its result tells counts and never raises for user code."""

    def __init__(self, *, run: Any, driver: "Driver", workflow_run_id: str) -> None:
        super().__init__(run_id=run.experiment_id, workflow_run_id=workflow_run_id, driver=driver)
        self._run = run
        self._told = False

    def _read(self, ending: Ending) -> ScatterGatherResult:
        if ending.counts.failed and not self._told:
            self._told = True
            groups = self._run.results.error_groups()
            said = f"{describe_failures(groups)}\n  see all: scythe errors {self.run_id}"
            print(said, file=sys.stderr)  # noqa: T201 - failures are never overlooked
        return ScatterGatherResult.of(
            uris=ending.uris,
            state=ending.state,
            counts=ending.counts,
            seconds=ending.seconds,
            cause=ending.cause,
        )


def describe_failures(groups: "Sequence[ErrorGroup]") -> str:
    """Return failures as a few lines, the most frequent first."""
    total = sum(group.count for group in groups)
    lines = [f"{total:,} {'spec' if total == 1 else 'specs'} failed:"]
    for group in groups[:_GROUPS_SHOWN]:
        message = " ".join(_ADVICE.sub("", group.message).split())
        where = f" at {group.where}" if group.where else ""
        lines.append(
            f"  {group.count:,} x {group.error_type}{where}: {message[:200]} (for instance row {group.row})"
        )
    if len(groups) > _GROUPS_SHOWN:
        lines.append(f"  and {len(groups) - _GROUPS_SHOWN} more kinds")
    return "\n".join(lines)


class SingleRef(RunRef[T]):
    """A run of one spec; its result is the function's value."""

    def __init__(self, *, run: Any, driver: "Driver", workflow_run_id: str) -> None:
        super().__init__(run_id=run.experiment_id, workflow_run_id=workflow_run_id, driver=driver)
        self._run = run

    def _read(self, ending: Ending) -> T:
        if ending.counts.failed:
            failure = self._run.results.error_groups()[0]
            raise SpecFailedError(failure.traceback or f"{failure.error_type}: {failure.message}")
        if ending.counts.pending:
            raise ScytheError(f"run {self.run_id} ended without an outcome: {ending.cause}")
        return cast("T", self._value())

    def _value(self) -> Any:
        experiment = self._run.versioned_experiment.base_experiment.runnable
        return self._run.results.first(experiment.output_validator_type)


class WorkflowRef(SingleRef[Any]):
    """A run of one spec by a native workflow; its result is what each of its tasks returned, by their names."""

    def _value(self) -> dict[str, Any]:
        key = RunLayout(self.run_id).workflow_output
        found: dict[str, Any] = json.loads(self._run.store.get(key))
        return found
