"""The `scythe` command line: options in, messages and exit code out."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from scythe_runtime.errors import BaseNotFoundError, ScytheError, StoreError, UsageError

if TYPE_CHECKING:
    from scythe_runtime.experiments import ExperimentRun
    from scythe_runtime.refs import BatchRef

app = typer.Typer(
    name="scythe",
    help="Run experiments, and read what came of them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

FAILURES: Final = 1
MISTAKE: Final = 2
INTERRUPTED: Final = 130

Run = Annotated[
    str,
    typer.Argument(help="A run's id, or its beginning: office, office/v1.2.0 (the latest run)."),
]


def main() -> None:
    """Run the command line; a user's mistake is one message and exit code 2."""
    try:
        app(standalone_mode=True)
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
    except (UsageError, BaseNotFoundError) as error:
        print(error, file=sys.stderr)
        sys.exit(MISTAKE)
    except ScytheError as error:
        print(error, file=sys.stderr)
        sys.exit(FAILURES)


@app.command()
def run(
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
    from scythe_runtime.versions import STRATEGIES, SemVer

    check_derived(repo_root())
    project = open_project()
    design = project.sample(n, seed)
    if n == 1:
        _run_here(project, design)
        return
    wanted: Any = version
    if version not in STRATEGIES:
        try:
            wanted = SemVer.FromString(version)
        except ValueError as error:
            raise UsageError(f"--version: {error} Or one of {', '.join(STRATEGIES)}.") from None
    experiment: BaseExperiment[Any, Any] = BaseExperiment(
        runnable=project.experiment, run_name=project.name
    )
    experiment_run, ref = experiment.allocate(
        design,
        version=wanted,
        max_failures=_budget(max_failures),
        batch_size=batch_size if batch_size is not None else "auto",
        sampling={"n": n, "seed": seed},
    )
    print(f"run {experiment_run.experiment_id}")
    _follow(experiment_run, cast("BatchRef", ref))


def _run_here(project: Any, design: Any) -> None:
    """Run one sample in this process; what its function raises is shown in full."""
    import os

    from scythe_runtime.output import check_output

    experiment = project.experiment
    keys = {
        n: str(f.validation_alias or f.alias or n)
        for n, f in experiment.input_validator_type.model_fields.items()
    }
    values = {keys.get(k, k): v for k, v in design.slice(0, 1).to_pylist()[0].items()}
    os.chdir(project.root)  # relative paths are the repository's
    spec = experiment.input_validator_type.model_validate(values)
    print(_lines("input", spec, experiment.input_validator_type))
    result = experiment(spec)
    check_output(result)  # what a slot would refuse is refused here
    _show_result(result, experiment.output_validator_type)
    print("\nOne sample ran here; nothing was stored. Next: scythe run -n 100")


def _show_result(result: Any, kind: Any) -> None:
    print(_lines("output", result, kind))
    for name, frame in result.dataframes.items():
        print(f"\n{name}\n{frame}")


def _lines(title: str, value: Any, kind: Any) -> str:
    from scythe_runtime.reserved import BASE_INPUT_FIELDS, BASE_OUTPUT_FIELDS

    names = [n for n in kind.model_fields if n not in BASE_INPUT_FIELDS | BASE_OUTPUT_FIELDS]
    width = max((len(n) for n in names), default=0)
    return "\n".join([title, *(f"  {n:<{width}}  {getattr(value, n)}" for n in names)])


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

    sys.stdout.flush()
    try:
        result = ref.result(progress=True)
    except RunInterrupted as stop:
        print(stop, file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    print(result)
    if result.succeeded:
        print(_preview(experiment_run))
    run_id = experiment_run.experiment_id
    print(f"\nTake the tables:  scythe results {run_id} --to results")
    if result.failed:
        print(f"See failures:     scythe errors {run_id}")
        print(f"Run them again:   scythe retry {run_id}")
    if result.pending:
        print(f"Go on:            scythe resume {run_id}")
    if result.failed or result.pending:
        raise typer.Exit(FAILURES)


def _preview(experiment_run: "ExperimentRun[Any, Any]", rows: int = 5) -> str:
    width = shutil.get_terminal_size((100, 24)).columns
    return experiment_run.results.preview(rows=rows, width=width)


@app.command()
def runs(
    experiment: Annotated[str | None, typer.Argument(help="Only this experiment's runs.")] = None,
) -> None:
    """List the runs, the newest last."""
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
        early = manifest.cause and manifest.cause.partition("\n")[0][:40]
        state = f"{manifest.state} ({early})" if early else manifest.state
        table.add_row(run_id, state, *numbers, took)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command()
def status(
    run: Run,
    follow: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--follow", "-f", help="Show how it goes on, until it ends.")
    ] = False,
) -> None:
    """Show how far a run is."""
    from scythe_runtime.runs import open_run

    found = open_run(run)
    if follow:
        _show_progress(found)
    manifest = found.manifest
    ledger = found.ledger()
    print(f"run {found.experiment_id}: {manifest.state}")
    print(
        f"{ledger.num_specs:,} specs: {ledger.num_done - ledger.num_failed:,} succeeded, "
        f"{ledger.num_failed:,} failed, {ledger.num_specs - ledger.num_done:,} pending"
    )
    if manifest.cause:
        print(f"because: {manifest.cause}")
    if ledger.num_specs > ledger.num_done:
        print(f"If it is not going any more: scythe resume {found.experiment_id}")


def _show_progress(found: "ExperimentRun[Any, Any]") -> None:
    """Show a line that is redrawn on a terminal, and a line a look elsewhere."""
    from rich.console import Console
    from rich.live import Live

    from scythe_runtime.follow import follow
    from scythe_runtime.progress import progress_line

    console = Console(stderr=True)
    if not console.is_terminal:
        for progress in follow(found):
            print(progress_line(progress, width=100), file=sys.stderr, flush=True)
        return
    with Live(console=console, auto_refresh=False) as live:
        for progress in follow(found):
            live.update(progress_line(progress, width=console.width), refresh=True)


@app.command()
def results(
    run: Run,
    to: Annotated[
        Path | None, typer.Option(help="Copy the tables and files into this folder.")
    ] = None,
    rows: Annotated[int, typer.Option("-n", help="Rows to show.")] = 10,
) -> None:
    """Show a run's results, or bring them here."""
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
        try:
            brought = _download(found, to)
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
            f"Open the table in Python: pandas.read_parquet({str(to / 'final' / 'scalars.pq')!r})"
        )
        return
    print(_preview(found, rows))
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


