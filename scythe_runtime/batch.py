"""A batch in a slot: rows of specs.pq in, one outcome part out."""

import contextlib
import hashlib
import logging
import os
import socket
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from pydantic_core import PydanticSerializationError

from scythe_runtime.base import ExperimentInputSpec, ExperimentOutputSpec, user_log
from scythe_runtime.batches import Batch, BatchReport, RunAddress, Verdict
from scythe_runtime.bulk import PlainModels
from scythe_runtime.columns import columns_of, decode, kind_in
from scythe_runtime.errors import TaskNotWritten
from scythe_runtime.fetching import look_again, newly_used
from scythe_runtime.files import FileValue, file_fields, replace_files
from scythe_runtime.layout import PartName, RunLayout
from scythe_runtime.outcomes import Failure, Outcomes, Stored, WrongResult, to_ipc
from scythe_runtime.output import check_files
from scythe_runtime.registry import Experiment, ExperimentRegistry
from scythe_runtime.settings import ScytheStorageSettings
from scythe_runtime.specs import open_specs, require_run
from scythe_runtime.store import open_store

if TYPE_CHECKING:
    import pyarrow as pa

_RUN_IDS: Final = uuid.UUID("0d0c8f0e-6a3c-5e0e-9f0a-5c7e5c1f3a10")
"""Namespace of the runs' own ids."""

_AT_ONCE: Final = 1024
"""Rows that are Python values at one time: a batch of them all is slower, and takes ten times the memory."""

_Make: TypeAlias = Callable[[tuple[Any, ...]], ExperimentInputSpec]
_Records: TypeAlias = Iterator[tuple[Any, ...]]

_forks = 0
"""How many forks lie between this process and the first Python; asking for the pid costs 0.7 µs a spec."""


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 - there is one process
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


class Runners:
    """Runs the batches of any run whose task is registered here; what a slot process has."""

    _KEPT: Final = 4

    def __init__(self) -> None:
        self._runners: dict[RunAddress, BatchRunner] = {}
        if not user_log.handlers:  # `spec.log` goes where the slot's own output goes
            user_log.addHandler(logging.StreamHandler())
            user_log.setLevel(logging.INFO)

    def run(self, batch: Batch, progress: Callable[[int], None]) -> BatchReport:
        """Run a batch and commit its part; see `engine.BatchRunner`."""
        assert batch.run is not None
        runner = self._runners.get(batch.run)
        if runner is None:
            runner = self._runners[batch.run] = BatchRunner(batch.run)
            if len(self._runners) > self._KEPT:
                del self._runners[next(iter(self._runners))]
        return runner.run(batch, progress)


