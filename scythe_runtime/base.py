"""Base classes of specs: what goes into an experiment's function and what comes out of it."""

import logging
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Self, TypeAlias

from pydantic import AnyUrl, Field, PlainValidator, WithJsonSchema, field_serializer
from pydantic.json_schema import SkipJsonSchema

from scythe_runtime.errors import (
    ExperimentIndexAdditionalDataDoesNotMatchNRowsError,
    ExperimentIndexAdditionalDataOverlapsWithSpecError,
    ExperimentIndexNotSerializableError,
    ResultFileRefsInDataframesError,
    ScalarInDataframesError,
)
from scythe_runtime.files import FileReferenceMixin, FileValue, replace_files
from scythe_runtime.layout import RESERVED_FRAMES
from scythe_runtime.settings import ScytheStorageSettings

if TYPE_CHECKING:
    from pandas import DataFrame, MultiIndex

__all__ = [
    "REQUIRED_IN_IO_SPEC",
    "UNALLOCATED",
    "BaseSpec",
    "ComputedFeatureValue",
    "ExperimentIndexAdditionalDataDoesNotMatchNRowsError",
    "ExperimentIndexAdditionalDataOverlapsWithSpecError",
    "ExperimentIndexNotSerializableError",
    "ExperimentInputSpec",
    "ExperimentOutputSpec",
    "ResultFileRefsInDataframesError",
    "ScalarInDataframesError",
    "user_log",
]

ComputedFeatureValue: TypeAlias = int | float | str

UNALLOCATED: Final = "unallocated"
"""The experiment_id of a spec before it is allocated."""

REQUIRED_IN_IO_SPEC: Final = ("experiment_id", "sort_index")
"""Base fields with a default in Python that the io spec lists as required, as scythe-engine does."""

user_log = logging.getLogger("scythe.experiment")


class BaseSpec(FileReferenceMixin, extra="allow", arbitrary_types_allowed=True):
    """A spec that knows its experiment and can fetch files."""

    experiment_id: str = Field(default=UNALLOCATED, description="The experiment_id of the spec")

    def local_path(self, pth: AnyUrl) -> Path:
        """Return where a file from that URI is kept on this machine for this experiment.

        Use it for files that may stay; a function's own scratch files belong in its tempdir.

        Raises:
            ValueError: The URI has no path.
        """
        from scythe_runtime.fetching import cache_folder

        return cache_folder() / "experiments" / _safe(self.experiment_id) / _uri_path(pth)

    def fetch_uri(self, uri: AnyUrl, use_cache: bool = True) -> Path:  # noqa: FBT001, FBT002 - a promised name
        """Fetch a file and return its local path.

        Args:
            uri: s3://, http(s):// or file://.
            use_cache: Return a file that was fetched before instead of fetching again.
        """
        from scythe_runtime.fetching import fetch_uri

        return fetch_uri(uri, self.local_path(uri), use_cache)


