"""The values that say how a design is drawn; each one's repr is the Python that makes it again."""

from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args

Method = Literal["lhs", "sobol", "halton", "random", "grid", "csv"]
METHODS: Final[tuple[Method, ...]] = get_args(Method)
Kind = Literal["number", "integer", "string", "boolean", "date", "date-time", "time", "file", "any"]


class _ShortRepr:
    """Gives a dataclass a repr without the fields that stand at their defaults."""

    __slots__ = ()

    def __repr__(self) -> str:
        given = (
            f"{item.name}={getattr(self, item.name)!r}"
            for item in fields(self)  # type: ignore[arg-type]  # every subclass is a dataclass
            if getattr(self, item.name) != item.default
        )
        return f"{type(self).__name__}({', '.join(given)})"


@dataclass(frozen=True, slots=True, repr=False)
class Uniform(_ShortRepr):
    """Every value of [low, high) is equally likely."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, repr=False)
class LogUniform(_ShortRepr):
    """The logarithm is uniform over [log(low), log(high)); low is above 0."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, repr=False)
class Normal(_ShortRepr):
    """The normal distribution of mean mu and standard deviation sigma."""

    mu: float
    sigma: float


@dataclass(frozen=True, slots=True, repr=False)
class TruncNormal(_ShortRepr):
    """The normal distribution of mu and sigma, cut off at low, at high or at both.

    mu and sigma are those before the cut.
    """

    mu: float
    sigma: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class LogNormal(_ShortRepr):
    """The natural logarithm is normal with mu and sigma; cut off at low and high where given."""

    mu: float
    sigma: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Triangular(_ShortRepr):
    """The density rises linearly from low to mode and falls linearly to high."""

    low: float
    mode: float
    high: float


@dataclass(frozen=True, slots=True, repr=False)
class IntUniform(_ShortRepr):
    """Each of low, low + step, ..., high is equally likely; both ends are included."""

    low: int
    high: int
    step: int = 1


@dataclass(frozen=True, slots=True, repr=False)
class Choice(_ShortRepr):
    """One of the values, by weight; equally likely without weights."""

    values: tuple[Any, ...]
    weights: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Values(_ShortRepr):
    """One of the values, each equally likely; the levels of a grid."""

    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Fixed(_ShortRepr):
    """The same value in every sample."""

    value: Any


@dataclass(frozen=True, slots=True, repr=False)
class Files(_ShortRepr):
    """One of the files that a pattern finds, each equally likely."""

    glob: str


Continuous = Uniform | LogUniform | Normal | TruncNormal | LogNormal | Triangular
Distribution = Continuous | IntUniform | Choice | Values | Fixed | Files


@dataclass(frozen=True, slots=True, repr=False)
class Variable(_ShortRepr):
    """An input as the sampler sees it: one column of a design.

    Attributes:
        name: Of the input, and of the column.
        kind: What its values are. Dates, times and files are text; "any" is a list or an object.
        dist: How it is drawn. None when nothing says so: a design that is drawn then leaves an
            optional input out and cannot be drawn for a required one; a CSV file may have it.
        required: Whether each sample must have it.
        nullable: Whether null is a value.
        minimum: Lowest value allowed, in the input's own unit.
        maximum: Highest value allowed, in the input's own unit.
        low_open: Whether `minimum` itself is excluded.
        high_open: Whether `maximum` itself is excluded.
        multiple_of: Every value is a multiple of it.
        options: The only values allowed.
    """

    name: str
    kind: Kind
    dist: Distribution | None = None
    required: bool = True
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    low_open: bool = False
    high_open: bool = False
    multiple_of: float | None = None
    options: tuple[Any, ...] | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Sampling(_ShortRepr):
    """How a design is drawn (`x-sampling`).

    Attributes:
        method: lhs, sobol, halton, random, grid or csv.
        n: Number of samples; the most a grid may have; not used for csv.
        seed: The same seed gives the same design; not used for grid and csv.
        path: The file of method csv.
    """

    method: Method = "lhs"
    n: int = 100
    seed: int = 0
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a rule.

    Attributes:
        path: Where, below the schema that was given, for instance ("x-sample", "low").
        rule: A rule id in kebab-case, for instance "bounds-crossed".
        message: What is wrong and how to fix it.
    """

    path: tuple[str | int, ...]
    rule: str
    message: str
