"""Takes one schema apart: checks its keywords, and lifts the one real branch of anyOf and its like.

What pydantic writes as `anyOf: [{type: number}, {type: "null"}]`, people as `type: [number, "null"]`;
what pydantic writes for a file is an anyOf of URIs and paths. Here they become one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from scythe_gen import keywords as kw
from scythe_gen.constraints import Keywords
from scythe_gen.errors import shown
from scythe_gen.names import did_you_mean
from scythe_gen.notes import Notes, Steps


@dataclass(frozen=True, slots=True)
class Flat:
    """One schema as keywords that all apply at once.

    Attributes:
        path: Where it stands.
        keywords: Keyword → value and place; no combiners, no null.
        branches: Of a union; raw.
        nullable: Whether null is a value.
        optional: `optional: true` of the short form.
    """

    path: Steps
    keywords: Keywords
    branches: tuple[tuple[Any, Steps], ...] = ()
    nullable: bool = False
    optional: bool = False


def flatten(raw: object, path: Steps, label: str, notes: Notes, *, short: bool) -> Flat | None:
    """Return a schema's keywords, or None when it is none, with problems noted."""
    if isinstance(raw, str) and short:
        raw = _shorthand(raw, path, label, notes)
        if raw is None:
            return None
    if not isinstance(raw, Mapping):
        message = f"{label} needs a schema, for instance {{type: number}}, not {shown(raw)}"
        (notes.at_key if raw is None else notes.at_value)(path, "not-a-schema", message)
        return None
    known = kw.SCHEMA | {"optional"} if short else kw.SCHEMA
    keywords = {
        key: (value, (*path, key))
        for key, value in raw.items()
        if _known(key, (*path, key), notes, known)
    }
    optional, at = keywords.pop("optional", (False, path))
    if not isinstance(optional, bool):
        notes.at_value(at, "bad-keyword-value", f"{label}: optional must be true or false")
    nullable = _drop_null(keywords)
    flat = Flat(path, keywords, (), nullable, optional is True)
    combiners = [key for key in kw.COMBINERS if key in keywords]
    if len(combiners) > 1:
        message = f"{label}: {' and '.join(combiners)} together are not supported"
        notes.at_key(keywords[combiners[1]][1], "unsupported-keyword", message)
        return None
    return _lift(flat, combiners[0], label, notes, short=short) if combiners else flat


def _lift(flat: Flat, combiner: str, label: str, notes: Notes, *, short: bool) -> Flat | None:
    """Return the keywords with those of the combiner's one real branch, or with its branches."""
    keywords = dict(flat.keywords)
    value, at = keywords.pop(combiner)
    branches = _branches(value, at)
    if branches is None:
        notes.at_value(at, "bad-keyword-value", f"{label}: {combiner} is a list of schemas")
        return None
    real = [(branch, where) for branch, where in branches if not _is_null(branch)]
    nullable = flat.nullable or len(real) < len(branches)
    if len(real) == 1:
        inner = flatten(*real[0], label, notes, short=short)
        return inner and replace(
            inner,
            path=flat.path,
            keywords={**inner.keywords, **keywords},
            nullable=nullable or inner.nullable,
            optional=flat.optional or inner.optional,
        )
    if not real or combiner == "allOf":
        message = f"{label}: {combiner} is supported for one schema (and null); write it out"
        notes.at_key(at, "unsupported-keyword", message)
        return None
    if all(_is_file(branch) for branch, _ in real):
        return replace(
            flat, keywords={**keywords, "format": ("file-reference", at)}, nullable=nullable
        )
    return replace(flat, keywords=keywords, branches=tuple(real), nullable=nullable)


def check_keywords(
    holder: Mapping[str, Any], path: Steps, notes: Notes, known: frozenset[str]
) -> None:
    """Note the keywords of a mapping that are not among the known ones."""
    for key in holder:
        _known(key, (*path, key), notes, known)


