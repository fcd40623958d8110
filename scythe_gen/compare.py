"""Compares the generated classes with io.yaml: what they say of themselves, as a run would record it.

The classes describe themselves (pydantic's JSON schema), that description is parsed like any other
definition, and both models must say the same. So a constraint that the code generator dropped is an
error here, not a wrong sample later. For this the generated module has to run. Nothing of a document may,
so its syntax tree is first held against what generated code is made of: classes with annotated fields,
literals, imports and calls from short lists. Both together take some hundredths of a second.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from scythe_gen.document import Document
from scythe_gen.errors import DefinitionError, GeneratedCodeError, shown
from scythe_gen.parse import parse
from scythe_gen.schema import Field, IOModel, Position
from scythe_gen.specs import INPUT_CLASS, OUTPUT_CLASS, lifted_unit

_MODULES: Final = frozenset(
    {"__future__", "collections.abc", "datetime", "pathlib", "pydantic", "scythe_runtime"}
    | {"typing", "typing_extensions"}
)
_CALLS: Final = frozenset(
    {"ConfigDict", "Field", "TypeAliasType", "_Path", "_cast"}
    | {f"{name}.fromisoformat" for name in ("_date", "_datetime", "_time")}
)
_ALIASED: Final = "_aliased"  # what it appends to an import that a field has the name of
_NODES: Final = (
    # statements
    *(ast.Module, ast.ImportFrom, ast.alias, ast.ClassDef, ast.AnnAssign, ast.Assign, ast.Expr),
    # expressions
    *(ast.Name, ast.Load, ast.Store, ast.Attribute, ast.Call, ast.keyword, ast.Subscript),
    *(ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.UnaryOp, ast.USub, ast.BinOp, ast.BitOr),
)
_COMPARED: Final = frozenset(
    {
        "type",
        "format",
        "enum",
        "const",
        "pattern",
        "required",
        "additionalProperties",
    }
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
    | {"minLength", "maxLength", "minItems", "maxItems", "discriminator"}
)
_ANNOTATIONS: Final = frozenset({"default", "description", "examples", "x-unit"})
_ISO: Final[dict[str, Any]] = {"date": date, "date-time": datetime, "time": time}


def compare_specs(model: IOModel, text: str) -> None:
    """Check that the generated module says what the definition says.

    Args:
        model: The parsed definition.
        text: The module, as `specs_text` returns it.

    Raises:
        GeneratedCodeError: It does not, or is no module that could have been generated.
    """
    found = _described(_run(text))
    comparison = _Comparison(model.definitions, found.definitions)
    for side in ("inputs", "outputs"):
        comparison.fields(side[:-1], getattr(model, side), getattr(found, side))
    if comparison.problems:
        raise GeneratedCodeError("\n".join(comparison.problems))


def _run(text: str) -> ModuleType:
    """Return the module, run."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if not _expected(node):
            where = f"line {getattr(node, 'lineno', '?')}"
            code = shown(ast.unparse(node))
            raise GeneratedCodeError(f"{where}: {code} is not what specs are made of")
    module = ModuleType("scythe_gen_generated_specs")
    sys.modules[module.__name__] = module  # pydantic resolves annotations in it
    try:
        exec(compile(tree, module.__name__, "exec"), module.__dict__)  # noqa: S102 - see above
    except Exception as error:
        raise GeneratedCodeError(
            f"the module cannot be imported: {type(error).__name__}: {error}"
        ) from error
    finally:
        del sys.modules[module.__name__]
    return module


def _expected(node: ast.AST) -> bool:  # noqa: PLR0911 - one a kind of node
    """Return whether a node can be part of generated specs."""
    if not isinstance(node, _NODES):
        return False
    match node:
        case ast.ImportFrom():
            return node.module in _MODULES and node.level == 0
        case ast.ClassDef():
            return not node.decorator_list and all(
                isinstance(base, ast.Name) for base in node.bases
            )
        case ast.Call():
            called = ast.unparse(node.func).removesuffix(_ALIASED)
            types = node.args[1:] if called == "TypeAliasType" else []
            return called in _CALLS and not any(
                quoted for arg in types for quoted in _quoted_types(arg)
            )
        case ast.Attribute():
            return ast.unparse(node) in _CALLS
        case ast.AnnAssign():
            return not any(_quoted_types(node.annotation))
        case ast.Name():
            return "__" not in node.id
    return True


def _quoted_types(annotation: ast.AST) -> Iterator[ast.AST]:
    """Yield the strings that stand where types are: pydantic would evaluate them."""
    if isinstance(annotation, ast.Call):
        return
    if isinstance(annotation, ast.Subscript) and (
        ast.unparse(annotation.value).removesuffix(_ALIASED) == "Literal"
    ):
        return
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        yield annotation
    for child in ast.iter_child_nodes(annotation):
        yield from _quoted_types(child)


def _described(module: ModuleType) -> IOModel:
    """Return what the classes say of themselves, as a model."""
    from pydantic.json_schema import models_json_schema

    classes = (getattr(module, INPUT_CLASS), getattr(module, OUTPUT_CLASS))
    references, schema = models_json_schema([(each, "validation") for each in classes])
    definitions = schema["$defs"]
    sides = [references[each, "validation"] for each in classes]
    output = definitions[sides[1]["$ref"].removeprefix("#/$defs/")]
    frames = getattr(classes[1], "_frames", {})  # no fields of the class
    described = {name: {"x-frame": dict(columns)} for name, columns in frames.items()}
    output["properties"] = output.get("properties", {}) | described
    root = {"properties": dict(zip(("input", "output"), sides, strict=True)), "$defs": definitions}
    document = Document("the generated specs", "", root, (), Position(1, 1), {})
    try:
        return parse(document)
    except DefinitionError as error:
        raise GeneratedCodeError(
            "\n".join(problem.message for problem in error.problems)
        ) from error


