"""The progress line of a run, on stderr."""

import sys
import time
from typing import TYPE_CHECKING, Final

from scythe_runtime.root import Progress

if TYPE_CHECKING:
    from scythe_runtime.engine import Driver

_LOOK_S: Final = 0.1
_QUIET_S: Final = 0.5
_LINE_EACH_S: Final = 10.0


def watch(driver: "Driver", *, timeout_s: float | None, show: bool) -> bool:
    """Return whether the run has ended, waiting for it; shows how far it is meanwhile."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    if driver.wait(min(_QUIET_S, timeout_s) if timeout_s is not None else _QUIET_S):
        return True
    if not show:
        return driver.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True)
    if not console.is_terminal:
        return _watch_plainly(driver, deadline)
    # redrawn by this thread alone: a run that is interrupted leaves a whole line behind
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            ended = driver.wait(_LOOK_S)
            live.update(progress_line(driver.progress(), width=console.width), refresh=True)
            if ended or (deadline is not None and time.monotonic() >= deadline):
                return ended


def _watch_plainly(driver: "Driver", deadline: float | None) -> bool:
    """Wait with a line every ten seconds: for logs, where a line cannot be redrawn."""
    shown = time.monotonic()
    while True:
        ended = driver.wait(_LOOK_S)
        now = time.monotonic()
        if now - shown >= _LINE_EACH_S or ended:
            print(progress_line(driver.progress(), width=100), file=sys.stderr)  # noqa: T201
            shown = now
        if ended or (deadline is not None and now >= deadline):
            return ended


def progress_line(progress: Progress, *, width: int) -> str:
    """Return a progress line: bar, counts, failures, rate, time left."""
    done = progress.succeeded + progress.failed
    parts = [f"{done:,}/{progress.specs:,}"]
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    if progress.phase == "run" and progress.rate:
        parts.append(f"{progress.rate:,.0f}/s" if progress.rate >= 1 else f"{progress.rate:.2g}/s")
    if progress.phase == "canary":
        parts.append("trying the first few")
    elif progress.phase == "gather":
        parts.append("writing tables")
    elif progress.phase == "done":
        parts.append(f"{seconds_text(progress.running_s)}")
    elif progress.eta_s is not None:
        parts.append(f"{seconds_text(progress.eta_s)} left")
    text = " · ".join(parts)
    room = min(40, width - len(text) - 2)
    if room < 10:  # noqa: PLR2004 - shorter bars say nothing
        return text
    filled = round(room * done / progress.specs) if progress.specs else room
    return f"{'━' * filled}{'╌' * (room - filled)} {text}"


def seconds_text(seconds: float) -> str:
    """Return a length of time as people say it: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds < 10:  # noqa: PLR2004
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, left = divmod(whole, 60)
    if not minutes:
        return f"{whole} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {left} s"
