"""The examples as packages: what `scythe-gen new --example` makes of their Python files."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLES = Path(__file__).parents[3] / "schemas" / "examples"


class Example:
    """An example's folder and its modules, `model`, `weather` and so on, imported by name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = EXAMPLES / name

    def module(self, name: str) -> ModuleType:
        """Return a module of the example's package."""
        return importlib.import_module(f"{self.name}.{name}")

    def physics(self) -> ModuleType:
        """Return the tests that the example brings along, as a module."""
        spec = importlib.util.spec_from_file_location(
            f"{self.name}_physics", self.folder / "tests" / "test_physics.py"
        )
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[Example]:
    """Return the room example, importable for the time of a test."""
    yield from _imported("room", monkeypatch)


def _imported(name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Example]:
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield Example(name)
    for module in [name_ for name_ in sys.modules if name_.split(".")[0] == name]:
        del sys.modules[module]


@pytest.fixture
def borehole(monkeypatch: pytest.MonkeyPatch) -> Iterator[Example]:
    """Return the borehole example, importable for the time of a test."""
    yield from _imported("borehole", monkeypatch)
