"""200 specs of 100 ms on two slots: the share of the slots' time, from canary to the last part, that is user code."""

import json

from work import SLOTS, Trial, last

from scythe_runtime import BaseExperiment
from scythe_runtime.outcomes import from_ipc

N, SECONDS = 200, 0.1


def main() -> None:
    """Print the share."""
    run, ref = BaseExperiment(runnable=last, run_name="real").allocate(
        [Trial(k=k, seconds=SECONDS) for k in range(N)]
    )
    assert ref.result(progress=False).succeeded == N
    parts = [part for part in run.ledger().parts if part.plan.kind == "main"]
    paths = [run.store.local_path(part.key) for part in parts]
    busy = sum(sum(from_ipc(path).column("seconds").to_pylist()) for path in paths if path)
    first = min(
        p.stat().st_mtime - sum(from_ipc(p).column("seconds").to_pylist()) for p in paths if p
    )
    wall = max(p.stat().st_mtime for p in paths if p) - first
    print(json.dumps({"share": busy / (SLOTS * wall)}))


if __name__ == "__main__":
    main()