def _known(key: str, path: Steps, notes: Notes, known: frozenset[str]) -> bool:
    """Return whether a keyword counts; note a problem when it is none. Foreign x- keywords are dropped."""
    if key in known:
        return True
    if kw.names_python(key):
        message = (
            f"{shown(key)} could make generated code import Python; a definition cannot use it"
        )
        notes.at_key(path, "names-python", message)
    elif key in kw.FOREIGN:
        hint = kw.FOREIGN[key]
        message = f"{shown(key)} is not supported" + (f"; {hint}" if hint else "")
        notes.at_key(path, "unsupported-keyword", message)
    elif key == "optional":
        message = "'optional' belongs to the short form; leave the name out of required"
        notes.at_key(path, "unsupported-keyword", message)
    elif key in kw.OWN or key in kw.SCHEMA | kw.FULL_ROOT:
        notes.at_key(path, "misplaced-keyword", f"{shown(key)} does not belong here")
    elif not key.startswith("x-") or did_you_mean(key, kw.OWN, cutoff=0.75):
        hint = did_you_mean(key, known) or " is no keyword here; notes of your own begin with x-"
        notes.at_key(path, "unknown-keyword", f"{shown(key)}{hint}")
    return False


def _shorthand(name: str, path: Steps, label: str, notes: Notes) -> dict[str, Any] | None:
    if name == "file":
        return {"format": "file-reference"}
    if name in kw.SHORTHAND:
        return {"type": name}
    notes.at_value(path, "bad-type", f"{label}: {type_hint(name, kw.SHORTHAND)}")
    return None


def type_hint(declared: object, known: tuple[str, ...]) -> str:
    """Return what to write instead of a type that is none of the known ones."""
    if isinstance(declared, list):
        return f"several types {shown(declared)} do not fit one column; choose one"
    if isinstance(declared, str):
        if declared in kw.OTHER_NAMES:
            return f"type {shown(declared)} is called '{kw.OTHER_NAMES[declared]}' here"
        form = "file-reference" if declared == "file" else declared
        if form in kw.FORMATS:
            return f"type {shown(declared)} is written {{format: {form}}}"
    return f"{shown(declared)} is no type ({', '.join(known)}){did_you_mean(declared, known)}"


def _drop_null(keywords: dict[str, tuple[Any, Steps]]) -> bool:
    """Take null out of type and enum; return whether it was there."""
    nullable = False
    if "type" in keywords and isinstance(keywords["type"][0], list):
        types, at = keywords["type"]
        real = [name for name in types if name not in ("null", None)]
        nullable = len(real) < len(types)
        keywords["type"] = (real[0] if len(real) == 1 else types, at)
    if "enum" in keywords and isinstance(keywords["enum"][0], list):
        values, at = keywords["enum"]
        kept = [value for value in values if value is not None]
        nullable = nullable or len(kept) < len(values)
        keywords["enum"] = (kept, at)
        if "const" in keywords and kept == [keywords["const"][0]]:
            del keywords["enum"]  # older pydantic writes a literal of one value twice
    return nullable


def _branches(value: object, path: Steps) -> list[tuple[Any, Steps]] | None:
    """Return the branches, those of an anyOf within an anyOf lifted."""
    if not isinstance(value, list):
        return None
    found: list[tuple[Any, Steps]] = []
    for index, branch in enumerate(value):
        at = (*path, index)
        if (
            isinstance(branch, Mapping)
            and set(branch) <= {"anyOf", "title", "description"}
            and branch.get("anyOf")
        ):
            found += _branches(branch["anyOf"], (*at, "anyOf")) or [(branch, at)]
        else:
            found.append((branch, at))
    return found


def _is_null(branch: object) -> bool:
    return isinstance(branch, Mapping) and branch.get("type") == "null"


def _is_file(branch: object) -> bool:
    return (
        isinstance(branch, Mapping)
        and branch.get("type") == "string"
        and str(branch.get("format")) in kw.FILE_FORMATS
    )
