"""What kind of value a schema describes, and which of its keywords go with that."""

from typing import Any, Final

from scythe_gen import keywords as kw
from scythe_gen.errors import shown
from scythe_gen.flatten import Flat, type_hint
from scythe_gen.names import did_you_mean
from scythe_gen.notes import Notes
from scythe_gen.schema import Kind

_IMPLIED: Final[tuple[tuple[str, Kind], ...]] = (
    ("x-frame", "frame"),
    ("enum", "enum"),
    ("const", "const"),
)
_IMPLIED_WITHOUT_TYPE: Final[tuple[tuple[str, Kind], ...]] = (
    ("prefixItems", "tuple"),
    ("items", "array"),
    ("properties", "object"),
    ("additionalProperties", "object"),
)
_BY_TYPE: Final[dict[str, Kind]] = {
    "number": "number",
    "integer": "integer",
    "string": "string",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
}
_NOT_WITH_FRAMES: Final = frozenset({"default", "examples", "x-sample", "x-unit", "type"})


def kind_of(flat: Flat, label: str, notes: Notes) -> Kind | None:  # noqa: PLR0911 - one a sign
    """Return what the values are, or None with a problem noted."""
    if flat.branches:
        return "union"
    keywords = flat.keywords
    for key, kind in _IMPLIED:
        if key in keywords:
            return kind
    declared, path = keywords.get("type", (None, flat.path))
    if "format" in keywords and declared in (None, "string"):
        return _by_format(*keywords["format"], label, notes)
    if declared is None:
        for key, kind in _IMPLIED_WITHOUT_TYPE:
            if key in keywords:
                return kind
        message = f"{label} has no type; add for instance type: number"
        notes.at_key(flat.path, "no-type", message)
        return None
    if declared == "array" and "prefixItems" in keywords:
        return "tuple"
    if isinstance(declared, str) and declared in _BY_TYPE:
        return _BY_TYPE[declared]
    notes.at_value(path, "bad-type", f"{label}: {type_hint(declared, tuple(_BY_TYPE))}")
    return None


def refuse_misfits(flat: Flat, kind: Kind, label: str, notes: Notes) -> None:
    """Note the keywords that do not go with that kind of value."""
    everywhere = kw.ANNOTATIONS | {"type", "x-unit", "x-sample"}
    if kind == "frame":
        everywhere -= _NOT_WITH_FRAMES
    for key, (_, path) in flat.keywords.items():
        if key not in kw.BY_KIND[kind] | everywhere:
            what = "x-frame" if kind == "frame" else f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
            message = f"{label}: {key} does not go with {what}"
            notes.at_key(path, "keyword-not-for-type", message)


def _by_format(value: Any, path: tuple[str | int, ...], label: str, notes: Notes) -> Kind | None:
    if isinstance(value, str) and value in kw.FORMATS:
        return kw.FORMATS[value]
    known = ("date", "date-time", "time", "file-reference")
    hint = did_you_mean(value, known)
    message = f"{label}: format {shown(value)} is not supported ({', '.join(known)}){hint}"
    notes.at_value(path, "bad-format", message)
    return None
