"""The parent of all slots: loads the task once, starts slots on request, buries and kills them.

One small process of its own, with a single thread. It outlives no driver: when the other end of
its socket goes, it kills every slot with all its children, and ends.
"""

import contextlib
import faulthandler
import fcntl
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from scythe_runtime.engine._kill import (
    MARKER,
    adopt_orphans,
    bury,
    kill_children,
    kill_orphans,
    kill_slot,
)
from scythe_runtime.engine._protocol import BatchRunner
from scythe_runtime.engine._slot import BOOT, Setup, become_slot, run_and_exit, serve
from scythe_runtime.engine._wire import Channel, Message
from scythe_runtime.engine._word import ProgressWord
from scythe_runtime.errors import SlotStartError

_ASK_S = 1.0


def main(setup_json: dict[str, Any], sock_fd: int) -> None:
    """Be the server until the driver closes its end."""
    setup = Setup.from_json(setup_json)
    channel = Channel(socket.socket(fileno=sock_fd))
    faulthandler.enable()
    make: Callable[..., BatchRunner] | None = None
    if setup.start != "popen":
        try:
            with _ending_with_driver(channel):
                make = setup.load()
        except SlotStartError as error:
            channel.send({"op": "failed", "message": str(error)})
            return
        if setup.start == "auto" and threading.active_count() != 1:
            # A fork would copy the module's threads half: begin again without the module.
            os.set_inheritable(sock_fd, True)
            again = Setup.from_json(setup_json | {"start": "popen"})
            os.execv(sys.executable, server_command(again, sock_fd))  # noqa: S606
        gc.collect()
        gc.freeze()
    _Server(setup, make, channel).run()


def server_command(setup: Setup, sock_fd: int) -> list[str]:
    """Return the command line of a server."""
    return [sys.executable, "-c", BOOT.format(module="_server"), setup.to_json(), str(sock_fd)]


class _Server:
    def __init__(
        self, setup: Setup, make: Callable[..., BatchRunner] | None, channel: Channel
    ) -> None:
        self._setup = setup
        self._make = make
        self._channel = channel
        self._pid = os.getpid()
        self._slots: dict[int, int] = {}  # pid -> serial
        self._wake_in, self._wake_out = socket.socketpair()

    def run(self) -> None:
        adopt_orphans()
        for end in (self._wake_in, self._wake_out):
            end.setblocking(False)
        # The user's module may have its own idea of SIGCHLD; slots get it back.
        self._sigchld = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        self._channel.send({"op": "ready"})
        driver = os.getppid()
        # A fork of the driver may hold a copy of its end open, so its death is also asked for.
        while not self._channel.ended and os.getppid() == driver:
            select.select([self._channel.sock, self._wake_out], [], [], _ASK_S)
            with contextlib.suppress(BlockingIOError):
                self._wake_out.recv(4096)
            self._bury()
            for message in self._channel.drain():
                self._obey(message)
        kill_children()

    def _obey(self, message: Message) -> None:
        serial: int = message["serial"]
        if message["op"] == "start":
            sock_fd, word_fd = (self._channel.fds.popleft() for _ in range(2))
            start = self._popen if self._make is None else self._fork
            try:
                pid = start(serial, message["slot"], sock_fd, word_fd)
            except OSError as error:
                text = f"this machine does not let a slot process start: {error}"
                self._channel.send({"op": "failed", "message": text})
                return
            finally:
                os.close(sock_fd)
                os.close(word_fd)
            self._slots[pid] = serial
            self._channel.send({"op": "started", "serial": serial, "pid": pid})
        else:
            for pid, found in self._slots.items():
                if found == serial:
                    kill_slot(pid)

    def _bury(self) -> None:
        while (dead := bury(self._slots)) is not None:
            pid, code = dead
            serial = self._slots.pop(pid, None)
            if serial is not None:
                kill_orphans(self._marker(serial), spare=self._slots)
                self._channel.send({"op": "exited", "serial": serial, "code": code})

    def _marker(self, serial: int) -> str:
        return f"{self._pid}.{serial}"

    def _fork(self, serial: int, slot: int, sock_fd: int, word_fd: int) -> int:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        pid = os.fork()
        if pid == 0:
            run_and_exit(lambda: self._be_slot(serial, slot, sock_fd, word_fd))
        return pid

    def _be_slot(self, serial: int, slot: int, sock_fd: int, word_fd: int) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, self._sigchld or signal.SIG_DFL)
        for end in (self._channel, self._wake_in, self._wake_out):
            end.close()
        with self._setup.output(f"slot-{slot}") as log:
            if log is not None:
                for stream in (1, 2):
                    os.dup2(log, stream)
        become_slot(self._marker(serial))
        if "numpy.random" in sys.modules:  # the state was copied; `random` does this by itself
            sys.modules["numpy.random"].seed()
        serve(
            self._setup, self._make, Channel(socket.socket(fileno=sock_fd)), ProgressWord(word_fd)
        )

    def _popen(self, serial: int, slot: int, sock_fd: int, word_fd: int) -> int:
        command = [sys.executable, "-c", BOOT.format(module="_slot"), self._setup.to_json()]
        with self._setup.output(f"slot-{slot}") as log:
            process = subprocess.Popen(
                [*command, str(sock_fd), str(word_fd)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(sock_fd, word_fd),
                env={**os.environ, MARKER: self._marker(serial)},
                start_new_session=True,
            )
        process.returncode = 0  # `_bury` waits for it, nobody else
        return process.pid


class _ending_with_driver:  # noqa: N801 - read as a statement
    """While the user's module is being imported, end with the driver even if the GIL is held.

    Linux: the socket signals SIGIO, which ends the process; so nothing may be sent to it meanwhile.
    """

    def __init__(self, channel: Channel) -> None:
        self._fd = channel.fileno()

    def __enter__(self) -> None:
        if sys.platform == "linux":
            self._flags = fcntl.fcntl(self._fd, fcntl.F_GETFL)
            fcntl.fcntl(self._fd, fcntl.F_SETOWN, -os.getpgrp())
            fcntl.fcntl(self._fd, fcntl.F_SETFL, self._flags | os.O_ASYNC)
            if select.select([self._fd], [], [], 0)[0]:  # it ended before it could signal
                sys.exit()

    def __exit__(self, *_: object) -> None:
        if sys.platform == "linux":
            fcntl.fcntl(self._fd, fcntl.F_SETFL, self._flags)
