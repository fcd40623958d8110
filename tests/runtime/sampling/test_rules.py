"""What `x-sample` and `x-sampling` mean, and what is said when they cannot be meant."""

from typing import Any

import pytest

from scythe_runtime import sampling
from scythe_runtime.sampling import rules
from scythe_runtime.sampling.rules import (
    Choice,
    Files,
    Fixed,
    IntUniform,
    LogNormal,
    LogUniform,
    Normal,
    Sampling,
    Triangular,
    TruncNormal,
    Uniform,
    Values,
    sampling_from_schema,
    variable_from_schema,
)

NUMBER = {"type": "number", "minimum": 0, "maximum": 10}


def read(schema: dict[str, Any], sample: Any = None, *, required: bool = True) -> rules.Variable:
    """Return the variable of a schema in which nothing is wrong."""
    whole = schema if sample is None else {**schema, "x-sample": sample}
    variable, problems = variable_from_schema("x", whole, required=required)
    assert problems == []
    assert variable is not None
    return variable


@pytest.mark.parametrize(
    ("schema", "sample", "dist"),
    [
        (NUMBER, {"dist": "uniform"}, Uniform(0.0, 10.0)),
        (NUMBER, {"dist": "uniform", "low": 2, "high": 3}, Uniform(2.0, 3.0)),
        (NUMBER, {"dist": "loguniform", "low": 1}, LogUniform(1.0, 10.0)),
        ({"type": "number"}, {"dist": "normal", "mu": 1, "sigma": 2}, Normal(1.0, 2.0)),
        (NUMBER, {"dist": "truncnormal", "mu": 1, "sigma": 2}, TruncNormal(1.0, 2.0, 0.0, 10.0)),
        (
            {"type": "number", "exclusiveMinimum": 0},
            {"dist": "lognormal", "mu": 0.1, "sigma": 0.4},
            LogNormal(0.1, 0.4),
        ),
        (NUMBER, {"dist": "triangular", "mode": 3}, Triangular(0.0, 3.0, 10.0)),
        ({"type": "integer"}, {"dist": "int_uniform", "low": 1, "high": 12}, IntUniform(1, 12)),
        (
            {"enum": ["hp", "boiler"]},
            {"dist": "choice", "weights": [0.7, 0.3]},
            Choice(("hp", "boiler"), (0.7, 0.3)),
        ),
        (NUMBER, {"dist": "values", "values": [1, 2.5]}, Values((1.0, 2.5))),
        ({"type": "boolean"}, {"dist": "fixed", "value": True}, Fixed(True)),
        (
            {"type": ["number", "null"]},
            {"dist": "values", "values": [1, None]},
            Values((1.0, None)),
        ),
        (
            {"type": "string", "format": "file-reference"},
            {"dist": "files", "glob": "artifacts/*.epw"},
            Files("artifacts/*.epw"),
        ),
        ({"type": "array"}, {"dist": "fixed", "value": [1, 2]}, Fixed([1, 2])),
    ],
)
def test_x_sample_is_read(schema: dict[str, Any], sample: Any, dist: rules.Distribution) -> None:
    """Each distribution is read by its named arguments; bounds default to the field's own."""
    assert read(schema, sample).dist == dist


@pytest.mark.parametrize(
    ("schema", "dist"),
    [
        (NUMBER, Uniform(0.0, 10.0)),
        ({"type": "integer", "exclusiveMinimum": 0, "maximum": 5}, IntUniform(1, 5)),
        ({"type": "integer", "minimum": 1, "maximum": 12, "multipleOf": 5}, IntUniform(5, 10, 5)),
        ({"enum": ["a", "b"]}, Choice(("a", "b"))),
        ({"const": 3}, Fixed(3)),
        ({"type": "boolean"}, Choice((False, True))),
        ({"type": "number", "minimum": 2, "maximum": 2}, Fixed(2.0)),
        ({"type": "number", "minimum": 0}, None),
        ({"type": "string", "format": "file-reference"}, None),
        ({"type": "array"}, None),
    ],
)
def test_a_required_field_is_drawn_over_what_it_allows(
    schema: dict[str, Any], dist: rules.Distribution | None
) -> None:
    """Without x-sample a required field takes its bounds, its enum or its constant; else None."""
    assert read(schema).dist == dist