@app.command()
def errors(
    run: Run,
    row: Annotated[int | None, typer.Option(help="Show this row's inputs and traceback.")] = None,
) -> None:
    """Show what failed in a run, equal failures as one line."""
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
    print(describe_failures(groups, found.experiment_id))
    if groups[0].traceback:
        print(f"\nThe most frequent one, as row {groups[0].row} shows it:\n\n{groups[0].traceback}")
    print(f"One row with its inputs: scythe errors {found.experiment_id} --row {groups[0].row}")
    print(f"Run them again:          scythe retry {found.experiment_id}")
    raise typer.Exit(FAILURES)


@app.command()
def resume(run: Run) -> None:
    """Run what has no outcome yet."""
    from scythe_runtime.runs import open_run

    found = open_run(run)
    print(f"run {found.experiment_id}")
    _follow(found, found.resume())


@app.command()
def retry(run: Run) -> None:
    """Run what failed once more."""
    from scythe_runtime.runs import open_run

    found = open_run(run)
    print(f"run {found.experiment_id}")
    _follow(found, found.retry_failed())


@app.command()
def check(run: Run) -> None:
    """Check that a run is whole: every spec has one outcome, no file is missing or damaged."""
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


@app.command()
def replay(
    run: Run,
    row: Annotated[int, typer.Argument(help="The row, by its sort_index.")],
    debug: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--debug", help="Stop in the debugger where it raises.")
    ] = False,
) -> None:
    """Run one row of a run here, in this process, with a full traceback; nothing is stored."""
    import pdb  # noqa: T100 - that is what --debug asks for
    import traceback

    from scythe_runtime.layout import RunLayout
    from scythe_runtime.output import check_output
    from scythe_runtime.replay import spec_of_run
    from scythe_runtime.runs import open_run

    found = open_run(run)
    experiment = found.versioned_experiment.base_experiment.experiment_here()
    spec = spec_of_run(found.store, RunLayout(found.experiment_id), experiment, row)
    print(f"run {found.experiment_id}, row {row}")
    print(_lines("input", spec, experiment.input_validator_type), flush=True)
    try:
        result = experiment(spec)
        check_output(result)
    except Exception as error:  # noqa: BLE001 - the user's function may raise anything
        traceback.print_exc()
        if debug:
            pdb.post_mortem(error.__traceback__)
        raise typer.Exit(FAILURES) from None
    _show_result(result, experiment.output_validator_type)


@app.command()
def worker(
    embedded: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--embedded", help="Start a Hatchet for this worker, on this machine.")
    ] = False,
) -> None:
    """Serve runs that others allocate by Hatchet, until a signal comes."""
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


@app.command()
def doctor() -> None:
    """Check what a run needs: settings, store, repository, slots."""
    from scythe_runtime.doctor import examine

    marks = {True: "ok  ", False: "BAD ", None: "note"}
    bad = False
    for finding in examine():
        bad |= finding.ok is False
        print(f"{marks[finding.ok]}  {finding.name}: {finding.text}", flush=True)
    if bad:
        raise typer.Exit(FAILURES)
