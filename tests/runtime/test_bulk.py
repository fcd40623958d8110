"""Columns validated as lists: the same table, and the same refusals, as a model for each row."""

import datetime as dt
import math
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Literal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)

from scythe_runtime import ExperimentInputSpec
from scythe_runtime.bulk import PlainModels, validated_columns
from scythe_runtime.columns import columns_of, decode, kind_in, models_to_table
from scythe_runtime.files import FileReference
from scythe_runtime.table import NOT_STORED


class Colour(Enum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Mixed(ExperimentInputSpec):
    """Fields of many kinds, none of which looks at another."""

    number: float = Field(ge=-5, lt=1e9)
    whole: int = Field(default=3, le=1000)
    flag: bool = False
    text: Annotated[str, AfterValidator(str.strip)] = "x"
    choice: Literal["a", "b"] = "a"
    colour: Colour = Colour.RED
    other_colour: Colour | None = None
    day: dt.date | None = None
    maybe: float | None = None
    weights: list[float] = Field(default_factory=list)
    file: FileReference | None = None
    named: float = Field(default=0.0, alias="called")


def by_row(frame: pa.Table) -> pa.Table | None:
    """Return what the rows' models make of a frame, None where one is refused."""
    columns = columns_of(Mixed, without=NOT_STORED)
    keys = {c.name: c.key for c in columns}
    rows = [{keys.get(k, k): v for k, v in row.items()} for row in frame.to_pylist()]
    try:
        return models_to_table([Mixed(**row) for row in rows], columns)
    except ValueError:
        return None


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "number": st.floats(-6, 2e9) | st.just(math.nan),
    "whole": st.integers(-(2**63), 1001) | st.floats(0, 3),
    "flag": st.booleans() | st.integers(0, 2),
    "text": st.text(max_size=3) | st.none(),
    "choice": st.sampled_from(["a", "b", "c"]),
    "colour": st.sampled_from(["red", "blue"]),
    "other_colour": st.sampled_from(["red", None, "pink"]),
    "day": st.dates() | st.none(),
    "maybe": st.floats() | st.none() | st.integers(-9, 9),
    "weights": st.lists(st.floats(0, 1), max_size=2),
    "file": st.sampled_from(["a.txt", "s3://b/c", None]),
    "called": st.floats(0, 1),
    "named": st.floats(0, 1),
    "undeclared": st.integers(0, 3) | st.none(),
}


