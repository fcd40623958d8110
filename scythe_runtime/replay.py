"""One spec of a run, as its function was given it: to run it again here."""

from typing import Any

from pydantic import ValidationError

from scythe_runtime.base import ExperimentInputSpec
from scythe_runtime.batch import RunIds
from scythe_runtime.columns import columns_of, decode, kind_in
from scythe_runtime.errors import UsageError
from scythe_runtime.layout import RunLayout
from scythe_runtime.registry import Experiment
from scythe_runtime.specs import SpecsReader, open_specs
from scythe_runtime.store import Store


def spec_of_run(
    store: Store, layout: RunLayout, experiment: Experiment[Any, Any], sort_index: int
) -> ExperimentInputSpec:
    """Return a spec of a run as its function is given it, files as URIs.

    Args:
        store: Where the run lives.
        layout: Its keys.
        experiment: Its experiment.
        sort_index: Which spec; of several with the same the first.

    Raises:
        UsageError: The run has no such spec.
    """
    specs = open_specs(store, layout)
    row = _row_of(specs, sort_index)
    if row is None:
        message = f"run {layout.run_id} has no row {sort_index}. It has {specs.num_rows} specs."
        raise UsageError(message)
    table = specs.read((range(row, row + 1),))
    keys = {c.name: c.key for c in columns_of(experiment.input_validator_type)}
    values = {
        keys.get(field.name, field.name): decode(table.column(field.name), kind_in(field))[0]
        for field in table.schema
    }
    ids = RunIds(layout.run_id)
    values |= {"workflow_run_id": ids.of(row), "root_workflow_run_id": ids.root}
    undeclared = set(values) - set(keys.values())
    given = {k: v for k, v in values.items() if v is not None or k not in undeclared}
    try:
        spec: ExperimentInputSpec = experiment.input_validator_type.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        message = (
            f"run {layout.run_id}, row {sort_index} does not fit the definition of today: {where}: {first['msg']}. "
            "Go back to the code that the run was allocated with."
        )
        raise UsageError(message) from None
    return spec


def _row_of(specs: SpecsReader, sort_index: int) -> int | None:
    for start, group in specs.groups(["sort_index"]):
        numbers = group.column("sort_index").to_pylist()
        if sort_index in numbers:
            return int(start + numbers.index(sort_index))
    return None
