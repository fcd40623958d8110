"""Tables as plain text: the first rows, upright where they fit, else a line a column."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa

_LONGEST: Final = 32


def first_rows(
    table: "pa.Table", *, rows: int, width: int, labels: Sequence[str] | None = None
) -> str:
    """Return the first rows of a table as aligned text.

    Args:
        table: Any.
        rows: How many to show.
        width: Characters a line; a wider table is shown with a line for each column, and as many of the
            rows as fit, at least one.
        labels: What the rows are called; by default they are numbered.
    """
    head = table.slice(0, rows)
    body = [[name, *map(_text, head[name].to_pylist())] for name in head.column_names]
    lines = [["", *(labels or map(str, range(head.num_rows)))], *body]
    widths = [max(map(len, line)) for line in lines]
    if sum(widths) + 2 * len(widths) - 2 <= width:
        lines = [list(line) for line in zip(*lines, strict=True)]
        return _aligned(lines, widths)
    widths = [max(map(len, line)) for line in zip(*lines, strict=True)]
    ends = list(accumulate(size + 2 for size in widths))
    fitting = max(2, bisect_right(ends, width + 2))
    shown = _aligned([line[:fitting] for line in lines], widths)
    if fitting >= len(widths):
        return shown
    return f"{shown}\n({fitting - 1} of {head.num_rows} rows fit into {width} characters)"


def _aligned(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    return "\n".join(
        "  ".join(
            [first.ljust(widths[0])]
            + [cell.rjust(size) for cell, size in zip(rest, widths[1:], strict=False)]
        )
        for first, *rest in lines
    )


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = " ".join(str(value).split())
    if "://" in text:
        text = text.rsplit("/", 1)[1]  # of a file the name: its folder is the same for all
    return text if len(text) <= _LONGEST else f"...{text[3 - _LONGEST :]}"
