"""Lists, tuples and unions in the full form: schemas that are made of other schemas."""

from collections.abc import Callable, Mapping
from typing import Any

from scythe_gen.constraints import Keywords, constraints
from scythe_gen.errors import shown
from scythe_gen.flatten import Flat, check_keywords
from scythe_gen.normal import Normal
from scythe_gen.notes import Notes, Steps

Child = Callable[[object, Steps, str], Normal | None]
"""Reads a schema inside another one: raw, path and label → Normal, or None with problems noted."""


def array(flat: Flat, label: str, notes: Notes, child: Child) -> Normal | None:
    """Return a list whose items are all alike."""
    narrowed = constraints("array", flat.keywords, label, notes)
    if "items" not in flat.keywords:
        message = f"{label} does not say what its items are; add items: {{type: number}}"
        notes.at_key(flat.path, "no-items", message)
        return None
    raw, path = flat.keywords["items"]
    items = child(raw, path, f"{label}[]")
    if items is None:
        return None
    return Normal(
        {"type": "array", "items": items.schema, **narrowed},
        "files" if items.kind == "file" else "array",
        numeric=items.numeric,
        item_unit=items.unit,
        depth=items.depth + 1,
        size=items.size + 1,
    )


def tuple_(flat: Flat, label: str, notes: Notes, child: Child) -> Normal | None:
    """Return a list of fixed length, a schema for each position."""
    raw, path = flat.keywords["prefixItems"]
    if not isinstance(raw, list) or not raw:
        message = f"{label}: prefixItems is a list of schemas, one a position"
        notes.at_value(path, "bad-keyword-value", message)
        return None
    length = len(raw)
    _tuple_length(flat.keywords, length, label, notes)
    parts = [child(item, (*path, index), f"{label}[{index}]") for index, item in enumerate(raw)]
    found = [part for part in parts if part is not None]
    if len(found) < length:
        return None
    return Normal(
        {
            "type": "array",
            "prefixItems": [part.schema for part in found],
            "minItems": length,
            "maxItems": length,
        },
        "tuple",
        numeric=all(part.numeric for part in found),
        depth=max(part.depth for part in found) + 1,
        size=sum(part.size for part in found) + 1,
    )


def _tuple_length(keywords: Keywords, length: int, label: str, notes: Notes) -> None:
    for key in ("minItems", "maxItems"):
        value, path = keywords.get(key, (length, ()))
        if value != length or isinstance(value, bool):
            message = (
                f"{label}: {key} {shown(value)} does not fit its {length} prefixItems; leave it out"
            )
            notes.at_value(path, "bad-keyword-value", message)
    items, path = keywords.get("items", (False, ()))
    if items is not False:
        message = f"{label}: items beside prefixItems can only be false; leave it out"
        notes.at_value(path, "bad-keyword-value", message)


def union(
    flat: Flat,
    label: str,
    notes: Notes,
    child: Child,
    definitions: Mapping[str, Mapping[str, Any]],
) -> Normal | None:
    """Return one of several objects, told apart by a property with a constant."""
    tag = _tag_name(flat, label, notes)
    if tag is None:
        return None
    branches: list[Normal] = []
    by_tag: dict[str, Any] = {}
    for index, (raw, path) in enumerate(flat.branches):
        branch = child(raw, path, f"{label}|{index + 1}")
        if branch is None:
            continue
        branches.append(branch)
        tags = _tags(branch, tag, definitions)
        if not tags or branch.nullable:
            message = (
                f"{label}: each branch is an object with a required property {shown(tag)} "
                f"that is a text constant, for instance {{const: box}}"
            )
            notes.at_value(path, "bad-union", message)
        for text in tags:
            if text in by_tag:
                message = f"{label}: {shown(text)} stands for two branches"
                notes.at_value(path, "bad-union", message)
            by_tag[text] = branch.core.get("$ref")
    if len(branches) < len(flat.branches):
        return None
    return Normal(
        {
            "oneOf": [branch.schema for branch in branches],
            "discriminator": _discriminator(flat, tag, by_tag, label, notes),
        },
        "union",
        depth=max(branch.depth for branch in branches) + 1,
        size=sum(branch.size for branch in branches) + 1,
    )


def _tag_name(flat: Flat, label: str, notes: Notes) -> str | None:
    value, path = flat.keywords.get("discriminator", (None, flat.path))
    tag = value.get("propertyName") if isinstance(value, dict) else None
    if not isinstance(tag, str):
        message = (
            f"{label} may be one of several; name the property that tells them apart: "
            "oneOf: [...] with discriminator: {propertyName: kind}"
        )
        notes.at_key(path, "no-discriminator", message)
        return None
    check_keywords(value, path, notes, frozenset({"propertyName", "mapping"}))
    return tag


def _tags(branch: Normal, tag: str, definitions: Mapping[str, Mapping[str, Any]]) -> list[str]:
    core = branch.core
    if "$ref" in core:
        core = definitions[str(core["$ref"]).removeprefix("#/$defs/")]
    own = core.get("properties", {}).get(tag, {})
    tags = own.get("enum", [own["const"]] if "const" in own else [])
    return [text for text in tags if isinstance(text, str)]


def _discriminator(
    flat: Flat, tag: str, by_tag: Mapping[str, Any], label: str, notes: Notes
) -> dict[str, Any]:
    value, path = flat.keywords["discriminator"]
    if not all(by_tag.values()):  # branches that are written in place have no name to map to
        return {"propertyName": tag}
    if value.get("mapping", by_tag) != by_tag:
        message = f"{label}: mapping does not say what the branches say; leave it out"
        notes.at_value((*path, "mapping"), "bad-union", message)
    return {"propertyName": tag, "mapping": dict(by_tag)}