class _Comparison:
    """Two models side by side; `problems` says where the second one differs."""

    def __init__(
        self, wanted: Mapping[str, Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self.problems: list[str] = []
        self._wanted = wanted
        self._found = found
        self._seen: set[tuple[str, str]] = set()  # pairs of definitions: each is compared once

    def fields(self, side: str, wanted: tuple[Field, ...], found: tuple[Field, ...]) -> None:
        """Compare the inputs or the outputs; frames stand behind the fields of the class."""
        frames, others = (
            [
                (each.name, [(c.name, c.type, c.unit, c.description) for c in each.columns])
                for each in fields
                if each.columns
            ]
            for fields in (wanted, found)
        )
        if frames != others:
            self.problems.append(f"{side} should have the frames {frames}, and has {others}")
        ours, theirs = (
            {each.name: each for each in fields if each.kind != "frame"}
            for fields in (wanted, found)
        )
        if list(ours) != list(theirs):
            self.problems.append(f"{side} should have {list(ours)}, and has {list(theirs)}")
        for name in ours.keys() & theirs.keys():
            if ours[name].required != theirs[name].required:
                self.problems.append(f"{side}.{name}: required should be {ours[name].required}")
            self.schemas(f"{side}.{name}", ours[name].schema, theirs[name].schema)

    def schemas(
        self, label: str, wanted: Mapping[str, Any], found: Mapping[str, Any], *, named: bool = True
    ) -> None:
        """Compare two schemas, and what they are made of; a part of a list has no name of its own."""
        pair = str(wanted.get("$ref")), str(found.get("$ref"))
        ours, theirs = _followed(wanted, self._wanted), _followed(found, self._found)
        mine, other = _plain(ours, named=named), _plain(theirs, named=named)
        for key in sorted(mine.keys() | other.keys()):
            if mine.get(key, _NOTHING) != other.get(key, _NOTHING):
                self.problems.append(
                    f"{label}: {key} should be {shown(mine.get(key, _NOTHING))}, "
                    f"and is {shown(other.get(key, _NOTHING))}"
                )
        if pair in self._seen:
            return
        if "None" not in pair:
            self._seen.add(pair)
        parts, others = dict(_parts(ours)), dict(_parts(theirs))
        if list(parts) != list(others):
            self.problems.append(f"{label} should have {list(parts)}, and has {list(others)}")
        for name in parts.keys() & others.keys():
            self.schemas(
                f"{label}.{name}",
                parts[name],
                others[name],
                named=name in ours.get("properties", {}),
            )


_NOTHING: Final = "left out"


def _followed(
    schema: Mapping[str, Any], definitions: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """Return a schema with its reference written out, and what stands beside that."""
    rest = {key: value for key, value in schema.items() if key != "$ref"}
    if "$ref" not in schema:
        return rest
    return {**definitions[schema["$ref"].removeprefix("#/$defs/")], **rest}


def _parts(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the schemas within a schema."""
    yield from schema.get("properties", {}).items()
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), Mapping):
            yield key, schema[key]
    for key in ("prefixItems", "anyOf", "oneOf"):
        for index, part in enumerate(schema.get(key, ())):
            yield f"{key}[{index}]", part


def _plain(schema: Mapping[str, Any], *, named: bool) -> dict[str, Any]:
    """Return a schema's own keywords in one of the ways in which they can be written.

    Left out are its parts, and what the generated classes do not have: titles, the sampling, and
    annotations of a list's parts (their unit is that of the list).
    """
    kept = _COMPARED | _ANNOTATIONS if named else _COMPARED
    made = {key: value for key, value in lifted_unit(dict(schema)).items() if key in kept}
    if isinstance(made.get("additionalProperties"), Mapping):
        del made["additionalProperties"]  # one of the parts
    if "const" in made:
        made["enum"] = [made.pop("const")]
    text = " ".join(made.pop("description", "").split())  # a docstring is laid out anew
    if text:
        made["description"] = text
    if "discriminator" in made:
        made["discriminator"] = made["discriminator"]["propertyName"]
    if made.get("type") == "integer" and made.get("multipleOf") == 1:
        del made["multipleOf"]
    if "required" in made:
        made["required"] = sorted(made["required"])
    if made.get("type") == "number":
        numeric = {key: float(value) for key, value in made.items() if type(value) is int}
        made |= numeric
    if "default" in made:
        made["default"] = _default(made["default"], schema)
    return made


def _default(value: Any, schema: Mapping[str, Any]) -> Any:
    """Return a default so that two ways to write one value are equal; texts within structures are left out."""
    if isinstance(value, list | dict):
        return f"{type(value).__name__} of {len(value)}"
    options = [schema, *schema.get("anyOf", ())]
    kind = next((option["format"] for option in options if "format" in option), None)
    if kind in _ISO:
        return _ISO[kind].fromisoformat(value) if value is not None else None
    if kind == "file-reference" and value is not None:
        return value if "://" in value else str(Path(value))
    return value
