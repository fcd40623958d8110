"""Outcome parts: what a batch commits, an arrow file with a row for each spec.

Columns: row, ok, attempt, seconds, workflow_run_id, the outputs, computed features (`feature:<name>`),
and, where something failed, error_type, error_message, error_where, traceback. Worker, queue id and
plan are in the schema's metadata, since they are the same for all rows.
"""

import json
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
from pydantic_core import PydanticSerializationError

from scythe_runtime.columns import (
    SCALARS,
    Column,
    Kind,
    document,
    documents,
    encode,
    field_of,
    guess_kind,
    why_unstorable,
)
from scythe_runtime.errors import ScytheError

FEATURE: Final = "feature:"
EXTRA: Final = "extra:"
ERROR_COLUMNS: Final = ("error_type", "error_message", "error_where", "traceback")
_OF_PARTS: Final = frozenset({"row", "ok", "attempt", "seconds", *ERROR_COLUMNS})
META_KEY: Final = b"scythe.part"

Stored: TypeAlias = (
    "tuple[Mapping[str, Any], Mapping[str, Any] | None, Mapping[str, pa.Table] | None]"
)
"""A result as it is stored: outputs by name with files as URIs, extra outputs, and frames."""

_TAKEN: Final = frozenset(
    {"experiment_id", "sort_index", "root_workflow_run_id", "workflow_run_id"}
)
_UNSTORABLE: Final = "output {}: {}. Return numbers, text, lists, dicts, models, or files."
_MESSAGE_LENGTH: Final = 4_000
_TRACEBACK_LENGTH: Final = 20_000
_HERE: Final = str(Path(__file__).parent)


class WrongResult(ScytheError, TypeError):  # noqa: N818 - the name is what a user reads in errors.pq
    """A function returned something else than its output spec, or a value that cannot be stored."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a spec has no result.

    Attributes:
        type: The exception's class, or what the engine found ("SlotDied", "TimedOut").
        message: The exception's text.
        where: File and line in the user's code, for instance "task.py:41".
        traceback: As Python prints it, from the user's function on.
    """

    type: str
    message: str
    where: str | None
    traceback: str | None

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """Return an exception as values; one that cannot even be printed too."""
        tb = error.__traceback__
        while tb is not None and tb.tb_frame.f_code.co_filename.startswith(_HERE):
            tb = tb.tb_next
        frames = traceback.extract_tb(tb)
        own = [
            f
            for f in frames
            if "site-packages" not in f.filename and not f.filename.startswith("<")
        ]
        last = next(iter([*reversed(own), *reversed(frames)]), None)
        try:
            message = str(error)
        except Exception as inner:  # noqa: BLE001 - the user's __str__ may do anything
            message = f"<its text cannot be read: {type(inner).__name__}>"
        try:
            text = "".join(traceback.format_exception(type(error), error, tb))
        except Exception:  # noqa: BLE001 - likewise
            text = "".join(traceback.format_tb(tb))
        return cls(
            type=type(error).__qualname__,
            message=_shorten(message, _MESSAGE_LENGTH),
            where=f"{Path(last.filename).name}:{last.lineno}" if last else None,
            traceback=_shorten(text, _TRACEBACK_LENGTH),
        )


def part_column(output: str) -> str:
    """Return the column of a part that holds an output: under another name where parts have one of that name."""
    return f"{EXTRA}{output}" if output in _OF_PARTS else output


def _shorten(text: str, length: int) -> str:
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}\n… {len(text) - length} characters left out …\n{text[-half:]}"


