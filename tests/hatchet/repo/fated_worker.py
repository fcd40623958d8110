"""A worker that serves what the conformance tests of engines run."""

import plot.fated  # noqa: F401 - registers the experiment

from scythe_runtime.worker import ScytheWorkerConfig

if __name__ == "__main__":
    ScytheWorkerConfig().start()
