"""Typed specs from a model."""

import datetime as dt
import itertools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from gen_models import FILE, HOURLY, field, io_model

from scythe_gen.schema import IOModel
from scythe_gen.specs import specs_text
from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec

Load = Callable[[IOModel], ModuleType]
NUMBERS = itertools.count()
NULL = {"type": "null"}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Return what makes a module of a model's specs."""

    def load(model: IOModel) -> ModuleType:
        module = ModuleType(f"generated_{next(NUMBERS)}")
        monkeypatch.setitem(sys.modules, module.__name__, module)
        exec(compile(specs_text(model), module.__name__, "exec"), module.__dict__)
        return module

    return load


def test_classes_are_the_runtimes(load: Load) -> None:
    """The classes derive from the runtime's bases, and have the fields in the document's order."""
    module = load(io_model())
    assert issubclass(module.GeneratedInput, ExperimentInputSpec)
    assert issubclass(module.GeneratedOutput, ExperimentOutputSpec)
    own = [
        name
        for name in module.GeneratedInput.model_fields
        if name in {"r_value", "hvac", "weather"}
    ]
    assert own == ["r_value", "hvac", "weather"]
    assert module.GeneratedInput(r_value=3, hvac="pump", weather="a.epw").weather == Path("a.epw")


def test_units_are_kept(load: Load) -> None:
    """A field's unit is in the JSON schema of its class, so that a run records it."""
    properties = load(io_model()).GeneratedInput.model_json_schema()["properties"]
    assert properties["r_value"]["x-unit"] == "K m^2/W"


def test_descriptions_are_kept(load: Load) -> None:
    """A description is the field's description and the class's docstring, quotes and all."""
    text = 'the "wall"\\ \n \'\'\' """'
    schema = {"type": "number", "description": text}
    module = load(
        io_model((field("a", "number", schema, description=text),), input_description="All.")
    )
    assert "the" in module.GeneratedInput.model_fields["a"].description
    assert "All." in module.GeneratedInput.__doc__


def test_frames_are_a_table_beside_the_fields(load: Load) -> None:
    """A frame is no field but an entry of `_frames`: name, column, type."""
    outputs = (field("heat", "number", {"type": "number"}), HOURLY)
    module = load(io_model(outputs=outputs))
    assert module.GeneratedOutput._frames == {"hourly": {"hour": "integer", "heat": "number"}}
    assert "hourly" not in module.GeneratedOutput.model_fields


@pytest.mark.parametrize(
    "name", ["GeneratedInput", "generated_output", "Experiment", "Field", "Literal", "date"]
)
def test_definitions_do_not_displace_our_classes(load: Load, name: str) -> None:
    """A definition of the document may have any name; the two classes keep theirs."""
    model = io_model(
        (
            field("a", "object", {"$ref": f"#/$defs/{name}"}),
            field("day", "date", {"type": "string", "format": "date"}),
            field("b", "enum", {"enum": ["x"]}),
        ),
        definitions={
            name: {"type": "object", "properties": {"z": {"type": "number"}}, "required": ["z"]}
        },
    )
    module = load(model)
    value = module.GeneratedInput(a={"z": 1}, day="2024-01-01", b="x")
    assert value.a.z == 1
    assert value.day == dt.date(2024, 1, 1)
    assert isinstance(value, ExperimentInputSpec)


@pytest.mark.parametrize(
    "name", ["date", "time", "datetime", "Path", "Literal", "Annotated", "Field", "Any"]
)
def test_fields_may_be_called_like_what_the_code_imports(load: Load, name: str) -> None:
    """A field's name never hides a type or a constructor that the same class needs."""
    model = io_model(
        (
            field(
                name,
                "date",
                {"type": "string", "format": "date", "default": "2024-01-01"},
                required=False,
            ),
            field(
                "z",
                "date",
                {"type": "string", "format": "date", "default": "2025-01-01"},
                required=False,
            ),
            field("y", "number", {"type": "number", "minimum": 1, "default": 2}, required=False),
            field("x", "enum", {"enum": ["a"], "default": "a"}, required=False),
            field("w", "file", {**FILE, "default": "a"}, required=False),
            field(
                "v",
                "time",
                {"type": "string", "format": "time", "default": "12:30:00"},
                required=False,
            ),
        )
    )
    spec = load(model).GeneratedInput()
    assert getattr(spec, name) == dt.date(2024, 1, 1)
    assert (spec.z, spec.y, spec.x, spec.w) == (dt.date(2025, 1, 1), 2, "a", Path("a"))
    assert spec.v == dt.time(12, 30)


HOSTILE = [
    '"); __import__("os").system("touch CANARY") #',
    '"""\nimport os; os.system("touch CANARY")\n"""',
    "'''\\",
    '\\"\\"\\"',
    "line\nimport os\r\u2028import os",
    "{{ 7*7 }} {% raw %} ${X}",
    "\x00\x1b[31m",
    "\\N{BULLET} \\x41 %s {0}",
    "é ☃ \U0001d4b3 \u202e",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(
    load: Load, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever stands in the strings of a document, the code compiles, imports and runs none of it."""
    monkeypatch.chdir(tmp_path)
    model = io_model(
        (
            field(
                "a",
                "string",
                {"type": "string", "title": text, "description": text, "default": text},
                required=False,
            ),
            field("b", "enum", {"enum": [text, "x"], "default": text}, required=False),
            field("c", "const", {"const": text}, required=False),
            field(
                "d",
                "object",
                {"type": "object", "title": text, "description": text},
                required=False,
            ),
            field(
                "f",
                "number",
                {"type": "number", "x-unit": text, "examples": [text]},
                required=False,
            ),
        ),
        title=text,
        description=text,
        input_description=text,
        output_description=text,
    )
    module = load(model)
    assert module.GeneratedInput(c=text).a == text
    assert list(tmp_path.iterdir()) == []


def test_same_bytes_under_any_hash_seed() -> None:
    """The text does not depend on the interpreter's hash seed."""
    code = (
        "from gen_models import *; from scythe_gen.specs import specs_text;"
        "from scythe_gen.fields import fields_text; m = io_model(outputs=(field('o', 'file', FILE), HOURLY));"
        "print(specs_text(m), fields_text(m))"
    )
    root = Path(__file__).parent
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=root,
            env=os.environ | {"PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_the_working_directory_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pyproject.toml with another taste in line lengths changes nothing."""
    before = specs_text(io_model())
    (tmp_path / "pyproject.toml").write_text(
        "[tool.black]\nline-length = 40\n[tool.ruff]\nline-length = 40\n[tool.isort]\nknown_first_party = ['pydantic']\n"
    )
    monkeypatch.chdir(tmp_path)
    assert specs_text(io_model()) == before
