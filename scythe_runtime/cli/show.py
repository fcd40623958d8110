"""What several commands print: a spec, a result, the first rows of a table."""

import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scythe_runtime.experiments import ExperimentRun


def fields(title: str, value: Any, kind: Any) -> str:
    """Return the user's own fields of a spec or a result, a line each."""
    from scythe_runtime.reserved import BASE_INPUT_FIELDS, BASE_OUTPUT_FIELDS

    names = [n for n in kind.model_fields if n not in BASE_INPUT_FIELDS | BASE_OUTPUT_FIELDS]
    width = max((len(n) for n in names), default=0)
    return "\n".join([title, *(f"  {n:<{width}}  {getattr(value, n)}" for n in names)])


def result_text(result: Any, kind: Any) -> str:
    """Return a result with its frames."""
    frames = (f"\n{name}\n{frame}" for name, frame in result.dataframes.items())
    return "\n".join([fields("output", result, kind), *frames])


def preview(experiment_run: "ExperimentRun[Any, Any]", rows: int = 5) -> str:
    """Return the first rows of a run's table, as wide as the terminal."""
    width = shutil.get_terminal_size((100, 24)).columns
    return experiment_run.results.preview(rows=rows, width=width)
