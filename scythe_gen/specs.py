"""IOModel → text of the typed specs. The one home of datamodel-code-generator."""

import ast
import json
import re
import sys
import tempfile
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from scythe_gen.schema import Column, Field, IOModel

INPUT_CLASS: Final = "GeneratedInput"
OUTPUT_CLASS: Final = "GeneratedOutput"

_WIDTH = 100
_VALIDATE = "validate_default"
_RUNTIME = "scythe_runtime"
_FILE = f"{_RUNTIME}.FileReference"
_CONSTRUCTORS = {
    "date": ("_date.fromisoformat", "from datetime import date as _date"),
    "date-time": ("_datetime.fromisoformat", "from datetime import datetime as _datetime"),
    "time": ("_time.fromisoformat", "from datetime import time as _time"),
    "file-reference": ("_Path", "from pathlib import Path as _Path"),
}  # no field can hide these: a field's name begins with a letter


def specs_text(model: IOModel) -> str:
    """Return the Python source of the typed specs: one pydantic class for inputs, one for outputs.

    The text depends on the model alone, and nothing of the model becomes code: all strings of the
    document go through datamodel-code-generator or `repr`.

    Args:
        model: The parsed definition.

    Returns:
        A module that defines `GeneratedInput`, `GeneratedOutput` and what they nest.
    """
    imports: set[str] = set()  # of constructors of defaults
    frames = {field.name: field for field in model.outputs if field.kind == "frame"}
    outputs = tuple(field for field in model.outputs if field.kind != "frame")
    renamed = {name: _free_name(name) for name in model.definitions}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Experiment",
        "type": "object",
        "properties": {
            "input": {"$ref": f"#/$defs/{INPUT_CLASS}"},
            "output": {"$ref": f"#/$defs/{OUTPUT_CLASS}"},
        },
        "$defs": {
            **{renamed[name]: dict(schema) for name, schema in model.definitions.items()},
            INPUT_CLASS: _object(model.inputs, model.input_description, "Inputs"),
            OUTPUT_CLASS: _object(outputs, model.output_description, "Outputs"),
        },
    }
    prepared = _prepare(deepcopy(schema), renamed, imports)
    framed = ["collections.abc.Mapping", "typing.ClassVar"] if frames else []
    text = _with_imports(_generate(prepared, framed).rstrip("\n") + "\n", imports)
    return _with_frames(text, frames) if frames else text


def _object(
    fields: tuple[Field, ...], description: str | None, default_description: str
) -> dict[str, Any]:
    """Return the object schema of the inputs or of the outputs."""
    return {
        "type": "object",
        "description": description or f"{default_description} of the experiment.",
        "properties": {field.name: dict(field.schema) for field in fields},
        "required": [field.name for field in fields if field.required],
    }


def _free_name(name: str) -> str:
    """Return a name for a definition that cannot be taken for one of the two root classes."""
    taken = {INPUT_CLASS.lower(), OUTPUT_CLASS.lower(), "experiment"}
    return f"{name}Value" if re.sub(r"[\W_]", "", name).lower() in taken else name


def _prepare(node: Any, renamed: Mapping[str, str], imports: set[str]) -> Any:
    """Return a schema as datamodel-code-generator wants it, recursively.

    Files get their type, defaults become typed values, references follow renamed definitions, and
    a nullable schema keeps its constraints in place instead of in a type alias.
    """
    if isinstance(node, list):
        return [_prepare(item, renamed, imports) for item in node]
    if not isinstance(node, dict):
        return node
    node = lifted_unit(node)
    if "default" in node:
        if _by_validation(node["default"], node):
            node[_VALIDATE] = True
        node["default"] = _typed_default(node["default"], node, imports)
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        name = reference.removeprefix("#/$defs/").replace("~1", "/").replace("~0", "~")
        node["$ref"] = "#/$defs/" + renamed.get(name, name).replace("~", "~0").replace("/", "~1")
    node = _flat_nullable(node)
    literal = {"default", "const", "enum", "examples"}
    named = {"properties", "$defs"}
    result = {
        key: value
        if key in literal
        else {name: _prepare(item, renamed, imports) for name, item in value.items()}
        if key in named and isinstance(value, dict)
        else _prepare(value, renamed, imports)
        for key, value in node.items()
    }
    if result.get("format") == "file-reference":
        del result["format"]
        result["customTypePath"] = _FILE
    return result


