"""Each example's definition and task fit together: what io.yaml samples, the task can run, and gives what the model does."""

import dataclasses
import importlib
import shutil
import sys
from pathlib import Path

import pytest

from scythe_gen.document import read_document
from scythe_gen.generate import derived_files
from scythe_gen.parse import parse
from scythe_runtime import ExperimentRegistry
from scythe_runtime.sampling import draw

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples"
SPECS = '''"""As in a new repository."""

from {name}._generated.specs import GeneratedInput as Input
from {name}._generated.specs import GeneratedOutput as Output

__all__ = ["Input", "Output"]
'''


@pytest.fixture
def generated(request, tmp_path, monkeypatch):
    """Return the package that a new repository has for the example: its model's modules and a sample of 5 rows."""
    name = request.param
    package = tmp_path / name
    definition = parse(read_document(EXAMPLES / name / "io.yaml"))
    for path, text in derived_files(definition, name).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for source in (EXAMPLES / name).glob("*.py"):
        shutil.copy(source, package)
    (package / "specs.py").write_text(SPECS.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    # Both tasks are called simulate, which one process of a real repository never sees.
    monkeypatch.setattr(ExperimentRegistry, "_experiments", {})
    variables = [field.variable for field in definition.inputs]
    rows = draw(variables, definition.sampling, n=5, root=EXAMPLES / name).to_pylist()
    yield importlib.import_module(f"{name}.task"), importlib.import_module(f"{name}.model"), rows
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]


@pytest.mark.parametrize("generated", ["room"], indirect=True)
def test_room_task_hands_each_input_to_the_model(generated):
    """The task's outputs are the model's for the same inputs, on sampled rows."""
    task, model, rows = generated
    for row in rows:
        weather = EXAMPLES / "room" / row.pop("weather")
        output = task.simulate(task.Input(weather=weather, **row))
        hours = model.balance(model.Room(**row), task.read_weather(weather))
        expected = dataclasses.asdict(model.yearly_results(hours))
        assert {name: getattr(output, name) for name in expected} == expected


@pytest.mark.parametrize("generated", ["borehole"], indirect=True)
def test_borehole_task_hands_each_input_to_the_model(generated):
    """The task's flow is the model's for the same inputs, on sampled rows."""
    task, model, rows = generated
    for row in rows:
        assert task.simulate(task.Input(**row)).flow == model.borehole_flow(**row)
