"""Whether a value fits a variable; shared by the definition's rules and by designs from a file."""

import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeGuard

from scythe_runtime.sampling._values import Kind, Variable

_BEYOND_ALL: Final = 1e300  # also keeps out nan, infinity and integers that no float can hold
TEXT_KINDS: Final = frozenset({"string", "date", "date-time", "time", "file"})
LARGEST_INTEGER: Final = 2**53  # above it a float has gaps, and neither bounds nor draws are exact

_ISO: Final[Mapping[Kind, tuple[Callable[[str], object], str]]] = {
    "date": (dt.date.fromisoformat, "a date such as '2024-07-01'"),
    "date-time": (dt.datetime.fromisoformat, "a date and time such as '2024-07-01T12:00:00Z'"),
    "time": (dt.time.fromisoformat, "a time such as '12:30:00'"),
}


# What people know from scipy, SALib, wandb, Optuna and OpenTURNS.
_ALIASES: Final[Mapping[str, str]] = {
    "min": "low",
    "minimum": "low",
    "lower": "low",
    "max": "high",
    "maximum": "high",
    "upper": "high",
    "mean": "mu",
    "loc": "mu",
    "std": "sigma",
    "scale": "sigma",
    "sd": "sigma",
    "peak": "mode",
    "options": "values",
    "choices": "values",
    "probabilities": "weights",
    "probs": "weights",
    "path": "glob",
    "pattern": "glob",
    "log_uniform": "loguniform",
    "unif": "uniform",
    "norm": "normal",
    "gaussian": "normal",
    "triang": "triangular",
    "randint": "int_uniform",
    "categorical": "choice",
    "constant": "fixed",
    "const": "fixed",
    "file": "files",
    "latin_hypercube": "lhs",
    "latin": "lhs",
    "montecarlo": "random",
    "product": "grid",
    "factorial": "grid",
    "samples": "n",
}


def is_number(value: object) -> TypeGuard[float]:
    """Return whether the value is a finite number; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < _BEYOND_ALL


def is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def plain(value: Any) -> Any:
    """Return the value as plain Python; a YAML reader's own classes do not repr as Python."""
    if value is None or isinstance(value, bool):
        return value
    for kind in (int, float, str):
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def show(value: object) -> str:
    """Return the value as a user would write it in a definition."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and value.is_integer() and abs(value) < LARGEST_INTEGER:
        return str(int(value))
    return repr(value)


def show_all(values: Iterable[object], most: int = 8) -> str:
    """Return the values, comma-separated; the first few of many."""
    texts = [show(value) for value in values]
    more = f", ... ({len(texts)} in all)" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for what comes closest, else the list of all that is known."""
    known = list(known)
    alias = _ALIASES.get(str(word).lower())
    near = [alias] if alias in known else get_close_matches(str(word).lower(), known, 1, 0.6)
    return f"; did you mean '{near[0]}'?" if near else f"; known are {', '.join(known)}"


def misfit(variable: Variable, value: Any) -> str | None:
    """Return why the value is none of the variable's, or None when it fits."""
    if value is None:
        return None if variable.nullable else "null is not allowed"
    wrong = _wrong_type(variable.kind, value)
    if wrong:
        return f"{show(value)} is not {wrong}"
    if variable.options is not None and not any(_same(value, item) for item in variable.options):
        return f"{show(value)} is not one of {show_all(variable.options)}"
    return out_of_bounds(variable, value) if is_number(value) else None


def out_of_bounds(variable: Variable, value: float) -> str | None:
    """Return why the number is outside the variable's bounds, or None when it is inside."""
    low, high, step = variable.minimum, variable.maximum, variable.multiple_of
    if low is not None and (value < low or (variable.low_open and value == low)):
        relation = "not above the excluded" if variable.low_open else "below the"
        return f"{show(value)} is {relation} minimum {show(low)}"
    if high is not None and (value > high or (variable.high_open and value == high)):
        relation = "not below the excluded" if variable.high_open else "above the"
        return f"{show(value)} is {relation} maximum {show(high)}"
    if step and not math.isclose(value / step, round(value / step), rel_tol=1e-12, abs_tol=1e-9):
        return f"{show(value)} is not a multiple of {show(step)}"
    return None


def _wrong_type(kind: Kind, value: Any) -> str | None:
    """Return what the value should have been, or None when its type is right."""
    if kind == "number":
        return None if is_number(value) else "a finite number"
    if kind == "integer":
        whole = is_number(value) and float(value).is_integer() and abs(value) < 2**63
        return None if whole else "a whole number"
    if kind == "boolean":
        return None if isinstance(value, bool) else "true or false"
    if kind in TEXT_KINDS and not isinstance(value, str):
        return "text (put it in quotes)"
    if kind in _ISO:
        parse, description = _ISO[kind]
        try:
            parse(value)
        except ValueError:
            return description
    return None


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are the same in JSON: 1 is 1.0, but not true."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)
