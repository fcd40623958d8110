"""What it costs to import the runtime, to ask for help, and how much of a run of real work is the user's.

python imports.py
"""

import subprocess
import sys
import time
from pathlib import Path

from measure import head, run, verdict

HEAVY = ("boto3", "hatchet_sdk", "pandas", "copier", "scipy", "rich")


def seconds(*command: str, repeats: int = 5) -> float:
    """Return the shortest time of a command."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> int:
    """Print figures; 1 if a bound is not met."""
    head("imports, help, and overhead on real work")
    code = f"import sys, scythe_runtime; print([m for m in {HEAVY} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
    print(f"of {', '.join(HEAVY)} an import loads: {loaded}")
    here = Path(sys.executable).parent
    found = run("real_work.py")
    assert found.answer is not None, found.said
    met = [
        loaded == "[]",
        verdict(
            "import scythe_runtime",
            seconds(sys.executable, "-c", "import scythe_runtime"),
            0.3,
            "s",
        ),
        verdict("scythe-gen --help", seconds(str(here / "scythe-gen"), "--help"), 0.4, "s"),
        verdict("100 ms specs, 2 slots: not user code", 100 * (1 - found.answer["share"]), 2, "%"),
    ]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
