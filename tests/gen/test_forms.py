"""From the text of a definition to generated classes: every keyword, every form of a document."""

from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from generated import model_of, module_of
from pydantic import ValidationError

from scythe_gen import keywords
from scythe_gen.document import parse_text
from scythe_gen.errors import DefinitionError
from scythe_gen.generate import derived_files
from scythe_gen.parse import parse
from scythe_gen.specs import specs_text
from scythe_gen.user_files import user_files
from scythe_runtime.files import S3Url
from scythe_runtime.iospec import io_spec
from scythe_runtime.reserved import BASE_INPUT_FIELDS

CASES = Path(__file__).parents[1] / "cases"
SHAPES = """$defs:
  Box: {properties: {kind: {const: box}, width: {type: number, minimum: 0}}}
  Ball: {properties: {kind: {enum: [ball, sphere]}, radius: number}}
  Share: {type: number, minimum: 0, maximum: 1}
"""
UNION = (
    "oneOf: [{$ref: '#/$defs/Box'}, {$ref: '#/$defs/Ball'}], discriminator: {propertyName: kind}"
)

# keyword, the schema of an input `a`, a value that fits, one that does not
KEYWORDS: list[tuple[str, str, Any, Any]] = [
    ("type", "type: number", 1.5, "much"),
    ("type", "type: integer", 3, 3.5),
    ("type", "type: string", "x", 3),
    ("type", "type: boolean", True, "perhaps"),
    ("type", "type: [integer, 'null']", None, "x"),
    ("minimum", "type: number, minimum: 1", 1, 0.9),
    ("minimum", "type: [number, 'null'], minimum: 1", None, 0.9),
    ("maximum", "type: number, maximum: 1", 1, 1.1),
    ("exclusiveMinimum", "type: number, exclusiveMinimum: 1", 1.1, 1),
    ("exclusiveMaximum", "type: integer, exclusiveMaximum: 4", 3, 4),
    ("multipleOf", "type: number, multipleOf: 0.5", 1.5, 1.6),
    ("multipleOf", "type: integer, multipleOf: 3", 6, 7),
    ("minLength", "type: string, minLength: 2", "ab", "a"),
    ("maxLength", "type: string, maxLength: 2", "ab", "abc"),
    ("pattern", "type: string, pattern: '^[a-z]+$'", "ab", "AB"),
    ("pattern", "type: string, pattern: '[0-9]'", "a1b", "ab"),
    ("enum", "enum: [north, south]", "north", "up"),
    ("enum", "enum: [1, 2]", 2, 3),
    ("enum", "enum: [a, null]", None, "b"),
    ("const", "const: SI", "SI", "IP"),
    ("format", "format: date", "2024-02-29", "2023-02-29"),
    ("format", "format: date-time", "2024-01-01T12:30:00Z", "noon"),
    ("format", "format: date-time", "2024-01-01T12:30:00", "2024-01-01T25:00:00"),
    ("format", "format: time", "12:30:00", "25:00:00"),
    ("format", "format: file-reference", "a b.csv", 3.5),
    ("format", "format: file-reference", "s3://bucket/key", "gopher://host/file"),
    ("format", "format: file-reference, optional: true", None, 3.5),
    ("items", "type: array, items: {type: number, maximum: 1}", [0, 1], [0, 2]),
    ("items", "type: array, items: {format: file-reference}", ["a", "s3://b/c"], ["a", 3.5]),
    ("items", "type: array, items: {$ref: '#/$defs/Box'}", [{"kind": "box", "width": 1}], [{}]),
    ("minItems", "type: array, items: number, minItems: 1", [1], []),
    ("maxItems", "type: array, items: number, maxItems: 1", [1], [1, 2]),
    ("prefixItems", "prefixItems: [number, {format: date}]", [1, "2024-01-01"], [1, "no"]),
    ("prefixItems", "prefixItems: [number, number]", [1, 2], [1, 2, 3]),
    ("properties", "properties: {u: {type: number, minimum: 0}}", {"u": 1}, {"u": -1}),
    ("required", "properties: {u: number, v: number}, required: [u]", {"u": 1}, {"v": 1}),
    ("optional", "properties: {u: number, v: {type: number, optional: true}}", {"u": 1}, {"v": 1}),
    (
        "additionalProperties",
        "properties: {u: number}, additionalProperties: false",
        {"u": 1},
        {"u": 1, "v": 2},
    ),
    ("additionalProperties", "additionalProperties: {type: integer}", {"x": 1}, {"x": 1.5}),
    ("anyOf", "anyOf: [{type: number, minimum: 1}, {type: 'null'}]", None, 0),
    ("anyOf", "anyOf: [{type: string, format: uri}, {type: string, format: path}]", "a.csv", 3.5),
    ("oneOf", UNION, {"kind": "sphere", "radius": 1}, {"kind": "ball"}),
    ("oneOf", f"optional: true, {UNION}", None, {"kind": "cone"}),
    ("oneOf", f"type: array, items: {{{UNION}}}", [{"kind": "ball", "radius": 1}], [{}]),
    ("discriminator", UNION, {"kind": "box", "width": 1}, {"width": 1}),
    ("allOf", "allOf: [{$ref: '#/$defs/Share'}]", 0.5, 1.5),
    ("$ref", "$ref: '#/$defs/Share'", 1, 1.5),
    ("$ref", "$ref: '#/$defs/Box'", {"kind": "box", "width": 0}, {"kind": "box", "width": -1}),
]


