"""The driver's side of the server: start it, ask it for slots, end it for certain."""

import contextlib
import os
import socket
import subprocess
from dataclasses import dataclass

from scythe_runtime.engine._kill import kill_group, kill_marked
from scythe_runtime.engine._server import server_command
from scythe_runtime.engine._slot import Setup
from scythe_runtime.engine._wire import Channel
from scythe_runtime.engine._word import ProgressWord, new_word_file
from scythe_runtime.errors import SlotStartError

_PATIENCE_S = 5.0
_MATH_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(eq=False, slots=True)
class Host:
    """A running server.

    Attributes:
        process: Its process, the leader of a session of its own.
        channel: The way to it.
        ready: It has loaded the task and takes orders; before, nothing may be sent to it.
    """

    process: "subprocess.Popen[bytes]"
    channel: Channel
    ready: bool = False

    @classmethod
    def launch(cls, setup: Setup) -> "Host":
        """Return a server that begins to load the task.

        Raises:
            SlotStartError: The machine does not let it start.
        """
        ours, theirs = socket.socketpair()
        try:
            with theirs, setup.output("slot-server") as log:
                process = subprocess.Popen(
                    server_command(setup, theirs.fileno()),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(theirs.fileno(),),
                    env=_environment(),
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise SlotStartError(f"the parent of the slots cannot be started: {error}") from None
        return cls(process, Channel(ours))

    def start_slot(self, number: int, serial: int) -> tuple[Channel, ProgressWord]:
        """Order a slot; return the way to it and its progress word."""
        ours, theirs = socket.socketpair()
        word = ProgressWord(new_word_file())
        with theirs:
            message = {"op": "start", "serial": serial, "slot": number}
            self.channel.send(message, (theirs.fileno(), word.fd))
        return Channel(ours), word

    def kill_slot(self, serial: int) -> None:
        """Order a slot's death; its exit is told like any other."""
        self.channel.send({"op": "kill", "serial": serial})

    def end(self, pids: list[int]) -> int | None:
        """End the server and with it all slots and their children; return its exit code.

        Args:
            pids: The slots, for a server that has been killed and so could not kill them.
        """
        lost = self.channel.ended
        with contextlib.suppress(OSError):  # not only closed: a fork of the driver may hold a copy
            self.channel.sock.shutdown(socket.SHUT_RDWR)
        self.channel.close()
        try:
            code: int | None = self.process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            code = None
            self.process.kill()
            self.process.wait()
        if self.ready and (lost or code is None):
            for pid in pids:
                kill_group(pid)
            kill_marked(f"{self.process.pid}.")
        return code


def _environment() -> dict[str, str]:
    """Return the slots' environment: libraries of mathematics use one thread a slot by default."""
    # arrow's own allocator keeps 30 MiB a slot for later
    defaults = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
    if "OMP_NUM_THREADS" not in os.environ:  # who sets it means the others too
        defaults |= dict.fromkeys(_MATH_THREADS, "1")
    return defaults | os.environ
