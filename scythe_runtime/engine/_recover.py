"""What is left to do after a slot died or overran its time: pure functions from work to work."""

import signal
from dataclasses import dataclass, replace

from scythe_runtime.batches import Batch, Rows, Verdict, count_rows
from scythe_runtime.errors import EngineError

TRIES = 3
"""How often a row may take its slot down between rows (while committing) before it is given up."""

_MEANING = {
    "SIGKILL": "often: out of memory",
    "SIGSEGV": "segmentation fault",
    "SIGABRT": "abort",
    "SIGBUS": "bus error",
    "SIGFPE": "arithmetic error in native code",
    "SIGILL": "illegal instruction",
}


@dataclass(frozen=True, slots=True)
class Work:
    """A batch, or a piece of one, and what is known of it.

    Attributes:
        batch: What to run.
        suspect: It is one row, and a slot has died on it before.
        deaths: How many slots died in it between rows.
        errors: How often the runner could not commit it.
    """

    batch: Batch
    suspect: bool = False
    deaths: int = 0
    errors: int = 0


def describe_exit(code: int) -> str:
    """Return in words how a process ended, from its exit code (negative: a signal's number)."""
    if code >= 0:
        return f"process exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    meaning = _MEANING.get(name)
    return f"killed by {name}" + (f" ({meaning})" if meaning else "")


def after_death(work: Work, row: int, verdict: Verdict) -> list[Work]:
    """Return the work that replaces `work`, whose slot died; what finds out most comes first.

    Args:
        work: What the slot was running.
        row: The row that it was on; -1 between rows.
        verdict: What is recorded where the row turns out to be the cause.

    Raises:
        EngineError: Not even recording a failure works.
    """
    batch = work.batch
    size = count_rows(batch.rows)
    if batch.verdict is not None:
        if work.deaths + 1 >= TRIES:
            raise EngineError(
                f"a slot that only had to record a failure died {TRIES} times: {verdict.message}. "
                "What is committed is kept; resume the run when the cause is gone."
            )
        return [replace(work, deaths=work.deaths + 1)]
    position = _find(batch.rows, row)
    if position is not None:
        if size > 1:
            return _around(batch, position, Work(batch.piece(position, position + 1), suspect=True))
        return [Work(batch.piece(0, 1, verdict)) if work.suspect else replace(work, suspect=True)]
    if size > 1:
        return [Work(batch.piece(0, size // 2)), Work(batch.piece(size // 2, size))]
    if work.deaths + 1 < TRIES:
        return [replace(work, deaths=work.deaths + 1)]
    late = replace(verdict, message=f"{verdict.message}, {TRIES} times while its result was stored")
    return [Work(batch.piece(0, 1, late))]


def after_timeout(work: Work, row: int, verdict: Verdict) -> list[Work]:
    """Return the work that replaces `work`, whose slot was killed because `row` overran its time."""
    position = _find(work.batch.rows, row)
    if position is None:
        return [work]
    return _around(work.batch, position, Work(work.batch.piece(position, position + 1, verdict)))


def _around(batch: Batch, position: int, middle: Work) -> list[Work]:
    sides = (batch.piece(0, position), batch.piece(position + 1, count_rows(batch.rows)))
    return [middle, *(Work(side) for side in sides if side.rows)]


def _find(rows: Rows, row: int) -> int | None:
    start = 0
    for part in rows:
        if row in part:
            return start + part.index(row)
        start += len(part)
    return None
