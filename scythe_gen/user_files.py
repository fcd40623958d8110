"""IOModel → the files that become the user's: written once, never touched again."""

import re
from pathlib import Path
from typing import Final

from scythe_gen.schema import Field, IOModel

_FUNCTION: Final = "simulate"
_OWN_DEPENDENCIES: Final = "  # Your task's own dependencies come below this line.\n"
_WIDTH: Final = 100


def user_files(
    model: IOModel, package: str, definition: str, example: Path | None = None
) -> dict[str, bytes]:
    """Return the user's files: path below the repository's root → content.

    Args:
        model: The parsed definition.
        package: The name of the repository's Python package.
        definition: The text of io.yaml.
        example: The folder of an example, whose files take the place of stubs.
    """
    texts = {
        "io.yaml": _with_modeline(definition, package),
        f"{package}/task.py": _task(model, package),
        f"{package}/specs.py": _SPECS,
        f"{package}/sampler.py": _SAMPLER,
        "tests/test_task.py": _TEST.replace("PACKAGE", package),
    }
    files = {path: text.encode() for path, text in texts.items()}
    return files | _example_files(example, package) if example else files


def with_requirements(pyproject: str, example: Path) -> str:
    """Return pyproject.toml with what an example's requirements.txt asks for, where the user's own come."""
    path = example / "requirements.txt"
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    added = "".join(f'  "{line}",\n' for line in lines)
    before, mark, after = pyproject.partition(_OWN_DEPENDENCIES)
    return f"{before}{mark}{added}{after}"


def _with_modeline(definition: str, package: str) -> str:
    """Return io.yaml with the comment by which editors find its schema."""
    if "yaml-language-server:" in definition:
        return definition
    return f"# yaml-language-server: $schema={package}/_generated/io.schema.json\n{definition}"


def _example_files(example: Path, package: str) -> dict[str, bytes]:
    """Return an example's own files, where they belong in the repository."""
    files = {}
    own = re.compile(rf"^(from|import) {re.escape(example.name)}\b".encode(), re.MULTILINE)
    for path in sorted(example.rglob("*")):
        relative = path.relative_to(example)
        if not path.is_file() or "__pycache__" in relative.parts:
            continue
        if relative.parts[0] == "artifacts":
            files[relative.as_posix()] = path.read_bytes()
        elif relative.parts[0] == "tests" and path.suffix == ".py":
            files[relative.as_posix()] = own.sub(rb"\1 " + package.encode(), path.read_bytes())
        elif len(relative.parts) == 1 and path.suffix == ".py":
            files[f"{package}/{relative}"] = path.read_bytes()
    return files


def _task(model: IOModel, package: str) -> str:
    """Return the task's stub, which says in comments what is special about its fields."""
    returned = [field for field in model.outputs if field.kind != "frame"]
    frames = [field for field in model.outputs if field.kind == "frame"]
    notes = [
        "Each input is an attribute:",
        *(f"    input_spec.{field.name}  # {_kind(field)}" for field in model.inputs),
    ]
    for field in model.inputs:
        if field.kind == "file":
            notes += [
                "",
                f"{field.name} is a file. Wherever it came from, it is on this machine by now:",
                *(
                    [
                        f"    if input_spec.{field.name} is not None:",
                        f"        {field.name} = Path(str(input_spec.{field.name}))",
                    ]
                    if field.nullable
                    else [f"    {field.name} = Path(str(input_spec.{field.name}))"]
                ),
            ]
        elif field.kind == "files":
            notes += [
                "",
                f"{field.name} are files. Wherever they came from, they are on this machine by now:",
                f"    {field.name} = [Path(str(file)) for file in input_spec.{field.name}]",
            ]
    notes += [
        "",
        "A simulator is a program that is called in tempdir. With check=True its failure is this",
        "sample's failure, which is recorded with the inputs and does not stop the others:",
        '    subprocess.run(["simulator", "model.in"], cwd=tempdir, check=True)',
    ]
    for field in returned:
        if field.kind in {"file", "files"}:
            notes += [
                "",
                f"{field.name} goes back as a file: write it into tempdir and return its path:",
                f'    {field.name} = tempdir / "{field.name}.csv"',
            ]
    for field in frames:
        columns = ", ".join(f'"{column.name}": ...' for column in field.columns)
        notes += [
            "",
            f"{field.name} goes back as a table, a data frame with these columns:",
            f"    {field.name} = pd.DataFrame({{{columns}}})",
        ]
    arguments = [f"{field.name}={_placeholder(field)}" for field in returned]
    if frames:
        pairs = ", ".join(f'"{field.name}": {field.name}' for field in frames)
        arguments.append(f"dataframes={{{pairs}}}")
    notes += [
        "",
        "In the end:",
        "    return Output(",
        *(f"        {argument}," for argument in arguments),
        "    )",
    ]
    comments = "\n".join(f"    # {note}".rstrip() for note in notes)
    message = f"{package}/task.py: {_FUNCTION} is still the stub. Write it, then: scythe run -n 1"
    statement = f'    raise TaskNotWritten("{message}")'
    if len(statement) > _WIDTH:
        statement = f'    raise TaskNotWritten(\n        "{message}"\n    )'
    return _TASK.replace("COMMENTS", comments).replace("STUB", statement)


