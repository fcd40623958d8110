"""Models to arrow columns and back, without pandas.

pyarrow imports pandas (0.3 s a process) in `pa.array` and wherever it meets Python values; columns
are therefore built from buffers.

Each field has a kind, which says how its values are stored:

    float int bool str date     as the arrow type of that name; null for None
    datetime                    microseconds; UTC where all values are aware, naive where none is
    file                        text: a URI (before allocation, a path)
    json                        JSON text: everything else (lists, nested models, durations, …)
"""

import contextlib
import datetime as dt
import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from operator import itemgetter
from types import UnionType
from typing import Annotated, Any, Final, Literal, TypeAlias, Union, cast, get_args, get_origin

import numpy as np
import pyarrow as pa
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError, to_json

from scythe_runtime.files import is_single_file

Kind = Literal["float", "int", "bool", "str", "date", "datetime", "file", "json"]

KIND_KEY: Final = b"scythe.kind"

_EPOCH = dt.date(1970, 1, 1).toordinal()
_EPOCH_NAIVE = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - naive values are counted from a naive epoch
_EPOCH_UTC = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_INT32_MAX = 2**31 - 1
_AT_ONCE: Final = 512
"""Models that are looked at together, while they are in the processor's cache."""
_BLOCK: Final = 128 * _AT_ONCE
"""Models whose values are one piece of memory, which goes back to the system when it is freed."""

_ARROW: Final[Mapping[str, pa.DataType]] = {
    "float": pa.float64(),
    "int": pa.int64(),
    "bool": pa.bool_(),
    "str": pa.string(),
    "date": pa.date32(),
    "file": pa.string(),
    "json": pa.string(),
}


_NUMPY: Final[Mapping[pa.DataType, str]] = {pa.float64(): "f8", pa.int64(): "i8"}


@dataclass(frozen=True, slots=True)
class Column:
    """How one field of a model is stored.

    Attributes:
        name: The field's name, which is also the column's.
        key: The name under which the model's validator expects it (its alias, if it has one).
        kind: See the module's docstring.
    """

    name: str
    key: str
    kind: Kind


def columns_of(model: type[BaseModel], *, without: Iterable[str] = ()) -> tuple[Column, ...]:
    """Return the columns of a model's fields, in the order of their definition."""
    left_out = set(without)
    found = []
    for name, info in model.model_fields.items():
        if name in left_out:
            continue
        alias = info.validation_alias or info.alias
        key = alias if isinstance(alias, str) else name
        found.append(Column(name, key, kind_of(info.annotation)))
    return tuple(found)


def kind_of(annotation: object) -> Kind:
    """Return how values of a type are stored."""
    if is_single_file(annotation):
        return "file"
    kinds = {_scalar_kind(m) for m in _members(annotation) if m is not type(None)}
    if kinds == {"int", "float"}:
        return "float"
    return kinds.pop() if len(kinds) == 1 else "json"


def _members(annotation: object) -> list[object]:
    """Return the types of which a type is the union, aliases and annotations stripped."""
    if hasattr(annotation, "__value__"):  # a `type X = …`, of typing or of typing_extensions
        return _members(annotation.__value__)
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in {Union, UnionType}:
        return [m for part in get_args(annotation) for m in _members(part)]
    return [annotation]


def _scalar_kind(annotation: object) -> Kind:
    if get_origin(annotation) is Literal:
        types = {type(v) for v in get_args(annotation)} - {type(None)}
        only = types.pop() if len(types) == 1 else None
        return _BY_TYPE.get(only, "json") if only else "json"
    if isinstance(annotation, type):
        if issubclass(annotation, Enum):
            return guess_kind([member.value for member in annotation])
        return _BY_TYPE.get(annotation, "json")
    return "json"


_BY_TYPE: Final[Mapping[type, Kind]] = {
    float: "float",
    int: "int",
    bool: "bool",
    str: "str",
    dt.date: "date",
    dt.datetime: "datetime",
}


SCALARS: Final = frozenset({*_BY_TYPE, type(None)})
"""Types whose values cannot change."""


def encode(values: Sequence[Any], kind: Kind) -> tuple[pa.Array, Kind]:  # noqa: PLR0911 - one a kind
    """Return values as an arrow array, and the kind as which they could be stored.

    That is `kind`, or "json" where a value does not fit (an integer of more than 64 bits).
    """
    try:
        if kind == "json":
            return _dense(_to_json(values), pa.string()), kind
        if kind == "file":
            return _nullable(values, str, pa.string()), kind
        if kind == "date":
            return _nullable(values, lambda v: v.toordinal() - _EPOCH, pa.date32()), kind
        if kind == "datetime":
            return _datetimes(values)
        return _nullable(values, None, _ARROW[kind]), kind
    except (OverflowError, TypeError, AttributeError, struct.error):
        if kind == "json":
            raise
        if any(isinstance(v, Enum) for v in values):
            return encode([v.value if isinstance(v, Enum) else v for v in values], kind)
        return _dense(_to_json(values), pa.string()), "json"


