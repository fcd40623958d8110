"""The scatter/gather tree: how specs are split, and what a run comes to."""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from scythe_runtime.files import FileUrl, S3Url
from scythe_runtime.manifest import Counts, State

if TYPE_CHECKING:
    from scythe_runtime.nodes import (
        GatheredExperimentRuns,
        ScatterGatherInput,
        combine_experiment_outputs,
        scatter_gather,
        sift_results,
    )

__all__ = [
    "GatheredExperimentRuns",
    "RecursionMap",
    "RecursionSpec",
    "ScatterGatherInput",
    "ScatterGatherResult",
    "combine_experiment_outputs",
    "scatter_gather",
    "sift_results",
]


def __getattr__(name: str) -> Any:
    """Return scythe-engine's internals; they need pandas, which runs do not."""
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(import_module("scythe_runtime.nodes"), name)


class RecursionSpec(BaseModel, frozen=True):
    """One step down the tree: which child of how many."""

    factor: int = Field(description="The factor to use in recursive calls", ge=1)
    offset: int | None = Field(
        default=None, description="The offset to use in recursive calls", ge=0
    )

    @classmethod
    def validate_offset_less_than_factor(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the values of a step.

        Raises:
            ValueError: Its offset is not below its factor.
        """
        offset, factor = values.get("offset"), values["factor"]
        if offset is not None and offset >= factor:
            message = f"offset {offset} is not below factor {factor}"
            raise ValueError(message)
        return values

    @model_validator(mode="after")
    def _offset_below_factor(self) -> Self:
        self.validate_offset_less_than_factor(self.__dict__)
        return self


class RecursionMap(BaseModel, frozen=True):
    """How specs are split over the nodes of a tree, and where in it a node stands.

    Attributes:
        path: The steps that lead to this node; None at the root.
        factor: Children a node.
        max_depth: Levels below the root; 0 lets the root run all batches itself.
    """

    path: list[RecursionSpec] | None = Field(
        default=None, description="The path of recursion specs to use"
    )
    factor: int = Field(description="The factor to use in recursive calls", ge=1)
    max_depth: int = Field(
        default=10, description="The maximum depth of the recursion", ge=0, le=10
    )

    @property
    def is_root(self) -> bool:
        """Whether this is the root's."""
        return not self.path

    @field_validator("path")
    @classmethod
    def _path_has_steps(cls, value: list[RecursionSpec] | None) -> list[RecursionSpec] | None:
        if value is not None and not value:
            message = "a path has at least one step; the root has none: None"
            raise ValueError(message)
        return value


class ScatterGatherResult(BaseModel, frozen=True):
    """What a run of many specs came to.

    Attributes:
        uris: Where the final tables are, by name.
        state: Of the run, as in its manifest.
        specs: How many specs the run has; the counts are 0 in one that was made from URIs alone.
        succeeded: With a result.
        failed: With a failure.
        pending: With neither; 0 for a run that is complete.
        seconds: From the first batch to the last table; 0 where nothing was left to run.
        cause: Why it stopped or paused, if it did.
    """

    uris: dict[str, S3Url | FileUrl]
    state: State = "complete"
    specs: int = 0
    succeeded: int = 0
    failed: int = 0
    pending: int = 0
    seconds: float = 0.0
    cause: str | None = None

    @classmethod
    def of(
        cls,
        *,
        uris: dict[str, str],
        state: State,
        counts: Counts,
        seconds: float,
        cause: str | None,
    ) -> "ScatterGatherResult":
        """Return the result of an ended run."""
        found = {
            name: (S3Url(uri) if uri.startswith("s3:") else FileUrl(uri))
            for name, uri in uris.items()
        }
        return cls(uris=found, state=state, seconds=seconds, cause=cause, **counts.model_dump())

    def to_gathered_experiment_runs(self) -> "GatheredExperimentRuns":
        """Return the final tables as frames, the failures apart.

        Raises:
            StoreError: A table cannot be fetched.
        """
        from scythe_runtime.nodes import gathered

        return gathered(self)

    def __str__(self) -> str:
        parts = [f"{self.succeeded:,} succeeded", f"{self.failed:,} failed"]
        if self.pending:
            parts.append(f"{self.pending:,} pending")
        took = f" in {self.seconds:.1f} s" if self.seconds else ""
        text = f"{self.specs:,} specs: {', '.join(parts)}{took}"
        return f"{text}\n{self.state}: {self.cause}" if self.cause else text
