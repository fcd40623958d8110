"""Gather: the outcome parts of a run, in the order of its rows, as the final tables. Streams."""

import json
import tempfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

# concurrent.futures takes no work once the main thread has ended; a script need not wait for its run
from multiprocessing.pool import AsyncResult, ThreadPool
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scythe_runtime.columns import Column, field_of, kind_in
from scythe_runtime.errors import NotFoundError, RunDamagedError, StoreError
from scythe_runtime.layout import RunLayout
from scythe_runtime.ledger import Ledger, damaged, frame_table, part_table
from scythe_runtime.outcomes import (
    ERROR_COLUMNS,
    EXTRA,
    FEATURE,
    open_ipc,
    part_column,
    part_metadata,
)
from scythe_runtime.specs import SpecsReader, constant, writer_of
from scythe_runtime.store import Store

_OPEN_ROWS: Final = 192 * 1024
"""How many rows of parts are kept open: a part is needed by a few windows, one after another."""

_THREADS: Final = 8

BASE_LEVELS: Final = ("experiment_id", "sort_index", "root_workflow_run_id", "workflow_run_id")
"""The first levels of the index of final tables."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What gather wrote.

    Attributes:
        succeeded: Rows of scalars.pq.
        failed: Rows of errors.pq.
        uris: The final tables by name.
    """

    succeeded: int
    failed: int
    uris: dict[str, str]


class Gather:
    """Writes the final tables of one run.

    Args:
        store: Where the run lives.
        layout: Its keys.
        outputs: The columns of its output spec; None: those that the parts have, for reading without
            the experiment's code.
        specs: Its specs.
        ledger: What has been committed.
        root_run_id: The queue's id of the run.
    """

    def __init__(
        self,
        *,
        store: Store,
        layout: RunLayout,
        outputs: Sequence[Column] | None,
        specs: SpecsReader,
        ledger: Ledger,
        root_run_id: str,
    ) -> None:
        self._store = store
        self._layout = layout
        self._specs = specs
        self._ledger = ledger
        self._root_run_id = root_run_id
        self._given_outputs = outputs and [
            replace(column, name=part_column(column.name)) for column in outputs
        ]

    def write(self, into: Store | None = None) -> Gathered:
        """Write final/*.pq and return their counts and URIs.

        Args:
            into: Where they are put, under the same keys; by default beside the parts.

        Raises:
            StoreError: The store or the temporary folder cannot be written.
            RunDamagedError: A part is not what its name says.
        """
        try:
            return self._write(into or self._store)
        except StoreError:
            raise
        except OSError as error:
            message = (
                f"the tables cannot be made in {tempfile.gettempdir()}: {error}. Free some space there, or name "
                f"another folder with TMPDIR; then: scythe resume {self._layout.run_id}"
            )
            raise StoreError(message) from error

    def _write(self, into: Store) -> Gathered:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="scythe-gather-")))
            parts = _Parts(self._store, self._ledger, folder)
            outputs = self._given_outputs
            if outputs is None:
                outputs = _outputs_in(parts.schemas())
            schema = _outcome_schema(outputs, parts.schemas())
            tables = _FinalTables(folder, self._specs.schema, schema, outputs)
            succeeded = failed = 0
            # one window is written while the next one is read
            writer = stack.enter_context(ThreadPool(1))
            writing: AsyncResult[None] | None = None
            for start, inputs in self._specs.groups():
                window = slice(start, start + inputs.num_rows)
                done = self._ledger.owner[window] >= 0
                if not done.all():
                    inputs = inputs.filter(_mask(done))  # noqa: PLW2901
                outcomes = self._outcomes(window, parts, schema)
                ok = np.array(
                    outcomes.column("ok").to_pylist(), dtype=bool
                )  # to_numpy imports pandas
                if writing is not None:
                    writing.get()
                writing = writer.apply_async(
                    tables.write, (inputs, outcomes, ok, self._root_run_id)
                )
                succeeded += int(ok.sum())
                failed += int((~ok).sum())
            if writing is not None:
                writing.get()
            frames = parts.frames()
            tables.close()
            uris = {}
            for name, path in tables.paths.items():
                key = self._layout.final_table(name)
                into.put(key, path)
                uris[name] = into.uri(key)
            for name in sorted(frames):
                uris[name] = self._write_frame(name, parts, folder, into)
            return Gathered(succeeded, failed, uris)

    def _outcomes(self, window: slice, parts: "_Parts", schema: pa.Schema) -> pa.Table:
        """Return the outcomes of the rows in a window that have one, in the order of the rows."""
        owner = self._ledger.owner[window]
        position = self._ledger.position[window]
        done = owner >= 0
        owner, position = owner[done], position[done]
        if not len(owner):
            return schema.empty_table()
        # runs of rows that stand one after another in one part are slices of it
        breaks = np.flatnonzero((np.diff(owner) != 0) | (np.diff(position) != 1)) + 1
        if len(breaks) < len(owner) // 8:
            starts = [0, *breaks.tolist()]
            stops = [*breaks.tolist(), len(owner)]
            pieces = [
                parts.table(int(owner[a]), schema).slice(int(position[a]), b - a)
                for a, b in zip(starts, stops, strict=True)
            ]
            return pa.concat_tables(pieces)
        # a grid stride interleaves parts: join those that are needed, then pick
        needed = np.unique(owner)
        pieces = [parts.table(int(index), schema) for index in needed]
        offsets = np.cumsum([0, *(piece.num_rows for piece in pieces)])
        picks = offsets[np.searchsorted(needed, owner)] + position
        return pa.concat_tables(pieces).take(_int64(picks))

    def _write_frame(self, name: str, parts: "_Parts", folder: Path, into: Store) -> str:
        from scythe_runtime.frames import ROW, join_frames

        rows: list[pa.Table] = []
        for index, table in parts.frame_tables(name):
            owners = self._ledger.owner[np.asarray(table.column(ROW))]
            rows.append(table if (owners == index).all() else table.filter(_mask(owners == index)))
        joined = join_frames(rows)
        order = np.argsort(np.asarray(joined.column(ROW)), kind="stable")
        if len(order) and (np.diff(order) != 1).any():
            joined = joined.take(_int64(order))
        joined = joined.drop_columns([ROW])
        path = folder / f"frame-{name}.pq"
        pq.write_table(joined, path, compression="zstd")
        key = self._layout.final_table(name)
        into.put(key, path)
        return into.uri(key)