def _to_json(values: Sequence[Any]) -> list[str | None]:
    # numbers that JSON does not have are kept as the constants that Python reads back
    return [document(v) for v in values]


def _json_text(value: Any) -> str:
    return to_json(value, inf_nan_mode="constants", by_alias=True, fallback=_of_numpy).decode()


def document(value: Any) -> str | None:
    """Return a value as the JSON text under which it is stored, None for None.

    Raises:
        PydanticSerializationError: It cannot be stored.
    """
    return None if value is None else _json_text(value)


def documents(texts: Sequence[str | None]) -> pa.Array:
    """Return JSON texts as an arrow array."""
    return _dense(texts, pa.string())


def why_unstorable(value: Any) -> str | None:
    """Return why a value cannot be stored, None if it can."""
    try:
        _json_text(value)
    except PydanticSerializationError as error:
        return str(error).rpartition(": ")[2]
    return None


def _of_numpy(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    message = f"a value of type {type(value).__qualname__} cannot be stored"
    raise PydanticSerializationError(message)


def _datetimes(values: Sequence[dt.datetime | None]) -> tuple[pa.Array, Kind]:
    aware = {v.tzinfo is not None for v in values if v is not None}
    if len(aware) > 1:
        return _dense(_to_json(values), pa.string()), "json"
    utc = aware == {True}
    epoch, typ = (
        (_EPOCH_UTC, pa.timestamp("us", "UTC")) if utc else (_EPOCH_NAIVE, pa.timestamp("us"))
    )
    return _nullable(values, lambda v: (v - epoch) // _MICROSECOND, typ), "datetime"


def _nullable(
    values: Sequence[Any], convert: Callable[[Any], Any] | None, typ: pa.DataType
) -> pa.Array:
    if convert is not None:
        values = [None if v is None else convert(v) for v in values]
    return _dense(values, typ)


def _dense(values: Sequence[Any], typ: pa.DataType) -> pa.Array:
    if typ != pa.bool_():  # of None, numpy makes False
        with contextlib.suppress(TypeError, struct.error):
            return _whole(values, typ, None, 0)
    if None not in values:
        return _whole(values, typ, None, 0)
    present = [v is not None for v in values]
    zero = "" if typ == pa.string() else 0
    filled = [zero if v is None else v for v in values]
    return _whole(filled, typ, _bits(present), len(values) - sum(present))


def _whole(
    values: Sequence[Any], typ: pa.DataType, valid: pa.Buffer | None, nulls: int
) -> pa.Array:
    """Return values, none of which is None, as an arrow array; `struct` packs in a third of array's time.

    Raises:
        TypeError: A value is not of that type.
        struct.error: Likewise, or it does not fit.
    """
    n = len(values)
    if typ == pa.string():
        joined = "".join(values)
        if joined.isascii():
            data, lengths = joined.encode(), [*map(len, values)]
        else:
            # a lone surrogate cannot be stored as text: it is replaced, not a reason to lose a row
            encoded = [v.encode("utf-8", "replace") for v in values]
            data, lengths = b"".join(encoded), [*map(len, encoded)]
        code, kind = ("q", pa.LargeStringArray) if len(data) > _INT32_MAX else ("i", pa.StringArray)
        offsets = np.zeros(n + 1, dtype=code)
        np.cumsum(np.frombuffer(struct.pack(f"{n}{code}", *lengths), code), out=offsets[1:])
        return kind.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(data), valid, nulls)
    if typ == pa.bool_():
        return pa.Array.from_buffers(typ, n, [valid, _bits(values)], nulls)
    code = "d" if typ == pa.float64() else "i" if typ == pa.date32() else "q"
    packed = pa.py_buffer(struct.pack(f"{n}{code}", *values))
    return pa.Array.from_buffers(typ, n, [valid, packed], nulls)


def _bits(values: Sequence[bool]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.array(values, dtype=bool), bitorder="little"))


def field_of(name: str, typ: pa.DataType, kind: Kind) -> pa.Field:
    """Return an arrow field that remembers its kind."""
    return pa.field(name, typ, metadata={KIND_KEY: kind.encode()})