class ExperimentInputSpec(BaseSpec):
    """One sample of an experiment: subclass it with a field for each input."""

    __slots__ = ("_original",)

    sort_index: int = Field(default=0, description="The sort index of the leaf.", ge=0)
    workflow_run_id: str | None = Field(
        default=None, description="The workflow run id of the leaf."
    )
    root_workflow_run_id: str | None = Field(
        default=None, description="The root workflow run id of the leaf."
    )
    storage_settings: SkipJsonSchema[ScytheStorageSettings | None] = Field(
        default=None, description="The storage settings to use."
    )

    @property
    def computed_features(self) -> dict[str, ComputedFeatureValue]:
        """Features derived from the fields; override it, and they become levels of the results' index."""
        return {}

    @property
    def prefix(self) -> str:
        """The key prefix of the spec's run.

        Raises:
            ValueError: The spec has no storage settings yet: it has not been allocated.
        """
        if self.storage_settings is None:
            message = "`storage_settings` is not set: the spec has not been allocated"
            raise ValueError(message)
        return f"{self.storage_settings.BUCKET_PREFIX}/{self.experiment_id}"

    def log(self, msg: str) -> None:
        """Write a message to the log of the slot that runs this spec; on Hatchet to the task's log as well."""
        user_log.info("[%s] %s", self.sort_index, msg)

    def construct_output_key(self, field_name: str, fpath: Path) -> str:
        """Return the key of an output file of this spec, below the store's root."""
        stem = self.workflow_run_id or f"{self.sort_index:08d}"
        return f"{self.experiment_id}/results/{field_name}/{stem}{fpath.suffix}"

    def make_multiindex(
        self,
        additional_index_data: dict[str, Any] | list[dict[str, Any]] | None = None,
        n_rows: int = 1,
        include_sort_subindex: bool = True,  # noqa: FBT001, FBT002 - a promised name
        additional_excludes: frozenset[str] = frozenset(),
    ) -> "MultiIndex":
        """Return the index of this spec's rows: its scalar inputs and computed features.

        Lists, dicts and nested models cannot be levels: a run's `final/scalars.pq` has them as columns of JSON.

        Args:
            additional_index_data: Levels to add: one dict for all rows, or one a row.
            n_rows: How many rows the index has.
            include_sort_subindex: Number the rows in a level `sort_subindex` where there are several.
            additional_excludes: Fields to leave out.

        Raises:
            ExperimentIndexAdditionalDataDoesNotMatchNRowsError: One dict a row, but not n_rows of them.
            ExperimentIndexAdditionalDataOverlapsWithSpecError: A level would have a field's name.
            ExperimentIndexNotSerializableError: A value is not plain.
        """
        from scythe_runtime.index import make_multiindex

        return make_multiindex(
            self,
            additional_index_data=additional_index_data,
            n_rows=n_rows,
            include_sort_subindex=include_sort_subindex,
            additional_excludes=additional_excludes,
        )

    def checked_features(self, taken: Collection[str] = ()) -> dict[str, ComputedFeatureValue]:
        """Return the computed features as plain values.

        Args:
            taken: Names that they may not have, besides those of the fields.

        Raises:
            ExperimentIndexAdditionalDataOverlapsWithSpecError: One has the name of a field.
            ExperimentIndexNotSerializableError: One is neither a number nor text.
        """
        found: dict[str, Any] = dict(self.computed_features)
        fields, extra = type(self).model_fields, self.__pydantic_extra__ or {}
        overlap = [name for name in found if name in fields or name in extra or name in taken]
        if overlap:
            raise ExperimentIndexAdditionalDataOverlapsWithSpecError(overlap)
        for name, value in found.items():
            if hasattr(value, "item"):  # a scalar of numpy
                found[name] = value = value.item()  # noqa: PLW2901
            if not (value is None or isinstance(value, int | float | str)):
                problem = f"computed feature {name!r} is {type(value).__qualname__}. Return int, float or str."
                raise ExperimentIndexNotSerializableError(type(self), problem)
        return found

    def with_local_files(self) -> Self:
        """Return a copy whose file references are local paths; remote files are fetched.

        Raises:
            StoreError: A file cannot be fetched.
        """
        from scythe_runtime.fetching import local_file

        def local(_at: str, file: FileValue) -> Path:
            return file if isinstance(file, Path) else local_file(file)

        copy = replace_files(self, local)
        object.__setattr__(copy, "_original", self)
        return copy

    def with_files_copied_to(self, folder: Path) -> Self:
        """Return a copy whose local files are copies in a folder, named after their fields."""

        def copied(at: str, file: FileValue) -> Path | FileValue:
            if not isinstance(file, Path):
                return file
            return Path(shutil.copy(file, folder / f"{at}{file.suffix}"))

        copy = replace_files(self, copied)
        object.__setattr__(copy, "_original", self.as_allocated())
        return copy

    def as_allocated(self) -> "ExperimentInputSpec":
        """Return the spec with its file references as URIs, as it was allocated."""
        original = getattr(self, "_original", None)
        return original if isinstance(original, ExperimentInputSpec) else self


def _frames(value: object) -> object:
    """Return frames by name; reads the forms in which frames travel (dicts in tight form, URIs)."""
    if not isinstance(value, Mapping):
        message = f"expected a dict of pandas DataFrames, got {type(value).__qualname__}"
        raise ValueError(message)  # noqa: TRY004 - pydantic wants a ValueError
    if not value:
        return {}
    from scythe_runtime.index import as_frame

    if "scalars" in value:
        raise ScalarInDataframesError(value["scalars"])
    if "result_file_refs" in value:
        raise ResultFileRefsInDataframesError(value["result_file_refs"])
    for name in value:
        if name in RESERVED_FRAMES or not (isinstance(name, str) and name.isidentifier()):
            message = f"dataframes[{name!r}]: a frame's name must be a Python identifier other than {', '.join(sorted(RESERVED_FRAMES))}"
            raise ValueError(message)
    return {name: as_frame(name, frame) for name, frame in value.items()}


if TYPE_CHECKING:
    _Frames: TypeAlias = dict[str, DataFrame]
else:
    # pandas is imported when there is a frame to look at, not when a spec class is defined: 0.4 s
    _Frames = Annotated[
        dict[str, Any],
        PlainValidator(_frames),
        WithJsonSchema({"type": "object", "additionalProperties": {"x-frame": True}}),
    ]


class ExperimentOutputSpec(FileReferenceMixin, arbitrary_types_allowed=True):
    """The result of one sample: subclass it with a field for each output.

    Attributes:
        dataframes: Tables by name; the rows of all samples are joined in `final/<name>.pq`.
    """

    _frames: ClassVar[Mapping[str, Mapping[str, str | Mapping[str, str]]]] = {}

    dataframes: SkipJsonSchema[_Frames] = Field(default_factory=dict)

    @field_serializer("dataframes")
    def _serialize_dataframes(self, frames: Mapping[str, Any]) -> dict[str, Any]:
        if not frames:
            return {}
        from scythe_runtime.utils.results import serialize_df_dict

        return {**serialize_df_dict({k: v for k, v in frames.items() if not isinstance(v, str)})}


def _safe(experiment_id: str) -> Path:
    """Return an experiment id as a relative path that does not lead out of its folder."""
    return Path(*(part for part in experiment_id.split("/") if part not in {"", ".", ".."}))


def _uri_path(uri: AnyUrl) -> Path:
    from urllib.parse import unquote

    parts = [part for part in unquote(uri.path or "").split("/") if part not in {"", ".", ".."}]
    if not parts:
        message = f"{uri} names no file"
        raise ValueError(message)
    return Path(uri.host or "", *parts)
