"""Users' frames: one table a spec, joined by batch and again at gather. The pandas edge of outcomes."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from scythe_runtime.errors import (
    ResultFileRefsInDataframesError,
    ScalarInDataframesError,
    ScytheError,
)
from scythe_runtime.index import as_frame
from scythe_runtime.layout import RESERVED_FRAMES

if TYPE_CHECKING:
    from scythe_runtime.base import ExperimentOutputSpec

ROW: Final = "scythe.row"
"""The column that says of which spec a frame's row is; gather takes it out again."""

_CHECKS: Final[Mapping[str, Any]] = {
    "number": pd.api.types.is_numeric_dtype,
    "integer": pd.api.types.is_integer_dtype,
    "boolean": pd.api.types.is_bool_dtype,
    "date-time": pd.api.types.is_datetime64_any_dtype,
}


class WrongFrame(ScytheError, ValueError):  # noqa: N818 - the name is what a user reads in errors.pq
    """A frame is missing, or not as the definition says."""


def frame_tables(
    output: "ExperimentOutputSpec", row: int, experiment_id: str, sort_index: int
) -> dict[str, pa.Table]:
    """Return a spec's frames as tables, with experiment_id and sort_index in their index.

    Raises:
        WrongFrame: A frame has a reserved name, or lacks columns that io.yaml defines.
    """
    frames: Mapping[str, Any] = output.dataframes
    check_frames(frames, output._frames)  # noqa: SLF001 - our own base class
    tables = {}
    for name, value in frames.items():
        # arrow keeps pandas's memory, in which the function's next call may write
        frame = as_frame(name, value).copy()
        if "sort_index" not in frame.index.names:
            frame = pd.concat(
                {(experiment_id, sort_index): frame}, names=["experiment_id", "sort_index"]
            )
        table = _plain(frame)
        rows = np.full(table.num_rows, row, dtype=np.int64)
        tables[name] = table.append_column(ROW, pa.array(rows))
    return tables


def check_frames(
    frames: Mapping[str, Any], defined: Mapping[str, Mapping[str, str | Mapping[str, str]]]
) -> None:
    """Check frames by name and columns.

    Args:
        frames: What a function returned.
        defined: Columns by frame, each by its type or by a mapping with `type`, `x-unit` and `description`.

    Raises:
        WrongFrame: One has a name that is not free, is missing, or is not as io.yaml defines it.
        ScalarInDataframesError: One is called scalars.
        ResultFileRefsInDataframesError: One is called result_file_refs.
    """
    if "scalars" in frames:
        raise ScalarInDataframesError(frames["scalars"])
    if "result_file_refs" in frames:
        raise ResultFileRefsInDataframesError(frames["result_file_refs"])
    problems = [
        f"dataframes[{name!r}]: a frame's name must be a Python identifier other than {', '.join(sorted(RESERVED_FRAMES))}"
        for name in frames
        if name in RESERVED_FRAMES or not (isinstance(name, str) and name.isidentifier())
    ]
    for name, columns in defined.items():
        if name not in frames:
            problems.append(f"dataframes[{name!r}] is missing")
            continue
        frame = as_frame(name, frames[name]).reset_index()
        for column, described in columns.items():
            kind = described if isinstance(described, str) else described["type"]
            if column not in frame.columns:
                problems.append(f"dataframes[{name!r}] has no column {column!r}")
            elif kind in _CHECKS and not _CHECKS[kind](frame[column].dtype):
                problems.append(
                    f"dataframes[{name!r}], column {column!r}: {frame[column].dtype}, expected {kind}"
                )
    if problems:
        raise WrongFrame("; ".join(problems))


def without_rows(
    frames: Mapping[str, Sequence[pa.Table]], rows: Collection[int]
) -> dict[str, list[pa.Table]]:
    """Return the frames of other specs than those of some rows."""
    kept = {
        name: [t for t in tables if not (t.num_rows and t.column(ROW)[0].as_py() in rows)]
        for name, tables in frames.items()
    }
    return {name: tables for name, tables in kept.items() if tables}


