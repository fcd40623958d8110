"""What each option of Register does, and what Register refuses."""

import asyncio
import uuid
from datetime import timedelta
from pathlib import Path

import pytest
from hang_tasks import Wait, hang
from inline import InlineEngine
from registry_tasks import (
    Attempt,
    Named,
    Plain,
    Seen,
    change_copy,
    later,
    leave_things,
    read_reference,
    read_shared,
    sleep,
    try_once,
    try_three_times,
    with_id,
    without_id,
)

from scythe_runtime import BaseExperiment, ExperimentRegistry
from scythe_runtime.allocate import Options, allocate_run
from scythe_runtime.errors import SlotStartError, UsageError
from scythe_runtime.layout import RunLayout
from scythe_runtime.results import Results
from scythe_runtime.store import store_from_settings


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Work in an empty folder; return it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCYTHE_SLOTS", "2")
    return tmp_path


def results(experiment, specs):
    """Run specs in this process and return the run's tables."""
    allocated = allocate_run(
        specs,
        experiment=experiment,
        base_id="registry",
        store=store_from_settings(),
        engine=InlineEngine(),
        options=Options(version="keep"),
    )
    allocated.driver.ending()
    return Results(store_from_settings(), RunLayout(allocated.run_id))


def test_retries_are_per_spec(here):
    """A spec that raises is tried `retries` times more; the others are not tried again."""
    log = here / "log.txt"
    found = results(try_three_times, [Attempt(log_file=str(log), k=k) for k in range(4)])
    assert found.table()["text"].tolist() == ["attempt 1", "attempt 2", "attempt 3"]
    assert found.errors()[["k", "error_message", "attempt"]].values.tolist() == [
        [3, "attempt 3", 3]
    ]
    assert [log.read_text().split().count(str(k)) for k in range(4)] == [1, 2, 3, 3]
    log.unlink()
    found = results(try_once, [Attempt(log_file=str(log), k=k) for k in range(2)])
    assert found.errors()["attempt"].tolist() == [1]


def test_name_and_description():
    """The name is the registry's; the description is what is given, else the docstring."""
    assert try_once.name == "tried once"
    assert ExperimentRegistry.get_runnable("tried once") is try_once
    assert try_three_times.description == "Succeeds at attempt k + 1."
    assert later.description == "Write and read a file, asynchronously."
    assert BaseExperiment(runnable="tried once").base_id == "tried once"


def test_a_copy_may_be_changed(here):
    """With copied-to-tempdir the function changes its own copy: the input stays as it is, called or run."""
    data = here / "data.txt"
    data.write_text("original\n")
    assert change_copy(Named(data=data)).text == "original\nchanged\n"
    found = results(change_copy, [Named(data=data)] * 3)
    assert found.table()["text"].tolist() == ["original\nchanged\n"] * 3
    assert data.read_text() == "original\n"
    assert next(here.rglob("artifacts/data/data.txt")).read_text() == "original\n"


def test_files_arrive_as_paths_or_as_they_are(here):
    """A file reference is a local path by default, and the URI with auto_fetch_files=False."""
    data = here / "data.txt"
    data.write_text("original\n")
    assert results(read_shared, [Named(data=data)]).table()["text"].tolist() == ["original\n"]
    uri = results(read_reference, [Named(data=data)]).table()["text"][0]
    assert uri.startswith("file:///")
    assert uri.endswith("artifacts/data/data.txt")


def test_run_ids_are_stable_and_can_be_left_out():
    """Each spec has its own id and the run's; inject_workflow_run_id=False leaves its own out."""
    found = results(with_id, [Plain(x=k) for k in range(3)])
    own, root = zip(*(text.split() for text in found.table()["text"]), strict=True)
    scalars = found.frame("scalars").index
    assert list(own) == scalars.get_level_values("workflow_run_id").tolist()
    assert set(root) == set(scalars.get_level_values("root_workflow_run_id"))
    assert {uuid.UUID(i).version for i in own} == {5}
    assert len(set(own)) == 3
    assert results(without_id, [Plain()]).table()["text"].tolist() == ["None"]


def test_a_tempdir_is_a_specs_own():
    """Each spec has an empty folder of its own, which is gone afterwards."""
    folders = results(leave_things, [Plain(x=k) for k in range(3)]).table()["text"].tolist()
    assert len(set(folders)) == 3
    assert not any(Path(folder).exists() for folder in folders)