class _Parts:
    """The outcome parts as tables; keeps the last ones open."""

    def __init__(self, store: Store, ledger: Ledger, folder: Path) -> None:
        self._store = store
        self._ledger = ledger
        self._paths: list[Path] = []
        wanted = [part.key for part in ledger.parts]
        self._paths = _bring(store, wanted, folder)
        self._open: OrderedDict[int, pa.Table] = OrderedDict()
        self._open_rows = 0
        self._folder = folder
        self._schemas: list[pa.Schema] = []

    def schemas(self) -> list[pa.Schema]:
        """Return the schema of each part."""
        if not self._schemas:
            self._schemas = [self._file(i).schema for i in range(len(self._paths))]
        return self._schemas

    def frames(self) -> set[str]:
        """Return the names of the frames that parts say they have."""
        return {name for schema in self.schemas() for name in part_metadata(schema)["frames"]}

    def frame_tables(self, name: str) -> Iterator[tuple[int, pa.Table]]:
        """Yield the frame of each part that has it, with the part's index."""
        having = [i for i, s in enumerate(self.schemas()) if name in part_metadata(s)["frames"]]
        parts = [self._ledger.parts[i] for i in having]
        try:
            paths = _bring(self._store, [part.frame_key(name) for part in parts], self._folder)
        except NotFoundError as error:
            message = f"{error} Delete the outcome part of that batch, then: scythe resume {parts[0].run_id}"
            raise RunDamagedError(message) from None
        for i, part, path in zip(having, parts, paths, strict=True):
            yield i, frame_table(part, name, path)

    def table(self, index: int, schema: pa.Schema) -> pa.Table:
        """Return a part with the columns of `schema`, null where it has none."""
        table = self._open.pop(index, None)
        if table is None:
            table = _conform(self._read(index), schema)
            self._open_rows += table.num_rows
        self._open[index] = table
        while self._open_rows > _OPEN_ROWS and len(self._open) > 1:
            _, oldest = self._open.popitem(last=False)
            self._open_rows -= oldest.num_rows
        return table

    def _file(self, index: int) -> Any:
        try:
            return open_ipc(self._paths[index])
        except (pa.ArrowException, OSError) as error:
            raise damaged(self._ledger.parts[index], f"cannot be read ({error})") from None

    def _read(self, index: int) -> pa.Table:
        return part_table(self._ledger.parts[index], self._paths[index])


def _bring(store: Store, keys: list[str], folder: Path) -> list[Path]:
    """Return local files of objects; remote ones are fetched, several at a time."""

    def local(item: tuple[int, str]) -> Path:
        index, key = item
        path = store.local_path(key)
        if path is not None:
            return path
        path = folder / f"{index}-{Path(key).name}"
        return store.fetch(key, path)

    if not keys or store.local_path(keys[0]) is not None:
        return [local(item) for item in enumerate(keys)]
    with ThreadPool(_THREADS) as pool:
        return pool.map(local, enumerate(keys), chunksize=1)


