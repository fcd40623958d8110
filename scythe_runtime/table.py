"""Specs in whatever form users have them, as one checked arrow table."""

import gc
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import pyarrow as pa
from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError

from scythe_runtime.base import ExperimentInputSpec
from scythe_runtime.bulk import validated_columns
from scythe_runtime.columns import (
    Column,
    columns_of,
    decode,
    encode,
    field_of,
    kind_in,
    models_to_table,
    why_unstorable,
)
from scythe_runtime.errors import (
    ExperimentIndexNotSerializableError,
    ExperimentSpecsMismatchError,
    SpecError,
)
from scythe_runtime.files import FileValue, file_fields, replace_files, walk_files

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK: Final = 64 * 1024
_NAMED_AT_MOST: Final = 20

NOT_STORED: Final = frozenset(
    {"experiment_id", "workflow_run_id", "root_workflow_run_id", "storage_settings"}
)
"""Base fields that specs.pq has no column for, or a column that allocation fills in."""


class SpecTable:
    """The specs of a run before they are written.

    Attributes:
        table: One column an input, and `sort_index`; `experiment_id` if each keeps its own.
        files: By field, the distinct files that specs name, as text.
    """

    def __init__(
        self,
        input_type: type[ExperimentInputSpec],
        table: pa.Table,
        models: Sequence[ExperimentInputSpec] | None,
    ) -> None:
        self._input_type = input_type
        self.table = table
        self._models = models
        self._nested = [
            name
            for name in file_fields(input_type)
            if name in table.column_names and kind_in(table.schema.field(name)) != "file"
        ]
        self.files: dict[str, Any] = {
            field.name: table.column(field.name)
            for field in table.schema
            if kind_in(field) == "file"
        }
        for name in self._nested:
            self.files[name] = [
                str(file) for value in self._values(name) for _, file in walk_files(value)
            ]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def with_uris(self, uris: Mapping[str, Mapping[str, str]]) -> pa.Table:
        """Return the table with each file replaced by its URI in the run."""
        table = self.table
        for name, known in uris.items():
            index = table.schema.get_field_index(name)
            field = table.schema.field(index)
            if name in self._nested:
                values = [
                    replace_files(value, partial(_uri, known)) for value in self._values(name)
                ]
                column = encode(values, "json")[0]
            else:
                text = table.column(index).to_pylist()
                column = encode([None if v is None else known[v] for v in text], "file")[0]
            table = table.set_column(index, field, column)
        return table

    def _values(self, name: str) -> "Iterator[Any]":
        if self._models is not None:
            for model in self._models:
                yield model.__dict__[name]
            return
        adapter = cast("Any", self._input_type).__pydantic_validator__
        for value in decode(self.table.column(name), "json"):
            holder = self._input_type.model_construct()
            yield adapter.validate_assignment(holder, name, value).__dict__[name]


def spec_table(
    specs: object,
    input_type: type[ExperimentInputSpec],
    *,
    overwrite_sort_index: bool,
    overwrite_experiment_id: bool,
) -> SpecTable:
    """Return specs as a checked table.

    Args:
        specs: Models (any iterable of them), a pandas or polars frame, or an arrow table.
        input_type: Of the experiment.
        overwrite_sort_index: Number the rows, whatever the specs say.
        overwrite_experiment_id: Leave experiment_id to the caller.

    Raises:
        ExperimentSpecsMismatchError: A model is of another class.
        SpecError: Rows of a frame are not valid; the message names the first of them.
    """
    left_out = NOT_STORED - (set() if overwrite_experiment_id else {"experiment_id"})
    columns = columns_of(input_type, without=left_out)
    frame = _as_arrow(specs)
    models: Sequence[ExperimentInputSpec] | None = None
    if frame is None:
        models = _as_models(specs, input_type)
        try:
            table = models_to_table(models, columns)
        except PydanticSerializationError:
            raise _unstorable(models) from None
    else:
        table = _checked(frame, input_type, columns)
    if not table.num_rows:
        message = "there are no specs to run. Give allocate() at least one."
        raise SpecError(message)
    if overwrite_sort_index:
        numbers = encode(range(table.num_rows), "int")[0]
        index = table.schema.get_field_index("sort_index")
        table = table.set_column(index, field_of("sort_index", pa.int64(), "int"), numbers)
    order = ["sort_index", *(n for n in table.column_names if n != "sort_index")]
    if not overwrite_experiment_id:
        order = ["experiment_id", *(n for n in order if n != "experiment_id")]
    return SpecTable(input_type, table.select(order), models)


