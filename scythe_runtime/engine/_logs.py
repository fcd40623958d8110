"""Where the slots of the local engine write while their run goes on, and what killed processes left of that."""

import os
import shutil
import tempfile
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from scythe_runtime.locks import Lock, is_left, lock

_PREFIX: Final = "scythe-logs-"
_OWNER: Final = "owner"
"""The file that the process which made the folder holds locked; in it is its pid, or that the folder is kept."""
_KEPT: Final = "kept"
_KEPT_FOR_S: Final = 24 * 3600.0
_REMOVED_AT_MOST: Final = 100


class LogFolder:
    """A temporary folder of this process.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path, owner: Lock | None) -> None:
        self.path = path
        self._owner = owner

    @classmethod
    def make(cls) -> "LogFolder":
        """Return a new one; while it is in use nobody takes it for a leftover."""
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        return cls(path, lock(path / _OWNER, str(os.getpid())))

    def remove(self) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._owner is not None:
            self._owner.release()

    def keep(self) -> None:
        """Leave it for a day: a message names it."""
        if self._owner is not None:
            self._owner.note(_KEPT)
            self._owner.release(remove=False)


def remove_leftovers() -> None:
    """Remove folders of this user whose process is gone, up to a hundred; never one that is in use.

    One whose owner cannot be told (no locks there) stays.
    """
    with suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        left = (Path(entry.path) for entry in entries if _is_ours(entry))
        for path in islice(filter(_is_left, left), _REMOVED_AT_MOST):
            shutil.rmtree(path, ignore_errors=True)


def _is_ours(entry: "os.DirEntry[str]") -> bool:
    with suppress(OSError):  # gone meanwhile
        return (
            entry.name.startswith(_PREFIX)
            and entry.is_dir(follow_symlinks=False)
            and entry.stat(follow_symlinks=False).st_uid == os.getuid()
        )
    return False


def _is_left(folder: Path) -> bool:
    owner = folder / _OWNER
    try:
        note, age_s = owner.read_text(), time.time() - owner.stat().st_mtime
    except OSError:
        return False
    if not note or (note == _KEPT and age_s < _KEPT_FOR_S):  # without a note: about to be locked
        return False
    return is_left(owner)
