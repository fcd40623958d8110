"""What the slots of these tests run: a runner that writes one line a row, and rows that misbehave."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from scythe_runtime.base import user_log
from scythe_runtime.batches import Batch, BatchReport


def _log(line: str) -> None:
    user_log.setLevel("INFO")
    user_log.info(line)


def misbehave(kind: str, folder: Path) -> None:  # noqa: C901, PLR0912, PLR0915 - a list of kinds
    """Do to this process what `kind` says."""
    match kind:
        case "raise":
            raise ValueError("bad row")
        case "sigkill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "sigkill-once" if not (folder / "killed").exists():
            (folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "log":
            _log("a line")
        case "log-and-die":
            _log("a last line")
            time.sleep(1.5)
            os.kill(os.getpid(), signal.SIGKILL)
        case "log-without-end":
            for number in range(20_000):
                _log(f"line {number}")
        case "log-in-a-fork":
            if os.fork() == 0:
                _log("the child's line")
                os._exit(0)
            os.wait()
            _log("the parent's line")
        case "print":
            print("printed by a row")
        case "print-threads":
            print(os.environ["OMP_NUM_THREADS"], os.environ.get("OPENBLAS_NUM_THREADS"))
        case "draw":
            import numpy as np

            with (folder / "drawn").open("a") as file:
                file.write(f"{np.random.random()}\n")  # noqa: NPY002 - the global state is the point
        case "needs-thread":
            if not sys.modules["threaded"].alive.is_alive():
                raise ValueError("bad row")
        case "hang":
            time.sleep(600)
        case "hang-in-c":  # PyDLL keeps the GIL: nothing in this process can answer
            ctypes.PyDLL(None).sleep(600)
        case "simulator":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            (folder / "child").write_text(str(child.pid))
            child.wait()
        case "simulator-own-session" | "simulator-left" | "simulator-held":
            child = subprocess.Popen(
                [sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True
            )
            (folder / "child").write_text(str(child.pid))
            if kind == "simulator-left":
                os.kill(os.getpid(), signal.SIGKILL)
            if kind == "simulator-own-session":
                child.wait()
            while not (folder / "release").exists():
                time.sleep(0.005)


class Runner:
    """Rows take `seconds`; those named in `bad` misbehave; each call and each outcome is a line in a file."""

    def __init__(self, folder: str, seconds: float = 0.0, bad: str = "{}") -> None:
        self.folder = Path(folder)
        self.seconds = seconds
        self.bad = {int(row): kind for row, kind in json.loads(bad).items()}

    def run(self, batch: Batch, progress: Callable[[int], None]) -> BatchReport:
        """Commit one file a piece: a line a row, [row, error]."""
        begun, user_s, outcomes = time.monotonic(), 0.0, []
        if batch.verdict:
            row = batch.rows[0][0]
            if self.bad.get(row) == "verdict-exit":
                os._exit(5)
            outcomes.append([row, f"{batch.verdict.error_type}: {batch.verdict.message}"])
        else:
            with (self.folder / "calls").open("a") as calls:
                for row in (row for part in batch.rows for row in part):
                    progress(row)
                    calls.write(f"{row}\n")
                    calls.flush()
                    before, error = time.monotonic(), None
                    time.sleep(self.seconds) if self.seconds else None
                    kind = self.bad.get(row, "")
                    try:
                        misbehave("exit" if kind == "verdict-exit" else kind, self.folder)
                    except ValueError as problem:
                        error = f"ValueError: {problem}"
                    user_s += time.monotonic() - before
                    outcomes.append([row, error])
                progress(-1)
        self._before_commit(batch)
        part = self.folder / f"part-{batch.plan}-{batch.id}-{batch.offset}-{len(outcomes)}"
        part.with_suffix(".tmp").write_text(json.dumps(outcomes))
        part.with_suffix(".tmp").rename(part.with_suffix(".json"))
        failed = sum(error is not None for _, error in outcomes)
        seconds = time.monotonic() - begun
        return BatchReport(len(outcomes) - failed, failed, seconds, user_s)

    def _before_commit(self, batch: Batch) -> None:
        for part in batch.rows:
            for row in part:
                kind = self.bad.get(row)
                if kind == "commit-exit" and not batch.verdict:
                    os._exit(4)
                if kind == "store-gone" or (
                    kind == "store-back" and not (self.folder / "back").exists()
                ):
                    (self.folder / "back").touch()
                    raise ConnectionError("the store does not answer")


class Quick:
    """A runner that commits nothing."""

    def run(self, batch: Batch, progress: Callable[[int], None]) -> BatchReport:
        """Note the rows and return."""
        for part in batch.rows:
            for row in part:
                progress(row)
        progress(-1)
        return BatchReport(sum(map(len, batch.rows)), 0, 0.0, 0.0)
