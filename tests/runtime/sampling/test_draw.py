"""Designs: where their values lie, how they are spread, and that they repeat."""

import itertools
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scythe_runtime.errors import DesignError
from scythe_runtime.sampling import (
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
    Variable,
    draw,
    preview,
)

METHODS = ["lhs", "sobol", "halton", "random"]
NUMBERS = st.floats(-1e6, 1e6)
pytestmark = pytest.mark.filterwarnings("ignore:sobol points are balanced")


def column(dist: Any, n: int, *, kind: Any = "number", method: Any = "lhs", seed: int = 0) -> Any:
    """Return the values of one variable drawn by itself."""
    table = draw([Variable("x", kind, dist)], Sampling(method, n, seed))
    return np.array(table["x"].to_pylist())


@settings(max_examples=60, deadline=None)
@given(
    ends=st.tuples(NUMBERS, NUMBERS).filter(lambda pair: pair[0] != pair[1]).map(sorted),
    n=st.integers(1, 200),
    seed=st.integers(0, 2**64),
    method=st.sampled_from(METHODS),
)
def test_values_stay_inside(ends: list[float], n: int, seed: int, method: Any) -> None:
    """Every method keeps every bounded distribution in [low, high), whatever the range."""
    low, high = ends
    mode = low + (high - low) / 3
    dists = [
        Uniform(low, high),
        Triangular(low, min(max(mode, low), high), high),
        TruncNormal(low - 5, 3.0, low, high),
    ]
    if low > 0:
        dists += [LogUniform(low, high), LogNormal(0.0, 1.0, low, high)]
    table = draw(
        [Variable(f"x{i}", "number", dist) for i, dist in enumerate(dists)],
        Sampling(method, n, seed),
    )
    for values in table.columns:
        array = values.to_numpy()
        assert np.isfinite(array).all()
        assert array.min() >= low
        assert array.max() < high


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 500), seed=st.integers(0, 2**32))
def test_a_latin_hypercube_fills_each_stratum_once(n: int, seed: int) -> None:
    """Of n equal parts of each range, a Latin hypercube of n samples has one sample in each."""
    variables = [Variable(name, "number", Uniform(0.0, 1.0)) for name in "abc"]
    table = draw(variables, Sampling("lhs", n, seed))
    for values in table.columns:
        assert sorted(np.floor(values.to_numpy() * n + 1e-9)) == list(range(n))


def test_an_excluded_minimum_is_never_drawn() -> None:
    """A value that rounding would put on an excluded minimum is put above it."""
    low = 1.0
    high = 1.0 + 4 * math.ulp(1.0)
    variable = Variable("x", "number", Uniform(low, high), minimum=low, low_open=True)
    values = draw([variable], Sampling("random", 500))["x"].to_pylist()
    assert low < min(values) <= max(values) < high


@pytest.mark.parametrize("method", [*METHODS, "grid"])
def test_the_same_seed_gives_the_same_bytes(method: Any) -> None:
    """Two draws are equal to the byte; another seed gives another design, but for a grid."""
    variables = [
        Variable("a", "number", Normal(0.0, 1.0)),
        Variable("b", "integer", IntUniform(1, 9)),
        Variable("c", "string", Choice(("x", "y"), (1.0, 3.0))),
    ]
    first, again = (draw(variables, Sampling(method, 64, 5)) for _ in range(2))
    assert first.equals(again)
    assert first.equals(draw(variables, Sampling(method, 64, 6))) == (method == "grid")


def test_a_known_design_does_not_change() -> None:
    """The first values of a seed are these, on every machine: a published design can be redrawn."""
    table = draw([Variable("x", "number", Uniform(0.0, 1.0))], Sampling("lhs", 4, 1))
    assert table["x"].to_pylist() == pytest.approx(
        [0.2515430801356222, 0.20713269154569552, 0.8773660774125085, 0.5325830917504969], abs=1e-15
    )