@st.composite
def frames(draw: Callable[..., Any]) -> pa.Table:
    """Return a frame of some of the columns; each holds values of one of its strategies."""
    n = draw(st.integers(1, 6))
    names = draw(st.sets(st.sampled_from(sorted(VALUES))))
    if {"called", "named"} <= names:
        names.remove("named")
    data = {}
    for name in sorted(names | {"number"}):
        values = draw(st.lists(VALUES[name], min_size=n, max_size=n))
        try:
            data[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # no column of a frame holds both
            continue
    data.setdefault("number", pa.array([1.0] * n))
    return pa.table(data)


@settings(max_examples=150, deadline=None)
@given(frame=frames())
def test_columns_give_what_rows_give(frame: pa.Table) -> None:
    """Whatever a frame holds: the table of its columns is that of its models, or it is left to them."""
    expected = by_row(frame)
    found = validated_columns(frame, Mixed, columns_of(Mixed, without=NOT_STORED))
    if expected is None:
        assert found is None
    elif found is not None:
        assert found.schema.equals(expected.schema, check_metadata=True)
        assert str(found.to_pydict()) == str(expected.to_pydict())  # NaN is not itself


def test_a_frame_that_is_right_needs_no_models() -> None:
    """A frame of every kind of column is taken as columns; what does not change is not copied."""
    frame = pa.table(
        {"number": [0.5, 1.0], "text": [" a", "b"], "file": ["x.txt", None], "sort_index": [4, 5]}
    )
    found = validated_columns(frame, Mixed, columns_of(Mixed, without=NOT_STORED))
    assert found is not None
    assert found["text"].to_pylist() == ["a", "b"]
    assert found["sort_index"].to_pylist() == [4, 5]
    given_at, found_at = (t["number"].chunk(0).buffers()[1].address for t in (frame, found))
    assert given_at == found_at


class Ordered(ExperimentInputSpec):
    """A model whose validator looks at the whole."""

    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> "Ordered":
        if self.low > self.high:
            raise ValueError("crossed")
        return self


class Above(ExperimentInputSpec):
    """A field whose validator looks at another."""

    low: float
    high: float

    @field_validator("high")
    @classmethod
    def _above(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data["low"]:
            raise ValueError("crossed")
        return value


class WithInit(ExperimentInputSpec):
    """A model with code of its own."""

    low: float
    high: float

    def model_post_init(self, context: Any) -> None:
        """Do something."""


@pytest.mark.parametrize("model", [Ordered, Above, WithInit])
def test_models_that_look_at_the_whole_are_left_to_rows(model: type[ExperimentInputSpec]) -> None:
    """Where validation of one field may depend on another, columns are not taken."""
    frame = pa.table({"low": [1.0], "high": [0.0]})
    assert validated_columns(frame, model, columns_of(model, without=NOT_STORED)) is None


class Simple(ExperimentInputSpec, str_strip_whitespace=True):
    """Plain values only."""

    number: float = Field(ge=0)
    whole: int | None = None
    flag: bool = False
    text: str = Field(default="x", max_length=3, alias="label")


NAMES = ["experiment_id", "sort_index", "number", "whole", "flag", "text"]
SHARED = {"root_workflow_run_id": "root", "storage_settings": None}


def stored(*columns: list[Any]) -> list[pa.ChunkedArray]:
    """Return columns of values as slots read them."""
    return [pa.chunked_array([pa.array(column)]) for column in columns]


def test_plain_specs_are_as_validated_ones() -> None:
    """A spec made of columns equals the one that validating its row makes, in all that pydantic keeps of it."""
    maker = PlainModels.of(Simple, NAMES, SHARED)
    assert maker is not None
    columns = maker.validated(
        stored(["e", "e"], [0, 1], [1.0, 0.5], [None, 3], [True, False], [" a", "b"])
    )
    assert columns is not None
    keys = ["label" if name == "text" else name for name in NAMES]
    rows = [("e", 0, 1, None, True, " a"), ("e", 1, 0.5, 3, False, "b")]
    for record, row in zip(zip(*columns, strict=True), rows, strict=True):
        found = maker.make(record)
        expected = Simple.model_validate({**dict(zip(keys, row, strict=True)), **SHARED})
        assert found == expected
        assert list(found.__dict__) == list(expected.__dict__)
        assert found.model_dump_json() == expected.model_dump_json()
        assert found.model_fields_set == expected.model_fields_set - set(SHARED)
        assert type(found.number) is float
        assert found.text == row[-1].strip()
        assert found.model_copy(update={"number": 2.0}).number == 2.0
        found.other = 1  # type: ignore[attr-defined]
        assert maker.make(record) == expected
        assert maker.make(record).model_fields_set == expected.model_fields_set - set(SHARED)


def test_plain_specs_are_refused_as_validated_ones() -> None:
    """Columns with one value that is not valid are left to the validation that names its row."""
    maker = PlainModels.of(Simple, NAMES, SHARED)
    assert maker is not None
    assert maker.validated(stored(["e"], [0], [-1.0], [None], [True], ["a"])) is None
    assert maker.validated(stored(["e"], [0], [1.0], [None], [True], ["long"])) is None


NUMBERS = (0.0, -0.0, 0.5, 1.0, 1.5, -1.0, math.inf, -math.inf, math.nan)
BOUNDS: list[dict[str, Any]] = [
    {},
    {"ge": 0},
    {"gt": 0.0},
    {"le": 1},
    {"lt": 1},
    {"gt": -1, "lt": 1},
    {"allow_inf_nan": False},
    {"multiple_of": 2},
]


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
@pytest.mark.parametrize("kind", [float, int])
@pytest.mark.parametrize("config", [{}, {"allow_inf_nan": False}, {"strict": True}], ids=str)
def test_numbers_are_judged_as_pydantic_does(
    kind: type, bounds: dict[str, Any], config: ConfigDict
) -> None:
    """A column of numbers is taken exactly if pydantic takes each of them."""
    model = create_model(
        "Model",
        __base__=type("Base", (ExperimentInputSpec,), {"model_config": config}),
        x=(kind, Field(**bounds)),
    )
    maker = PlainModels.of(model, ["x", "experiment_id", "sort_index"], SHARED)
    columns = columns_of(model, without=NOT_STORED | {"sort_index"})
    for number in NUMBERS if kind is float else (-1, 0, 1, 2):
        column = pa.chunked_array([pa.array([kind(1), kind(number)])])
        try:
            model.model_validate({"x": kind(1)})
            model.model_validate({"x": number})
        except ValidationError:
            good = False
        else:
            good = True
        frame = pa.table({"x": column})
        assert (validated_columns(frame, model, columns) is not None) == good
        if maker is not None:
            taken = maker.validated([column, *stored(["e", "e"], [0, 1])])
            assert (taken is not None) == good


class Checked(Simple):
    """A class with a validator of the whole."""

    @model_validator(mode="after")
    def _look(self) -> "Checked":
        return self


class Counted(Simple):
    """A class with code of its own for each new spec."""

    def model_post_init(self, _context: Any, /) -> None:
        """Do nothing."""


class Stripped(Simple):
    """A field with code of its own."""

    text: Annotated[str, AfterValidator(str.strip)] = "x"


@pytest.mark.parametrize("model", [Mixed, Checked, Counted, Stripped])
def test_specs_with_code_of_their_own_are_validated(model: type[ExperimentInputSpec]) -> None:
    """Where a user's code, or a value that is not plain, takes part in making a spec, each is validated."""
    names = [n for n in model.model_fields if n not in {*SHARED, "workflow_run_id"}]
    assert PlainModels.of(model, names, SHARED) is None


def test_specs_with_fewer_or_other_columns_are_validated() -> None:
    """A field that specs.pq lacks, or a column that is no field, takes validating: defaults, extra fields."""
    assert PlainModels.of(Simple, NAMES[:-1], SHARED) is None
    assert PlainModels.of(Simple, [*NAMES, "undeclared"], SHARED) is None


def test_many_models_are_one_column_whatever_some_of_them_hold() -> None:
    """A value that only one of many models has decides how the whole column is stored, and nothing is lost."""

    class Wide(ExperimentInputSpec):
        whole: int
        moment: dt.datetime | None = None

    n = 1200
    specs = [Wide(whole=k) for k in range(n)]
    columns = columns_of(Wide, without=NOT_STORED)
    assert models_to_table(specs, columns)["whole"].to_pylist() == list(range(n))
    specs[700] = Wide(whole=2**70, moment=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    specs[3] = Wide(whole=3, moment=dt.datetime(2026, 1, 1), word="extra")  # noqa: DTZ001
    table = models_to_table(specs, columns)
    kinds = {f.name: kind_in(f) for f in table.schema}
    assert kinds == {"sort_index": "int", "whole": "json", "moment": "json", "word": "str"}
    whole = decode(table["whole"], "json")
    assert whole == [*range(700), 2**70, *range(701, n)]
    assert [k for k, m in enumerate(table["moment"].to_pylist()) if m] == [3, 700]
    assert [k for k, w in enumerate(table["word"].to_pylist()) if w] == [3]
    assert models_to_table([], columns).num_rows == 0
