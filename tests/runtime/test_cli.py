"""The `scythe` command line in an experiment repository."""

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scythe_runtime import cli
from scythe_runtime.errors import ScytheError, UsageError
from scythe_runtime.progress import progress_line
from scythe_runtime.registry import ExperimentRegistry
from scythe_runtime.root import Progress
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
    assert scythe(monkeypatch, "run", "-n", "1") == 1
    err = capsys.readouterr().err
    assert "ArithmeticError: k ends in 3" in err
    assert err.count('File "') == 1, "the line that raises, and not how we came there"
    assert 'task.py", line' in err


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
    assert f"scythe replay {run_id} 3 --debug" in out
    assert "see all" not in out  # this is all
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
    assert scythe(monkeypatch, "retry", "clilab") == 0
    out, err = capsys.readouterr()
    assert "nothing failed: 30 of 30 specs have a result" in err
    assert "30 specs: 30 succeeded, 0 failed\n" in out, "no time where nothing was run"
    assert scythe(monkeypatch, "resume", "clilab") == 0
    assert "nothing is missing: all 30 specs have an outcome" in capsys.readouterr().err

    assert scythe(monkeypatch, "results", "clilab", "--to", "here") == 0
    assert (repository / "here" / run_id / "final" / "scalars.pq").is_file()
    capsys.readouterr()
    assert scythe(monkeypatch, "results", "clilab", "-n", "2") == 0
    out = capsys.readouterr().out
    assert "0.5" in out
    assert "scalars: file://" in out


def test_results_are_read_beside_broken_code(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task that does not load hinders no reading; what would run it says what is wrong with it."""
    assert scythe(monkeypatch, "run", "-n", "5") == 1
    (repository / "clilab" / "task.py").write_text("retrun 3\n")
    monkeypatch.delitem(sys.modules, "clilab.task")
    monkeypatch.setattr(ExperimentRegistry, "_experiments", {})
    assert scythe(monkeypatch, "results", "clilab") == 0
    assert scythe(monkeypatch, "errors", "clilab") == 1
    capsys.readouterr()
    for arguments in (["retry", "clilab"], ["resume", "clilab"], ["replay", "clilab", "3"]):
        assert scythe(monkeypatch, *arguments) == 2
        err = capsys.readouterr().err
        assert "clilab.task cannot be imported" in err
        assert "SyntaxError" in err


def test_ctrl_c_while_sampling_is_told(repository: Path) -> None:
    """Before there is a run, Ctrl-C is one word and exit code 130."""
    (repository / "clilab" / "sampler.py").write_text(
        "import os, signal, time\ndef sample(n=None, seed=None):\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(60)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "from scythe_runtime.cli import main; main()", "run", "-n", "30"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_two_runs_never_share_a_folder(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--to` the same folder twice: each run's files stand apart; in Python the folder is refused."""
    (repository / "repaired").touch()
    rows = {}
    for n in (3, 4):
        assert scythe(monkeypatch, "run", "-n", str(n)) == 0
        assert scythe(monkeypatch, "results", "clilab", "--to", "here") == 0
        rows[open_run("clilab").experiment_id] = n
    assert len(rows) == 2
    for run_id, n in rows.items():
        folder = Path("here") / run_id
        assert pq.ParquetFile(folder / "final" / "scalars.pq").metadata.num_rows == n
        assert f"experiment_id: {run_id}" in (folder / "manifest.yml").read_text()
    assert f"pandas.read_parquet('{folder}/final/scalars.pq')" in capsys.readouterr().out
    first, second = map(open_run, rows)
    first.download("mine")
    first.download("mine")  # once more is no mistake
    before = Path("mine/final/scalars.pq").read_bytes()
    with pytest.raises(UsageError, match=f"mine holds files of another run, {first}. Name another"):
        second.download("mine")
    assert Path("mine/final/scalars.pq").read_bytes() == before


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("clilap", "Did you mean clilab?"),
        ("clilab/v1.0", "Did you mean clilab/v1.0.0?"),
        ("clilab/v1.0.0/2025", "Did you mean clilab/v1.0.0/2"),
        ("runs/clilab", "There are runs of clilab."),
        ("runs/RUN", "Did you mean RUN?"),
    ],
)
def test_an_unknown_run_is_told_with_the_nearest(
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: str,
    said: str,
) -> None:
    """A wrong name, version, time or a path: what may have been meant, and exit code 2."""
    assert scythe(monkeypatch, "results", "clilab") == 2
    assert "There are no runs yet." in capsys.readouterr().err
    assert scythe(monkeypatch, "run", "-n", "2") == 0
    run_id = open_run("clilab").experiment_id
    year = run_id.rpartition("/")[2][:4]
    asked, said = (
        text.replace("RUN", run_id).replace("2025", f"{year}x") for text in (asked, said)
    )
    assert scythe(monkeypatch, "results", asked) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "List the runs: scythe runs" in err


