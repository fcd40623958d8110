"""How far a run is, read from its store: from any machine, whoever leads it."""

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from scythe_runtime.errors import NotFoundError, ScytheError
from scythe_runtime.layout import RunLayout
from scythe_runtime.manifest import load_yaml
from scythe_runtime.root import Progress

if TYPE_CHECKING:
    from scythe_runtime.experiments import ExperimentRun

_FIRST_S: Final = 1.0
_LONGEST_S: Final = 10.0
_LOOKS_WITHOUT_CHANGE: Final = 3
"""After so many a run that was interrupted is not followed any longer: nobody leads it."""


def follow(
    run: "ExperimentRun[Any, Any]",
    *,
    sleep: Callable[[float], None] = time.sleep,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Progress]:
    """Yield how far a run is until it has ended; the rate is that since the first look.

    A look is one listing of the parts. While nothing changes the looks become rarer.

    Args:
        run: Which.
        sleep: Waits for so many seconds.
        say: Called with why nothing happens, where that is known; once for each reason.
    """
    told: set[str] = set()
    began = time.monotonic()
    first: int | None = None
    last, pause, still = -1, _FIRST_S, 0
    while True:
        ledger = run.ledger()
        done, failed = ledger.num_done, ledger.num_failed
        still = still + 1 if done == last else 0
        manifest = run.manifest
        left_alone = False
        if still >= _LOOKS_WITHOUT_CHANGE:
            for line in waits_for(run):
                if line not in told:
                    say(line)
                told.add(line)
            left_alone = manifest.finished is not None or _is_over_in_hatchet(run)
        ended = manifest.state not in {"allocated", "dispatched"} or left_alone
        spent = time.monotonic() - began
        first = done if first is None else first
        rate = (done - first) / spent if spent > 0 else 0.0
        left = ledger.num_specs - done
        yield Progress(
            phase="done" if ended else "run" if left else "gather",
            specs=ledger.num_specs,
            succeeded=done - failed,
            failed=failed,
            running_s=spent,  # when it began is not known here
            eta_s=left / rate if rate else None,
            rate=rate or None,
        )
        if ended:
            return
        pause = min(2 * pause, _LONGEST_S) if still else _FIRST_S
        last = done
        sleep(pause)


def workers_of_run(run: "ExperimentRun[Any, Any]") -> list[str]:
    """Return lines about the workers of a run on Hatchet: those that fit, and in what others differ.

    No lines for a run of the local engine. Where Hatchet cannot be asked, the line says why.
    """
    manifest = run.manifest
    if manifest.engine != "hatchet" or manifest.provenance is None:
        return []
    record = _dispatch(run)
    from scythe_runtime.engine._hatchet_fleet import check_engine, describe_workers, workers_of
    from scythe_runtime.engine._hatchet_tasks import short_code
    from scythe_runtime.hatchet import make_client

    code = str(record.get("code") or short_code(manifest.provenance.code_hash))
    name = manifest.experiment_name
    try:
        check_engine()
        workers = workers_of(make_client(attempts=1), name)
    except ScytheError as error:
        return [f"its workers are not known: {error}"]
    return describe_workers(workers, name, manifest.provenance, code)


def waits_for(run: "ExperimentRun[Any, Any]") -> list[str]:
    """Return what a run on Hatchet waits for: a worker, one with its code, an answer of the engine."""
    return [line for line in workers_of_run(run) if line.startswith(("waiting: ", "its workers "))]


def _is_over_in_hatchet(run: "ExperimentRun[Any, Any]") -> bool:
    """Return whether Hatchet says that nobody leads a run any more, whose record goes on: it was cancelled."""
    queue_id = _dispatch(run).get("workflow_run_id")
    if queue_id is None:
        return False
    from scythe_runtime.engine._hatchet_tasks import ENDED
    from scythe_runtime.hatchet import make_client

    try:
        return make_client(attempts=1).runs.get_status(str(queue_id)).value in ENDED
    except Exception:  # noqa: BLE001 - it is away, or no longer knows the run
        return False


def _dispatch(run: "ExperimentRun[Any, Any]") -> dict[str, Any]:
    """Return the record of how a run was handed over to Hatchet; empty where it was not."""
    try:
        record: dict[str, Any] = load_yaml(run.store.get(RunLayout(run.experiment_id).dispatch))
    except NotFoundError:
        return {}
    return record
