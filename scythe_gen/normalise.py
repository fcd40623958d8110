"""From the schemas of a document, as people and pydantic write them, to the full form.

One schema at a time, problems noted on the way. References to anything but objects are written out,
so that `$ref` in the full form always leads to a class.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from scythe_gen import keywords as kw
from scythe_gen.composites import Child, array, tuple_, union
from scythe_gen.constraints import Keywords, constraints, options
from scythe_gen.document import Document
from scythe_gen.errors import shown
from scythe_gen.flatten import Flat, flatten
from scythe_gen.frames import columns_of, frame_schema
from scythe_gen.kinds import kind_of, refuse_misfits
from scythe_gen.names import bad_identifier, bad_name, did_you_mean
from scythe_gen.normal import ANNOTATIONS, Normal
from scythe_gen.notes import Notes, Steps
from scythe_gen.schema import Kind
from scythe_gen.units import unit_reason
from scythe_gen.values import misfit

MAX_NESTING: Final = 30
MAX_SIZE: Final = 20_000

_REF: Final = re.compile(r"#/\$defs/([^/]+)")


class Normaliser:
    """Reads the schemas of one document.

    Attributes:
        definitions: The objects among the `$defs` that were referred to, in the full form.
    """

    def __init__(self, document: Document, notes: Notes, *, short: bool) -> None:
        self.definitions: dict[str, dict[str, Any]] = {}
        self._notes = notes
        self._short = short
        root = document.root if isinstance(document.root, dict) else {}
        defs = root.get("$defs", {})
        self._raw: dict[str, Any] = defs if isinstance(defs, dict) else {}
        self._done: dict[str, Normal | None] = {}
        self._open: list[str] = []

    def read(self, raw: object, path: Steps, label: str, level: int = 0) -> Normal | None:
        """Return a schema in the full form, or None when it cannot be used, with problems noted.

        Args:
            raw: As it stands in the document.
            path: Where it stands.
            label: What messages call it, for instance "input.r_value".
            level: How many schemas it stands in; 0 for an input or output.
        """
        if level > MAX_NESTING:
            self._notes.at_value(path, "too-deep", f"{label}: nested too deeply")
            return None
        flat = flatten(raw, path, label, self._notes, short=self._short)
        if flat is None:
            return None
        referring = "$ref" in flat.keywords
        normal = (self._reference if referring else self._plain)(flat, label, level)
        if normal is None:
            return None
        if normal.depth + level > MAX_NESTING or normal.size > MAX_SIZE:
            self._notes.at_value(path, "too-deep", f"{label}: nested too deeply, or too large")
            return None
        paths = {key: at for key, (_, at) in flat.keywords.items()}
        normal = replace(
            normal,
            nullable=normal.nullable or flat.nullable,
            optional=flat.optional,
            paths={**normal.paths, **paths},
        )
        return self._annotated(normal, flat.keywords, label, level)

    def required(self, normal: Normal, name: str, listed: list[str] | None) -> bool:
        """Return whether a value must be given: by the names listed, or else by the short form's rule."""
        if "default" in normal.annotations or normal.optional:
            return False
        return not normal.nullable if listed is None else name in listed

    def required_list(self, holder: Mapping[str, Any], path: Steps, label: str) -> list[str] | None:
        """Return the names under `required`; None where the short form's own rule counts."""
        if "required" not in holder:
            return None if self._short else []
        value = holder["required"]
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            message = f"{label}: required is a list of names"
            self._notes.at_value((*path, "required"), "bad-required", message)
            return None
        properties = holder.get("properties")
        known = list(properties) if isinstance(properties, dict) else []
        for index, name in enumerate(value):
            if name not in known:
                hint = did_you_mean(name, known)
                message = f"{label}: {shown(name)} is required, but not among the properties{hint}"
                self._notes.at_value((*path, "required", index), "bad-required", message)
        return value

    def definition(self, name: str, path: Steps, level: int = 0) -> Normal | None:
        """Return a definition in the full form; `path` and `level` are where it is asked for."""
        if name in self._open:
            chain = " → ".join([*self._open[self._open.index(name) :], name])
            message = f"{shown(chain)}: refers to itself; such a value would never end"
            self._notes.at_value(path, "recursive-ref", message)
            return None
        if name not in self._done:
            own = ("$defs", name)
            problem = bad_identifier(name)
            if problem:
                self._notes.at_key(own, *problem)
            self._open.append(name)
            normal = self.read(self._raw[name], own, f"$defs.{name}", level + 1)
            self._open.pop()
            self._done[name] = self._as_class(name, normal)
        return self._done[name]

    def _as_class(self, name: str, normal: Normal | None) -> Normal | None:
        if normal is None or normal.kind != "object" or "$ref" in normal.core:
            return normal
        own = {
            key: normal.annotations[key]
            for key in ("title", "description")
            if key in normal.annotations
        }
        self.definitions[name] = {**normal.core, **own}
        rest = {key: value for key, value in normal.annotations.items() if key not in own}
        return replace(normal, core={"$ref": f"#/$defs/{name}"}, annotations=rest, size=1)

    def _reference(self, flat: Flat, label: str, level: int) -> Normal | None:
        value, path = flat.keywords["$ref"]
        for key, (_, at) in flat.keywords.items():
            if key not in kw.ANNOTATIONS | {"$ref", "x-unit", "x-sample"}:
                message = f"{label}: {key} beside $ref is not supported; put it into the definition"
                self._notes.at_key(at, "unsupported-keyword", message)
        match = _REF.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            message = (
                f"{label}: $ref {shown(value)} leads out of $defs; only '#/$defs/NAME' is followed"
            )
            self._notes.at_value(path, "foreign-ref", message)
            return None
        name = match[1]
        if name not in self._raw:
            message = f"{label}: $defs has no {shown(name)}{did_you_mean(name, self._raw)}"
            self._notes.at_value(path, "dangling-ref", message)
            return None
        return self.definition(name, path, level)

    def _plain(  # noqa: PLR0911 - one a kind
        self, flat: Flat, label: str, level: int
    ) -> Normal | None:
        kind = kind_of(flat, label, self._notes)
        if kind is None:
            return None
        refuse_misfits(flat, kind, label, self._notes)
        keywords = flat.keywords

        def child(raw: object, path: Steps, label: str) -> Normal | None:
            return self.read(raw, path, label, level + 1)

        match kind:
            case "array":
                return array(flat, label, self._notes, child)
            case "tuple":
                return tuple_(flat, label, self._notes, child)
            case "union":
                return union(flat, label, self._notes, child, self.definitions)
            case "object":
                return self._object(flat, label, child)
            case "frame":
                return self._frame(keywords, label, level)
            case _:
                return self._scalar(kind, keywords, label)

    def _scalar(self, kind: Kind, keywords: Keywords, label: str) -> Normal | None:
        if kind in {"enum", "const"}:
            core = options(keywords, label, self._notes)
            return Normal(core, kind, numeric=core["type"] == "integer") if core else None
        if kind == "file":
            return Normal({"type": "string", "format": "file-reference"}, kind)
        if kind in {"date", "date-time", "time"}:
            return Normal({"type": "string", "format": kind}, kind)
        narrowed = constraints(kind, keywords, label, self._notes)
        return Normal({"type": kind, **narrowed}, kind, numeric=kind in {"number", "integer"})

    def _frame(self, keywords: Keywords, label: str, level: int) -> Normal | None:
        value, path = keywords["x-frame"]
        if level or not label.startswith("output."):
            message = f"{label}: x-frame describes an output, not a part of one nor an input"
            self._notes.at_key(path, "misplaced-keyword", message)
            return None
        columns = columns_of(value, path, label, self._notes)
        return Normal({"x-frame": frame_schema(columns)}, "frame", columns=columns)

    def _object(self, flat: Flat, label: str, child: Child) -> Normal | None:
        raw, path = flat.keywords.get("properties", ({}, flat.path))
        more, more_path = flat.keywords.get("additionalProperties", (None, flat.path))
        if not isinstance(raw, dict):
            message = f"{label}: properties maps names to schemas"
            self._notes.at_value(path, "bad-keyword-value", message)
            return None
        if raw and not isinstance(more, bool | None):
            message = f"{label}: with properties, additionalProperties can only be true or false"
            self._notes.at_key(more_path, "unsupported-keyword", message)
            more = None
        if not raw and isinstance(more, bool | None):
            message = f"{label} does not say what is in it; add properties"
            self._notes.at_key(flat.path, "no-properties", message)
            return None
        if not raw:
            values = child(more, more_path, f"{label}.*")
            if values and values.kind == "union":
                message = f"{label}: a map holds values of one kind; put the union into a list"
                self._notes.at_value(more_path, "bad-union", message)
                return None
            return values and Normal(
                {"type": "object", "additionalProperties": values.schema},
                "object",
                numeric=values.numeric,
                item_unit=values.unit,
                depth=values.depth + 1,
                size=values.size + 1,
            )
        children, required = self._properties(flat, raw, path, label, child)
        core: dict[str, Any] = {
            "type": "object",
            "properties": {name: normal.schema for name, normal in children.items()},
            "required": required,
        }
        return Normal(
            core if more is None else {**core, "additionalProperties": more},
            "object",
            depth=max((normal.depth for normal in children.values()), default=0) + 1,
            size=sum(normal.size for normal in children.values()) + 1,
        )

    def _properties(
        self, flat: Flat, raw: Mapping[str, Any], path: Steps, label: str, child: Child
    ) -> tuple[dict[str, Normal], list[str]]:
        """Return the properties of an object that can be used, and the names of the required ones."""
        holder = {key: value for key, (value, _) in flat.keywords.items()}
        listed = self.required_list(holder, path[:-1], label)
        children: dict[str, Normal] = {}
        required: list[str] = []
        for name, schema in raw.items():
            problem = bad_name(name)
            if problem:
                self._notes.at_key((*path, name), *problem)
            normal = child(schema, (*path, name), f"{label}.{name}")
            if normal is not None:
                needed = self.required(normal, name, listed)
                children[name] = normal.completed(required=needed)
                required += [name] if needed else []
        return children, required

    def _annotated(self, normal: Normal, keywords: Keywords, label: str, level: int) -> Normal:
        kept = {}
        for key in ANNOTATIONS:
            if key not in keywords:
                continue
            value, path = keywords[key]
            if key == "title" and value in _own_titles(path[-2]):
                continue
            if key == "default":
                self._check_default(normal, value, path, label)
            elif key == "x-unit":
                reason = unit_reason(value, numeric=normal.numeric)
                if reason:
                    self._notes.at_value(path, "bad-unit", f"{label}: {reason}")
                    continue
            elif key == "x-sample":
                if level or not label.startswith("input."):
                    message = f"{label}: x-sample describes an input as a whole"
                    self._notes.at_key(path, "misplaced-keyword", message)
                    continue
            elif not isinstance(value, list if key == "examples" else str):
                what = "a list" if key == "examples" else "text; put it in quotes"
                message = f"{label}: {key} must be {what}"
                self._notes.at_value(path, "bad-keyword-value", message)
                continue
            kept[key] = value
        return normal.annotated(kept)

    def _check_default(self, normal: Normal, value: object, path: Steps, label: str) -> None:
        if value is None:
            wrong: tuple[Steps, str] | None = None
            if not normal.nullable:
                wrong = ((), 'null is not allowed; write type: [..., "null"]')
        else:
            wrong = misfit(value, normal.core, self.definitions)
        if wrong:
            at, reason = wrong
            message = f"{label}: the default does not fit: {reason}"
            self._notes.at_value((*path, *at), "bad-default", message)


def _own_titles(name: str | int) -> tuple[str, str]:
    """Return the titles that pydantic gives by itself to a field or a class of that name."""
    return str(name), str(name).replace("_", " ").title()
