"""`resume` of a finished run, and after kill -9 of the leading process at half time.

python resume.py
python resume.py lead N            a run, for the others to kill or to go on with
python resume.py again
"""
# ruff: noqa: PLC0415 - each way imports only what it uses: imports are a part of what is measured

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import HERE, head, verdict

N, SECONDS = 2000, 0.002


def lead(n: int) -> None:
    """Run n specs of 2 ms."""
    from work import Trial, last_long

    from scythe_runtime import BaseExperiment

    specs = [Trial(k=k, seconds=SECONDS) for k in range(n)]
    BaseExperiment(runnable=last_long, run_name="again").allocate(specs)[1].result(progress=False)


def again() -> None:
    """Resume that run; say how long it took and what was missing."""
    import work

    from scythe_runtime import open_run

    assert work.last_long
    run = open_run("again")
    missing = run.ledger().num_specs - run.ledger().num_done
    began = time.perf_counter()
    result = run.resume().result(progress=False)
    assert run.check().ok
    print(json.dumps({"s": time.perf_counter() - began, "missing": missing, "all": result.specs}))


def _python(*command: str, folder: str) -> "subprocess.Popen[str]":
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SCYTHE_", "PYTHONDONTWRITE"))}
    env |= {"SCYTHE_SLOTS": "2", "PYTHONPATH": str(HERE)}
    return subprocess.Popen(
        [sys.executable, str(HERE / "resume.py"), *command],
        cwd=folder,
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def main() -> int:
    """Print both; 1 if a bound is not met."""
    head(f"resume: a finished run of {N}, and one that was killed at half time")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        _python("lead", str(N), folder=folder).communicate()
        said, _ = _python("again", folder=folder).communicate()
        whole = json.loads(said)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        leading = _python("lead", str(N), folder=folder)
        while _committed(folder) < N // 2 and leading.poll() is None:
            time.sleep(0.005)
        leading.send_signal(signal.SIGKILL)
        leading.communicate()
        committed = _committed(folder)
        said, _ = _python("again", folder=folder).communicate()
        killed = json.loads(said)
    print(
        f"killed: {committed} of {N} committed, {killed['missing']} run again or for the first time"
    )
    met = [
        verdict("resume of a finished run", whole["s"], 0.5, "s"),
        verdict("specs run by it", whole["missing"], 0, "specs"),
        verdict(
            "run after the kill beyond what was missing", killed["missing"] - (N - committed), 0
        ),
    ]
    return 0 if all(met) else 1


def _committed(folder: str) -> int:
    """Return how many specs have an outcome, by the names of the parts."""
    names = (path.name for path in Path(folder).glob("runs/**/output/*/*.arrow"))
    return sum(int(name.split("-")[1].split("_")[0]) for name in names)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["lead", n]:
            lead(int(n))
        case ["again"]:
            again()
        case _:
            sys.exit(main())
