"""Arrow columns from numpy and Python values.

pyarrow imports pandas when it is given Python or numpy objects (0.3 s, and again in each process);
buffers spare that.
"""

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np
import pyarrow as pa

from scythe_runtime.sampling._checks import TEXT_KINDS
from scythe_runtime.sampling._values import Kind

_EMPTY: Final[dict[str, Any]] = {"number": 0.0, "integer": 0, "boolean": False}


def from_numpy(values: "np.ndarray[Any, Any]") -> pa.Array:
    """Return a float64 or int64 column on the same memory."""
    kind = pa.float64() if values.dtype == np.float64 else pa.int64()
    return pa.Array.from_buffers(
        kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))]
    )


def from_values(kind: Kind, values: Sequence[Any]) -> pa.Array:
    """Return a column of the kind's type; None becomes null."""
    if kind == "any":
        return pa.array(values)
    present = [value is not None for value in values]
    empty = _EMPTY.get(kind, "")
    filled = [empty if value is None else value for value in values]
    data = _text(filled) if kind in TEXT_KINDS else _plain(kind, filled)
    nulls = present.count(False)
    validity = _bits(present) if nulls else None
    return pa.Array.from_buffers(data.type, len(values), [validity, *data.buffers()[1:]], nulls)


def repeated(levels: pa.Array, ranks: "np.ndarray[Any, Any]") -> pa.Array:
    """Return the levels in the order of the ranks."""
    return levels.take(from_numpy(ranks))


def _plain(kind: Kind, values: list[Any]) -> pa.Array:
    if kind == "boolean":
        return pa.Array.from_buffers(pa.bool_(), len(values), [None, _bits(values)])
    if kind == "number":
        return from_numpy(np.array(values, dtype=np.float64))
    return from_numpy(np.array(values, dtype=np.int64))


def _text(values: list[str]) -> pa.Array:
    encoded = [value.encode() for value in values]
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def _bits(values: list[bool]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(np.array(values, dtype=bool), bitorder="little"))
