"""Results of a run: its tables, read back and checked."""

import re
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from scythe_runtime.base import ExperimentOutputSpec
from scythe_runtime.errors import NotFoundError, RunDamagedError, UsageError
from scythe_runtime.layout import RESERVED_FRAMES, RunLayout
from scythe_runtime.manifest import ExperimentRunManifest, load_yaml, read_manifest
from scythe_runtime.preview import first_rows
from scythe_runtime.store import Store, StoredObject

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

ENDED = frozenset({"complete", "complete-with-failures", "stopped", "paused"})

_TRANSFERS: Final = 8
_ERRORS_AT_ONCE: Final = 4096
_VARYING: Final = re.compile(
    r"""scythe-\w{8}|0x[0-9a-fA-F]+|-?\d[\d.,_]*(?:e[-+]?\d+)?|'[^'\n]*'|"[^"\n]*\""""
)
"""What differs from one failure to the next of the same kind."""


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Failures of one kind.

    Attributes:
        error_type: The exception's class.
        where: File and line.
        message: The first one's message.
        count: How many.
        row: The first sort_index that shows it.
        traceback: Its traceback.
    """

    error_type: str
    where: str | None
    message: str
    count: int
    row: int
    traceback: str | None


class Results:
    """The tables of one run.

    Args:
        store: Where it lives.
        layout: Its keys.
    """

    def __init__(self, store: Store, layout: RunLayout) -> None:
        self._store = store
        self._layout = layout
        self._interim: Store | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def manifest(self) -> ExperimentRunManifest:
        """Return the run's record."""
        return read_manifest(self._store, self._layout)

    def names(self) -> list[str]:
        """Return the names of the tables: the final ones, of a run that is going what there is now."""
        return self._names_in(self._read_from())

    def _names_in(self, store: Store) -> list[str]:
        found = (entry.key for entry in store.list(self._layout.final))
        return [Path(key).stem for key in found if key.endswith(".pq")]

    def uris(self) -> dict[str, str]:
        """Return the URI of each final table by its name."""
        names = self._names_in(self._store)
        return {name: self._store.uri(self._layout.final_table(name)) for name in names}

    @property
    def are_final(self) -> bool:
        """Whether the run has ended once, and has written its tables."""
        return bool(self._names_in(self._store))

    def _are_behind(self) -> bool:
        """Return whether a run that has not ended has committed outcomes since it wrote its tables."""
        from scythe_runtime.ledger import read_ledger

        manifest = self.manifest()
        if manifest.gathered is None or manifest.counts is None or not manifest.counts.pending:
            return False
        ledger = read_ledger(self._store, self._layout, manifest.counts.specs)
        return ledger.digest != manifest.gathered

    def _read_from(self) -> Store:
        """Return where tables are read: of a run that is going a folder, with what is committed by now."""
        if self._interim is not None:
            return self._interim
        if self.are_final and not self._are_behind():
            return self._store
        from scythe_runtime.gather import Gather
        from scythe_runtime.ledger import read_ledger
        from scythe_runtime.specs import open_specs
        from scythe_runtime.store import open_store

        specs = open_specs(self._store, self._layout)
        ledger = read_ledger(self._store, self._layout, specs.num_rows)
        if not ledger.parts:
            return self._store
        self._folder = tempfile.TemporaryDirectory(prefix="scythe-now-")
        self._interim = open_store(Path(self._folder.name).as_uri())
        Gather(
            store=self._store,
            layout=self._layout,
            outputs=None,
            specs=specs,
            ledger=ledger,
            root_run_id=self.manifest().workflow_run_id,
        ).write(into=self._interim)
        return self._interim

    def arrow(self, name: str, *, rows: int | None = None) -> "pa.Table":
        """Return a table, or its first rows, as an arrow table.

        Of a run that is going: with what is committed by now.

        Raises:
            NotFoundError: The run has no such table; the message says which it has.
        """
        import pyarrow as pa

        file = self._open(name)
        if rows is None:
            return file.read()
        batches = []
        left = rows
        for batch in file.iter_batches(batch_size=max(rows, 1)):
            batches.append(batch.slice(0, left))
            left -= batches[-1].num_rows
            if left <= 0:
                break
        return pa.Table.from_batches(batches, file.schema_arrow)

    def _open(self, name: str) -> "pq.ParquetFile":
        """Return a table's file, of which nothing is read yet."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        key = self._layout.final_table(name)
        store = self._read_from()
        path = store.local_path(key)
        try:
            source: Any = path if path is not None else pa.BufferReader(store.get(key))
            return pq.ParquetFile(source)
        except FileNotFoundError:
            raise NotFoundError(self._no_table(name)) from None
        except pa.ArrowInvalid as error:
            message = (
                f"{key} is damaged ({error}). Write it again: scythe resume {self._layout.run_id}"
            )
            raise RunDamagedError(message) from None

    def _no_table(self, name: str) -> str:
        names = self.names()
        if not names:
            return f"run {self._layout.run_id} has no tables yet. See how far it is: scythe status {self._layout.run_id}"
        return f"run {self._layout.run_id} has no table {name!r}. It has: {', '.join(names)}"

    def frame(self, name: str) -> "pd.DataFrame":
        """Return a table with its index: scalars, result_file_refs, errors, or a frame of the user's."""
        frame: pd.DataFrame = self.arrow(name).to_pandas()
        return frame

    def table(self, *, rows: int | None = None) -> "pd.DataFrame":
        """Return inputs and outputs side by side, one row for each result, in plain columns.

        Documents (lists, nested models) are Python values.

        Args:
            rows: Only the first ones.
        """
        from scythe_runtime.columns import decode, kind_in

        table = self._flat(rows)
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        for field in table.schema:
            if field.metadata and kind_in(field) == "json":
                frame[field.name] = decode(table.column(field.name), "json")
        return frame

    def preview(self, *, rows: int = 5, width: int = 100) -> str:
        """Return the first rows of `table` as text, each under its sort_index."""
        table = self._flat(rows)
        labels = [str(n) for n in table.column("sort_index").slice(0, rows).to_pylist()]
        return first_rows(table.drop_columns(["sort_index"]), rows=rows, width=width, labels=labels)

    def _flat(self, rows: int | None) -> "pa.Table":
        """Return inputs and outputs, files among them, as one table."""
        table = self.arrow("scalars", rows=rows)
        if "result_file_refs" in self.names():
            files = self.arrow("result_file_refs", rows=rows)
            for field in files.schema:
                if field.name not in table.column_names:
                    table = table.append_column(field, files.column(field.name))
        return table.drop_columns(["experiment_id", "root_workflow_run_id", "workflow_run_id"])

    def first(self, output_type: type[ExperimentOutputSpec]) -> ExperimentOutputSpec:
        """Return the result of the first spec as its class, files as URIs, frames included.

        Raises:
            NotFoundError: It has none.
        """
        from scythe_runtime.columns import columns_of, decode

        tables = [
            self.arrow(n, rows=1) for n in ("scalars", "result_file_refs") if n in self.names()
        ]
        if not tables or not tables[0].num_rows:
            message = f"run {self._layout.run_id} has no result"
            raise NotFoundError(message)
        values: dict[str, Any] = {}
        for column in columns_of(output_type, without={"dataframes"}):
            table = next(t for t in tables if column.name in t.column_names)
            values[column.key] = decode(table.column(column.name), column.kind)[0]
        values["dataframes"] = {n: self.frame(n) for n in self.names() if n not in RESERVED_FRAMES}
        return output_type.model_validate(values)

    def errors(self) -> "pd.DataFrame":
        """Return the failures, one row each: inputs, error_type, error_message, error_where, traceback."""
        frame: pd.DataFrame = self.arrow("errors").to_pandas(ignore_metadata=True)
        return frame.drop(columns=["experiment_id", "root_workflow_run_id"])

    def error_groups(self) -> list[ErrorGroup]:
        """Return the failures by type, place and message, numbers and quoted text apart; the most frequent first."""
        file = self._open("errors")
        names = ["sort_index", "error_type", "error_where", "error_message"]
        groups: dict[tuple[str, str | None, str], ErrorGroup] = {}
        # tracebacks are long and mostly equal: one of each group is kept
        for batch in file.iter_batches(_ERRORS_AT_ONCE, columns=[*names, "traceback"]):
            columns = [batch.column(name).to_pylist() for name in names]
            for at, (row, error_type, where, message) in enumerate(zip(*columns, strict=True)):
                key = error_type, where, _VARYING.sub("#", message)
                known = groups.get(key)
                if known is None:
                    traceback = batch.column("traceback")[at].as_py()
                    groups[key] = ErrorGroup(error_type, where, message, 1, row, traceback)
                else:
                    groups[key] = replace(known, count=known.count + 1)
        return sorted(groups.values(), key=lambda group: -group.count)

    def download(
        self, folder: Path, *, progress: Callable[[int, int], None] = lambda *_: None
    ) -> list[Path]:
        """Bring the tables and the result files to a folder, several at a time, and return their paths.

        What is there already in full is left alone. Of a run that is going: what is committed by now. The
        run's record goes along, by which a folder that holds another run's files is known.

        Args:
            folder: Where to; made if need be.
            progress: Called with how many bytes of how many are there.

        Raises:
            UsageError: The folder holds another run's files; nothing of it has been touched.
        """
        self._bring_record(folder / Path(self._layout.manifest).name)
        tables = self._read_from()
        wanted = [(tables, entry) for entry in tables.list(self._layout.final)]
        results = f"{self._layout.prefix}results/"
        wanted += [(self._store, entry) for entry in self._store.list(results)]
        total = sum(entry.size_bytes for _, entry in wanted)
        done = 0

        def bring(item: tuple[Store, StoredObject]) -> tuple[Path, int]:
            store, entry = item
            target = folder / entry.key.removeprefix(self._layout.prefix)
            final = store is tables and entry.key.startswith(self._layout.final)
            # a table of the same size may be of another moment of the run
            if final or not (target.is_file() and target.stat().st_size == entry.size_bytes):
                target.parent.mkdir(parents=True, exist_ok=True)
                store.fetch(entry.key, target)
            return target, entry.size_bytes

        brought = []
        with ThreadPoolExecutor(_TRANSFERS, "download") as pool:
            for target, size_bytes in pool.map(bring, wanted):
                done += size_bytes
                brought.append(target)
                progress(done, total)
        return brought

    def _bring_record(self, path: Path) -> None:
        """Put the run's manifest.yml there, unless another run's is."""
        if path.exists():
            known = load_yaml(path.read_bytes())
            other = known.get("experiment_id") if isinstance(known, dict) else None
            if other != self._layout.run_id:
                message = f"{path.parent} holds files of another run, {other}. Name another folder."
                raise UsageError(message)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._store.fetch(self._layout.manifest, path)
