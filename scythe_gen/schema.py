"""IOModel: what a definition means, once parsed. Frozen values that every later stage reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from scythe_runtime.sampling.rules import Sampling, Variable

Kind = Literal[
    "number",
    "integer",
    "string",
    "boolean",
    "enum",
    "const",
    "date",
    "date-time",
    "time",
    "file",
    "files",
    "frame",
    "array",
    "tuple",
    "object",
    "union",
    "any",
]


@dataclass(frozen=True, slots=True)
class Position:
    """Where something stands in the document; both count from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a frame (`x-frame`)."""

    name: str
    type: Literal["number", "integer", "string", "boolean", "date", "date-time"]
    unit: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """An input or an output.

    Attributes:
        name: A clean Python identifier, which is also the column's name.
        kind: What its values are, nullability aside; references are followed.
        schema: Its JSON schema in the full form: files are `{type: string, format: file-reference}`,
            nullable ones `anyOf [..., {type: null}]`, references still `{"$ref": "#/$defs/..."}`.
        required: Whether a value must be given.
        nullable: Whether null is a value.
        unit: As written, pint can read it.
        variable: How it is sampled; None for outputs and for what `sample` has to leave out.
        columns: The columns of a frame.
        position: Where its name stands.
    """

    name: str
    kind: Kind
    schema: Mapping[str, Any]
    required: bool
    nullable: bool
    position: Position
    description: str | None = None
    unit: str | None = None
    variable: Variable | None = None
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True, slots=True)
class IOModel:
    """A whole definition.

    Attributes:
        title: Of the experiment, if it has one.
        inputs: In the document's order.
        outputs: In the document's order, frames among them.
        definitions: The `$defs` that inputs and outputs use, in the full form.
        sampling: Method, n and seed (`x-sampling`).
        digest: sha256 hex of the normalised document (comments and layout do not count).
        written: sha256 hex of the document as it is written, which the runtime can compute too.
    """

    title: str | None
    description: str | None
    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]
    sampling: Sampling
    digest: str
    written: str = ""
    definitions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    input_description: str | None = None
    output_description: str | None = None
