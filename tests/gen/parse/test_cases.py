"""Every folder of tests/cases/parse holds a definition and what must come of it.

`expected.json` is the model as plain values, `stderr.txt` the messages. After a wanted change, write
them anew with `SCYTHE_REGENERATE=1 pytest tests/gen/parse/test_cases.py` and read the difference.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from scythe_gen.document import Document, parse_text
from scythe_gen.errors import DefinitionError
from scythe_gen.parse import parse
from scythe_gen.schema import Field, IOModel

ROOT = Path(__file__).parents[3]
CASES = sorted((ROOT / "tests/cases/parse").iterdir())
META_SCHEMA = json.loads((ROOT / "schemas/io.schema.json").read_text("utf-8"))


def read(case: Path) -> Document:
    """Return a case's document under the name that messages show."""
    return parse_text((case / "io.yaml").read_text("utf-8"), "io.yaml")


def plain_field(field: Field) -> dict[str, Any]:
    """Return a field as the case folders write it."""
    plain: dict[str, Any] = {"name": field.name, "kind": field.kind, "schema": field.schema}
    plain |= {"required": field.required, "nullable": field.nullable}
    plain["position"] = f"{field.position.line}:{field.position.column}"
    if field.unit is not None:
        plain["unit"] = field.unit
    if field.variable is not None:
        plain["drawn"] = repr(field.variable.dist)
    if field.columns:
        plain["columns"] = [repr(column) for column in field.columns]
    return plain


def plain_model(model: IOModel) -> dict[str, Any]:
    """Return a model as the case folders write it; the digest has tests of its own."""
    return {
        "title": model.title,
        "description": model.description,
        "input_description": model.input_description,
        "output_description": model.output_description,
        "inputs": [plain_field(field) for field in model.inputs],
        "outputs": [plain_field(field) for field in model.outputs],
        "definitions": model.definitions,
        "sampling": repr(model.sampling),
    }


def outcome(case: Path) -> tuple[str, str]:
    """Return the name and the text of the file that says what comes of a case."""
    try:
        model = parse(read(case))
    except DefinitionError as error:
        return "stderr.txt", f"{error}\n"
    return "expected.json", json.dumps(plain_model(model), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case_folder(case: Path) -> None:
    """A definition gives exactly the model, or exactly the messages, that its folder holds."""
    name, text = outcome(case)
    if os.environ.get("SCYTHE_REGENERATE"):
        for other in ("stderr.txt", "expected.json"):
            (case / other).unlink(missing_ok=True)
        (case / name).write_text(text, "utf-8")
    expected = sorted(path.name for path in case.iterdir() if path.name != "io.yaml")
    assert expected == [name]
    assert text == (case / name).read_text("utf-8")


ACCEPTED = [case for case in CASES if (case / "expected.json").exists()]


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_meta_schema_accepts_what_the_parser_accepts(case: Path) -> None:
    """An editor that uses the meta-schema marks nothing in a good definition."""
    errors = Draft7Validator(META_SCHEMA).iter_errors(read(case).root)
    assert [f"{list(error.absolute_path)}: {error.message}" for error in errors] == []


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_full_form_of_a_model_is_the_same_definition(case: Path) -> None:
    """What the parser makes of a definition, written in the full form, means the same once more."""
    model = parse(read(case))
    again = parse(parse_text(json.dumps(full_form(model))))
    assert plain_without_positions(again) == plain_without_positions(model)
    assert again.digest == model.digest


def full_form(model: IOModel) -> dict[str, Any]:
    """Return a model as a document in the full form."""
    sides = {
        side: {
            "type": "object",
            "properties": {field.name: field.schema for field in fields},
            "required": [field.name for field in fields if field.required],
        }
        | ({"description": description} if description else {})
        for side, fields, description in (
            ("input", model.inputs, model.input_description),
            ("output", model.outputs, model.output_description),
        )
    }
    document: dict[str, Any] = {"type": "object", "properties": sides, "$defs": model.definitions}
    document |= {
        key: text for key in ("title", "description") if (text := getattr(model, key)) is not None
    }
    sampling = model.sampling
    document["x-sampling"] = {"method": sampling.method, "n": sampling.n, "seed": sampling.seed}
    return document


def plain_without_positions(model: IOModel) -> dict[str, Any]:
    """Return a model as plain values, wherever its fields stood."""
    plain = plain_model(model)
    for field in (*plain["inputs"], *plain["outputs"]):
        del field["position"]
    return plain