def _outcome_schema(outputs: Iterable[Any], schemas: Iterable[pa.Schema]) -> pa.Schema:
    """Return the columns of all parts together, in one order, each of a type that holds all values."""
    found: dict[str, pa.Field] = {}
    first = ["row", "ok", "attempt", "seconds", "workflow_run_id", *(c.name for c in outputs)]
    for schema in schemas:
        for field in schema:
            known = found.get(field.name)
            found[field.name] = field if known is None else _wider(known, field)
    loose = [n for n in found if n.startswith((FEATURE, EXTRA)) and n not in first]
    for name, kind in (("row", "int"), ("ok", "bool"), ("attempt", "int"), ("seconds", "float")):
        found.setdefault(name, field_of(name, _TYPES[kind], kind))  # type: ignore[arg-type]
    for name in ("workflow_run_id", *ERROR_COLUMNS):
        found.setdefault(name, field_of(name, pa.string(), "str"))
    for column in outputs:
        found.setdefault(
            column.name, field_of(column.name, _TYPES.get(column.kind, pa.string()), column.kind)
        )
    return pa.schema([found[name] for name in (*first, *loose, *ERROR_COLUMNS)])


def _outputs_in(schemas: Iterable[pa.Schema]) -> list[Column]:
    """Return the outputs that parts hold, in their order."""
    others = {"row", "ok", "attempt", "seconds", "workflow_run_id", *ERROR_COLUMNS}
    fields = {field.name: field for schema in schemas for field in schema}
    return [
        Column(name, name, kind_in(field))
        for name, field in fields.items()
        if name not in others and not name.startswith((FEATURE, EXTRA))
    ]


_TYPES: Final[Mapping[str, pa.DataType]] = {
    "int": pa.int64(),
    "float": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us"),
}


def _wider(a: pa.Field, b: pa.Field) -> pa.Field:
    """Return the field that holds the values of both."""
    kinds = {kind_in(a), kind_in(b)}
    if a.type == b.type and len(kinds) == 1:
        return a
    if kinds == {"int", "float"}:
        return field_of(a.name, pa.float64(), "float")
    if len(kinds) == 1 and pa.large_string() in {a.type, b.type}:
        return field_of(a.name, pa.large_string(), kinds.pop())
    return field_of(a.name, pa.string(), "json")


def _conform(table: pa.Table, schema: pa.Schema) -> pa.Table:
    arrays = []
    for field in schema:
        index = table.schema.get_field_index(field.name)
        if index < 0:
            arrays.append(pa.nulls(table.num_rows, field.type))
            continue
        column = table.column(index)
        stored = table.schema.field(index)
        if kind_in(stored) != kind_in(field) and kind_in(field) == "json":
            from scythe_runtime.columns import decode, encode

            column = encode(decode(column, kind_in(stored)), "json")[0]
        elif stored.type != field.type:
            column = column.cast(field.type)
        arrays.append(column)
    return pa.Table.from_arrays(arrays, schema=schema)


