"""An experiment with every form of output that is not a plain column."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scythe_runtime import (
    ExperimentInputSpec,
    ExperimentOutputSpec,
    ExperimentRegistry,
    FileReference,
    OptionalFileReference,
)


class Ask(ExperimentInputSpec):
    """What to return."""

    k: int = 0
    give: str = ""
    feature: Any = None
    value: float = 0.0
    data: OptionalFileReference = None

    @property
    def computed_features(self) -> dict[str, Any]:
        """What is asked for."""
        special = {
            "object": {"f": object()},
            "list": {"f": [1]},
            "field": {"k": 1},
            "output": {"y": 1},
            "numpy": {"f": np.int64(3), "g": np.float32(0.5)},
        }
        return special.get(self.feature, {})


class Answer(ExperimentOutputSpec, extra="allow"):
    """What was asked for."""

    y: float
    value: float = 0.0
    anything: Any = None
    report: OptionalFileReference = None
    copy_of: FileReference | None = None


OUTPUTS: dict[str, dict[str, Any]] = {
    "object": {"anything": object()},
    "extra object": {"more": object()},
    "extra sort_index": {"sort_index": 7},
    "numpy": {"anything": np.arange(3), "more": np.float64(2.5)},
    "link": {"report": "https://example.org/report.html"},
    "scalars": {"dataframes": {"scalars": pd.DataFrame({"a": [1]})}},
    "result_file_refs": {"dataframes": {"result_file_refs": pd.DataFrame({"a": [1]})}},
    "errors": {"dataframes": {"errors": pd.DataFrame({"a": [1]})}},
    "no name": {"dataframes": {"a/b": pd.DataFrame({"a": [1]})}},
    "no frame": {"dataframes": {"a": 3}},
}


@ExperimentRegistry.Register(retries=0)
def answer(input_spec: Ask, tempdir: Path) -> Answer:
    """Return what is asked for."""
    fields = dict(OUTPUTS.get(input_spec.give, {}))
    hours = pd.DataFrame({"load": [1.0 * input_spec.k, 2.0]})
    if input_spec.give == "frames":
        named = hours.rename_axis("hour")
        own = hours.set_index(input_spec.make_multiindex(n_rows=2))
        fields["dataframes"] = {"plain": hours, "named": named, "own": own}
    if input_spec.give == "late frame":
        late = Answer(y=0.0)
        late.dataframes["scalars"] = hours
        return late
    if input_spec.give == "object with frame":
        fields |= {"anything": object(), "dataframes": {"plain": hours}}
    if input_spec.give == "file":
        path = tempdir / "a report ü.txt"
        path.write_text(f"report {input_spec.k}")
        fields["report"] = path
    if input_spec.give == "raise":
        raise ValueError("as asked")
    return Answer(y=input_spec.k, value=-1.0, **fields)
