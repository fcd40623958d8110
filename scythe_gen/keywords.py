"""The keywords of the definition language: which there are, and which go with which kind of value."""

from collections.abc import Mapping
from typing import Final

from scythe_gen.schema import Kind

TYPES: Final = ("number", "integer", "string", "boolean", "array", "object", "null")
SHORTHAND: Final = ("number", "integer", "string", "boolean", "file")
FORMATS: Final[Mapping[str, Kind]] = {
    "date": "date",
    "date-time": "date-time",
    "time": "time",
    "file-reference": "file",
    "file-path": "file",  # pydantic's FilePath and Path
    "path": "file",
}
OTHER_NAMES: Final[Mapping[str, str]] = {
    "float": "number",
    "double": "number",
    "int": "integer",
    "str": "string",
    "text": "string",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}
"""What types are called elsewhere."""

FILE_FORMATS: Final = frozenset({"uri", "path", "file-path", "file-reference"})

ANNOTATIONS: Final = frozenset({"title", "description", "default", "examples", "$comment"})
OWN: Final = frozenset({"x-unit", "x-sample", "x-frame", "x-sampling"})
COMBINERS: Final = ("anyOf", "oneOf", "allOf")

_NUMBER: Final = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)
BY_KIND: Final[Mapping[Kind, frozenset[str]]] = {
    "number": _NUMBER,
    "integer": _NUMBER,
    "string": frozenset({"minLength", "maxLength", "pattern"}),
    "boolean": frozenset(),
    "enum": frozenset({"enum"}),
    "const": frozenset({"const"}),
    "date": frozenset({"format"}),
    "date-time": frozenset({"format"}),
    "time": frozenset({"format"}),
    "file": frozenset({"format", "minLength"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "tuple": frozenset({"prefixItems", "items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "union": frozenset({"discriminator"}),
    "frame": frozenset({"x-frame"}),
}

SCHEMA: Final = (
    frozenset().union(*BY_KIND.values())
    | ANNOTATIONS
    | frozenset(COMBINERS)
    | frozenset({"type", "$ref", "x-unit", "x-sample", "x-frame"})
)
"""Every keyword that a field's schema may have, in either form."""

FULL_ROOT: Final = frozenset(
    {
        "$schema",
        "$id",
        "$defs",
        "$comment",
        "title",
        "description",
        "type",
        "properties",
        "required",
        "additionalProperties",
        "x-sampling",
    }
)
SHORT_ROOT: Final = frozenset(
    {"$schema", "$id", "$defs", "$comment", "title", "description", "input", "output", "x-sampling"}
)

FOREIGN: Final[Mapping[str, str]] = {
    "not": "",
    "if": "",
    "then": "",
    "else": "",
    "contains": "",
    "minContains": "",
    "maxContains": "",
    "patternProperties": "use additionalProperties, or name the properties",
    "propertyNames": "name the properties",
    "minProperties": "",
    "maxProperties": "",
    "dependentRequired": "",
    "dependentSchemas": "",
    "dependencies": "",
    "unevaluatedItems": "",
    "uniqueItems": "check it in a validator of your Input or Output class",
    "unevaluatedProperties": "use additionalProperties",
    "additionalItems": "use prefixItems",
    "definitions": "it is called $defs since 2019",
    "$anchor": "use #/$defs/NAME",
    "$dynamicAnchor": "use #/$defs/NAME",
    "$dynamicRef": "use $ref",
    "$recursiveRef": "use $ref",
    "$recursiveAnchor": "use $ref",
    "$vocabulary": "",
    "contentEncoding": "use format: file-reference",
    "contentMediaType": "use format: file-reference",
    "contentSchema": "",
    "deprecated": "say it in the description",
    "readOnly": "outputs go under output",
    "writeOnly": "inputs go under input",
    "nullable": 'write type: [number, "null"]',
}
"""Keywords of JSON Schema and OpenAPI that are not supported, and what to do instead."""


def names_python(keyword: str) -> bool:
    """Return whether a code generator could read a Python name from this keyword."""
    plain = keyword.lower().replace("-", "").replace("_", "").removeprefix("x")
    return plain.startswith(("customtype", "custombase", "python"))
