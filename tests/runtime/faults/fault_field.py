"""A field of 2,000 specs, what became of each, and how often each was called."""

import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fault_tasks import Load, load, square_of

from scythe_runtime import BaseExperiment
from scythe_runtime.experiments import ExperimentRun

N = 2000


class Field:
    """2,000 specs of which some misbehave, in a folder of their own.

    Attributes:
        folder: Where the function notes its calls; the working directory.
        n: How many specs.
    """

    n = N

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def specs(self, fates: Mapping[int, str]) -> list[Load]:
        """Return the specs; `fates` says by row what goes wrong."""
        return [
            Load(k=k, folder=str(self.folder), fate=fates.get(k, "fine")) for k in range(self.n)
        ]

    def start(
        self, fates: Mapping[int, str], runnable: Any = load, **options: Any
    ) -> tuple[ExperimentRun[Any, Any], Any]:
        """Begin a run."""
        return BaseExperiment(runnable=runnable, run_name="field").allocate(
            self.specs(fates), **options
        )

    def start_elsewhere(
        self,
        fates: Mapping[int, str],
        *,
        first: str = "",
        last: str = "ref.result()",
        **options: Any,
    ) -> subprocess.Popen[str]:
        """Begin a run from another process, which waits for it; it leads a session of its own.

        Args:
            fates: What goes wrong, by row.
            first: What that process does before.
            last: What it does after.
            options: Of `allocate`.
        """
        script = self.folder / "driver.py"
        script.write_text(
            "import signal, sys; sys.path.insert(0, sys.argv[1])\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)  # also behind a shell's &\n"
            "from fault_tasks import Load, load\n"
            "from scythe_runtime import BaseExperiment\n"
            f"fates = {dict(fates)!r}\n"
            f"specs = [Load(k=k, folder={str(self.folder)!r}, fate=fates.get(k, 'fine')) for k in range({self.n})]\n"
            f"{first}\n"
            f"run, ref = BaseExperiment(runnable=load, run_name='field').allocate(specs, **{options!r})\n"
            f"{last}\n"
        )
        return self._process(script)

    def _process(self, script: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(script), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def go_on_elsewhere(self, what: str, *, first: str = "") -> subprocess.Popen[str]:
        """Go on with the latest run from another process, which waits for it.

        Args:
            what: "resume" or "retry_failed".
            first: What that process does before.
        """
        script = self.folder / "go_on.py"
        script.write_text(
            "import sys; sys.path.insert(0, sys.argv[1])\n"
            "import fault_tasks\n"
            "from scythe_runtime import open_run\n"
            f"{first}\n"
            f"open_run('field').{what}().result()\n"
        )
        return self._process(script)

    def middle(self) -> int:
        """Wait until the middle of the run is reached and return the process of that slot."""
        reached = self.folder / "reached"
        until(reached.exists)
        return int(reached.read_text())

    def go_on(self) -> None:
        """Let the slot in the middle of the run go on."""
        (self.folder / "go on").touch()

    def calls(self) -> Counter[int]:
        """Return how often each row was called."""
        lines = (self.folder / "calls").read_text().splitlines()
        return Counter(int(line.split()[0]) for line in lines)

    def called_again(self) -> int:
        """Return how many calls there were beyond one a row."""
        calls = self.calls()
        assert set(calls) == set(range(self.n)), "rows that were never called"
        return calls.total() - self.n

    def processes(self) -> set[int]:
        """Return the processes in which the function was called."""
        return {int(line.split()[1]) for line in (self.folder / "calls").read_text().splitlines()}

    def assert_whole(
        self,
        run: ExperimentRun[Any, Any],
        failed: Mapping[int, tuple[str, str]] | None = None,
        other: Mapping[int, Callable[[float], bool]] | None = None,
    ) -> None:
        """Check that each spec has one outcome: its own value, or the failure that was expected.

        Args:
            run: What has ended.
            failed: Error type, and a part of the message, by row.
            other: Rows whose value is not the square, with what has to hold of it.
        """
        failed, other = failed or {}, other or {}
        report = run.check()
        assert report.problems == ()
        assert (report.specs, report.succeeded, report.failed, report.pending) == (
            self.n,
            self.n - len(failed),
            len(failed),
            0,
        )
        table = run.table()
        good = [k for k in range(self.n) if k not in failed]
        assert table["sort_index"].tolist() == good
        assert table["k"].tolist() == good
        for k, square, text in zip(good, table["square"], table["text"], strict=True):
            assert other[k](square) if k in other else square == square_of(k), (k, square)
            assert text == f"k = {k}"
        errors = run.errors()
        assert errors["sort_index"].tolist() == sorted(failed)
        for k, error_type, message in zip(
            errors["sort_index"], errors["error_type"], errors["error_message"], strict=True
        ):
            assert error_type == failed[k][0]
            assert failed[k][1] in message


OWN = ["experiment_id", "root_workflow_run_id", "workflow_run_id", "attempt", "seconds"]
"""Columns that are each run's own."""


def assert_same_tables(run: ExperimentRun[Any, Any], other: ExperimentRun[Any, Any]) -> None:
    """Check that two runs have the same tables, in all columns but ids and times."""
    names = run.results.names()
    assert sorted(names) == sorted(other.results.names())
    for name in names:
        tables = [r.results.arrow(name) for r in (run, other)]
        mine, its = (t.drop_columns([c for c in OWN if c in t.column_names]) for t in tables)
        assert mine.num_rows == its.num_rows, name
        assert mine.equals(its), name


class Disk:
    """A small file system of its own, a tmpfs.

    Attributes:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self) -> str | None:
        """Mount it with 8 MB; return why that is not possible here, None if it is."""
        if sys.platform != "linux" or shutil.which("mount") is None:
            return "it needs Linux and mount"
        done = self._run("mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(self.folder))
        return done.stderr.strip() if done.returncode else None

    def remount(self, options: str) -> None:
        """Change its options, for instance "size=16k" or "ro"."""
        done = self._run("mount", "-o", f"remount,{options}", str(self.folder))
        assert done.returncode == 0, done.stderr

    def unmount(self) -> None:
        """Take it away."""
        assert self._run("umount", "--lazy", str(self.folder)).returncode == 0

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, check=False)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    """Return whether a process has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"
