"""A native workflow of Hatchet: two tasks, one after the other, two beside each other, and one that no worker fits."""

import asyncio
from datetime import timedelta
from typing import Any, Literal

from hatchet_sdk import Context
from hatchet_sdk.labels import DesiredWorkerLabel

from scythe_runtime import ExperimentInputSpec, ExperimentOutputSpec, ExperimentRegistry
from scythe_runtime.hatchet import hatchet


class Sum(ExperimentInputSpec):
    """Two numbers, how long to think about them, and what shall go wrong."""

    a: float
    b: int
    seconds: float = 0.0
    fate: Literal["fine", "raise"] = "fine"


class Total(ExperimentOutputSpec):
    """Their sum."""

    total: float


chain = hatchet.workflow(name="chain", input_validator=Sum)


@chain.task()
def double(spec: Sum, _ctx: Context) -> dict[str, float]:
    """Return twice a."""
    if spec.fate == "raise":
        raise ValueError(f"no luck with {spec.b}")
    return {"twice": 2 * spec.a}


@chain.task(parents=[double])
async def finish(spec: Sum, ctx: Context) -> Total:
    """Return twice a, and b."""
    await asyncio.sleep(spec.seconds)
    return Total(total=ctx.task_output(double)["twice"] + spec.b)


ExperimentRegistry.Include(chain)

pair = hatchet.workflow(name="pair", input_validator=Sum)


@pair.task()
def left(spec: Sum, _ctx: Context) -> dict[str, Any]:
    """Return a."""
    return {"a": spec.a}


@pair.task()
def right(spec: Sum, _ctx: Context) -> dict[str, Any]:
    """Return b."""
    return {"b": spec.b}


ExperimentRegistry.Include(pair)

late = hatchet.workflow(name="late", input_validator=Sum)


@late.task(
    schedule_timeout=timedelta(seconds=2),
    desired_worker_labels=[DesiredWorkerLabel(key="moon", value="yes", required=True)],
)
def never(spec: Sum, _ctx: Context) -> dict[str, Any]:
    """Wait for a worker on the moon."""
    return {"a": spec.a}


ExperimentRegistry.Include(late)
