"""The progress word: 16 bytes that a slot writes before each row and that its pool reads at any time."""

import mmap
import os
import struct
import sys
import tempfile
import time
from collections.abc import Callable

# The time stands first: a reader that meets a half-written word sees the old row as just begun,
# and never the new row with the old row's time.
_WORD = struct.Struct("=dq")


def new_word_file() -> int:
    """Return an open file, without a name, for one `ProgressWord`."""
    if sys.platform == "linux":
        fd = os.memfd_create("scythe-word")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.write(fd, _WORD.pack(0.0, -1))  # written, not truncated: on a full disk this is the error
    return fd


class ProgressWord:
    """The row that a slot is on, and since when, in memory that two processes share.

    Attributes:
        fd: The file behind it; stays open as long as the word.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, _WORD.size)

    def writer(self) -> Callable[[int], None]:
        """Return the function that notes a row (-1: between rows); about 0.15 µs a call."""
        pack_into, view, now = _WORD.pack_into, self._map, time.monotonic

        def note(row: int) -> None:
            pack_into(view, 0, now(), row)

        return note

    def read(self) -> tuple[int, float]:
        """Return the row (-1: between rows) and the monotonic time in seconds at which it began."""
        since, row = _WORD.unpack_from(self._map)
        return row, since

    def close(self) -> None:
        """Give the memory and the file back."""
        self._map.close()
        os.close(self.fd)
