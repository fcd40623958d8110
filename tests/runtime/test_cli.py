"""The `scythe` command line in an experiment repository."""

import sys
from pathlib import Path

import pytest

from scythe_runtime import cli
from scythe_runtime.errors import ScytheError
from scythe_runtime.registry import ExperimentRegistry
from scythe_runtime.runs import open_run

TASK = '''
from pathlib import Path
from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec, ExperimentRegistry

class Input(ExperimentInputSpec):
    x: float
    k: int

class Output(ExperimentOutputSpec):
    y: float

@ExperimentRegistry.Register(retries=0)
def simulate(input_spec: Input) -> Output:
    """Double x."""
    if input_spec.k % 10 == 3 and not Path("repaired").exists():
        raise ArithmeticError("k ends in 3")
    return Output(y=2 * input_spec.x)
'''

SAMPLER = """
import pyarrow as pa

def sample(n=None, seed=None):
    n = n or 30
    return pa.table({"x": [i / 2 for i in range(n)], "k": list(range(n))})
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with a task that fails for every tenth sample until it is repaired."""
    (tmp_path / "pyproject.toml").write_text('[tool.scythe]\nexperiments = ["clilab.task"]\n')
    package = tmp_path / "clilab"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "task.py").write_text(TASK)
    (package / "sampler.py").write_text(SAMPLER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(ExperimentRegistry, "_experiments", {})
    for name in [n for n in sys.modules if n.partition(".")[0] == "clilab"]:
        monkeypatch.delitem(sys.modules, name)
    return tmp_path


def scythe(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Return the exit code of a command line."""
    monkeypatch.setattr(sys, "argv", ["scythe", *arguments])
    try:
        cli.main()
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


def call_unshielded(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Call a command so that what it raises arrives here."""
    monkeypatch.setattr(sys, "argv", ["scythe", *arguments])
    cli.app(standalone_mode=False)


def test_one_sample_runs_here(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run -n 1` calls the function in this process and stores nothing; what it raises is shown in full."""
    assert scythe(monkeypatch, "run", "-n", "1") == 0
    out = capsys.readouterr().out
    assert "x  0.0" in out
    assert "y  0.0" in out
    assert "scythe run -n 100" in out
    assert not (repository / "runs").exists()
    (repository / "clilab" / "sampler.py").write_text(
        SAMPLER.replace("list(range(n))", "list(range(3, n + 3))")
    )
    monkeypatch.delitem(sys.modules, "clilab.sampler")
    with pytest.raises(ArithmeticError, match="k ends in 3"):
        scythe(monkeypatch, "run", "-n", "1")


BROKEN = """
from pathlib import Path
from typing import ClassVar
from collections.abc import Mapping
from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec, ExperimentRegistry, FileReference

class Input(ExperimentInputSpec):
    x: float
    k: int

class Output(ExperimentOutputSpec):
    {field}

@ExperimentRegistry.Register(retries=0)
def simulate(input_spec: Input, tempdir: Path) -> Output:
    return Output({value})
"""


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("report: FileReference", "report=tempdir / 'r.csv'", "report: .*r.csv does not exist"),
        (
            "_frames: ClassVar[Mapping[str, Mapping[str, str]]] = {'hourly': {'load': 'number'}}",
            "",
            "dataframes\\['hourly'\\] is missing",
        ),
    ],
)
def test_one_sample_is_checked_as_in_a_run(
    repository: Path, monkeypatch: pytest.MonkeyPatch, field: str, value: str, message: str
) -> None:
    """What a run would refuse to store, `run -n 1` refuses too."""
    text = BROKEN.replace("{field}", field).replace("{value}", value)
    (repository / "clilab" / "task.py").write_text(text)
    with pytest.raises(ScytheError, match=message):
        call_unshielded(monkeypatch, "run", "-n", "1")


def test_a_module_that_does_not_load_is_shown_without_our_frames(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A typo in the task is the user's own lines and exit code 2."""
    (repository / "clilab" / "task.py").write_text("import nunpy\n")
    assert scythe(monkeypatch, "run", "-n", "1") == 2
    err = capsys.readouterr().err
    assert "clilab.task cannot be imported" in err
    assert "No module named 'nunpy'" in err
    assert "importlib" not in err
    assert "typer" not in err


def test_results_into_a_file_is_a_mistake(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--to` names a folder; a file there is one message."""
    (repository / "repaired").touch()
    assert scythe(monkeypatch, "run", "-n", "3") == 0
    assert scythe(monkeypatch, "results", "clilab", "--to", "pyproject.toml") == 2
    assert "--to pyproject.toml" in capsys.readouterr().err


def test_from_run_to_retry(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run with failures exits 1 and names them; they are listed, run again, and the tables brought here."""
    assert scythe(monkeypatch, "run") == 1
    out, err = capsys.readouterr()
    run_id = open_run("clilab").experiment_id
    assert f"run {run_id}" in out
    assert "30 specs: 27 succeeded, 3 failed" in out
    assert "3 x ArithmeticError at task.py:" in err
    assert f"scythe retry {run_id}" in out

    assert scythe(monkeypatch, "runs") == 0
    assert run_id in capsys.readouterr().out

    assert scythe(monkeypatch, "status", "clilab") == 0
    assert "27 succeeded, 3 failed, 0 pending" in capsys.readouterr().out

    assert scythe(monkeypatch, "errors", "clilab") == 1
    out = capsys.readouterr().out
    assert "ArithmeticError: k ends in 3" in out
    assert "for instance row 3" in out
    assert scythe(monkeypatch, "errors", "clilab/v1.0.0", "--row", "13") == 0
    assert "k: 13" in capsys.readouterr().out
    assert scythe(monkeypatch, "errors", "clilab", "--row", "14") == 2

    assert scythe(monkeypatch, "check", "clilab") == 0
    (repository / "repaired").touch()
    assert scythe(monkeypatch, "retry", "clilab") == 0
    out, err = capsys.readouterr()
    assert "30 specs: 30 succeeded, 0 failed" in out
    assert "27 of 30 specs are reused, 3 failed ones are run" in err
    assert scythe(monkeypatch, "errors", "clilab") == 0
    assert "nothing failed" in capsys.readouterr().out

    assert scythe(monkeypatch, "results", "clilab", "--to", "here") == 0
    assert (repository / "here" / "final" / "scalars.pq").is_file()
    capsys.readouterr()
    assert scythe(monkeypatch, "results", "clilab", "-n", "2") == 0
    out = capsys.readouterr().out
    assert "0.5" in out
    assert "scalars: file://" in out


def test_versions_follow_what_changed(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--version auto` says why: the first run, nothing, the code."""
    (repository / "repaired").touch()
    for expected in ("version v1.0.0: the first run", "version v1.0.0: nothing changed"):
        assert scythe(monkeypatch, "run", "-n", "3") == 0
        assert expected in capsys.readouterr().err
    (repository / "clilab" / "task.py").write_text(TASK + "\n# a remark\n")
    assert scythe(monkeypatch, "run", "-n", "3") == 0
    assert "version v1.0.1: the task's code changed" in capsys.readouterr().err
    assert scythe(monkeypatch, "run", "-n", "3", "--version", "v9") == 0
    assert open_run("clilab/v9.0.0").manifest.state == "complete"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["results", "nothing"], "Experiment run nothing not found"),
        (["run", "--version", "sideways"], "'sideways' is not a version"),
        (["run", "--max-failures", "many"], "write a count (20) or a share (5%)"),
    ],
)
@pytest.mark.usefixtures("repository")
def test_mistakes_are_one_message(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A user's mistake is one message on stderr and exit code 2."""
    assert scythe(monkeypatch, *arguments) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err


def test_outside_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` says where it has to be called; `runs` says that there are none."""
    monkeypatch.chdir(tmp_path)
    assert scythe(monkeypatch, "run") == 2
    assert "is not an experiment repository" in capsys.readouterr().err
    assert scythe(monkeypatch, "runs") == 0
    assert "There are no runs yet" in capsys.readouterr().out