def join_frames(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of frames of one name; columns that only some of them have are null elsewhere.

    A column that has numbers of several kinds becomes one that holds them all; one whose values have no
    type in common (numbers here, text there) becomes text: no spec's frame can cost another its own.
    """
    changed: set[str] = set()
    try:
        joined = pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException:
        common = _common_types(tables)
        changed = set(common)
        alike = [_cast(table, common) for table in tables]
        joined = pa.concat_tables(alike, promote_options="permissive")
    return joined.replace_schema_metadata(_joined_metadata(tables, joined, changed))


def _plain(frame: pd.DataFrame) -> pa.Table:
    """Return a frame as a table of plain values, its index included, also where that is a range.

    Each frame has categories of its own, which cannot be joined; periods and intervals are text, because
    to all others than pandas they are numbers that mean nothing.
    """
    table = pa.Table.from_pandas(frame, preserve_index=True)
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            values = table.column(i).cast(field.type.value_type)
        elif isinstance(field.type, pa.BaseExtensionType):
            objects = table.column(i).to_pandas().tolist()
            gone = table.column(i).is_null().to_pylist()
            texts = [None if none else str(v) for v, none in zip(objects, gone, strict=True)]
            values = pa.chunked_array([pa.array(texts, pa.large_string())])
        else:
            continue
        table = table.set_column(i, pa.field(field.name, values.type), values)
    return table


def _common_types(tables: Sequence[pa.Table]) -> dict[str, pa.DataType]:
    """Return the type that a column shall have, by its name, for those whose types differ."""
    found: dict[str, set[pa.DataType]] = {}
    for table in tables:
        for field in table.schema:
            if not pa.types.is_null(field.type):
                found.setdefault(field.name, set()).add(field.type)
    return {name: _common_type(types) for name, types in found.items() if len(types) > 1}


def _common_type(types: set[pa.DataType]) -> pa.DataType:
    if all(pa.types.is_boolean(t) or pa.types.is_integer(t) for t in types):
        return pa.int64() if pa.uint64() not in types else pa.float64()
    if all(pa.types.is_boolean(t) or pa.types.is_primitive(t) for t in types) and not any(
        pa.types.is_temporal(t) for t in types
    ):
        return pa.float64()
    schemas = [pa.schema([("x", t)]) for t in types]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field("x").type
    except pa.ArrowException:
        return pa.large_string()


def _cast(table: pa.Table, common: Mapping[str, pa.DataType]) -> pa.Table:
    for name, wanted in common.items():
        i = table.schema.get_field_index(name)
        if i < 0 or table.schema.field(i).type == wanted:
            continue
        column = table.column(i)
        column = _text(column) if wanted == pa.large_string() else column.cast(wanted, safe=False)
        table = table.set_column(i, pa.field(name, column.type), column)
    return table


def _text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_nested(column.type):
        return column.cast(pa.large_string())
    texts = [None if v is None else str(v) for v in column.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.large_string())])


def _joined_metadata(
    tables: Sequence[pa.Table], joined: pa.Table, changed: Collection[str]
) -> dict[bytes, bytes]:
    """Return metadata by which pandas finds the index; it must describe every column.

    Args:
        tables: What was joined.
        joined: The result.
        changed: Columns that have another type now than some table says.
    """
    import json

    described: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for table in tables:
        found = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
        metadata = metadata or found
        for column in found.get("columns", []):
            known = described.setdefault(column["field_name"], dict(column))
            is_text = column["numpy_type"].startswith(("period[", "interval["))
            if column["field_name"] in changed or is_text or column["pandas_type"] == "categorical":
                known |= {"pandas_type": "object", "numpy_type": "object", "metadata": None}
    index = [i for i in metadata.get("index_columns", []) if isinstance(i, str)]
    metadata["index_columns"] = index
    metadata["columns"] = [described[n] for n in joined.column_names if n in described]
    return {b"pandas": json.dumps(metadata).encode()}
