"""Document → IOModel. Every problem is found before one is raised."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from scythe_gen import keywords as kw
from scythe_gen.document import Document
from scythe_gen.errors import DefinitionError, shown
from scythe_gen.flatten import check_keywords
from scythe_gen.names import bad_frame_name, bad_name
from scythe_gen.normal import Normal
from scythe_gen.normalise import Normaliser
from scythe_gen.notes import Notes, Steps
from scythe_gen.schema import Field, IOModel
from scythe_runtime.derived import definition_digest
from scythe_runtime.reserved import (
    BASE_INPUT_FIELDS,
    BASE_OUTPUT_FIELDS,
    INPUT_NAMES,
    OUTPUT_NAMES,
)
from scythe_runtime.sampling.rules import (
    Sampling,
    Variable,
    sampling_from_schema,
    variable_from_schema,
)

_SIDES: Final = ("input", "output")
# What the record of a run says of every experiment, and so of none.
_COMMONPLACES: Final = frozenset(
    {
        "ExperimentIO",
        "The input and output schema for the experiment.",
        "The input for the experiment.",
        "The output for the experiment.",
    }
)
# Problems of x-sample that only repeat what is wrong with the field itself.
_ECHOES: Final = frozenset(
    {"bounds-crossed", "missing-argument", "sample-out-of-bounds", "sample-not-allowed"}
)


def parse(document: Document) -> IOModel:
    """Return what a definition means.

    Raises:
        DefinitionError: It cannot be used; carries every problem, sorted by position.
    """
    return _Parser(document).parse()


class _Parser:
    def __init__(self, document: Document) -> None:
        self.text = document.text
        self.root = document.root
        self.notes = Notes(document)
        self.short = not (isinstance(self.root, dict) and "properties" in self.root)
        self.schemas = Normaliser(document, self.notes, short=self.short)
        self.descriptions: dict[str, str | None] = {}
        self.sides: set[str] = set()  # definitions that are the input or the output as a whole
        self.properties: dict[str, dict[str, Any]] = {}  # of the sides in the full form

    def parse(self) -> IOModel:
        if not isinstance(self.root, dict):
            message = "a definition is a mapping with input and output"
            self.notes.at_value((), "not-a-definition", message)
            raise DefinitionError(self.notes.problems)
        check_keywords(self.root, (), self.notes, kw.SHORT_ROOT if self.short else kw.FULL_ROOT)
        self._check_root()
        inputs, outputs = (self._side(side) for side in _SIDES)
        self._check_twice(inputs, outputs)
        self._check_unused()
        sampling, problems = sampling_from_schema(self.root.get("x-sampling"))
        for problem in problems:
            self.notes.at_value(("x-sampling", *problem.path), problem.rule, problem.message)
        if self.notes.problems:
            raise DefinitionError(self.notes.problems)
        return self._model(inputs, outputs, sampling or Sampling())

    def _check_root(self) -> None:
        for key in ("title", "description", "$schema", "$id"):
            if key in self.root and not isinstance(self.root[key], str):
                self.notes.at_value((key,), "bad-keyword-value", f"{key} must be text")
        if not isinstance(self.root.get("$defs", {}), dict):
            self.notes.at_value(("$defs",), "bad-keyword-value", "$defs maps names to schemas")
        if self.short:
            return
        if self.root.get("type", "object") != "object":
            self.notes.at_value(("type",), "bad-type", "the type of a definition is object")
        properties = self.root["properties"]
        if not isinstance(properties, dict):
            message = "properties has input and output"
            self.notes.at_value(("properties",), "bad-keyword-value", message)
            return
        known = frozenset(_SIDES)
        check_keywords(properties, ("properties",), self.notes, known)
        self.schemas.required_list(self.root, (), "the definition")

    def _side(self, side: str) -> tuple[Field, ...]:
        """Return the fields of `input` or `output`."""
        holder = self.root if self.short else self.root["properties"]
        start: Steps = () if self.short else ("properties",)
        if not isinstance(holder, dict):
            return ()
        path = (*start, side)
        if side not in holder:
            message = f"{side} is missing; an experiment has at least one {side}"
            self.notes.at_key(start, f"no-{side}", message)
            return ()
        raw = holder[side]
        listed: list[str] | None = None
        if not self.short:
            found = self._object(raw, path, side)
            if found is None:
                return ()
            body, path = found
            listed = self.schemas.required_list(body, path, side)
            raw, path = body.get("properties", {}), (*path, "properties")
            self.properties[side] = raw if isinstance(raw, dict) else {}
        if not isinstance(raw, dict):
            self.notes.at_value(path, "not-a-schema", f"{side} maps names to schemas")
            return ()
        if self.short and _looks_full(raw):
            message = f"{side} is written as a whole schema; put input and output under properties:, or list the fields alone"
            self.notes.at_key(path, "mixed-forms", message)
            return ()
        fields = [
            self._field(side, name, schema, (*path, name), listed)
            for name, schema in raw.items()
            if self.short or not _is_base_field(side, name, schema)
        ]
        if not fields:
            message = f"{side} is empty; an experiment has at least one {side}"
            self.notes.at_key(path, f"no-{side}", message)
        return tuple(field for field in fields if field is not None)

    def _object(self, raw: object, path: Steps, side: str) -> tuple[dict[str, Any], Steps] | None:
        """Return the object schema of a side in the full form, its reference followed."""
        outer = raw
        seen: list[object] = []
        while isinstance(raw, dict) and "$ref" in raw and raw not in seen:
            seen.append(raw)
            reference = str(raw["$ref"])
            name = reference.removeprefix("#/$defs/")
            definitions = self.root.get("$defs")
            if not isinstance(definitions, dict) or name not in definitions or name == reference:
                message = f"{side}: $ref {shown(reference)} leads to no definition under $defs"
                rule = "dangling-ref" if name != reference else "foreign-ref"
                self.notes.at_value((*path, "$ref"), rule, message)
                return None
            check_keywords(
                raw, path, self.notes, frozenset({"$ref", "title", "description", "$comment"})
            )
            path, raw = ("$defs", name), definitions[name]
            self.sides.add(name)
        if not isinstance(raw, dict) or "$ref" in raw:
            message = f"{side} needs a schema of type object"
            self.notes.at_value(path, "not-a-schema", message)
            return None
        allowed = kw.BY_KIND["object"] | {"type", "title", "description", "$comment"}
        check_keywords(raw, path, self.notes, allowed)
        if raw.get("type", "object") != "object":
            self.notes.at_value((*path, "type"), "bad-type", f"the type of {side} is object")
        for holder in (raw, outer):
            text = holder.get("description") if isinstance(holder, dict) else None
            if isinstance(text, str) and text not in _COMMONPLACES:
                self.descriptions.setdefault(side, text)
        return raw, path

    def _field(
        self, side: str, name: str, raw: object, path: Steps, listed: list[str] | None
    ) -> Field | None:
        problem = bad_name(name, INPUT_NAMES if side == "input" else OUTPUT_NAMES)
        before = len(self.notes.problems)
        if problem:
            self.notes.at_key(path, *problem)
        label = f"{side}.{name}"
        normal = self.schemas.read(raw, path, label)
        if normal is None:
            return None
        if normal.kind == "frame":
            clash = bad_frame_name(name)
            if clash:
                self.notes.at_key(path, *clash)
        required = self.schemas.required(normal, name, listed)
        normal = normal.completed(required=required)
        sound = len(self.notes.problems) == before
        variable = (
            self._variable(name, normal, path, required=required, sound=sound)
            if side == "input"
            else None
        )
        return Field(
            name=name,
            kind=normal.kind,
            schema=normal.schema,
            required=required,
            nullable=normal.nullable,
            position=self.notes.position(path),
            description=normal.annotations.get("description"),
            unit=normal.unit,
            variable=variable,
            columns=normal.columns,
        )

    def _variable(
        self, name: str, normal: Normal, path: Steps, *, required: bool, sound: bool
    ) -> Variable | None:
        schema = normal.schema
        if "$ref" in normal.core:
            target = str(normal.core["$ref"]).removeprefix("#/$defs/")
            schema = {**self.schemas.definitions[target], **normal.annotations}
        variable, problems = variable_from_schema(name, schema, required=required)
        for problem in problems:
            if sound or problem.rule not in _ECHOES:
                head, *rest = problem.path or ("x-sample",)
                where = (*normal.paths.get(str(head), (*path, head)), *rest)
                message = f"input.{name}: {problem.message}"
                self.notes.at_value(where, problem.rule, message)
        return variable

    def _check_twice(self, inputs: tuple[Field, ...], outputs: tuple[Field, ...]) -> None:
        first = {field.name: field.position for field in inputs}
        for field in outputs:
            if field.name in first:
                message = f"{shown(field.name)} is an input too (line {first[field.name].line}); rename one"
                self.notes.at(field.position, "name-twice", message)

    def _check_unused(self) -> None:
        """Check the definitions that nothing uses, but for those that the base classes brought along."""
        definitions = self.root.get("$defs")
        if not isinstance(definitions, dict):
            return
        foreign = self._of_base_fields(definitions)
        used = set(self.schemas.definitions)
        for name in definitions:
            if name not in foreign | self.sides:
                self.schemas.definition(name, ("$defs", name))
        for name in set(self.schemas.definitions) - used:
            del self.schemas.definitions[name]

    def _of_base_fields(self, definitions: Mapping[str, Any]) -> set[str]:
        """Return the definitions that lead from the base classes' own fields."""
        found: set[str] = set()
        for side, properties in self.properties.items():
            for name, schema in properties.items():
                if _is_base_field(side, name, schema):
                    _references(schema, found)
        todo = list(found)
        while todo:
            more: set[str] = set()
            _references(definitions.get(todo.pop()), more)
            todo += more - found
            found |= more
        return found

    def _model(
        self, inputs: tuple[Field, ...], outputs: tuple[Field, ...], sampling: Sampling
    ) -> IOModel:
        title, description = (
            None if text in _COMMONPLACES else text
            for text in (self.root.get("title"), self.root.get("description"))
        )
        described = [self.descriptions.get(side) for side in _SIDES]
        meaning = {
            "title": title,
            "description": description,
            "input_description": described[0],
            "output_description": described[1],
            "input": [[field.name, field.required, field.schema] for field in inputs],
            "output": [[field.name, field.required, field.schema] for field in outputs],
            "definitions": self.schemas.definitions,
            "sampling": repr(sampling),
        }
        return IOModel(
            title=title,
            description=description,
            inputs=inputs,
            outputs=outputs,
            sampling=sampling,
            digest=hashlib.sha256(json.dumps(meaning).encode()).hexdigest(),
            written=definition_digest(self.text),
            definitions=self.schemas.definitions,
            input_description=described[0],
            output_description=described[1],
        )


def _looks_full(fields: Mapping[str, Any]) -> bool:
    return "$ref" in fields or isinstance(fields.get("properties"), dict)


def _is_base_field(side: str, name: str, schema: object) -> bool:
    """Return whether a property of a run's record is the base class's own, by its name and shape."""
    if name not in (BASE_INPUT_FIELDS if side == "input" else BASE_OUTPUT_FIELDS):
        return False
    if not isinstance(schema, dict):
        return False
    plain = {"experiment_id": "string", "sort_index": "integer", "dataframes": "object"}
    if name in plain:
        return schema.get("type") == plain[name]
    return bool({"anyOf", "allOf", "oneOf", "$ref"} & set(schema))


def _references(schema: object, found: set[str], levels: int = 60) -> None:
    """Add the names of the definitions that a schema refers to."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if isinstance(reference, str):
            found.add(reference.removeprefix("#/$defs/"))
        if levels > 1:
            for value in schema.values():
                _references(value, found, levels - 1)
    elif isinstance(schema, list):
        for value in schema:
            _references(value, found, levels - 1)
