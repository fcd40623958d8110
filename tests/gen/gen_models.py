"""IOModel values made by hand, for stages after parsing."""

from typing import Any

from scythe_gen.schema import Column, Field, IOModel, Kind, Position
from scythe_runtime.sampling.rules import Choice, Files, Sampling, Uniform, Variable

FILE = {"type": "string", "format": "file-reference"}


def field(name: str, kind: Kind, schema: dict[str, Any], **options: Any) -> Field:
    """Return a field; required unless said otherwise."""
    options = {"required": True, "nullable": False} | options
    return Field(name=name, kind=kind, schema=schema, position=Position(1, 1), **options)


def io_model(
    inputs: tuple[Field, ...] = (), outputs: tuple[Field, ...] = (), **options: Any
) -> IOModel:
    """Return a model of these fields, or of the usual ones."""
    usual_inputs = (
        field(
            "r_value",
            "number",
            {"type": "number", "minimum": 0, "maximum": 15, "x-unit": "K m^2/W"},
            unit="K m^2/W",
            variable=Variable("r_value", "number", Uniform(0, 15), minimum=0, maximum=15),
        ),
        field(
            "hvac",
            "enum",
            {"type": "string", "enum": ["pump", "boiler"]},
            variable=Variable("hvac", "string", Choice(("pump", "boiler"))),
        ),
        field("weather", "file", FILE, variable=Variable("weather", "file", Files("artifacts/*"))),
    )
    options = {
        "title": None,
        "description": None,
        "sampling": Sampling(n=8),
        "digest": "0" * 64,
    } | options
    return IOModel(
        inputs=inputs or usual_inputs,
        outputs=outputs or (field("heat", "number", {"type": "number", "x-unit": "kWh"}),),
        **options,
    )


HOURLY = field("hourly", "frame", {}, columns=(Column("hour", "integer"), Column("heat", "number")))
