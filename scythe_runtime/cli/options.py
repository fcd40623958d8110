"""What several commands share: the argument RUN, and the exit codes."""

from typing import Annotated, Final

import typer

FAILURES: Final = 1
MISTAKE: Final = 2
INTERRUPTED: Final = 130

Run = Annotated[
    str,
    typer.Argument(help="A run's id, or its beginning: office, office/v1.2.0 (the latest run)."),
]
