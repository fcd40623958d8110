"""Commands that read runs: `runs`, `status`, `results`, `errors`, `check`."""

import sys
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scythe_runtime.cli.options import FAILURES, Run
from scythe_runtime.cli.show import preview
from scythe_runtime.errors import StoreError, UsageError
from scythe_runtime.layout import RunLayout

if TYPE_CHECKING:
    from scythe_runtime.experiments import ExperimentRun


def runs(
    experiment: Annotated[str | None, typer.Argument(help="Only this experiment's runs.")] = None,
) -> None:
    """List the runs, the newest last.

    For instance: scythe runs
    """
    from rich.console import Console
    from rich.table import Table

    from scythe_runtime.progress import seconds_text
    from scythe_runtime.runs import list_runs

    found = list_runs(experiment=experiment)
    if not found:
        print("There are no runs yet. Make one: scythe run -n 100")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "state"):
        table.add_column(heading, no_wrap=True)
    for heading in ("specs", "failed", "pending", "took"):
        table.add_column(heading, justify="right")
    for run_id, manifest in found:
        counts = manifest.counts
        numbers = (
            [f"{x:,}" for x in (counts.specs, counts.failed, counts.pending)]
            if counts
            else ["?"] * 3
        )
        took = seconds_text(manifest.seconds) if manifest.seconds is not None else ""
        early = manifest.cause and shorten(manifest.cause, 50, placeholder=" ...")
        state = f"{manifest.state} ({early})" if early else manifest.state
        table.add_row(run_id, state, *numbers, took)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def status(
    run: Run,
    follow: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--follow", "-f", help="Show how it goes on, until it ends.")
    ] = False,
    times: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--times", "-t", help="Show where its time went.")
    ] = False,
) -> None:
    """Show how far a run is.

    For instance: scythe status office --follow
    """
    from scythe_runtime.follow import workers_of_run
    from scythe_runtime.runs import open_run

    found = open_run(run)
    if follow:
        try:
            _show_progress(found)
        except KeyboardInterrupt:
            how = f"Come back with: scythe status {found.experiment_id} --follow"
            raise KeyboardInterrupt(
                f"not following any more, which does not end the run. {how}"
            ) from None
    manifest = found.manifest
    ledger = found.ledger()
    print(f"run {found.experiment_id}: {manifest.state}")
    print(
        f"{ledger.num_specs:,} specs: {ledger.num_done - ledger.num_failed:,} succeeded, "
        f"{ledger.num_failed:,} failed, {ledger.num_specs - ledger.num_done:,} pending"
    )
    if manifest.cause:
        print(f"because: {manifest.cause}")
    if times:
        from scythe_runtime.times import describe_times, spec_times

        layout = RunLayout(found.experiment_id)
        for line in describe_times(spec_times(found.store, layout, ledger), manifest):
            print(line)
    if ledger.num_specs > ledger.num_done:
        for line in workers_of_run(found):
            print(line)
        print(f"If it is not going any more: scythe resume {found.experiment_id}")


def _show_progress(found: "ExperimentRun[Any, Any]") -> None:
    """Show a line that is redrawn on a terminal, and a line a look elsewhere."""
    from rich.console import Console
    from rich.live import Live

    from scythe_runtime.follow import follow
    from scythe_runtime.progress import progress_line

    console = Console(stderr=True)
    if not console.is_terminal:
        for progress in follow(found, say=lambda line: print(line, file=sys.stderr, flush=True)):
            print(progress_line(progress, width=100), file=sys.stderr, flush=True)
        return
    with Live(console=console, auto_refresh=False) as live:
        for progress in follow(found, say=live.console.print):
            live.update(progress_line(progress, width=console.width), refresh=True)


def results(
    run: Run,
    to: Annotated[
        Path | None,
        typer.Option(help="Copy the tables and files into this folder, below the run's id."),
    ] = None,
    rows: Annotated[int, typer.Option("-n", help="Rows to show.")] = 10,
) -> None:
    """Show a run's results, or bring them here.

    For instance: scythe results office --to results
    """
    from scythe_runtime.runs import open_run

    found = open_run(run)
    print(f"run {found.experiment_id}")
    ledger = found.ledger()
    pending = ledger.num_specs - ledger.num_done
    if pending or ledger.num_failed:
        print(
            f"{ledger.num_done - ledger.num_failed:,} of {ledger.num_specs:,} specs have a result; "
            f"{ledger.num_failed:,} failed, {pending:,} are pending"
        )
    if to is not None:
        folder = to / found.experiment_id  # two runs never share one
        try:
            brought = _download(found, folder)
        except (NotADirectoryError, FileExistsError, PermissionError, FileNotFoundError) as error:
            if isinstance(error, StoreError):
                raise
            raise UsageError(
                f"--to {to}: {error.strerror or error}. Name another folder."
            ) from None
        for path in brought[:10]:
            print(f"  {path}")
        if len(brought) > 10:  # noqa: PLR2004
            print(f"  … {len(brought):,} files in all")
        print(
            f"Open the table in Python: pandas.read_parquet({str(folder / 'final' / 'scalars.pq')!r})"
        )
        return
    print(preview(found, rows))
    for name, uri in found.results.uris().items():
        print(f"{name}: {uri}")


def _download(found: "ExperimentRun[Any, Any]", to: Path) -> list[Path]:
    """Bring a run's files here, with a line that tells how far that is where somebody may watch."""

    def show(done: int, total: int) -> None:
        print(f"\r{done / 1e6:,.1f} of {total / 1e6:,.1f} MB", end="", file=sys.stderr, flush=True)

    if not sys.stderr.isatty():
        return found.results.download(to)
    brought = found.results.download(to, progress=show)
    print(file=sys.stderr)
    return brought


def errors(
    run: Run,
    row: Annotated[int | None, typer.Option(help="Show this row's inputs and traceback.")] = None,
) -> None:
    """Show what failed in a run, equal failures as one line.

    For instance: scythe errors office
    """
    from scythe_runtime.refs import describe_failures
    from scythe_runtime.runs import open_run

    found = open_run(run)
    if row is not None:
        frame = found.errors()
        match = frame[frame["sort_index"] == row]
        if match.empty:
            raise UsageError(f"run {found.experiment_id}: row {row} is not among its failures")
        for name, value in match.iloc[0].items():
            print(f"{name}:\n{value}" if name == "traceback" else f"{name}: {value}")
        return
    groups = found.results.error_groups()
    if not groups:
        print(f"run {found.experiment_id}: nothing failed")
        return
    print(describe_failures(groups))
    if groups[0].traceback:
        print(f"\nThe most frequent one, as row {groups[0].row} shows it:\n\n{groups[0].traceback}")
    run_id, first = found.experiment_id, groups[0].row
    print(f"One row with its inputs:  scythe errors {run_id} --row {first}")
    print(f"Run it here, for a look:  scythe replay {run_id} {first} --debug")
    print(f"Run all of them again:    scythe retry {run_id}")
    raise typer.Exit(FAILURES)


def check(run: Run) -> None:
    """Check that every spec has one outcome and no file is damaged.

    For instance: scythe check office
    """
    from scythe_runtime.runs import open_run

    found = open_run(run)
    report = found.check()
    print(
        f"run {found.experiment_id}: {report.specs:,} specs, {report.succeeded:,} results, "
        f"{report.failed:,} failures, {report.pending:,} pending"
    )
    for problem in report.problems:
        print(problem)
    if report.pending and not report.problems:
        print(
            f"nothing is damaged, but it is not finished. Go on: scythe resume {found.experiment_id}"
        )
    if not report.ok:
        raise typer.Exit(FAILURES)
    print("whole")