def document(schema: str) -> str:
    """Return a definition of one input."""
    return f"input:\n  a: {{{schema}}}\noutput: {{y: number}}\n{SHAPES}"


@pytest.mark.parametrize(("keyword", "schema", "good", "bad"), KEYWORDS)
def test_keyword_is_enforced(keyword: str, schema: str, good: Any, bad: Any) -> None:
    """One value passes and one fails through the generated class."""
    assert keyword in schema
    module = module_of(model_of(document(schema)))
    module.GeneratedInput(a=good)
    with pytest.raises(ValidationError):
        module.GeneratedInput(a=bad)


def test_every_keyword_is_in_the_table() -> None:
    """What the parser takes and is no annotation has a value that passes and one that fails above."""
    frames = {"x-frame"}  # checked on return: tests/runtime
    tested = {row[0] for row in KEYWORDS}
    assert tested == (keywords.SCHEMA | {"optional"}) - keywords.ANNOTATIONS - keywords.OWN - frames


@pytest.mark.parametrize("keyword", sorted(keywords.FOREIGN))
def test_other_keywords_are_refused_by_name(keyword: str) -> None:
    """A keyword of JSON Schema that would not be enforced is a problem at its place, in each kind of schema."""
    for schema in ("type: number", "type: array, items: number", "properties: {u: number}"):
        with pytest.raises(DefinitionError) as caught:
            model_of(f"input:\n  a:\n    {{{schema},\n    {keyword}: 1}}\noutput: {{y: number}}\n")
        (problem,) = caught.value.problems
        assert (problem.line, problem.column, problem.rule) == (4, 5, "unsupported-keyword")
        assert repr(keyword) in problem.message


DEFAULTS: list[tuple[str, Any]] = [
    ("type: number, default: 2", 2.0),
    ("type: integer, default: 2", 2),
    ("type: boolean, default: false", False),
    ("enum: [a, b], default: b", "b"),
    ("format: date, default: 2024-01-01", date(2024, 1, 1)),
    ("format: time, default: '08:00'", time(8, 0)),
    ("format: date-time, default: 2024-01-01T00:00:00Z", datetime(2024, 1, 1, tzinfo=UTC)),
    ("format: date-time, default: '2024-01-01T00:00:00'", datetime(2024, 1, 1)),  # noqa: DTZ001
    ("format: file-reference, default: a b.csv", Path("a b.csv")),
    ("format: file-reference, default: 's3://bucket/a.csv'", S3Url("s3://bucket/a.csv")),
    ("type: array, items: number, default: [1, 2]", [1.0, 2.0]),
    ("type: array, items: {format: date}, default: [2024-01-01]", [date(2024, 1, 1)]),
    ("type: array, items: {format: file-reference}, default: [a]", [Path("a")]),
    ("prefixItems: [number, {format: date}], default: [1, 2024-01-01]", (1.0, date(2024, 1, 1))),
    ("additionalProperties: {format: time}, default: {x: '08:00'}", {"x": time(8, 0)}),
    ("type: number, optional: true", None),
    ("type: integer, default: 2.0", 2),
    ("type: [number, 'null'], default: 2", 2.0),
]


