"""Users' frames: one table a spec, joined by batch and again at gather. The pandas edge of outcomes."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from scythe_runtime.errors import ScytheError
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
        table = pa.Table.from_pandas(
            frame, preserve_index=True
        )  # also what pandas stores as a range
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
    from scythe_runtime.base import ResultFileRefsInDataframesError, ScalarInDataframesError

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
    """Return the rows of frames of one name; columns that only some of them have are null elsewhere."""
    joined = pa.concat_tables(tables, promote_options="permissive")
    return joined.replace_schema_metadata(_joined_metadata(tables, joined))


def _joined_metadata(tables: Sequence[pa.Table], joined: pa.Table) -> dict[bytes, bytes]:
    """Return metadata by which pandas finds the index; it must describe every column."""
    import json

    described: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for table in tables:
        found = json.loads((table.schema.metadata or {}).get(b"pandas", b"{}"))
        metadata = metadata or found
        for column in found.get("columns", []):
            described.setdefault(column["field_name"], column)
    index = [i for i in metadata.get("index_columns", []) if isinstance(i, str)]
    metadata["index_columns"] = index
    metadata["columns"] = [described[n] for n in joined.column_names if n in described]
    return {b"pandas": json.dumps(metadata).encode()}
