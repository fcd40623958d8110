"""The `scythe` command line: options in, messages and exit code out. One module a kind of command."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, Final

import typer

from scythe_runtime.cli.here import replay
from scythe_runtime.cli.machine import doctor, worker
from scythe_runtime.cli.options import FAILURES, INTERRUPTED, MISTAKE
from scythe_runtime.cli.reading import check, errors, results, runs, status
from scythe_runtime.cli.running import cancel, resume, retry, run
from scythe_runtime.errors import BaseNotFoundError, ScytheError, UsageError

__all__ = ["app", "main"]

_COMMANDS: Final[tuple[Callable[..., Any], ...]] = (
    *(run, runs, status, results, errors),
    *(resume, retry, cancel, replay, check, doctor, worker),
)

app = typer.Typer(
    name="scythe",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help, as scythe-gen's
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


def _interruptible(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command that says so when Ctrl-C ends it; typer would exit without a word."""

    @wraps(command)
    def told(*arguments: Any, **options: Any) -> Any:
        try:
            return command(*arguments, **options)
        except KeyboardInterrupt as stop:
            print(str(stop) or "interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None

    return told


for command in _COMMANDS:
    # `run` says itself what is wrong with `scythe run 100`
    app.command(context_settings={"allow_extra_args": command is run})(_interruptible(command))


def _show_version(asked: bool) -> None:  # noqa: FBT001 - typer's call
    if asked:
        from importlib.metadata import version

        print(f"scythe {version('scythe-gen')}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[  # noqa: FBT002 - an option of the command line
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Run experiments, and read what came of them."""


def main() -> None:
    """Run the command line; a user's mistake is one message and exit code 2."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # in a pipe too, stderr's lines stand in their place
    try:
        app(standalone_mode=True)
    except (UsageError, BaseNotFoundError) as error:
        print(error, file=sys.stderr)
        sys.exit(MISTAKE)
    except ScytheError as error:
        print(error, file=sys.stderr)
        sys.exit(FAILURES)
