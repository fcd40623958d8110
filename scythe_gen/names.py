"""What a field, a definition or a column may be called."""

import keyword
import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from scythe_gen.errors import shown
from scythe_runtime.layout import RESERVED_FRAMES
from scythe_runtime.reserved import MODEL_MEMBERS

MAX_NAME: Final = 60

# Generated classes use them as types, so a field would have to hide behind an alias.
TYPE_NAMES: Final = frozenset(
    {"bool", "bytes", "dict", "float", "frozenset", "int", "list", "object", "set", "str", "tuple"}
)
# pydantic warns of fields in its own name space.
_MODEL_PREFIXES: Final = ("model_dump", "model_validate")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def bad_name(name: str, reserved: frozenset[str] = MODEL_MEMBERS) -> tuple[str, str] | None:
    """Return the rule and the message against a field's name, or None when it is a good one.

    Args:
        name: As written.
        reserved: Names that the generated class has already.
    """
    problem = bad_identifier(name)
    if problem:
        return problem
    if name in reserved or name.startswith(_MODEL_PREFIXES):
        reason = "is a name that the generated class has already"
    elif name in TYPE_NAMES:
        reason = "is the name of a type in the generated code"
    else:
        return None
    return (
        "reserved-name",
        f"{shown(name)} {reason}; rename it, for instance {shown(f'{name}_value')}",
    )


def bad_identifier(name: str) -> tuple[str, str] | None:
    """Return the rule and the message against a name in code, or None when it is a good one."""
    if keyword.iskeyword(name):
        message = (
            f"{shown(name)} is a keyword of Python; rename it, for instance '{name.lower()}_value'"
        )
        return "reserved-name", message
    if _NAME.fullmatch(name) and len(name) <= MAX_NAME:
        return None
    if len(name) > MAX_NAME:
        return "bad-name", f"{shown(name)} is longer than {MAX_NAME} characters"
    better = _clean(name)
    hint = f"; try {shown(better)}" if better else ""
    message = f"{shown(name)} is no name for a field: a letter first, then letters, digits and _"
    return "bad-name", message + hint


def bad_frame_name(name: str) -> tuple[str, str] | None:
    """Return the rule and the message against a frame's name beyond those of any output."""
    if name not in RESERVED_FRAMES:
        return None
    return "reserved-name", f"{shown(name)} is a table of every run; rename the frame"


def did_you_mean(name: object, known: Iterable[str], cutoff: float = 0.7) -> str:
    """Return "; did you mean 'x'?" for the nearest known name, or nothing."""
    near = get_close_matches(str(name)[:MAX_NAME], list(known), n=1, cutoff=cutoff)
    return f"; did you mean {shown(near[0])}?" if near else ""


def _clean(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
    clean = re.sub(r"[^A-Za-z0-9]+", "_", spaced).strip("_").lower().lstrip("0123456789_")
    return f"{clean}_value" if keyword.iskeyword(clean) else clean
