"""Every name of scythe-engine's API reference is here, with its parameters, and is called by a test."""

import importlib
import inspect
import re
from operator import attrgetter
from pathlib import Path

import pytest
import test_seed_base
import test_seed_experiments
import test_seed_nodes
import test_seed_registry
import test_seed_runs
import test_seed_utils
import test_seed_worker
from seed_names import TESTS, Name, read_names

REFERENCE = Path(__file__).parents[4] / "shared/reference/seeds/api-reference.txt"
MODULES = (
    test_seed_base,
    test_seed_experiments,
    test_seed_nodes,
    test_seed_registry,
    test_seed_runs,
    test_seed_utils,
    test_seed_worker,
)
MARKS = ("property", "classmethod", "async", "cached")


def test_each_name_has_a_test() -> None:
    """Every line of names.txt is called by a test of this folder."""
    names = {str(name) for name in read_names() if not name.path.endswith(".__init__")}
    assert names == set(TESTS)
    for place in TESTS.values():
        module, _, test = place.partition("::")
        assert callable(getattr(importlib.import_module(module), test))


@pytest.mark.parametrize("name", read_names(), ids=str)
def test_parameters_and_defaults_are_kept(name: Name) -> None:
    """A promised callable takes the promised parameters in their order, with the promised defaults."""
    found = attrgetter(name.path)(importlib.import_module(f"scythe_runtime.{name.module}"))
    if name.mark == "async":
        assert inspect.iscoroutinefunction(found)
    if name.parameters is None:
        return
    signature = inspect.signature(found)
    given = [p for p in signature.parameters.values() if p.name != "self"]
    wanted = list(name.defaults())
    positional = [p.name for p in given if p.kind is p.POSITIONAL_OR_KEYWORD]
    keywords = [p.name for p in given if p.kind is p.KEYWORD_ONLY]
    for place, (parameter, default) in enumerate(wanted):
        assert parameter in positional[place : place + 1] or parameter in keywords
        if default is not None and re.fullmatch(r"None|True|False|\d+|'.*'|frozenset\(\)", default):
            assert repr(signature.parameters[parameter].default) == default


def test_names_are_those_of_the_reference() -> None:
    """names.txt says what the API reference says, name for name, where the reference is at hand."""
    if not REFERENCE.is_file():
        pytest.skip(f"the API reference is not at hand ({REFERENCE.name})")
    lines = REFERENCE.read_text().splitlines()
    found: list[tuple[str, str, str | None]] = []
    module = ""
    for at, line in enumerate(lines):
        title = re.fullmatch(r"scythe\.([\w.]+)#", line)
        module = title[1] if title else module
        name = re.fullmatch(r"(\w+)(\(.*\))?", line)
        if name is None or line in MARKS or line == module.rpartition(".")[2]:
            continue
        rest = iter(lines[at + 1 :])
        if next((text for text in rest if text not in {*MARKS, "cached property"}), "") == "#":
            found.append((module, name[1], name[2]))
    ours = [
        (name.module, name.path.rpartition(".")[2], name.parameters)
        for name in read_names()
        if name.mark != "listed"
    ]
    assert ours == found
    assert len(ours) > 120


if __name__ == "__main__":  # prints the table of names and tests
    for listed in read_names():
        print(f"{listed} → {TESTS[str(listed).removesuffix('.__init__')]}")
