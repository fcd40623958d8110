"""An experiment whose specs can be told what shall go wrong, and that notes every call."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from scythe_runtime import (
    ExperimentInputSpec,
    ExperimentOutputSpec,
    ExperimentRegistry,
    FileReference,
)

OWN_LIMIT_BYTES = 600 * 2**20


class Load(ExperimentInputSpec):
    """A spec: a number to work with, where to note the call, and what shall go wrong."""

    k: int
    folder: str
    fate: str = "fine"


class Answer(ExperimentOutputSpec):
    """What the function makes of it."""

    square: float
    text: str


def square_of(k: int) -> float:
    """Return what `k` has to give."""
    return k * k / 7


class Unpicklable(Exception):  # noqa: N818
    """An exception that can be neither pickled nor printed."""

    def __init__(self, first: Any, second: Any) -> None:
        super().__init__("two arguments are needed")
        self.held = (lambda: first, threading.Lock(), second)

    def __str__(self) -> str:
        raise RuntimeError("no text either")


@ExperimentRegistry.Register(retries=0)
def load(input_spec: Load) -> Answer:
    """Return the square after what was asked for has gone wrong."""
    folder = Path(input_spec.folder)
    note(folder, input_spec.k)
    answer = Answer(square=square_of(input_spec.k), text=f"k = {input_spec.k}")
    if input_spec.fate == "fine":
        return answer
    return FATES[input_spec.fate](folder, answer) or answer


@ExperimentRegistry.Register(retries=0, execution_timeout=1)
def load_in_time(input_spec: Load) -> Answer:
    """Do the same within a second."""
    return load.fn(input_spec)


def note(folder: Path, k: int) -> None:
    """Append a line: the row and the process. One write, so that lines of two processes never mix."""
    descriptor = os.open(folder / "calls", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{k} {os.getpid()}\n".encode())
    os.close(descriptor)


def wait_once(folder: Path, answer: Answer) -> None:
    """Say that the middle of the run is reached, and wait to be killed or let go; the second time go on."""
    reached = folder / "reached"
    if reached.exists():
        return
    (folder / "reached.new").write_text(str(os.getpid()))
    (folder / "reached.new").rename(reached)
    deadline = time.monotonic() + 60
    while not (folder / "go on").exists() and time.monotonic() < deadline:
        time.sleep(0.005)


def eat_memory(folder: Path, answer: Answer) -> None:
    """Take memory until the kernel kills this process, which is put into the test's own group first."""
    Path((folder / "group").read_text(), "cgroup.procs").write_text(str(os.getpid()))
    held = [bytearray(b"x" * 2**20) for _ in range(4096)]
    raise AssertionError(f"{len(held)} MiB were not too much")


def eat_address_space(folder: Path, answer: Answer) -> None:
    """Take memory until this process's own limit refuses it."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + OWN_LIMIT_BYTES, before[1]))
    try:
        held = [bytearray(64 * 2**20) for _ in range(4096)]
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    raise AssertionError(f"{len(held)} pieces were not too much")


def hang(folder: Path, answer: Answer) -> None:
    """Never end."""
    time.sleep(600)


def hang_in_c(folder: Path, answer: Answer) -> None:
    """Hold the GIL in C for ever, deaf to SIGTERM, with a child program running."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (folder / "child").write_text(str(child.pid))
    ctypes.PyDLL(None).sleep(600)


def raise_error(folder: Path, answer: Answer) -> None:
    """Raise, with another text for each row."""
    raise ValueError(f"no luck with {answer.text}")


def raise_unpicklable(folder: Path, answer: Answer) -> None:
    """Raise what no other process could read."""
    raise Unpicklable(1, 2)


def give_nan(folder: Path, answer: Answer) -> Answer:
    """Return a number that is none."""
    return Answer(square=float("nan"), text=answer.text)


def give_huge_frame(folder: Path, answer: Answer) -> Answer:
    """Return a table of half a million rows."""
    import pandas as pd

    answer.dataframes["hours"] = pd.DataFrame({"load": range(500_000)})
    return answer


def give_wrong_type(folder: Path, answer: Answer) -> Any:
    """Return something else."""
    return {"square": 1.0}


def die_while_putting(folder: Path, answer: Answer) -> None:
    """Let this process be killed when the part of this batch is written, and does not have its name yet."""
    if (folder / "killed").exists():
        return
    (folder / "killed").touch()
    os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)  # written, and not yet renamed


def fail_until_allowed(folder: Path, answer: Answer) -> None:
    """Raise as long as the file "allowed" does not exist."""
    if not (folder / "allowed").exists():
        raise RuntimeError("not yet")


def fork_and_return(folder: Path, answer: Answer) -> None:
    """Fork; the child returns another value, and goes on as if it were the slot."""
    child = os.fork()
    if child == 0:
        answer.square = -1.0
    else:
        os.waitpid(child, 0)


def fork_and_raise(folder: Path, answer: Answer) -> None:
    """Fork; the child raises out of the function while the parent waits for it."""
    child = os.fork()
    if child == 0:
        raise RuntimeError("in the child")
    os.waitpid(child, 0)


def fork_and_exit(folder: Path, answer: Answer) -> None:
    """Fork; the child ends as programs do."""
    if os.fork() == 0:
        sys.exit(0)


