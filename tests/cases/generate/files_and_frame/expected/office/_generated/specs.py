"""Typed inputs and outputs of the experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field
from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec, FileReference


class GeneratedInput(ExperimentInputSpec):
    """
    Inputs of the experiment.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
    )
    weather: FileReference
    schedule: FileReference | None = None


class GeneratedOutput(ExperimentOutputSpec):
    """
    Outputs of the experiment.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True,
    )
    report: Annotated[FileReference, Field(description="What the simulator says")]

    _frames: ClassVar[Mapping[str, Mapping[str, str | Mapping[str, str]]]] = {
        "hourly": {
            "hour": "integer",
            "heat": {
                "type": "number",
                "x-unit": "W",
            },
        },
    }