def _kind(field: Field) -> str:
    kind = {"file": "a file", "files": "files", "any": "anything"}.get(field.kind, field.kind)
    return f"{kind} or None" if field.nullable else kind


def _placeholder(field: Field) -> str:
    return field.name if field.kind in {"file", "files"} else "..."


_TASK: Final = '''"""The experiment: what is computed for one sample."""

from pathlib import Path

from scythe_runtime import ExperimentRegistry, TaskNotWritten

from .specs import Input, Output


@ExperimentRegistry.Register()
def simulate(input_spec: Input, tempdir: Path) -> Output:
    """Return the outputs of one sample.

    Args:
        input_spec: Its inputs.
        tempdir: A folder of its own, empty at first; it is gone afterwards.
    """
COMMENTS
STUB
'''

_SPECS: Final = '''"""The specs that the task uses: the derived classes, and what only code can say.

Room for pydantic validators, and for `computed_features` (further columns of the results' index).
"""

from ._generated.specs import GeneratedInput, GeneratedOutput


class Input(GeneratedInput):
    """The inputs of one sample."""


class Output(GeneratedOutput):
    """The outputs of one sample."""
'''

_SAMPLER: Final = '''"""Which samples are run."""

from pathlib import Path

import pyarrow as pa
from scythe_runtime.sampling import draw

from ._generated.fields import SAMPLING, VARIABLES

ROOT = Path(__file__).parents[1]


def sample(n: int | None = None, seed: int | None = None) -> pa.Table:
    """Return a design: a row for each sample, a column for each input.

    io.yaml says how each input is drawn, how many samples there are and the seed.
    """
    return draw(VARIABLES, SAMPLING, n=n, seed=seed, root=ROOT)
'''

_TEST: Final = '''"""One sample, from the sampler through the task."""

from glob import glob

import pytest
from scythe_runtime import TaskNotWritten
from scythe_runtime.sampling import Files

from PACKAGE._generated.fields import VARIABLES
from PACKAGE.sampler import ROOT, sample
from PACKAGE.specs import Input, Output
from PACKAGE.task import simulate


def missing_files() -> list[str]:
    """Return the input files that are still to be put into the repository."""
    dists = [variable.dist for variable in VARIABLES]
    patterns = [dist.glob for dist in dists if isinstance(dist, Files)]
    return [pattern for pattern in patterns if not glob(pattern, root_dir=ROOT, recursive=True)]  # noqa: PTH207


def test_one_sample_runs() -> None:
    """The first sample of the design has outputs as io.yaml describes them."""
    if missing := missing_files():
        pytest.skip(f"there is no file yet in {', '.join(missing)}")
    spec = Input.model_validate(sample(1).to_pylist()[0])
    try:
        result = simulate(spec)
    except TaskNotWritten as stub:
        pytest.skip(str(stub))
    assert isinstance(result, Output)
'''