def _flat_nullable(node: dict[str, Any]) -> dict[str, Any]:
    """Return `anyOf [{type: T, …}, {type: null}]` as `type: [T, null]` where that says the same.

    Null becomes a branch of a union, whose discriminator would be lost one level down.
    """
    match node.get("anyOf"):
        case [{"oneOf": list(branches)} as union, {"type": "null"}]:
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            return {**union, "oneOf": [*branches, {"type": "null"}], **rest}
        case [{"type": str(kind)} as inner, {"type": "null"}] if (
            kind in {"number", "integer", "string", "boolean"}
            and "format" not in inner
            and not (inner.keys() & {"enum", "const"})
            and not (inner.keys() & node.keys())
        ):
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            return {**inner, "type": [kind, "null"], **rest}
    return node


def lifted_unit(node: dict[str, Any]) -> dict[str, Any]:
    """Return a list's, tuple's or map's schema with the unit that all its parts share as its own.

    Only fields carry keywords of ours into the generated class, the parts of a list do not.
    """
    parts = [node.get("items"), node.get("additionalProperties")]
    parts += [*node.get("prefixItems", ()), *node.get("anyOf", ())]
    real = [part for part in parts if isinstance(part, dict) and part.get("type") != "null"]
    units = {lifted_unit(part).get("x-unit") for part in real}
    if "x-unit" in node or len(units) != 1 or units == {None}:
        return node
    return {**node, "x-unit": units.pop()}


class _Code:
    """A default that is written as an expression; what it quotes has gone through `repr` or JSON."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Code":
        return self


def _quoted(text: str) -> str:
    """Return the text as a literal of Python, in double quotes where that is as good."""
    return json.dumps(text) if text.isascii() else repr(text)


def _typed_default(default: Any, node: Mapping[str, Any], imports: set[str]) -> Any:
    """Return the default as a value of the field's own type, where JSON has only text for it."""
    options = (node, *node.get("anyOf", ()))
    if isinstance(default, int | float) and not isinstance(default, bool):
        kinds = {option.get("type") for option in options}
        if "number" in kinds:
            return float(default)
        return int(default) if "integer" in kinds else default
    if isinstance(default, str) and not _by_validation(default, node):
        for option in options:
            constructor = _CONSTRUCTORS.get(option.get("format", ""))
            if constructor:
                function, statement = constructor
                imports.add(statement)
                return _Code(f"{function}({_quoted(default)})")
    if isinstance(default, list | dict) or _by_validation(default, node):
        imports |= {"from typing import Any as _Any", "from typing import cast as _cast"}
        value = tuple(default) if "prefixItems" in node else default
        return _Code(f"_cast(_Any, {_quoted(value) if isinstance(value, str) else repr(value)})")
    return default


def _by_validation(default: Any, node: Mapping[str, Any]) -> bool:
    """Return whether pydantic has to make the default's value: of a URL, or of texts within a structure."""
    if isinstance(default, str):
        return "://" in default and _formats(node) == {"file-reference"}
    return isinstance(default, list | dict) and bool(_formats(node))


def _formats(schema: Any) -> set[str]:
    """Return the formats of a schema and of all within it, references apart."""
    parts = schema.values() if isinstance(schema, dict) else schema
    found = {schema["format"]} if isinstance(schema, dict) and "format" in schema else set()
    nested = (_formats(part) for part in parts if isinstance(part, dict | list))
    return found.union(*nested)


