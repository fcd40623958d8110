"""From `x-sampling` to a value, with every problem on the way."""

from collections.abc import Mapping
from typing import Final

from scythe_runtime.sampling._checks import did_you_mean, is_integer, show
from scythe_runtime.sampling._values import METHODS, Problem, Sampling

_KEYS: Final = ("method", "n", "seed", "path")


def sampling_from_schema(value: object) -> tuple[Sampling | None, list[Problem]]:
    """Return what `x-sampling` says, and all that is wrong with it.

    Args:
        value: The value of `x-sampling`; None stands for its absence.

    Returns:
        The sampling (None when there are problems) and the problems, whose paths begin below
        `x-sampling`.
    """
    if value is None:
        return Sampling(), []
    if not isinstance(value, Mapping):
        example = "x-sampling is written {method: lhs, n: 1000, seed: 1}"
        return None, [Problem((), "bad-argument", example)]
    problems = [
        Problem(
            (str(key),), "unknown-argument", f"x-sampling has no '{key}'{did_you_mean(key, _KEYS)}"
        )
        for key in value
        if key not in _KEYS
    ]
    method, n = value.get("method", "lhs"), value.get("n", 100)
    seed, path = value.get("seed", 0), value.get("path")
    if method not in METHODS:
        message = f"{show(method)} is no sampling method{did_you_mean(method, METHODS)}"
        problems.append(Problem(("method",), "unknown-method", message))
    for key, number, least in (("n", n, 1), ("seed", seed, 0)):
        if not is_integer(number) or number < least:
            message = f"{key} {show(number)} is not a whole number of at least {least}"
            problems.append(Problem((key,), "bad-argument", message))
    if path is not None and not (isinstance(path, str) and path):
        problems.append(Problem(("path",), "bad-argument", "path is the name of a CSV file"))
    problems += _csv_problems(value)
    if problems:
        return None, problems
    path = None if path is None else str(path)
    return Sampling(METHODS[METHODS.index(method)], n=int(n), seed=int(seed), path=path), []


def _csv_problems(value: Mapping[str, object]) -> list[Problem]:
    """Return what does not go together with method csv, or only with it."""
    if value.get("method") != "csv":
        message = "path belongs to method: csv"
        return [Problem(("path",), "bad-argument", message)] if "path" in value else []
    problems = []
    if value.get("path") is None:
        message = "method csv needs path:, for instance path: design.csv"
        problems.append(Problem((), "missing-argument", message))
    if "n" in value:
        message = "method csv takes every row of its file; remove n"
        problems.append(Problem(("n",), "bad-argument", message))
    return problems
