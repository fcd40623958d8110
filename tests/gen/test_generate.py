"""Derived files: what they are, what is said of drift, and what is written."""

import ast
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from gen_models import FILE, HOURLY, field, io_model

from scythe_gen.document import read_document
from scythe_gen.errors import RepositoryError
from scythe_gen.generate import Drift, derived_files, package_of, read_drift, write_derived
from scythe_gen.parse import parse
from scythe_gen.user_files import user_files

CASES = Path(__file__).parents[1] / "cases" / "generate"
REGENERATE = "REGENERATE_CASES" in os.environ


@pytest.fixture
def expected() -> dict[str, str]:
    """Return the derived files of the usual model."""
    return derived_files(io_model(), "office")


@pytest.fixture
def repository(tmp_path: Path, expected: Mapping[str, str]) -> Path:
    """Return a repository whose derived files are as they should be."""
    (tmp_path / "office").mkdir()
    (tmp_path / "pyproject.toml").write_text('[tool.scythe]\nexperiments = ["office.task"]\n')
    write_derived(tmp_path, expected)
    return tmp_path


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_case(case: str) -> None:
    """Each case's io.yaml gives exactly the files in its expected/.

    After a wanted change: REGENERATE_CASES=1 pytest tests/gen/test_generate.py, and read the diff.
    """
    document = read_document(CASES / case / "io.yaml")
    model = parse(document)
    files = {
        **derived_files(model, "office"),
        **{
            path: data.decode() for path, data in user_files(model, "office", document.text).items()
        },
    }
    kept = {
        path: text.split("\n", 2)[2] if "/_generated/" in path else text
        for path, text in files.items()
        if path.endswith(("_generated/specs.py", "/fields.py", "/task.py"))
    }
    folder = CASES / case / "expected"
    if REGENERATE:
        for path, text in kept.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
    stored = {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.py")
    }
    assert kept == stored


def test_files_say_that_they_are_derived(expected: Mapping[str, str]) -> None:
    """Each file names io.yaml, the tool's version and the definition's hash, and how to change it."""
    for path, text in expected.items():
        if not path.endswith(".json"):
            first, second = text.splitlines()[:2]
            assert "Do not edit" in first
            assert second == "# io.yaml sha256: " + "0" * 64


def test_fresh_repository_has_no_drift(repository: Path, expected: Mapping[str, str]) -> None:
    """What was just written is what should be there."""
    assert read_drift(repository, expected) == []


def test_another_version_of_the_tool_is_no_drift(
    repository: Path, expected: Mapping[str, str]
) -> None:
    """Headers are not compared."""
    path = repository / "office/_generated/specs.py"
    path.write_text(path.read_text().replace("by scythe-gen ", "by scythe-gen 99."))
    assert read_drift(repository, expected) == []


def test_windows_line_ends_are_no_drift(repository: Path, expected: Mapping[str, str]) -> None:
    """A checkout with CRLF is as good."""
    path = repository / "office/_generated/specs.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_drift(repository, expected) == []


def test_hand_edited_missing_and_stale_are_told_apart(
    repository: Path, expected: Mapping[str, str]
) -> None:
    """Each file that differs is named with its reason."""
    specs = repository / "office/_generated/specs.py"
    specs.write_text(specs.read_text() + "\nx = 1\n")
    (repository / "office/_generated/__init__.py").unlink()
    changed = derived_files(
        io_model(outputs=(field("report", "file", FILE), HOURLY), digest="1" * 64), "office"
    )
    assert read_drift(repository, expected) == [
        Drift("office/_generated/__init__.py", "missing"),
        Drift("office/_generated/specs.py", "hand-edited"),
    ]
    write_derived(repository, expected)
    assert read_drift(repository, changed) == [
        Drift("office/_generated/FILES", "stale"),
        Drift("office/_generated/definition.json", "stale"),
        Drift("office/_generated/specs.py", "stale"),
    ]


def test_only_what_differs_is_written(repository: Path, expected: Mapping[str, str]) -> None:
    """A file that is right keeps its time stamp; the user's own file in the folder stays."""
    folder = repository / "office/_generated"
    (folder / "own.py").write_text("mine")
    (folder / "fields.py").unlink()
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert write_derived(repository, expected) == [Drift("office/_generated/fields.py", "missing")]
    after = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {"fields.py"}
    assert (folder / "own.py").read_text() == "mine"


def test_what_is_not_derived_any_more_goes(repository: Path, expected: Mapping[str, str]) -> None:
    """A file that FILES lists and io.yaml does not give is removed; paths outside the folder are not."""
    folder = repository / "office/_generated"
    (folder / "old.py").write_text("old")
    (repository / "office/task.py").write_text("mine")
    manifest = folder / "FILES"
    digest = "0" * 64
    manifest.write_text(manifest.read_text() + f"{digest}  old.py\n{digest}  ../task.py\n")
    write_derived(repository, expected)
    assert not (folder / "old.py").exists()
    assert (repository / "office/task.py").read_text() == "mine"
    assert read_drift(repository, expected) == []


def test_a_folder_that_is_no_repository_is_named(tmp_path: Path) -> None:
    """Without [tool.scythe] the message says what is missing and what to do."""
    with pytest.raises(RepositoryError, match=r"no pyproject.toml with \[tool.scythe\]"):
        package_of(tmp_path)


def test_stub_tells_about_its_fields() -> None:
    """The stub compiles, raises TaskNotWritten, and its comments tell where files and frames go."""
    model = io_model(outputs=(field("report", "file", FILE), HOURLY))
    text = user_files(model, "office", "")["office/task.py"].decode()
    ast.parse(text)
    for part in (
        "weather = Path(str(input_spec.weather))",
        'report = tempdir / "report.csv"',
        'hourly = pd.DataFrame({"hour": ..., "heat": ...})',
        'dataframes={"hourly": hourly}',
        "cwd=tempdir, check=True",
        "raise TaskNotWritten(",
    ):
        assert part in text
    assert "import pandas" not in text
