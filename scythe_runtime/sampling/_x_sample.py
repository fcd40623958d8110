"""From `x-sample` to a distribution, with every problem on the way."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final

from scythe_runtime.sampling._checks import (
    LARGEST_INTEGER,
    did_you_mean,
    is_integer,
    is_number,
    misfit,
    out_of_bounds,
    plain,
    show,
)
from scythe_runtime.sampling._values import (
    Choice,
    Continuous,
    Distribution,
    Files,
    Fixed,
    IntUniform,
    LogNormal,
    LogUniform,
    Normal,
    Problem,
    Triangular,
    TruncNormal,
    Uniform,
    Values,
    Variable,
)

_ARGUMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "uniform": ("low", "high"),
    "loguniform": ("low", "high"),
    "normal": ("mu", "sigma"),
    "truncnormal": ("mu", "sigma", "low", "high"),
    "lognormal": ("mu", "sigma", "low", "high"),
    "triangular": ("low", "mode", "high"),
    "int_uniform": ("low", "high"),
    "choice": ("values", "weights"),
    "values": ("values",),
    "fixed": ("value",),
    "files": ("glob",),
}
_NAMES: Final[Mapping[type[Distribution], str]] = {
    Uniform: "uniform",
    LogUniform: "loguniform",
    Normal: "normal",
    TruncNormal: "truncnormal",
    LogNormal: "lognormal",
    Triangular: "triangular",
    IntUniform: "int_uniform",
    Choice: "choice",
    Values: "values",
    Fixed: "fixed",
    Files: "files",
}
_LARGEST_LOG: Final = 690.0  # e^690 is about 1e300; draws go up to about 8.3 sigma


def distribution_from_x_sample(
    variable: Variable, value: object
) -> tuple[Distribution | None, list[Problem]]:
    """Return the distribution that `x-sample` describes, and all that is wrong with it.

    Args:
        variable: What the field allows; its bounds and its enum are the defaults.
        value: The value of `x-sample`.

    Returns:
        The distribution (None when there are problems) and the problems.
    """
    reader = _Reader(variable)
    dist = reader.read(value)
    return (None if reader.problems else dist), reader.problems


def check_distribution(variable: Variable) -> list[Problem]:
    """Return what is wrong with a variable's distribution, which may have been written by hand."""
    dist = variable.dist
    assert dist is not None
    given = {item.name: getattr(dist, item.name) for item in fields(dist) if item.name != "step"}
    given = {key: item for key, item in given.items() if item is not None or key == "value"}
    return distribution_from_x_sample(variable, {"dist": _NAMES[type(dist)], **given})[1]


def int_range(variable: Variable, low: float, high: float) -> IntUniform | None:
    """Return the integers from low to high that the variable allows; None when there are none."""
    step = variable.multiple_of or 1
    if not float(step).is_integer() or max(abs(low), abs(high)) > LARGEST_INTEGER:
        return None
    step = int(step)
    first, last = math.ceil(low / step) * step, math.floor(high / step) * step
    first += step if variable.low_open and first == variable.minimum else 0
    last -= step if variable.high_open and last == variable.maximum else 0
    return IntUniform(first, last, step) if first <= last else None


def one_type(values: Sequence[Any]) -> bool:
    """Return whether one column can hold the values."""
    kinds = {float if is_number(item) else type(item) for item in values if item is not None}
    return len(kinds) == 1


def as_own_type(variable: Variable, value: object) -> Any:
    """Return the value as the field's own type: 3 in a number field is 3.0."""
    if is_number(value) and variable.kind == "number":
        return float(plain(value))
    if is_number(value) and variable.kind == "integer":
        return int(plain(value))
    return plain(value)


