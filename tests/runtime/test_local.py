"""Runs on the local engine, through the researcher's front door."""

import datetime as dt
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sample_tasks import (
    Colour,
    Everything,
    Layer,
    Report,
    Slow,
    Sum,
    Total,
    add,
    add_later,
    do_everything,
)

from scythe_runtime import BaseExperiment, SemVer, open_run
from scythe_runtime.errors import ExperimentRunNotFoundError, SpecError, UsageError
from scythe_runtime.refs import SpecFailedError
from scythe_runtime.table import ExperimentSpecsMismatchError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder; return it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCYTHE_SLOTS", "2")
    return tmp_path


def everything(here: Path, k: int) -> Everything:
    """Return a spec with a value of each kind."""
    weather = here / f"input {k % 2} ü'.txt"
    weather.write_text(f"weather {k % 2}\n")
    layer = here / "layer.txt"
    layer.write_text("layer\n")
    return Everything(
        number=k / 3,
        whole=k - 5,
        flag=k % 2 == 0,
        text=f"naïve\n'{k}'",
        choice="x" if k % 3 else "y",
        colour=Colour.RED if k % 2 else Colour.BLUE,
        day=dt.date(1969, 12, 25) + dt.timedelta(days=k),
        moment=dt.datetime(2024, 2, 29, 12, k % 60, tzinfo=dt.UTC),
        maybe=None if k % 4 else 0.5,
        weights=[0.1 * k, 2.0],
        table={"k": k},
        weather=weather if k % 5 else Path(weather.name),
        layers=[Layer(thickness=1.0, data=layer)] * (k % 3),
        undeclared=f"extra {k}",
    )


def test_every_kind_of_value_arrives_and_comes_back(here: Path) -> None:
    """Inputs of each kind reach the function unchanged; outputs, files and frames come back, in order."""
    specs = [everything(here, k) for k in range(20)]
    run, ref = BaseExperiment(runnable=do_everything, run_name="all").allocate(specs)
    result = ref.result()
    assert (result.specs, result.succeeded, result.failed) == (20, 20, 0), run.errors()[
        "traceback"
    ][0]

    table = run.table()
    assert table["sort_index"].tolist() == list(range(20))
    assert table["number"].tolist() == [k / 3 for k in range(20)]
    assert table["text"].tolist() == [s.text for s in specs]
    assert table["colour"].tolist() == [s.colour.value for s in specs]
    assert table["day"].tolist() == [s.day for s in specs]
    assert table["moment"].dt.to_pydatetime().tolist() == [s.moment for s in specs]
    assert table["maybe"].isna().tolist() == [s.maybe is None for s in specs]
    assert table["weights"].tolist() == [s.weights for s in specs]
    assert table["table"].tolist() == [s.table for s in specs]
    assert table["undeclared"].tolist() == [f"extra {k}" for k in range(20)]
    assert table["half"].tolist() == [k / 6 for k in range(20)]
    assert table["lines"].tolist() == [[1, 2, k - 5] for k in range(20)]
    assert table["doubled"].tolist() == [k / 3 * 2 for k in range(20)]

    scalars = run.scalars()
    assert list(scalars.index.names)[:4] == [
        "experiment_id",
        "sort_index",
        "root_workflow_run_id",
        "workflow_run_id",
    ]
    assert {"number", "weather", "half", "day"} <= set(scalars.index.names)
    assert scalars.index.get_level_values("experiment_id").unique().tolist() == [run.experiment_id]

    from urllib.parse import unquote, urlsplit

    for k, uri in enumerate(table["report"]):
        text = Path(unquote(urlsplit(uri).path)).read_text()
        assert text == f"weather {k % 2}\n" + "layer\n" * (k % 3)
    assert table["note"].isna().all()

    hours = run.frame("hours")
    assert hours.index.names == ["experiment_id", "sort_index", "hour"]
    assert hours["load"].tolist() == [x for k in range(20) for x in (k / 3, k / 3 + 1.0)]
    assert run.check().ok

    # equal content is stored once a field, and inputs are URIs in the run
    artifacts = sorted(p.name for p in Path("runs").rglob("artifacts/weather/*"))
    assert artifacts == ["input 0 ü'.txt", "input 1 ü'.txt"]
    assert all(uri.startswith("file:///") for uri in table["weather"])


