"""A frame's columns validated as lists: six times as fast as a model for each row.

Only where that comes to the same: no validator looks at a second field. What it cannot do, or finds
wrong, is left to `table`, which makes a model of each row and names the rows that are not valid.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ValidationError
from pydantic_core import SchemaValidator

from scythe_runtime.base import ExperimentInputSpec
from scythe_runtime.columns import Column, encode, field_of, guess_kind, numbers_of, values_of

_CHUNK: Final = 64 * 1024
_SAME: Final = frozenset({pa.float64(), pa.int64(), pa.bool_(), pa.string()})
"""Types of which a validated value that equals the given one is stored in the same way."""


def validated_columns(
    frame: pa.Table, model: type[BaseModel], columns: Sequence[Column]
) -> pa.Table | None:
    """Return the table that the rows' models make, None where it takes models to tell.

    Args:
        frame: Columns named after fields, or their aliases; others are extra fields.
        model: Whose fields they are.
        columns: The fields that are stored, which are all columns of the result, before extra ones.
    """
    fields = _independent_fields(model)
    if fields is None:
        return None
    stored_as = {c.key: c.name for c in columns} | {c.name: c.name for c in columns}
    sources: dict[str, str] = {}
    extras = []
    for name in frame.column_names:
        if name not in stored_as:
            extras.append(name)
        elif sources.setdefault(stored_as[name], name) != name:
            return None  # a field twice, by its name and by its alias
    if extras and model.model_config.get("extra") != "allow":
        return None
    made: list[pa.ChunkedArray] = []
    schema: list[pa.Field] = []
    for column in columns:
        source = sources.get(column.name)
        if source is None:
            array = _default(model, column, frame.num_rows)
        else:
            array = _validated(frame.column(source), fields[column.name], column)
        if array is None:
            return None
        made.append(array)
        schema.append(field_of(column.name, array.type, column.kind))
    for name in extras:
        values = frame.column(name).to_pylist()
        array, kind = encode(values, guess_kind(values))
        made.append(pa.chunked_array([array]))
        schema.append(field_of(name, array.type, kind))
    return pa.Table.from_arrays(made, schema=pa.schema(schema))


class PlainModels:
    """Makes specs of columns: what validating each row makes, at two thirds of the price.

    Only of a class whose fields are plain values, each validated by itself and by no code of a user.

    Args:
        model: The class.
        fields: Those of its fields that are stored, in the order of the columns.
        shared: Values of other fields, the same for all.
        unvalidated: Further fields that records have a value of, after those of the columns.
    """

    def __init__(
        self,
        model: type[ExperimentInputSpec],
        fields: "Mapping[str, _Field]",
        shared: Mapping[str, Any],
        unvalidated: Sequence[str],
    ) -> None:
        self._model = model
        self._columns = tuple(fields.values())
        self._names = (*fields, *unvalidated)
        self._set = set(fields)
        self._fields = {**dict.fromkeys(model.model_fields), **shared}

    @classmethod
    def of(
        cls,
        model: type[ExperimentInputSpec],
        names: Sequence[str],
        shared: Mapping[str, Any],
        unvalidated: Sequence[str] = (),
    ) -> "PlainModels | None":
        """Return a maker for stored columns of those names, None where models have to be validated."""
        known = _independent_fields(model)
        others = set(model.model_fields) - set(names) - set(shared) - {"workflow_run_id"}
        if known is None or others or not set(names) <= set(known):
            return None
        fields = {name: known[name] for name in names}
        if any(
            part.get("type") not in _PLAIN for f in fields.values() for part in _types(f.schema)
        ):
            return None
        return cls(model, fields, shared, unvalidated)

    def validated(self, columns: Sequence[pa.ChunkedArray]) -> list[list[Any]] | None:
        """Return the values of stored columns, None where one is not valid."""
        try:
            return [
                values_of(column)
                if field.holds(column)
                else field.validator.validate_python(values_of(column))
                for field, column in zip(self._columns, columns, strict=True)
            ]
        except ValidationError:
            return None

    def make(self, record: tuple[Any, ...]) -> ExperimentInputSpec:
        """Return the spec of a record: valid values, one a column, and what is not validated."""
        fields = self._fields.copy()
        fields.update(zip(self._names, record))  # noqa: B905 - a tenth of the time a spec takes here
        # as pydantic's own model_construct does it, which would look for defaults, at four times the price
        spec = self._model.__new__(self._model)
        _set_values(spec, fields)
        _set_fields_set(spec, self._set.copy())
        _set_extra(spec, {})
        _set_private(spec, None)
        return spec


_set_values, _set_fields_set, _set_extra, _set_private = (
    BaseModel.__dict__[f"__{name}__"].__set__
    for name in ("dict", "pydantic_fields_set", "pydantic_extra", "pydantic_private")
)
_PLAIN: Final = frozenset({"model-field", "default", "nullable", "float", "int", "bool", "str"})
_NUMBERS: Final = {"float": pa.float64(), "int": pa.int64()}
_BOUNDS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "lt": np.less,
}


class _Field:
    """How one field is validated, a column at a time.

    Attributes:
        schema: What pydantic knows of it.
        validator: Of lists of its values.
    """

    def __init__(self, schema: Mapping[str, Any], shared: list[Any], config: Any) -> None:
        self.schema = schema
        whole: Any = {"type": "list", "items_schema": schema}
        if shared:
            whole = {"type": "definitions", "schema": whole, "definitions": shared}
        self.validator = SchemaValidator(whole, config)
        *_, number = _types(schema)
        told = set(number) - {"type", "strict", "metadata", "serialization"} <= set(_BOUNDS)
        finite = (config or {}).get("allow_inf_nan") is False
        plain = all(part["type"] in _PLAIN for part in _types(schema)) and told and not finite
        self._type = _NUMBERS.get(number["type"]) if plain else None
        self._bounds = [(_BOUNDS[key], number[key]) for key in _BOUNDS if key in number]

    def holds(self, column: pa.ChunkedArray) -> bool:
        """Return whether a column is of numbers that are valid as they stand, a hundred times as fast as by lists.

        If not, the validator has to tell.
        """
        pieces = numbers_of(column) if column.type == self._type else None
        if pieces is None:
            return False
        return all(keeps(piece, bound).all() for piece in pieces for keeps, bound in self._bounds)


def _types(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a field's schema and what it wraps."""
    yield schema
    if "schema" in schema:
        yield from _types(schema["schema"])