class BatchRunner:
    """Runs batches of one run.

    Args:
        run: Which.
        experiment: What it is a run of; by default what is registered by that name.
    """

    def __init__(self, run: RunAddress, experiment: Experiment[Any, Any] | None = None) -> None:
        self._store = open_store(run.root_uri)
        self._layout = RunLayout(run.run_id)
        self._experiment: Experiment[Any, Any] = experiment or ExperimentRegistry.get_runnable(
            run.task_name
        )
        self._specs = open_specs(self._store, self._layout)
        self._run_ids = RunIds(run.run_id)
        self._forks = _forks
        self._folder = os.sep
        with contextlib.suppress(OSError):  # it may have been deleted
            self._folder = os.getcwd()  # noqa: PTH109
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        input_type: type[ExperimentInputSpec] = self._experiment.input_validator_type
        output_type: type[ExperimentOutputSpec] = self._experiment.output_validator_type
        self._output_type = output_type
        self._function = self._experiment.fn
        self._wants_folder = self._experiment.accepts_tempdir
        self._retries = self._experiment.options.retries
        self._shared = {
            "root_workflow_run_id": run.root_run_id,
            "storage_settings": ScytheStorageSettings(),
        }
        self._injects = self._experiment.options.inject_workflow_run_id
        self._validate = input_type.__pydantic_validator__.validate_python
        keys = {column.name: column.key for column in columns_of(input_type)}
        self._keys = [keys.get(name, name) for name in self._specs.schema.names]
        self._plain = PlainModels.of(
            input_type,
            self._specs.schema.names,
            self._shared,
            unvalidated=["workflow_run_id"] if self._injects else [],
        )
        self._kinds = [kind_in(field) for field in self._specs.schema]
        # an extra field that a spec does not have is absent, not None
        self._extras = [name for name in self._specs.schema.names if name not in keys]
        self._outputs = columns_of(output_type, without={"dataframes"})
        self._output_names = {column.name for column in self._outputs}
        self._output_files = file_fields(output_type)
        self._plain_outputs = not (
            self._output_files
            or output_type._frames  # noqa: SLF001 - our own base class
            or output_type.model_config.get("extra") == "allow"
        )
        self._fetches = self._experiment.options.auto_fetch_files and bool(file_fields(input_type))
        if self._fetches and (allocated := self._layout.allocated) is not None:
            look_again(allocated.timestamp())
        self._has_features = (
            input_type.computed_features is not ExperimentInputSpec.computed_features
        )

    def run(self, batch: Batch, progress: Callable[[int], None]) -> BatchReport:
        """Run a batch and commit its part; see `engine.BatchRunner`."""
        started = time.perf_counter()
        outcomes = Outcomes(self._outputs)
        if batch.verdict is not None:
            self._judge(outcomes, list(chain(*batch.rows)), batch.verdict)
        else:
            for rows, run_ids, make, records in self._chunks(batch):
                outcomes.rows += rows
                outcomes.run_ids += run_ids
                for row, run_id, record in zip(rows, run_ids, records, strict=True):
                    progress(row)
                    self._run_spec(outcomes, row, run_id, make, record)
            progress(-1)
        self._commit(batch, outcomes)
        return BatchReport(
            succeeded=len(outcomes.rows) - outcomes.failed,
            failed=outcomes.failed,
            seconds=time.perf_counter() - started,
            user_seconds=sum(outcomes.seconds),
        )

    def _chunks(self, batch: Batch) -> Iterator[tuple[list[int], list[str], _Make, _Records]]:
        """Yield rows, their run ids, what makes a spec of a record, and the records, few at a time."""
        table = self._specs.read(batch.rows)
        rows = list(chain(*batch.rows))
        for start in range(0, len(rows), _AT_ONCE):
            some = rows[start : start + _AT_ONCE]
            part = table.slice(start, _AT_ONCE)
            columns = self._plain.validated(part.columns) if self._plain is not None else None
            if self._plain is not None and columns is not None:
                make: _Make = self._plain.make
            else:
                make = self._validated
                columns = [decode(c, k) for c, k in zip(part.columns, self._kinds, strict=True)]
            run_ids = self._run_ids.of_all(some)
            yield some, run_ids, make, zip(*columns, run_ids, strict=True)

    def _validated(self, record: tuple[Any, ...]) -> ExperimentInputSpec:
        """Return the spec of a record: its values in the order of the stored columns, and its run id."""
        values = dict(zip(self._keys, record))  # noqa: B905 - a tenth of the time a spec takes here
        for name in self._extras:
            if values[name] is None:
                del values[name]
        spec: ExperimentInputSpec = self._validate(values)
        # what allocation knows to be right is set at a third of the price of validating it
        spec.__dict__.update(self._shared)
        if self._injects:
            spec.__dict__["workflow_run_id"] = record[-1]
        return spec

    def _run_spec(
        self,
        outcomes: Outcomes,
        row: int,
        run_id: str,
        make: _Make,
        record: tuple[Any, ...],
    ) -> None:
        """Run one spec, with its retries, and add its outcome. It is short of calls: each costs 0.1 µs a spec."""
        attempt = 1
        started = time.perf_counter()
        while True:
            try:
                spec = make(record)
                features = spec.checked_features(self._output_names) if self._has_features else None
                if self._wants_folder:
                    data, extra, frames = self._result_in_folder(spec, row, run_id)
                else:
                    data, extra, frames = self._stored(spec, row, run_id, self._call(spec, None))
                outcomes.add_result(data, features, extra, frames)
            except BaseException as error:  # noqa: BLE001 - sys.exit() in a function is an outcome too
                self._come_home()
                if attempt <= self._retries and not isinstance(error, TaskNotWritten):
                    attempt += 1
                    started = time.perf_counter()
                    continue
                outcomes.add_failure(Failure.of(error))
            outcomes.add_time(attempt, time.perf_counter() - started)
            return

    def _result_in_folder(self, spec: ExperimentInputSpec, row: int, run_id: str) -> Stored:
        # what cannot be removed (a simulator still writing) is not the spec's failure
        with tempfile.TemporaryDirectory(prefix="scythe-", ignore_cleanup_errors=True) as name:
            stored = self._stored(spec, row, run_id, self._call(spec, Path(name)))
        self._come_home()
        return stored

    def _call(self, spec: ExperimentInputSpec, folder: Path | None) -> ExperimentOutputSpec:
        if self._fetches:
            spec = self._with_files(spec, folder)
        try:
            output = (
                self._function(spec) if folder is None else self._function(spec, tempdir=folder)
            )
            if not isinstance(output, self._output_type):
                output = self._experiment.finished(output)
        finally:
            if _forks != self._forks:  # the function's own child: only the slot has outcomes
                os._exit(0)
        if not isinstance(output, self._output_type):
            raise WrongResult(self._experiment.wrong_result(output))
        return output

    def _with_files(self, spec: ExperimentInputSpec, folder: Path | None) -> ExperimentInputSpec:
        spec = spec.with_local_files()
        copied = self._experiment.options.local_file_location == "copied-to-tempdir"
        return spec.with_files_copied_to(folder) if copied and folder is not None else spec

    def _come_home(self) -> None:
        """Leave the folder that a spec has gone to: the next spec must not start where nothing is left."""
        with contextlib.suppress(OSError):
            os.chdir(self._folder)

    def _stored(
        self, spec: ExperimentInputSpec, row: int, run_id: str, output: ExperimentOutputSpec
    ) -> Stored:
        """Return a spec's outputs with files as URIs, its extra outputs, and its frames."""
        data = output.__dict__
        plain = self._plain_outputs and type(output) is self._output_type
        if plain and not data.get("dataframes"):
            return data, None, None
        if self._output_files:
            check_files(output)
            data = data | self._put_files(output, run_id)
        tables: Mapping[str, pa.Table] | None = None
        if output.dataframes or output._frames:  # noqa: SLF001 - our own base class
            from scythe_runtime.frames import frame_tables

            tables = frame_tables(output, row, spec.experiment_id, spec.sort_index)
        return data, output.__pydantic_extra__, tables

    def _put_files(self, output: ExperimentOutputSpec, run_id: str) -> dict[str, Any]:
        """Put the output's local files into the run and return the fields that name them, as URIs."""

        def put(at: str, file: FileValue) -> str:
            if not isinstance(file, Path):
                return str(file)
            key = self._layout.result_file(at, run_id, file.suffix)
            self._store.put(key, file)
            return self._store.uri(key)

        return {
            name: replace_files(output.__dict__[name], put, name) for name in self._output_files
        }

    def _judge(self, outcomes: Outcomes, rows: list[int], verdict: Verdict) -> None:
        outcomes.rows += rows
        outcomes.run_ids += self._run_ids.of_all(rows)
        for _ in rows:
            outcomes.add_failure(Failure(verdict.error_type, verdict.message, None, None))
            outcomes.add_time(1, verdict.seconds)

    def _commit(self, batch: Batch, outcomes: Outcomes) -> None:
        """Put the frames, then the part: the part is the commit record."""
        n, frames = len(outcomes.rows), outcomes.frames
        metadata: dict[str, Any] = {
            "run": self._layout.run_id,
            "worker": self._worker,
            "queue_id": batch.queue_id,
            "frames": sorted(frames),
        }
        if self._fetches:
            metadata["files"] = newly_used()
        try:
            table = outcomes.to_table(metadata)
        except PydanticSerializationError:  # one spec's value must not cost the batch
            from scythe_runtime.frames import without_rows

            frames = without_rows(frames, outcomes.fail_unstorable())
            table = outcomes.to_table({**metadata, "frames": sorted(frames)})
        require_run(self._store, self._layout)
        for name, tables in frames.items():
            from scythe_runtime.frames import join_frames

            key = self._layout.frame_part(batch.plan, name, batch.id, batch.offset, n)
            self._store.put(key, to_ipc(join_frames(tables)))
        part = PartName(
            batch=batch.id,
            offset=batch.offset,
            length=n,
            succeeded=n - outcomes.failed,
            failed=outcomes.failed,
        )
        self._store.put(self._layout.part(batch.plan, part), to_ipc(table))
        require_run(self._store, self._layout)  # taken away meanwhile: it is not committed there


