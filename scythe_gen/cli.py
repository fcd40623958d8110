"""The `scythe-gen` command line: options in, messages and exit code out."""

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from scythe_gen.errors import GenError

if TYPE_CHECKING:
    from scythe_gen.errors import Problem
    from scythe_gen.schema import IOModel

app = typer.Typer(
    name="scythe-gen",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help, in half the time
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

DRIFT: Final = 1
CONFLICTS: Final = 1
MISTAKE: Final = 2
INTERRUPTED: Final = 130

Repository = Annotated[
    Path, typer.Argument(metavar="[DIR]", help="The repository; by default the working directory.")
]
Definition = Annotated[Path, typer.Argument(metavar="FILE", help="The definition, io.yaml.")]


def _examples() -> list[str]:
    """Return the names of the examples, for the shell's completion too."""
    from scythe_gen.resources import examples

    return examples()


def _show_version(asked: bool) -> None:  # noqa: FBT001 - typer's call
    if asked:
        from scythe_gen.version import tool_version

        print(f"scythe-gen {tool_version()}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[  # noqa: FBT002 - an option of the command line
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """From a definition of inputs and outputs (io.yaml) to an experiment repository."""


def main() -> None:
    """Run the command line; a user's mistake is one message and exit code 2, Ctrl-C is typer's 130."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # in a pipe too, stderr's lines stand in their place
    try:
        app()
    except GenError as error:
        print(error, file=sys.stderr)
        sys.exit(MISTAKE)


@app.command()
def new(
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Where; not there yet, or empty.")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The definition, io.yaml.")
    ] = None,
    example: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="An example with a real task, such as room.",
            autocompletion=_examples,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="What it is called; by default as its folder.")
    ] = None,
) -> None:
    """Make an experiment repository, with its first commit. Without arguments, it asks.

    For instance: scythe-gen new office --schema io.yaml
    """
    from scythe_gen.new import new_repository

    if folder is None and not (schema or example or name) and sys.stdin.isatty():
        folder, schema, example = _ask()
    if folder is None:
        raise typer.BadParameter(
            "say where: scythe-gen new office --schema io.yaml", param_hint="DIR"
        )
    try:
        names = new_repository(folder, schema=schema, example=example, name=name)
    except KeyboardInterrupt:
        print("interrupted; nothing has been made", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    enter = "" if folder.resolve() == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    print(f"made {names.name}. Install it:")
    print(f"  {enter}python -m venv .venv && . .venv/bin/activate && pip install -e .")
    print("Next:")
    if not example:
        print(f"  $EDITOR {names.package}/task.py")
    print("  scythe run -n 1")
    print("  python allocate.py")
    if example:
        print("  scythe runs")


@app.command()
def generate(folder: Repository = Path()) -> None:
    """Derive again what is derived from io.yaml, nothing else.

    For instance, after a change of io.yaml: scythe-gen generate
    """
    from scythe_gen.changes import changes_since
    from scythe_gen.generate import derived_files, package_of, write_derived
    from scythe_gen.typecheck import broken_lines, mypy_python

    package = package_of(folder)
    model = _read(folder / "io.yaml")
    expected = derived_files(model, package)
    changes = changes_since(folder / package / "_generated", model)
    done = write_derived(folder, expected)
    for change in changes:
        print(change.text)
    for item in done:
        verb = "removed" if item.state == "left over" else "wrote"
        note = (
            " (your edit is gone: it belongs in io.yaml or specs.py)"
            if item.state == "hand-edited"
            else ""
        )
        print(f"{verb} {item.path}{note}")
    print(f"{len(expected)} derived files, {len(done)} changed")
    if done and not mypy_python(folder):
        print(
            "Whether your own lines still fit was not checked: that takes mypy (pip install mypy)."
        )
    elif done:
        print("checking your code with mypy ...", file=sys.stderr)
    if broken := broken_lines(folder, package) if done else []:
        print("Lines of yours that do not type-check now:")
        for line in broken:
            print(f"  {line}")


@app.command()
def check(folder: Repository = Path()) -> None:
    """Exit 1 when derived files are not what io.yaml gives.

    Each is named: hand-edited, stale, missing or left over. For instance in CI: scythe-gen check
    """
    from scythe_gen.generate import derived_files, package_of, read_drift

    package = package_of(folder)
    expected = derived_files(_read(folder / "io.yaml"), package)
    drift = read_drift(folder, expected)
    for item in drift:
        print(f"{item.path}: {item.state}", file=sys.stderr)
    if drift:
        print("Bring them in line with io.yaml: scythe-gen generate", file=sys.stderr)
        raise typer.Exit(DRIFT)
    print(f"{len(expected)} derived files are what io.yaml gives")


@app.command()
def diff(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="io.yaml, or a run's record of it.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The same, later.")],
) -> None:
    """Show what changed between two definitions.

    And what that does to the version. For instance: scythe-gen diff runs/office/v1.0.0/*/experiment_io_spec.yml io.yaml
    """
    from scythe_gen.changes import changes_between
    from scythe_runtime.iodiff import highest

    before, after = _read_all(old, new)
    changes = changes_between(before, after)
    for change in changes:
        print(f"{change.level:5}  {change.text}")
    level = highest(changes)
    print(f"the version's {level} number moves" if level else "no field changed")


@app.command()
def update(folder: Repository = Path()) -> None:
    """Move the scaffold to a newer template, then derive again.

    Exit code 1 when files are in conflict. For instance, after installing a newer scythe-gen: scythe-gen update
    """
    from scythe_gen.update import update_repository

    try:
        done = update_repository(folder)
    except KeyboardInterrupt as stop:
        print(str(stop) or "interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if not done.changes:
        print(f"{folder} is up to date: template {done.after}")
        return
    moved = f"{done.before} -> {done.after}" if done.before != done.after else done.after
    print(f"template {moved}. Changed, not committed:")
    for line in done.changes:
        print(f"  {line}")
    for path in done.conflicts:
        print(f"{path}: in conflict, changed here and in the template", file=sys.stderr)
    for path in done.kept:
        print(f"{path}: kept, edited here and deleted in the template", file=sys.stderr)
    if done.conflicts or done.kept:
        print(
            "Edit what is between <<<<<<< and >>>>>>>, delete what you do not need, then: "
            "scythe-gen generate && git add --all && git commit\nTo undo the update: git restore --staged --worktree . && git clean -d -f .",
            file=sys.stderr,
        )
        raise typer.Exit(CONFLICTS)
    print("Next:")
    print("  git diff")
    print("  pip install -e .      # or uv sync")
    print("  git add --all && git commit --message 'Newer template'")


@app.command()
def validate(
    definition: Definition = Path("io.yaml"),
    style: Annotated[
        Literal["text", "json", "github"], typer.Option("--format", help="How to print problems.")
    ] = "text",
) -> None:
    """Say all that is wrong with a definition, and where.

    For instance: scythe-gen validate io.yaml
    """
    from scythe_gen.errors import DefinitionError, format_problems

    try:
        model = _read(definition)
    except DefinitionError as error:
        print(
            format_problems(error.problems, style),
            file=sys.stderr if style == "text" else sys.stdout,
        )
        raise typer.Exit(MISTAKE) from None
    if style == "json":
        print("[]")
    elif style == "text":
        print(
            f"{definition}: {len(model.inputs)} inputs, {len(model.outputs)} outputs, no problems"
        )


@app.command()
def sample(
    definition: Definition = Path("io.yaml"),
    n: Annotated[int, typer.Option("--n", "-n", help="Number of samples.", min=1)] = 5,
    seed: Annotated[
        int | None, typer.Option(help="Seed; by default as the definition says.")
    ] = None,
) -> None:
    """Show the first samples of a design.

    For instance: scythe-gen sample io.yaml --n 5
    """
    from scythe_gen.errors import RepositoryError
    from scythe_runtime.errors import DesignError
    from scythe_runtime.sampling import draw, preview

    model = _read(definition)
    variables = [field.variable for field in model.inputs if field.variable is not None]
    try:
        table = draw(variables, model.sampling, n=n, seed=seed, root=definition.absolute().parent)
    except DesignError as error:
        raise RepositoryError(str(error)) from None
    print(preview(table))


@app.command()
def schema() -> None:
    """Print the JSON schema of io.yaml, for editors.

    For instance: scythe-gen schema > io.schema.json
    """
    from scythe_gen.resources import resource

    print((resource("schemas") / "io.schema.json").read_text("utf-8"), end="")


def _ask() -> tuple[Path, Path | None, str | None]:
    """Return a folder, and a definition or the name of an example, as the user types them."""
    from scythe_gen.new import place_problems

    names = ", ".join(_examples())
    while True:
        folder: Path = typer.prompt("Name of the repository, which is also its folder", type=Path)
        problems = place_problems(folder)
        if not problems:
            break
        print("\n".join(problems), file=sys.stderr)
    while True:
        answer = typer.prompt(f"Its definition (a file), or an example ({names})", "io.yaml")
        if answer in _examples():
            return folder, None, answer
        if Path(answer).is_file():
            return folder, Path(answer), None
        print(f"{answer} is neither a file nor an example.", file=sys.stderr)


def _read_all(*definitions: Path) -> "list[IOModel]":
    """Return parsed definitions.

    Raises:
        DefinitionError: With the problems of all of them.
    """
    from scythe_gen.errors import DefinitionError

    models: list[IOModel] = []
    problems: list[Problem] = []
    for definition in definitions:
        try:
            models.append(_read(definition))
        except DefinitionError as error:
            problems += error.problems
    if problems:
        raise DefinitionError(problems)
    return models


def _read(definition: Path) -> "IOModel":
    """Return a parsed definition.

    Raises:
        DefinitionError: With all its problems.
    """
    from scythe_gen.document import read_document
    from scythe_gen.parse import parse

    return parse(read_document(definition))
