"""A worker that is given an experiment and a workflow when it starts, and has nothing registered before."""

import os

from hatchet_sdk import Context, EmptyModel

from scythe_runtime.hatchet import hatchet
from scythe_runtime.worker import ScytheWorkerConfig

if __name__ == "__main__":
    extra = hatchet.workflow(name="extra")

    @extra.task()
    def hello(_input: EmptyModel, _ctx: Context) -> dict[str, int]:
        """Return where this runs."""
        return {"pid": os.getpid()}

    import plot.odd

    ScytheWorkerConfig().start(experiments=[plot.odd.nap], additional_workflows=[extra])
