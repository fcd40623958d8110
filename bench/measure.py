"""How a command is measured: whole processes, from cold, their time and their memory."""

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Measured:
    """One run of a command.

    Attributes:
        seconds: Wall time of the whole process.
        cpu_s: Time on a processor, of it and of its children.
        answer: What it printed on its last line, read as JSON; None if it did not get so far.
        driver_mib: Peak memory of the process itself.
        tree_mib: Peak memory of it and its children together, shared pages counted once.
        said: The end of what it printed on stderr.
    """

    seconds: float
    cpu_s: float
    answer: dict | None
    driver_mib: float
    tree_mib: float
    said: str


def run(*command: str, timeout_s: float = 120, watch_memory: bool = False) -> Measured:
    """Return what a Python script of this folder took, in an empty working directory."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SCYTHE_", "PYTHONDONTWRITE"))}
    env |= {"SCYTHE_SLOTS": "2", "PYTHONPATH": str(HERE), "RAY_USAGE_STATS_ENABLED": "0"}
    # parsl starts programs of its own by their names
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, str(HERE / command[0]), *command[1:]],
            cwd=folder,
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        peak = [0.0]
        if watch_memory:
            threading.Thread(target=_watch, args=(process, peak), daemon=True).start()
        timer = threading.Timer(timeout_s, _end, (process,))
        timer.start()
        _, _, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        timer.cancel()
        process.returncode = 0
        _end(process)
        out.seek(0)
        said = out.read().decode(errors="replace")
    answer = None
    for line in reversed(said.splitlines()):
        if line.startswith("{"):
            answer = json.loads(line)
            break
    cpu_s = usage.ru_utime + usage.ru_stime
    return Measured(seconds, cpu_s, answer, usage.ru_maxrss / 1024, peak[0], said[-2000:])


def _end(process: subprocess.Popen) -> None:
    """Kill what a script leaves behind (a pool that hangs)."""
    try:
        os.killpg(process.pid, 9)
    except (ProcessLookupError, PermissionError):
        return


def _watch(process: subprocess.Popen, peak: list[float]) -> None:
    try:
        parent = psutil.Process(process.pid)
        while True:
            total = 0
            for each in [parent, *parent.children(recursive=True)]:
                try:
                    total += each.memory_full_info().pss
                except psutil.Error:
                    continue
            peak[0] = max(peak[0], total / 2**20)
            time.sleep(0.1)
    except psutil.Error:
        return


def median(found: list[Measured]) -> float:
    """Return the middle of the times."""
    return statistics.median(m.seconds for m in found)


def head(title: str) -> None:
    """Print what is measured, where, and how busy the machine is."""
    load = os.getloadavg()[0]
    print(
        f"\n## {title}\n{os.cpu_count()} cores, Python {platform.python_version()}, load {load:.1f}"
    )


def verdict(what: str, value: float, bound: float, unit: str = "x") -> bool:
    """Print whether a bound is kept, and return it."""
    met = value <= bound
    print(
        f"{'met    ' if met else 'not met'}  {what}: {value:.2f} {unit} (at most {bound:g} {unit})"
    )
    return met


def own_memory_mib() -> float:
    """Return the peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
