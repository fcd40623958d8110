"""Fixtures of the slots' tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from slot_fields import Field


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    """Return an empty field; its pools are closed afterwards."""
    made = Field(tmp_path)
    yield made
    for pool in made.pools:
        pool.close()
