"""Gather: the outcome parts of a run, in the order of its rows, as the final tables. Streams."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

# concurrent.futures takes no work once the main thread has ended; a script need not wait for its run
from multiprocessing.pool import AsyncResult, ThreadPool
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scythe_runtime.columns import Column
from scythe_runtime.errors import StoreError
from scythe_runtime.final_tables import FinalTables, mask_of
from scythe_runtime.layout import RunLayout
from scythe_runtime.ledger import Ledger
from scythe_runtime.outcomes import part_column
from scythe_runtime.parts import Parts, outcome_schema, outputs_in
from scythe_runtime.specs import SpecsReader
from scythe_runtime.store import Store


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
            parts = Parts(self._store, self._ledger, folder)
            outputs = self._given_outputs
            if outputs is None:
                outputs = outputs_in(parts.schemas())
            schema = outcome_schema(outputs, parts.schemas())
            tables = FinalTables(folder, self._specs.schema, schema, outputs)
            succeeded = failed = 0
            # one window is written while the next one is read
            writer = stack.enter_context(ThreadPool(1))
            writing: AsyncResult[None] | None = None
            for start, inputs in self._specs.groups():
                window = slice(start, start + inputs.num_rows)
                done = self._ledger.owner[window] >= 0
                if not done.all():
                    inputs = inputs.filter(mask_of(done))  # noqa: PLW2901
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

    def _outcomes(self, window: slice, parts: "Parts", schema: pa.Schema) -> pa.Table:
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

    def _write_frame(self, name: str, parts: "Parts", folder: Path, into: Store) -> str:
        from scythe_runtime.frames import ROW, join_frames

        rows: list[pa.Table] = []
        for index, table in parts.frame_tables(name):
            owners = self._ledger.owner[np.asarray(table.column(ROW))]
            rows.append(
                table if (owners == index).all() else table.filter(mask_of(owners == index))
            )
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


def _int64(values: "np.ndarray[Any, Any]") -> pa.Array:
    values = np.ascontiguousarray(values, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])
