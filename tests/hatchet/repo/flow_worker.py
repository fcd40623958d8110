"""A worker that serves the native workflows of this repository."""

import plot.flow

from scythe_runtime.worker import ScytheWorkerConfig

if __name__ == "__main__":
    ScytheWorkerConfig().start(additional_workflows=[plot.flow.chain])
