"""What changed between two io specs, and which part of the version that moves. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from scythe_runtime.reserved import BASE_INPUT_FIELDS, BASE_OUTPUT_FIELDS

Level = Literal["major", "minor", "patch"]

_LEVELS: Final[tuple[Level, ...]] = ("major", "minor", "patch")
_NOTES: Final = frozenset({"title", "description", "examples", "default", "x-sample", "$comment"})
_LOWER: Final = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems"})
_UPPER: Final = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems"})


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    Attributes:
        level: What it does to the version.
        text: For instance "input.r_value: maximum lowered from 15 to 10".
    """

    level: Level
    text: str


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return what changed from one io spec to another, in the order of the fields.

    Removed, narrowed and changed fields, and changed units, are major: data of the two versions do
    not mix. Added fields and widened ones are minor.
    """
    changes: list[Change] = []
    for side in ("input", "output"):
        before, after = dict(_fields(old, side)), dict(_fields(new, side))
        changes += [
            Change("major", f"{side}.{name} was removed") for name in before if name not in after
        ]
        for name, schema in after.items():
            where = f"{side}.{name}"
            if name not in before:
                changes.append(Change("minor", f"{where} was added"))
            else:
                changes += _compare_field(where, before[name], schema)
    return changes


def highest(changes: list[Change]) -> Level | None:
    """Return the highest level among changes, None where there are none."""
    found = {change.level for change in changes}
    return next((level for level in _LEVELS if level in found), None)


def _fields(spec: Mapping[str, Any], side: str) -> Iterator[tuple[str, Any]]:
    """Yield a side's fields, base fields left out, references followed, notes dropped."""
    definitions = spec.get("$defs", {})
    described = _plain(spec.get("properties", {}).get(side, {}), definitions, ())
    required = set(described.get("required", ()))
    for name, schema in described.get("properties", {}).items():
        if name not in BASE_INPUT_FIELDS | BASE_OUTPUT_FIELDS:
            yield name, {**schema, "required": name in required}


def _plain(schema: Any, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    if isinstance(schema, list):
        return [_plain(item, definitions, within) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    if name and name in definitions and name not in within:
        beside = {k: v for k, v in schema.items() if k != "$ref"}
        return _plain({**definitions[name], **beside}, definitions, (*within, name))
    plain: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, Mapping):
            plain[key] = {k: _plain(v, definitions, within) for k, v in value.items()}
        elif key == "const":
            plain["enum"] = [value]  # an enum of one value, as another writer may put it
        elif key not in _NOTES:
            plain[key] = _plain(value, definitions, within)
    return plain


def _compare_field(where: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if key == "required":
            level: Level = "major" if after else "minor"
            yield Change(level, f"{where} is {'now' if after else 'no longer'} required")
        elif key == "x-unit":
            yield Change("major", f"{where}: unit changed from {before} to {after}")
        elif key in _LOWER or key in _UPPER:
            yield _bound(where, key, before, after)
        elif key == "enum" and isinstance(before, list) and isinstance(after, list):
            gone = [v for v in before if v not in after]
            if gone:
                yield Change("major", f"{where}: no longer takes {', '.join(map(repr, gone))}")
            else:
                more = [v for v in after if v not in before]
                yield Change("minor", f"{where}: also takes {', '.join(map(repr, more))}")
        elif key == "x-frame":
            yield from _compare_columns(where, before or {}, after or {})
        elif key.startswith("x-"):
            continue
        else:
            yield Change("major", f"{where}: {key} changed")


def _compare_columns(
    where: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    """Yield what changed in a frame's columns; a record may have their types only."""
    for name in (n for n in old if n not in new):
        yield Change("major", f"{where}: column {name} was removed")
    for name, column in new.items():
        if name not in old:
            yield Change("minor", f"{where}: column {name} was added")
        elif _column_type(old[name]) != _column_type(column):
            yield Change("major", f"{where}: type of column {name} changed")
        else:
            before, after = _unit(old[name]), _unit(column)
            if before and after and before != after:
                text = f"{where}: unit of column {name} changed from {before} to {after}"
                yield Change("major", text)


def _column_type(column: Any) -> Any:
    if not isinstance(column, Mapping):
        return column
    return column.get("format") or column.get("type")


def _unit(column: Any) -> Any:
    return column.get("x-unit") if isinstance(column, Mapping) else None


def _bound(where: str, key: str, before: Any, after: Any) -> Change:
    if after is None:
        return Change("minor", f"{where}: {key} {before} was dropped")
    if before is None:
        return Change("major", f"{where}: {key} {after} was added")
    narrowed = after > before if key in _LOWER else after < before
    moved = "raised" if after > before else "lowered"
    return Change(
        "major" if narrowed else "minor", f"{where}: {key} {moved} from {before} to {after}"
    )
