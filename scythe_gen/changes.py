"""What changed from one definition to another, field by field."""

import json
from pathlib import Path
from typing import Any, Final

from scythe_gen.schema import IOModel
from scythe_runtime.iodiff import Change, compare

DEFINITION: Final = "definition.json"


def definition_text(model: IOModel) -> str:
    """Return the text of the derived file that keeps what the fields were, for the next comparison."""
    return json.dumps(_io_spec(model), indent=1, ensure_ascii=False) + "\n"


def changes_between(old: IOModel, new: IOModel) -> list[Change]:
    """Return what changed, in the order of the fields."""
    return compare(_io_spec(old), _io_spec(new))


def changes_since(folder: Path, model: IOModel) -> list[Change]:
    """Return what changed since the files in a folder were derived; nothing where that is not known.

    Args:
        folder: The repository's `_generated`.
        model: What its io.yaml says now.
    """
    try:
        return compare(json.loads((folder / DEFINITION).read_text("utf-8")), _io_spec(model))
    except (OSError, ValueError, AttributeError, TypeError):
        return []


def _io_spec(model: IOModel) -> dict[str, Any]:
    """Return a definition in the form of a run's io spec."""
    sides = {
        side: {
            "properties": {field.name: dict(field.schema) for field in fields},
            "required": [field.name for field in fields if field.required],
        }
        for side, fields in (("input", model.inputs), ("output", model.outputs))
    }
    return {"$defs": dict(model.definitions), "properties": sides}