class _Reader:
    """Reads one `x-sample`, noting problems as it goes.

    Attributes:
        problems: What was found wrong so far.
    """

    def __init__(self, variable: Variable) -> None:
        self.problems: list[Problem] = []
        self._variable = variable
        self._given: Mapping[str, Any] = {}
        self._name = ""

    def read(self, value: object) -> Distribution | None:
        """Return the distribution; to be used only when no problem was noted."""
        if not isinstance(value, Mapping):
            example = value if isinstance(value, str) and value in _ARGUMENTS else "uniform"
            self._note("bad-argument", f"x-sample is written {{dist: {example}, ...}}")
            return None
        name = value.get("dist")
        if name is None:
            self._note("missing-argument", f"x-sample needs dist: one of {', '.join(_ARGUMENTS)}")
            return None
        if not isinstance(name, str) or name not in _ARGUMENTS:
            hint = did_you_mean(name, _ARGUMENTS)
            self._note("unknown-dist", f"{show(name)} is no distribution{hint}", "dist")
            return None
        self._given, self._name = value, name
        for key in value:
            if key != "dist" and key not in _ARGUMENTS[name]:
                hint = did_you_mean(key, _ARGUMENTS[name])
                self._note("unknown-argument", f"{name} has no '{key}'{hint}", str(key))
        readers = {
            "int_uniform": self._integers,
            "choice": self._choice,
            "values": self._values,
            "fixed": self._fixed,
            "files": self._files,
        }
        if name in readers:
            return readers[name]()
        if not self._takes_real_numbers():
            return None
        return self._bell() if "mu" in _ARGUMENTS[name] else self._bounded()

    def _note(self, rule: str, message: str, *path: str | int) -> None:
        self.problems.append(Problem(("x-sample", *path), rule, message))

    def _note_missing(self, message: str) -> None:
        """Note a missing argument, unless a misspelt one explains it."""
        if not any(problem.rule == "unknown-argument" for problem in self.problems):
            self._note("missing-argument", message)

    def _number(
        self, key: str, *, default: float | None = None, needed: bool = True
    ) -> float | None:
        """Return a numeric argument, noting when it is missing or is none."""
        if key not in self._given:
            if default is None and needed:
                own = {"low": " or the field a minimum", "high": " or the field a maximum"}
                self._note_missing(f"{self._name} needs {key}:{own.get(key, '')}")
            return default
        value = self._given[key]
        if not is_number(value):
            self._note("bad-argument", f"{key} {show(value)} is not a finite number", key)
            return None
        return float(plain(value))

    def _range(self, *, needed: bool = True) -> tuple[float | None, float | None]:
        """Return low and high, which default to the field's own bounds and stay inside them."""
        low = self._number("low", default=self._variable.minimum, needed=needed)
        high = self._number("high", default=self._variable.maximum, needed=needed)
        own = replace(self._variable, low_open=False, high_open=False, multiple_of=None)
        for key, bound in (("low", low), ("high", high)):
            wrong = out_of_bounds(own, bound) if bound is not None and key in self._given else None
            if wrong:
                message = f"{key} {wrong} of the field; keep the range inside the field's bounds"
                self._note("sample-out-of-bounds", message, key)
        if low is not None and high is not None and low > high and not self._outside():
            message = f"high {show(high)} is below low {show(low)}. Swap them or widen the range"
            self._note("bounds-crossed", message, "high" if "high" in self._given else "low")
        return low, high

    def _outside(self) -> bool:
        return any(problem.rule == "sample-out-of-bounds" for problem in self.problems)

    def _takes_real_numbers(self) -> bool:
        """Return whether the field takes any real number, noting what to use when it does not."""
        variable = self._variable
        if variable.kind != "number" or variable.options is not None:
            fit = {"integer": "int_uniform", "boolean": "choice", "file": "files"}
            best = "choice" if variable.options else fit.get(variable.kind, "values")
            message = f"{self._name} draws real numbers, the field wants {self._wanted()}"
            self._note("dist-does-not-fit", f"{message}; use dist: {best}", "dist")
            return False
        if variable.multiple_of is not None:
            message = f"{self._name} does not keep to multipleOf; use dist: values"
            self._note("dist-does-not-fit", message, "dist")
            return False
        return True

    def _bounded(self) -> Continuous | None:
        """Return a uniform, loguniform or triangular distribution."""
        low, high = self._range()
        mode = self._number("mode") if self._name == "triangular" else None
        if low is None or high is None:
            return None
        if low == high:
            message = (
                f"low and high are both {show(low)}; write {{dist: fixed, value: {show(low)}}}"
            )
            self._note("bounds-crossed", message)
        if self._name == "uniform":
            return Uniform(float(low), float(high))
        if self._name == "loguniform":
            if low <= 0:
                self._note(
                    "bad-argument", f"loguniform needs a low above 0, not {show(low)}", "low"
                )
            return LogUniform(float(low), float(high))
        if mode is None:
            return None
        if not low <= mode <= high:
            message = f"mode {show(mode)} is not between low {show(low)} and high {show(high)}"
            self._note("bad-argument", message, "mode")
        return Triangular(float(low), float(mode), float(high))

    def _bell(self) -> Distribution | None:
        """Return a normal, truncated normal or lognormal distribution."""
        mu, sigma = self._number("mu"), self._number("sigma")
        if sigma is not None and sigma <= 0:
            self._note("bad-argument", f"sigma {show(sigma)} is not above 0", "sigma")
        if self._name == "normal":
            if self._variable.minimum is not None or self._variable.maximum is not None:
                message = "normal has no bounds, but the field has; use dist: truncnormal"
                self._note("sample-out-of-bounds", message, "dist")
            return None if mu is None or sigma is None else Normal(float(mu), float(sigma))
        low, high = self._range(needed=False)
        if low is not None and low == high:
            self._note("bounds-crossed", f"low and high are both {show(low)}; use dist: fixed")
        if self._name == "truncnormal" and low is None and high is None and not self.problems:
            self._note_missing("truncnormal needs low: or high:, else use dist: normal")
        if self._name == "lognormal":
            if mu is not None and sigma is not None and abs(mu) + 9 * sigma > _LARGEST_LOG:
                message = (
                    f"mu and sigma are those of the natural logarithm: e^{show(mu)} is out of reach"
                )
                self._note("bad-argument", message, "mu")
            if high is not None and high <= 0:
                self._note("bad-argument", f"lognormal is above 0, high is {show(high)}", "high")
            low = None if low is not None and low <= 0 else low
        if mu is None or sigma is None:
            return None
        ends = (None if low is None else float(low), None if high is None else float(high))
        kind = TruncNormal if self._name == "truncnormal" else LogNormal
        return kind(float(mu), float(sigma), *ends)

    def _integers(self) -> Distribution | None:
        if self._variable.kind not in {"integer", "number"} or self._variable.options is not None:
            message = (
                f"int_uniform draws integers, the field wants {self._wanted()}; use dist: choice"
            )
            self._note("dist-does-not-fit", message, "dist")
            return None
        low, high = self._range()
        for key in ("low", "high"):
            if is_number(self._given.get(key)) and not is_integer(self._given[key]):
                self._note("bad-argument", f"{key} {show(self._given[key])} is not an integer", key)
        if low is None or high is None or self.problems:
            return None
        dist = int_range(self._variable, low, high)
        if dist is None:
            message = (
                f"no integer that can be drawn from {show(low)} to {show(high)} within the field's "
                f"rules, or beyond 2^53; use dist: values"
            )
            self._note("bad-argument", message)
        return dist

    def _files(self) -> Distribution | None:
        if self._variable.kind != "file":
            message = (
                f"files draws files, the field wants {self._wanted()}; use format: file-reference"
            )
            self._note("dist-does-not-fit", message, "dist")
        glob = self._given.get("glob")
        if glob is None:
            example = f"glob: artifacts/{self._variable.name}/*"
            self._note_missing(f"files needs a pattern, for instance {example}")
        elif not isinstance(glob, str) or not glob:
            self._note(
                "bad-argument", f"glob {show(glob)} is not a pattern such as data/*.csv", "glob"
            )
        else:
            return Files(str(glob))
        return None

    def _fixed(self) -> Fixed | None:
        if "value" not in self._given:
            self._note_missing("fixed needs value:")
            return None
        self._check(self._given["value"], "value")
        return Fixed(as_own_type(self._variable, self._given["value"]))

    def _values(self) -> Values | None:
        if "values" not in self._given:
            self._note_missing("values needs values: [...]")
            return None
        return Values(self._list(self._given["values"]))

    def _choice(self) -> Choice | None:
        own = (False, True) if self._variable.kind == "boolean" else None
        values = self._given.get("values", self._variable.options or own)
        if values is None and "values" not in self._given:
            self._note_missing("choice needs values: [...] or the field an enum")
            return None
        kept = self._list(values)
        return Choice(kept, self._weights(len(kept)) if kept else None)

    def _list(self, values: object) -> tuple[Any, ...]:
        """Return the values, each checked against the field; empty when it is no list."""
        if not isinstance(values, list | tuple) or not values:
            self._note("bad-argument", "values is a list of at least one value", "values")
            return ()
        for index, value in enumerate(values):
            self._check(value, "values", index)
        if self._variable.kind == "any" and not one_type(values):
            self._note("bad-argument", "values of several types do not fit one column", "values")
        return tuple(as_own_type(self._variable, item) for item in values)

    def _weights(self, count: int) -> tuple[float, ...] | None:
        weights = self._given.get("weights")
        if weights is None:
            return None
        if not isinstance(weights, list | tuple) or len(weights) != count:
            self._note(
                "bad-weights", f"weights is a list of {count} numbers, one a value", "weights"
            )
            return None
        for index, weight in enumerate(weights):
            if not is_number(weight) or weight < 0:
                message = f"weight {show(weight)} is not a number of at least 0"
                self._note("bad-weights", message, "weights", index)
                return None
        if not sum(weights) > 0:
            self._note("bad-weights", "at least one weight must be above 0", "weights")
        return tuple(float(weight) for weight in weights)

    def _check(self, value: object, *path: str | int) -> None:
        wrong = misfit(self._variable, plain(value))
        if wrong:
            self._note("sample-not-allowed", wrong, *path)

    def _wanted(self) -> str:
        if self._variable.options is not None:
            return "one of its enum"
        names = {"any": "a list or an object", "boolean": "true or false", "integer": "an integer"}
        return names.get(self._variable.kind, f"a {self._variable.kind}")
