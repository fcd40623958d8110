"""IOModel → text of the field tables, from which the sampler draws."""

from typing import Final

from scythe_gen.schema import IOModel

_WIDTH: Final = 100


def fields_text(model: IOModel) -> str:
    """Return the Python source of `VARIABLES` and `SAMPLING`: how each input is drawn.

    Args:
        model: The parsed definition.

    Returns:
        A module over the names of `scythe_runtime.sampling`; values are written by their `repr`.
    """
    variables = [field.variable for field in model.inputs if field.variable is not None]
    names = {"Sampling", "Variable"} | {type(v.dist).__name__ for v in variables if v.dist}
    rows = "".join(f"    {variable!r},\n" for variable in variables)
    return (
        '"""How each input is drawn, as io.yaml says."""\n\n'
        "from typing import Final\n\n"
        f"{_import(sorted(names))}\n\n"
        f"VARIABLES: Final[tuple[Variable, ...]] = (\n{rows})\n\n"
        f"SAMPLING: Final = {model.sampling!r}\n"
    )


def _import(names: list[str]) -> str:
    """Return the import of the sampling values, wrapped as ruff wraps it."""
    line = f"from scythe_runtime.sampling import {', '.join(names)}"
    if len(line) <= _WIDTH:
        return line
    rows = "".join(f"    {name},\n" for name in names)
    return f"from scythe_runtime.sampling import (\n{rows})"
