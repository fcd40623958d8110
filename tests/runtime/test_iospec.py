"""The io spec that a run writes: what scythe-gen reads back."""

import sys
from collections.abc import Mapping
from types import ModuleType
from typing import ClassVar

import pandas as pd
import pytest
from sample_tasks import Everything, Report

from scythe_gen.document import parse_text
from scythe_gen.parse import parse
from scythe_gen.schema import Column, IOModel
from scythe_gen.specs import specs_text
from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec
from scythe_runtime.frames import WrongFrame, check_frames
from scythe_runtime.iodiff import compare, highest
from scythe_runtime.iospec import io_schema, io_spec

FRAMED = """
input: {a: {type: number}}
output:
  hourly:
    x-frame:
      hour: integer
      at: {type: string, format: date-time}
      p: {type: number, x-unit: kW*h, description: 'What the "meter" reads: \\ {x}'}
"""


class Site(ExperimentInputSpec):
    """Where."""

    latitude: float


class Yield(ExperimentOutputSpec):
    """How much, and when."""

    total: float
    _frames: ClassVar[Mapping[str, Mapping[str, str | Mapping[str, str]]]] = {
        "hourly": {
            "hour": "integer",
            "p": {"type": "number", "x-unit": "W", "description": 'At the "meter"'},
            "at": {"type": "date-time", "description": "Local time"},
        }
    }


def test_base_fields_are_required() -> None:
    """experiment_id and sort_index have defaults in Python only."""
    schema = io_schema(Everything, Report)
    described = schema["$defs"]["Everything"]
    assert described["required"][:2] == ["experiment_id", "sort_index"]
    assert "storage_settings" not in described["properties"]
    assert "ScytheStorageSettings" not in schema["$defs"]


def test_a_record_is_a_definition() -> None:
    """scythe-gen reads a run's record back, without base fields, frames included."""
    model = parse(parse_text(io_spec(Site, Yield).decode(), "experiment_io_spec.yml"))
    assert [f.name for f in model.inputs] == ["latitude"]
    assert [(f.name, f.kind) for f in model.outputs] == [("total", "number"), ("hourly", "frame")]
    assert model.outputs[1].columns == (
        Column("hour", "integer"),
        Column("p", "number", "W", 'At the "meter"'),
        Column("at", "date-time", None, "Local time"),
    )


def _module(model: IOModel) -> ModuleType:
    """Return the generated classes of a definition."""
    module = ModuleType("generated_with_frames")
    sys.modules[module.__name__] = module  # pydantic looks annotations up there
    exec(compile(specs_text(model), module.__name__, "exec"), module.__dict__)
    return module


def test_a_record_gives_the_same_classes() -> None:
    """What is generated from a record of a run is what it was generated from, frames and all."""
    module = _module(model := parse(parse_text(FRAMED)))
    record = parse(parse_text(io_spec(module.GeneratedInput, module.GeneratedOutput).decode()))
    assert [f.columns for f in record.outputs] == [f.columns for f in model.outputs]
    again = specs_text(record)
    assert again[again.index("    _frames") :] == specs_text(model)[again.index("    _frames") :]


def test_frames_are_checked_by_either_form() -> None:
    """A column with a unit is checked like one without."""
    frame = pd.DataFrame({"hour": [1], "p": ["much"], "at": pd.to_datetime(["2026-01-01"])})
    with pytest.raises(WrongFrame, match=r"column 'p': \w+, expected number"):
        check_frames({"hourly": frame}, Yield._frames)
    check_frames({"hourly": frame.assign(p=[1.0])}, Yield._frames)


def spec(**fields: object) -> dict[str, object]:
    """Return an io spec with those inputs, all required."""
    side = {"type": "object", "properties": fields, "required": list(fields)}
    return {"properties": {"input": side, "output": {"type": "object", "properties": {}}}}


NUMBER = {"type": "number", "minimum": 0, "maximum": 15}


def frame(**columns: object) -> dict[str, object]:
    """Return an io spec whose one input stands for a frame with those columns."""
    return spec(hourly={"x-frame": columns})


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (frame(hour="integer", p={"type": "number", "x-unit": "W"}), None),
        (
            frame(hour="integer", p={"type": "string", "format": "date"}),
            "input.hourly: type of column p changed",
        ),
        (frame(hour="integer", p="number", q="number"), "input.hourly: column q was added"),
        (frame(hour="integer"), "input.hourly: column p was removed"),
        (frame(hour="number", p="number"), "input.hourly: type of column hour changed"),
    ],
)
def test_columns_move_the_version(new: dict[str, object], expected: str | None) -> None:
    """Columns of frames count like fields; a unit that only one side tells does not."""
    changes = compare(frame(hour="integer", p="number"), new)
    assert [c.text for c in changes] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("new", "level", "text"),
    [
        (spec(r=NUMBER), None, None),
        (spec(r={**NUMBER, "description": "else", "x-sample": {"dist": "uniform"}}), None, None),
        (spec(), "major", "input.r was removed"),
        (spec(r=NUMBER, s=NUMBER), "minor", "input.s was added"),
        (spec(r={**NUMBER, "maximum": 10}), "major", "input.r: maximum lowered from 15 to 10"),
        (spec(r={**NUMBER, "maximum": 20}), "minor", "input.r: maximum raised from 15 to 20"),
        (spec(r={**NUMBER, "minimum": 1}), "major", "input.r: minimum raised from 0 to 1"),
        (spec(r={"type": "number", "maximum": 15}), "minor", "input.r: minimum 0 was dropped"),
        (spec(r={**NUMBER, "multipleOf": 2}), "major", "input.r: multipleOf changed"),
        (spec(r={**NUMBER, "x-unit": "W"}), "major", "input.r: unit changed from None to W"),
        (
            spec(r={"type": "integer", "minimum": 0, "maximum": 15}),
            "major",
            "input.r: type changed",
        ),
    ],
)
def test_changes_move_the_version(
    new: dict[str, object], level: str | None, text: str | None
) -> None:
    """Removed, narrowed and changed fields are major, added and widened ones minor, notes nothing."""
    changes = compare(spec(r=NUMBER), new)
    assert highest(changes) == level
    assert [c.text for c in changes] == ([text] if text else [])