def close_all_files(folder: Path, answer: Answer) -> None:
    """Close all open files of this process, the slot's own too."""
    os.closerange(3, 4096)


def clutter(folder: Path, answer: Answer) -> None:
    """Leave this process in disorder: no output, deaf to signals, a thread, no environment, another folder."""
    sys.stdout = sys.stderr = None  # type: ignore[assignment]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE, signal.SIGIO):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=time.sleep, args=(600,)).start()
    os.environ.clear()
    os.umask(0o777)
    os.chdir("/")


def raise_surrogates(folder: Path, answer: Answer) -> None:
    """Raise what names a file whose name is not text, in a message of 10 MB with a NUL in it."""
    raise OSError(os.fsdecode(b"no file \xff") + "\0" + "x" * 10_000_000)


def leave_out(folder: Path, answer: Answer) -> Answer:
    """Return a result that lacks an output, as `model_construct` lets one."""
    return Answer.model_construct(square=answer.square)


class Notes(ExperimentOutputSpec):
    """Outputs that a function can go on writing in after it has returned them."""

    numbers: list[float]
    about: dict[str, Any]


_NUMBERS = [0.0]
_ABOUT: dict[str, Any] = {}
_HOURS: list[Any] = []


@ExperimentRegistry.Register(retries=0)
def reuse(input_spec: Load) -> Notes:
    """Return the same list, dict and frame from each call, with other contents."""
    import pandas as pd

    if not _HOURS:
        _HOURS.append(pd.DataFrame({"load": [0.0, 0.0]}))
    notes = Notes(numbers=[], about={})
    notes.numbers, notes.about = _NUMBERS, _ABOUT
    notes.dataframes["hours"] = _HOURS[0]
    _NUMBERS[0] = _ABOUT["k"] = _HOURS[0].iloc[:, 0] = float(input_spec.k)
    return notes


@ExperimentRegistry.Register(retries=0)
def differ(input_spec: Load) -> Answer:
    """Return a frame whose columns have other types from row to row."""
    import pandas as pd

    k = input_spec.k
    odd = k % 100 == 7
    answer = Answer(square=square_of(k), text=f"k = {k}")
    answer.dataframes["hours"] = pd.DataFrame(
        {
            "kind": pd.Categorical([f"kind {k}"]),
            "mixed": [f"none in {k}" if odd else k],
            "number": [0.5 if odd else 2**60],
            "flag": [True if odd else 2],
            "when": pd.period_range("2020", freq="M" if odd else "Y", periods=1),
            "at": pd.to_datetime(["2020-01-01"]).tz_localize("UTC" if odd else None),
            "many": [["a"] if odd else "b"],
        }
    )
    return answer


@ExperimentRegistry.Register(retries=1)
def load_in_folder(input_spec: Load, tempdir: Path) -> Answer:
    """Work in the spec's own folder; some never come back from it, some only ask where they are."""
    Path.cwd()
    if input_spec.fate == "stay":
        os.chdir(tempdir)
    if input_spec.fate == "stay-once" and not (Path(input_spec.folder) / "stayed").exists():
        (Path(input_spec.folder) / "stayed").touch()
        os.chdir(tempdir)
        raise RuntimeError("once")
    return load.fn(input_spec.model_copy(update={"fate": "fine"}))


def interrupt(folder: Path, answer: Answer) -> None:
    """Raise what Ctrl-C raises."""
    raise KeyboardInterrupt


class Report(ExperimentOutputSpec):
    """An output that is a file."""

    report: FileReference


@ExperimentRegistry.Register(retries=0)
def write_report(input_spec: Load, tempdir: Path) -> Report:
    """Write a file about the spec; of some an empty one, of others none."""
    path = tempdir / "report.txt"
    if input_spec.fate != "no-file":
        path.write_text("" if input_spec.fate == "empty" else f"k = {input_spec.k}")
    return Report(report=path)


class Station(ExperimentInputSpec):
    """A spec with an input file."""

    k: int
    data: FileReference


@ExperimentRegistry.Register(retries=0)
def read_station(input_spec: Station, tempdir: Path) -> Report:
    """Write a file of what the input file holds."""
    path = tempdir / "report.txt"
    path.write_text(f"{Path(str(input_spec.data)).read_text()} {input_spec.k}")
    return Report(report=path)


FATES: dict[str, Any] = {
    "fork-and-return": fork_and_return,
    "fork-and-raise": fork_and_raise,
    "fork-and-exit": fork_and_exit,
    "close-all-files": close_all_files,
    "clutter": clutter,
    "surrogates": raise_surrogates,
    "leave-out": leave_out,
    "sys-exit": lambda folder, answer: sys.exit("enough"),
    "interrupt": interrupt,
    "raise": raise_error,
    "wait-once": wait_once,
    "kill": lambda folder, answer: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda folder, answer: os._exit(3),
    "segfault": lambda folder, answer: ctypes.string_at(0),
    "memory": eat_memory,
    "address-space": eat_address_space,
    "hang": hang,
    "hang-in-c": hang_in_c,
    "unpicklable": raise_unpicklable,
    "nan": give_nan,
    "huge-frame": give_huge_frame,
    "wrong-type": give_wrong_type,
    "die-while-putting": die_while_putting,
    "fail-until-allowed": fail_until_allowed,
}
