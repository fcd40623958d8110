"""Locks that end with the process that holds them, where the platform and the file system have any."""

import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

_TRIES: Final = 10
"""Who only looks whether a lock is held holds it for an instant itself."""
_PAUSE_S: Final = 0.02
_LONGEST_NOTE_BYTES: Final = 1000

_held: set[int] = set()
"""Descriptors of this process's locks: a fork must not keep them."""


class HeldError(Exception):
    """Somebody else holds a lock; the message is what they noted in it, maybe nothing."""


class Lock:
    """A file that this process has locked, until it ends or releases it.

    Programs that it starts do not inherit the lock, nor do its forks.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor

    def note(self, text: str) -> None:
        """Write what others may read."""
        with suppress(OSError):  # a full disk
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, text.encode(), 0)

    def release(self, *, remove: bool = True) -> None:
        """Give it up; a second time is no matter."""
        if self._descriptor not in _held:
            return
        _held.discard(self._descriptor)
        if remove:
            with suppress(OSError):
                self._path.unlink()  # while it is held: nobody else's is removed
        os.close(self._descriptor)


def lock(path: Path, note: str) -> Lock | None:
    """Return a lock on a file, which is made with its folder; None where there can be no lock.

    Args:
        path: The file.
        note: What whoever finds it held may read.

    Raises:
        HeldError: Somebody else holds it, in this process or another.
    """
    try:
        import fcntl

        path.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(_TRIES):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:  # maybe somebody who only looks
                if attempt == _TRIES - 1:
                    raise HeldError(_note_in(descriptor)) from None
                time.sleep(_PAUSE_S)
            else:
                if _is_at(descriptor, path):
                    _never_inherited()
                    _held.add(descriptor)
                    held = Lock(path, descriptor)
                    descriptor = -1
                    held.note(note)
                    return held
            finally:
                if descriptor >= 0:
                    os.close(descriptor)
    except (ImportError, OSError):  # no such thing here, or a folder that cannot be written
        pass
    return None


def holder(path: Path) -> str | None:
    """Return what the holder of a lock has noted; None if nobody holds it, or that cannot be known."""
    try:
        return _look(path)
    except (ImportError, OSError):
        return None


def is_left(path: Path) -> bool:
    """Return whether a lock's file is there and nobody holds it, for certain."""
    try:
        return _look(path) is None
    except (ImportError, OSError):
        return False


def _look(path: Path) -> str | None:
    import fcntl

    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # two who look do not see each other
    except BlockingIOError:
        return _note_in(descriptor)
    finally:
        os.close(descriptor)
    return None


def _note_in(descriptor: int) -> str:
    return os.pread(descriptor, _LONGEST_NOTE_BYTES, 0).decode(errors="replace")


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is still the one of that name: its last holder may have removed it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


@cache
def _never_inherited() -> None:
    os.register_at_fork(after_in_child=_forget)


def _forget() -> None:
    """Close a fork's copies: the lock itself stays with the parent."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()
