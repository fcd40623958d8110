"""What a variable's values are when there is a list of them: values, choices, files, a constant."""

from collections.abc import Mapping
from glob import glob
from pathlib import Path
from typing import Any, Final

from scythe_runtime.sampling._values import (
    Choice,
    Distribution,
    Files,
    Fixed,
    Kind,
    Values,
    Variable,
)
from scythe_runtime.sampling._x_sample import check_distribution

_WAYS: Final[Mapping[Kind, str]] = {
    "number": "give it a minimum and a maximum, or x-sample: {dist: uniform, low: 0, high: 1}",
    "integer": "give it a minimum and a maximum, or x-sample: {dist: int_uniform, low: 1, high: 10}",
    "string": "add x-sample: {dist: values, values: [one, another]}",
    "boolean": "add x-sample: {dist: choice}",
    "date": "add x-sample: {dist: values, values: ['2024-01-15', '2024-07-15']}",
    "date-time": "add x-sample: {dist: values, values: ['2024-07-15T12:00:00Z']}",
    "time": "add x-sample: {dist: values, values: ['06:00:00', '18:00:00']}",
    "file": "add x-sample: {dist: files, glob: artifacts/<name>/*}",
    "any": "add x-sample: {dist: fixed, value: ...} with a list or an object as value",
}


def levels_of(variable: Variable, root: Path) -> tuple[tuple[Any, ...] | None, list[str]]:
    """Return the listed values of a variable, and what keeps it from being drawn.

    Args:
        variable: Its `dist` decides: only choice, values, fixed and files have a list.
        root: The folder below which a pattern of files is looked up.

    Returns:
        The values, None for a distribution over a range; and messages, one a problem. Files are
        in the order of their names, written relative to root when the pattern is.
    """
    if variable.dist is None:
        way = _WAYS[variable.kind].replace("<name>", variable.name)
        return None, [f"{variable.name}: no way to sample it; {way}"]
    wrong = [f"{variable.name}: {problem.message}" for problem in check_distribution(variable)]
    if wrong:
        return None, wrong
    return _listed(variable, variable.dist, root)


def _listed(
    variable: Variable, dist: Distribution, root: Path
) -> tuple[tuple[Any, ...] | None, list[str]]:
    match dist:
        case Choice(values) | Values(values):
            return values, []
        case Fixed(value):
            return (value,), []
        case Files(pattern):
            found = sorted(
                Path(name).as_posix()
                for name in glob(pattern, root_dir=root, recursive=True)  # noqa: PTH207 - Path.glob refuses absolute patterns
                if (root / name).is_file()
            )
            missing = f"{variable.name}: no file matches {pattern} in {root}; put one there, or change the glob"
            return tuple(found), [] if found else [missing]
        case _:
            return None, []
