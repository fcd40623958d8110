"""An HTTP proxy that passes requests on, or does what its script says."""

import threading
from collections import deque
from contextlib import closing
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_NOT_PASSED_ON = {
    "connection",
    "transfer-encoding",
    "keep-alive",
    "date",
    "server",
    "content-length",
}


def refusal(status: int, code: str):
    """Return a fault: the server answers with this status and S3 error code."""

    def fault(handler):
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        body = f"<Error><Code>{code}</Code><Message>scripted</Message></Error>".encode()
        handler.answer(status, {"Content-Type": "application/xml"}, body)

    return fault


def reset(handler):
    """Close the connection without an answer."""
    handler.close_connection = True


def lost_answer(handler):
    """Do what is asked, then close the connection without an answer."""
    handler.forward()
    handler.close_connection = True


def half_body(handler):
    """Promise the whole body, send half, close."""
    status, headers, body = handler.forward()
    handler.answer(status, headers, body[: len(body) // 2], promised=len(body))
    handler.close_connection = True


class _Handler(BaseHTTPRequestHandler):
    """One connection; `proxy` is set on the subclass that each proxy makes."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        """Stay silent."""

    def _handle(self):
        self.proxy.requests.append((self.command, self.path))
        fault = self.proxy.faults.popleft() if self.proxy.faults else self.proxy.always
        if fault:
            fault(self)
        else:
            self.answer(*self.forward())

    do_GET = do_PUT = do_HEAD = do_POST = _handle  # noqa: N815

    def forward(self):
        """Return what the server behind answers: status, headers, body."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}  # Host is signed
        if self.proxy.without_conditions:
            headers.pop("If-None-Match", None)
        with closing(
            HTTPConnection(urlsplit(self.proxy.upstream).netloc, timeout=30)
        ) as connection:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def answer(self, status, headers, body, promised=None):
        """Answer, saying that the body has `promised` bytes."""
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _NOT_PASSED_ON:
                self.send_header(name, value)
        length = len(body) if promised is None else promised
        self.send_header(
            "Content-Length", headers.get("Content-Length", 0) if self.command == "HEAD" else length
        )
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)


class FaultyProxy:
    """Faults are used up one a request; `always` is used when there are none left.

    `without_conditions` makes it a server that does not know `If-None-Match`.
    """

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.faults = deque()
        self.always = None
        self.without_conditions = False
        self.requests = []
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *args):
        self._server.shutdown()
        self._server.server_close()