class _FinalTables:
    """scalars.pq, result_file_refs.pq and errors.pq while they are written."""

    def __init__(
        self, folder: Path, specs: pa.Schema, outcomes: pa.Schema, outputs: Iterable[Any]
    ) -> None:
        outputs = list(outputs)
        own_columns = {column.name for column in outputs}
        names = {name.removeprefix(EXTRA) for name in own_columns}
        names |= {n.removeprefix(EXTRA) for n in outcomes.names if n.startswith(EXTRA)}
        base = {"experiment_id", "sort_index"}
        inputs = [field for field in specs if field.name not in base]
        # an input of the name of an output (older code has them) is stored as `input.<name>`
        self._inputs = {
            f.name: f.with_name(f"input.{f.name}") if f.name in names else f for f in inputs
        }
        self._levels = [f.name for f in inputs if kind_in(f) != "json"]
        self._documents = [f.name for f in inputs if kind_in(f) == "json"]
        self._features = [f for f in outcomes if f.name.startswith(FEATURE)]
        extras = [
            name for name in outcomes.names if name.startswith(EXTRA) and name not in own_columns
        ]
        scalars = [c.name for c in outputs if c.kind != "file"] + extras
        files = [c.name for c in outputs if c.kind == "file"]
        base_fields = [
            field_of("experiment_id", pa.string(), "str"),
            specs.field("sort_index"),
            field_of("root_workflow_run_id", pa.string(), "str"),
            field_of("workflow_run_id", pa.string(), "str"),
        ]
        levels = [
            *base_fields,
            *(self._inputs[n] for n in self._levels),
            *(f.with_name(f.name.removeprefix(FEATURE)) for f in self._features),
        ]
        documents = [self._inputs[n] for n in self._documents]
        self._columns: dict[str, list[str]] = {"scalars": scalars}
        if files:
            self._columns["result_file_refs"] = files
        self.paths: dict[str, Path] = {}
        self._writers: dict[str, pq.ParquetWriter] = {}
        self._schemas: dict[str, pa.Schema] = {}
        for table, columns in self._columns.items():
            own = [outcomes.field(n).with_name(n.removeprefix(EXTRA)) for n in columns]
            body = [*documents, *own] if table == "scalars" else own
            self._open(folder, table, levels, body)
        trail = [outcomes.field(n) for n in (*ERROR_COLUMNS, "attempt", "seconds")]
        self._open(folder, "errors", [], [*base_fields, *self._inputs.values(), *trail])

    def _open(self, folder: Path, name: str, levels: list[pa.Field], body: list[pa.Field]) -> None:
        schema = pa.schema([*levels, *body])
        if levels:
            schema = schema.with_metadata(
                {b"pandas": _pandas_metadata([f.name for f in levels], schema.names)}
            )
        path = folder / f"{name}.pq"
        self.paths[name] = path
        self._schemas[name] = schema
        self._writers[name] = writer_of(path, schema, unique="workflow_run_id")

    def write(
        self, inputs: pa.Table, outcomes: pa.Table, ok: "np.ndarray[Any, Any]", root_run_id: str
    ) -> None:
        """Append the rows of a window: inputs and outcomes of the same specs, in the same order."""
        if not len(ok):
            return
        good = ok.all()
        if good or ok.any():
            kept = (inputs, outcomes) if good else _filtered(inputs, outcomes, ok)
            base = self._base(*kept, root_run_id)
            levels = [
                *base,
                *(kept[0].column(n) for n in self._levels),
                *(kept[1].column(f.name) for f in self._features),
            ]
            documents = [kept[0].column(n) for n in self._documents]
            for table, columns in self._columns.items():
                own = [kept[1].column(n) for n in columns]
                self._append(table, [*levels, *(documents if table == "scalars" else []), *own])
        if not good:
            kept = _filtered(inputs, outcomes, ~ok)
            trail = [kept[1].column(n) for n in (*ERROR_COLUMNS, "attempt", "seconds")]
            own = [kept[0].column(n) for n in self._inputs]
            self._append("errors", [*self._base(*kept, root_run_id), *own, *trail])

    def _base(self, inputs: pa.Table, outcomes: pa.Table, root_run_id: str) -> list[Any]:
        return [
            inputs.column("experiment_id"),
            inputs.column("sort_index"),
            constant(root_run_id, inputs.num_rows),
            outcomes.column("workflow_run_id"),
        ]

    def _append(self, table: str, arrays: list[Any]) -> None:
        self._writers[table].write_table(pa.Table.from_arrays(arrays, schema=self._schemas[table]))

    def close(self) -> None:
        """Finish the files."""
        for writer in self._writers.values():
            writer.close()


def _filtered(
    inputs: pa.Table, outcomes: pa.Table, keep: "np.ndarray[Any, Any]"
) -> tuple[pa.Table, pa.Table]:
    mask = _mask(keep)
    return inputs.filter(mask), outcomes.filter(mask)


def _mask(keep: "np.ndarray[Any, Any]") -> pa.Array:
    bits = np.packbits(keep.astype(bool), bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(keep), [None, pa.py_buffer(bits)])


def _int64(values: "np.ndarray[Any, Any]") -> pa.Array:
    values = np.ascontiguousarray(values, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def _pandas_metadata(levels: list[str], columns: list[str]) -> bytes:
    """Return the note by which pandas makes a MultiIndex of plain columns on reading."""
    described = [
        {
            "name": n,
            "field_name": n,
            "pandas_type": "object",
            "numpy_type": "object",
            "metadata": None,
        }
        for n in columns
    ]
    header = {
        "name": None,
        "field_name": None,
        "pandas_type": "unicode",
        "numpy_type": "object",
        "metadata": {"encoding": "UTF-8"},
    }
    return json.dumps(
        {
            "index_columns": levels,
            "column_indexes": [header],
            "columns": described,
            "pandas_version": "2.0.0",
        }
    ).encode()
