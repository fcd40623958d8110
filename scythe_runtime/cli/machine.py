"""Commands about this machine: `worker`, `doctor`."""

from typing import Annotated

import typer

from scythe_runtime.cli.options import FAILURES


def worker(
    embedded: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--embedded", help="Start a Hatchet for this worker, on this machine.")
    ] = False,
) -> None:
    """Serve runs that others allocate by Hatchet, until a signal comes.

    For instance: scythe worker
    """
    from scythe_runtime.project import open_project
    from scythe_runtime.worker import ScytheWorkerConfig

    open_project()
    if embedded:
        from scythe_runtime.hatchet import start_embedded

        print(
            f"{start_embedded()}\n# put these lines into the environment of whoever allocates",
            flush=True,
        )
    ScytheWorkerConfig().start()


def doctor() -> None:
    """Check what a run needs: settings, store, repository, slots.

    For instance: scythe doctor
    """
    from scythe_runtime.doctor import examine

    marks = {True: "ok  ", False: "BAD ", None: "note"}
    bad = False
    for finding in examine():
        bad |= finding.ok is False
        print(f"{marks[finding.ok]}  {finding.name}: {finding.text}", flush=True)
    if bad:
        raise typer.Exit(FAILURES)
