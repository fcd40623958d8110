"""Tables as plain text: the first rows, upright where they fit, else a line a column."""

from collections.abc import Sequence
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
        width: Characters a line; a wider table is shown with a line for each column.
        labels: What the rows are called; by default they are numbered.
    """
    head = table.slice(0, rows)
    body = [[name, *map(_text, head[name].to_pylist())] for name in head.column_names]
    lines = [["", *(labels or map(str, range(head.num_rows)))], *body]
    widths = [max(map(len, line)) for line in lines]
    if sum(widths) + 2 * len(widths) - 2 <= width:
        lines = [list(line) for line in zip(*lines, strict=True)]
    else:
        widths = [max(map(len, line)) for line in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            [first.ljust(widths[0])]
            + [cell.rjust(size) for cell, size in zip(rest, widths[1:], strict=True)]
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
