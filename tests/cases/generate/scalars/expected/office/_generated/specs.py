"""Typed inputs and outputs of the experiment."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec


class GeneratedInput(ExperimentInputSpec):
    """
    Inputs of the experiment.
    """

    r_value: Annotated[
        float,
        Field(
            description="Thermal resistance",
            ge=0.5,
            json_schema_extra={"x-unit": "m^2 K/W"},
            le=15.0,
        ),
    ]
    storeys: Annotated[int, Field(ge=1, le=40)]
    hvac: Literal["pump", "boiler"] = "pump"


class GeneratedOutput(ExperimentOutputSpec):
    """
    Outputs of the experiment.
    """

    heat: Annotated[float, Field(json_schema_extra={"x-unit": "kWh"})]
