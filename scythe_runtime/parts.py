"""The outcome parts of a run as tables of the same columns, whatever store they come from."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from scythe_runtime.columns import Column, field_of, kind_in
from scythe_runtime.errors import NotFoundError, RunDamagedError
from scythe_runtime.ledger import Ledger, damaged, frame_table, part_table
from scythe_runtime.outcomes import ERROR_COLUMNS, EXTRA, FEATURE, open_ipc, part_metadata
from scythe_runtime.store import Store

_OPEN_ROWS: Final = 192 * 1024
"""How many rows of parts are kept open: a part is needed by a few windows, one after another."""

_THREADS: Final = 8


class Parts:
    """The outcome parts as tables; keeps the last ones open.

    Args:
        store: Where the run lives.
        ledger: What has been committed.
        folder: Where copies of a remote store's parts go.
    """

    def __init__(self, store: Store, ledger: Ledger, folder: Path) -> None:
        self._store = store
        self._ledger = ledger
        self._paths = _bring(store, [part.key for part in ledger.parts], folder)
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


def outcome_schema(outputs: Iterable[Any], schemas: Iterable[pa.Schema]) -> pa.Schema:
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


def outputs_in(schemas: Iterable[pa.Schema]) -> list[Column]:
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