@pytest.mark.parametrize("method", ["lhs", "random"])
def test_a_variable_keeps_its_values_when_others_change(method: Any) -> None:
    """Adding, removing or moving another variable leaves a variable's column as it was."""
    a, b, c = (Variable(name, "number", Uniform(0.0, 1.0)) for name in "abc")
    whole = draw([a, b, c], Sampling(method, 50, 3))
    assert draw([c, a], Sampling(method, 50, 3))["a"].equals(whole["a"])
    assert whole.column_names == ["a", "b", "c"]
    assert not whole["a"].equals(whole["b"])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("dist", "expected"),
    [
        (Uniform(-3.0, 5.0), stats.uniform(-3, 8)),
        (LogUniform(1e-3, 1e3), stats.loguniform(1e-3, 1e3)),
        (Normal(20.0, 5.0), stats.norm(20, 5)),
        (TruncNormal(20.0, 5.0, 10.0, 22.0), stats.truncnorm(-2, 0.4, 20, 5)),
        (TruncNormal(0.0, 1.0, low=6.0), stats.truncnorm(6, np.inf)),
        (TruncNormal(0.0, 1.0, high=-6.0), stats.truncnorm(-np.inf, -6)),
        (LogNormal(0.1, 0.4), stats.lognorm(0.4, scale=math.exp(0.1))),
        (Triangular(0.0, 1.0, 4.0), stats.triang(0.25, 0, 4)),
        (Triangular(0.0, 0.0, 4.0), stats.triang(0, 0, 4)),
    ],
)
def test_marginals(dist: Any, expected: Any, method: Any) -> None:
    """The values of each distribution pass a Kolmogorov-Smirnov test against scipy's own."""
    values = column(dist, 2048, method=method, seed=11)
    assert stats.kstest(values, expected.cdf).pvalue > 0.01


@pytest.mark.parametrize(
    "ends", [(6.0, None), (None, -6.0), (-1.0, 2.0), (30.0, 31.0), (-40.0, None)]
)
def test_a_cut_normal_agrees_with_scipy(ends: tuple[float | None, float | None]) -> None:
    """Quantiles of a cut normal distribution are scipy's, far out in the tails too."""
    low, high = ends
    u = column(Uniform(0.0, 1.0), 500)
    expected = stats.truncnorm.ppf(
        u, -np.inf if low is None else low, np.inf if high is None else high
    )
    assert column(TruncNormal(0.0, 1.0, low, high), 500) == pytest.approx(expected, rel=1e-9)


def test_integers_are_equally_likely() -> None:
    """A Latin hypercube of 12,000 has each of 12 integers 1,000 times, both ends among them."""
    values = column(IntUniform(1, 12), 12_000, kind="integer")
    assert np.unique(values, return_counts=True)[1].tolist() == [1000] * 12
    assert set(column(IntUniform(-4, 8, 4), 100, kind="integer")) == {-4, 0, 4, 8}


def test_choice_follows_its_weights() -> None:
    """A Latin hypercube of 1,000 has each choice as often as its weight says; none of weight 0."""
    values = column(Choice(("a", "b", "c"), (0.0, 7.0, 3.0)), 1000, kind="string").tolist()
    assert [values.count(word) for word in "abc"] == [0, 700, 300]


def test_columns_have_their_types() -> None:
    """Columns are float64, int64, bool and string; null is null; lists are lists."""
    table = draw(
        [
            Variable("number", "number", IntUniform(1, 3)),
            Variable("integer", "integer", Values((1, None)), nullable=True),
            Variable("boolean", "boolean", Choice((False, True))),
            Variable("date", "date", Fixed("2024-07-01")),
            Variable("text", "string", Values(("Zürich", None)), nullable=True),
            Variable("list", "any", Values(([1, 2], [3, 4]))),
            Variable("optional", "number", required=False),
        ],
        Sampling(n=8),
    )
    assert [str(kind) for kind in table.schema.types] == [
        "double",
        "int64",
        "bool",
        "string",
        "string",
        "list<item: int64>",
    ]
    assert sorted(table["integer"].to_pylist(), key=str) == [1] * 4 + [None] * 4
    assert set(table["text"].to_pylist()) == {"Zürich", None}
    assert table["boolean"].to_pylist().count(True) == 4
    table.validate(full=True)


def test_files_are_found_below_root(tmp_path: Path) -> None:
    """Files are those that the pattern finds below root, named from there, folders apart."""
    for name in ("b.epw", "a.epw", "deep/c.epw"):
        (tmp_path / "weather" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "weather" / name).touch()
    (tmp_path / "weather" / "folder.epw").mkdir()
    variable = Variable("x", "file", Files("weather/**/*.epw"))
    values = draw([variable], Sampling(n=6), root=tmp_path)["x"].to_pylist()
    assert sorted(set(values)) == ["weather/a.epw", "weather/b.epw", "weather/deep/c.epw"]
    absolute = Variable("x", "file", Files(f"{tmp_path}/weather/a.*"))
    assert draw([absolute], Sampling(n=1))["x"][0].as_py() == f"{tmp_path}/weather/a.epw"


