"""A run sees that io.yaml was edited and nothing was derived from it since."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scythe_gen.document import read_document
from scythe_gen.generate import derived_files, write_derived
from scythe_gen.parse import parse
from scythe_gen.user_files import user_files
from scythe_runtime.derived import DerivedFilesStaleError, check_derived, definition_digest

IO = """\
# what goes in
input:
  a: {type: number, minimum: 0, maximum: 15, x-unit: m}
  kind: {enum: ["pump", 'boiler']}
output:
  b: {type: number}
"""
STALE = "io.yaml was edited, and office/_generated/ still follows from what it was before"
ALLOCATE = """
from office.task import simulate
from scythe_runtime.experiments import BaseExperiment
specs = [{"a": 1.0, "kind": "pump"}]
import pyarrow as pa
BaseExperiment(runnable=simulate, run_name="office").allocate(pa.Table.from_pylist(specs))
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Return a repository with a written task, as `new` makes it, but for the scaffold."""
    (tmp_path / "given.yaml").write_text(IO)
    model = parse(read_document(tmp_path / "given.yaml"))
    for path, data in user_files(model, "office", IO).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    (tmp_path / "office" / "__init__.py").touch()
    write_derived(tmp_path, derived_files(model, "office"))
    (tmp_path / "pyproject.toml").write_text('[tool.scythe]\nexperiments = ["office.task"]\n')
    task = tmp_path / "office" / "task.py"
    text = task.read_text()
    task.write_text(text[: text.rindex("    raise")] + "    return Output(b=input_spec.a)\n")
    return tmp_path


def command(
    module: str, *arguments: str, cwd: Path, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Return a finished command, which has ended with that exit code."""
    done = subprocess.run(
        [sys.executable, "-c", f"from {module} import main; main()", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_an_edited_definition_is_not_run(repository: Path) -> None:
    """Nothing is computed by old specs, on no way; `generate` is named, and it is what helps."""
    definition = repository / "io.yaml"
    definition.write_text(definition.read_text().replace("maximum: 15", "maximum: 10"))
    for arguments in (["run", "-n", "1"], ["run", "-n", "3"], ["doctor"]):
        done = command(
            "scythe_runtime.cli", *arguments, cwd=repository, code=1 + (arguments[0] == "run")
        )
        assert STALE in done.stdout + done.stderr
        assert "scythe-gen generate" in done.stdout + done.stderr
    script = subprocess.run(
        [sys.executable, "-c", ALLOCATE],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"DerivedFilesStaleError: {STALE}" in script.stderr
    assert not (repository / "runs" / "office").exists()
    command("scythe_gen.cli", "generate", cwd=repository)
    assert "3 succeeded" in command("scythe_runtime.cli", "run", "-n", "3", cwd=repository).stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# what goes in", "---\n# what comes in\n"),
        ("{type: number, minimum: 0, maximum: 15, x-unit: m}", "\n    type: number\n    minimum:   0\n    maximum: 15\n    x-unit: m"),
        ("\"pump\", 'boiler'", "'pump', \"boiler\""),
        ("\n", "\r\n"),
    ],
    ids=["comment", "layout", "quotes", "line ends"],
)  # fmt: skip
def test_words_are_no_edit(repository: Path, old: str, new: str) -> None:
    """What `check` takes for the same, a run takes for the same."""
    text = (repository / "io.yaml").read_text()
    assert old in text
    (repository / "io.yaml").write_text(text.replace(old, new), newline="")
    check_derived(repository)
    command("scythe_gen.cli", "check", cwd=repository)


def test_a_run_and_check_agree(repository: Path) -> None:
    """Keywords in another order mean the same; since the runtime cannot know that, both say stale until `generate`."""
    text = (repository / "io.yaml").read_text()
    (repository / "io.yaml").write_text(
        text.replace("minimum: 0, maximum: 15", "maximum: 15, minimum: 0")
    )
    with pytest.raises(DerivedFilesStaleError):
        check_derived(repository)
    assert command("scythe_gen.cli", "check", cwd=repository, code=1).stderr.splitlines()[0] == (
        "office/_generated/FILES: stale"
    )
    assert "1 changed" in command("scythe_gen.cli", "generate", cwd=repository).stdout
    check_derived(repository)


def test_without_a_record_nothing_is_said(repository: Path) -> None:
    """A repository of an older scythe-gen, or one without io.yaml, runs as it did."""
    record = repository / "office" / "_generated" / "FILES"
    lines = record.read_text().splitlines()
    record.write_text("\n".join(line for line in lines if "as it was read" not in line))
    (repository / "io.yaml").write_text("input: {}")
    check_derived(repository)
    (repository / "io.yaml").unlink()
    check_derived(repository)


@pytest.mark.parametrize("text", ["a: [1", "\x00", "a: 1\n", 'a: "1"\n', "a: &x 1\nb: *x\n"])
def test_two_loaders_one_digest(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without libyaml the digest is the same; a number and a text that looks like one have two."""
    fast = definition_digest(text)
    monkeypatch.delattr(yaml, "CSafeLoader")
    assert definition_digest(text) == fast
    assert definition_digest("a: 1") != definition_digest("a: '1'")