class RunIds:
    """The ids of a run's specs: uuid5 of run and row, so that a spec that is run again keeps its id."""

    def __init__(self, run_id: str) -> None:
        self.root = str(uuid.uuid5(_RUN_IDS, run_id))
        self._hash = hashlib.sha1(uuid.UUID(self.root).bytes, usedforsecurity=False)

    def of(self, row: int) -> str:
        """Return the id of a row."""
        return self.of_all([row])[0]

    def of_all(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows: uuid5(root, str(row)), a fifth of the time that uuid.uuid5 takes."""
        copy = self._hash.copy
        digests = []
        for row in rows:
            digest = copy()
            digest.update(b"%d" % row)
            digests.append(digest.digest())
        data = np.frombuffer(b"".join(digests), dtype=np.uint8).reshape(-1, 20)[:, :16].copy()
        data[:, 6] = data[:, 6] & 0x0F | 0x50  # version 5
        data[:, 8] = data[:, 8] & 0x3F | 0x80  # the variant of RFC 4122
        digits = np.frombuffer(data.tobytes().hex().encode(), dtype=np.uint8).reshape(-1, 32)
        text = np.insert(digits, (8, 12, 16, 20), ord("-"), axis=1).tobytes().decode()
        return [text[i : i + 36] for i in range(0, len(text), 36)]