@dataclass(slots=True)
class Outcomes:
    """The outcomes of a batch, collected by column.

    What a function could still change in its next call (a list, a dict, a model) is made a document at once.

    Attributes:
        columns: The outputs that are stored.
        rows: Of the batch, as far as they have been read: those without a value yet are to come.
        seconds: How long each row took.
        attempts: How often a row was tried, by its place, where that is more than once.
        run_ids: The rows' own ids, as many as `rows`.
        frames: The rows' frames by name.
    """

    columns: Sequence[Column]
    rows: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    attempts: dict[int, int] = field(default_factory=dict)
    run_ids: list[str] = field(default_factory=list)
    values: list[tuple[Any, ...]] = field(default_factory=list)
    frames: dict[str, list[pa.Table]] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)
    features: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    extras: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    _pick: Callable[[Mapping[str, Any]], tuple[Any, ...]] = field(init=False)
    _documents: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._documents = [i for i, column in enumerate(self.columns) if column.kind == "json"]
        names = [column.name for column in self.columns]
        # of one name, itemgetter returns no tuple
        self._pick = itemgetter(*names) if len(names) > 1 else lambda d: tuple(d[n] for n in names)

    def add_time(self, attempt: int, seconds: float) -> None:
        """Add how long the last attempt took; the result or failure has been added just before."""
        if attempt > 1:
            self.attempts[len(self.seconds)] = attempt
        self.seconds.append(seconds)

    def add_result(
        self,
        data: Mapping[str, Any],
        features: Mapping[str, Any] | None,
        extra: Mapping[str, Any] | None,
        frames: Mapping[str, pa.Table] | None,
    ) -> None:
        """Add a result: outputs by name, computed features, outputs that the class does not declare, and frames.

        Raises:
            KeyError: An output is not there (a model that was constructed without validation); nothing is added.
            WrongResult: A value cannot be stored; nothing is added.
        """
        values = self._pick(data)
        if self._documents:
            kept: list[Any] = list(values)
            for i in self._documents:
                kept[i] = _kept(self.columns[i].name, kept[i], document)
            values = tuple(kept)
        if extra:
            if taken := _TAKEN & extra.keys():
                message = (
                    f"output {min(taken)!r}: tables have a column of that name. Choose another."
                )
                raise WrongResult(message)
            extra = {name: _kept(name, value, _copied) for name, value in extra.items()}
            self.extras[len(self.values)] = extra
        if features:
            self.features[len(self.values)] = features
        if frames:
            for name, table in frames.items():
                self.frames.setdefault(name, []).append(table)
        self.values.append(values)

    def add_failure(self, failure: Failure) -> None:
        """Add a failure."""
        self.failures[len(self.values)] = failure
        self.values.append(self._nothing)

    @property
    def _nothing(self) -> tuple[None, ...]:
        return (None,) * len(self.columns)

    def fail_unstorable(self) -> set[int]:
        """Turn results that hold a value that cannot be stored into failures, and return their rows.

        Only an output that was assigned something else than its field's type gets this far.
        """
        found = set()
        for at, row in enumerate(self.rows):
            names = (column.name for column in self.columns)
            named = dict(zip(names, self.values[at], strict=True))
            for name, value in named.items():
                why = None if isinstance(value, str) else why_unstorable(value)
                if why is not None:
                    message = _UNSTORABLE.format(repr(name), why)
                    self.failures[at] = Failure("WrongResult", message, None, None)
                    self.features.pop(at, None)
                    self.extras.pop(at, None)
                    self.values[at] = self._nothing
                    found.add(row)
                    break
        return found

    @property
    def failed(self) -> int:
        """How many have failed."""
        return len(self.failures)

    def to_table(self, metadata: Mapping[str, Any]) -> pa.Table:
        """Return the part's table."""
        arrays: list[pa.Array] = []
        fields: list[pa.Field] = []

        def add(name: str, values: Sequence[Any], kind: Kind) -> None:
            made, stored = encode(values, kind)
            arrays.append(made)
            fields.append(field_of(name, made.type, stored))

        add("row", self.rows, "int")
        places = range(len(self.rows))
        ok, once = [True] * len(places), [1] * len(places)
        add("ok", [at not in self.failures for at in places] if self.failures else ok, "bool")
        add(
            "attempt", [self.attempts.get(at, 1) for at in places] if self.attempts else once, "int"
        )
        add("seconds", self.seconds, "float")
        add("workflow_run_id", self.run_ids, "str")
        values = zip(*self.values, strict=True)
        for column, given in zip(self.columns, values, strict=True):
            if column.kind == "json":
                arrays.append(documents(given))
                fields.append(field_of(part_column(column.name), arrays[-1].type, "json"))
            else:
                add(part_column(column.name), given, column.kind)
        for prefix, dicts in ((FEATURE, self.features), (EXTRA, self.extras)):
            for name in dict.fromkeys(key for d in dicts.values() for key in d):
                loose = [dicts[at].get(name) if at in dicts else None for at in places]
                add(f"{prefix}{name}", loose, guess_kind(loose))
        if self.failed:
            failures = [self.failures.get(at) for at in places]
            add("error_type", [f and f.type for f in failures], "str")
            add("error_message", [f and f.message for f in failures], "str")
            add("error_where", [f and f.where for f in failures], "str")
            add("traceback", [f and f.traceback for f in failures], "str")
        schema = pa.schema(fields, metadata={META_KEY: json.dumps(dict(metadata)).encode()})
        return pa.Table.from_arrays(arrays, schema=schema)


def _kept(name: str, value: Any, keep: Callable[[Any], Any]) -> Any:
    try:
        return keep(value)
    except PydanticSerializationError as error:
        raise WrongResult(_UNSTORABLE.format(repr(name), str(error).rpartition(": ")[2])) from None


def _copied(value: Any) -> Any:
    """Return a value that nobody else can change."""
    return value if type(value) in SCALARS else json.loads(document(value) or "null")


def part_metadata(schema: pa.Schema) -> dict[str, Any]:
    """Return what is the same for all rows of a part: worker, queue_id, run, frames (their names), files.

    `files` are the digests, by URI, of remote input files that the slot met since its part before.
    """
    found: dict[str, Any] = json.loads((schema.metadata or {}).get(META_KEY, b'{"frames": []}'))
    return found


def to_ipc(table: pa.Table) -> bytes:
    """Return a table as an arrow file."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def from_ipc(data: bytes | Path) -> pa.Table:
    """Return the table of an arrow file.

    Raises:
        pyarrow.ArrowInvalid: It is not a whole arrow file.
    """
    return open_ipc(data).read_all()


def open_ipc(data: bytes | Path) -> Any:
    """Return an arrow file, of which nothing but its schema is read; a local one is mapped.

    Raises:
        pyarrow.ArrowInvalid: It is not a whole arrow file.
    """
    return pa.ipc.open_file(
        pa.memory_map(str(data)) if isinstance(data, Path) else pa.BufferReader(data)
    )
