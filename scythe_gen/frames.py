"""Reads `x-frame`: the named, typed columns of an output that is a table."""

from typing import Any, Final

from scythe_gen.errors import shown
from scythe_gen.flatten import check_keywords
from scythe_gen.names import bad_identifier, did_you_mean
from scythe_gen.notes import Notes, Steps
from scythe_gen.schema import Column
from scythe_gen.units import unit_reason
from scythe_runtime.reserved import INDEX_LEVELS

_TYPES: Final = ("number", "integer", "string", "boolean", "date", "date-time")
_KEYWORDS: Final = frozenset({"type", "format", "x-unit", "description", "$comment"})


def columns_of(value: object, path: Steps, label: str, notes: Notes) -> tuple[Column, ...]:
    """Return the columns that `x-frame` names; what is wrong with them is noted."""
    if not isinstance(value, dict) or not value:
        message = (
            f"{label}: x-frame maps the names of columns to types, for instance {{hour: integer}}"
        )
        notes.at_value(path, "bad-frame", message)
        return ()
    columns = (_column(name, spec, (*path, name), label, notes) for name, spec in value.items())
    return tuple(column for column in columns if column)


def frame_schema(columns: tuple[Column, ...]) -> dict[str, Any]:
    """Return the columns as they stand in the full form."""
    return {column.name: _full(column) for column in columns}


def _full(column: Column) -> dict[str, Any]:
    dated = column.type in {"date", "date-time"}
    full = {"type": "string", "format": column.type} if dated else {"type": column.type}
    extra = {"description": column.description, "x-unit": column.unit}
    return full | {key: value for key, value in extra.items() if value is not None}


def _column(name: str, spec: object, path: Steps, label: str, notes: Notes) -> Column | None:
    label = f"{label}.{name}"
    problem = bad_identifier(name)
    if problem is None and name in INDEX_LEVELS:
        problem = ("reserved-name", f"'{name}' is put before every frame; rename the column")
    if problem:
        notes.at_key(path, *problem)
        return None
    if isinstance(spec, str):
        spec = {"type": spec}
    if not isinstance(spec, dict):
        notes.at_value(path, "bad-frame", f"{label}: a column is a type, for instance number")
        return None
    check_keywords(spec, path, notes, _KEYWORDS)
    kind = _type(spec, path, label, notes)
    unit, description = spec.get("x-unit"), spec.get("description")
    wrong = unit_reason(unit, numeric=kind in {"number", "integer"}) if "x-unit" in spec else None
    if wrong and kind:
        notes.at_value((*path, "x-unit"), "bad-unit", f"{label}: {wrong}")
    if not isinstance(description, str | None):
        message = f"{label}: description must be text"
        notes.at_value((*path, "description"), "bad-keyword-value", message)
    return Column(name, kind, unit, description) if kind else None


def _type(spec: dict[str, Any], path: Steps, label: str, notes: Notes) -> Any:
    """Return the type of a column, or None with a problem noted."""
    kind = spec.get("type", "string" if "format" in spec else None)
    if "format" in spec:
        if kind == "string" and spec["format"] in ("date", "date-time"):
            return spec["format"]
        message = f"{label}: the formats of a column are date and date-time"
        notes.at_value((*path, "format"), "bad-format", message)
        return None
    if kind in _TYPES:
        return kind
    hint = did_you_mean(kind, _TYPES)
    message = f"{label}: {shown(kind)} is no type of a column ({', '.join(_TYPES)}){hint}"
    notes.at_value((*path, "type"), "bad-type", message)
    return None
