"""A slot process: makes the runner once, then runs one batch after another."""

import contextlib
import faulthandler
import gc
import json
import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, cast

from scythe_runtime.batches import Batch, TaskRef
from scythe_runtime.engine._kill import MARKER, die_with_parent
from scythe_runtime.engine._load import load_attribute, load_task, own_traceback
from scythe_runtime.engine._protocol import BatchRunner
from scythe_runtime.engine._said import Teller
from scythe_runtime.engine._wire import Channel, Message
from scythe_runtime.engine._word import ProgressWord
from scythe_runtime.errors import SlotStartError

BOOT = (
    "import json, sys; setup = json.loads(sys.argv[1]); sys.path[:] = setup['sys_path']; "
    "from scythe_runtime.engine.{module} import main; main(setup, *map(int, sys.argv[2:]))"
)
"""What a started Python runs: no file, so that nothing can import `__main__` a second time."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the server and its slots must know; crosses to them as JSON.

    Attributes:
        task: The function.
        runner: "module:attribute" of what makes the `BatchRunner`.
        runner_args: Its arguments.
        argv: The driver's command line, which a script may read again.
        log_dir: The folder in which slots write what they print; None: there is none.
        prints: Where there is none: whether they print where the driver prints, or nowhere.
        start: "server": slots are forked; "popen": started afresh; "auto": forked where it is safe.
        tells: Whether what specs log is told to the driver.
    """

    task: TaskRef
    runner: str
    runner_args: tuple[str | float | int | bool | None, ...]
    argv: tuple[str, ...]
    log_dir: str | None
    start: str
    prints: bool = False
    tells: bool = False

    def to_json(self) -> str:
        """Return the setup as text; `sys_path` stands where `BOOT` looks for it."""
        return json.dumps({"sys_path": self.task.sys_path or sys.path, **asdict(self)})

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Setup":
        """Return what `to_json` wrote."""
        task = TaskRef(**value["task"] | {"sys_path": tuple(value["task"]["sys_path"])})
        return cls(
            task=task,
            runner=value["runner"],
            runner_args=tuple(value["runner_args"]),
            argv=tuple(value["argv"]),
            log_dir=value["log_dir"],
            start=value["start"],
            prints=value["prints"],
            tells=value["tells"],
        )

    @contextlib.contextmanager
    def output(self, name: str) -> Iterator[int | None]:
        """Yield the file descriptor that takes what a process prints; None: that of its parent."""
        if self.log_dir is None and self.prints:
            yield None
            return
        path = Path(self.log_dir) / f"{name}.log" if self.log_dir else Path(os.devnull)
        with path.open("ab") as file:
            yield file.fileno()

    def load(self) -> Callable[..., BatchRunner]:
        """Import the task and return what makes the runner.

        Raises:
            SlotStartError: One of them cannot be imported.
        """
        sys.argv = list(self.argv)
        load_task(self.task)
        return cast("Callable[..., BatchRunner]", load_attribute(self.runner))


def serve(
    setup: Setup, make: Callable[..., BatchRunner] | None, channel: Channel, word: ProgressWord
) -> None:
    """Answer batches until the pool closes its end.

    Args:
        setup: What to load.
        make: What makes the runner, where it is loaded already.
        channel: Batches come in and reports go out.
        word: Notes the row at work.
    """
    try:
        make = make or setup.load()
        runner = make(*setup.runner_args)
    except Exception as error:  # noqa: BLE001 - whatever it is, the driver shows it
        said = error if isinstance(error, SlotStartError) else own_traceback(error)
        channel.send({"op": "failed", "message": str(said)})
        return
    teller = _teller(channel) if setup.tells else None
    gc.collect()
    gc.freeze()  # what is loaded is here to stay: no collection looks at it again
    progress = word.writer()
    channel.send({"op": "ready"})
    while (message := channel.receive()) is not None:
        try:
            report = runner.run(Batch.from_json(message), progress)
        except Exception as error:  # noqa: BLE001 - the runtime's own trouble: the driver decides
            answer: Message = {
                "op": "error",
                "message": f"{type(error).__name__}: {error}",
                "traceback": own_traceback(error),
            }
        else:
            answer = {"op": "done", "report": asdict(report)}
        progress(-1)
        if teller is not None:
            teller.end_batch()
        channel.send(answer)


def _teller(channel: Channel) -> Teller:
    """Let what specs log go to the driver too; while a batch runs, nothing else is sent there."""
    from scythe_runtime.base import user_log

    teller = Teller(lambda lines: channel.send({"op": "said", "lines": lines}))
    user_log.addHandler(teller)
    return teller


def main(setup_json: dict[str, Any], sock_fd: int, word_fd: int) -> None:
    """Be a slot process that was started afresh."""
    setup = Setup.from_json(setup_json)
    become_slot(os.environ[MARKER])
    run_and_exit(
        lambda: serve(setup, None, Channel(socket.socket(fileno=sock_fd)), ProgressWord(word_fd))
    )


def become_slot(marker: str) -> None:
    """Prepare this process, whose output already goes to its log."""
    die_with_parent()
    os.environ[MARKER] = marker
    faulthandler.enable()
    with contextlib.suppress(AttributeError, ValueError):  # a script may have replaced them
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]


def run_and_exit(work: Callable[[], None]) -> NoReturn:
    """Do the work and end the process, without what the server's modules registered for its exit."""
    code = 0
    try:
        work()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - the end of the process
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code & 0xFF)
