"""A worker of this repository."""

import plot.task  # noqa: F401 - registers the experiments

from scythe_runtime.worker import ScytheWorkerConfig

if __name__ == "__main__":
    ScytheWorkerConfig().start()
