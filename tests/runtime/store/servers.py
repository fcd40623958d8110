"""Real S3 servers, each a process of its own, from the package index."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from functools import cache
from pathlib import Path
from typing import Any

import boto3

KEY_ID = "AKIATESTTESTTEST"
SECRET = "very-secret-key"
MOTO_PAGE_SIZE = 100

_BESIDE_PYTHON = Path(sys.executable).parent


class Server:
    """A server that has been started.

    Attributes:
        name: moto, localbucket or rclone.
        url: Its endpoint.
        folder: Where it keeps buckets, if it does so in files.
    """

    def __init__(self, name: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        self.name = name
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Start it, also again after `kill`, and wait until it listens."""
        environment = {
            **os.environ,
            "PYTHONWARNINGS": "ignore",
            "MOTO_S3_DEFAULT_MAX_KEYS": str(MOTO_PAGE_SIZE),
        }
        with (self.folder.with_suffix(".log")).open("ab") as log:
            command = _command(self.name, self._port, self.folder)
            self._process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 60
        while not _listens(self._port):
            assert self._process.poll() is None, f"{self.name} ended"
            assert time.monotonic() < deadline, f"{self.name} did not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it without a warning."""
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """End it and remove what it kept."""
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.with_suffix(".log").unlink(missing_ok=True)


@cache
def started(name: str) -> Server:
    """Return moto's, localbucket's or rclone's server, one of each a test process."""
    return Server(name)


def new_bucket(endpoint: str) -> str:
    """Return the name of a new bucket at an endpoint."""
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    _client(endpoint).create_bucket(Bucket=name)
    return name


@cache
def _client(endpoint: str) -> Any:
    keys = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET}
    return boto3.session.Session(**keys, region_name="us-east-1").client(
        "s3", endpoint_url=endpoint
    )


def _command(name: str, port: int, folder: Path) -> list[str]:
    if name == "moto":
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    if name == "localbucket":
        return [str(_BESIDE_PYTHON / "localbucket"), "--port", str(port), str(folder)]
    return [
        *(str(_BESIDE_PYTHON / "rclone"), "serve", "s3"),
        *("--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY_ID},{SECRET}"),
        *("--config", os.devnull, str(folder)),
    ]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
