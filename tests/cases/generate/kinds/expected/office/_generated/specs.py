"""Typed inputs and outputs of the experiment."""

from __future__ import annotations

from datetime import date, datetime
from datetime import date as _date
from typing import Annotated, Literal
from typing import Any as _Any
from typing import cast as _cast

from pydantic import BaseModel, Field
from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec
from typing_extensions import TypeAliasType

Layer = TypeAliasType("Layer", Annotated[float, Field(gt=0.0)])


class Glazing(BaseModel):
    panes: Annotated[int, Field(ge=1)]
    coated: bool = False


class GeneratedInput(ExperimentInputSpec):
    """
    Inputs of the experiment.
    """

    start: date = _date.fromisoformat("2024-01-01")
    offset: Annotated[float | None, Field(ge=-1.0, le=1.0)] = None
    corner: tuple[float, float] = _cast(_Any, (0, 0))
    layers: Annotated[list[Layer], Field(min_length=1)] = _cast(_Any, [0.1])
    glazing: Annotated[Glazing, Field(validate_default=True)] = _cast(_Any, {"panes": 2})
    shape: Literal["box", "ball"]
    code: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "ABC"


class GeneratedOutput(ExperimentOutputSpec):
    """
    Outputs of the experiment.
    """

    ok: bool
    at: datetime
