"""Experiments that do on request what goes wrong in real ones."""

import os
import sys
import time
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from scythe_runtime import (
    ExperimentInputSpec,
    ExperimentOutputSpec,
    ExperimentRegistry,
    FileReference,
)
from scythe_runtime.worker import ScytheWorkerLabel


class Sum(ExperimentInputSpec):
    """Two numbers, how long to think about them, and what shall go wrong."""

    a: float
    b: int = Field(ge=0)
    seconds: float = 0.0
    fate: Literal["fine", "raise", "kill", "spin", "log", "print"] = "fine"


class Total(ExperimentOutputSpec):
    """Their sum."""

    total: float


@ExperimentRegistry.Register(retries=0)
def add(input_spec: Sum) -> Total:
    """Return a + b, or do what was asked for."""
    time.sleep(input_spec.seconds if input_spec.fate != "spin" else 0)
    if input_spec.fate == "log":
        input_spec.log(f"thinking about {input_spec.b}")
    if input_spec.fate == "print":
        print(f"to itself about {input_spec.b}")
        print(f"aloud about {input_spec.b}", file=sys.stderr)
    if input_spec.fate == "raise":
        raise ValueError(f"no luck with {input_spec.b}")
    if input_spec.fate == "kill":
        os.kill(os.getpid(), 9)
    if input_spec.fate == "spin":  # never lets go of the interpreter's lock for long
        until = time.monotonic() + input_spec.seconds
        while time.monotonic() < until:
            sum(range(20_000_000))
    return Total(total=input_spec.a + input_spec.b)


@ExperimentRegistry.Register(
    name="picky", retries=0, desired_worker_labels=ScytheWorkerLabel.HAS_GPU.worker_label
)
def picky(input_spec: Sum) -> Total:
    """Return a + b, on a worker with a GPU."""
    return Total(total=input_spec.a + input_spec.b)


class Field_(ExperimentInputSpec):  # noqa: N801 - not pydantic's
    """A file and a number."""

    weather: FileReference
    area: float


class Harvest(ExperimentOutputSpec):
    """One output of each kind."""

    weight: float
    notes: FileReference


@ExperimentRegistry.Register(name="harvest", retries=0)
def harvest(input_spec: Field_, tempdir: Path) -> Harvest:
    """Return what a field bears, with a file and a frame."""
    text = Path(str(input_spec.weather)).read_text()
    notes = tempdir / "notes.txt"
    notes.write_text(f"{text}{input_spec.area}")
    days = pd.DataFrame({"rain": [input_spec.area, 2 * input_spec.area]})
    days.index.name = "day"
    return Harvest(weight=len(text) * input_spec.area, notes=notes, dataframes={"days": days})