def _generate(schema: dict[str, Any], imports: list[str]) -> str:
    """Return what datamodel-code-generator writes for a prepared schema."""
    from datamodel_code_generator import InputFileType, generate
    from datamodel_code_generator.config import GenerateConfig
    from datamodel_code_generator.enums import DataModelType
    from datamodel_code_generator.format import DatetimeClassType, Formatter, PythonVersion
    from datamodel_code_generator.parser import LiteralType

    with tempfile.TemporaryDirectory() as name:
        # Otherwise the user's own pyproject.toml, found from the working directory, would decide on the format.
        settings = Path(name) / "pyproject.toml"
        settings.touch()
        config = GenerateConfig(
            input_file_type=InputFileType.JsonSchema,
            output_model_type=DataModelType.PydanticV2BaseModel,
            target_python_version=PythonVersion.PY_311,
            use_annotated=True,
            use_type_alias=True,
            strict_nullable=True,
            enum_field_as_literal=LiteralType.All,
            use_schema_description=True,
            skip_root_model=True,
            disable_timestamp=True,
            use_double_quotes=True,
            treat_dot_as_module=False,
            allow_remote_refs=False,
            strict_refs=True,
            field_extra_keys={"x-unit", _VALIDATE},
            output_datetime_class=DatetimeClassType.Datetime,
            base_class_map={
                INPUT_CLASS: f"{_RUNTIME}.ExperimentInputSpec",
                OUTPUT_CLASS: f"{_RUNTIME}.ExperimentOutputSpec",
            },
            additional_imports=imports,
            custom_file_header='"""Typed inputs and outputs of the experiment."""',
            formatters=[Formatter.BUILTIN],
            builtin_format_line_length=_WIDTH,
            settings_path=settings,
        )
        text = generate(schema, config=config)
    if not isinstance(text, str):  # more than one module: treat_dot_as_module is off
        raise TypeError(f"datamodel-code-generator returned {type(text).__name__}, not one module")
    return text


def _lines(text: str) -> list[str]:
    """Return the lines as Python counts them: U+2028 and its like, which a docstring may hold, end none."""
    return re.split(r"\r\n?|\n", text.removesuffix("\n"))


def _with_imports(text: str, imports: set[str]) -> str:
    """Return the module with more imports from the standard library, in the order that linters want."""
    if not imports:
        return text
    lines = _lines(text)
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
    future, own = nodes[0], nodes[1:]
    standard = [node for node in own if str(node.module).split(".")[0] in sys.stdlib_module_names]
    blocks = [
        (str(node.module), "\n".join(lines[node.lineno - 1 : node.end_lineno])) for node in standard
    ]
    blocks += [(statement.split()[1], statement) for statement in imports]
    ordered = sorted(blocks, key=lambda block: (block[0], " as " in block[1], block[1]))
    start = future.end_lineno or 0
    end = max((node.end_lineno or 0 for node in standard), default=start)
    return "\n".join([*lines[:start], "", *(block for _, block in ordered), *lines[end:], ""])


def _column_lines(column: Column) -> list[str]:
    """Return a column's entry: its type, or a mapping where there is more to say; what a run's record has of it."""
    name, notes = _quoted(column.name), {"x-unit": column.unit, "description": column.description}
    told = {key: value for key, value in notes.items() if value is not None}
    if not told:
        return [f"            {name}: {_quoted(column.type)},"]
    entries = {"type": column.type, **told}
    return [
        f"            {name}: {{",
        *(f"                {_quoted(key)}: {_quoted(value)}," for key, value in entries.items()),
        "            },",
    ]


def _with_frames(text: str, frames: Mapping[str, Field]) -> str:
    """Return the module with the table of frames, by which the base class checks what comes back."""
    block = ["    _frames: ClassVar[Mapping[str, Mapping[str, str | Mapping[str, str]]]] = {"]
    for name, field in frames.items():
        block.append(f"        {_quoted(name)}: {{")
        for column in field.columns:
            block += _column_lines(column)
        block.append("        },")
    block.append("    }")
    lines = _lines(text)
    end = next(
        node.end_lineno
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef) and node.name == OUTPUT_CLASS
    )
    return "\n".join([*lines[:end], "", *block, *lines[end:], ""])
