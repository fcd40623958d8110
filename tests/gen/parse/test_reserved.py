"""The pure lists of reserved names are those of the real classes."""

import pytest
from pydantic import BaseModel

from scythe_runtime import reserved
from scythe_runtime.base import ExperimentInputSpec, ExperimentOutputSpec


def public(cls: type[BaseModel]) -> set[str]:
    """Return the names that a subclass must not give to a field."""
    return {name for name in dir(cls) if not name.startswith("_")} | set(cls.model_fields)


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (ExperimentInputSpec, reserved.INPUT_NAMES),
        (ExperimentOutputSpec, reserved.OUTPUT_NAMES),
        (BaseModel, reserved.MODEL_MEMBERS),
    ],
)
def test_reserved_names_are_the_members(cls: type[BaseModel], names: frozenset[str]) -> None:
    """Each member of a base class is reserved, and nothing else but the levels of the index."""
    assert public(cls) - names == set()
    assert names - public(cls) - reserved.INDEX_LEVELS == set()


def test_base_fields_are_the_fields() -> None:
    """The fields that a run's record loses are those that the base classes have."""
    assert set(ExperimentInputSpec.model_fields) == reserved.BASE_INPUT_FIELDS
    assert set(ExperimentOutputSpec.model_fields) == reserved.BASE_OUTPUT_FIELDS
