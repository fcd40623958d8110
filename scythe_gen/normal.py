"""Normal: one schema in the full form, with what later stages ask about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from scythe_gen.notes import Steps
from scythe_gen.schema import Column, Kind

ANNOTATIONS: Final = ("title", "description", "default", "examples", "x-unit", "x-sample")
"""The annotations that the full form keeps, in their order."""


@dataclass(frozen=True, slots=True)
class Normal:
    """One schema in the full form, and what later stages ask about it.

    Attributes:
        core: What a value must be, nullability and annotations aside.
        annotations: In the order of `ANNOTATIONS`.
        paths: Where the keywords stand in the document.
        columns: Of a frame.
        optional: `optional: true` of the short form.
        numeric: Whether a unit makes sense.
        item_unit: The unit of its items.
        depth: Levels of schemas below it, itself included.
        size: Number of schemas, itself included, references to objects not followed.
    """

    core: Mapping[str, Any]
    kind: Kind
    nullable: bool = False
    annotations: Mapping[str, Any] = field(default_factory=dict)
    paths: Mapping[str, Steps] = field(default_factory=dict)
    columns: tuple[Column, ...] = ()
    optional: bool = False
    numeric: bool = False
    item_unit: str | None = None
    depth: int = 1
    size: int = 1

    @property
    def schema(self) -> dict[str, Any]:
        """The whole schema in the full form."""
        core = {"anyOf": [self.core, {"type": "null"}]} if self.nullable else self.core
        return {**core, **self.annotations}

    @property
    def unit(self) -> str | None:
        """Its own unit, else that of its items."""
        own: str | None = self.annotations.get("x-unit")
        return own or self.item_unit

    def annotated(self, annotations: Mapping[str, Any]) -> "Normal":
        """Return it with these annotations beside its own, which they replace."""
        merged = {**self.annotations, **annotations}
        return replace(self, annotations={key: merged[key] for key in ANNOTATIONS if key in merged})

    def completed(self, *, required: bool) -> "Normal":
        """Return it with a default of null where no value needs to be given and none is said."""
        if required or "default" in self.annotations or self.kind == "frame":
            return self
        return replace(self, nullable=True).annotated({"default": None})