def _uri(known: Mapping[str, str], _at: str, file: FileValue) -> str:
    return known[str(file)]


def _as_models(
    specs: object, input_type: type[ExperimentInputSpec]
) -> Sequence[ExperimentInputSpec]:
    if not isinstance(specs, Iterable) or isinstance(specs, str | bytes | Mapping | BaseModel):
        message = f"specs are {type(specs).__qualname__}; give a list of {input_type.__name__}, or a frame with its fields as columns"
        raise SpecError(message)
    models = specs if isinstance(specs, list | tuple) else list(specs)
    others = {type(spec) for spec in models} - {input_type}
    wrong = [t for t in others if not issubclass(t, input_type)]
    if wrong:
        raise ExperimentSpecsMismatchError(input_type, wrong[0])
    return models


def _unstorable(models: Sequence[ExperimentInputSpec]) -> ExperimentIndexNotSerializableError:
    """Return the error that names the first value that cannot be stored."""
    for row, model in enumerate(models):
        for name, value in {**model.__dict__, **(model.__pydantic_extra__ or {})}.items():
            why = why_unstorable(value)
            if why is not None:
                problem = (
                    f"row {row}: {name}: {why}. Use numbers, text, lists, dicts, models, or files."
                )
                return ExperimentIndexNotSerializableError(type(model), problem)
    return ExperimentIndexNotSerializableError(type(models[0]))


def _as_arrow(specs: object) -> pa.Table | None:
    """Return a frame as an arrow table, None for what is no frame."""
    if isinstance(specs, pa.Table):
        return specs
    pandas = sys.modules.get("pandas")  # nobody holds a frame if pandas is not loaded
    if pandas is not None and isinstance(specs, pandas.DataFrame):
        names = [str(name) for name in specs.columns]
        if len(set(names)) < len(names):
            message = "the frame has columns of the same name. Name each column after an input."
            raise SpecError(message)
        return pa.Table.from_pandas(specs.set_axis(names, axis=1), preserve_index=False)
    to_arrow = getattr(specs, "to_arrow", None)
    return to_arrow() if callable(to_arrow) else None


def _checked(
    frame: pa.Table, input_type: type[ExperimentInputSpec], columns: Sequence[Column]
) -> pa.Table:
    """Return a frame's rows as the table that their models make; all rows are checked before one is refused."""
    keys = {column.name: column.key for column in columns}
    kept = [name for name in frame.column_names if name not in NOT_STORED or name in keys]
    table = validated_columns(frame.select(kept), input_type, columns)
    if table is not None:
        return table
    validate: Callable[[Any], BaseModel] = input_type.__pydantic_validator__.validate_python
    names = [keys.get(name, name) for name in kept]
    tables: list[pa.Table] = []
    problems: list[str] = []
    bad_rows = 0
    # a million short-lived models make the garbage collector look at everything, again and again
    collecting = gc.isenabled()
    gc.disable()
    try:
        for start in range(0, frame.num_rows, _CHUNK):
            chunk = frame.select(kept).slice(start, _CHUNK)
            models = []
            rows = zip(*(column.to_pylist() for column in chunk.columns), strict=True)
            for offset, row in enumerate(rows):
                try:
                    models.append(validate(dict(zip(names, row, strict=True))))
                except ValidationError as error:
                    bad_rows += 1
                    if len(problems) < _NAMED_AT_MOST:
                        problems += [
                            f"  row {start + offset}: {'.'.join(map(str, p['loc']))}: {p['msg']} (got {p['input']!r})"
                            for p in error.errors(include_url=False)
                        ]
            if not bad_rows:
                tables.append(models_to_table(models, columns))
    finally:
        if collecting:
            gc.enable()
    if problems:
        more = [] if len(problems) < _NAMED_AT_MOST else ["  …"]
        head = f"{bad_rows} of {frame.num_rows} specs are not valid; nothing was written:"
        raise SpecError("\n".join([head, *problems[:_NAMED_AT_MOST], *more]))
    return pa.concat_tables(tables, promote_options="permissive") if tables else frame
