"""Commands that run many samples, or end that: `run`, `resume`, `retry`, `cancel`."""

import sys
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from scythe_runtime.cli.options import FAILURES, INTERRUPTED, Run
from scythe_runtime.cli.show import preview
from scythe_runtime.errors import UsageError

if TYPE_CHECKING:
    from scythe_runtime.experiments import ExperimentRun
    from scythe_runtime.refs import BatchRef


def run(
    context: typer.Context,
    *,
    n: Annotated[
        int | None,
        typer.Option(
            "-n", help="Samples; by default as io.yaml says. 1 runs one here, in this process."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the design.")] = None,
    version: Annotated[
        str, typer.Option(help="auto, keep, bumppatch, bumpminor, bumpmajor, or a version: v1.2.3.")
    ] = "auto",
    max_failures: Annotated[
        str | None, typer.Option(help="Pause when more have failed than this count, or share: 5%.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Samples a batch; by default as they last.")
    ] = None,
) -> None:
    """Sample, run every sample, and write the results.

    For instance: scythe run -n 1000
    """
    from scythe_runtime.derived import check_derived
    from scythe_runtime.experiments import BaseExperiment
    from scythe_runtime.project import open_project
    from scythe_runtime.settings import repo_root
    from scythe_runtime.versions import wanted_version

    if context.args:
        raise UsageError(_stray(context.args))
    wanted, budget = wanted_version(version), _budget(max_failures)
    check_derived(repo_root())
    project = open_project()
    design = project.sample(n, seed)
    if n == 1:
        from scythe_runtime.cli.here import run_here

        run_here(project, design)
        return
    experiment: BaseExperiment[Any, Any] = BaseExperiment(
        runnable=project.experiment, run_name=project.name
    )
    experiment_run, ref = experiment.allocate(
        design,
        version=wanted,
        max_failures=budget,
        batch_size=batch_size if batch_size is not None else "auto",
        sampling={"n": n, "seed": seed},
    )
    print(f"run {experiment_run.experiment_id}")
    _follow(experiment_run, cast("BatchRef", ref))


def resume(run: Run) -> None:
    """Run what has no outcome yet.

    For instance, after Ctrl-C: scythe resume office
    """
    from scythe_runtime.project import import_modules
    from scythe_runtime.runs import open_run

    import_modules()  # what is wrong with the code is told as such
    found = open_run(run)
    print(f"run {found.experiment_id}")
    _follow(found, found.resume())


def retry(run: Run) -> None:
    """Run what failed once more.

    For instance, after mending the task: scythe retry office
    """
    from scythe_runtime.project import import_modules
    from scythe_runtime.runs import open_run

    import_modules()
    found = open_run(run)
    print(f"run {found.experiment_id}")
    _follow(found, found.retry_failed())


def cancel(run: Run) -> None:
    """End a run that is under way; what it has computed stays.

    For instance: scythe cancel office
    """
    from scythe_runtime.cancel import cancel as end
    from scythe_runtime.runs import open_run

    found = open_run(run)
    run_id = found.experiment_id
    print(f"ending run {run_id} …", file=sys.stderr)
    end(found)
    ledger = found.ledger()
    pending = ledger.num_specs - ledger.num_done
    print(f"run {run_id}: {ledger.num_done:,} of {ledger.num_specs:,} specs have an outcome")
    print(f"What there is:  scythe results {run_id}")
    if pending:
        print(f"Go on:          scythe resume {run_id}")


def _stray(words: list[str]) -> str:
    """Return what may have been meant by words that belong to no option."""
    said = " ".join(words)
    n = said if len(words) == 1 and said.isdecimal() else "100"
    return (
        f"scythe run {said}: how many samples is an option; the experiment is this repository's. "
        f"Write: scythe run -n {n}"
    )


def _budget(text: str | None) -> float | int | None:
    if text is None:
        return None
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else int(text)
    except ValueError:
        raise UsageError(f"--max-failures {text!r}: write a count (20) or a share (5%)") from None


def _follow(experiment_run: "ExperimentRun[Any, Any]", ref: "BatchRef") -> None:
    """Wait for a run, show what came of it and what to type next, and exit with its code."""
    from scythe_runtime.refs import RunInterrupted

    try:
        result = ref.result(progress=True)
    except RunInterrupted as stop:
        print(stop, file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print(result)
    if result.succeeded:
        print(preview(experiment_run))
    run_id = experiment_run.experiment_id
    print()
    if result.succeeded:
        print(f"Take the tables:  scythe results {run_id} --to results")
    if result.failed:
        print(f"See failures:     scythe errors {run_id}")
        print(f"Run them again:   scythe retry {run_id}")
    if result.pending:
        print(f"Go on:            scythe resume {run_id}")
    if result.failed or result.pending:
        raise typer.Exit(FAILURES)
