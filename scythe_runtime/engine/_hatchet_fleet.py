"""The servers and workers that a Hatchet run needs: are they there, and do they fit?"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from scythe_runtime.engine._hatchet_tasks import (
    batch_task,
    code_label,
    io_label,
    lock_label,
    root_task,
    short_code,
    wanted_labels,
)
from scythe_runtime.errors import EngineError, SettingsError
from scythe_runtime.hatchet import make_client
from scythe_runtime.manifest import Provenance

if TYPE_CHECKING:
    from hatchet_sdk import Hatchet

_PATIENCE_S: Final = 6.0
_OLDEST: Final = (0, 88, 1)
SLOTS_LABEL: Final = "scythe-slots"


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker as the engine knows it.

    Attributes:
        name: Its name.
        active: Whether the engine gives it work.
        leads: It takes the roots of the experiment.
        runs: It takes batches of the experiment.
        code: Which code of the experiment it has; None for none.
        slots: How many slot processes it has.
        labels: Its labels.
    """

    name: str
    active: bool
    leads: bool
    runs: bool
    code: str | None
    slots: int
    labels: Mapping[str, Any]


def check_engine() -> str:
    """Return the engine's version; asks for its workers too, so that trouble shows within seconds.

    Raises:
        SettingsError: The token is missing, is none, or is not this engine's.
        EngineError: The engine does not answer, or is too old.
    """
    client = make_client(attempts=1)
    address = client.config.host_port
    version = _ask_version(client, address)
    numbers = tuple(map(int, re.findall(r"\d+", version or "")[:3]))
    if numbers < _OLDEST:
        message = (
            f"Hatchet at {address} says that it is {version or 'older than versions have a number'}; "
            f"v{'.'.join(map(str, _OLDEST))} or newer is needed. Update it; an engine built from source "
            "is told its version by SERVER_VERSION_OVERRIDE."
        )
        raise EngineError(message)
    try:
        client.workers.list()
    except Exception as error:  # noqa: BLE001 - the SDK raises errors of four libraries
        _explain(error, client.config.server_url)
    return str(version)


def _ask_version(client: "Hatchet", address: str) -> str | None:
    # as the SDK's own question, over a connection that is closed: one that is not ends some processes badly
    from hatchet_sdk.connection import new_conn
    from hatchet_sdk.contracts.dispatcher_pb2 import GetVersionRequest
    from hatchet_sdk.contracts.dispatcher_pb2_grpc import DispatcherStub
    from hatchet_sdk.utils.api_auth import create_authorization_header

    connection = new_conn(client.config, aio=False)
    try:
        ask: Any = DispatcherStub(connection)
        answer = ask.GetVersion(
            GetVersionRequest(),
            timeout=_PATIENCE_S,
            metadata=create_authorization_header(client.config.token),
        )
    except Exception as error:  # noqa: BLE001 - grpc's and the SDK's
        if "UNIMPLEMENTED" in str(error):  # an engine that is too old to be asked
            return None
        _explain(error, address)
    finally:
        connection.close()
    return str(answer.version)


def _explain(error: Exception, address: str) -> NoReturn:
    """Raise what an error of the SDK means."""
    text = f"{type(error).__name__} {error}"
    if any(sign in text for sign in ("UNAUTHENTICATED", "Unauthorized", "Forbidden", "401", "403")):
        message = (
            f"HATCHET_CLIENT_TOKEN: Hatchet at {address} does not accept this token. It is another "
            "engine's, or has run out: make a new one there."
        )
        raise SettingsError(message) from None
    message = (
        f"Hatchet at {address} does not answer. Is it running, and is this its address? "
        "HATCHET_CLIENT_HOST_PORT and HATCHET_CLIENT_SERVER_URL say another one than the token does; "
        "HATCHET_CLIENT_TLS_STRATEGY=none is needed where it has no TLS."
    )
    raise EngineError(message) from None


