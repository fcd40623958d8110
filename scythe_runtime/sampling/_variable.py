"""From an input's schema to a variable, with every problem on the way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from scythe_runtime.sampling._checks import is_integer, is_number, misfit, plain
from scythe_runtime.sampling._values import (
    Choice,
    Distribution,
    Fixed,
    Kind,
    Problem,
    Uniform,
    Variable,
)
from scythe_runtime.sampling._x_sample import (
    as_own_type,
    distribution_from_x_sample,
    int_range,
    one_type,
)


def variable_from_schema(
    name: str, schema: Mapping[str, Any], *, required: bool
) -> tuple[Variable | None, list[Problem]]:
    """Return how an input is sampled, and all that is wrong with what its schema says about it.

    A required input without `x-sample` is drawn over all it allows: its bounds, its enum, true and
    false. An optional one stays at its default, or is left out when it has none.

    Args:
        name: Of the input.
        schema: Its own schema, references followed; `x-sample` in it.
        required: Whether a value must be given.

    Returns:
        The variable and the problems. The variable is None for an optional list or object
        without `x-sample`, and when there are problems. A variable of which `dist` is None has
        nothing to be drawn from: see `Variable.dist`.
    """
    schema = _flat(schema)
    variable = _bare_variable(name, schema, required=required)
    if "x-sample" in schema:
        dist, problems = distribution_from_x_sample(variable, schema["x-sample"])
        return (None if problems else replace(variable, dist=dist)), problems
    dist = _implied(variable, schema)
    if dist is None and not required and variable.kind == "any":
        return None, []
    return replace(variable, dist=dist), []


def _flat(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema with a nullable's one real branch lifted up and `nullable` noted."""
    for key in ("anyOf", "oneOf"):
        branches = schema.get(key)
        if not isinstance(branches, Sequence):
            continue
        real = [item for item in branches if not _is_null(item)]
        if len(real) == 1 and isinstance(real[0], Mapping):
            outer = {name: item for name, item in schema.items() if name != key}
            flat = _flat({**real[0], **outer})
            return {**flat, "nullable": len(real) < len(branches) or bool(flat.get("nullable"))}
    types = schema.get("type")
    if isinstance(types, list):
        real = [item for item in types if item != "null"]
        kind = real[0] if len(real) == 1 else None
        return {**schema, "type": kind, "nullable": len(real) < len(types)}
    return dict(schema)


def _is_null(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def _bare_variable(name: str, schema: Mapping[str, Any], *, required: bool) -> Variable:
    """Return the variable with what the schema allows, not yet with how it is drawn."""
    options = schema.get("enum")
    if "const" in schema:
        options = [schema["const"]]
    options = tuple(plain(item) for item in options) if isinstance(options, Sequence) else None
    kind = _kind(schema, options)
    low, low_open = _tightest(schema.get("minimum"), schema.get("exclusiveMinimum"), max)
    high, high_open = _tightest(schema.get("maximum"), schema.get("exclusiveMaximum"), min)
    step = schema.get("multipleOf")
    numeric = kind in {"number", "integer"}
    return Variable(
        name=name,
        kind=kind,
        required=required,
        nullable=bool(schema.get("nullable")) or (options is not None and None in options),
        minimum=low if numeric else None,
        maximum=high if numeric else None,
        low_open=low_open and numeric,
        high_open=high_open and numeric,
        multiple_of=plain(step) if step and numeric and is_number(step) else None,
        options=options,
    )


def _kind(schema: Mapping[str, Any], options: tuple[Any, ...] | None) -> Kind:
    declared, form = schema.get("type"), schema.get("format")
    if declared == "string":
        if form == "file-reference":
            return "file"
        return cast("Kind", form) if form in {"date", "date-time", "time"} else "string"
    if declared in {"number", "integer", "boolean"}:
        return cast("Kind", declared)
    real = [item for item in options or () if item is not None]
    if declared is not None or not real:
        return "any"
    tests: tuple[tuple[Kind, Callable[[Any], bool]], ...] = (
        ("boolean", lambda item: isinstance(item, bool)),
        ("integer", is_integer),
        ("number", is_number),
        ("string", lambda item: isinstance(item, str)),
    )
    return next((kind for kind, test in tests if all(map(test, real))), "any")


def _tightest(
    closed: object, opened: object, pick: Callable[..., Any]
) -> tuple[float | None, bool]:
    """Return the bound that counts, and whether it is excluded."""
    bounds = [plain(item) for item in (closed, opened) if is_number(item)]
    if not bounds:
        return None, False
    bound = pick(bounds)
    return bound, is_number(opened) and opened == bound


def _implied(variable: Variable, schema: Mapping[str, Any]) -> Distribution | None:
    """Return how a field without `x-sample` is drawn; None when nothing says how."""
    if not variable.required:
        default = plain(schema.get("default"))
        usable = default is not None and variable.kind != "any" and not misfit(variable, default)
        return Fixed(as_own_type(variable, default)) if usable else None
    if "const" in schema:
        return Fixed(as_own_type(variable, schema["const"]))
    options = variable.options or ((False, True) if variable.kind == "boolean" else ())
    if options:
        own = tuple(as_own_type(variable, item) for item in options)
        return Choice(own) if one_type(own) else None
    return _over_bounds(variable)


def _over_bounds(variable: Variable) -> Distribution | None:
    """Return the uniform distribution between the field's bounds; None when it lacks one."""
    low, high = variable.minimum, variable.maximum
    if low is None or high is None or low > high:
        return None
    if variable.kind == "integer":
        return int_range(variable, low, high)
    if variable.multiple_of is not None or variable.options is not None:
        return None
    if low < high:
        return Uniform(float(low), float(high))
    return None if variable.low_open or variable.high_open else Fixed(float(low))
