"""Messages between the pool, its server and its slots: JSON in frames over a Unix socket."""

import contextlib
import json
import os
import socket
import struct
from array import array
from collections import deque
from collections.abc import Sequence
from typing import Any

_LENGTH = struct.Struct("=I")
_READ_BYTES = 1 << 16
_FDS_BYTES = socket.CMSG_SPACE(16 * array("i").itemsize)

Message = dict[str, Any]


class Channel:
    """One end of a connection.

    Attributes:
        sock: The socket, blocking; closed by `close`.
        fds: Open files that came with messages and that nobody has taken yet, in order.
        ended: The other end is gone: nothing more will arrive.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.fds: deque[int] = deque()
        self.ended = False
        self._buffer = bytearray()

    def fileno(self) -> int:
        """Return the socket's descriptor, for selectors."""
        return self.sock.fileno()

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send one message, with open files where given; nothing happens when the other end is gone."""
        data = json.dumps(message).encode()
        frame = _LENGTH.pack(len(data)) + data
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sent = socket.send_fds(self.sock, [frame], fds) if fds else 0
            self.sock.sendall(frame[sent:])

    def receive(self) -> Message | None:
        """Wait for the next message and return it; None when the other end is gone."""
        while True:
            message = self._next()
            if message is not None:
                return message
            if self.ended:
                return None
            self._read(0)

    def drain(self) -> list[Message]:
        """Return the messages that have arrived, without waiting."""
        while not self.ended:
            try:
                self._read(socket.MSG_DONTWAIT)
            except BlockingIOError:
                break
        found = []
        while (message := self._next()) is not None:
            found.append(message)
        return found

    def close(self) -> None:
        """Close this end and whatever open files were not taken."""
        self.sock.close()
        while self.fds:
            os.close(self.fds.popleft())

    def _read(self, flags: int) -> None:
        try:
            # Not socket.recv_fds: Python 3.11's forgets the flags.
            data, control, _, _ = self.sock.recvmsg(_READ_BYTES, _FDS_BYTES, flags)
        except ConnectionResetError:  # what an end that vanished with unread messages gives
            self.ended = True
            return
        for _, _, packed in control:  # open files are the only kind that is ever sent
            fds = array("i", packed)
            for fd in fds:
                os.set_inheritable(fd, False)
            self.fds.extend(fds)
        self._buffer += data
        self.ended = not data

    def _next(self) -> Message | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        end = _LENGTH.size + _LENGTH.unpack_from(self._buffer)[0]
        if len(self._buffer) < end:
            return None
        message: Message = json.loads(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return message