def test_an_optional_field_stays_at_its_default() -> None:
    """Without x-sample an optional field is fixed at its default; without one it has no dist."""
    assert read({**NUMBER, "default": 3}, required=False).dist == Fixed(3.0)
    assert read({"anyOf": [NUMBER, {"type": "null"}]}, required=False).dist is None
    assert read({**NUMBER, "default": 3}, {"dist": "uniform"}, required=False).dist == Uniform(
        0.0, 10.0
    )
    assert variable_from_schema("x", {"type": "array"}, required=False) == (None, [])


@pytest.mark.parametrize(
    ("schema", "sample", "expected"),
    [
        (NUMBER, {"dist": "unifrom"}, ("unknown-dist", ("dist",), "did you mean 'uniform'")),
        (NUMBER, {"dist": "gaussian"}, ("unknown-dist", ("dist",), "did you mean 'normal'")),
        (NUMBER, {"dist": ["a"]}, ("unknown-dist", ("dist",), "no distribution")),
        (NUMBER, {"low": 1}, ("missing-argument", (), "needs dist")),
        (NUMBER, "uniform", ("bad-argument", (), "{dist: uniform")),
        (
            NUMBER,
            {"dist": "uniform", "min": 1},
            ("unknown-argument", ("min",), "did you mean 'low'"),
        ),
        (
            {"type": "number"},
            {"dist": "normal", "mean": 1, "std": 2},
            ("unknown-argument", ("mean",), "did you mean 'mu'"),
        ),
        (NUMBER, {"dist": "uniform", "low": -1}, ("sample-out-of-bounds", ("low",), "below")),
        (
            NUMBER,
            {"dist": "uniform", "low": 8, "high": 2},
            ("bounds-crossed", ("high",), "Swap them"),
        ),
        (NUMBER, {"dist": "uniform", "low": "1"}, ("bad-argument", ("low",), "finite number")),
        (
            NUMBER,
            {"dist": "uniform", "low": float("nan")},
            ("bad-argument", ("low",), "finite number"),
        ),
        ({"type": "number"}, {"dist": "uniform", "low": 1}, ("missing-argument", (), "high")),
        (NUMBER, {"dist": "loguniform"}, ("bad-argument", ("low",), "above 0")),
        (
            NUMBER,
            {"dist": "normal", "mu": 1, "sigma": 1},
            ("sample-out-of-bounds", ("dist",), "truncnormal"),
        ),
        (
            {"type": "number"},
            {"dist": "normal", "mu": 1, "sigma": 0},
            ("bad-argument", ("sigma",), "above 0"),
        ),
        (
            {"type": "number"},
            {"dist": "lognormal", "mu": 2000, "sigma": 50},
            ("bad-argument", ("mu",), "logarithm"),
        ),
        (
            NUMBER,
            {"dist": "triangular", "mode": 11},
            ("bad-argument", ("mode",), "not between"),
        ),
        ({"type": "integer"}, {"dist": "uniform"}, ("dist-does-not-fit", ("dist",), "int_uniform")),
        ({"type": "string"}, {"dist": "files", "glob": "*"}, ("dist-does-not-fit", ("dist",), "")),
        (
            {"enum": ["a", "b"]},
            {"dist": "values", "values": ["a", "c"]},
            ("sample-not-allowed", ("values", 1), "'c' is not one of 'a', 'b'"),
        ),
        (
            NUMBER,
            {"dist": "fixed", "value": 11},
            ("sample-not-allowed", ("value",), "above the maximum 10"),
        ),
        (
            {"type": "boolean"},
            {"dist": "fixed", "value": 1},
            ("sample-not-allowed", ("value",), "true or false"),
        ),
        (
            {"type": "string", "format": "date"},
            {"dist": "values", "values": ["2024-02-30"]},
            ("sample-not-allowed", ("values", 0), "a date such as"),
        ),
        (
            {"enum": ["a", "b"]},
            {"dist": "choice", "weights": [1]},
            ("bad-weights", ("weights",), "list of 2 numbers"),
        ),
        (
            {"enum": ["a", "b"]},
            {"dist": "choice", "weights": [1, -1]},
            ("bad-weights", ("weights", 1), "at least 0"),
        ),
        (
            {"enum": ["a", "b"]},
            {"dist": "choice", "weights": [0, 0]},
            ("bad-weights", ("weights",), "above 0"),
        ),
        (NUMBER, {"dist": "values", "values": []}, ("bad-argument", ("values",), "at least one")),
        (
            {"type": "integer"},
            {"dist": "fixed", "value": 10**400},
            ("sample-not-allowed", ("value",), "whole number"),
        ),
    ],
)
def test_a_bad_x_sample_is_told(
    schema: dict[str, Any], sample: Any, expected: tuple[str, tuple[str | int, ...], str]
) -> None:
    """What is wrong with an x-sample is told with its rule, its place and a way out."""
    variable, problems = variable_from_schema("x", {**schema, "x-sample": sample}, required=True)
    assert variable is None
    rule, path, words = expected
    assert (rule, ("x-sample", *path)) == (problems[0].rule, problems[0].path)
    assert words in problems[0].message