def test_all_that_cannot_be_drawn_is_told_at_once(tmp_path: Path) -> None:
    """Each variable that cannot be drawn has its line, with what to write."""
    variables = [
        Variable("weather", "file"),
        Variable("load", "file", Files("loads/*.csv")),
        Variable("r", "number", Uniform(3.0, 1.0)),
    ]
    with pytest.raises(DesignError) as error:
        draw(variables, Sampling(), root=tmp_path)
    lines = str(error.value).splitlines()
    assert lines[0] == (
        "weather: no way to sample it; add x-sample: {dist: files, glob: artifacts/weather/*}"
    )
    assert lines[1].startswith(f"load: no file matches loads/*.csv in {tmp_path}")
    assert lines[2].startswith("r: high 1 is below low 3")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"n": 0}, "n 0"), ({"n": 1.5}, "n 1.5"), ({"seed": -1}, "seed -1")],
)
def test_bad_counts_are_refused(options: Any, words: str) -> None:
    """A number of samples below 1 and a negative seed are the user's mistake."""
    with pytest.raises(DesignError, match=words):
        draw([Variable("x", "number", Uniform(0.0, 1.0))], Sampling(), **options)


def test_variables_are_needed_once_each() -> None:
    """No variable, or one twice, is told."""
    with pytest.raises(DesignError, match="no input"):
        draw([], Sampling())
    with pytest.raises(DesignError, match="twice: x"):
        draw([Variable("x", "number", Fixed(1.0))] * 2, Sampling())


@pytest.mark.filterwarnings("default:sobol")
def test_sobol_says_that_it_wants_a_power_of_two() -> None:
    """Sobol with 100 samples warns and names 128; with 128 it is silent, and balanced."""
    variables = [Variable(name, "number", Uniform(0.0, 1.0)) for name in "ab"]
    with pytest.warns(UserWarning, match="128 or 64"):
        draw(variables, Sampling("sobol", 100))
    table = draw(variables, Sampling("sobol", 128))
    quarters = {(x < 0.5, y < 0.5) for x, y in zip(*table.to_pydict().values(), strict=True)}
    counts = np.histogram2d(*(c.to_numpy() for c in table.columns), bins=4, range=[(0, 1)] * 2)[0]
    assert len(quarters) == 4
    assert (counts == 8).all()


def test_a_grid_has_every_combination() -> None:
    """A grid is the product of listed values and evenly cut ranges, the last one fastest."""
    variables = [
        Variable("a", "string", Values(("x", "y"))),
        Variable("b", "number", Uniform(0.0, 4.0)),
        Variable("c", "integer", IntUniform(1, 2)),
    ]
    table = draw(variables, Sampling("grid", 20))
    rows = list(zip(*table.to_pydict().values(), strict=True))
    assert rows == list(itertools.product("xy", [0.0, 1.0, 2.0, 3.0, 4.0], [1, 2]))
    middles = Variable("b", "number", Normal(0.0, 1.0))
    levels = draw([middles], Sampling("grid", 3))["b"].to_pylist()
    assert levels == pytest.approx(stats.norm.ppf([1 / 6, 1 / 2, 5 / 6]), abs=1e-12)


def test_a_grid_leaves_out_an_excluded_end() -> None:
    """A range with an excluded end is cut in the middles of its parts."""
    variable = Variable("x", "number", Uniform(0.0, 1.0), minimum=0.0, low_open=True)
    assert draw([variable], Sampling("grid", 2))["x"].to_pylist() == [0.25, 0.75]


def test_a_grid_that_does_not_fit_is_refused() -> None:
    """A definition's n below the smallest grid is an error; n in the call takes the first rows."""
    variables = [Variable(f"x{i}", "number", Uniform(0.0, 1.0)) for i in range(70)]
    with pytest.raises(DesignError, match="1180591620717411303424 rows"):
        draw(variables, Sampling("grid", 100))
    assert draw(variables, Sampling("grid", 100), n=1).num_rows == 1
    with pytest.warns(UserWarning, match="its first 2"):
        assert draw(variables, Sampling("grid", 100), n=2)["x69"].to_pylist() == [0.0, 1.0]


CSV = [
    Variable("r", "number", minimum=0.0, maximum=10.0),
    Variable("n", "integer"),
    Variable("ok", "boolean", nullable=True, required=False),
    Variable("kind", "string", options=("a", "b")),
    Variable("k", "number", Fixed(2.0)),
]