@pytest.mark.parametrize(("schema", "expected"), DEFAULTS)
def test_default_is_a_value_of_the_fields_type(schema: str, expected: Any) -> None:
    """What is left out is what the default says, as if it had been given."""
    value = module_of(model_of(document(schema))).GeneratedInput().a
    assert value == expected
    assert type(value) is type(expected)


def test_default_of_an_object_is_an_object() -> None:
    """A nested object, alone, in a list or as a branch, has its attributes when it is a default."""
    box = "default: {kind: box, width: 2}"
    for schema in (f"$ref: '#/$defs/Box', {box}", f"{UNION}, {box}"):
        assert module_of(model_of(document(schema))).GeneratedInput().a.width == 2
    boxes = "type: array, items: {$ref: '#/$defs/Box'}, default: [{kind: box, width: 3}]"
    assert module_of(model_of(document(boxes))).GeneratedInput().a[0].width == 3


@pytest.mark.parametrize(
    "schema",
    [
        "format: date, default: '1704067200'",
        "format: date-time, default: noon",
        "format: time, default: '8'",
        "format: file-reference, default: ''",
        "format: file-reference, default: 'gopher://host/file'",
        "type: array, items: {format: date}, default: [today]",
    ],
)
def test_default_that_would_fail_on_import_is_refused(schema: str) -> None:
    """A text that is no date, time or file cannot be a default."""
    with pytest.raises(DefinitionError) as caught:
        model_of(document(schema))
    assert [problem.rule for problem in caught.value.problems] == ["bad-default"]


@pytest.mark.parametrize(
    "schema",
    [
        "type: array, items: {type: number, x-unit: m}",
        "prefixItems: [{type: number, x-unit: m}, {type: number, x-unit: m}]",
        "additionalProperties: {type: number, x-unit: m}",
        "type: array, items: {type: number, x-unit: m}, optional: true",
    ],
)
def test_unit_of_parts_is_the_fields(schema: str) -> None:
    """A list of metres is recorded in metres."""
    properties = module_of(model_of(document(schema))).GeneratedInput.model_json_schema()
    assert properties["properties"]["a"]["x-unit"] == "m"


RECORDS = ["seeds_readme", "run_record_scythe_engine", "run_record_ours", "run_record_inline"]


@pytest.mark.parametrize("case", RECORDS)
def test_record_of_a_run_gives_a_repository(case: str) -> None:
    """What a run wrote, ours or scythe-engine's, has specs, fields and a stub, without the base classes' fields."""
    text = (CASES / "parse" / case / "io.yaml").read_text("utf-8")
    model = parse(parse_text(text))
    assert not {field.name for field in model.inputs} & BASE_INPUT_FIELDS
    assert "StorageSettings" not in specs_text(model)
    for path, content in {
        **derived_files(model, "office"),
        **user_files(model, "office", text),
    }.items():
        if path.endswith(".py"):
            compile(content, path, "exec")


ACCEPTED = sorted(
    path.parent
    for path in CASES.glob("*/*/io.yaml")
    if not (path.parent / "stderr.txt").exists() and path.parents[1].name != "hostile"
)


@pytest.mark.parametrize("case", ACCEPTED, ids=lambda case: case.name)
def test_record_of_generated_specs_gives_the_same_specs(case: Path) -> None:
    """What a run of the generated classes writes down generates these classes again."""
    model = model_of((case / "io.yaml").read_text("utf-8"))
    module = module_of(model)
    record = io_spec(module.GeneratedInput, module.GeneratedOutput).decode()
    again = specs_text(model_of(record))
    # aliases of types may stand elsewhere
    assert sorted(again.split()) == sorted(specs_text(model).split())
