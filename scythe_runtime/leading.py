"""Which process of this machine leads a run: at most one at a time, where there are locks."""

import contextlib
import hashlib
import os
import socket
import time
from pathlib import Path
from typing import Final

from scythe_runtime.errors import UsageError
from scythe_runtime.fetching import cache_folder
from scythe_runtime.layout import RunLayout
from scythe_runtime.locks import HeldError, Lock, holder, lock
from scythe_runtime.store import Store

_REQUEST: Final = ".end"
_LOOK_S: Final = 0.5


class Leadership:
    """What a process has while it leads a run: others cannot, and may ask it to end.

    Args:
        alone: The lock; None where there can be none.
        request: The file by which others ask.
    """

    def __init__(self, alone: Lock | None, request: Path) -> None:
        self._alone = alone
        self._request = request
        self._look_at = 0.0

    def asked_to_end(self) -> bool:
        """Return whether somebody has asked; looks twice a second, however often it is called."""
        now = time.monotonic()
        if self._alone is None or now < self._look_at:
            return False
        self._look_at = now + _LOOK_S
        return self._request.exists()

    def release(self) -> None:
        """Lead it no longer."""
        if self._alone is not None:
            _remove(self._request)
            self._alone.release()


def lead_alone(store: Store, run_id: str) -> Leadership:
    """Lead a run; where there are locks no other process of this machine can at the same time.

    The lock lies in this machine's own cache, so a network file system never keeps it for a machine that is gone.

    Raises:
        UsageError: Another one leads it.
    """
    path = _path(store, run_id)
    try:
        alone = lock(path, str(os.getpid()))
    except HeldError as held:
        raise UsageError(_led(run_id, str(held))) from None
    request = path.with_suffix(_REQUEST)
    if alone is not None:
        _remove(request)  # to whoever led it before
    return Leadership(alone, request)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def ask_to_end(store: Store, run_id: str) -> None:
    """Ask the process of this machine that leads a run to end it.

    By a file: what runs in the background of a script ignores the signal of Ctrl-C.
    """
    _path(store, run_id).with_suffix(_REQUEST).touch()


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
