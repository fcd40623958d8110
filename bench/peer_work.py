"""The work as peers are given it: six typed inputs, four outputs, about a microsecond of arithmetic.

Nothing of ours is imported here: a peer does not pay for it.
"""

# ruff: noqa: PLC0415 - each way imports only what it uses: imports are a part of what is measured

import os
import signal
import time
from typing import Any

from pydantic import BaseModel, Field

SLOTS = 2


class Inputs(BaseModel):
    """Six inputs."""

    a: float = Field(ge=0, le=1)
    b: float = Field(ge=0, le=1)
    c: float = Field(ge=0, le=1)
    d: float = Field(ge=0, le=1)
    n: int = Field(ge=0)
    kind: str


class Outputs(BaseModel):
    """Four outputs."""

    w: float
    x: float
    y: float
    z: float


def function(spec: Inputs) -> Outputs:
    """Return the outputs, as a peer is given the task."""
    return Outputs(w=spec.a + spec.b, x=spec.c * spec.d, y=spec.a - spec.d, z=float(spec.n % 7))


def rows(n: int) -> list[dict[str, Any]]:
    """Return n rows of inputs."""
    kinds = ("office", "retail", "home")
    return [
        {
            "a": i / n,
            "b": (i * 7 % n) / n,
            "c": (i * 13 % n) / n,
            "d": (i * 31 % n) / n,
            "n": i,
            "kind": kinds[i % 3],
        }
        for i in range(n)
    ]


def write(specs: list[Any], outputs: list[Any], path: str) -> None:
    """Write inputs and outputs side by side to one parquet file, as a peer's user does."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {f: [getattr(s, f) for s in specs] for f in Inputs.model_fields}
    columns |= {f: [getattr(o, f) for o in outputs] for f in Outputs.model_fields}
    pq.write_table(pa.table(columns), path)


def try_out(k: int, seconds: float, fate: str) -> int:
    """Return k after that time, or do what was asked for."""
    if fate == "raises":
        raise ValueError("bad spec")
    if fate == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fate == "exits":
        os._exit(3)
    if fate == "hangs":
        time.sleep(600)
    time.sleep(seconds)
    return k
