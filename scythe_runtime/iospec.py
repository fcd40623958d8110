"""The io spec of an experiment: one JSON schema of its input and its output."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model

from scythe_runtime.base import REQUIRED_IN_IO_SPEC
from scythe_runtime.manifest import dump_yaml


def io_schema(input_type: type[BaseModel], output_type: type[BaseModel] | None) -> dict[str, Any]:
    """Return the JSON schema that a run writes as experiment_io_spec.yml."""
    model = create_model(
        "ExperimentIO",
        __config__=ConfigDict(arbitrary_types_allowed=True),
        __doc__="The input and output schema for the experiment.",
        input=(input_type, Field(description="The input for the experiment.")),
        output=(output_type or type(None), Field(description="The output for the experiment.")),
    )
    schema = model.model_json_schema()
    name = schema["properties"]["input"]["$ref"].rpartition("/")[2]
    described = schema["$defs"][name]
    # they have defaults in Python, for notebooks; in a run every spec has them
    required = [n for n in REQUIRED_IN_IO_SPEC if n not in described.get("required", [])]
    described["required"] = [*required, *described.get("required", [])]
    for field in REQUIRED_IN_IO_SPEC:
        described["properties"][field].pop("default", None)
    frames = getattr(output_type, "_frames", {})
    if frames:  # they are entries of `dataframes`, which the class's own schema does not describe
        name = schema["properties"]["output"]["$ref"].rpartition("/")[2]
        described = schema["$defs"][name]
        described.setdefault("properties", {}).update(
            {
                frame: {
                    "x-frame": {k: v if isinstance(v, str) else dict(v) for k, v in columns.items()}
                }
                for frame, columns in frames.items()
            }
        )
        described["required"] = [*described.get("required", []), *frames]
    return schema


def io_spec(input_type: type[BaseModel], output_type: type[BaseModel] | None) -> bytes:
    """Return experiment_io_spec.yml."""
    return dump_yaml(io_schema(input_type, output_type))