def test_one_spec_gives_the_functions_value(here: Path) -> None:
    """A single spec's result is the function's own value, files as URIs; a failure raises."""
    run, ref = BaseExperiment(runnable=do_everything, run_name="one").allocate(everything(here, 3))
    value = ref.result()
    assert isinstance(value, Report)
    assert value.doubled == 2.0
    assert value.lines == [1, 2, -2]
    assert value.dataframes["hours"]["load"].tolist() == [1.0, 2.0]
    assert (here / "runs" / run.experiment_id / "workflow_spec.yml").is_file()
    _, ref = BaseExperiment(runnable=add).allocate(Sum(a=1, b=2, fate="raise"))
    with pytest.raises(SpecFailedError, match="no luck with 2"):
        ref.result()


FATES = {
    "raise": ("ValueError", "no luck with 7"),
    "exit": ("SystemExit", "3"),
    "kill": ("SlotDied", "killed by SIGKILL"),
    "wrong": ("WrongResult", "add returned str, not Total"),
}


def test_each_fate_is_a_row_of_errors(capsys: pytest.CaptureFixture[str]) -> None:
    """Specs that raise, exit, die or return nonsense are named; all others have their results."""
    bad = {7: "raise", 11: "exit", 40: "kill", 77: "wrong"}
    specs = [Sum(a=1.0, b=7 if k == 7 else k, fate=bad.get(k, "fine")) for k in range(120)]
    run, ref = BaseExperiment(runnable=add, run_name="fates").allocate(specs)
    result = ref.result()
    assert (result.succeeded, result.failed, result.pending) == (116, 4, 0)
    assert result.state == "complete-with-failures"
    assert "4 specs failed" in capsys.readouterr().err
    errors = run.errors().set_index("sort_index")
    assert errors.index.tolist() == sorted(bad)
    for row, fate in bad.items():
        error_type, message = FATES[fate]
        assert errors.loc[row, "error_type"] == error_type
        assert message in errors.loc[row, "error_message"]
        assert errors.loc[row, "fate"] == fate
    assert "sample_tasks.py" in errors.loc[7, "traceback"]
    assert "scythe_runtime" not in errors.loc[7, "traceback"]
    assert run.table()["total"].tolist() == [1.0 + k for k in range(120) if k not in bad]
    assert run.check().ok


def test_async_functions_run() -> None:
    """A coroutine function is an experiment like any other; calling it gives its value."""
    assert add_later(Sum(a=1, b=2)) == Total(total=3.0)
    run, ref = BaseExperiment(runnable=add_later).allocate([Sum(a=k, b=1) for k in range(3)])
    assert ref.result().succeeded == 3
    assert run.table()["total"].tolist() == [1.0, 2.0, 3.0]


def test_frames_are_specs_too() -> None:
    """A pandas frame, a polars frame and an arrow table give what the same models give."""
    import polars as pl
    import pyarrow as pa

    data: dict[str, list[Any]] = {"a": [1.5, 2.5], "b": [1, 2], "fate": ["fine", "fine"]}
    experiment = BaseExperiment(runnable=add)
    for frame in (pd.DataFrame(data), pl.DataFrame(data), pa.table(data)):
        run, ref = experiment.allocate(frame, version="keep")
        assert ref.result().succeeded == 2
        assert run.table()["total"].tolist() == [2.5, 4.5]


def test_bad_specs_are_all_named_and_nothing_is_written(here: Path) -> None:
    """Rows that are not valid, wrong classes and missing files are refused before anything is written."""
    experiment = BaseExperiment(runnable=add)
    with pytest.raises(SpecError) as caught:
        experiment.allocate(pd.DataFrame({"a": ["x", "1"], "b": [1, -2]}))
    assert "2 of 2 specs are not valid" in str(caught.value)
    assert "row 0: a:" in str(caught.value)
    assert "row 1: b:" in str(caught.value)
    with pytest.raises(ExperimentSpecsMismatchError):
        experiment.allocate([Sum(a=1, b=1), Slow(seconds=1)])
    with pytest.raises(SpecError, match="no specs"):
        experiment.allocate([])
    with pytest.raises(UsageError, match="bumpmajor"):
        experiment.allocate([Sum(a=1, b=1)], version="bumpall")  # type: ignore[call-overload]
    specs = [everything(here, k) for k in range(2)]
    for spec in specs:
        spec.weather = Path("nowhere.txt")
    with pytest.raises(SpecError, match=r"weather: 'nowhere.txt' \(first in row 0\)"):
        BaseExperiment(runnable=do_everything).allocate(specs)
    assert not (here / "runs").exists()