def test_a_csv_is_read_by_its_header(tmp_path: Path) -> None:
    """Columns come in the variables' order and types; n takes rows from the top."""
    (tmp_path / "d.csv").write_text(
        "\ufeffkind,n,r,ok\na,3,1.5,true\n\nb,4.0,2,\n", encoding="utf-8"
    )
    table = draw(CSV, Sampling("csv", path="d.csv"), root=tmp_path)
    assert table.to_pydict() == {
        "r": [1.5, 2.0],
        "n": [3, 4],
        "ok": [True, None],
        "kind": ["a", "b"],
        "k": [2.0, 2.0],
    }
    assert table.schema.field("n").type == pa.int64()
    assert draw(CSV, Sampling("csv", path="d.csv"), n=1, root=tmp_path).num_rows == 1


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("r,n,kind\n11,1.5,c\n,2,a\n", ["d.csv:2: r: 11", "d.csv:3: r: the cell is empty",
                                        "d.csv:2: n: 1.5", "d.csv:2: kind: 'c'"]),
        ("r,n,knd\n1,1,a\n", ["d.csv: column 'knd' is no input; did you mean 'kind'?",
                              "d.csv: no column 'kind'"]),
        ("r,n,kind,r\n1,1,a,1\n", ["d.csv: column 'r' stands twice"]),
        ("r;n;kind\n1;1;a\n", ["d.csv: cells are separated by semicolons"]),
        ("r,n,kind\n1,2\n", ["d.csv: not 3 cells in line 2"]),
        ("r,n,kind\n", ["d.csv: no rows"]),
        ("r,n,kind\nnan,2,a\n", ["d.csv:2: r: nan is not a finite number"]),
    ],
)  # fmt: skip
def test_a_csv_that_does_not_fit_is_told_by_line(
    text: str, lines: list[str], tmp_path: Path
) -> None:
    """Each cell or column that does not fit has its line number and reason."""
    (tmp_path / "d.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DesignError) as error:
        draw(CSV, Sampling("csv", path="d.csv"), root=tmp_path)
    told = str(error.value).splitlines()
    assert len(told) == len(lines)
    assert all(line.startswith(start) for line, start in zip(told, lines, strict=True))


def test_a_csv_that_is_missing_or_too_short_is_told(tmp_path: Path) -> None:
    """A file that is not there is named with its path; more rows than it has are refused."""
    with pytest.raises(DesignError, match=r"d\.csv: cannot be read"):
        draw(CSV, Sampling("csv", path="d.csv"), root=tmp_path)
    (tmp_path / "d.csv").write_text("r,n,kind\n1,1,a\n", encoding="utf-8")
    with pytest.raises(DesignError, match="5 samples wanted, the file has 1"):
        draw(CSV, Sampling("csv", path="d.csv"), n=5, root=tmp_path)


def test_preview_fits_the_line() -> None:
    """A narrow design is shown a sample a line, a wide one an input a line, with the count."""
    narrow = preview(draw([Variable("r", "number", Fixed(1.5))], Sampling(n=9)), rows=2)
    assert narrow.splitlines() == [
        "     r",
        "0  1.5",
        "1  1.5",
        "9 samples of 1 inputs, the first 2 shown",
    ]
    variables = [Variable(f"input_{i}", "boolean", Fixed(value=True)) for i in range(20)]
    wide = preview(draw(variables, Sampling(n=3))).splitlines()
    assert wide[1].split() == ["input_0", "true", "true", "true"]
    assert max(map(len, wide)) <= 100
    many = preview(draw(variables, Sampling(n=90)), rows=80, width=60).splitlines()
    assert max(map(len, many[:21])) <= 60
    assert many[1].split() == ["input_0", *["true"] * 8]
    assert many[21] == "(8 of 80 rows fit into 60 characters)"


def test_drawing_imports_neither_pandas_nor_scipy_stats() -> None:
    """Importing is free of numpy, and a Latin hypercube costs neither pandas nor scipy.stats."""
    code = """
import sys
from scythe_runtime.sampling import Choice, Sampling, Uniform, Variable, draw, rules
assert not {'numpy', 'pyarrow', 'scipy'} & set(sys.modules)
draw([Variable('a', 'number', Uniform(0.0, 1.0)), Variable('b', 'string', Choice(('x', 'y')))],
     Sampling())
assert not {'pandas', 'scipy.stats'} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