def kind_in(field: pa.Field) -> Kind:
    """Return the kind that a stored column has."""
    stored = (field.metadata or {}).get(KIND_KEY, b"").decode()
    if stored:
        return cast("Kind", stored)
    typ = field.type
    if pa.types.is_timestamp(typ):
        return "datetime"
    return next((cast("Kind", k) for k, t in _ARROW.items() if t == typ), "json")


_Encoded: TypeAlias = tuple[pa.Array, Kind]


def models_to_table(models: Sequence[BaseModel], columns: Sequence[Column]) -> pa.Table:
    """Return models as a table, one row each: `columns`, then what extra fields they have.

    An extra field becomes a column, null where a model does not have it.
    """
    names = [column.name for column in columns]
    # of one name, itemgetter returns no tuple
    pick = itemgetter(*names) if len(names) > 1 else lambda data: tuple(data[n] for n in names)
    made: list[list[_Encoded]] = [[] for _ in columns]
    any_extras = False
    for begin in range(0, len(models), _BLOCK):
        block = models[begin : begin + _BLOCK]
        pieces: list[list[_Encoded]] = [[] for _ in columns]
        for start in range(0, len(block), _AT_ONCE):
            some = block[start : start + _AT_ONCE]
            values = zip(*[pick(m.__dict__) for m in some], strict=True)
            for kept, column, own in zip(pieces, columns, values, strict=True):
                kept.append(encode(own, column.kind))
            any_extras = any_extras or any(m.__pydantic_extra__ for m in some)
        for chunks, kept in zip(made, pieces, strict=True):
            chunks.extend(_joined(kept))
    arrays: list[pa.Array | pa.ChunkedArray] = []
    fields: list[pa.Field] = []

    def add(name: str, values: Sequence[Any], kind: Kind) -> None:
        array_, stored = encode(values, kind)
        arrays.append(array_)
        fields.append(field_of(name, array_.type, stored))

    for column, chunks in zip(columns, made, strict=True):
        if _alike(chunks) and chunks[0][1] == column.kind:
            arrays.append(pa.chunked_array([array_ for array_, _ in chunks]))
            fields.append(field_of(column.name, arrays[-1].type, column.kind))
        else:  # no model, or one chunk's values do not fit what the others' are stored as
            add(column.name, [m.__dict__[column.name] for m in models], column.kind)
        chunks.clear()
    if any_extras:
        extras = [m.__pydantic_extra__ for m in models]
        for name in dict.fromkeys(key for extra in extras if extra for key in extra):
            loose = [extra.get(name) if extra else None for extra in extras]
            add(name, loose, guess_kind(loose))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _alike(pieces: Sequence[_Encoded]) -> bool:
    return len({(array_.type, kind) for array_, kind in pieces}) == 1


def _joined(pieces: Sequence[_Encoded]) -> Sequence[_Encoded]:
    """Return pieces of a column as one, or as they are where they are stored in different ways."""
    if not _alike(pieces) or sum(array_.nbytes for array_, _ in pieces) > _INT32_MAX:
        return pieces
    return [(pa.concat_arrays([array_ for array_, _ in pieces]), pieces[0][1])]


def guess_kind(values: Iterable[Any]) -> Kind:
    """Return the kind of values of no declared type."""
    types = {
        type(v.item()) if isinstance(v, np.generic) else type(v) for v in values if v is not None
    }
    if types == {int, float}:
        return "float"
    return _BY_TYPE.get(types.pop(), "json") if len(types) == 1 else "json"


def decode(array_: pa.Array | pa.ChunkedArray, kind: Kind) -> list[Any]:
    """Return a stored column's values as Python values."""
    values = values_of(array_)
    if kind == "json":
        return [None if v is None else json.loads(v) for v in values]
    return values


def values_of(array_: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return an arrow column's values as Python values; numbers without nulls three times as fast as by arrow."""
    numbers = numbers_of(array_)
    if numbers is None:
        values: list[Any] = array_.to_pylist()
        return values
    return list(chain.from_iterable(piece.tolist() for piece in numbers))


def numbers_of(array_: pa.Array | pa.ChunkedArray) -> "list[np.ndarray[Any, Any]] | None":
    """Return views of a column of 64-bit numbers, a chunk each; None for other types, and where one is null."""
    code = _NUMPY.get(array_.type)
    if code is None or array_.null_count:
        return None
    chunks = array_.chunks if isinstance(array_, pa.ChunkedArray) else [array_]
    return [
        np.frombuffer(chunk.buffers()[1], code, len(chunk), 8 * chunk.offset)
        for chunk in chunks
        if len(chunk)
    ]
