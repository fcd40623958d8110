"""Experiments that tell when and where they ran, and one with an output of each kind."""

import ctypes
import datetime as dt
import os
import time
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from hatchet_sdk import ConcurrencyExpression, ConcurrencyLimitStrategy
from pydantic import BaseModel

from scythe_runtime import (
    ExperimentInputSpec,
    ExperimentOutputSpec,
    ExperimentRegistry,
    FileReference,
)


class Nap(ExperimentInputSpec):
    """How long to sleep, and whether nothing else in the process may run meanwhile."""

    seconds: float
    alone: bool = False
    text: str = ""


class Stamp(ExperimentOutputSpec):
    """When and where it was."""

    began: float
    ended: float
    pid: int


def stamp(spec: Nap) -> Stamp:
    """Sleep, and return when and where."""
    began = time.time()
    if spec.alone:  # PyDLL keeps the interpreter's lock
        ctypes.PyDLL(None).usleep(int(spec.seconds * 1e6))
    else:
        time.sleep(spec.seconds)
    return Stamp(began=began, ended=time.time(), pid=os.getpid())


@ExperimentRegistry.Register(name="nap", retries=0)
def nap(input_spec: Nap) -> Stamp:
    """Sleep."""
    return stamp(input_spec)


@ExperimentRegistry.Register(
    name="one-by-one",
    retries=0,
    default_priority=3,
    concurrency=ConcurrencyExpression(
        expression="'all'",
        max_runs=1,
        limit_strategy=ConcurrencyLimitStrategy.GROUP_ROUND_ROBIN,
    ),
)
def one_by_one(input_spec: Nap) -> Stamp:
    """Sleep while no other one does."""
    return stamp(input_spec)


class Wall(BaseModel):
    """A part of something."""

    thickness: float
    material: str | None = None


class House(ExperimentInputSpec):
    """A value of each kind."""

    number: float
    whole: int
    flag: bool
    text: str
    choice: Literal["x", "y"]
    day: dt.date
    moment: dt.datetime
    maybe: float | None
    weights: list[float]
    table: dict[str, int]
    walls: list[Wall]
    weather: FileReference

    @property
    def computed_features(self) -> dict[str, int | float | str]:
        """Twice the number."""
        return {"twice": 2 * self.number}


class Heat(ExperimentOutputSpec):
    """An output of each kind."""

    total: float
    count: int
    fine: bool
    label: str
    when: dt.datetime
    nothing: float | None
    series: list[float]
    nested: dict[str, Any]
    wall: Wall
    notes: FileReference
    maybe_notes: FileReference | None = None


@ExperimentRegistry.Register(name="house", retries=0)
def house(input_spec: House, tempdir: Path) -> Heat:
    """Return outputs that depend on the inputs; one row in seven raises."""
    text = Path(str(input_spec.weather)).read_text()
    if input_spec.whole % 7 == 3:
        raise RuntimeError(f"no heat in {input_spec.whole}")
    notes = tempdir / "notes.txt"
    notes.write_text(f"{text}{input_spec.number}")
    hours = pd.DataFrame({"load": [input_spec.number, 2.0], "note": [input_spec.text, None]})
    hours.index.name = "hour"
    return Heat(
        total=input_spec.number * len(text),
        count=len(input_spec.walls),
        fine=not input_spec.flag,
        label=f"{input_spec.text}-{input_spec.choice}",
        when=input_spec.moment + dt.timedelta(hours=1),
        nothing=input_spec.maybe,
        series=[*input_spec.weights, input_spec.number],
        nested={"table": input_spec.table, "deep": [{"a": None}]},
        wall=Wall(thickness=0.1),
        notes=notes,
        dataframes={"hours": hours},
    )
