"""What specs log while a batch runs, told to whoever watches the slot: seldom, and not without end."""

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

EVERY_S: Final = 1.0
"""How long a line waits for more to come, so that many travel together."""

MOST_CHARACTERS: Final = 60_000
"""What is told of one batch; of more, how many lines there were."""


class Teller(logging.Handler):
    """Collects lines and tells them, at most once a second.

    Args:
        tell: Takes lines, from any thread, one call at a time.
    """

    def __init__(self, tell: Callable[[list[str]], None]) -> None:
        super().__init__()
        self._tell = tell
        self._pid = os.getpid()
        self._lines: list[str] = []
        self._characters = self._left_out = 0
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line; in a process that the function has forked, leave it alone."""
        if os.getpid() != self._pid:
            return
        line = self.format(record)
        if self._characters + len(line) > MOST_CHARACTERS:
            self._left_out += 1
            return
        self._characters += len(line)
        self._lines.append(line)
        if self._timer is None:
            self._timer = threading.Timer(EVERY_S, self.flush)
            self._timer.daemon = True
            self._timer.start()

    def flush(self) -> None:
        """Tell what has been collected."""
        self.acquire()
        try:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            lines, self._lines = self._lines, []
            if lines:
                self._tell(lines)
        finally:
            self.release()

    def end_batch(self) -> None:
        """Tell the rest of a batch's lines, and how many were left out."""
        self.acquire()
        try:
            if self._left_out:
                self._lines.append(f"… {self._left_out:,} more lines of this batch are left out")
            self._characters = self._left_out = 0
            self.flush()
        finally:
            self.release()
