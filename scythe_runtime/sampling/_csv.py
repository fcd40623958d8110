"""Designs that stand in a CSV file."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from scythe_runtime.errors import DesignError
from scythe_runtime.sampling._checks import did_you_mean, misfit, show_all
from scythe_runtime.sampling._columns import from_values
from scythe_runtime.sampling._values import Fixed, Kind, Variable

_SHOWN: Final = 20
_BOOLEANS: Final = {"true": True, "false": False, "1": True, "0": False}


def csv_table(
    variables: Sequence[Variable], path: str, root: Path, *, n: int | None = None
) -> pa.Table:
    """Return the rows of a CSV file, checked against the variables.

    The first line names the columns. Values are in the variables' own units; an empty cell is null.
    A variable that is not in the file takes its constant if it has one, and is left out if it is optional.

    Args:
        variables: What the columns may be.
        path: Of the file; relative to root.
        root: The folder that relative paths begin in.
        n: How many rows to take from the top; all when None.

    Raises:
        DesignError: The file cannot be read, or columns, values or the number of rows do not fit.
    """
    header, rows = _read(root / path)
    by_name = {variable.name: variable for variable in variables}
    problems = _header_problems(by_name, header, path)
    if not rows:
        problems.append(f"{path}: no rows below the header")
    if n is not None and n > len(rows) > 0:
        problems.append(f"{path}: {n} samples wanted, the file has {len(rows)}")
    ragged = [line for line, row in rows if len(row) != len(header)]
    if ragged:
        problems.append(f"{path}: not {len(header)} cells in line {show_all(ragged)}")
    if problems:
        raise DesignError("\n".join(problems))
    rows = rows[:n]
    lines = [line for line, _ in rows]
    columns: dict[str, pa.Array] = {}
    for variable in variables:
        if variable.name in header:
            index = header.index(variable.name)
            values, wrong = _column(variable, [row[index] for _, row in rows], lines)
            problems += [f"{path}:{line}: {variable.name}: {message}" for line, message in wrong]
        elif isinstance(variable.dist, Fixed):
            values = [variable.dist.value] * len(rows)
        else:
            continue
        if not problems:
            columns[variable.name] = from_values(variable.kind, values)
    if problems:
        more = [f"... and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
        raise DesignError("\n".join(problems[:_SHOWN] + more))
    return pa.table(columns)


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and each row with its line number; empty lines are skipped."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            return header, [(reader.line_num, row) for row in reader if row]
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror}). Put the file there, or change path in x-sampling"
        raise DesignError(message) from error
    except (UnicodeDecodeError, csv.Error) as error:
        message = f"{path}: not a CSV file in UTF-8 ({error}). Save it again as CSV, UTF-8"
        raise DesignError(message) from error


def _header_problems(by_name: Mapping[str, Variable], header: list[str], path: str) -> list[str]:
    if len(header) <= 1 < len(by_name) and ";" in "".join(header):
        return [f"{path}: cells are separated by semicolons; save it with commas"]
    problems = [
        f"{path}: column '{name}' is no input{did_you_mean(name, by_name)}"
        for name in header
        if name not in by_name
    ]
    problems += [
        f"{path}: column '{name}' stands twice"
        for name in dict.fromkeys(header)
        if header.count(name) > 1
    ]
    problems += [
        f"{path}: no column '{name}', which every sample must have"
        for name, variable in by_name.items()
        if name not in header and variable.required and not isinstance(variable.dist, Fixed)
    ]
    return problems


def _column(
    variable: Variable, cells: list[str], lines: list[int]
) -> tuple[list[Any], list[tuple[int, str]]]:
    """Return the values, and the line and message of each that does not fit."""
    read = {cell: _value(variable, cell) for cell in set(cells)}
    wrong = {
        cell: "the cell is empty"
        if value is None and not variable.nullable
        else misfit(variable, value)
        for cell, value in read.items()
    }
    bad = {cell: message for cell, message in wrong.items() if message}
    if bad:
        return [], [
            (line, bad[cell]) for line, cell in zip(lines, cells, strict=True) if cell in bad
        ]
    return [read[cell] for cell in cells], []


def _value(variable: Variable, cell: str) -> Any:
    """Return what a cell means; the text itself when it is no value of that kind."""
    text = cell.strip()
    if not text and (variable.nullable or variable.kind != "string"):
        return None
    readers: Mapping[Kind, Callable[[str], Any]] = {
        "number": float,
        "integer": _integer,
        "boolean": lambda word: _BOOLEANS[word.lower()],
        "any": json.loads,
    }
    try:
        return readers.get(variable.kind, str)(text)
    except (ValueError, KeyError):
        return text


def _integer(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return int(number) if number.is_integer() else number
