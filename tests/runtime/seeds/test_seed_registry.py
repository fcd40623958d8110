"""Names of `registry`."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from seed_names import calls
from seed_tasks import MyInput, MyOutput, cells, simulate_cell, simulate_energy

from scythe_runtime.errors import UsageError
from scythe_runtime.experiments import BaseExperiment
from scythe_runtime.registry import (
    ExperimentFunctionWithoutTempdir,
    ExperimentFunctionWithTempdir,
    ExperimentRegistry,
    ExperimentTypeExists,
    ExperimentTypeNotFound,
)


@calls("registry.ExperimentTypeNotFound", "registry.ExperimentRegistry.get_runnable")
def test_an_experiment_is_found_by_name():
    """A registered name gives the experiment; another is an error that lists those that there are."""
    assert ExperimentRegistry.get_runnable("cell") is simulate_cell
    assert ExperimentRegistry.get_runnable(name="scythe_experiment_simulate_energy")
    with pytest.raises(ExperimentTypeNotFound, match=r"cells not found.* cell[,.]") as caught:
        ExperimentRegistry.get_runnable("cells")
    assert isinstance(caught.value, LookupError)
    assert caught.value.name == "cells"


def other(input_spec: MyInput) -> MyOutput:
    """Return nothing special."""
    return MyOutput(strain=input_spec.temperature)


@calls("registry.ExperimentTypeExists")
def test_two_functions_do_not_share_a_name():
    """Another function cannot take a name; the same function may be registered again (a notebook cell)."""
    with pytest.raises(ExperimentTypeExists, match="cell already exists"):
        ExperimentRegistry.Register(name="cell")(other)
    assert ExperimentRegistry.get_runnable("cell") is simulate_cell
    first = ExperimentRegistry.Register(name="other")(other)
    again = ExperimentRegistry.Register(name="other", retries=5)(other)
    assert first is not again
    assert ExperimentRegistry.get_runnable("other") is again


@calls("registry.ExperimentFunctionWithoutTempdir", "registry.ExperimentFunctionWithTempdir")
def test_functions_with_and_without_a_tempdir(here: Path):
    """Both forms can be registered; the tempdir is passed to the one that takes it."""

    def plain(input_spec: MyInput, /) -> MyOutput:
        return MyOutput(strain=input_spec.temperature)

    def scratch(input_spec: MyInput, /, tempdir: Path) -> MyOutput:
        return MyOutput(strain=float(len(str(tempdir))) * input_spec.temperature)

    without: ExperimentFunctionWithoutTempdir[MyInput, MyOutput] = plain
    with_one: ExperimentFunctionWithTempdir[MyInput, MyOutput] = scratch
    cell = cells(1)[0]
    assert ExperimentRegistry.Register(name="plain")(without)(cell).strain == 300.0
    made = ExperimentRegistry.Register(name="scratch")(with_one)
    assert made(cell, tempdir=here).strain == len(str(here)) * 300.0


class Worker:
    """Stands for a queue's worker."""

    def __init__(self):
        self.served = []

    def register_workflow(self, workflow):
        """Serve it too."""
        self.served.append(workflow)


@calls("registry.ExperimentRegistry", "registry.ExperimentRegistry.Register")
def test_register_with_every_option():
    """Register takes all its options, tells a worker, and returns what can be called and allocated."""
    worker = Worker()
    made = ExperimentRegistry.Register(
        worker=worker,
        description="Another one.",
        name="all options",
        desired_worker_labels={"HIGH_MEMORY": True},
        schedule_timeout="1h",
        execution_timeout="10m",
        retries=3,
        inject_workflow_run_id=False,
        auto_fetch_files=False,
        local_file_location="cache",
        priority=2,
    )(other)
    assert worker.served == [made]
    assert (made.name, made.description) == ("all options", "Another one.")
    assert made.input_validator_type is MyInput
    assert made.output_validator_type is MyOutput
    assert made.options.retries == 3
    assert made.options.execution_timeout_s == 600.0
    assert made.options.schedule_timeout_s == 3600.0
    assert made(cells(1)[0]).strain == 300.0


@calls("registry.ExperimentRegistry.experiments")
def test_experiments_lists_functions():
    """All registered functions are listed, each once."""
    listed = ExperimentRegistry.experiments()
    assert listed.count(simulate_cell) == 1
    assert simulate_energy in listed


@calls("registry.ExperimentRegistry.Include")
def test_a_native_workflow_is_kept_and_refused_here(here: Path):
    """Include takes a workflow of Hatchet's own; the local engine refuses to run it, and writes nothing."""
    from hatchet_sdk.runnables.types import WorkflowConfig
    from hatchet_sdk.runnables.workflow import Workflow
    from pydantic import TypeAdapter

    config = WorkflowConfig(name="native", input_validator=TypeAdapter(MyInput))
    client = SimpleNamespace(config=SimpleNamespace(namespace=""))  # a real one needs a token
    workflow = Workflow(config, client=client)
    assert ExperimentRegistry.Include(workflow) is workflow
    assert ExperimentRegistry.Include(workflow) is workflow
    assert ExperimentRegistry.get_runnable("native") is workflow
    assert workflow not in ExperimentRegistry.experiments()
    with pytest.raises(ExperimentTypeExists):
        ExperimentRegistry.Include(
            Workflow(config.model_copy(update={"name": "cell"}), client=client)
        )
    experiment = BaseExperiment(runnable="native", run_name="n")
    assert experiment.base_id == "n"
    for specs in (cells(1)[0], cells(2)):
        with pytest.raises(
            UsageError, match=r"native is a native workflow .*SCYTHE_ENGINE=hatchet"
        ):
            experiment.allocate(specs)
    assert list(here.iterdir()) == []
