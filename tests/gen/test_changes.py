"""What `generate` and `diff` say of a changed definition."""

import subprocess
import sys
from pathlib import Path

import pytest

from scythe_gen.changes import changes_between, changes_since
from scythe_gen.document import read_document
from scythe_gen.generate import derived_files, write_derived
from scythe_gen.parse import parse
from scythe_gen.schema import IOModel
from scythe_gen.typecheck import broken_lines
from scythe_gen.user_files import user_files
from scythe_runtime.manifest import dump_yaml

IO = """\
input:
  a: {type: number, minimum: 0, maximum: 15, x-unit: m}
  kind: {enum: [pump, boiler]}
output:
  b: {type: number}
  hourly: {x-frame: {hour: {type: integer}}}
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return the files of a repository, as `new` writes them, but for the scaffold."""
    model = write(tmp_path, IO)
    own = user_files(model, "office", IO)
    for path, data in own.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / "office" / "__init__.py").touch()
    write_derived(tmp_path, derived_files(model, "office"))
    (tmp_path / "pyproject.toml").write_text(
        '[tool.scythe]\nexperiments = ["office.task"]\n[tool.mypy]\nstrict = true\n'
        '[[tool.mypy.overrides]]\nmodule = ["boto3.*", "numpy.*", "pandas.*", "pyarrow.*"]\n'
        'ignore_missing_imports = true\nfollow_imports = "skip"\n'  # in half the time
    )
    return tmp_path


def write(folder: Path, text: str) -> IOModel:
    """Write io.yaml and return what it means."""
    (folder / "io.yaml").write_text(text)
    return parse(read_document(folder / "io.yaml"))


def command(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Return a finished scythe-gen."""
    return subprocess.run(
        [sys.executable, "-c", "from scythe_gen.cli import main; main()", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  b: {type: number}\n", "", "output.b was removed"),
        ("  kind:", "  c: {type: integer}\n  kind:", "input.c was added"),
        ("maximum: 15", "maximum: 10", "input.a: maximum lowered from 15 to 10"),
        ("x-unit: m", "x-unit: km", "input.a: unit changed from m to km"),
        ("[pump, boiler]", "[pump]", "input.kind: no longer takes 'boiler'"),
        (
            "{hour: {type: integer}}",
            "{hour: {type: number}}",
            "output.hourly: type of column hour changed",
        ),
        ("a: {type: number", "a: {description: Width, type: number", None),
    ],
)
def test_each_change_of_a_field_is_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Between two definitions, and since the last generation; words alone are no change."""
    before = write(tmp_path, IO)
    write_derived(tmp_path, derived_files(before, "office"))
    after = write(tmp_path, IO.replace(old, new))
    expected = [said] if said else []
    assert [change.text for change in changes_between(before, after)] == expected
    since = changes_since(tmp_path / "office" / "_generated", after)
    assert [change.text for change in since] == expected


def test_without_an_earlier_generation_nothing_is_told(tmp_path: Path) -> None:
    """A missing or broken record of the last generation is no error."""
    model = write(tmp_path, IO)
    assert changes_since(tmp_path, model) == []
    for text in ("", "[]", "null", '{"properties": 3}', '{"properties": {"input": []}}'):
        (tmp_path / "definition.json").write_text(text)
        assert changes_since(tmp_path, model) == []


def test_lines_that_do_not_type_check_are_told(repository: Path) -> None:
    """Fresh files are clean; after a removal the line of the task that used the field is named, by number."""
    assert broken_lines(repository, "office") == []
    task = repository / "office" / "task.py"
    text = task.read_text()
    body = text[: text.rindex("    raise")] + "    return Output(b=input_spec.a)\n"
    task.write_text(body)
    write(repository, IO.replace("  a:", "  c:"))
    done = command("generate", cwd=repository)
    assert done.returncode == 0, done.stderr
    line = len(body.splitlines())
    assert "input.a was removed\ninput.c was added\n" in done.stdout
    assert f'  office/task.py:{line}: error: "Input" has no attribute "a"' in done.stdout
    assert command("check", cwd=repository).returncode == 0
    assert "type-check" not in command("generate", cwd=repository).stdout  # nothing has changed


WITHOUT_MYPY = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name == "mypy" else find(name, *more)
from scythe_gen.cli import main
main()
"""


def test_without_mypy_it_is_said(repository: Path) -> None:
    """That no line was checked is told, once there was something to check."""
    write(repository, IO.replace("  a:", "  c:"))
    command = [sys.executable, "-c", WITHOUT_MYPY, "generate"]
    for said in (True, False):
        done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
        assert ("was not checked: that takes mypy (pip install mypy)" in done.stdout) is said


def test_diff_of_a_record_and_a_definition(tmp_path: Path) -> None:
    """A run's record is read as well; each change has its level, and the highest is told."""
    record = {
        "properties": {"input": {"$ref": "#/$defs/I"}, "output": {"$ref": "#/$defs/O"}},
        "$defs": {
            "I": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
            "O": {"type": "object", "properties": {"b": {"type": "number"}}, "required": ["b"]},
        },
    }
    (tmp_path / "experiment_io_spec.yml").write_bytes(dump_yaml(record))
    write(tmp_path, "input: {a: {type: number}, c: {type: number}}\noutput: {b: {type: number}}\n")
    done = command("diff", "experiment_io_spec.yml", "io.yaml", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "minor  input.c was added",
        "the version's minor number moves",
    ]
    assert command("diff", "io.yaml", "io.yaml", cwd=tmp_path).stdout == "no field changed\n"
    (tmp_path / "bad.yaml").write_text("input: {a: {type: nubmer}}\noutput: {b: {type: number}}\n")
    bad = command("diff", "bad.yaml", "missing.yaml", cwd=tmp_path)
    assert bad.returncode == 2
    assert "nubmer" in bad.stderr
    assert "missing.yaml" in bad.stderr
