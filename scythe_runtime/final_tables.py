"""The final tables while they are written: scalars.pq, result_file_refs.pq and errors.pq."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scythe_runtime.columns import field_of, kind_in
from scythe_runtime.outcomes import ERROR_COLUMNS, EXTRA, FEATURE
from scythe_runtime.specs import constant, writer_of

_TRAIL: Final = (*ERROR_COLUMNS, "attempt", "seconds")
"""The columns of errors.pq that tell of a failure, after the inputs."""


class FinalTables:
    """scalars.pq, result_file_refs.pq and errors.pq.

    Args:
        folder: Where they are written.
        specs: The columns of the run's specs.
        outcomes: The columns of its outcomes.
        outputs: Those of them that are the output spec's.

    Attributes:
        paths: The files by table.
    """

    def __init__(
        self, folder: Path, specs: pa.Schema, outcomes: pa.Schema, outputs: Iterable[Any]
    ) -> None:
        outputs = list(outputs)
        own_columns = {column.name for column in outputs}
        names = {name.removeprefix(EXTRA) for name in own_columns}
        names |= {n.removeprefix(EXTRA) for n in outcomes.names if n.startswith(EXTRA)}
        base = {"experiment_id", "sort_index"}
        inputs = [field for field in specs if field.name not in base]
        self._inputs = _apart(inputs, names)  # older code has inputs of the name of an output
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
        told = _apart(inputs, names | {*_TRAIL}).values()
        trail = [outcomes.field(n) for n in _TRAIL]
        self._open(folder, "errors", [], [*base_fields, *told, *trail])

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
            trail = [kept[1].column(n) for n in _TRAIL]
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


def _apart(inputs: list[pa.Field], taken: set[str]) -> dict[str, pa.Field]:
    """Return the inputs by name; one whose name is taken is stored as `input.<name>`."""
    return {f.name: f.with_name(f"input.{f.name}") if f.name in taken else f for f in inputs}


def _filtered(
    inputs: pa.Table, outcomes: pa.Table, keep: "np.ndarray[Any, Any]"
) -> tuple[pa.Table, pa.Table]:
    mask = mask_of(keep)
    return inputs.filter(mask), outcomes.filter(mask)


def mask_of(keep: "np.ndarray[Any, Any]") -> pa.Array:
    """Return booleans as an arrow array."""
    bits = np.packbits(keep.astype(bool), bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(keep), [None, pa.py_buffer(bits)])


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