def test_all_problems_come_at_once() -> None:
    """Two mistakes in one x-sample are two problems."""
    sample = {"dist": "truncnormal", "mu": "warm", "sigma": -1, "high": 99}
    _, problems = variable_from_schema("x", {**NUMBER, "x-sample": sample}, required=True)
    assert [problem.path[-1] for problem in problems] == ["mu", "sigma", "high"]


@pytest.mark.parametrize(
    "schema",
    [
        {**NUMBER, "exclusiveMinimum": 0},
        {"enum": ["a'b", 'c"d']},
        {"type": "array", "x-sample": {"dist": "fixed", "value": [{"a": 1}]}},
        {"type": "integer", "minimum": 0, "maximum": 8, "multipleOf": 2},
    ],
)
def test_repr_is_the_python_that_makes_it(schema: dict[str, Any]) -> None:
    """A variable's repr, evaluated with the package's names, is the same variable."""
    variable = read(schema)
    assert eval(repr(variable), vars(sampling)) == variable
    assert eval(repr(Sampling(n=7)), vars(sampling)) == Sampling(n=7)


def test_x_sampling_is_read() -> None:
    """Method, n, seed and path are read, with defaults for what is not said."""
    assert sampling_from_schema(None) == (Sampling("lhs", 100, 0), [])
    assert sampling_from_schema({"method": "sobol", "n": 64})[0] == Sampling("sobol", 64, 0)
    assert sampling_from_schema({"method": "csv", "path": "d.csv"})[0] == Sampling(
        "csv", path="d.csv"
    )


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("lhs", ["x-sampling is written"]),
        ({"method": "sobel"}, ["did you mean 'sobol'"]),
        ({"n": 0, "seed": -1}, ["n 0", "seed -1"]),
        ({"n": True}, ["n true"]),
        ({"sed": 1}, ["did you mean 'seed'"]),
        ({"method": "csv", "n": 5}, ["needs path", "remove n"]),
        ({"path": "a.csv"}, ["belongs to method: csv"]),
    ],
)
def test_a_bad_x_sampling_is_told(value: Any, words: list[str]) -> None:
    """Each mistake in x-sampling is a problem of its own."""
    result, problems = sampling_from_schema(value)
    assert result is None
    assert len(problems) == len(words)
    assert all(word in problem.message for word, problem in zip(words, problems, strict=True))