def _independent_fields(model: type[BaseModel]) -> dict[str, _Field] | None:
    """Return how each field is validated, None where fields are not validated one by one."""
    schema: Any = model.__pydantic_core_schema__
    shared: list[Any] = []
    if schema["type"] == "definitions":
        schema, shared = schema["schema"], schema["definitions"]
    own_code = schema.get("custom_init") or schema.get("post_init")
    if schema["type"] != "model" or own_code or schema["schema"]["type"] != "model-fields":
        return None  # a validator of the whole model
    fields = {name: field["schema"] for name, field in schema["schema"]["fields"].items()}
    if any(_looks_around(part) for part in _parts([*fields.values(), *shared])):
        return None
    config = schema.get("config")
    return {name: _Field(field, shared, config) for name, field in fields.items()}


def _looks_around(part: Mapping[str, Any]) -> bool:
    """Return whether a part of a field's schema may depend on other fields."""
    function = part.get("function")
    told = isinstance(function, dict) and function.get("type") == "with-info"
    return told or bool(part.get("default_factory_takes_data"))


def _parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(schema, dict):
        yield schema
        for key, value in schema.items():
            if key not in {"metadata", "serialization"}:
                yield from _parts(value)
    elif isinstance(schema, list | tuple):
        for value in schema:
            yield from _parts(value)


def _validated(array: pa.ChunkedArray, field: _Field, column: Column) -> pa.ChunkedArray | None:
    """Return a column's values as they are stored, None where one is not valid."""
    made, kind = encode([], column.kind)
    if array.type == made.type and field.holds(array):
        return array
    chunks: list[pa.Array] = []
    for start in range(0, max(len(array), 1), _CHUNK):
        chunk = array.slice(start, _CHUNK)
        given = values_of(chunk)
        try:
            values = field.validator.validate_python(given)
        except ValidationError:
            return None
        if chunk.type == made.type and chunk.type in _SAME and values == given:
            chunks += chunk.chunks
            continue
        made, kind = encode(values, column.kind)
        if kind != column.kind or (chunks and chunks[0].type != made.type):
            return None
        chunks.append(made)
    return pa.chunked_array(chunks)


def _default(model: type[BaseModel], column: Column, n: int) -> pa.ChunkedArray | None:
    field = model.model_fields[column.name]
    if field.is_required() or field.validate_default or model.model_config.get("validate_default"):
        return None
    if field.default_factory is None:
        values = [field.default] * n
    else:
        values = [field.get_default(call_default_factory=True) for _ in range(n)]
    made, kind = encode(values, column.kind)
    return pa.chunked_array([made]) if kind == column.kind else None