def test_called_directly(here):
    """An experiment is its function: one line in a notebook or a unit test, with or without a tempdir."""
    assert with_id(Plain()).text == "None None"
    assert Path(leave_things(Plain()).text).is_dir()
    assert leave_things(Plain(), tempdir=here).text == str(here)
    assert later(Plain(x=2)) == Seen(text="2.0")
    data = here / "data.txt"
    data.write_text("x")
    assert read_shared(Named(data=data.as_uri())).text == "x"


def test_called_in_a_notebook():
    """An async function can be called where an event loop runs already, as in a notebook."""

    async def cell():
        return later(Plain(x=3))

    assert asyncio.run(cell()) == Seen(text="3.0")


def test_durations_in_all_their_forms():
    """Timeouts are seconds, timedeltas, or texts like "10m"; anything else is refused by name."""
    for value in (90, 90.0, "90", "1m30s", timedelta(seconds=90), "00:01:30"):
        made = ExperimentRegistry.Register(
            name=f"timeout {value!r}",
            execution_timeout=value,
            schedule_timeout=value,
            desired_worker_labels={"HAS_GPU": True},
            priority=3,
        )(with_id.fn)
        assert made.options.execution_timeout_s == 90.0
        assert made.options.schedule_timeout_s == 90.0
        assert made.options.desired_worker_labels == {"HAS_GPU": True}
        assert made.options.task_config == {"priority": 3}
    for option in ("execution_timeout", "schedule_timeout"):
        for value in ("soon", 0, -1):
            with pytest.raises(UsageError, match=option):
                ExperimentRegistry.Register(**{option: value})(with_id.fn)


def test_the_environment_has_a_timeout_too(monkeypatch):
    """SCYTHE_TIMEOUT_EXPERIMENT_EXECUTION stops a spec of an experiment that says nothing itself."""
    monkeypatch.setenv("SCYTHE_TIMEOUT_EXPERIMENT_EXECUTION", "500ms")
    run, ref = BaseExperiment(runnable=sleep).allocate([Plain(x=60), Plain(x=0), Plain(x=0)])
    assert (ref.result().succeeded, ref.result().failed) == (2, 1)
    assert run.errors()["error_type"].tolist() == ["TimedOut"]
    assert run.manifest.task.execution_timeout_s == 0.5


def test_a_run_that_does_not_start_in_time(monkeypatch):
    """schedule_timeout ends a run of which no spec starts, by name; what is not run can be resumed."""
    monkeypatch.setenv("SCYTHE_TEST_HANG", "1")
    run, ref = BaseExperiment(runnable=hang).allocate([Wait() for _ in range(3)])
    with pytest.raises(SlotStartError, match=r"within 4 s \(schedule_timeout\)"):
        ref.result()
    assert run.manifest.counts.pending == 3
    monkeypatch.delenv("SCYTHE_TEST_HANG")
    assert run.resume().result().succeeded == 3


def test_functions_that_are_no_experiments_are_refused():
    """All that is wrong with a signature is said at once, with how to write it."""

    def no_types(a, b):
        return a, b

    def unknown(a: "Nowhere") -> Seen:  # noqa: F821 - that is the point
        return a

    def no_spec() -> Seen:
        return Seen(text="")

    with pytest.raises(UsageError) as caught:
        ExperimentRegistry.Register()(no_types)
    for part in (
        "no_types",
        "more than an input spec",
        "ExperimentInputSpec",
        "ExperimentOutputSpec",
    ):
        assert part in str(caught.value)
    with pytest.raises(UsageError, match="Nowhere"):
        ExperimentRegistry.Register()(unknown)
    with pytest.raises(UsageError, match="takes no input spec"):
        ExperimentRegistry.Register()(no_spec)
    with pytest.raises(UsageError, match="tempdir"):
        ExperimentRegistry.Register(local_file_location="copied-to-tempdir")(with_id.fn)
    with pytest.raises(UsageError, match="local_file_location"):
        ExperimentRegistry.Register(local_file_location="elsewhere")(later.fn)
    with pytest.raises(UsageError, match="retries"):
        ExperimentRegistry.Register(retries=-1)(later.fn)
    with pytest.raises(UsageError, match="no workflow"):
        ExperimentRegistry.Include(no_spec)
    with pytest.raises(ValueError, match="not registered"):
        BaseExperiment(runnable=no_spec)
