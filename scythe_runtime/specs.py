"""specs.pq: all specs of a run, a row each. Written once at allocation, read by slots and by gather."""

import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scythe_runtime.batches import Rows
from scythe_runtime.columns import field_of
from scythe_runtime.errors import NotFoundError, StoreUnavailableError
from scythe_runtime.layout import RunLayout
from scythe_runtime.store import Store

ROW_GROUP: Final = 16 * 1024
"""Rows of a row group: what a slot reads at once."""

_ENCODINGS: Final[Mapping[pa.DataType, str]] = {
    pa.float64(): "BYTE_STREAM_SPLIT",
    pa.int64(): "DELTA_BINARY_PACKED",
}

_WINDOW: Final = 2
"""Row groups of a window: what gather reads and writes at once."""


def write_specs(
    table: pa.Table, *, experiment_id: str | None, store: Store, layout: RunLayout
) -> str:
    """Write specs.pq and return the file's sha256.

    Args:
        table: The inputs, and `sort_index`; also `experiment_id` where each spec keeps its own.
        experiment_id: The experiment_id of all specs, or None if the table has one.
        store: Where the run lives.
        layout: The run's keys.
    """
    schema = table.schema
    if experiment_id is not None:
        schema = schema.insert(0, field_of("experiment_id", pa.string(), "str"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "specs.pq"
        with writer_of(path, schema) as writer:
            for start in range(0, max(table.num_rows, 1), ROW_GROUP):
                group = table.slice(start, ROW_GROUP)
                if experiment_id is not None:
                    ids = constant(experiment_id, group.num_rows)
                    group = group.add_column(0, schema.field(0), ids)
                writer.write_table(group, row_group_size=ROW_GROUP)
        store.put(layout.specs, path)
        return sha256_of(path)


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def writer_of(path: Path, schema: pa.Schema, *, unique: str | None = None) -> pq.ParquetWriter:
    """Return a writer of a table's parquet file.

    Dictionaries only where values repeat, which is in text. Numbers by what they have in common (bytes of
    floats, differences of integers): a fifth of the time less to write and to read, half to store.

    Args:
        path: The file.
        schema: The table's columns.
        unique: A column of text whose values do not repeat.
    """
    repeated = [f.name for f in schema if pa.types.is_string(f.type) and f.name != unique]
    encodings = {f.name: _ENCODINGS[f.type] for f in schema if f.type in _ENCODINGS}
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        use_dictionary=repeated or False,
        column_encoding=encodings or None,
    )


def constant(text: str, n: int) -> pa.StringArray:
    """Return a column of n times the same text."""
    data = text.encode()
    offsets = np.arange(n + 1, dtype=np.int32) * np.int32(len(data))
    return pa.StringArray.from_buffers(n, pa.py_buffer(offsets), pa.py_buffer(data * n))


class SpecsReader:
    """Reads rows of specs.pq; keeps the row groups that it read last.

    Attributes:
        path: The file; of a remote store the local copy.
    """

    _KEPT: Final = 4

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = pq.ParquetFile(path)  # not mapped: what has been read would stay in memory
        metadata = self._file.metadata
        sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        self._starts = np.cumsum([0, *sizes])
        self._groups: dict[int, pa.Table] = {}

    @property
    def num_rows(self) -> int:
        """How many specs there are."""
        return int(self._starts[-1])

    @property
    def schema(self) -> pa.Schema:
        """The columns, with their kinds."""
        return self._file.schema_arrow

    def read(self, rows: Rows) -> pa.Table:
        """Return those rows in their order."""
        pieces = [piece for part in rows for piece in self._pieces(part)]
        return pa.concat_tables(pieces) if pieces else self.schema.empty_table()

    def groups(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, pa.Table]]:
        """Yield a few row groups at a time, with the number of their first row; of some columns only, if named."""
        groups = range(len(self._starts) - 1)
        for i in groups[::_WINDOW]:
            some = list(groups[i : i + _WINDOW])
            yield int(self._starts[i]), self._file.read_row_groups(some, columns=columns)

    def _pieces(self, rows: range) -> Iterator[pa.Table]:
        at = 0
        while at < len(rows):
            group = int(np.searchsorted(self._starts, rows[at], side="right")) - 1
            first, end = int(self._starts[group]), int(self._starts[group + 1])
            stop = min(len(rows), at + -(-(end - rows[at]) // rows.step))
            table = self._group(group)
            if rows.step == 1:
                yield table.slice(rows[at] - first, stop - at)
            else:
                wanted = np.arange(rows[at] - first, end - first, rows.step, dtype=np.int64)
                wanted = wanted[: stop - at]
                yield table.take(
                    pa.Array.from_buffers(pa.int64(), len(wanted), [None, pa.py_buffer(wanted)])
                )
            at = stop

    def _group(self, index: int) -> pa.Table:
        table = self._groups.pop(index, None)
        if table is None:
            table = self._file.read_row_group(index)
        self._groups[index] = table  # the newest is last
        if len(self._groups) > self._KEPT:
            del self._groups[next(iter(self._groups))]
        return table


def open_specs(store: Store, layout: RunLayout) -> SpecsReader:
    """Return a reader of a run's specs, from a local copy where the store is remote.

    Raises:
        NotFoundError: The run has no specs.pq.
    """
    path = store.local_path(layout.specs)
    if path is None:
        from scythe_runtime.fetching import cache_folder

        path = cache_folder() / "runs" / layout.run_id / "specs.pq"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            store.fetch(layout.specs, path)
    elif not path.exists():
        raise NotFoundError(f"{path} does not exist.")
    return SpecsReader(path)


def require_run(store: Store, layout: RunLayout) -> None:
    """Return only if the run's folder is still there: a put would make it anew, in another place.

    Raises:
        StoreUnavailableError: A disk was taken away, or the folder was moved or deleted.
    """
    path = store.local_path(layout.specs)
    if path is not None and not path.exists():
        message = f"the run's folder {path.parent} is gone. Bring it back, then: scythe resume {layout.run_id}"
        raise StoreUnavailableError(message)