def test_versions_count_on() -> None:
    """Each strategy does what it says; an explicit version is taken; the latest run is found."""
    experiment = BaseExperiment(runnable=add, run_name="v")
    wanted = ["bumpminor", "bumpmajor", "bumpminor", "bumppatch", "keep", SemVer(major=7), "auto"]
    seen = []
    for version in wanted:
        run, ref = experiment.allocate([Sum(a=1, b=1)], version=version)
        ref.result()
        seen.append(str(run.versioned_experiment.version))
    assert seen == ["v1.0.0", "v2.0.0", "v2.1.0", "v2.1.1", "v2.1.1", "v7.0.0", "v7.0.0"]
    assert [str(v.version) for v in experiment.list_versions()] == [
        "v1.0.0",
        "v2.0.0",
        "v2.1.0",
        "v2.1.1",
        "v7.0.0",
    ]
    assert experiment.latest_run.experiment_id == run.experiment_id
    assert open_run("v/v2.1.1").experiment_id.startswith("v/v2.1.1/")
    assert open_run("v").experiment_id == run.experiment_id
    assert sorted(experiment.latest_results) == ["errors", "scalars"]
    with pytest.raises(ExperimentRunNotFoundError):
        open_run("v/v3.0.0")


SCRIPT = """
from scythe_runtime import BaseExperiment, ExperimentInputSpec, ExperimentOutputSpec, ExperimentRegistry

class In(ExperimentInputSpec):
    x: float

class Out(ExperimentOutputSpec):
    y: float

@ExperimentRegistry.Register()
def double(input_spec: In) -> Out:
    return Out(y=2 * input_spec.x)

"""

UNGUARDED = """
run, ref = BaseExperiment(runnable=double).allocate([In(x=k) for k in range(20)])
print(ref.result().succeeded)
"""

GUARDED = """
if __name__ == "__main__":
    BaseExperiment(runnable=double).allocate([In(x=k) for k in range(20)])
"""


@pytest.mark.parametrize("end", [UNGUARDED, GUARDED], ids=["no guard", "guard, never waits"])
def test_a_script_may_hold_its_task(here: Path, end: str) -> None:
    """A task in the script itself runs, with or without a guard, and also if nobody waits for it."""
    script = here / "my script.py"
    script.write_text(SCRIPT + end)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=here, check=False
    )
    assert done.returncode == 0, done.stderr
    assert open_run("scythe_experiment_double").manifest.state == "complete"


def test_ctrl_c_leaves_a_run_to_resume(here: Path) -> None:
    """Ctrl-C ends the run soon, keeps what is committed, says how to go on; resume completes it."""
    script = here / "go.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from sample_tasks import Slow, wait\n"
        "from scythe_runtime import BaseExperiment\n"
        "specs = [Slow(seconds=0.05) for _ in range(100)]\n"
        "run, ref = BaseExperiment(runnable=wait, run_name='w').allocate(specs, batch_size=2)\n"
        "print('begun', flush=True)\n"
        "ref.result()\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(script), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
        start_new_session=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    deadline = time.monotonic() + 20
    while not list(here.rglob("0001-main/*.arrow")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert "scythe resume w/v1.0.0/" in err
    run = open_run("w")
    counts = run.manifest.counts
    assert counts is not None
    assert 0 < counts.pending < 100
    assert run.manifest.state == "dispatched"
    assert len(run.table()) == counts.succeeded
    result = run.resume().result()
    assert (result.succeeded, result.pending, result.state) == (100, 0, "complete")
    assert run.check().ok


def test_what_functions_print_stays_with_the_run(here: Path) -> None:
    """What a slot prints, and what a spec logs, is in the run's folder, not in the terminal."""
    run, ref = BaseExperiment(runnable=add, run_name="talk").allocate(
        [Sum(a=1, b=k, fate="talk") for k in range(3)]
    )
    assert ref.result().succeeded == 3
    logs = "".join(p.read_text() for p in (here / "runs" / run.experiment_id / "logs").iterdir())
    assert (
        sorted(logs.split("\n"))[1:] == ["[0] logged", "[1] logged", "[2] logged"] + ["printed"] * 3
    )
