"""Ending a run that is under way, from outside. What is committed stays, and `resume` goes on with it."""

import datetime as dt
import time
from typing import TYPE_CHECKING, Any, Final

from scythe_runtime.errors import EngineError, ScytheError, UsageError
from scythe_runtime.layout import RunLayout
from scythe_runtime.leading import ask_to_end, leader_of
from scythe_runtime.manifest import write_manifest

if TYPE_CHECKING:
    from scythe_runtime.experiments import ExperimentRun

_LOOK_S: Final = 0.2
_PATIENCE_S: Final = 120.0


def cancel(run: "ExperimentRun[Any, Any]") -> None:
    """End a run, wherever it is led on Hatchet, or by which process of this machine; return when it has ended.

    Raises:
        UsageError: It has ended already, or nobody is found who leads it.
        EngineError: It could not be ended.
    """
    run_id, manifest = run.experiment_id, run.manifest
    if manifest.finished is not None and leader_of(run.store, run_id) is None:
        message = f"run {run_id} has ended ({manifest.cause or manifest.state}): nothing to cancel."
        raise UsageError(message)
    if manifest.engine == "hatchet":
        _cancel_in_hatchet(run)
    else:
        _ask_leader(run)


def _cancel_in_hatchet(run: "ExperimentRun[Any, Any]") -> None:
    from scythe_runtime.engine._hatchet_cancel import cancel_run
    from scythe_runtime.hatchet import make_client

    run_id = run.experiment_id
    client = make_client(attempts=1)
    try:
        cancel_run(client, run_id)
    except ScytheError:
        raise
    except Exception as error:  # the SDK's and its transports'
        message = f"Hatchet cannot cancel run {run_id}: {error}. See: scythe doctor"
        raise EngineError(message) from error
    manifest = run.manifest
    if manifest.finished is None:  # nobody leads it who could say so
        ended = {"cause": "cancelled", "finished": dt.datetime.now(dt.UTC)}
        write_manifest(run.store, RunLayout(run_id), manifest.model_copy(update=ended))


def _ask_leader(run: "ExperimentRun[Any, Any]") -> None:
    run_id = run.experiment_id
    pid = leader_of(run.store, run_id)
    if pid is None:
        message = (
            f"no process of this machine leads run {run_id}. If another machine does, end it there by Ctrl-C; "
            f"if nobody does: scythe resume {run_id}"
        )
        raise UsageError(message)
    ask_to_end(run.store, run_id)
    deadline = time.monotonic() + _PATIENCE_S
    while leader_of(run.store, run_id) == pid:
        if time.monotonic() > deadline:
            message = f"process {pid}, which leads run {run_id}, has not ended yet. Wait for it, or: kill {pid}"
            raise EngineError(message)
        time.sleep(_LOOK_S)
