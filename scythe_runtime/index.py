"""The pandas edge of specs: MultiIndex of a spec's inputs, and users' frames."""

import json
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

import pandas as pd
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from scythe_runtime.errors import (
    ExperimentIndexAdditionalDataDoesNotMatchNRowsError,
    ExperimentIndexAdditionalDataOverlapsWithSpecError,
    ExperimentIndexNotSerializableError,
)

if TYPE_CHECKING:
    from scythe_runtime.base import ExperimentInputSpec


def make_multiindex(
    spec: "ExperimentInputSpec",
    *,
    additional_index_data: dict[str, Any] | list[dict[str, Any]] | None,
    n_rows: int,
    include_sort_subindex: bool,
    additional_excludes: frozenset[str],
) -> pd.MultiIndex:
    """Return the index of a spec's rows; see `ExperimentInputSpec.make_multiindex`."""
    if isinstance(additional_index_data, list) and len(additional_index_data) != n_rows:
        raise ExperimentIndexAdditionalDataDoesNotMatchNRowsError(n_rows, additional_index_data)
    allocated = spec.as_allocated()
    left_out = {"storage_settings", *_documents(type(spec)), *additional_excludes}
    try:
        dumped = allocated.model_dump(mode="json", exclude=left_out)
    except PydanticSerializationError as error:
        raise ExperimentIndexNotSerializableError(type(spec), str(error)) from None
    # extra fields have no type to tell by
    levels = {k: v for k, v in dumped.items() if not isinstance(v, list | dict)}
    levels |= spec.checked_features()
    rows = [dict(levels) for _ in range(n_rows)]
    extra = (
        additional_index_data
        if isinstance(additional_index_data, list)
        else [additional_index_data or {}] * n_rows
    )
    for row, more in zip(rows, extra, strict=True):
        _add(row, more)
    try:
        json.dumps(rows)
    except (TypeError, ValueError) as error:
        raise ExperimentIndexNotSerializableError(type(spec)) from error
    frame = pd.DataFrame(rows)
    if include_sort_subindex and n_rows > 1:
        frame["sort_subindex"] = list(range(n_rows))
    return pd.MultiIndex.from_frame(frame)


@cache
def _documents(model: type[BaseModel]) -> frozenset[str]:
    """Return the fields whose values cannot be levels: lists, dicts, nested models and the like."""
    return frozenset(
        name for name, field in model.model_fields.items() if _holds_document(field.annotation)
    )


def _holds_document(annotation: Any) -> bool:
    origin = get_origin(annotation) or annotation
    if origin in {Union, UnionType, Annotated}:
        return any(_holds_document(member) for member in get_args(annotation))
    return isinstance(origin, type) and issubclass(
        origin, BaseModel | Mapping | list | tuple | set | frozenset
    )


def _add(levels: dict[str, Any], more: Mapping[str, Any]) -> None:
    overlap = [name for name in more if name in levels]
    if overlap:
        raise ExperimentIndexAdditionalDataOverlapsWithSpecError(overlap)
    levels.update(more)


def as_frame(name: str, value: object) -> pd.DataFrame:
    """Return a user's frame as pandas: a frame, a dict in tight form, or the URI of a parquet file.

    Raises:
        ValueError: It is none of these.
    """
    if isinstance(value, pd.DataFrame):
        return value
    if isinstance(value, dict):
        return pd.DataFrame.from_dict(value, orient="tight")
    if isinstance(value, str):
        import tempfile
        from pathlib import Path

        from scythe_runtime.fetching import fetch_uri

        with tempfile.TemporaryDirectory() as folder:
            return pd.read_parquet(fetch_uri(value, Path(folder) / "frame.pq", use_cache=False))
    message = f"dataframes[{name!r}]: expected a pandas DataFrame, got {type(value).__qualname__}"
    raise ValueError(message)
