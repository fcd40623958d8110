"""A design as text, to look at before it costs anything."""

from typing import TYPE_CHECKING

from scythe_runtime.preview import first_rows

if TYPE_CHECKING:
    import pyarrow as pa


def preview(table: "pa.Table", *, rows: int = 5, width: int = 100) -> str:
    """Return the first rows of a design as aligned plain text, and how many there are.

    Args:
        table: One row a sample.
        rows: How many to show.
        width: Characters a line; a wider design is shown with a line for each input.
    """
    text = first_rows(table, rows=rows, width=width)
    shown = "" if table.num_rows <= rows else f", the first {rows} shown"
    return f"{text}\n{table.num_rows} samples of {table.num_columns} inputs{shown}"
