"""Cancelling what a run has in the queue."""

import datetime as dt
import time
from typing import TYPE_CHECKING, Final

from scythe_runtime.engine._hatchet_tasks import RUN_KEY

if TYPE_CHECKING:
    from hatchet_sdk import Hatchet

_AT_ONCE: Final = 1000
_LONGEST: Final = dt.timedelta(days=30)
_PAUSE_S: Final = 1.0
_CALM: Final = 3
"""After so many looks that found nothing, nothing is left: what was queued just now shows after a second or two."""

_PATIENCE_S: Final = 60.0


def cancel_run(client: "Hatchet", run_id: str) -> None:
    """Cancel all tasks of a run, again and again until none is queued or at work; a minute at most."""
    deadline, calm = time.monotonic() + _PATIENCE_S, 0
    while calm < _CALM and time.monotonic() < deadline:
        calm = 0 if cancel_tasks(client, RUN_KEY, run_id) else calm + 1
        time.sleep(_PAUSE_S)


def cancel_tasks(client: "Hatchet", key: str, value: str) -> int:
    """Cancel the tasks whose metadata has a value; return how many were queued or at work, as far as they show.

    The engine shows what was queued only a while later.
    """
    from hatchet_sdk import BulkCancelReplayOpts
    from hatchet_sdk.clients.rest.api.workflow_runs_api import WorkflowRunsApi
    from hatchet_sdk.clients.rest.models.v1_task_status import V1TaskStatus

    with client.runs.client() as api:
        found: list[str] | None = WorkflowRunsApi(api).v1_workflow_run_external_ids_list(
            tenant=client.tenant_id,
            since=dt.datetime.now(dt.UTC) - _LONGEST,
            statuses=[V1TaskStatus.QUEUED, V1TaskStatus.RUNNING],
            additional_metadata=[f"{key}:{value}"],
        )
    ids = found or []
    for start in range(0, len(ids), _AT_ONCE):
        client.runs.bulk_cancel(BulkCancelReplayOpts(ids=ids[start : start + _AT_ONCE]))
    return len(ids)