def test_a_rate_is_of_what_runs_now() -> None:
    """Rows that were there before a resume are no part of the rate."""
    before = Progress("run", 1000, 900, 0, 2.0, 18.0, rate=5.0)
    assert "900/1,000 · 5/s · 18 s left" in progress_line(before, width=80)
    assert "/s" not in progress_line(replace(before, rate=None), width=80)


def test_both_streams_keep_their_order_in_a_pipe(repository: Path) -> None:
    """Of a run that fails: its id, then what failed, then the counts."""
    done = subprocess.run(
        [sys.executable, "-c", "from scythe_runtime.cli import main; main()", "run", "-n", "30"],
        cwd=repository,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    said = [
        done.stdout.index(text)
        for text in (
            "version v1.0.0",
            "run clilab/",
            "3 specs failed:",
            "30 specs:",
            "Take the tables",
        )
    ]
    assert said == sorted(said)


def test_help_and_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each command's help has an example; the version is the distribution's."""
    assert scythe(monkeypatch, "--version") == 0
    assert capsys.readouterr().out == f"scythe {version('scythe-gen')}\n"
    assert scythe(monkeypatch, "--help") == 0
    listed = capsys.readouterr().out.partition("Commands:")[2]
    assert "..." not in listed
    names = [line.split()[0] for line in listed.splitlines() if line]
    assert {"run", "resume", "doctor", "replay"} <= set(names)
    for name in names:
        assert scythe(monkeypatch, name, "--help") == 0
        assert f": scythe {name}" in " ".join(capsys.readouterr().out.split())


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
        (["results", "a:b"], "Experiment run a:b not found"),
        (["results", "/"], "not found"),
        (["run", "--version", "sideways"], "'sideways' is not a version"),
        (["run", "--max-failures", "many"], "write a count (20) or a share (5%)"),
        (["run", "250"], "scythe run 250: how many samples is an option"),
        (["run", "250"], "Write: scythe run -n 250"),
        (["run", "clilab"], "Write: scythe run -n 100"),
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


@pytest.mark.parametrize("root", ["pyproject.toml", "pyproject.toml/runs", "/proc/runs"])
def test_a_folder_for_runs_that_cannot_be_one_is_a_mistake(
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    root: str,
) -> None:
    """A file in the way, a place that takes no folders: one line that names the setting, exit code 2, nothing was run."""
    monkeypatch.setenv("SCYTHE_STORAGE_ROOT", root)
    assert scythe(monkeypatch, "run", "-n", "3") == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert str(repository / root) in err
    assert "Choose another folder with SCYTHE_STORAGE_ROOT" in err


def test_a_bucket_that_is_not_there_is_a_mistake_and_a_silent_server_is_not(
    repository: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    """What a user can mend in the settings exits with 2; an outage exits with 1, as work that has failed."""
    request.getfixturevalue("aws")
    monkeypatch.setenv("SCYTHE_STORAGE_BUCKET", "no-such-bucket")
    assert scythe(monkeypatch, "run", "-n", "3") == 2
    assert "no bucket 'no-such-bucket'" in capsys.readouterr().err
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert scythe(monkeypatch, "run", "-n", "3") == 1
    assert "no answer from http://127.0.0.1:1" in capsys.readouterr().err
    assert not (repository / "runs").exists()


def test_outside_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`run` says where it has to be called; `runs` says that there are none."""
    monkeypatch.chdir(tmp_path)
    assert scythe(monkeypatch, "run") == 2
    assert "is not an experiment repository" in capsys.readouterr().err
    assert scythe(monkeypatch, "runs") == 0
    assert "There are no runs yet" in capsys.readouterr().out
