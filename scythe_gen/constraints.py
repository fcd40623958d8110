"""Checks the keywords that narrow a value: bounds, lengths, patterns, enums."""

import math
from collections.abc import Mapping
from typing import Any, Final

from scythe_gen.errors import shown
from scythe_gen.notes import Notes, Steps
from scythe_gen.schema import Kind
from scythe_gen.values import pattern_problem

Keywords = Mapping[str, tuple[Any, Steps]]
"""Keyword → its value and where it stands."""

_NUMERIC: Final = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")
_COUNTS: Final = ("minLength", "maxLength", "minItems", "maxItems")
_TYPE_NAMES: Final[Mapping[type, str]] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    float: "number",
}


def constraints(kind: Kind, keywords: Keywords, label: str, notes: Notes) -> dict[str, Any]:
    """Return the keywords that narrow a value of that kind, in a fixed order; wrong ones are noted."""
    kept: dict[str, Any] = {}
    for name in (*_NUMERIC, *_COUNTS, "pattern"):
        if name not in keywords:
            continue
        value, path = keywords[name]
        wrong = _wrong(kind, name, value)
        if wrong is None:
            kept[name] = value
        else:
            notes.at_value(path, "bad-keyword-value", f"{label}: {name} {wrong}")
    if kind in {"number", "integer"}:
        _ordered_bounds(kind, kept, keywords, label, notes)
    for low, high in (("minLength", "maxLength"), ("minItems", "maxItems")):
        if low in kept and high in kept and kept[low] > kept[high]:
            message = f"{label}: {high} {kept[high]} is below {low} {kept[low]}. Swap them or widen the range."
            notes.at_key(keywords[high][1], "bounds-crossed", message)
            del kept[low], kept[high]
    return kept


def options(keywords: Keywords, label: str, notes: Notes) -> dict[str, Any] | None:
    """Return type and `enum` or `const` as they are in the full form, or None with problems noted.

    A null in the enum must have been taken out before.
    """
    name = "enum" if "enum" in keywords else "const"
    value, path = keywords[name]
    if name == "enum" and (not isinstance(value, list) or not value):
        notes.at_value(path, "bad-enum", f"{label}: enum is a list of at least one value")
        return None
    values = value if name == "enum" else [value]
    kinds = {_TYPE_NAMES.get(type(item)) for item in values}
    if len(kinds) > 1 or None in kinds:
        message = f"{label}: {name} takes text, integers or booleans, all of one type"
        notes.at_value(path, "bad-enum", message)
        return None
    kind = kinds.pop()
    if kind == "number":
        instead = "{dist: values, values: [...]}" if name == "enum" else "{dist: fixed, value: ...}"
        message = (
            f"{label}: {name} cannot hold fractions; use type: number with x-sample: {instead}"
        )
        notes.at_value(path, "bad-enum", message)
        return None
    declared, type_path = keywords.get("type", (kind, ()))
    if declared != kind and not (declared == "number" and kind == "integer"):
        message = f"{label}: type {declared} does not fit {name} {shown(values[0])}"
        notes.at_value(type_path, "bad-enum", message)
    if len(set(values)) < len(values):
        twice = next(item for item in values if values.count(item) > 1)
        message = f"{label}: {shown(twice)} stands twice in the enum; remove one"
        notes.at_value(path, "bad-enum", message)
    return {"type": kind, name: value}


def _wrong(kind: Kind, name: str, value: object) -> str | None:
    """Return what is wrong with a keyword's value, or None."""
    if name in _NUMERIC:
        return _wrong_number(kind, name, value)
    if name in _COUNTS:
        good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        return None if good else f"must be a whole number of at least 0, not {shown(value)}"
    if not isinstance(value, str):
        return f"must be text, not {shown(value)}"
    problem = pattern_problem(value)
    return problem and f"{shown(value)} is no regular expression that can be used: {problem}"


def _wrong_number(kind: Kind, name: str, value: object) -> str | None:
    if isinstance(value, bool) and name.startswith("exclusive"):
        return "is a number, the bound itself; true and false are the draft-04 form"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"must be a number, not {shown(value)}"
    if kind == "integer" and value % 1:
        return f"must be a whole number, as the value is one, not {shown(value)}"
    if name == "multipleOf" and value <= 0:
        return f"must be above 0, not {shown(value)}"
    return None


def _ordered_bounds(
    kind: Kind, kept: dict[str, Any], keywords: Keywords, label: str, notes: Notes
) -> None:
    lows = [name for name in ("minimum", "exclusiveMinimum") if name in kept]
    highs = [name for name in ("maximum", "exclusiveMaximum") if name in kept]
    for high in highs:
        for low in lows:
            if not _empty(kind, low, kept[low], high, kept[high]):
                continue
            if kept[high] < kept[low]:
                reason = (
                    f"{high} {kept[high]} is below {low} {kept[low]}. Swap them or widen the range."
                )
            else:
                what = "integer" if kind == "integer" else "number"
                reason = f"no {what} is between {low} {kept[low]} and {high} {kept[high]}. Widen the range."
            notes.at_key(keywords[high][1], "bounds-crossed", f"{label}: {reason}")
            for name in (*lows, *highs):
                del kept[name]
            return


def _empty(kind: Kind, low: str, least: float, high: str, most: float) -> bool:
    if kind == "integer":
        first = math.floor(least) + 1 if low.startswith("exclusive") else math.ceil(least)
        last = math.ceil(most) - 1 if high.startswith("exclusive") else math.floor(most)
        return first > last
    if low.startswith("exclusive") or high.startswith("exclusive"):
        return least >= most
    return least > most
