"""Experiments that tests run; a module, so that slot processes find them."""

import datetime as dt
import os
import time
from enum import Enum
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import BaseModel, Field

from scythe_runtime import (
    ExperimentInputSpec,
    ExperimentOutputSpec,
    ExperimentRegistry,
    FileReference,
    OptionalFileReference,
)


class Sum(ExperimentInputSpec):
    """Two numbers, and what shall go wrong with them."""

    a: float
    b: int = Field(ge=0)
    fate: Literal["fine", "raise", "exit", "kill", "wrong", "talk"] = "fine"


class Total(ExperimentOutputSpec):
    """Their sum."""

    total: float


@ExperimentRegistry.Register(retries=0)
def add(input_spec: Sum) -> Total:
    """Return a + b, or what was asked for."""
    if input_spec.fate == "raise":
        raise ValueError(f"no luck with {input_spec.b}")
    if input_spec.fate == "exit":
        raise SystemExit(3)
    if input_spec.fate == "kill":
        os.kill(os.getpid(), 9)
    if input_spec.fate == "talk":
        print("printed")
        input_spec.log("logged")
    if input_spec.fate == "wrong":
        return "a text"  # type: ignore[return-value]
    return Total(total=input_spec.a + input_spec.b)


class Counted(ExperimentInputSpec):
    """A file that every call appends to; fails while `flag` does not exist."""

    calls: str
    flag: str
    k: int


@ExperimentRegistry.Register()
def count_calls(input_spec: Counted) -> Total:
    """Return k once the flag exists; every call leaves a line."""
    with Path(input_spec.calls).open("a") as file:
        file.write(f"{input_spec.k}\n")
    if input_spec.k % 5 == 0 and not Path(input_spec.flag).exists():
        raise RuntimeError("not yet")
    return Total(total=input_spec.k)


class Colour(Enum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Layer(BaseModel):
    """A nested model that names a file."""

    thickness: float
    data: FileReference


class Everything(ExperimentInputSpec):
    """One field of each kind."""

    number: float
    whole: int
    flag: bool
    text: str
    choice: Literal["x", "y"]
    colour: Colour
    day: dt.date
    moment: dt.datetime
    maybe: float | None = None
    weights: list[float] = Field(default_factory=list)
    table: dict[str, int] = Field(default_factory=dict)
    weather: FileReference
    extra_file: OptionalFileReference = None
    layers: list[Layer] = Field(default_factory=list)

    @property
    def computed_features(self) -> dict[str, int | float | str]:
        """Half of the number."""
        return {"half": self.number / 2, "file_name": Path(str(self.weather)).name}


class Report(ExperimentOutputSpec):
    """One output of each kind."""

    doubled: float
    words: str
    lines: list[int]
    report: FileReference
    note: OptionalFileReference = None


@ExperimentRegistry.Register(name="everything", local_file_location="copied-to-tempdir")
def do_everything(input_spec: Everything, tempdir: Path) -> Report:
    """Read the input files, write an output file and a frame."""
    weather = Path(str(input_spec.weather))
    assert weather.parent == tempdir, weather
    layers = [Path(str(layer.data)).read_text() for layer in input_spec.layers]
    path = tempdir / "report.txt"
    path.write_text(weather.read_text() + "".join(layers))
    hours = pd.DataFrame({"load": [input_spec.number, input_spec.number + 1.0]})
    hours.index.name = "hour"
    return Report(
        doubled=input_spec.number * 2,
        words=f"{input_spec.text}!",
        lines=[1, 2, input_spec.whole],
        report=path,
        dataframes={"hours": hours},
    )


class Slow(ExperimentInputSpec):
    """How long to work, in seconds."""

    seconds: float


@ExperimentRegistry.Register(execution_timeout=1, retries=0)
def wait(input_spec: Slow) -> Total:
    """Return after that time."""
    time.sleep(input_spec.seconds)
    return Total(total=input_spec.seconds)


@ExperimentRegistry.Register(retries=0)
async def add_later(input_spec: Sum) -> Total:
    """Return a + b, asynchronously."""
    return Total(total=input_spec.a + input_spec.b)
