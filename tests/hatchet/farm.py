"""An experiment repository on real servers: its workers and who allocates are processes of their own."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path
from typing import IO

import pytest
from servers import Hatchet, Process, S3Server, poll

HERE = Path(__file__).parent


class Farm:
    """An experiment repository with its own bucket, its workers, and processes that allocate.

    Attributes:
        env: The environment of its processes.
        folder: The repository.
        command: What starts Python.
    """

    def __init__(self, folder: Path, engine: Hatchet, s3: S3Server) -> None:
        self.engine, self.s3 = engine, s3
        self.folder = folder / "repo"
        self.command = [sys.executable]
        shutil.copytree(HERE / "repo", self.folder)
        # code of its own: workers of another test's farm on the same engine take none of its tasks
        (self.folder / "plot" / "farm.py").write_text(f"# {uuid.uuid4()}\n")
        self.bucket = s3.new_bucket()
        self._folder = folder
        self._workers: list[Process] = []
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("SCYTHE_", "HATCHET_", "AWS_")) or k.startswith("SCYTHE_TEST_")
        }
        self.env = {
            **kept,
            **engine.env,
            **s3.env(self.bucket),
            "SCYTHE_ENGINE": "hatchet",
            "SCYTHE_SLOTS": "2",
            "HOME": str(folder),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }

    def worker(self, *, wait: bool = True, script: str = "worker.py", **env: str) -> Process:
        """Start a worker, and return when it serves."""
        log = self._folder / f"worker-{len(self._workers)}.log"
        command = [*self.command, str(self.folder / script)]
        process = Process(command, log=log, env={**self.env, **env}, cwd=self.folder)
        self._workers.append(process)
        if wait:
            poll(lambda: self._serves(process), within_s=40, what="the worker serves")
        return process

    def kill(self, worker: Process) -> None:
        """Kill a worker, and let the engine find it dead at once: by itself it takes half a minute."""
        worker.stop(signal.SIGKILL)
        self.engine.forget_heartbeats(worker.popen.pid)

    def _serves(self, process: Process) -> bool:
        text = process.log.read_text()
        assert process.popen.poll() is None, text
        return " serves " in text

    def python(
        self, code: str, *, err: IO[str] | int = subprocess.PIPE, **env: str
    ) -> "subprocess.Popen[str]":
        """Start a Python process in the repository that runs some lines."""
        return subprocess.Popen(
            [*self.command, "-c", textwrap.dedent(code)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            cwd=self.folder,
            env={**self.env, **env},
        )

    def run(self, code: str, *, within_s: float = 90, **env: str) -> str:
        """Run some lines of Python to their end and return what they print."""
        process = self.python(code, **env)
        out, err = process.communicate(timeout=within_s)
        assert process.returncode == 0, f"{out}\n{err}\n{self.logs()}"
        return out

    def store_env(self) -> "pytest.MonkeyPatch":
        """Return a patch that lets this process read the farm's runs; undo it."""
        patch = pytest.MonkeyPatch()
        for name in [n for n in os.environ if n.startswith(("AWS_", "SCYTHE_"))]:
            patch.delenv(name)
        for name, value in self.env.items():
            if name.startswith(("AWS_", "SCYTHE_")):
                patch.setenv(name, value)
        return patch

    def logs(self, *, whole: bool = False) -> str:
        """Return what the workers have printed, or how it ends."""
        start = 0 if whole else -4000
        return "\n".join(f"--- {w.log.name}\n{w.log.read_text()[start:]}" for w in self._workers)

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.stop(signal.SIGKILL)
