"""Which process of this machine leads a run: at most one at a time, where there are locks."""

import hashlib
import os
import socket
from pathlib import Path

from scythe_runtime.errors import UsageError
from scythe_runtime.fetching import cache_folder
from scythe_runtime.layout import RunLayout
from scythe_runtime.locks import HeldError, Lock, holder, lock
from scythe_runtime.store import Store


def lead_alone(store: Store, run_id: str) -> Lock | None:
    """Return a lock to hold while this process leads a run; None where there can be none.

    It lies in this machine's own cache, so a network file system never keeps it for a machine that is gone.

    Raises:
        UsageError: Another one leads it.
    """
    try:
        return lock(_path(store, run_id), str(os.getpid()))
    except HeldError as held:
        raise UsageError(_led(run_id, str(held))) from None


def leader_of(store: Store, run_id: str) -> str | None:
    """Return the pid of the process of this machine that leads a run, "" if it is not known; None if none does."""
    return holder(_path(store, run_id))


def require_unled(store: Store, run_id: str) -> None:
    """Return only if no living process of this machine leads a run, as far as that can be known.

    Raises:
        UsageError: One does; the message says which, and how to watch it.
    """
    pid = leader_of(store, run_id)
    if pid is not None:
        raise UsageError(_led(run_id, pid))


def _led(run_id: str, pid: str) -> str:
    own = pid == str(os.getpid())
    who = "this process itself" if own else f"process {pid or '(unknown)'} of this machine"
    return (
        f"run {run_id} is under way: {who} leads it. Watch it: scythe status {run_id} --follow. "
        f"Or end it: scythe cancel {run_id}; what is left then can be gone on with."
    )


def _path(store: Store, run_id: str) -> Path:
    key = RunLayout(run_id).manifest
    path = store.local_path(key)
    where = str(path.resolve()) if path is not None else store.uri(key)
    # the host: a home on a network file system may have the caches of many machines in one folder
    name = hashlib.sha256(f"{socket.gethostname()}\n{where}".encode()).hexdigest()[:20]
    return cache_folder() / "leading" / name
