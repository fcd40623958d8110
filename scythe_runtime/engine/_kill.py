"""Ending processes for certain: with their group, their children, and children that hid."""

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Collection
from pathlib import Path

MARKER = "SCYTHE_SLOT"
"""Environment variable by which a program started in a slot can be told from another slot's."""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PATIENCE_S = 2.0
_POLL_S = 0.001


def adopt_orphans() -> None:
    """Make this process the parent of its descendants' orphans (Linux; elsewhere nothing)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Let the kernel kill this process when the thread that started it ends (Linux)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_group(pid: int) -> None:
    """Kill a process that has not been waited for, and its group, if it leads one."""
    for kill in (os.killpg, os.kill):
        # EPERM is what macOS says of a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def kill_slot(pid: int) -> None:
    """Kill a slot and its group; where orphans are not adopted, its other descendants too."""
    hidden = _descendants(pid) if sys.platform != "linux" else []
    kill_group(pid)
    for process in hidden:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


def kill_orphans(marker: str, *, spare: Collection[int]) -> None:
    """Kill the adopted children of this process that carry a marker, and theirs in turn.

    Args:
        marker: The value of the environment variable `MARKER`.
        spare: Children that are not orphans.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        orphans = [pid for pid in _children() - set(spare) if _marker(pid) == marker]
        if not orphans:
            return
        for pid in orphans:
            kill_group(pid)
            # Only when it has ended are its own children ours, to be found in the next round.
            while not _reaped(pid) and time.monotonic() < deadline:
                time.sleep(_POLL_S)


def kill_marked(prefix: str) -> None:
    """Kill every process of this user whose marker begins with `prefix`, whoever its parent is now."""
    import psutil

    for process in psutil.process_iter():
        if (_marker(process.pid) or "").startswith(prefix):
            with contextlib.suppress(psutil.Error):
                process.kill()


def kill_children() -> None:
    """Kill all descendants of this process, adopted ones too; give up after two seconds."""
    deadline = time.monotonic() + _PATIENCE_S
    while (children := _children()) and time.monotonic() < deadline:
        for pid in children:
            kill_slot(pid)
        for pid in children:
            while not _reaped(pid) and time.monotonic() < deadline:
                time.sleep(_POLL_S)


def bury(leaders: Collection[int]) -> tuple[int, int] | None:
    """Reap one dead child and return its pid and exit code (negative: the signal), or None.

    The groups of `leaders` are killed before they are waited for: until then nobody else can have
    their id.
    """
    try:
        if sys.platform == "darwin":  # has no waitid before Python 3.13
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return None
            if pid in leaders:
                kill_group(pid)
        else:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None:
                return None
            if dead.si_pid in leaders:
                kill_group(dead.si_pid)
            pid, status = os.waitpid(dead.si_pid, 0)
    except ChildProcessError:
        return None
    return pid, os.waitstatus_to_exitcode(status)


def _children() -> set[int]:
    files = list(Path("/proc/self/task").glob("*/children"))
    if files:  # much cheaper than looking at all processes of the machine
        found: set[int] = set()
        for file in files:
            with contextlib.suppress(OSError):
                found.update(map(int, file.read_text().split()))
        return found
    import psutil

    return {child.pid for child in psutil.Process().children()}


def _descendants(pid: int) -> list[int]:
    import psutil

    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _marker(pid: int) -> str | None:
    import psutil

    try:
        return psutil.Process(pid).environ().get(MARKER)
    except (psutil.Error, OSError):
        return None


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return True


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
