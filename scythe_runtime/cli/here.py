"""One sample in this process, where a debugger and a full traceback are: `run -n 1`, `replay`."""

import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from scythe_runtime.cli.options import FAILURES, Run
from scythe_runtime.cli.show import fields, result_text
from scythe_runtime.errors import ScytheError

if TYPE_CHECKING:
    from scythe_runtime.project import Project

_OURS: Final = str(Path(__file__).parents[1])


def run_here(project: "Project", design: Any) -> None:
    """Run one sample in this process; what its function raises is shown in full."""
    from scythe_runtime.output import check_output

    experiment = project.experiment
    keys = {
        n: str(f.validation_alias or f.alias or n)
        for n, f in experiment.input_validator_type.model_fields.items()
    }
    values = {keys.get(k, k): v for k, v in design.slice(0, 1).to_pylist()[0].items()}
    os.chdir(project.root)  # relative paths are the repository's
    spec = experiment.input_validator_type.model_validate(values)
    print(fields("input", spec, experiment.input_validator_type))
    try:
        result = experiment(spec)
        check_output(result)  # what a slot would refuse is refused here
    except ScytheError:
        raise  # its message says all
    except Exception as error:  # noqa: BLE001 - the user's function may raise anything
        print(_traceback(error), end="", file=sys.stderr)
        raise typer.Exit(FAILURES) from None
    print(result_text(result, experiment.output_validator_type))
    print("\nOne sample ran here; nothing was stored. Next: scythe run -n 100")


def replay(
    run: Run,
    row: Annotated[int, typer.Argument(help="The row, by its sort_index.")],
    debug: Annotated[  # noqa: FBT002 - an option of the command line
        bool, typer.Option("--debug", help="Stop in the debugger where it raises.")
    ] = False,
) -> None:
    """Run one row of a run here, with a full traceback.

    In this process, and nothing is stored. For instance: scythe replay office 412
    """
    import pdb  # noqa: T100 - that is what --debug asks for

    from scythe_runtime.layout import RunLayout
    from scythe_runtime.output import check_output
    from scythe_runtime.project import import_modules
    from scythe_runtime.replay import spec_of_run
    from scythe_runtime.runs import open_run

    import_modules()  # what is wrong with the code is told as such
    found = open_run(run)
    experiment = found.versioned_experiment.base_experiment.experiment_here()
    spec = spec_of_run(found.store, RunLayout(found.experiment_id), experiment, row)
    print(f"run {found.experiment_id}, row {row}")
    print(fields("input", spec, experiment.input_validator_type))
    try:
        result = experiment(spec)
        check_output(result)
    except Exception as error:  # noqa: BLE001 - the user's function may raise anything
        print(_traceback(error), end="", file=sys.stderr)
        if debug:
            pdb.post_mortem(error.__traceback__)
        raise typer.Exit(FAILURES) from None
    print(result_text(result, experiment.output_validator_type))


def _traceback(error: Exception) -> str:
    """Return the traceback from the user's function on, without our own frames that lead there."""
    shown = error.__traceback__
    while shown is not None and shown.tb_frame.f_code.co_filename.startswith(_OURS):
        shown = shown.tb_next
    lines = traceback.format_exception(type(error), error, shown or error.__traceback__)
    return "".join(lines)