def workers_of(client: "Hatchet", experiment_name: str) -> list[WorkerState]:
    """Return the workers that take part in an experiment, the active ones first."""
    key = code_label(experiment_name)
    named = client.config.apply_namespace
    lead, run = named(root_task(experiment_name)), named(batch_task(experiment_name))
    found = []
    for worker in client.workers.list().rows or []:
        labels = {label.key: label.value for label in worker.labels or []}
        actions = {action.partition(":")[0] for action in worker.actions or []}
        if key in labels or lead in actions or run in actions:
            found.append(
                WorkerState(
                    name=worker.name,
                    active=worker.status == "ACTIVE",
                    leads=lead in actions,
                    runs=run in actions,
                    code=labels.get(key),
                    slots=int(labels.get(SLOTS_LABEL) or 0),
                    labels=labels,
                )
            )
    return sorted(found, key=lambda worker: (not worker.active, worker.name))


def describe_workers(
    workers: list[WorkerState], experiment_name: str, then: Provenance, code: str
) -> list[str]:
    """Return a line about the workers that a run can use, and one about each that differs from it and in what.

    Args:
        workers: As `workers_of` returns them.
        experiment_name: Whose.
        then: What the run was allocated with.
        code: Which code its batches need.
    """
    missing = what_is_missing(workers, experiment_name, code)
    active = [w for w in workers if w.active]
    fits = sum(w.code == code for w in active)
    lines = [f"waiting: {missing}"] if missing else []
    lines.append(f"workers with this code: {fits}, with {slots_of(workers, code)} slots")
    for worker in active:
        what = {
            "the definition (io.yaml)": worker.labels.get(io_label(experiment_name))
            != short_code(then.io_hash),
            "the task's source": worker.code != code,
            "the packages (lock file)": worker.labels.get(lock_label(experiment_name))
            != short_code(then.lock_hash),
        }
        differs = [name for name, other in what.items() if other]
        if differs:
            does = "gets no batches" if worker.code != code else "takes batches all the same"
            lines.append(f"worker {worker.name} differs in {', '.join(differs)}: it {does}")
    return lines


def slots_of(workers: list[WorkerState], code: str) -> int:
    """Return how many slot processes run batches of that code, now."""
    return sum(w.slots for w in workers if w.active and w.runs and w.code == code)


def what_is_missing(
    workers: list[WorkerState],
    experiment_name: str,
    code: str,
    wanted: Mapping[str, Any] | None = None,
) -> str | None:
    """Return why a run waits for workers, in a line and with the way out; None where it need not.

    Args:
        workers: All that take part in the experiment.
        experiment_name: Its name.
        code: Which code its batches need.
        wanted: Which labels its registration asks for.
    """
    active = [w for w in workers if w.active]
    fits = [w for w in active if w.code == code]
    if any(w.leads for w in fits) and any(w.runs for w in fits):
        return _missing_label(fits, experiment_name, wanted)
    if not active:
        return (
            f"no worker serves {experiment_name}: start one with `python worker.py` (or `scythe worker`) "
            "in the experiment's repository"
        )
    if not fits:
        others = ", ".join(f"{w.name} has {w.code or 'none'}" for w in active[:5])
        return (
            f"no worker has this code of {experiment_name} ({code}): {others}. "
            "Update and restart the workers, or run from the code that they have"
        )
    lacking = (
        "leads runs (DOES_FAN)" if not any(w.leads for w in fits) else "runs batches (DOES_LEAF)"
    )
    return f"no worker with this code of {experiment_name} ({code}) {lacking}"


def _missing_label(
    workers: list[WorkerState], experiment_name: str, wanted: Mapping[str, Any] | None
) -> str | None:
    """Return which label no worker has that runs batches; labels with a comparison of their own are not judged."""
    needed = {
        label.key: str(label.value)
        for label in wanted_labels(wanted)
        if label.required and label.key and label.comparator is None
    }
    runs = [w for w in workers if w.runs]
    if any(all(str(w.labels.get(k)) == v for k, v in needed.items()) for w in runs):
        return None
    labels = ", ".join(f"{key}={value}" for key, value in needed.items())
    return (
        f"no worker that runs batches of {experiment_name} has the labels that it asks for: {labels}. Start "
        f"one with them (for instance SCYTHE_WORKER_{next(iter(needed)).upper()}=true)"
    )
